//! Explicit-bucket histograms with true minimum and maximum, and an exemplar a bucket; beside that exponential ones, if a destination
//! asks for them.

use genai::SpanFacts;
use otlp::exponential::Exponential;

/// Bounds of token counts (semconv 1.41, `gen_ai.client.token.usage`).
pub(crate) const TOKENS: &[f64] = &[
    1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0,
    67108864.0,
];
/// Bounds of durations in seconds (semconv 1.41, `gen_ai.client.operation.duration`), continued to 655.36: a p99 of a slow
/// model that lies beyond the last bound is no p99.
pub(crate) const SECONDS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36];
/// Bounds of agents' durations in seconds (semantic-conventions-genai, `gen_ai.invoke_agent.duration`), continued likewise.
pub(crate) const AGENT_SECONDS: &[f64] =
    &[0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6, 819.2];
/// Bounds of times per output token in seconds (semconv 1.41, `gen_ai.server.time_per_output_token`).
pub(crate) const TOKEN_SECONDS: &[f64] = &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];
/// Bounds of evaluation scores. Nobody says on which scale a score is, so these fit the four that are used: 0 to 1 in tenths; -1
/// to 1, whose lower half is rarer and coarser; 1 to 5, a bucket a grade; and 0 to 100 in tens, up to which grades of 1 to 10
/// are told apart in two.
pub(crate) const SCORES: &[f64] = &[
    -1.0, -0.5, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0, 30.0, 40.0,
    50.0, 60.0, 70.0, 80.0, 90.0, 100.0,
];

/// What measurements are sorted into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Buckets {
    /// Upper bounds, ascending.
    pub(crate) bounds: &'static [f64],
    /// Whether an exponential histogram is kept beside.
    pub(crate) exponential: bool,
}

/// A measurement that leads to its trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Exemplar {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    /// When it was measured, nanoseconds since the Unix epoch.
    pub(crate) time: u64,
    pub(crate) value: f64,
}

/// A measurement of each bucket that has one: of an interval the first, of several that of the newest. One is enough to lead to a trace,
/// and replacing it at every measurement would cost more than counting.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Exemplars {
    /// A bit for each bucket that has one.
    buckets: u32,
    /// By the numbers of their buckets, in no order.
    kept: Vec<(u8, Exemplar)>,
}

impl Exemplars {
    fn has(&self, bucket: u8) -> bool {
        self.buckets & bit(bucket) != 0
    }

    #[cold]
    fn keep(&mut self, bucket: u8, exemplar: Exemplar) {
        self.buckets |= bit(bucket);
        match self.kept.iter_mut().find(|(place, _)| *place == bucket) {
            Some((_, kept)) => *kept = exemplar,
            None => self.kept.push((bucket, exemplar)),
        }
    }

    /// All of them, with the numbers of their buckets.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, (u8, Exemplar)> {
        self.kept.iter()
    }
}

impl FromIterator<(u8, Exemplar)> for Exemplars {
    fn from_iter<I: IntoIterator<Item = (u8, Exemplar)>>(kept: I) -> Self {
        let mut exemplars = Self::default();
        kept.into_iter().for_each(|(bucket, exemplar)| exemplars.keep(bucket, exemplar));
        exemplars
    }
}

/// The bit of a bucket. No list of bounds has more than 31.
const fn bit(bucket: u8) -> u32 {
    1 << (bucket % u32::BITS as u8)
}

/// Where a measurement comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    pub(crate) time: u64,
}

impl Origin {
    pub(crate) fn of_span(facts: &SpanFacts, receive_time: u64) -> Self {
        Self { trace_id: facts.trace_id, span_id: facts.span_id, time: facts.time(receive_time) }
    }
}

/// A histogram over bounds that its owner knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Histogram {
    /// One more than there are bounds; empty until the first measurement.
    pub(crate) counts: Box<[u64]>,
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) exemplars: Exemplars,
    /// The same measurements, if they are kept in this way too.
    pub(crate) exponential: Option<Box<Exponential>>,
}

impl Histogram {
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a measurement to the bucket whose upper bound is the first that is not below it.
    pub(crate) fn record(&mut self, buckets: Buckets, value: f64, origin: &Origin) {
        let bucket = self.add(buckets, value);
        if !self.exemplars.has(bucket) {
            let exemplar = Exemplar { trace_id: origin.trace_id, span_id: origin.span_id, time: origin.time, value };
            self.exemplars.keep(bucket, exemplar);
        }
    }

    /// Adds a measurement that leads to no trace; tells its bucket.
    pub(crate) fn add(&mut self, buckets: Buckets, value: f64) -> u8 {
        let Buckets { bounds, exponential } = buckets;
        if self.counts.is_empty() {
            self.counts = vec![0; bounds.len() + 1].into();
            (self.min, self.max) = (value, value);
            self.exponential = exponential.then(Box::default);
        }
        if let Some(exponential) = &mut self.exponential {
            exponential.record(value, 1);
        }
        // Few bounds are compared faster all at once than one after the other.
        let bucket: usize = bounds.iter().map(|bound| usize::from(*bound < value)).sum();
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        bucket as u8
    }

    /// Adds what `newer` measured over the same bounds.
    pub(crate) fn merge(&mut self, newer: &Self) {
        if newer.is_empty() {
            return;
        }
        if self.is_empty() {
            *self = newer.clone();
            return;
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&newer.counts) {
            *mine += theirs;
        }
        self.count += newer.count;
        self.sum += newer.sum;
        self.min = self.min.min(newer.min);
        self.max = self.max.max(newer.max);
        for &(bucket, exemplar) in newer.exemplars.iter() {
            self.exemplars.keep(bucket, exemplar);
        }
        if let (Some(mine), Some(theirs)) = (&mut self.exponential, &newer.exponential) {
            mine.merge(theirs);
        }
    }

    /// Keeps the measurements as an exponential histogram from now on, or no more. Those that were not kept so are taken to lie on the
    /// upper bound of their bucket, as nobody knows better.
    pub(crate) fn keep_exponential(&mut self, buckets: Buckets) {
        if self.exponential.is_some() != buckets.exponential {
            self.exponential = (buckets.exponential && !self.is_empty()).then(|| {
                let uppers = buckets.bounds.iter().copied().chain([f64::INFINITY]);
                let mut kept = Box::<Exponential>::default();
                for (upper, count) in uppers.zip(&self.counts) {
                    kept.record(upper.clamp(self.min, self.max), *count);
                }
                kept
            });
        }
    }

    /// The value below which the share `quantile` of the measurements lies, by linear interpolation in its bucket, as
    /// Prometheus does, but within the true minimum and maximum. `None` if nothing was measured.
    pub(crate) fn quantile(&self, bounds: &[f64], quantile: f64) -> Option<f64> {
        if self.is_empty() {
            return None;
        }
        let rank = quantile * self.count as f64;
        let mut below = 0.0;
        for (bucket, &count) in self.counts.iter().enumerate() {
            let count = count as f64;
            if count > 0.0 && below + count >= rank {
                let lower = bucket.checked_sub(1).and_then(|i| bounds.get(i)).copied().unwrap_or(0.0).max(self.min);
                let upper = bounds.get(bucket).copied().unwrap_or(self.max).min(self.max);
                return Some(lower + (upper - lower) * ((rank - below) / count).clamp(0.0, 1.0));
            }
            below += count;
        }
        Some(self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORIGIN: Origin = Origin { trace_id: [1; 16], span_id: [2; 8], time: 3 };

    const BUCKETS: Buckets = Buckets { bounds: SECONDS, exponential: true };

    fn of(values: &[f64]) -> Histogram {
        let mut histogram = Histogram::default();
        for &value in values {
            histogram.record(BUCKETS, value, &ORIGIN);
        }
        histogram
    }

    // Bounds are upper bounds, inclusive, as OTLP and Prometheus have them.
    #[test]
    fn a_value_on_a_bound_belongs_below_it() {
        let histogram = of(&[0.01, 0.010001, 0.0, 1000.0]);
        assert_eq!((histogram.counts[0], histogram.counts[1], histogram.counts[17]), (2, 1, 1));
        assert_eq!((histogram.min, histogram.max, histogram.count), (0.0, 1000.0, 4));
    }

    // What was measured before exponential histograms were asked for counts in them, within its bucket; and nothing is kept of them when they
    // are asked for no more.
    #[test]
    fn exponential_histograms_begin_with_what_there_is() {
        let explicit = Buckets { exponential: false, ..BUCKETS };
        let mut histogram = Histogram::default();
        [0.0, 0.015, 0.017, 700.0].iter().for_each(|value| histogram.record(explicit, *value, &ORIGIN));
        assert_eq!(histogram.exponential, None);
        histogram.keep_exponential(BUCKETS);
        assert_eq!(histogram.exponential, of(&[0.01, 0.02, 0.02, 700.0]).exponential);
        let before = histogram.clone();
        histogram.keep_exponential(BUCKETS);
        assert_eq!(histogram, before);
        histogram.keep_exponential(explicit);
        assert_eq!(histogram.exponential, None);
    }

    // Each bucket has an exemplar: the first of its interval; of several intervals, that of the newest that has one.
    #[test]
    fn exemplars_are_the_first_of_the_newest_interval() {
        let of = |spans: &[(u8, f64)]| {
            let mut histogram = Histogram::default();
            for &(span, value) in spans {
                histogram.record(BUCKETS, value, &Origin { span_id: [span; 8], ..ORIGIN });
            }
            histogram
        };
        let kept = |histogram: &Histogram| -> Vec<(u8, u8)> {
            let mut kept: Vec<_> =
                histogram.exemplars.iter().map(|(bucket, kept)| (*bucket, kept.span_id[0])).collect();
            kept.sort_unstable();
            kept
        };
        let mut cumulative = of(&[(1, 0.01), (2, 0.01), (3, 1000.0), (4, 1000.0)]);
        assert_eq!(kept(&cumulative), [(0, 1), (17, 3)]);
        cumulative.merge(&of(&[(5, 0.01), (6, 0.015), (7, 0.01)]));
        assert_eq!(kept(&cumulative), [(0, 5), (1, 6), (17, 3)]);
        let restored: Exemplars = cumulative.exemplars.iter().copied().collect();
        assert_eq!(restored, cumulative.exemplars);
    }

    proptest! {
        // Merging intervals gives what one histogram of all measurements would hold, and quantiles stay within the data.
        #[test]
        fn merging_is_adding(first in proptest::collection::vec(0.0..2000.0, 0..50), second in proptest::collection::vec(0.0..2000.0, 0..50)) {
            let mut merged = of(&first);
            merged.merge(&of(&second));
            let all: Vec<f64> = first.iter().chain(&second).copied().collect();
            let whole = of(&all);
            prop_assert_eq!(&merged.counts, &whole.counts);
            prop_assert_eq!((merged.count, merged.min, merged.max), (whole.count, whole.min, whole.max));
            prop_assert_eq!(&merged.exponential, &whole.exponential);
            prop_assert_eq!(merged.exponential.as_ref().map_or(0, |exponential| exponential.count()), merged.count);
            prop_assert!((merged.sum - whole.sum).abs() <= 1e-9 * whole.sum.abs());
            if let Some(p95) = merged.quantile(SECONDS, 0.95) {
                prop_assert!((merged.min..=merged.max).contains(&p95));
            }
        }
    }
}
