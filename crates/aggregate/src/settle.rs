//! The settle stage: every call passes through it before it is counted.
//!
//! Here each call span is its own call and is settled at once. The rules by which several spans become one call
//! (reference/counting.md) need a hold; they have their place here, and nothing before or behind this stage changes.

use crate::call::Call;

/// Gathers the spans of a call and gives the call back once.
#[derive(Debug, Default)]
pub(crate) struct Settle;

impl Settle {
    /// Takes a call span; `count` is called for every call that is settled by it.
    pub(crate) fn offer(&mut self, call: Call, mut count: impl FnMut(&Call)) {
        count(&call);
    }
}
