//! How many different prompt versions and agents were seen in the last hour. Services and models stand in the history.

use hashbrown::HashTable;

use crate::time::{HOUR, SECOND};

/// What is told apart beside the dimensions of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SeenKind {
    /// Versions of prompts, with the prompt's name.
    PromptVersion,
    /// Names of agents.
    Agent,
}

impl SeenKind {
    /// All of them. Checkpoints hold places in this list: what is new goes to its end.
    pub const ALL: [Self; 2] = [Self::PromptVersion, Self::Agent];
}

/// How many different ones were seen in the last hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeenCounts {
    /// Services of calls.
    pub services: usize,
    /// Models that answered.
    pub models: usize,
    /// Versions of prompts: at most [`MOST_SEEN`] are told apart.
    pub prompt_versions: usize,
    /// Agents: at most [`MOST_SEEN`] are told apart.
    pub agents: usize,
}

/// How many prompt versions, and how many agents, are told apart.
pub const MOST_SEEN: usize = 10_000;
/// How long something counts as seen.
pub(crate) const SEEN_FOR: u64 = HOUR;
/// Times are kept no more exactly than this, so that what comes again and again costs nothing.
const EXACT: u64 = SECOND;

/// Hashes of what was seen, and when each was seen last.
#[derive(Debug, Default)]
pub(crate) struct Seen([Values; SeenKind::ALL.len()]);

#[derive(Debug, Default)]
struct Values {
    /// Hash and time.
    known: HashTable<(u64, u64)>,
    newest: (u64, u64),
}

impl Seen {
    /// Something was seen at a time. Of new ones that are too many nothing is kept.
    #[inline]
    pub(crate) fn note(&mut self, kind: SeenKind, hash: u64, at: u64) {
        let values = &mut self.0[kind as usize];
        if values.newest.0 == hash && at.saturating_sub(values.newest.1) < EXACT {
            return;
        }
        values.newest = (hash, at);
        values.note(hash, at);
    }

    /// Forgets what was not seen for an hour.
    pub(crate) fn advance(&mut self, now: u64) {
        for values in &mut self.0 {
            values.known.retain(|(_, at)| now.saturating_sub(*at) <= SEEN_FOR);
        }
    }

    /// How many of a kind were seen in the last hour.
    pub(crate) fn count(&self, kind: SeenKind, now: u64) -> usize {
        let seen = self.0[kind as usize].known.iter();
        seen.filter(|(_, at)| now.saturating_sub(*at) <= SEEN_FOR).count()
    }

    /// All of a kind, in the order of their hashes.
    pub(crate) fn all(&self, kind: SeenKind) -> Vec<(u64, u64)> {
        let mut all: Vec<(u64, u64)> = self.0[kind as usize].known.iter().copied().collect();
        all.sort_unstable();
        all
    }
}

impl Values {
    fn note(&mut self, hash: u64, at: u64) {
        if let Some((_, last)) = self.known.find_mut(hash, |(known, _)| *known == hash) {
            *last = at;
        } else if self.known.len() < MOST_SEEN {
            self.known.insert_unique(hash, (hash, at), |(hash, _)| *hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each value counts once, for an hour since it was seen last; memory is bounded; kinds are told apart.
    #[test]
    fn values_count_once_for_an_hour() {
        let start = 1_790_000_000 * SECOND;
        let mut seen = Seen::default();
        for (hash, at) in [(1, start), (2, start), (1, start + HOUR / 2), (1, start + HOUR / 2 + 1)] {
            seen.note(SeenKind::Agent, hash, at);
        }
        let count = |seen: &Seen, now| (seen.count(SeenKind::Agent, now), seen.count(SeenKind::PromptVersion, now));
        assert_eq!(count(&seen, start + HOUR), (2, 0));
        assert_eq!(count(&seen, start + HOUR + 1), (1, 0));
        seen.advance(start + HOUR + 1);
        assert_eq!(seen.all(SeenKind::Agent), [(1, start + HOUR / 2)]);
        (0..2 * MOST_SEEN as u64).for_each(|hash| seen.note(SeenKind::PromptVersion, hash, start));
        assert_eq!(count(&seen, start), (1, MOST_SEEN));
    }
}
