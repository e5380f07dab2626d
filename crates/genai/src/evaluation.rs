//! The result of an evaluation: what a judge, a program or a person says of a span
//! (semantic-conventions-genai, event `gen_ai.evaluation.result`; OpenInference, `spec/annotations.md`).

use otlp::logs::RECORD_ATTRIBUTES;
use otlp::trace::SPAN_ATTRIBUTES;
use otlp::{Text, Value};

use crate::coerce;
use crate::dialects::EvaluationPart;
use crate::facts::Label;

/// One result. Texts are ranges of the request body.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// The `Resource` message of what told it.
    pub resource: Text,
    /// `service.name` of the resource.
    pub service: Text,
    /// In what it was told.
    pub told_by: ToldBy,
    /// The `Span` or `LogRecord` message that tells it.
    pub message: Text,
    /// What was evaluated, e.g. `relevance`; empty if it was not told.
    pub name: Text,
    /// The score. Its scale is the evaluator's: 0 to 1, -1 to 1, 1 to 5, 0 to 100.
    pub score: Option<f64>,
    /// The score in a word, e.g. `pass`; `_OTHER` for what is a text rather than a label.
    pub label: Label,
    /// Trace of the evaluated span; zero if it was not told.
    pub trace_id: [u8; 16],
    /// The evaluated span; zero if it was not told.
    pub span_id: [u8; 8],
    /// When it was told, nanoseconds since the Unix epoch; zero if that was not said.
    pub time: u64,
}

/// What an evaluation can be told in. Some libraries tell one result in two of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToldBy {
    /// Attributes of a span.
    Attributes,
    /// An event of a span.
    Event,
    /// A log record.
    Log,
}

impl ToldBy {
    /// Number of the variants.
    pub const COUNT: usize = Self::Log as usize + 1;
}

/// What is longer is no label: a peer that explains itself there must not make series of it.
const MAX_LABEL: u32 = 64;

/// A score beyond this would spoil sums for good.
const MAX_SCORE: f64 = 1e9;

impl Evaluation {
    /// Whether it leads to a span.
    pub fn has_valid_ids(&self) -> bool {
        self.trace_id != [0; 16] && self.span_id != [0; 8]
    }

    /// The message with the attributes of what tells it, and the number of their field.
    pub fn attributes(&self) -> (Text, u32) {
        let field = match self.told_by {
            ToldBy::Attributes | ToldBy::Event => SPAN_ATTRIBUTES,
            ToldBy::Log => RECORD_ATTRIBUTES,
        };
        (self.message, field)
    }

    /// Takes what a key tells of it; of several the first that says something.
    pub(crate) fn take(&mut self, part: EvaluationPart, value: Value, body: &[u8]) {
        match part {
            EvaluationPart::Name if self.name.is_empty() => self.name = coerce::text(value, body),
            EvaluationPart::Score if self.score.is_none() => {
                self.score = coerce::number(value, body).filter(|score| score.abs() <= MAX_SCORE);
            }
            EvaluationPart::Label if self.label.is_none() => self.label = label(coerce::text(value, body), body),
            _ => {}
        }
    }

    /// Whether it says anything but that there was an evaluation.
    pub(crate) fn says_something(&self) -> bool {
        !self.name.is_empty() || self.score.is_some() || !self.label.is_none()
    }
}

fn label(text: Text, body: &[u8]) -> Label {
    if text.is_empty() {
        return Label::None;
    }
    let is_text = text.len() > MAX_LABEL || text.bytes(body).contains(&b'\n');
    if is_text { Label::Known(&"_OTHER") } else { Label::Raw(text) }
}
