//! The facts that are explained, and what can tell each of them.

use otlp::Text;

use self::Evidence::{Chunks, Exception, FirstChunk, Plain as P, Scope, SpanName, Status, StatusMessage};
use crate::dialects::Plain::{self, *};
use crate::error::ErrorClass;
use crate::facts::{Label, ReportPart, SpanFacts};
use crate::money::Money;
use crate::role::Role;
use crate::usage::Inconsistency;

/// Something that a span shows and that can be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// What the first key tells that tells this.
    Plain(Plain),
    /// The value of the key that tells the role.
    Role,
    /// Events with parts of the answer.
    Chunks,
    /// The event of a failure.
    Exception,
    /// The first event that says that a stream began.
    FirstChunk,
    Status,
    StatusMessage,
    SpanName,
    /// What the name of the scope says of the dialect.
    Scope,
}

/// A fact, to be compared with what it would be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Told {
    Text(Text),
    Known(&'static str),
    Role(Role, Label),
    Number(u64),
    Money(Money),
    Flag(bool),
    Error(ErrorClass),
    Part(ReportPart),
    Flaw(Inconsistency),
}

impl Told {
    fn text(text: Text) -> Option<Self> {
        (!text.is_empty()).then_some(Self::Text(text))
    }

    fn label(label: Label) -> Option<Self> {
        match label {
            Label::None => None,
            Label::Known(name) => Some(Self::Known(name)),
            Label::Raw(text) => Self::text(text),
        }
    }

    fn count(count: Option<u32>) -> Option<Self> {
        count.map(|count| Self::Number(count.into()))
    }
}

/// A fact.
pub(super) struct Row {
    /// What it is called.
    pub(super) fact: &'static str,
    /// What is told; `None` if nothing is.
    pub(super) told: fn(&SpanFacts) -> Option<Told>,
    /// What can tell it, the more authoritative first. (That a span must be a call for most of it is not of interest.) Texts need
    /// none: it is seen where they stand.
    pub(super) evidence: &'static [Evidence],
}

const fn row(fact: &'static str, evidence: &'static [Evidence], told: fn(&SpanFacts) -> Option<Told>) -> Row {
    Row { fact, told, evidence }
}

/// A fact that is always a text.
const fn text(fact: &'static str, told: fn(&SpanFacts) -> Option<Told>) -> Row {
    row(fact, &[], told)
}

const CACHE_READ: &[Evidence] = &[
    P(InclusiveUsageObject),
    P(UsageObject),
    P(CacheReadTokens),
    P(InputDetails),
    P(ProviderMetadata),
    P(UsageDetails),
    P(Answer),
    Chunks,
];

const CACHE_WRITE: &[Evidence] = &[
    P(InclusiveUsageObject),
    P(UsageObject),
    P(CacheWriteTokens),
    P(CacheWrite1hTokens),
    P(CacheWrite5mTokens),
    P(InputDetails),
    P(ProviderMetadata),
    P(UsageDetails),
    P(Answer),
    Chunks,
];

/// All facts, in the order in which they are shown.
pub(super) const ROWS: &[Row] = &[
    row(
        "role",
        &[
            Evidence::Role,
            P(Operation),
            P(RequestType),
            P(ToolName),
            P(ToolCallId),
            P(AgentName),
            SpanName,
            P(RequestModel),
            P(ResponseModel),
            P(EitherModel),
            P(ModelInJson),
            P(UsageObject),
            P(InputTokens),
            P(OutputTokens),
            P(Provider),
            P(ProviderElsewhere),
            Exception,
            Status,
            Scope,
        ],
        |facts| (facts.role != Role::None).then_some(Told::Role(facts.role, facts.operation)),
    ),
    row(
        "provider",
        &[
            P(Provider),
            P(ProviderElsewhere),
            P(ServerAddress),
            P(RequestModel),
            P(ResponseModel),
            P(EitherModel),
            P(NameOfAction),
            P(ModelInJson),
            P(RequestData),
            SpanName,
            P(Answer),
            Chunks,
        ],
        |facts| Told::label(facts.provider),
    ),
    text("request_model", |facts| Told::text(facts.request_model)),
    text("response_model", |facts| Told::text(facts.response_model)),
    row(
        "input",
        &[
            P(InclusiveUsageObject),
            P(UsageObject),
            P(InputTokens),
            P(ProviderInputTokens),
            // Where the dialect leaves them out of input, they are a part of it.
            P(CacheReadTokens),
            P(CacheWriteTokens),
            P(CacheWrite5mTokens),
            P(CacheWrite1hTokens),
            P(UncachedInputTokens),
            P(TotalTokens),
            P(InputDetails),
            P(ProviderMetadata),
            P(UsageDetails),
            P(Answer),
            Chunks,
        ],
        |facts| Told::count(facts.usage().input),
    ),
    row("cache_read", CACHE_READ, |facts| Told::count(facts.usage().cache_read)),
    row("cache_write", CACHE_WRITE, |facts| Told::count(facts.usage().cache_write)),
    row("cache_write_1h", CACHE_WRITE, |facts| Told::count(facts.usage().cache_write_1h)),
    row(
        "output",
        &[
            P(InclusiveUsageObject),
            P(UsageObject),
            P(OutputTokens),
            P(ProviderOutputTokens),
            // Where the dialect leaves it out of output, it is a part of it.
            P(ReasoningTokensApart),
            P(ReasoningTokens),
            P(TotalTokens),
            P(UsageDetails),
            P(Answer),
            Chunks,
        ],
        |facts| Told::count(facts.usage().output),
    ),
    row(
        "reasoning",
        &[
            P(InclusiveUsageObject),
            P(UsageObject),
            P(ReasoningTokens),
            P(OutputDetails),
            P(ReasoningTokensApart),
            P(ProviderMetadata),
            P(UsageDetails),
            P(Answer),
            Chunks,
        ],
        |facts| Told::count(facts.usage().reasoning),
    ),
    row(
        "inconsistency",
        &[
            P(InclusiveUsageObject),
            P(UsageObject),
            P(InputTokens),
            P(OutputTokens),
            P(CacheReadTokens),
            P(CacheWriteTokens),
            P(ReasoningTokens),
            P(TotalTokens),
            P(InputDetails),
            P(OutputDetails),
            P(ProviderMetadata),
            P(UsageDetails),
            P(Answer),
            Chunks,
        ],
        |facts| facts.inconsistency.map(Told::Flaw),
    ),
    row("supplied_cost", &[P(Cost), P(CostObject), P(InputCost), P(OutputCost)], |facts| {
        facts.supplied_cost().map(Told::Money)
    }),
    row("service_tier", &[P(ServiceTier), P(Answer), Chunks], |facts| Told::label(facts.service_tier)),
    row(
        "error",
        &[
            P(ErrorType),
            P(HttpStatus),
            Exception,
            P(ErrorCategory),
            StatusMessage,
            P(ErrorMessage),
            P(Outcome),
            P(Success),
            P(Failed),
            Status,
        ],
        |facts| facts.error.map(|error| Told::Error(error.class)),
    ),
    row("finish_reason", &[P(FinishReason), P(Answer), Chunks], |facts| Told::label(facts.finish_reason)),
    row(
        "time_to_first_chunk",
        &[
            P(FirstChunkSeconds),
            P(FirstChunkMillis),
            P(FirstChunkInUnit),
            P(FirstChunkInJson),
            P(UsageObject),
            P(FirstChunkAt),
            FirstChunk,
        ],
        |facts| facts.time_to_first_chunk().map(Told::Number),
    ),
    row(
        "streaming",
        &[
            P(Streaming),
            Evidence::Role,
            P(ModelInJson),
            P(RequestData),
            P(FirstChunkSeconds),
            P(FirstChunkMillis),
            P(FirstChunkInUnit),
            P(FirstChunkInJson),
            P(UsageObject),
            P(FirstChunkAt),
            FirstChunk,
        ],
        |facts| facts.streaming.map(Told::Flag),
    ),
    row("split_report", &[P(RequestData), P(LogfireSpanType), Scope], |facts| {
        facts.split.map(|split| Told::Part(split.part))
    }),
    text("response_id", |facts| Told::text(facts.response_id)),
    text("agent", |facts| Told::text(facts.agent_name)),
    text("tool", |facts| Told::text(facts.tool_name)),
    text("workflow", |facts| Told::text(facts.workflow_name)),
    text("conversation", |facts| Told::text(facts.conversation_id)),
    text("user", |facts| Told::text(facts.user_id)),
    text("prompt", |facts| Told::text(facts.prompt_name)),
    text("prompt_version", |facts| Told::text(facts.prompt_version)),
    text("server", |facts| Told::text(facts.server_address)),
];
