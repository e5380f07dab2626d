//! The table of attribute dialects: which keys say what, how counts are meant, how a span tells its role.
//!
//! **To add a dialect:** write a file here with one `pub(super) const DIALECT: Dialect`, and add it to `DIALECTS`. A test
//! refuses keys that stand twice. Facts about dialects and their sources: reference/dialects.md of the project.
//!
//! **Order is precedence.** Where two keys of a span tell the same fact, the one that stands earlier wins; a span speaks the
//! first dialect of the list that it gives a signal of (a key with [`Key::is_signal`], or the name of its scope), and
//! the OpenTelemetry conventions if it gives none.

use std::sync::LazyLock;

use crate::lookup::Lookup;
use crate::role::Role;
use crate::usage::{CacheSemantics, ReasoningSemantics};

mod agentops;
mod anthropic_platform;
mod azure_ai_agents;
mod braintrust;
mod claude_code;
mod crewai_native;
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
    &openinference::DIALECT,
    &langfuse::DIALECT,
    &mlflow::DIALECT,
    &openllmetry::DIALECT,
    &vercel::DIALECT,
    &litellm::DIALECT,
    &langsmith::DIALECT,
    &vllm::DIALECT,
    &anthropic_platform::DIALECT,
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
];

/// One attribute dialect.
#[derive(Debug)]
pub struct Dialect {
    /// Short name, as it stands in the archive.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// How names of its instrumentation scopes begin.
    pub scopes: &'static [&'static str],
    /// Whether its input tokens include cached ones.
    pub cache: CacheSemantics,
    /// Whether its output tokens include reasoning.
    pub reasoning: ReasoningSemantics,
    /// Whether a span without a request model is only what went over the wire below a call.
    pub call_needs_model: bool,
    /// Whether its span names say `{operation} {model}` where attributes do not.
    pub is_named_by_call: bool,
    /// Whether its spans are those of a model server.
    pub is_server: bool,
    /// The unit of [`Plain::FirstChunkInUnit`].
    pub first_chunk_unit: Unit,
    /// Its keys, the more authoritative first.
    pub keys: &'static [Key],
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
    is_named_by_call: false,
    is_server: false,
    first_chunk_unit: Unit::Seconds,
    keys: &[],
    source: "",
};

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
#[derive(Debug, Clone, Copy)]
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
    RequestModel,
    ResponseModel,
    /// A model of which is not told whether it was asked for or answered.
    EitherModel,
    /// JSON with the request model under `"model"`.
    ModelInJson,
    /// The name of what the span does: the model of a call, the tool of a tool's execution.
    NameOfAction,
    InputTokens,
    OutputTokens,
    TotalTokens,
    /// Input without cached tokens; its presence says that input includes them.
    UncachedInputTokens,
    CacheReadTokens,
    CacheWriteTokens,
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
    FirstChunkSeconds,
    FirstChunkMillis,
    /// In the unit of the dialect.
    FirstChunkInUnit,
    /// An absolute time, RFC 3339.
    FirstChunkAt,
    Streaming,
    FinishReason,
    ErrorType,
    ErrorMessage,
    /// `error` and `failed`, in any case, are failures.
    Outcome,
    /// `false` is a failure.
    Success,
    /// `true` is a failure.
    Failed,
    HttpStatus,
    ResponseId,
    ToolName,
    ToolCallId,
    AgentName,
    WorkflowName,
    ConversationId,
    UserId,
    PromptName,
    PromptVersion,
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
        for (owner, dialect) in (0..).map(DialectId).zip(DIALECTS) {
            scopes.extend(dialect.scopes.iter().map(|scope| (*scope, owner)));
            for key in dialect.keys {
                let dialect = match key {
                    Key { is_signal: true, .. } => owner,
                    Key { is_genai: true, .. } => DialectId::ANY,
                    Key { .. } => DialectId::NONE,
                };
                rows.push((key.name, Row { fact: key.fact, rank: rows.len() as u16, dialect, owner }));
            }
        }
        Self { rows: Lookup::new(rows.into_iter()), scopes }
    }

    /// The row of a key.
    #[inline(always)]
    pub(crate) fn row(&self, key: &[u8]) -> Option<&Row> {
        self.rows.find(key)
    }

    /// The dialect whose scopes begin as `scope` does.
    pub(crate) fn of_scope(&self, scope: &[u8]) -> DialectId {
        let speaks = |(prefix, _): &&(&str, DialectId)| scope.starts_with(prefix.as_bytes());
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
            let row = table.row(key.name.as_bytes()).unwrap_or_else(|| panic!("{} is not found", key.name));
            assert_eq!((usize::from(row.rank), row.fact), (i, key.fact), "{}", key.name);
        }
        assert!(table.row(b"gen_ai.usage.cost").is_none(), "costs are no tokens");
    }

    // Every scope and every signal leads to its own dialect: no earlier row takes it away.
    #[test]
    fn scopes_and_signals_lead_home() {
        let table = Table::get();
        for (id, dialect) in (0..).map(DialectId).zip(DIALECTS) {
            for scope in dialect.scopes {
                assert_eq!(table.of_scope(format!("{scope}.x").as_bytes()), id, "{scope}");
            }
            for key in dialect.keys.iter().filter(|key| key.is_signal) {
                assert_eq!(table.row(key.name.as_bytes()).map(|row| row.dialect), Some(id), "{}", key.name);
            }
        }
    }
}
