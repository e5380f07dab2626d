//! The walk over a request that makes one [`SpanFacts`] of each span.

use otlp::trace::{EVENT_ATTRIBUTES, Event, Scope, Span, SpanVisitor, Visitor, attributes, walk};
use otlp::{Text, Value, WireError};

use crate::dialects::{DialectId, Fact, Plain, Row, Says, Table, Unit};
use crate::error::{self, ErrorFacts};
use crate::facts::{Label, SpanFacts, Status};
use crate::role::Role;
use crate::usage::{self, CacheSemantics, ReasoningSemantics, Usage};
use crate::{coerce, finish, model, operation, provider};

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
        let mut derivation = Derivation {
            body,
            table: self.table,
            // A span of real clients is seldom smaller than this: one allocation, seldom too large.
            facts: Vec::with_capacity((body.len() / 640 + 1).min(MAX_SPANS)),
            resource: Text::default(),
            service: Text::default(),
            scope: Scope::default(),
            scope_dialect: DialectId::NONE,
            found: Found::new(),
        };
        walk(body, &mut derivation)?;
        if derivation.facts.len() > MAX_SPANS {
            return Err(DeriveError::TooManySpans);
        }
        Ok(derivation.facts)
    }
}

/// Spans that one request may hold. A span can be two bytes long and its facts take some hundred, so without a limit a small body
/// could ask for a lot of memory. Real clients send some hundred spans at once, Collectors some thousand; at 1 KiB a span this many
/// are what OTLP's limit of 64 MiB lets through.
pub const MAX_SPANS: usize = 65_536;

/// Why nothing was derived from a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    /// It is not the protobuf that it should be.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// It holds more than [`MAX_SPANS`] spans.
    #[error("request holds more than {MAX_SPANS} spans")]
    TooManySpans,
}

struct Derivation<'a> {
    body: &'a [u8],
    table: &'static Table,
    facts: Vec<SpanFacts>,
    resource: Text,
    service: Text,
    scope: Scope,
    scope_dialect: DialectId,
    found: Found,
}

/// What was found on the span that is being read.
struct Found {
    slots: [Slot; Plain::COUNT],
    /// Which of them are there: they are not cleared between spans.
    present: u64,
    /// What keys tell that mean it in their own dialect only: read when the dialect is known.
    own: Vec<OwnFound>,
    role: Option<RoleFound>,
    dialect: DialectId,
    exception: Option<Exception>,
    /// Time of the first event that says that a stream began to answer.
    first_chunk_event: u64,
}

/// A value and the rank of the key that told it.
#[derive(Clone, Copy)]
struct Slot {
    value: Value,
    rank: u16,
}

#[derive(Clone, Copy)]
struct RoleFound {
    rank: u16,
    value: Text,
    values: &'static [(&'static str, Says)],
    otherwise: Role,
}

#[derive(Clone, Copy)]
struct OwnFound {
    dialect: DialectId,
    plain: Plain,
    rank: u16,
    value: Value,
}

#[derive(Clone, Copy, Default)]
struct Exception {
    kind: Text,
    message: Text,
}

const _: () = assert!(Plain::COUNT <= 64, "one bit for each plain fact");

/// The bits of some plain facts: most spans have none of most groups, and one test passes over them all.
const fn bits(of: &[Plain]) -> u64 {
    let mut mask = 0;
    let mut i = 0;
    while i < of.len() {
        mask |= 1 << of[i] as u32;
        i += 1;
    }
    mask
}

const STREAM: u64 = bits(&[
    Plain::FirstChunkSeconds,
    Plain::FirstChunkMillis,
    Plain::FirstChunkInUnit,
    Plain::FirstChunkAt,
    Plain::Streaming,
]);
const FAILURE: u64 = bits(&[Plain::ErrorType, Plain::Outcome, Plain::Success, Plain::Failed]);
/// Where counts stand that are told otherwise than one by one.
const USAGE_ELSEWHERE: u64 = bits(&[
    Plain::ProviderInputTokens,
    Plain::ReasoningTokensApart,
    Plain::InputDetails,
    Plain::OutputDetails,
    Plain::ProviderMetadata,
    Plain::UsageDetails,
    Plain::UsageObject,
    Plain::InclusiveUsageObject,
]);
const LESS_COMMON_NAMES: u64 =
    bits(&[Plain::ToolName, Plain::WorkflowName, Plain::UserId, Plain::PromptName, Plain::PromptVersion]);

impl Found {
    fn new() -> Self {
        Self {
            slots: [Slot { value: Value::Empty, rank: 0 }; Plain::COUNT],
            present: 0,
            own: Vec::new(),
            role: None,
            dialect: DialectId::NONE,
            exception: None,
            first_chunk_event: 0,
        }
    }

    fn clear(&mut self) {
        self.present = 0;
        self.own.clear();
        self.role = None;
        self.dialect = DialectId::NONE;
        self.exception = None;
        self.first_chunk_event = 0;
    }

    #[inline(always)]
    fn keep(&mut self, plain: Plain, rank: u16, value: Value) {
        let bit = 1 << plain as u32;
        let slot = &mut self.slots[plain as usize];
        if self.present & bit != 0 && slot.rank <= rank {
            return;
        }
        self.present |= bit;
        *slot = Slot { value, rank };
    }

    /// Takes the role that a value tells, if it tells one, and the better key told none.
    #[inline(never)]
    fn keep_role(&mut self, row: &Row, value: Text, body: &[u8]) {
        let Fact::Role { values, otherwise } = row.fact else { return };
        if otherwise.is_none() {
            match values.iter().find(|(name, _)| name.as_bytes() == value.bytes(body)) {
                None => return,
                Some((_, Says::Shared(..))) => {}
                Some(_) => self.dialect = self.dialect.min(row.owner),
            }
        }
        if self.role.is_none_or(|role| row.rank < role.rank) {
            self.role = Some(RoleFound { rank: row.rank, value, values, otherwise: otherwise.unwrap_or(Role::Chain) });
        }
    }

    /// Keeps a key aside until the dialect of the span is known.
    #[cold]
    fn keep_aside(&mut self, row: &Row, plain: Plain, value: Value) {
        if self.own.len() < MAX_OWN {
            self.own.push(OwnFound { dialect: row.owner, plain, rank: row.rank, value });
        }
    }

    /// Takes what the keys of `dialect` alone tell.
    #[cold]
    fn keep_own(&mut self, dialect: DialectId) {
        for i in 0..self.own.len() {
            if let Some(OwnFound { dialect: owner, plain, rank, value }) = self.own.get(i).copied()
                && owner == dialect
            {
                self.keep(plain, rank, value);
            }
        }
    }

    #[inline(always)]
    fn has(&self, plain: Plain) -> bool {
        self.present & (1 << plain as usize) != 0
    }

    #[inline(always)]
    fn has_any(&self, mask: u64) -> bool {
        self.present & mask != 0
    }

    #[inline(always)]
    fn get(&self, plain: Plain) -> Value {
        if self.has(plain) { self.slots[plain as usize].value } else { Value::Empty }
    }
}

/// How many keys that mean something in their own dialect only are kept aside: no dialect has more.
const MAX_OWN: usize = 64;

/// Events that say that the answer to a streamed request has begun.
const FIRST_CHUNK_EVENTS: &[&str] = &[
    "First Token Stream Event",
    "gen_ai.content.completion.chunk",
    "llm.content.completion.chunk",
    "ai.stream.firstChunk",
    "mlflow.chunk.item.0",
];

impl Visitor for Derivation<'_> {
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
        let Some(row) = self.table.row(key) else { return };
        if let Value::String(text) = value
            && text.is_empty()
        {
            return;
        }
        let found = &mut self.found;
        found.dialect = found.dialect.min(row.dialect);
        match row.fact {
            // A key that says "none" must not stand in the way of one that says more.
            Fact::Plain(plain) => found.keep(plain, row.rank, value),
            Fact::Role { .. } => found.keep_role(row, coerce::text(value, self.body), self.body),
            Fact::Own(plain) => found.keep_aside(row, plain, value),
            Fact::Presence => {}
        }
    }

    fn event(&mut self, event: Event) {
        let name = event.name.bytes(self.body);
        if name == b"exception" {
            self.exception(event);
        } else if self.found.first_chunk_event == 0 && FIRST_CHUNK_EVENTS.iter().any(|first| first.as_bytes() == name) {
            self.found.first_chunk_event = event.time;
        }
    }

    fn span(&mut self, span: &Span) {
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
        self.found.clear();
    }
}

impl Derivation<'_> {
    /// What few spans need: takes what was kept aside, or tells that there were too many spans before this one. (One more than
    /// the limit is kept, to tell that it was passed.)
    #[cold]
    fn is_too_many(&mut self) -> bool {
        if self.facts.len() > MAX_SPANS {
            self.found.clear();
            return true;
        }
        self.found.keep_own(self.found.dialect.min(self.scope_dialect));
        false
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
        facts.dialect = self.found.dialect.min(self.scope_dialect);
        if self.found.dialect == DialectId::NONE && !self.is_call_by_name(facts) {
            return;
        }
        facts.request_model = self.name(Plain::RequestModel);
        facts.response_model = self.name(Plain::ResponseModel);
        if facts.response_model.is_empty() && self.found.has(Plain::EitherModel) {
            facts.response_model = self.name(Plain::EitherModel);
        }
        (facts.role, facts.operation) = self.role(facts);
        if facts.role.is_call() && facts.request_model.is_empty() && facts.response_model.is_empty() {
            facts.request_model = self.model_elsewhere(facts);
        }
        facts.provider = self.provider(facts);
        facts.usage = self.usage(facts);
        facts.usage.keep_within_whole();
        facts.error = self.error(span, facts);
        if facts.error.is_some() {
            self.nothing_answered(facts);
        }
        self.stream(facts);
        self.names(facts);
    }

    /// The role and the operation; the rules of reference/counting.md section 1, first hit wins.
    fn role(&self, facts: &SpanFacts) -> (Role, Label) {
        let has_model = !(facts.request_model.is_empty() && facts.response_model.is_empty());
        let dialect = facts.dialect.dialect();
        if dialect.is_server {
            return (Role::Server, Label::None);
        }
        if let Some(found) = self.found.role {
            let value = found.value.bytes(self.body);
            let says = found.values.iter().find(|(name, _)| name.as_bytes() == value).map(|(_, says)| *says);
            let role = match says {
                Some(Says::Operation(name, role) | Says::Shared(name, role)) => return (role, Label::Known(name)),
                Some(Says::Is(role)) => role,
                Some(Says::CallIfModel) if has_model => Role::Llm,
                Some(Says::CallIfModel) => Role::Chain,
                None => found.otherwise,
            };
            return (role, operation::of_role(role));
        }
        if dialect.call_needs_model && facts.request_model.is_empty() {
            return (Role::RawResponse, Label::None);
        }
        if self.found.has(Plain::Operation) {
            let (label, role) = operation::canonical(self.text(Plain::Operation), self.body);
            return (role, label);
        }
        if self.found.has(Plain::RequestType) {
            let (label, role) = operation::canonical(self.text(Plain::RequestType), self.body);
            if role.is_call() {
                return (role, label);
            }
        }
        if self.found.has(Plain::ToolName) || self.found.has(Plain::ToolCallId) {
            return (Role::Tool, operation::of_role(Role::Tool));
        }
        if dialect.is_named_by_call {
            let (label, role) = operation::of_name(facts.name, self.body);
            if role != Role::Unrecognised {
                return (role, label);
            }
        }
        let has_usage_object = self.found.has(Plain::UsageObject);
        let names_model = has_model || (has_usage_object && self.found.has(Plain::ModelInJson));
        let has_usage = has_usage_object || self.found.has(Plain::InputTokens) || self.found.has(Plain::OutputTokens);
        if names_model && (self.found.has(Plain::Provider) || has_usage) {
            return (Role::Llm, operation::of_role(Role::Llm));
        }
        (Role::Unrecognised, Label::None)
    }

    /// Whether a span that shows no sign of GenAI is called as its dialect calls calls. (OpenLIT's failed Anthropic calls
    /// have no attributes at all.)
    fn is_call_by_name(&self, facts: &SpanFacts) -> bool {
        facts.dialect.dialect().is_named_by_call && operation::of_name(facts.name, self.body).1.is_call()
    }

    /// The model of a call that names none where models are named.
    #[cold]
    fn model_elsewhere(&self, facts: &SpanFacts) -> Text {
        let action = self.text(Plain::NameOfAction);
        if !action.is_empty() {
            return action;
        }
        let inside = model::in_json(self.text(Plain::ModelInJson), self.body);
        if inside.is_empty() && facts.dialect.dialect().is_named_by_call {
            return model::in_name(facts.name, self.body);
        }
        inside
    }

    fn provider(&self, facts: &SpanFacts) -> Label {
        let told = provider::canonical(self.text(Plain::Provider), self.body);
        if !told.is_none() {
            return told;
        }
        let model = if facts.request_model.is_empty() { facts.response_model } else { facts.request_model };
        provider::of_model(model.bytes(self.body))
    }

    /// Canonical tokens: what stands in the place that the dialect means first, completed by the others.
    fn usage(&self, facts: &SpanFacts) -> Usage {
        let mut counts = Usage {
            input: self.count(Plain::InputTokens),
            cache_read: self.count(Plain::CacheReadTokens),
            cache_write: self.count(Plain::CacheWriteTokens),
            output: self.count(Plain::OutputTokens),
            cache_write_1h: None,
            reasoning: self.count(Plain::ReasoningTokens),
        };
        if self.found.has_any(USAGE_ELSEWHERE) {
            return self.usage_elsewhere(counts, facts);
        }
        self.make_canonical(&mut counts, facts);
        counts
    }

    /// `counts`, with what else the span tells of usage.
    #[inline(never)]
    fn usage_elsewhere(&self, mut counts: Usage, facts: &SpanFacts) -> Usage {
        for (plain, is_input) in [(Plain::InputDetails, true), (Plain::OutputDetails, false)] {
            if let Some(parts) = usage::parse_details(self.text(plain), self.body) {
                let Usage { cache_read, cache_write, reasoning, .. } = parts.usage(true);
                counts.fill(&if is_input {
                    Usage { cache_read, cache_write, ..Usage::default() }
                } else {
                    Usage { reasoning, ..Usage::default() }
                });
            }
        }
        if let Some(apart) = self.count(Plain::ReasoningTokensApart)
            && counts.reasoning.is_none()
        {
            counts.reasoning = Some(apart);
            counts.include_reasoning(ReasoningSemantics::Excluded);
        }
        if counts.input.is_none() && counts.output.is_none() {
            counts.input = self.count(Plain::ProviderInputTokens);
            counts.output = self.count(Plain::ProviderOutputTokens);
            if counts.input.is_some() {
                counts.include_cache(CacheSemantics::ExcludedByAnthropic, || self.is_anthropic(facts), || None);
            }
        }
        if let Some(object) = usage::parse_by_provider(self.text(Plain::ProviderMetadata), self.body) {
            let Usage { cache_read, cache_write, reasoning, .. } = object.usage(true);
            counts.fill(&Usage { cache_read, cache_write, reasoning, ..Usage::default() });
        }
        self.make_canonical(&mut counts, facts);
        if let Some(object) = usage::parse_object(self.text(Plain::UsageDetails), self.body) {
            let details = object.usage(false);
            // The wire object of the same answer, with more cache in it than a library put into its counts.
            if details.output == counts.output && details.input > counts.input {
                counts.input = details.input;
            }
            counts.fill(&details);
        }
        for (plain, trust_inclusive) in [(Plain::UsageObject, false), (Plain::InclusiveUsageObject, true)] {
            if let Some(object) = usage::parse_object(self.text(plain), self.body) {
                let mut stated = object.usage(trust_inclusive);
                stated.fill(&counts);
                counts = stated;
            }
        }
        counts
    }

    fn make_canonical(&self, counts: &mut Usage, facts: &SpanFacts) {
        let dialect = facts.dialect.dialect();
        let semantics =
            if self.found.has(Plain::UncachedInputTokens) { CacheSemantics::Included } else { dialect.cache };
        counts.include_cache(semantics, || self.is_anthropic(facts), || self.count(Plain::TotalTokens));
        counts.include_reasoning(dialect.reasoning);
    }

    fn is_anthropic(&self, facts: &SpanFacts) -> bool {
        facts.provider == Label::Known("anthropic") || facts.request_model.bytes(self.body).starts_with(b"claude")
    }

    /// The failure that the span shows (reference/counting.md section 4).
    fn error(&self, span: &Span, facts: &SpanFacts) -> Option<ErrorFacts> {
        let body = self.body;
        let is_error = Status::from(span.status_code) == Status::Error;
        if !is_error && self.found.exception.is_none() && !self.found.has_any(FAILURE) {
            return None;
        }
        let kind = self.text(Plain::ErrorType);
        let is_flagged = is_error
            || !kind.is_empty()
            || error::is_failed(self.text(Plain::Outcome).bytes(body))
            || (self.found.has(Plain::Success) && coerce::flag(self.found.get(Plain::Success), body) == Some(false))
            || (self.found.has(Plain::Failed) && coerce::flag(self.found.get(Plain::Failed), body) == Some(true));
        let exception = self.found.exception.unwrap_or_default();
        if !is_flagged {
            self.found.exception?;
            let is_harmless = facts.usage.is_reported()
                || error::is_stream_closed(exception.kind.bytes(body), exception.message.bytes(body));
            if is_harmless {
                return None;
            }
        }
        let kind = if kind.is_empty() { exception.kind } else { kind };
        let messages = [span.status_message, exception.message, self.text(Plain::ErrorMessage)];
        let message = messages.into_iter().find(|message| !message.is_empty()).unwrap_or_default();
        let http_status = coerce::number(self.found.get(Plain::HttpStatus), body).map(|status| status as u16);
        Some(ErrorFacts { class: error::classify(kind.bytes(body), http_status, message.bytes(body)), kind, message })
    }

    /// A model of which is not told whether it was asked for or answered was asked for, if nothing answered.
    #[cold]
    fn nothing_answered(&self, facts: &mut SpanFacts) {
        let is_told_apart = self.found.has(Plain::ResponseModel) || !facts.request_model.is_empty();
        if !is_told_apart && !facts.usage.is_reported() {
            facts.request_model = std::mem::take(&mut facts.response_model);
        }
    }

    /// Whether the answer was streamed, and when it began.
    fn stream(&self, facts: &mut SpanFacts) {
        if !self.found.has_any(STREAM) && self.found.first_chunk_event == 0 {
            return;
        }
        let body = self.body;
        let number = |plain| coerce::number(self.found.get(plain), body);
        let seconds = number(Plain::FirstChunkSeconds)
            .or_else(|| number(Plain::FirstChunkMillis).map(|millis| millis / 1e3))
            .or_else(|| {
                number(Plain::FirstChunkInUnit).map(|number| match facts.dialect.dialect().first_chunk_unit {
                    Unit::Seconds => number,
                    Unit::Milliseconds => number / 1e3,
                })
            });
        let absolute = self.text(Plain::FirstChunkAt);
        let first_chunk = match seconds {
            Some(seconds) if seconds >= 0.0 => Some((seconds * 1e9) as u64),
            Some(_) => None,
            None if !absolute.is_empty() => unix_nanos(absolute.bytes(body)).and_then(|at| at.checked_sub(facts.start)),
            None if self.found.first_chunk_event > 0 => self.found.first_chunk_event.checked_sub(facts.start),
            None => None,
        };
        // Nothing begins to answer after it has ended: a wrong unit or a clock that is off.
        facts.time_to_first_chunk =
            first_chunk.filter(|nanos| facts.duration().is_some_and(|duration| *nanos <= duration));
        facts.streaming = coerce::flag(self.found.get(Plain::Streaming), body);
        match facts.streaming {
            // OpenLIT writes the time of the whole answer.
            Some(false) => facts.time_to_first_chunk = None,
            None if first_chunk.is_some() => facts.streaming = Some(true),
            _ => {}
        }
    }

    fn names(&self, facts: &mut SpanFacts) {
        facts.finish_reason = finish::reason(self.found.get(Plain::FinishReason), self.body);
        facts.response_id = self.text(Plain::ResponseId);
        facts.agent_name = self.text(Plain::AgentName);
        facts.conversation_id = self.text(Plain::ConversationId);
        facts.server_address = self.text(Plain::ServerAddress);
        if self.found.has_any(LESS_COMMON_NAMES) {
            facts.tool_name = self.text(Plain::ToolName);
            facts.workflow_name = self.text(Plain::WorkflowName);
            facts.user_id = self.text(Plain::UserId);
            facts.prompt_name = self.text(Plain::PromptName);
            facts.prompt_version = self.text(Plain::PromptVersion);
        }
        if facts.role == Role::Tool && facts.tool_name.is_empty() {
            let action = self.text(Plain::NameOfAction);
            facts.tool_name = if action.is_empty() { facts.name } else { action };
        }
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

    #[inline]
    fn count(&self, plain: Plain) -> Option<u32> {
        match coerce::count(self.found.get(plain), self.body) {
            coerce::Count::Tokens(tokens) => Some(tokens),
            coerce::Count::Absent | coerce::Count::Invalid => None,
        }
    }
}

/// An id of exactly `N` bytes; zero if it has another length.
#[inline(always)]
fn id<const N: usize>(text: Text, body: &[u8]) -> [u8; N] {
    text.bytes(body).try_into().unwrap_or([0; N])
}

/// An RFC 3339 time in nanoseconds since the Unix epoch.
fn unix_nanos(text: &[u8]) -> Option<u64> {
    let time: jiff::Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok()
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
