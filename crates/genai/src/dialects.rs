//! The table of attribute dialects: which keys say what, how counts are meant, how a span tells its role.
//!
//! **To add a dialect:** write a file here with one `pub(super) const DIALECT: Dialect`, and add it to `DIALECTS`. A test
//! refuses keys that stand twice. Facts about dialects and their sources: reference/dialects.md of the project.
//!
//! **Order is precedence.** Where two keys of a span tell the same fact, the one that stands earlier wins; a span speaks the
//! first dialect of the list that it gives a signal of (a key with [`Key::is_signal`], or the name of its scope); if it gives
//! none, one that poses as the provider, and the OpenTelemetry conventions if none does.
//!
//! `docs/dialects.md` is this table, written by [`documentation`].

use crate::role::Role;
use crate::usage::{CacheSemantics, ReasoningSemantics};

pub use docs::documentation;
pub(crate) use table::{PatternMatch, Row, Table};

mod agentops;
mod anthropic_platform;
mod azure_ai_agents;
mod braintrust;
mod claude_code;
mod codex;
mod crewai_native;
mod docs;
mod flue;
mod gemini_cli;
mod genkit;
mod google_adk;
mod laminar;
mod langfuse;
mod langsmith;
mod litellm;
mod livekit;
mod logfire;
mod loongsuite;
mod mastra;
mod mlflow;
mod ms_agent_framework;
mod openclaw;
mod openinference;
mod openlit;
mod openllmetry;
mod openrouter;
mod otel;
mod pipecat;
mod pydantic_ai;
mod semantic_kernel;
mod spring_ai;
mod strands;
mod table;
mod tanstack;
mod vercel;
mod vllm;
mod voltagent;
mod weave;

/// All dialects. OpenTelemetry's stands first: where a library writes its own keys beside OpenTelemetry's, those are the
/// ones that it keeps compatible.
const DIALECTS: &[&Dialect] = &[
    &otel::DIALECT,
    &otel::BEDROCK,
    &openinference::WITHOUT_CACHE,
    &openinference::BEDROCK,
    &openinference::RUNNING_TOTALS,
    &openinference::DIALECT,
    &langfuse::DIALECT,
    &mlflow::DIALECT,
    &vercel::DIALECT,
    &vercel::VERSION_7,
    &litellm::DIALECT,
    &langsmith::DIALECT,
    &vllm::DIALECT,
    &anthropic_platform::DIALECT,
    &anthropic_platform::SDK,
    &strands::DIALECT,
    &openlit::WITH_CACHE,
    &openlit::DIALECT,
    &google_adk::DIALECT,
    &pydantic_ai::DIALECT,
    &logfire::DIALECT,
    &spring_ai::DIALECT,
    &semantic_kernel::DIALECT,
    &ms_agent_framework::DIALECT,
    &azure_ai_agents::DIALECT,
    &genkit::DIALECT,
    &gemini_cli::DIALECT,
    &mastra::DIALECT,
    &livekit::DIALECT,
    &pipecat::DIALECT,
    &agentops::DIALECT,
    &laminar::DIALECT,
    &braintrust::DIALECT,
    &flue::DIALECT,
    &openclaw::DIALECT,
    &openrouter::DIALECT,
    &tanstack::DIALECT,
    &weave::DIALECT,
    &voltagent::DIALECT,
    &claude_code::DIALECT,
    &codex::DIALECT,
    &crewai_native::DIALECT,
    &loongsuite::DIALECT,
    // Its SDK adds keys to the spans of others, and others write its older ones: it and what everybody wrote come last.
    &openllmetry::AS_PROVIDED,
    &openllmetry::DIALECT,
    &otel::LEGACY,
];

/// One attribute dialect.
#[derive(Debug)]
pub struct Dialect {
    /// Short name, as it stands in the archive.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Names of its instrumentation scopes, or what stands before a separator in them.
    pub scopes: &'static [&'static str],
    /// What it writes as provider, if it names itself there: that is a signal, but less of one than a key.
    pub poses_as_provider: &'static [&'static str],
    /// Whether its input tokens include cached ones.
    pub cache: CacheSemantics,
    /// Whether its output tokens include reasoning.
    pub reasoning: ReasoningSemantics,
    /// Whether a span without a request model is only what went over the wire below a call.
    pub call_needs_model: bool,
    /// Whether its request type `completion` is a chat.
    pub completion_is_chat: bool,
    /// Names of spans that are only what went over the wire below a call, whatever they say.
    pub raw_spans: &'static [&'static str],
    /// How the names of spans end that say they are calls, and make none.
    pub helpers: &'static [&'static str],
    /// Whether usage on its spans that are no calls goes on from earlier ones.
    pub has_running_totals: bool,
    /// Whether an answer that ended in an error is a failure: others say so of streams that nobody read to their end.
    pub fails_by_finish_reason: bool,
    /// Whether a call may have any role: its operation says that it is one.
    pub calls_have_any_role: bool,
    /// Whether a span of it that names an agent, and no operation, is one.
    pub agents_only_named: bool,
    /// Whether its span names say `{operation} {model}` where attributes do not.
    pub is_named_by_call: bool,
    /// Whether its spans are those of a model server.
    pub is_server: bool,
    /// The unit of [`Plain::FirstChunkInUnit`].
    pub first_chunk_unit: Unit,
    /// Its keys, the more authoritative first.
    pub keys: &'static [Key],
    /// Its span events.
    pub events: &'static [EventKey],
    /// Where this was read.
    pub source: &'static str,
}

/// What the rows of most dialects share.
pub(crate) const PLAIN: Dialect = Dialect {
    name: "",
    title: "",
    scopes: &[],
    poses_as_provider: &[],
    cache: CacheSemantics::Included,
    reasoning: ReasoningSemantics::Included,
    call_needs_model: false,
    completion_is_chat: false,
    raw_spans: &[],
    helpers: &[],
    has_running_totals: false,
    fails_by_finish_reason: false,
    calls_have_any_role: false,
    agents_only_named: false,
    is_named_by_call: false,
    is_server: false,
    first_chunk_unit: Unit::Seconds,
    keys: &[],
    events: &[],
    source: "",
};

/// A span event and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventKey {
    /// Its name; one that ends in a dot is a beginning.
    pub name: &'static str,
    /// What it says.
    pub says: EventSays,
}

/// What a span event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSays {
    /// A failure, in `exception.type` and `exception.message`.
    Exception,
    /// The answer to a streamed request has begun.
    FirstChunk,
    /// So, too; a part of the answer stands in this attribute.
    Chunk(&'static str),
    /// Why generation ended, in `finish_reason`.
    FinishReason,
    /// Its attributes say what attributes of the span would say.
    Attributes,
    /// The result of an evaluation of the span. Log records of this name say it of theirs.
    Evaluation,
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// 1 s.
    Seconds,
    /// 1 ms.
    Milliseconds,
}

/// The position of a dialect in the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DialectId(u8);

impl DialectId {
    /// Beyond every dialect: no sign of GenAI was seen.
    pub(crate) const NONE: Self = Self(u8::MAX);
    /// GenAI, but no signal of a dialect.
    pub(crate) const ANY: Self = Self(u8::MAX - 1);
    /// [`otel::LEGACY`].
    pub(crate) const LEGACY: Self = Self(DIALECTS.len() as u8 - 1);

    /// The dialect; that of OpenTelemetry if no signal was seen.
    pub fn dialect(self) -> &'static Dialect {
        DIALECTS.get(usize::from(self.0)).unwrap_or(&&otel::DIALECT)
    }
}

/// An attribute key and what it says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// What its value tells.
    pub fact: Fact,
    /// Whether its presence alone says which dialect the span speaks.
    pub is_signal: bool,
    /// Whether its presence says that the span is about GenAI. General keys such as `server.address` do not.
    pub is_genai: bool,
}

/// A key that tells `plain` and belongs to GenAI.
const fn key(name: &'static str, plain: Plain) -> Key {
    Key { name, fact: Fact::Plain(plain), is_signal: false, is_genai: true }
}

/// A key that tells `plain` on GenAI spans, and stands on others as well.
const fn general(name: &'static str, plain: Plain) -> Key {
    Key { name, fact: Fact::Plain(plain), is_signal: false, is_genai: false }
}

/// A key so general that it tells `plain` in this dialect only.
const fn own(name: &'static str, plain: Plain) -> Key {
    Key { name, fact: Fact::Own(plain), is_signal: false, is_genai: false }
}

/// As [`own`], for all keys that differ in what stands for `*`. They are read on spans of this dialect's scopes only.
const fn pattern(name: &'static str, plain: Plain) -> Key {
    own(name, plain)
}

/// A key that tells a part of an evaluation's result, on any span; `*` stands for the place in a list. It tells nothing of the
/// span itself: whatever was evaluated need not be GenAI.
const fn evaluation(name: &'static str, part: EvaluationPart) -> Key {
    Key { name, fact: Fact::Evaluation(part), is_signal: false, is_genai: false }
}

/// A key that tells the role, and so the dialect.
const fn role(name: &'static str, values: &'static [(&'static str, Says)], otherwise: Role) -> Key {
    Key { name, fact: Fact::Role { values, otherwise: Some(otherwise) }, is_signal: true, is_genai: true }
}

/// A general key that tells the role, and so the dialect, by these values only.
const fn role_if(name: &'static str, values: &'static [(&'static str, Says)]) -> Key {
    Key { name, fact: Fact::Role { values, otherwise: None }, is_signal: false, is_genai: false }
}

/// A key that tells the dialect and nothing else.
const fn signal(name: &'static str) -> Key {
    Key { name, fact: Fact::Presence, is_signal: true, is_genai: true }
}

impl Key {
    /// Its presence says that the span speaks this dialect.
    const fn and_signal(mut self) -> Self {
        self.is_signal = true;
        self
    }
}

/// What a key can tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fact {
    /// Nothing but that the dialect is spoken, or that the span is about GenAI.
    Presence,
    /// The role, by one of these values; `otherwise` for others.
    Role {
        /// Value, role, canonical operation.
        values: &'static [(&'static str, Says)],
        /// For every other value; without it, another value says nothing at all.
        otherwise: Option<Role>,
    },
    /// Any of the plain facts.
    Plain(Plain),
    /// A plain fact, if the span speaks the dialect of the key.
    Own(Plain),
    /// A part of an evaluation's result.
    Evaluation(EvaluationPart),
}

/// What a key can tell of an evaluation. Explanations are not read: they are no dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvaluationPart {
    /// What was evaluated.
    Name,
    /// The score.
    Score,
    /// The score in a word.
    Label,
    /// JSON with scores, each under its name.
    Scores,
}

/// What a role's value says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Says {
    /// This role.
    Is(Role),
    /// A call with this operation.
    Operation(&'static str, Role),
    /// A call if the span names a model, else structure: old SDKs wrote one value for both.
    CallIfModel,
    /// As `Operation`, but others write this value too: it does not tell the dialect.
    Shared(&'static str, Role),
}

/// Facts that are one value. Each holds the value of the first key that tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Plain {
    Operation,
    RequestType,
    Provider,
    /// A provider, told where another key may know better or say the same.
    ProviderElsewhere,
    RequestModel,
    ResponseModel,
    /// A model of which is not told whether it was asked for or answered.
    EitherModel,
    /// JSON with the request model under `"model"`.
    ModelInJson,
    /// Logfire: the request, or as much of it as is written.
    RequestData,
    /// The conversation that was sent.
    InputMessages,
    /// The name of what the span does: the model of a call, the tool of a tool's execution.
    NameOfAction,
    /// The name of the tool or the agent that the span describes.
    EntityName,
    InputTokens,
    OutputTokens,
    TotalTokens,
    /// Input without cached tokens; its presence says that input includes them.
    UncachedInputTokens,
    CacheReadTokens,
    CacheWriteTokens,
    /// Parts of cache writes by time to live.
    CacheWrite5mTokens,
    CacheWrite1hTokens,
    ReasoningTokens,
    /// Reasoning that output leaves out.
    ReasoningTokensApart,
    /// Counts of the provider's own usage object: they are the usage if nothing else tells input and output.
    ProviderInputTokens,
    ProviderOutputTokens,
    /// Objects with the parts of input and output.
    InputDetails,
    OutputDetails,
    /// A usage object, JSON or Python `repr`, that stands before the counts.
    UsageObject,
    /// A usage object that only completes the counts.
    UsageDetails,
    /// Like `UsageObject`, of a writer that normalises `input_tokens` to include cached tokens.
    InclusiveUsageObject,
    /// AI SDK: JSON with usage objects under the provider's name.
    ProviderMetadata,
    /// The answer as it was captured, JSON: usage, model and id stand in it.
    Answer,
    /// Dollars: of the call, of its input, of its output.
    Cost,
    InputCost,
    OutputCost,
    /// JSON with them.
    CostObject,
    FirstChunkSeconds,
    FirstChunkMillis,
    /// In the unit of the dialect.
    FirstChunkInUnit,
    /// JSON with seconds under `"ttft"`.
    FirstChunkInJson,
    /// An absolute time, RFC 3339.
    FirstChunkAt,
    Streaming,
    /// Logfire: seconds that a stream took, on the span that is written at its end.
    StreamSeconds,
    /// Logfire: what kind of span it is.
    LogfireSpanType,
    FinishReason,
    ErrorType,
    ErrorMessage,
    /// A word for the class of a failure.
    ErrorCategory,
    /// `error` and `failed`, in any case, are failures.
    Outcome,
    /// `false` is a failure.
    Success,
    /// `true` is a failure.
    Failed,
    HttpStatus,
    ResponseId,
    /// LiteLLM's own id of a call, which it writes as response id where there is none.
    CallId,
    ServiceTier,
    ToolName,
    ToolCallId,
    AgentName,
    WorkflowName,
    ConversationId,
    UserId,
    PromptName,
    PromptVersion,
    /// JSON with both, under `"name"` and `"version"`.
    PromptInJson,
    ServerAddress,
}

impl Plain {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::ServerAddress as usize + 1;
}

/// All dialects, in order of precedence.
pub fn all() -> impl Iterator<Item = &'static Dialect> {
    DIALECTS.iter().copied()
}
