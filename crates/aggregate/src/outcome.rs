//! What became of a span. Every span gets exactly one outcome, and the outcomes add up to what was received.

use genai::{ErrorClass, Role, SpanFacts, Usage};

use crate::pricing::SpanCost;
use crate::settle::Relation;

/// What became of a span, as it stands on `spanmill.spans` and in the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// A call to a model, counted.
    Counted,
    /// A call that another span reports as well, under which it is counted.
    Duplicate,
    /// A call that was counted before this span of it came.
    Late,
    /// GenAI, but no call: an agent, a tool, structure.
    NotACall,
    /// GenAI attributes that say not what the span is; not counted as a call.
    Unrecognised,
    /// No sign of GenAI: passed through only.
    NotGenai,
    /// Without valid ids: it can't be told from others, so it is not counted.
    Malformed,
}

/// What a span without any sign of GenAI lacks.
const NO_GENAI_ATTRIBUTES: &str = "no_genai_attributes";
/// What is wrong with a span that can't be told from others.
const INVALID_IDS: &str = "invalid_ids";
/// What is not known of a span that is not recognised.
const UNKNOWN_OPERATION: &str = "unknown_operation";
/// Why a call has no duration.
pub(crate) const INVALID_DURATION: &str = "invalid_duration";
/// Why a span is a duplicate that its client sent again.
pub(crate) const REPEATED: &str = "repeated";
/// Why a late span counts after all: with its usage, not as a request. Whoever sums the rows of the archive adds these.
pub(crate) const ADDS_USAGE: &str = "adds_usage";

/// The reason that a role gives.
pub(crate) const fn reason_of(role: Role) -> &'static str {
    match role {
        Role::Unrecognised => UNKNOWN_OPERATION,
        role => role.name(),
    }
}

/// All reasons of outcomes. Checkpoints hold places in this list: what is new goes to its end.
pub(crate) const REASONS: &[&str] = &[
    NO_GENAI_ATTRIBUTES,
    INVALID_IDS,
    UNKNOWN_OPERATION,
    INVALID_DURATION,
    REPEATED,
    ADDS_USAGE,
    Role::Llm.name(),
    Role::Embeddings.name(),
    Role::Agent.name(),
    Role::Tool.name(),
    Role::Chain.name(),
    Role::RawResponse.name(),
    Role::Server.name(),
    Relation::ResponseId.name(),
    Relation::SplitReport.name(),
    Relation::Wrapper.name(),
    Relation::SameTrace.name(),
    Relation::Unlinked.name(),
];

impl Outcome {
    /// All of them. Checkpoints hold places in this list: what is new goes to its end.
    pub(crate) const ALL: [Self; 7] = [
        Self::Counted,
        Self::Duplicate,
        Self::Late,
        Self::NotACall,
        Self::Unrecognised,
        Self::NotGenai,
        Self::Malformed,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Duplicate => "duplicate",
            Self::Late => "late",
            Self::NotACall => "not_a_call",
            Self::Unrecognised => "unrecognised",
            Self::NotGenai => "not_genai",
            Self::Malformed => "malformed",
        }
    }
}

/// The outcome of one span, why, and under which span it was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanOutcome {
    /// What became of it.
    pub outcome: Outcome,
    /// Why, in a word: a role, what links it to the span under which it is counted, or what is wrong.
    pub reason: &'static str,
    /// The span under which its call was counted; zero if it was counted under none.
    pub counted_span_id: [u8; 8],
    /// What its call costs, if it is counted under this span.
    pub cost: Option<SpanCost>,
    /// What its call was counted as, if it is counted under this span and others told of it, too.
    pub merged: Option<Box<Merged>>,
}

/// What a call was counted as that several spans report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// Tokens, if any of its spans reported them.
    pub usage: Option<Usage>,
    /// Its failure.
    pub error: Option<ErrorClass>,
    /// Canonical provider; empty if it was not told, as the models; `None` if it is that of the span.
    pub provider: Option<Box<[u8]>>,
    /// The model that was asked for.
    pub request_model: Option<Box<[u8]>>,
    /// The model that answered.
    pub response_model: Option<Box<[u8]>>,
}

impl SpanOutcome {
    /// Whether the span tells of a call that is counted under another one, and adds nothing to it.
    pub(crate) fn is_not_counted_again(&self) -> bool {
        matches!(self.outcome, Outcome::Duplicate | Outcome::Late) && self.reason != ADDS_USAGE
    }

    /// The outcome of a span that is no call; `None` for a call, which the settle stage decides.
    pub(crate) fn of_non_call(facts: &SpanFacts) -> Option<Self> {
        let (outcome, reason) = match facts.role {
            Role::None => (Outcome::NotGenai, NO_GENAI_ATTRIBUTES),
            _ if !facts.has_valid_ids() => (Outcome::Malformed, INVALID_IDS),
            Role::Llm | Role::Embeddings => return None,
            role => return Some(Self::not_counted(role)),
        };
        Some(Self::new(outcome, reason, [0; 8]))
    }

    /// The outcome of a span of a role that is no call.
    pub(crate) fn not_counted(role: Role) -> Self {
        let outcome = if role == Role::Unrecognised { Outcome::Unrecognised } else { Outcome::NotACall };
        Self::new(outcome, reason_of(role), [0; 8])
    }

    /// The outcome of a span that its client sent again. It has no row of its own in the archive.
    pub(crate) const REPEATED: Self = Self::new(Outcome::Duplicate, REPEATED, [0; 8]);

    /// Whether the span was sent again by its client: then all of it is known already.
    pub fn is_repeated(&self) -> bool {
        (self.outcome, self.reason) == (Outcome::Duplicate, Self::REPEATED.reason)
    }

    /// Whether sums over spans need this one: its call is counted under it, or its usage was added to a call that had none.
    pub fn is_counted(&self) -> bool {
        self.outcome == Outcome::Counted || (self.outcome, self.reason) == (Outcome::Late, ADDS_USAGE)
    }

    /// Tokens: what the span says, or what its call was counted with if several spans told of it. As all of these, so that what
    /// counted spans say adds up to what was counted.
    pub fn usage(&self, facts: &SpanFacts) -> Usage {
        match &self.merged {
            Some(merged) => merged.usage.unwrap_or_default(),
            None => facts.usage(),
        }
    }

    /// Canonical provider.
    pub fn provider<'a>(&'a self, facts: &'a SpanFacts, body: &'a [u8]) -> &'a [u8] {
        let merged = self.merged.as_ref().and_then(|merged| merged.provider.as_deref());
        merged.unwrap_or_else(|| facts.provider.bytes(body))
    }

    /// The model that was asked for.
    pub fn request_model<'a>(&'a self, facts: &'a SpanFacts, body: &'a [u8]) -> &'a [u8] {
        let merged = self.merged.as_ref().and_then(|merged| merged.request_model.as_deref());
        merged.unwrap_or_else(|| facts.request_model.bytes(body))
    }

    /// The model that answered.
    pub fn response_model<'a>(&'a self, facts: &'a SpanFacts, body: &'a [u8]) -> &'a [u8] {
        let merged = self.merged.as_ref().and_then(|merged| merged.response_model.as_deref());
        merged.unwrap_or_else(|| facts.response_model.bytes(body))
    }

    /// Stands where the outcome of a span will stand that waits.
    pub(crate) const UNDECIDED: Self = Self::new(Outcome::Counted, "", [0; 8]);

    /// The outcome of a span of a call that is counted under the span `counted_span_id`.
    pub const fn new(outcome: Outcome, reason: &'static str, counted_span_id: [u8; 8]) -> Self {
        Self { outcome, reason, counted_span_id, cost: None, merged: None }
    }
}
