//! Drift: do calls read and write as many tokens as they used to?

use crate::history::{Histogram, Rings, Stats, level_for, window};
use crate::statistics::population_stability;
use crate::time::{DAY, HOUR, Range};

/// Whose tokens are compared with their past.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftDefinition {
    /// The monitor.
    pub monitor: String,
    /// How far back calls are new, in nanoseconds.
    pub window: u64,
    /// How far back before that calls are the reference, in nanoseconds.
    pub reference: u64,
    /// With fewer calls of either nothing is said.
    pub minimum_requests: u64,
}

impl DriftDefinition {
    /// A drift with the defaults: an hour against the week before it, 200 calls of either.
    pub fn new(monitor: &str) -> Self {
        Self { monitor: monitor.to_owned(), window: HOUR, reference: 7 * DAY, minimum_requests: 200 }
    }
}

/// Which tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tokens {
    /// Input tokens of a call.
    Input,
    /// Output tokens of a call.
    Output,
}

impl Tokens {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Input, Self::Output];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }

    const fn of(self, stats: &Stats) -> &Histogram {
        match self {
            Self::Input => &stats.input_tokens,
            Self::Output => &stats.output_tokens,
        }
    }
}

/// How far tokens have drifted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DriftReport {
    /// When new calls end, nanoseconds since the Unix epoch.
    pub at: u64,
    /// New calls.
    pub requests: u64,
    /// Calls of the reference.
    pub reference_requests: u64,
    /// The population stability index of input and output tokens, in the order of [`Tokens::ALL`]: below 0.1 nothing
    /// happened, above 0.25 they are another population. `None` with too few calls that tell theirs.
    pub index: [Option<f64>; 2],
}

/// Compares the newest calls with those before them.
pub(crate) fn report(rings: &Rings<Stats>, definition: &DriftDefinition, now: u64) -> DriftReport {
    let current = rings.window(now, definition.window);
    let level = level_for(definition.window + definition.reference);
    let new_from = window(level_for(definition.window), now, definition.window).from;
    let mut reference = Stats::default();
    rings.sum(level, Range::before(new_from, definition.reference), &mut reference);
    let index = Tokens::ALL.map(|tokens| {
        let [before, after] = [&reference, &current].map(|stats| tokens.of(stats));
        let is_enough = [before, after].iter().all(|tokens| tokens.count() >= definition.minimum_requests);
        if is_enough { population_stability(before, after) } else { None }
    });
    DriftReport { at: now, requests: current.requests, reference_requests: reference.requests, index }
}
