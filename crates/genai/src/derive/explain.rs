//! Where the facts of a span were read, for people.
//!
//! Nothing is recorded where facts are derived, so explaining costs the ordinary path nothing and cannot tell another story than
//! it. A text is a range of the body: what stands around it told it. For everything else the very same derivation is asked again
//! with one piece of evidence taken away after the other, the least authoritative first: what is left when no more can go without
//! the fact becoming another one told it.

mod evaluation;
mod rows;

use otlp::trace::{EVENT_ATTRIBUTES, Event, SPAN_ATTRIBUTES, Scope, Span, SpanVisitor, Visitor, attributes, walk};
use otlp::{Text, Value};

use self::rows::{Evidence, ROWS, Row, Told};
use super::{BEHIND, Derivation, DeriveError, Deriver};
use crate::dialects::{DialectId, EventSays, Fact, Plain, Row as TableRow};
use crate::facts::SpanFacts;

/// Where a fact of a span was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The fact, e.g. `input` or `response_model`.
    pub fact: &'static str,
    /// The attributes that told it together, the most authoritative first; what is no attribute of the span is named as such:
    /// `span name`, `scope`, `status`, `event NAME KEY`. Never a value.
    pub keys: Vec<String>,
}

impl Deriver {
    /// As [`Deriver::derive`], and where every fact was read that a span tells. Slow: for people.
    ///
    /// # Errors
    /// As [`Deriver::derive`].
    pub fn explain(&self, body: &[u8]) -> Result<Vec<(SpanFacts, Vec<Source>)>, DeriveError> {
        let derivation = Derivation::new(self.table, body);
        let mut explaining = Explaining { derivation, events: Vec::new(), sources: Vec::new() };
        walk(body, &mut explaining)?;
        Ok(explaining.derivation.finish()?.spans.into_iter().zip(explaining.sources).collect())
    }
}

/// A derivation that is asked, after each span, what it would have said without this and that.
struct Explaining<'a> {
    derivation: Derivation<'a>,
    /// Those of the span that is being read.
    events: Vec<Event>,
    /// Of each span.
    sources: Vec<Vec<Source>>,
}

impl Visitor for Explaining<'_> {
    fn again(&mut self) {
        self.derivation.again();
        self.sources.clear();
    }

    fn resource(&mut self, message: Text) {
        self.derivation.resource(message);
    }

    fn resource_attribute(&mut self, key: &[u8], value: Value) {
        self.derivation.resource_attribute(key, value);
    }

    fn scope(&mut self, scope: Scope) {
        self.derivation.scope(scope);
    }
}

impl SpanVisitor for Explaining<'_> {
    fn attribute(&mut self, key: &[u8], value: Value) {
        self.derivation.attribute(key, value);
    }

    fn event(&mut self, event: Event) {
        self.derivation.event(event);
        self.events.push(event);
    }

    fn span(&mut self, span: &Span) {
        let position = self.derivation.facts.len();
        self.derivation.judge(span);
        if let Some(facts) = self.derivation.facts.get(position) {
            let explained = Explained { derivation: &self.derivation, events: &self.events, span, facts };
            self.sources.push(explained.sources());
        }
        self.derivation.found.clear();
        self.events.clear();
    }
}

/// A span with its facts.
struct Explained<'e, 'a> {
    derivation: &'e Derivation<'a>,
    events: &'e [Event],
    span: &'e Span,
    facts: &'e SpanFacts,
}

impl Explained<'_, '_> {
    fn sources(&self) -> Vec<Source> {
        let of_dialect = self.keys_of_dialect();
        if of_dialect.is_empty() {
            return Vec::new();
        }
        let mut sources = vec![Source { fact: "dialect", keys: of_dialect.clone() }];
        for row in ROWS {
            let keys = match (row.told)(self.facts) {
                None => continue,
                Some(Told::Text(text)) => self.place(text).into_iter().collect(),
                Some(told) => self.evidence_of(row, told).into_iter().map(|evidence| self.name(evidence)).collect(),
            };
            // What follows from no key in particular follows from what the dialect is.
            let keys = if Vec::is_empty(&keys) { of_dialect.clone() } else { keys };
            sources.push(Source { fact: row.fact, keys });
        }
        sources
    }

    /// What says which dialect the span speaks; empty if it shows no sign of GenAI.
    fn keys_of_dialect(&self) -> Vec<String> {
        let Derivation { body, table, scope_dialect, .. } = *self.derivation;
        let spoken = self.facts.dialect;
        if spoken == DialectId::NONE {
            return Vec::new();
        }
        if spoken == scope_dialect {
            return vec![SCOPE.to_owned()];
        }
        let tells =
            |row: &TableRow| row.dialect == spoken || (row.owner == spoken && matches!(row.fact, Fact::Role { .. }));
        let key = |tells: &dyn Fn(&TableRow) -> bool| {
            attributes(body, self.span.message, SPAN_ATTRIBUTES)
                .find(|pair| table.row(pair.key.bytes(body)).is_some_and(tells))
                .map(|pair| pair.key.str(body).into_owned())
        };
        let poses = |row: &TableRow| matches!(row.fact, Fact::Plain(Plain::Provider | Plain::ProviderElsewhere));
        key(&tells).or_else(|| key(&poses)).into_iter().collect()
    }

    /// The least evidence that tells a fact as it is.
    fn evidence_of(&self, row: &Row, told: Told) -> Vec<Evidence> {
        let mut needed: Vec<Evidence> = row.evidence.iter().copied().filter(|evidence| self.has(*evidence)).collect();
        let mut taken = Vec::new();
        for at in (0..needed.len()).rev() {
            taken.push(needed[at]);
            if (row.told)(&self.without(&taken)) == Some(told) {
                needed.remove(at);
            } else {
                taken.pop();
            }
        }
        needed
    }

    fn has(&self, evidence: Evidence) -> bool {
        let Derivation { body, ref found, scope_dialect, .. } = *self.derivation;
        match evidence {
            Evidence::Plain(plain) => found.has(plain),
            Evidence::Role => found.role.is_some(),
            Evidence::Chunks => !found.chunks.is_empty(),
            Evidence::Exception => found.exception.is_some(),
            Evidence::FirstChunk => found.first_chunk_event > 0,
            Evidence::Status => self.span.status_code != 0,
            Evidence::StatusMessage => !self.span.status_message.bytes(body).is_empty(),
            Evidence::SpanName => !self.span.name.is_empty(),
            Evidence::Scope => scope_dialect != DialectId::NONE,
        }
    }

    /// The facts of the span if it did not show this.
    fn without(&self, taken: &[Evidence]) -> SpanFacts {
        let mut derivation = Derivation {
            found: self.derivation.found.clone(),
            facts: Vec::new(),
            evaluations: Vec::new(),
            ..*self.derivation
        };
        let mut span = *self.span;
        for evidence in taken {
            match *evidence {
                Evidence::Plain(plain) => derivation.found.forget(plain),
                Evidence::Role => derivation.found.role = None,
                Evidence::Chunks => derivation.found.chunks = Default::default(),
                Evidence::Exception => derivation.found.exception = None,
                Evidence::FirstChunk => derivation.found.first_chunk_event = 0,
                Evidence::Status => span.status_code = 0,
                Evidence::StatusMessage => span.status_message = Text::default(),
                Evidence::SpanName => span.name = Text::default(),
                Evidence::Scope => derivation.scope_dialect = DialectId::NONE,
            }
        }
        let mut facts = SpanFacts::default();
        derivation.fill(&mut facts, &span);
        facts
    }

    /// What people call a piece of evidence.
    fn name(&self, evidence: Evidence) -> String {
        let found = &self.derivation.found;
        let is_chunk = |says| matches!(says, EventSays::Chunk(_));
        match evidence {
            Evidence::Plain(plain) => self.key_of_rank(found.rank(plain)),
            Evidence::Role => self.key_of_rank(found.role.map_or(0, |role| role.rank)),
            Evidence::Chunks => self.event_that(is_chunk),
            Evidence::Exception => self.event_that(|says| says == EventSays::Exception),
            Evidence::FirstChunk => self.event_that(|says| says == EventSays::FirstChunk || is_chunk(says)),
            Evidence::Status => "status".to_owned(),
            Evidence::StatusMessage => "status message".to_owned(),
            Evidence::SpanName => SPAN_NAME.to_owned(),
            Evidence::Scope => SCOPE.to_owned(),
        }
    }

    /// The key of the span, or of one of its events, that stands at a place of the table.
    fn key_of_rank(&self, rank: u16) -> String {
        let Derivation { body, table, scope_dialect, .. } = *self.derivation;
        let has_rank = |key: &[u8]| {
            let row = table.row(key).or_else(|| table.pattern(key, scope_dialect).map(|matched| matched.row));
            row.is_some_and(|row| row.rank == rank & !BEHIND)
        };
        if rank & BEHIND == 0 {
            let mut pairs = attributes(body, self.span.message, SPAN_ATTRIBUTES);
            let pair = pairs.find(|pair| has_rank(pair.key.bytes(body)));
            return pair.map(|pair| pair.key.str(body).into_owned()).unwrap_or_default();
        }
        let is_of_events = rank == u16::MAX;
        let key_in = |event: &Event| {
            let says = table.event(event.name.bytes(body))?;
            if is_of_events {
                return (says == EventSays::FinishReason).then(|| in_event(event, "finish_reason", body));
            }
            let mut pairs = attributes(body, event.message, EVENT_ATTRIBUTES);
            let pair = pairs.find(|pair| says == EventSays::Attributes && has_rank(pair.key.bytes(body)))?;
            Some(in_event(event, &pair.key.str(body), body))
        };
        self.events.iter().find_map(key_in).unwrap_or_default()
    }

    /// The first event that says something.
    fn event_that(&self, says: impl Fn(EventSays) -> bool) -> String {
        let Derivation { body, table, .. } = *self.derivation;
        let found = self.events.iter().find_map(|event| {
            let said = table.event(event.name.bytes(body)).filter(|said| says(*said))?;
            let key = if let EventSays::Chunk(key) = said { key } else { "" };
            Some(in_event(event, key, body))
        });
        found.unwrap_or_default()
    }

    /// What a text stands in.
    fn place(&self, text: Text) -> Option<String> {
        let body = self.derivation.body;
        let is_within = |whole: Text| whole.start() <= text.start() && text.end() <= whole.end();
        let key_in = |message, field| {
            let is_in = |value| matches!(value, Value::String(whole) if is_within(whole));
            let pair = attributes(body, message, field).find(|pair| is_in(pair.value))?;
            Some(pair.key.str(body).into_owned())
        };
        if is_within(self.span.name) {
            return Some(SPAN_NAME.to_owned());
        }
        if let Some(key) = key_in(self.span.message, SPAN_ATTRIBUTES) {
            return Some(key);
        }
        let event = self.events.iter().find(|event| is_within(event.message))?;
        Some(in_event(event, &key_in(event.message, EVENT_ATTRIBUTES).unwrap_or_default(), body))
    }
}

const SPAN_NAME: &str = "span name";
const SCOPE: &str = "scope";

fn in_event(event: &Event, key: &str, body: &[u8]) -> String {
    let name = event.name.str(body);
    if key.is_empty() { format!("event {name}") } else { format!("event {name} {key}") }
}
