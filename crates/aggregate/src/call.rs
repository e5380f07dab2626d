//! A call to a model, as it is counted.

use genai::{ErrorClass, Usage};

use crate::histogram::Origin;
use crate::pricing::CallCost;

/// One call, as its span or its merged spans tell it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    /// The span under which it is counted.
    pub(crate) origin: Origin,
    /// Duration in nanoseconds, if its spans tell one.
    pub(crate) duration: Option<u64>,
    /// Time to the first chunk in nanoseconds.
    pub(crate) time_to_first_chunk: Option<u64>,
    /// Tokens, if usage was reported.
    pub(crate) usage: Option<Usage>,
    /// What it costs.
    pub(crate) cost: CallCost,
    /// Its failure.
    pub(crate) error: Option<ErrorClass>,
}

impl Call {
    /// Seconds per output token after the first, of streams that tell when they began to answer.
    pub(crate) fn time_per_output_token(&self) -> Option<f64> {
        let streamed_for = self.duration?.checked_sub(self.time_to_first_chunk?)?;
        let output = self.usage?.output?;
        (output > 1).then(|| seconds(streamed_for) / f64::from(output - 1))
    }
}

/// Nanoseconds as seconds.
pub(crate) fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
