//! What became of a span. Every span gets exactly one outcome, and the outcomes add up to what was received.

use genai::{ErrorClass, Role, SpanFacts, Usage};

use crate::pricing::SpanCost;

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

impl Outcome {
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
    /// The outcome of a span that is no call; `None` for a call, which the settle stage decides.
    pub(crate) fn of_non_call(facts: &SpanFacts) -> Option<Self> {
        let (outcome, reason) = match facts.role {
            Role::None => (Outcome::NotGenai, "no_genai_attributes"),
            _ if !facts.has_valid_ids() => (Outcome::Malformed, "invalid_ids"),
            Role::Llm | Role::Embeddings => return None,
            Role::Unrecognised => (Outcome::Unrecognised, "unknown_operation"),
            role => (Outcome::NotACall, role.name()),
        };
        Some(Self::new(outcome, reason, [0; 8]))
    }

    /// The outcome of a span that its client sent again. It has no row of its own in the archive.
    pub(crate) const REPEATED: Self = Self::new(Outcome::Duplicate, "repeated", [0; 8]);

    /// Whether the span was sent again by its client: then all of it is known already.
    pub fn is_repeated(&self) -> bool {
        (self.outcome, self.reason) == (Outcome::Duplicate, Self::REPEATED.reason)
    }

    /// Stands where the outcome of a span will stand that waits.
    pub(crate) const UNDECIDED: Self = Self::new(Outcome::Counted, "", [0; 8]);

    /// The outcome of a span of a call that is counted under the span `counted_span_id`.
    pub const fn new(outcome: Outcome, reason: &'static str, counted_span_id: [u8; 8]) -> Self {
        Self { outcome, reason, counted_span_id, cost: None, merged: None }
    }
}
