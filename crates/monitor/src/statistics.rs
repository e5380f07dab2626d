//! The tests behind canaries and drift.

use crate::history::Histogram;

/// A test of whether two samples differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Test {
    /// How many standard deviations the second sample lies above the first, if both are the same in truth.
    pub z: f64,
    /// How probable a difference is that is at least as large in either direction, if both are the same in truth.
    pub p: f64,
}

impl Test {
    fn two_sided(z: f64) -> Self {
        Self { z, p: libm::erfc(z.abs() / std::f64::consts::SQRT_2) }
    }
}

/// The two-proportion z test, pooled: `hits` of `trials`, first and second. `None` if a sample is empty. Where all or none hit,
/// there is no difference.
pub(crate) fn two_proportions(hits: [u64; 2], trials: [u64; 2]) -> Option<Test> {
    let [hits_a, hits_b] = hits.map(|hits| hits as f64);
    let [trials_a, trials_b] = trials.map(|trials| trials as f64);
    if trials.contains(&0) {
        return None;
    }
    let pooled = (hits_a + hits_b) / (trials_a + trials_b);
    let deviation = (pooled * (1.0 - pooled) * (1.0 / trials_a + 1.0 / trials_b)).sqrt();
    let difference = hits_b / trials_b - hits_a / trials_a;
    Some(Test::two_sided(if deviation > 0.0 { difference / deviation } else { 0.0 }))
}

/// What a rank test says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankTest {
    /// The test itself.
    pub test: Test,
    /// How probable it is that a value of the second sample is greater than one of the first, ties counted half.
    pub superiority: f64,
}

/// The Mann-Whitney test (normal approximation, corrected for ties and continuity) of two histograms, whose values are ties
/// within a bucket. `None` if a sample is empty.
pub(crate) fn rank_test(first: &Histogram, second: &Histogram) -> Option<RankTest> {
    let (count_a, count_b) = (first.count() as f64, second.count() as f64);
    if count_a == 0.0 || count_b == 0.0 {
        return None;
    }
    let total = count_a + count_b;
    let (mut below, mut ranks_b, mut ties) = (0.0, 0.0, 0.0);
    for [a, b] in side_by_side(first, second) {
        let tied = (a + b) as f64;
        ranks_b += b as f64 * (below + (tied + 1.0) / 2.0);
        ties += tied * tied * tied - tied;
        below += tied;
    }
    let wins_b = ranks_b - count_b * (count_b + 1.0) / 2.0;
    let expected = count_a * count_b / 2.0;
    let variance = count_a * count_b / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    let difference = wins_b - expected;
    let continuous = difference.signum() * (difference.abs() - 0.5).max(0.0);
    let z = if variance > 0.0 { continuous / variance.sqrt() } else { 0.0 };
    Some(RankTest { test: Test::two_sided(z), superiority: wins_b / (count_a * count_b) })
}

/// The counts of two histograms in the buckets that either has, ascending.
fn side_by_side(first: &Histogram, second: &Histogram) -> Vec<[u64; 2]> {
    let (first, second) = (first.whole(), second.whole());
    let (mut a, mut b) = (first.added().peekable(), second.added().peekable());
    let counts = std::iter::from_fn(|| {
        let next = [a.peek(), b.peek()].into_iter().flatten().map(|(bucket, _)| *bucket).min()?;
        let count = |counted: Option<(u16, u64)>| counted.map_or(0, |(_, count)| count);
        Some([count(a.next_if(|(bucket, _)| *bucket == next)), count(b.next_if(|(bucket, _)| *bucket == next))])
    });
    counts.collect()
}

/// The share that an empty bin counts as.
const EMPTY: f64 = 1e-4;
/// Into how many parts a reference is divided.
const PARTS: u64 = 10;

/// The population stability index of a distribution against a reference. Bins are tenths of the reference, as far as its
/// buckets allow, and one for what lies below and one for what lies above all of it. Below 0.1 nothing happened, above 0.25
/// the population is another. `None` if either is empty.
pub(crate) fn population_stability(reference: &Histogram, current: &Histogram) -> Option<f64> {
    let counts = [reference.count(), current.count()];
    if counts.contains(&0) {
        return None;
    }
    let mut bins = [[0, 0]; PARTS as usize + 2];
    let mut below = 0;
    for [expected, actual] in side_by_side(reference, current) {
        let part = below * PARTS / counts[0];
        let bin = if below == 0 && expected == 0 { 0 } else { part as usize + 1 };
        bins[bin][0] += expected;
        bins[bin][1] += actual;
        below += expected;
    }
    let stability = |[expected, actual]: [u64; 2]| {
        let expected = (expected as f64 / counts[0] as f64).max(EMPTY);
        let actual = (actual as f64 / counts[1] as f64).max(EMPTY);
        (actual - expected) * (actual / expected).ln()
    };
    Some(bins.into_iter().map(stability).sum())
}
