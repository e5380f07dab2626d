//! What is told of evaluations.

use aggregate::Evaluated;
use genai::{Deriver, Evaluation, Source, ToldBy};

use super::line::hex;

/// What is told of one evaluation.
pub(super) struct EvaluationLine {
    /// Of the span that was evaluated; zeros if nobody says.
    pub(super) trace_id: String,
    pub(super) span_id: String,
    pub(super) name: String,
    pub(super) score: Option<f64>,
    pub(super) label: String,
    /// In what it was told.
    pub(super) told_by: &'static str,
    /// Whether it was counted, or is one that was told before.
    pub(super) outcome: &'static str,
    /// Where it was read.
    pub(super) sources: Vec<Source>,
}

/// All evaluations, in the order in which they were told.
#[derive(Default)]
pub(super) struct Evaluations {
    pub(super) lines: Vec<EvaluationLine>,
    evaluated: Evaluated,
}

impl Evaluations {
    /// Adds those of a request.
    pub(super) fn add(&mut self, body: &[u8], evaluations: &[Evaluation]) {
        let deriver = Deriver::default();
        for evaluation in evaluations {
            let is_new = self.evaluated.is_new(body, evaluation);
            self.lines.push(EvaluationLine {
                trace_id: hex(&evaluation.trace_id),
                span_id: hex(&evaluation.span_id),
                name: evaluation.name.str(body).into_owned(),
                score: evaluation.score,
                label: evaluation.label.str(body).into_owned(),
                told_by: match evaluation.told_by {
                    ToldBy::Attributes => "attributes",
                    ToldBy::Event => "event",
                    ToldBy::Log => "log",
                },
                outcome: if is_new { COUNTED } else { "repeated" },
                sources: deriver.explain_evaluation(body, evaluation),
            });
        }
    }

    /// How many were counted.
    pub(super) fn counted(&self) -> usize {
        self.lines.iter().filter(|line| line.outcome == COUNTED).count()
    }
}

const COUNTED: &str = "counted";
