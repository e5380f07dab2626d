//! What is counted of the work itself, whatever application it was done for.

use genai::Inconsistency;

use crate::outcome::Outcome;

/// Something that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counted {
    /// A span, by what became of it and why.
    Span(Outcome, &'static str),
    /// A usage that contradicts itself.
    Inconsistent(Inconsistency),
    /// A call that was counted before its time.
    SettledEarly,
    /// A call span that has the ids of another one and other content: both are kept.
    IdConflict,
}

/// How often each was counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    // There are a few dozen at the most, and the first few are nearly all.
    counts: Vec<(Counted, u64)>,
}

impl Tally {
    pub(crate) fn add(&mut self, what: Counted, count: u64) {
        match self.counts.iter_mut().find(|(known, _)| *known == what) {
            Some((_, sum)) => *sum += count,
            None => self.counts.push((what, count)),
        }
    }

    /// Adds all of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (what, count) in &other.counts {
            self.add(*what, *count);
        }
    }

    pub(crate) fn get(&self, what: Counted) -> u64 {
        self.counts.iter().find(|(known, _)| *known == what).map_or(0, |(_, count)| *count)
    }

    /// Spans that have an outcome.
    pub(crate) fn spans(&self) -> u64 {
        self.counts.iter().filter(|(what, _)| matches!(what, Counted::Span(..))).map(|(_, count)| count).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// In an order that does not depend on what came first.
    pub(crate) fn sorted(&self) -> Vec<(Counted, u64)> {
        let mut counts = self.counts.clone();
        counts.sort_unstable();
        counts
    }
}
