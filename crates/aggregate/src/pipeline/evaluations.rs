//! What the pipeline does with the results of evaluations: they are counted when they come, whatever becomes of the spans.

use genai::{Evaluation, time_of};

use super::Pipeline;
use crate::histogram::Origin;

impl Pipeline {
    /// Counts the evaluations of a request that were not told before.
    pub(super) fn evaluations(&mut self, body: &[u8], evaluations: &[Evaluation], receive_time: u64) {
        for evaluation in evaluations {
            if !self.evaluated.is_new(body, evaluation) {
                continue;
            }
            let (trace_id, span_id) = (evaluation.trace_id, evaluation.span_id);
            let origin = Origin { trace_id, span_id, time: time_of(evaluation.time, receive_time) };
            let number = self.series.number_of_evaluation(body, evaluation);
            if let Some(open) = number.and_then(|number| self.series.open(number)) {
                open.evaluate(evaluation.score, evaluation.has_valid_ids().then_some(&origin));
            }
        }
    }
}
