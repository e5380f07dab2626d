//! The table of attribute dialects: which keys say what, how counts are meant, how a span tells its role.
//!
//! **To add a dialect:** write a file here with one `pub(super) const DIALECT: Dialect`, and add it to `DIALECTS`. A test
//! refuses keys that stand twice. Facts about dialects and their sources: reference/dialects.md of the project.
//!
//! **Order is precedence.** Where two keys of a span tell the same fact, the one that stands earlier wins; a span speaks the
//! first dialect of the list that it gives a signal of (a key with [`Key::is_signal`], or the name of its scope), and
//! the OpenTelemetry conventions if it gives none.
//!
//! `docs/dialects.md` is this table, written by [`documentation`].

use std::sync::LazyLock;

use crate::lookup::Lookup;
use crate::role::Role;
use crate::usage::{CacheSemantics, ReasoningSemantics};

pub use docs::documentation;

mod agentops;
mod anthropic_platform;
mod azure_ai_agents;
mod braintrust;
mod claude_code;
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
mod mastra;
mod mlflow;
mod ms_agent_framework;
mod openinference;
mod openlit;
mod openllmetry;
mod otel;
mod pipecat;
mod pydantic_ai;
mod semantic_kernel;
mod spring_ai;
mod strands;
mod vercel;
mod vllm;
mod voltagent;
mod weave;

/// All dialects. OpenTelemetry's stands first: where a library writes its own keys beside OpenTelemetry's, those are the
/// ones that it keeps compatible.
const DIALECTS: &[&Dialect] = &[
    &otel::DIALECT,
    &openinference::WITHOUT_CACHE,
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
    &weave::DIALECT,
    &voltagent::DIALECT,
    &claude_code::DIALECT,
    &crewai_native::DIALECT,
    // Its SDK adds keys to the spans of others, and others write its older ones: it and what everybody wrote come last.
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
    /// Whether usage on its spans that are no calls goes on from earlier ones.
    pub has_running_totals: bool,
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
    cache: CacheSemantics::Included,
    reasoning: ReasoningSemantics::Included,
    call_needs_model: false,
    completion_is_chat: false,
    raw_spans: &[],
    has_running_totals: false,
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

/// The table made ready for the walk.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Lookup<Row>,
    scopes: Vec<(&'static str, DialectId)>,
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

/// How all patterns begin: other keys that are not in the table are passed over with one comparison.
const PATTERNS_BEGIN: &[u8; 4] = b"llm.";

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
        let mut patterns = Vec::new();
        let mut events = Vec::new();
        for (owner, dialect) in (0..).map(DialectId).zip(DIALECTS) {
            events.extend_from_slice(dialect.events);
            scopes.extend(dialect.scopes.iter().map(|scope| (*scope, owner)));
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
        Self { rows: Lookup::new(rows.into_iter()), scopes, patterns, events }
    }

    /// The row of a key.
    #[inline(always)]
    pub(crate) fn row(&self, key: &[u8]) -> Option<&Row> {
        self.rows.find(key)
    }

    /// Whether `key`, which has no row, may be one of a pattern.
    #[inline(always)]
    pub(crate) fn may_match(&self, key: &[u8]) -> bool {
        key.first_chunk::<4>() == Some(PATTERNS_BEGIN)
    }

    /// The row of the pattern of `dialect` that `key` is one of.
    #[cold]
    pub(crate) fn pattern(&self, key: &[u8], dialect: DialectId) -> Option<&Row> {
        let is_one = |Pattern { before, after, .. }: &&Pattern| {
            let between = key.strip_prefix(before.as_bytes()).and_then(|rest| rest.strip_suffix(after.as_bytes()));
            between.is_some_and(|between| !between.is_empty() && !between.contains(&b'.'))
        };
        self.patterns.iter().filter(|pattern| pattern.row.owner == dialect).find(is_one).map(|pattern| &pattern.row)
    }

    /// What a span event says.
    pub(crate) fn event(&self, name: &[u8]) -> Option<EventSays> {
        let is_it = |event: &&EventKey| {
            let known = event.name.as_bytes();
            if known.ends_with(b".") { name.starts_with(known) } else { name == known }
        };
        self.events.iter().find(is_it).map(|event| event.says)
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

/// All dialects, in order of precedence.
pub fn all() -> impl Iterator<Item = &'static Dialect> {
    DIALECTS.iter().copied()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    // No key stands twice, and every key of the table is found at its own row: the perfect hash is one.
    #[test]
    fn every_key_is_found_once() {
        let table = Table::get();
        let mut seen = HashSet::new();
        for (i, key) in all().flat_map(|dialect| dialect.keys).enumerate() {
            assert!(seen.insert(key.name), "{} stands twice", key.name);
            if let Some((before, after)) = key.name.split_once('*') {
                assert!(before.as_bytes().starts_with(PATTERNS_BEGIN), "{}", key.name);
                let owner = (0..).map(DialectId).zip(DIALECTS).find(|(_, dialect)| dialect.keys.contains(key));
                let row = table.pattern(format!("{before}x{after}").as_bytes(), owner.unwrap().0).unwrap();
                assert_eq!((usize::from(row.rank), row.fact), (i, key.fact), "{}", key.name);
                continue;
            }
            let row = table.row(key.name.as_bytes()).unwrap_or_else(|| panic!("{} is not found", key.name));
            assert_eq!((usize::from(row.rank), row.fact), (i, key.fact), "{}", key.name);
        }
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
