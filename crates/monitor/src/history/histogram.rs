//! Log-linear histograms of whole numbers: 16 buckets of equal width between a power of two and the next.
//!
//! Numbers below 32 are exact. Any other is told as a number whose relative distance from it is at most
//! [`RELATIVE_ERROR`]. Buckets are the same for all histograms, so merging is adding, and loses nothing.

use std::borrow::Cow;

/// log2 of the number of buckets between powers of two.
const BITS: u32 = 4;
/// Buckets between powers of two.
const LINEAR: u64 = 1 << BITS;
/// How many buckets there are, for all of `u64`.
pub(crate) const BUCKETS: u16 = ((64 - BITS) * LINEAR as u32 + LINEAR as u32) as u16;

/// The greatest relative error of a value that a histogram tells: half the width of a bucket over its middle.
pub const RELATIVE_ERROR: f64 = 1.0 / (2.0 * LINEAR as f64 + 1.0);

/// The bucket of a value.
#[inline]
pub(crate) const fn bucket(value: u64) -> u16 {
    if value < LINEAR {
        return value as u16;
    }
    let exponent = value.ilog2() - BITS;
    (exponent as u64 * LINEAR + (value >> exponent)) as u16
}

/// The least value of a bucket, and the width of the bucket.
const fn bounds(bucket: u16) -> (u64, u64) {
    let bucket = bucket as u64;
    if bucket < 2 * LINEAR {
        return (bucket, 1);
    }
    let exponent = bucket / LINEAR - 1;
    ((LINEAR + bucket % LINEAR) << exponent, 1 << exponent)
}

/// The value that stands for all of a bucket: as far from its lower as from its upper bound, relative to them.
pub(crate) fn value(bucket: u16) -> f64 {
    let (lower, width) = bounds(bucket);
    if width == 1 {
        return lower as f64;
    }
    let (lower, upper) = (lower as f64, lower as f64 + width as f64);
    2.0 * lower * upper / (lower + upper)
}

/// Values that wait at most: as many as make a histogram one line of the processor's cache.
const MOST_WAITING: usize = 18;

/// A distribution of whole numbers: nanoseconds, or tokens.
///
/// Counts of many histograms do not stay in the processor's cache. So values wait where they are at hand, and are added together: then the
/// memory of their counts is fetched at once, and not value by value.
#[derive(Debug, Clone, Default)]
#[repr(align(64))]
pub struct Histogram {
    /// The counts of buckets, from the first octave that has any to the last: a look takes no search.
    octaves: Vec<[u64; LINEAR as usize]>,
    /// Which octave the first of `octaves` is.
    first: u16,
    /// How many values are not yet in `octaves`, and their buckets.
    waiting: u16,
    buckets: [u16; MOST_WAITING],
}

const _: () = assert!(size_of::<Histogram>() == 64);

impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        let [mine, theirs] = [self, other].map(Self::whole);
        (mine.first, &mine.octaves) == (theirs.first, &theirs.octaves)
    }
}

impl Eq for Histogram {}

impl Histogram {
    /// Adds a value.
    #[inline]
    pub(crate) fn record(&mut self, value: u64) {
        if usize::from(self.waiting) == MOST_WAITING {
            self.add_waiting();
        }
        if let Some(place) = self.buckets.get_mut(usize::from(self.waiting)) {
            *place = bucket(value);
            self.waiting += 1;
        }
    }

    /// The buckets of the values that wait.
    fn waiting_buckets(&self) -> &[u16] {
        self.buckets.get(..usize::from(self.waiting)).unwrap_or_default()
    }

    /// Adds the values that wait.
    #[inline(never)]
    fn add_waiting(&mut self) {
        let buckets = self.buckets;
        buckets.into_iter().take(usize::from(self.waiting)).for_each(|bucket| self.add(bucket, 1));
        self.waiting = 0;
    }

    /// The same in which none waits.
    pub(crate) fn whole(&self) -> Cow<'_, Self> {
        if self.waiting == 0 {
            return Cow::Borrowed(self);
        }
        let mut whole = self.clone();
        whole.add_waiting();
        Cow::Owned(whole)
    }

    /// Adds a value, if it was told.
    #[inline]
    pub(crate) fn record_told(&mut self, value: Option<u64>) {
        if let Some(value) = value {
            self.record(value);
        }
    }

    /// Adds to a bucket.
    #[inline]
    pub(crate) fn add(&mut self, bucket: u16, count: u64) {
        let (octave, place) = (bucket / LINEAR as u16, usize::from(bucket % LINEAR as u16));
        // Below the first, the difference wraps around to what there is no octave for.
        let at = usize::from(octave.wrapping_sub(self.first));
        match self.octaves.get_mut(at) {
            Some(counts) => counts[place] += count,
            None => self.widen(octave)[place] += count,
        }
    }

    /// Makes room for an octave that there is not yet.
    #[cold]
    fn widen(&mut self, octave: u16) -> &mut [u64; LINEAR as usize] {
        const NOTHING: [u64; LINEAR as usize] = [0; LINEAR as usize];
        if self.octaves.is_empty() {
            self.first = octave;
        }
        let missing = usize::from(self.first.saturating_sub(octave));
        self.octaves.splice(..0, std::iter::repeat_n(NOTHING, missing));
        self.first = self.first.min(octave);
        let at = usize::from(octave - self.first);
        let octaves = self.octaves.len().max(at + 1);
        self.octaves.resize(octaves, NOTHING);
        &mut self.octaves[at]
    }

    /// Adds all of another one.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in other.added() {
            self.add(bucket, count);
        }
        other.waiting_buckets().iter().for_each(|bucket| self.add(*bucket, 1));
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.octaves.as_flattened().iter().sum::<u64>() + u64::from(self.waiting)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.octaves.is_empty() && self.waiting == 0
    }

    /// The value that the share `quantile` (0 to 1) of all is not above, by nearest rank, within [`RELATIVE_ERROR`];
    /// `None` if there are no values.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let count = self.count();
        let rank = ((quantile * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut below = 0;
        self.whole().added().find_map(|(bucket, count)| {
            below += count;
            (below >= rank).then(|| value(bucket))
        })
    }

    /// The values that stand for the buckets, ascending, and how many there are of each: what a chart of the distribution draws.
    pub fn values(&self) -> Vec<(f64, u64)> {
        self.whole().added().map(|(bucket, count)| (value(bucket), count)).collect()
    }

    /// Buckets that have something, ascending; of values that wait, nothing: see [`Histogram::whole`].
    pub(crate) fn added(&self) -> impl Iterator<Item = (u16, u64)> + Clone + '_ {
        let from = self.first * LINEAR as u16;
        let counts = (from..).zip(self.octaves.as_flattened());
        counts.filter(|(_, count)| **count > 0).map(|(bucket, count)| (bucket, *count))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Values of all sizes.
    fn values() -> impl Strategy<Value = Vec<u64>> {
        proptest::collection::vec((any::<u64>(), 0u32..64).prop_map(|(value, shift)| value >> shift), 1..300)
    }

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|value| histogram.record(*value));
        histogram
    }

    // Buckets follow each other without gap, and the last of all is that of the greatest number.
    #[test]
    fn buckets_are_in_order() {
        for number in 0..BUCKETS {
            let (lower, width) = bounds(number);
            assert_eq!((bucket(lower), bucket(lower + (width - 1))), (number, number));
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    proptest! {
        // Every quantile is within the stated relative error of that of the sorted values.
        #[test]
        fn quantiles_are_those_of_the_sorted_values(mut values in values(), quantile in 0.0..=1.0) {
            let told = of(&values).quantile(quantile).unwrap();
            values.sort_unstable();
            let rank = ((quantile * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1] as f64;
            prop_assert!((told - exact).abs() <= exact * RELATIVE_ERROR * (1.0 + 1e-12), "{told} for {exact}");
        }

        // Values that wait are counted as those that do not, wherever that is asked.
        #[test]
        fn values_that_wait_are_told(values in proptest::collection::vec(0..40u64, 0..3 * MOST_WAITING)) {
            let (recorded, mut added) = (of(&values), Histogram::default());
            values.iter().for_each(|value| added.add(bucket(*value), 1));
            prop_assert_eq!((recorded.count(), recorded.is_empty()), (values.len() as u64, values.is_empty()));
            prop_assert_eq!(recorded.values(), added.values());
            prop_assert_eq!(recorded.quantile(0.5), added.quantile(0.5));
            prop_assert_eq!(recorded, added);
        }

        // Merging gives the histogram of all values.
        #[test]
        fn merging_is_adding(first in values(), second in values()) {
            let mut merged = of(&first);
            merged.merge(&of(&second));
            prop_assert_eq!(merged, of(&[first, second].concat()));
        }
    }
}
