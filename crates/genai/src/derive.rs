//! The walk over a request that makes one [`SpanFacts`] of each span, and [`Evaluation`]s of what is said of spans.

mod answer;
mod evaluation;
mod explain;
mod failure;
mod found;
mod logs;
mod names;
mod role;
mod split;
mod stream;
mod usage;

use otlp::trace::{EVENT_ATTRIBUTES, Event, Scope, Span, SpanVisitor, Visitor, attributes, walk};
use otlp::{Text, Value, WireError};

pub use self::explain::Source;
use self::found::{Exception, Found};
use self::logs::LogDerivation;
use crate::coerce;
use crate::dialects::{Dialect, DialectId, EventSays, Fact, PatternMatch, Plain, Row, Table};
use crate::evaluation::Evaluation;
use crate::facts::SpanFacts;

/// Derives the facts of requests. It has no state beyond the table: one serves any number of threads.
#[derive(Debug, Clone, Copy)]
pub struct Deriver {
    table: &'static Table,
}

impl Default for Deriver {
    fn default() -> Self {
        Self { table: Table::get() }
    }
}

impl Deriver {
    /// The facts of the spans of an `ExportTraceServiceRequest`, in their order.
    ///
    /// # Errors
    /// The body is malformed protobuf, or holds more than [`MAX_SPANS`] spans. Nothing is derived then.
    pub fn derive(&self, body: &[u8]) -> Result<Vec<SpanFacts>, DeriveError> {
        Ok(self.derive_traces(body)?.spans)
    }

    /// All that an `ExportTraceServiceRequest` tells.
    ///
    /// # Errors
    /// As [`Self::derive`], or more than [`MAX_EVALUATIONS`] evaluations.
    pub fn derive_traces(&self, body: &[u8]) -> Result<Derived, DeriveError> {
        self.derive_traces_with(body, |_| {})
    }

    /// The same; `each` gets the facts of every span while its bytes are still at hand. Should the request be read twice (see
    /// [`Visitor::again`]), it gets them twice, and the later ones are those that hold.
    ///
    /// # Errors
    /// As [`Self::derive_traces`].
    pub fn derive_traces_with(&self, body: &[u8], each: impl FnMut(&mut SpanFacts)) -> Result<Derived, DeriveError> {
        let mut derivation = EachDerivation { derivation: Derivation::new(self.table, body), each };
        walk(body, &mut derivation)?;
        derivation.derivation.finish()
    }

    /// The evaluations in an `ExportLogsServiceRequest`; log records tell nothing else.
    ///
    /// # Errors
    /// The body is malformed protobuf, or holds more than [`MAX_EVALUATIONS`] evaluations.
    pub fn derive_logs(&self, body: &[u8]) -> Result<Vec<Evaluation>, DeriveError> {
        let mut derivation = LogDerivation::new(body, self.table);
        otlp::logs::walk(body, &mut derivation)?;
        within_limit(derivation.evaluations)
    }
}

/// What a trace request tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Derived {
    /// The facts of its spans, in their order.
    pub spans: Vec<SpanFacts>,
    /// The evaluations on its spans, in the order of the spans. Few requests have any.
    pub evaluations: Vec<Evaluation>,
}

/// Behind every rank of an attribute of the span: what the attributes of its events tell.
const BEHIND: u16 = 1 << 15;
/// What the keys of the conventions begin with, those that the table does not know included.
const GENAI: &[u8] = b"gen_ai.";
/// ... but for those of what was evaluated, which may be any span.
const EVALUATION: &[u8] = b"gen_ai.evaluation.";

/// Spans that one request may hold. A span can be two bytes long and its facts take some hundred, so without a limit a small body
/// could ask for a lot of memory. Real clients send some hundred spans at once, Collectors some thousand; at 1 KiB a span this many
/// are what OTLP's limit of 64 MiB lets through.
pub const MAX_SPANS: usize = 65_536;

/// Evaluations that one request may hold, for the same reason.
pub const MAX_EVALUATIONS: usize = 65_536;

fn within_limit(evaluations: Vec<Evaluation>) -> Result<Vec<Evaluation>, DeriveError> {
    if evaluations.len() > MAX_EVALUATIONS { Err(DeriveError::TooManyEvaluations) } else { Ok(evaluations) }
}

/// Why nothing was derived from a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    /// It is not the protobuf that it should be.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// It holds more than [`MAX_SPANS`] spans.
    #[error("request holds more than {MAX_SPANS} spans")]
    TooManySpans,
    /// It holds more than [`MAX_EVALUATIONS`] evaluations.
    #[error("request holds more than {MAX_EVALUATIONS} evaluations")]
    TooManyEvaluations,
}

struct Derivation<'a> {
    body: &'a [u8],
    table: &'static Table,
    facts: Vec<SpanFacts>,
    evaluations: Vec<Evaluation>,
    resource: Text,
    service: Text,
    scope: Scope,
    scope_dialect: DialectId,
    found: Found,
}

/// A derivation that shows what it makes of each span.
struct EachDerivation<'a, E> {
    derivation: Derivation<'a>,
    each: E,
}

impl<E: FnMut(&mut SpanFacts)> Visitor for EachDerivation<'_, E> {
    fn again(&mut self) {
        self.derivation.again();
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

impl<E: FnMut(&mut SpanFacts)> SpanVisitor for EachDerivation<'_, E> {
    #[inline(always)]
    fn attribute(&mut self, key: &[u8], value: Value) {
        self.derivation.attribute(key, value);
    }

    fn event(&mut self, event: Event) {
        self.derivation.event(event);
    }

    fn span(&mut self, span: &Span) {
        let known = self.derivation.facts.len();
        self.derivation.span(span);
        self.derivation.facts.iter_mut().skip(known).for_each(&mut self.each);
    }
}

impl Visitor for Derivation<'_> {
    fn again(&mut self) {
        self.facts.clear();
        self.evaluations.clear();
    }

    fn resource(&mut self, message: Text) {
        self.resource = message;
        self.service = Text::default();
    }

    fn resource_attribute(&mut self, key: &[u8], value: Value) {
        if let Value::String(text) = value
            && key == b"service.name"
        {
            self.service = text;
        }
    }

    fn scope(&mut self, scope: Scope) {
        self.scope = scope;
        self.scope_dialect = self.table.of_scope(scope.name.bytes(self.body));
    }
}

impl SpanVisitor for Derivation<'_> {
    #[inline(always)]
    fn attribute(&mut self, key: &[u8], value: Value) {
        let Some(row) = self.table.row(key) else {
            if key.starts_with(GENAI) && !key.starts_with(EVALUATION) {
                // Nobody knows yet what it says, but the span is one to be told of.
                self.found.dialect = self.found.dialect.min(DialectId::ANY);
            }
            if self.table.may_match(key) {
                self.pattern(key, value);
            }
            return;
        };
        if let Value::String(text) = value
            && text.is_empty()
        {
            return;
        }
        let found = &mut self.found;
        found.dialect = found.dialect.min(row.dialect);
        match row.fact {
            Fact::Plain(plain) => found.keep(plain, row.rank, value, self.body),
            _ => self.keep_other(row, value),
        }
    }

    fn event(&mut self, event: Event) {
        let Some(says) = self.table.event(event.name.bytes(self.body)) else { return };
        match says {
            EventSays::Exception => self.exception(event),
            EventSays::FirstChunk => self.first_chunk(event),
            EventSays::Chunk(key) => {
                self.first_chunk(event);
                self.found.keep_chunk(event, key);
            }
            EventSays::Evaluation => self.keep_evaluation_event(event),
            EventSays::FinishReason | EventSays::Attributes => self.attributes_of(event, says),
        }
    }

    fn span(&mut self, span: &Span) {
        self.judge(span);
        self.found.clear();
    }
}

impl<'a> Derivation<'a> {
    fn new(table: &'static Table, body: &'a [u8]) -> Self {
        Self {
            body,
            table,
            // A span of real clients is seldom smaller than this: one allocation, seldom too large.
            facts: Vec::with_capacity((body.len() / 640 + 1).min(MAX_SPANS)),
            evaluations: Vec::new(),
            resource: Text::default(),
            service: Text::default(),
            scope: Scope::default(),
            scope_dialect: DialectId::NONE,
            found: Found::new(),
        }
    }

    fn finish(self) -> Result<Derived, DeriveError> {
        if self.facts.len() > MAX_SPANS {
            return Err(DeriveError::TooManySpans);
        }
        Ok(Derived { spans: self.facts, evaluations: within_limit(self.evaluations)? })
    }

    /// Adds the facts of a span, of which everything was found.
    #[inline(always)]
    fn judge(&mut self, span: &Span) {
        if (self.facts.len() > MAX_SPANS || !self.found.own.is_empty()) && self.is_too_many() {
            return;
        }
        // Facts are large: they are filled where they stay.
        let mut facts = std::mem::take(&mut self.facts);
        facts.push(SpanFacts::default());
        if let Some(last) = facts.last_mut() {
            self.fill(last, span);
        }
        self.facts = facts;
        if !self.found.evaluations.is_empty() {
            self.evaluations_of(span);
        }
    }

    /// What few spans need: takes what was kept aside, or tells that there were too many spans before this one. (One more than
    /// the limit is kept, to tell that it was passed.)
    #[cold]
    fn is_too_many(&mut self) -> bool {
        if self.facts.len() > MAX_SPANS {
            return true;
        }
        self.found.keep_own(self.dialect(), self.body);
        false
    }

    /// Takes a key that is known by what it begins and ends with, if it means that here.
    #[cold]
    fn pattern(&mut self, key: &[u8], value: Value) {
        let Some(PatternMatch { before, between, row }) = self.table.pattern(key, self.scope_dialect) else { return };
        if matches!(value, Value::String(text) if text.is_empty()) {
            return;
        }
        match row.fact {
            Fact::Own(plain) => {
                self.found.dialect = self.found.dialect.min(DialectId::ANY);
                self.found.keep(plain, row.rank, value, self.body);
            }
            Fact::Evaluation(part) => {
                if let Some(number) = std::str::from_utf8(between).ok().and_then(|number| number.parse().ok()) {
                    self.keep_evaluation(before, number, part, value);
                }
            }
            Fact::Presence | Fact::Role { .. } | Fact::Plain(_) => {}
        }
    }

    /// Takes what a key tells that is no plain fact.
    #[inline(never)]
    fn keep_other(&mut self, row: &Row, value: Value) {
        match row.fact {
            Fact::Plain(_) | Fact::Presence => {}
            // A key that says "none" must not stand in the way of one that says more.
            Fact::Role { .. } => self.found.keep_role(row, coerce::text(value, self.body), self.body),
            Fact::Own(plain) => self.found.keep_aside(row, plain, value),
            Fact::Evaluation(part) => self.keep_evaluation("", 0, part, value),
        }
    }

    fn first_chunk(&mut self, event: Event) {
        if self.found.first_chunk_event == 0 {
            self.found.first_chunk_event = event.time;
        }
    }

    #[cold]
    fn exception(&mut self, event: Event) {
        let mut exception = Exception::default();
        for attribute in attributes(self.body, event.message, EVENT_ATTRIBUTES) {
            match attribute.key.bytes(self.body) {
                b"exception.type" => exception.kind = coerce::text(attribute.value, self.body),
                b"exception.message" => exception.message = coerce::text(attribute.value, self.body),
                _ => {}
            }
        }
        self.found.exception = Some(exception);
    }

    /// Takes what the attributes of an event tell and no attribute of the span does.
    #[cold]
    fn attributes_of(&mut self, event: Event, says: EventSays) {
        for attribute in attributes(self.body, event.message, EVENT_ATTRIBUTES) {
            let key = attribute.key.bytes(self.body);
            if says == EventSays::FinishReason {
                if key == b"finish_reason" {
                    self.found.keep(Plain::FinishReason, u16::MAX, attribute.value, self.body);
                }
            } else if let Some(row) = self.table.row(key)
                && let Fact::Plain(plain) = row.fact
            {
                self.found.keep(plain, row.rank | BEHIND, attribute.value, self.body);
            }
        }
    }

    fn fill(&self, facts: &mut SpanFacts, span: &Span) {
        let body = self.body;
        facts.resource = self.resource;
        facts.service = self.service;
        facts.scope = self.scope.message;
        facts.scope_name = self.scope.name;
        facts.scope_version = self.scope.version;
        facts.span = span.message;
        facts.name = span.name;
        facts.trace_id = id(span.trace_id, body);
        facts.span_id = id(span.span_id, body);
        facts.parent_span_id = id(span.parent_span_id, body);
        facts.start = span.start;
        facts.end = span.end;
        facts.kind = span.kind.into();
        facts.status = span.status_code.into();
        facts.dialect = self.dialect();
        if self.found.dialect == DialectId::NONE && !self.is_known_by_name(facts) {
            return;
        }
        self.models(facts);
        (facts.role, facts.operation) = self.role(facts);
        if facts.role.is_call() && facts.request_model.is_empty() {
            facts.request_model = self.request_model_elsewhere(facts);
        }
        facts.provider = self.provider(facts);
        let mut usage = self.usage(facts);
        self.names(facts);
        if self.found.has(Plain::Answer) || !self.found.chunks.is_empty() {
            self.complete_from_answer(facts, &mut usage);
        }
        usage.keep_within_whole(&mut facts.inconsistency);
        facts.compact_usage = usage.into();
        facts.error = self.failure(span, facts);
        if facts.error.is_some() {
            self.nothing_answered(facts);
        }
        self.stream(facts);
        if self.found.has(Plain::RequestData) {
            self.split(facts);
        }
    }

    /// The dialect that the span speaks.
    #[inline]
    fn dialect(&self) -> DialectId {
        let signalled = self.found.dialect.min(self.scope_dialect);
        if signalled < DialectId::LEGACY || self.found.dialect == DialectId::NONE {
            return signalled;
        }
        if let Some(posing) = self.table.of_provider(self.told_provider().bytes(self.body)) {
            return posing;
        }
        // Who writes the current name of the provider writes the current conventions, and the older key for older readers.
        if self.found.has(Plain::Provider) { DialectId::ANY } else { signalled }
    }

    fn told_provider(&self) -> Text {
        let current = self.text(Plain::Provider);
        if current.is_empty() { self.text(Plain::ProviderElsewhere) } else { current }
    }

    /// The dialect that says how the span means its counts and times: that of the library which made it, if its scope is known, and
    /// not that of an exporter which added its own keys.
    #[inline]
    fn meaning(&self, facts: &SpanFacts) -> &'static Dialect {
        let known = if self.scope_dialect == DialectId::NONE { facts.dialect } else { self.scope_dialect };
        known.dialect()
    }

    #[inline]
    fn text(&self, plain: Plain) -> Text {
        coerce::text(self.found.get(plain), self.body)
    }

    /// A name; empty if it is one of the ways to name nothing.
    #[inline]
    fn name(&self, plain: Plain) -> Text {
        if !self.found.has(plain) {
            return Text::default();
        }
        coerce::name(self.found.get(plain), self.body)
    }
}

/// An id of exactly `N` bytes; zero if it has another length.
#[inline(always)]
fn id<const N: usize>(text: Text, body: &[u8]) -> [u8; N] {
    text.bytes(body).try_into().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request of one resource and one scope with so many empty spans.
    fn empty_spans(number: usize) -> Vec<u8> {
        fn field(key: u8, content: &[u8]) -> Vec<u8> {
            let mut field = vec![key];
            let mut length = content.len();
            while length >= 0x80 {
                field.push(length as u8 | 0x80);
                length >>= 7;
            }
            field.push(length as u8);
            field.extend_from_slice(content);
            field
        }
        let spans = [0x12, 0].repeat(number);
        field(0x0a, &field(0x12, &spans))
    }

    // A small body cannot ask for memory without limit, and the limit itself is allowed.
    #[test]
    fn spans_are_limited() {
        let deriver = Deriver::default();
        assert_eq!(deriver.derive(&empty_spans(MAX_SPANS)).map(|facts| facts.len()), Ok(MAX_SPANS));
        assert_eq!(deriver.derive(&empty_spans(MAX_SPANS + 1)), Err(DeriveError::TooManySpans));
    }
}
