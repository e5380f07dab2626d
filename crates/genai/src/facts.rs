//! What one span says, in canonical form.

use std::borrow::Cow;
use std::num::NonZeroU64;

use nonmax::NonMaxU64;
use otlp::Text;

use crate::dialects::DialectId;
use crate::error::ErrorFacts;
use crate::money::Money;
use crate::role::Role;
use crate::usage::{CompactUsage, Inconsistency, Usage};

/// A name that is either one of the tables' canonical values or a text of the body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Label {
    /// Not told.
    #[default]
    None,
    /// A canonical value, by where it stands in the tables: half as wide as the text itself, and there are four in the facts of every span.
    Known(&'static &'static str),
    /// As the client wrote it.
    Raw(Text),
}

impl Label {
    /// Its bytes; empty if it was not told.
    #[inline]
    pub fn bytes(self, body: &[u8]) -> &[u8] {
        match self {
            Self::None => &[],
            Self::Known(name) => name.as_bytes(),
            Self::Raw(text) => text.bytes(body),
        }
    }

    /// Its text; empty if it was not told.
    pub fn str(self, body: &[u8]) -> Cow<'_, str> {
        match self {
            Self::None => Cow::Borrowed(""),
            Self::Known(name) => Cow::Borrowed(name),
            Self::Raw(text) => text.str(body),
        }
    }

    /// Whether it was not told.
    pub const fn is_none(self) -> bool {
        matches!(self, Self::None)
    }
}

/// `SpanKind` of OTLP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SpanKind {
    /// 0, or a number that OTLP does not name.
    #[default]
    Unspecified,
    /// 1.
    Internal,
    /// 2.
    Server,
    /// 3.
    Client,
    /// 4.
    Producer,
    /// 5.
    Consumer,
}

impl From<i32> for SpanKind {
    fn from(number: i32) -> Self {
        match number {
            1 => Self::Internal,
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Unspecified,
        }
    }
}

impl SpanKind {
    /// Its name in upper case, as OTLP spells it without prefix.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "UNSPECIFIED",
            Self::Internal => "INTERNAL",
            Self::Server => "SERVER",
            Self::Client => "CLIENT",
            Self::Producer => "PRODUCER",
            Self::Consumer => "CONSUMER",
        }
    }
}

/// `Status.code` of OTLP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Status {
    /// 0, or a number that OTLP does not name.
    #[default]
    Unset,
    /// 1.
    Ok,
    /// 2.
    Error,
}

impl From<i32> for Status {
    fn from(number: i32) -> Self {
        match number {
            1 => Self::Ok,
            2 => Self::Error,
            _ => Self::Unset,
        }
    }
}

impl Status {
    /// Its name in upper case, as OTLP spells it without prefix.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unset => "UNSET",
            Self::Ok => "OK",
            Self::Error => "ERROR",
        }
    }
}

/// One of two spans that report a call together: what a stream used stands on a second span (Logfire).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitReport {
    /// Which of the two it is.
    pub part: ReportPart,
    /// Hash of what both say of the request: equal on the two spans of a call, and on others that ask the same.
    pub request: u64,
    /// Duration of the stream in nanoseconds, told by the second span: it began at `start - duration`.
    pub stream_duration: Option<u64>,
}

/// Which of two spans that report a call together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportPart {
    /// The span of the request; it ends when the stream begins.
    Request,
    /// The span without extent that is written when the stream has ended.
    StreamEnd,
}

/// What one span says. Texts are ranges of the request body, so facts have no lifetime and travel beside it.
///
/// Handlers write them and the applier reads them, so each line of the processor's cache that they take is one that travels: what is seldom
/// told is kept as small as it can be, and read through a method.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SpanFacts {
    /// The `Resource` message of the span.
    pub resource: Text,
    /// `service.name` of the resource.
    pub service: Text,
    /// The `InstrumentationScope` message of the span.
    pub scope: Text,
    /// Name of the scope.
    pub scope_name: Text,
    /// Version of the scope.
    pub scope_version: Text,
    /// The `Span` message.
    pub span: Text,
    /// Span name.
    pub name: Text,
    /// Trace id; zero if it is not 16 bytes long.
    pub trace_id: [u8; 16],
    /// Span id; zero if it is not 8 bytes long.
    pub span_id: [u8; 8],
    /// Parent span id; zero for a root span.
    pub parent_span_id: [u8; 8],
    /// Start, nanoseconds since the Unix epoch.
    pub start: u64,
    /// End, nanoseconds since the Unix epoch.
    pub end: u64,
    /// Span kind.
    pub kind: SpanKind,
    /// Span status.
    pub status: Status,

    /// The dialect that the span speaks.
    pub dialect: DialectId,
    /// What the span describes.
    pub role: Role,
    /// Operation, e.g. `chat`; canonical where known.
    pub operation: Label,
    /// Provider, e.g. `openai`; canonical where known.
    pub provider: Label,
    /// The model that was asked for.
    pub request_model: Text,
    /// The model that answered.
    pub response_model: Text,
    /// Whether `response_model` stands where the model that was asked for may stand as well: one that is told apart goes before it.
    pub response_model_is_weak: bool,
    /// Tokens: see [`SpanFacts::usage`].
    pub compact_usage: CompactUsage,
    /// What is wrong with the usage as it was reported.
    pub inconsistency: Option<Inconsistency>,
    /// Whether usage on a span that is no call goes on from earlier ones, so that it can't stand for the calls below it.
    pub usage_is_running_total: bool,
    /// What the instrumentation says the call cost: see [`SpanFacts::supplied_cost`].
    pub supplied_pico_dollars: Option<NonZeroU64>,
    /// The service tier of the call, e.g. `batch`, on which its price depends; canonical where known.
    pub service_tier: Label,
    /// Whether the span reports its call together with another one.
    pub split: Option<SplitReport>,
    /// Time to the first chunk or token in nanoseconds, of streams only: see [`SpanFacts::time_to_first_chunk`].
    pub nanos_to_first_chunk: Option<NonMaxU64>,
    /// Whether the answer was streamed, where told.
    pub streaming: Option<bool>,
    /// Why generation ended (first choice), normalised where known.
    pub finish_reason: Label,
    /// The failure, if the span shows one.
    pub error: Option<ErrorFacts>,
    /// The provider's id of the answer.
    pub response_id: Text,
    /// Agent name.
    pub agent_name: Text,
    /// Tool name.
    pub tool_name: Text,
    /// Workflow name.
    pub workflow_name: Text,
    /// Conversation or session.
    pub conversation_id: Text,
    /// The application's user.
    pub user_id: Text,
    /// Name of the prompt template.
    pub prompt_name: Text,
    /// Version of the prompt template.
    pub prompt_version: Text,
    /// Address of the server that was called.
    pub server_address: Text,

    /// Number of the span's series, if a handler found it in the index; never influences a result.
    pub series: Option<u32>,
}

const DAY: u64 = 24 * 60 * 60 * 1_000_000_000;

/// The duration of a span in nanoseconds; `None` if it ends before it starts, says not when, or claims to have taken longer than
/// a day: one clock that is off would spoil sum and maximum for good.
pub fn duration_of(start: u64, end: u64) -> Option<u64> {
    if start == 0 || end == 0 {
        return None;
    }
    end.checked_sub(start).filter(|duration| *duration <= DAY)
}

/// When a span ended, nanoseconds since the Unix epoch; when it was received, if it says nothing that can be.
pub fn time_of(end: u64, receive_time: u64) -> u64 {
    if end == 0 || end > receive_time.saturating_add(DAY) { receive_time } else { end }
}

/// When a call was made that started then, nanoseconds since the Unix epoch: prices change with time.
pub fn called_at(start: u64, receive_time: u64) -> u64 {
    if start == 0 { receive_time } else { time_of(start, receive_time) }
}

impl SpanFacts {
    /// See [`duration_of`].
    pub fn duration(&self) -> Option<u64> {
        duration_of(self.start, self.end)
    }

    /// See [`time_of`].
    pub fn time(&self, receive_time: u64) -> u64 {
        time_of(self.end, receive_time)
    }

    /// Tokens.
    #[inline]
    pub fn usage(&self) -> Usage {
        self.compact_usage.get()
    }

    /// What the instrumentation says the call cost.
    pub fn supplied_cost(&self) -> Option<Money> {
        self.supplied_pico_dollars.map(|pico| Money::from_pico(pico.get().into()))
    }

    /// Time to the first chunk or token in nanoseconds, of streams only.
    pub fn time_to_first_chunk(&self) -> Option<u64> {
        self.nanos_to_first_chunk.map(|nanos| nanos.get())
    }

    /// Whether the ids are such as a span must have: neither all zero.
    pub fn has_valid_ids(&self) -> bool {
        self.trace_id != [0; 16] && self.span_id != [0; 8]
    }

    /// The model that a call is counted under: the response model, else the request model, else `unknown`.
    pub fn model<'a>(&self, body: &'a [u8]) -> &'a [u8] {
        let told = if self.response_model.is_empty() { self.request_model } else { self.response_model };
        if told.is_empty() { b"unknown" } else { told.bytes(body) }
    }
}

/// Fewer than six lines of the processor's cache.
const _: () = assert!(size_of::<SpanFacts>() <= 368);
