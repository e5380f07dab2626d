//! The table made ready for the walk: what it says of a key, an event, a scope.

use std::sync::LazyLock;

use super::{DIALECTS, DialectId, EventKey, EventSays, Fact, Key};
use crate::lookup::Lookup;

/// The table made ready for the walk.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Lookup<Row>,
    scopes: Vec<(&'static str, DialectId)>,
    posing: Vec<(&'static str, DialectId)>,
    patterns: Vec<Pattern>,
    events: Vec<EventKey>,
}

/// What the keys of a pattern begin and end with.
#[derive(Debug)]
struct Pattern {
    before: &'static str,
    after: &'static str,
    row: Row,
}

/// How all patterns begin: other keys that are not in the table are passed over with these comparisons.
const PATTERNS_BEGIN: [[u8; 4]; 5] = [*b"llm.", *b"eval", *b"anno", *b"trac", *b"sess"];

/// A key that one of the patterns stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PatternMatch<'t, 'k> {
    /// What the keys of the pattern begin with.
    pub(crate) before: &'static str,
    /// What stands for `*`.
    pub(crate) between: &'k [u8],
    pub(crate) row: &'t Row,
}

/// What the table says of a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    pub(crate) fact: Fact,
    /// Its place in the table: the smaller, the more authoritative.
    pub(crate) rank: u16,
    /// The dialect that it is a signal of, [`DialectId::ANY`] for other keys of GenAI, [`DialectId::NONE`] for general keys.
    pub(crate) dialect: DialectId,
    /// The dialect that it stands in.
    pub(crate) owner: DialectId,
}

impl Table {
    /// The one table.
    pub(crate) fn get() -> &'static Self {
        static TABLE: LazyLock<Table> = LazyLock::new(Table::build);
        &TABLE
    }

    fn build() -> Self {
        let mut rows = Vec::new();
        let mut scopes = Vec::new();
        let mut posing = Vec::new();
        let mut patterns = Vec::new();
        let mut events = Vec::new();
        for (owner, dialect) in (0..).map(DialectId).zip(DIALECTS) {
            events.extend_from_slice(dialect.events);
            scopes.extend(dialect.scopes.iter().map(|scope| (*scope, owner)));
            posing.extend(dialect.poses_as_provider.iter().map(|name| (*name, owner)));
            for key in dialect.keys {
                let dialect = match key {
                    Key { is_signal: true, .. } => owner,
                    Key { is_genai: true, .. } => DialectId::ANY,
                    Key { .. } => DialectId::NONE,
                };
                let row = Row { fact: key.fact, rank: (rows.len() + patterns.len()) as u16, dialect, owner };
                match key.name.split_once('*') {
                    Some((before, after)) => patterns.push(Pattern { before, after, row }),
                    None => rows.push((key.name, row)),
                }
            }
        }
        Self { rows: Lookup::new(rows.into_iter()), scopes, posing, patterns, events }
    }

    /// The row of a key.
    #[inline(always)]
    pub(crate) fn row(&self, key: &[u8]) -> Option<&Row> {
        self.rows.find(key)
    }

    /// Whether `key`, which has no row, may be one of a pattern.
    #[inline(always)]
    pub(crate) fn may_match(&self, key: &[u8]) -> bool {
        key.first_chunk::<4>().is_some_and(|first| PATTERNS_BEGIN.contains(first))
    }

    /// The pattern that `key` is one of, if it means that everywhere, or on spans of the scopes of `dialect`.
    #[cold]
    pub(crate) fn pattern<'k>(&self, key: &'k [u8], dialect: DialectId) -> Option<PatternMatch<'_, 'k>> {
        let means_it = |row: &Row| row.owner == dialect || matches!(row.fact, Fact::Evaluation(_));
        self.patterns.iter().filter(|pattern| means_it(&pattern.row)).find_map(|Pattern { before, after, row }| {
            let between = key.strip_prefix(before.as_bytes())?.strip_suffix(after.as_bytes())?;
            let is_one = !between.is_empty() && !between.contains(&b'.');
            is_one.then_some(PatternMatch { before, between, row })
        })
    }

    /// What a span event says.
    pub(crate) fn event(&self, name: &[u8]) -> Option<EventSays> {
        let is_it = |event: &&EventKey| {
            let known = event.name.as_bytes();
            if known.ends_with(b".") { name.starts_with(known) } else { name == known }
        };
        self.events.iter().find(is_it).map(|event| event.says)
    }

    /// The dialect that poses as the provider of this name.
    pub(crate) fn of_provider(&self, provider: &[u8]) -> Option<DialectId> {
        self.posing.iter().find(|(name, _)| name.as_bytes() == provider).map(|(_, id)| *id)
    }

    /// The dialect that has `scope` among its scopes.
    pub(crate) fn of_scope(&self, scope: &[u8]) -> DialectId {
        let speaks = |(known, _): &&(&str, DialectId)| {
            scope.strip_prefix(known.as_bytes()).is_some_and(|rest| {
                // `ai` is a scope of its own, `airflow` none of its.
                known.ends_with('.') || rest.first().is_none_or(|next| !next.is_ascii_alphanumeric())
            })
        };
        self.scopes.iter().find(speaks).map_or(DialectId::NONE, |(_, id)| *id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::all;
    use super::*;

    // No key stands twice, and every key of the table is found at its own row: the perfect hash is one.
    #[test]
    fn every_key_is_found_once() {
        let table = Table::get();
        let mut seen = HashSet::new();
        for (i, key) in all().flat_map(|dialect| dialect.keys).enumerate() {
            assert!(seen.insert(key.name), "{} stands twice", key.name);
            if let Some((before, after)) = key.name.split_once('*') {
                assert!(table.may_match(before.as_bytes()), "{}", key.name);
                let owner = (0..).map(DialectId).zip(DIALECTS).find(|(_, dialect)| dialect.keys.contains(key));
                let like_it = format!("{before}x{after}");
                let found = table.pattern(like_it.as_bytes(), owner.unwrap().0).unwrap();
                assert_eq!((found.before, found.between), (before, &b"x"[..]), "{}", key.name);
                let row = found.row;
                assert_eq!((usize::from(row.rank), row.fact), (i, key.fact), "{}", key.name);
                continue;
            }
            let row = table.row(key.name.as_bytes()).unwrap_or_else(|| panic!("{} is not found", key.name));
            assert_eq!((usize::from(row.rank), row.fact), (i, key.fact), "{}", key.name);
        }
    }

    // The last of the table is what came before the current conventions.
    #[test]
    fn the_last_is_legacy() {
        assert_eq!(DialectId::LEGACY.dialect().name, "otel_genai_legacy");
    }

    // Every scope and every signal leads to its own dialect: no earlier row takes it away.
    #[test]
    fn scopes_and_signals_lead_home() {
        let table = Table::get();
        for (id, dialect) in (0..).map(DialectId).zip(DIALECTS) {
            for scope in dialect.scopes {
                assert_eq!(table.of_scope(format!("{scope}.x").as_bytes()), id, "{scope}");
                assert_eq!(
                    table.of_scope(scope.trim_end_matches('.').as_bytes()) == id,
                    !scope.ends_with('.'),
                    "{scope}"
                );
            }
            for key in dialect.keys.iter().filter(|key| key.is_signal) {
                assert_eq!(table.row(key.name.as_bytes()).map(|row| row.dialect), Some(id), "{}", key.name);
            }
        }
    }
}
