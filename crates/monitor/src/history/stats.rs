//! What is known of the calls of a time.

use genai::{ErrorClass, Money, TokenClasses};

use super::histogram::Histogram;
use super::pack::{Packer, Unpacker};
use super::rings::{Cell, Step};
use crate::call::Call;

/// How many classes of errors there are.
pub(crate) const CLASSES: usize = ErrorClass::ALL.len();

/// What calls add up to. Times are nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls.
    pub requests: u64,
    /// Failed calls, in the order of [`ErrorClass::ALL`].
    pub errors: [u64; CLASSES],
    /// Tokens by class, of the calls that told their usage.
    pub tokens: TokenClasses,
    /// What they cost, as far as that is known.
    pub cost: Money,
    /// Calls without a usage report.
    pub usage_missing: u64,
    /// Calls whose cost is not known.
    pub unpriced: u64,
    /// Calls that came after a time without any and told their time to first token (of monitors only).
    pub after_idle: u64,
    /// Those of them that waited far longer than others for it.
    pub cold_starts: u64,
    /// Durations.
    pub duration: Histogram,
    /// Times to the first token.
    pub time_to_first_token: Histogram,
    /// Times per output token after the first.
    pub time_per_output_token: Histogram,
    /// Input tokens of a call.
    pub input_tokens: Histogram,
    /// Output tokens of a call.
    pub output_tokens: Histogram,
}

impl Stats {
    /// Adds a call.
    #[inline]
    pub(crate) fn record(&mut self, call: &Call<'_>) {
        if call.is_late {
            return self.record_usage(call);
        }
        self.requests += 1;
        if let Some(class) = call.error {
            self.errors[class as usize] += 1;
        }
        self.usage_missing += u64::from(call.tokens.is_none());
        self.unpriced += u64::from(call.cost.is_none());
        self.duration.record_told(call.duration);
        self.time_to_first_token.record_told(call.time_to_first_token);
        self.time_per_output_token.record_told(call.time_per_output_token);
        self.record_usage(call);
    }

    fn record_usage(&mut self, call: &Call<'_>) {
        self.tokens += call.tokens.unwrap_or_default();
        self.cost += call.cost.unwrap_or_default();
        self.input_tokens.record_told(call.input_tokens);
        self.output_tokens.record_told(call.output_tokens);
    }

    /// Failed calls.
    pub fn failed(&self) -> u64 {
        self.errors.iter().sum()
    }

    /// Failed calls of a class.
    pub fn failed_with(&self, class: ErrorClass) -> u64 {
        self.errors[class as usize]
    }

    /// The share of calls that failed; `None` without calls.
    pub fn error_rate(&self) -> Option<f64> {
        ratio(self.failed() as f64, self.requests)
    }

    /// All tokens.
    pub fn total_tokens(&self) -> u64 {
        self.total_input_tokens() + self.total_output_tokens()
    }

    /// Input tokens, cached ones included.
    pub fn total_input_tokens(&self) -> u64 {
        self.tokens.input_uncached + self.tokens.cache_read + self.tokens.cache_write
    }

    /// Output tokens, reasoning included.
    pub fn total_output_tokens(&self) -> u64 {
        self.tokens.output_visible + self.tokens.reasoning
    }

    /// The share of input tokens that came from a cache; `None` without input tokens.
    pub fn cache_share(&self) -> Option<f64> {
        ratio(self.tokens.cache_read as f64, self.total_input_tokens())
    }

    /// Dollars per call whose cost is known; `None` if none is.
    pub fn cost_per_request(&self) -> Option<f64> {
        ratio(self.cost.dollars(), self.requests.saturating_sub(self.unpriced))
    }

    fn histograms(&self) -> [&Histogram; 5] {
        [
            &self.duration,
            &self.time_to_first_token,
            &self.time_per_output_token,
            &self.input_tokens,
            &self.output_tokens,
        ]
    }

    fn histograms_mut(&mut self) -> [&mut Histogram; 5] {
        [
            &mut self.duration,
            &mut self.time_to_first_token,
            &mut self.time_per_output_token,
            &mut self.input_tokens,
            &mut self.output_tokens,
        ]
    }

    fn counts(&self) -> [u64; 10] {
        let TokenClasses { input_uncached, cache_read, cache_write, output_visible, reasoning } = self.tokens;
        [
            self.requests,
            input_uncached,
            cache_read,
            cache_write,
            output_visible,
            reasoning,
            self.usage_missing,
            self.unpriced,
            self.after_idle,
            self.cold_starts,
        ]
    }

    fn add_counts(&mut self, counts: [u64; 10]) {
        let [requests, input_uncached, cache_read, cache_write, output_visible, reasoning, rest @ ..] = counts;
        let [usage_missing, unpriced, after_idle, cold_starts] = rest;
        self.requests += requests;
        self.tokens += TokenClasses { input_uncached, cache_read, cache_write, output_visible, reasoning };
        self.usage_missing += usage_missing;
        self.unpriced += unpriced;
        self.after_idle += after_idle;
        self.cold_starts += cold_starts;
    }

    /// Adds all of a step but its distributions, which are most of what there is to read.
    pub(crate) fn add_sums_of(&mut self, step: &Step<'_, Self>) {
        match step {
            // See [`Step::add_to`].
            Step::Closed(bytes) => drop(self.add_packed_sums(&mut Unpacker::new(bytes))),
            Step::Open(open) => self.merge_sums(open),
        }
    }

    fn merge_sums(&mut self, other: &Self) {
        self.add_counts(other.counts());
        self.cost += other.cost;
        for (mine, theirs) in self.errors.iter_mut().zip(other.errors) {
            *mine += theirs;
        }
    }

    /// Adds what stands before the distributions in what was written.
    fn add_packed_sums(&mut self, packed: &mut Unpacker<'_>) -> Option<()> {
        let mut counts = [0; 10];
        for count in &mut counts {
            *count = packed.count()?;
        }
        self.add_counts(counts);
        self.cost += Money::from_pico(packed.signed()?);
        packed.sparse(CLASSES as u16, |class, count| self.errors[usize::from(class)] += count)
    }
}

pub(crate) fn ratio(part: f64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part / whole as f64)
}

impl Cell for Stats {
    fn merge(&mut self, other: &Self) {
        self.merge_sums(other);
        for (mine, theirs) in self.histograms_mut().into_iter().zip(other.histograms()) {
            mine.merge(theirs);
        }
    }

    fn pack(&self, packer: &mut Packer) {
        self.counts().into_iter().for_each(|count| packer.count(count));
        packer.signed(self.cost.pico());
        packer.sparse(self.errors.iter().enumerate().filter(|(_, count)| **count > 0).map(|(i, n)| (i as u16, *n)));
        for histogram in self.histograms() {
            packer.sparse(histogram.whole().added());
        }
    }

    fn add_packed(&mut self, packed: &mut Unpacker<'_>) -> Option<()> {
        self.add_packed_sums(packed)?;
        for histogram in self.histograms_mut() {
            packed.sparse(super::histogram::BUCKETS, |bucket, count| histogram.add(bucket, count))?;
        }
        Some(())
    }
}
