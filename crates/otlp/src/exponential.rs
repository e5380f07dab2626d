//! Base-2 exponential histograms of OTLP's data model, of measurements that are not negative.
//!
//! Bucket `i` counts what lies above `base^i` and not above `base^(i+1)`, with `base = 2^(2^-scale)`. Where the measurements lie too far
//! apart for [`MAX_BUCKETS`], the scale is lowered until they do not. So it depends on the least and the greatest of them alone, and
//! neither the order of measurements nor that of merges changes anything.

use std::collections::VecDeque;

use opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use otel_arrow_dfe_expohisto::{MIN_SCALE, Scale, table_scale};

/// How many buckets a histogram has at most, as the OpenTelemetry SDKs have it.
pub const MAX_BUCKETS: usize = 160;

/// A distribution, without sum, minimum and maximum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exponential {
    scale: i32,
    zeros: u64,
    /// The number of the first bucket.
    offset: i32,
    /// From the first bucket to the last that have something.
    counts: VecDeque<u64>,
}

impl Default for Exponential {
    fn default() -> Self {
        Self { scale: FINEST, zeros: 0, offset: 0, counts: VecDeque::new() }
    }
}

/// The scale of measurements that lie close together: a base of 1.0027.
const FINEST: i32 = table_scale();

/// The bucket of a positive number at a scale. Exact: a bound belongs to the bucket below it.
fn bucket(value: f64, scale: i32) -> i32 {
    let finest = Scale::new(FINEST).map_or(0, |finest| finest.map_to_index(value.min(f64::MAX)));
    finest >> (FINEST - scale)
}

impl Exponential {
    /// One that was told; `None` if no measurements come to it: a scale that there is not, more than [`MAX_BUCKETS`], an empty
    /// bucket at an end, or buckets that no number lies in.
    pub fn of_parts(scale: i32, zeros: u64, offset: i32, counts: Vec<u64>) -> Option<Self> {
        if counts.is_empty() {
            let is_sound = (scale, offset) == (FINEST, 0);
            return is_sound.then(|| Self { zeros, ..Self::default() });
        }
        if !(MIN_SCALE..=FINEST).contains(&scale) || counts.len() > MAX_BUCKETS {
            return None;
        }
        let ends_are_used = counts.first() > Some(&0) && counts.last() > Some(&0);
        let last = offset.checked_add(counts.len() as i32 - 1)?;
        let all = bucket(f64::MIN_POSITIVE, scale)..=bucket(f64::MAX, scale);
        let is_sound = ends_are_used && all.contains(&offset) && all.contains(&last);
        is_sound.then(|| Self { scale, zeros, offset, counts: counts.into() })
    }

    /// Scale, how many zeros, the number of the first bucket, and the buckets: what [`Exponential::of_parts`] takes.
    pub fn parts(&self) -> (i32, u64, i32, Vec<u64>) {
        (self.scale, self.zeros, self.offset, self.counts.iter().copied().collect())
    }

    /// Adds a measurement as often as it was made. What is not above zero counts as zero.
    #[inline]
    pub fn record(&mut self, value: f64, times: u64) {
        if times == 0 {
            return;
        }
        match value > 0.0 {
            true => self.add(bucket(value, self.scale), times),
            false => self.zeros += times,
        }
    }

    /// Adds to the bucket of a number at the present scale.
    fn add(&mut self, index: i32, count: u64) {
        let shift = self.make_room(index, index);
        let index = index >> shift;
        if let Some(place) = self.counts.get_mut((index - self.offset) as usize) {
            *place += count;
        }
    }

    /// Makes buckets from `first` to `last` at the present scale; tells by how much the scale had to be lowered for it.
    fn make_room(&mut self, first: i32, last: i32) -> i32 {
        if self.counts.is_empty() {
            self.offset = first;
        }
        let (first, last) = (first.min(self.offset), last.max(self.last()));
        let fits = |shift: &i32| ((last >> shift) - (first >> shift)) < MAX_BUCKETS as i32;
        let shift = (0..i32::BITS as i32 - 1).find(fits).unwrap_or_default();
        self.lower(shift);
        let (first, last) = (first >> shift, last >> shift);
        while self.offset > first {
            self.counts.push_front(0);
            self.offset -= 1;
        }
        while self.last() < last {
            self.counts.push_back(0);
        }
        shift
    }

    /// The number of the last bucket.
    fn last(&self) -> i32 {
        self.offset + self.counts.len() as i32 - 1
    }

    /// Lowers the scale: each time two neighbours become one.
    fn lower(&mut self, shift: i32) {
        if shift == 0 {
            return;
        }
        let offset = self.offset >> shift;
        let mut lowered = VecDeque::new();
        for (index, count) in (self.offset..).zip(&self.counts) {
            let place = ((index >> shift) - offset) as usize;
            if place == lowered.len() {
                lowered.push_back(0);
            }
            lowered[place] += count;
        }
        (self.scale, self.offset, self.counts) = (self.scale - shift, offset, lowered);
    }

    /// Adds all of another one.
    pub fn merge(&mut self, other: &Self) {
        self.zeros += other.zeros;
        if other.counts.is_empty() {
            return;
        }
        let difference = self.scale - other.scale;
        self.lower(difference.max(0));
        let shift = (-difference).max(0);
        let shift = shift + self.make_room(other.offset >> shift, other.last() >> shift);
        for (index, count) in (other.offset..).zip(&other.counts) {
            if let Some(place) = self.counts.get_mut(((index >> shift) - self.offset) as usize) {
                *place += count;
            }
        }
    }

    /// How many measurements there are.
    pub fn count(&self) -> u64 {
        self.zeros + self.counts.iter().sum::<u64>()
    }

    /// The distribution of a point; `None` if it has negative measurements, zeros that are none, or is not as [`Exponential::of_parts`]
    /// takes it.
    pub fn of_point(point: &ExponentialHistogramDataPoint) -> Option<Self> {
        let is_empty =
            |buckets: &Option<Buckets>| buckets.as_ref().is_none_or(|buckets| buckets.bucket_counts.is_empty());
        if !is_empty(&point.negative) || point.zero_threshold > 0.0 {
            return None;
        }
        let positive = point.positive.clone().unwrap_or_default();
        Self::of_parts(point.scale, point.zero_count, positive.offset, positive.bucket_counts)
    }

    /// Writes the distribution into a point, and how many measurements it has.
    pub fn write(&self, point: &mut ExponentialHistogramDataPoint) {
        let (scale, zeros, offset, bucket_counts) = self.parts();
        point.count = self.count();
        (point.scale, point.zero_count, point.zero_threshold) = (scale, zeros, 0.0);
        point.positive = Some(Buckets { offset, bucket_counts });
        point.negative = None;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Exponential {
        let mut histogram = Exponential::default();
        values.iter().for_each(|value| histogram.record(*value, 1));
        histogram
    }

    /// The buckets that have something, by the logarithm of each value at the finest scale at which there are not too many.
    fn naive(values: &[f64]) -> (i32, BTreeMap<i32, u64>) {
        let at = |scale: i32| {
            let mut buckets = BTreeMap::new();
            for value in values.iter().filter(|value| **value > 0.0) {
                let index = (value.log2() * f64::from(scale).exp2()).ceil() as i32 - 1;
                *buckets.entry(index).or_default() += 1;
            }
            (scale, buckets)
        };
        let fits = |(_, buckets): &(i32, BTreeMap<i32, u64>)| {
            let ends = buckets.first_key_value().zip(buckets.last_key_value());
            ends.is_none_or(|((first, _), (last, _))| last - first < MAX_BUCKETS as i32)
        };
        (MIN_SCALE..=FINEST).rev().map(at).find(fits).unwrap()
    }

    fn used(histogram: &Exponential) -> (i32, BTreeMap<i32, u64>) {
        let (scale, _, offset, counts) = histogram.parts();
        (scale, (offset..).zip(counts).filter(|(_, count)| *count > 0).collect())
    }

    /// Values that lie close together, values of all sizes, and zeros.
    fn values() -> impl Strategy<Value = Vec<f64>> {
        let value = (-30.0..30.0f64, prop::bool::weighted(0.1)).prop_map(|(size, is_zero)| match is_zero {
            true => 0.0,
            false => size.exp2(),
        });
        (proptest::collection::vec(value, 0..60), 0.0..1.0f64)
            .prop_map(|(values, spread)| values.iter().map(|value| value.powf(spread)).collect())
    }

    // A bound belongs to the bucket below it, exactly, at every scale; the least and the greatest number have buckets.
    #[test]
    fn bounds_are_inclusive() {
        for scale in MIN_SCALE..=FINEST {
            let index = |exponent: i32| bucket(f64::from(exponent).exp2(), scale);
            for exponent in [-40, -1, 0, 1, 17] {
                let above = (exponent << FINEST) >> (FINEST - scale);
                let below = ((exponent << FINEST) - 1) >> (FINEST - scale);
                assert_eq!((index(exponent), bucket(f64::from(exponent).exp2().next_up(), scale)), (below, above));
            }
        }
        let histogram = of(&[f64::MIN_POSITIVE / 2.0, f64::MAX, f64::INFINITY]);
        assert_eq!(used(&histogram), (-4, BTreeMap::from([(-64, 1), (63, 2)])));
    }

    // What was told amiss is no histogram.
    #[test]
    fn parts_are_checked() {
        let taken = |scale, offset, counts: &[u64]| Exponential::of_parts(scale, 0, offset, counts.to_vec()).is_some();
        assert!(taken(FINEST, 0, &[]) && taken(3, -7, &[1, 0, 2]) && taken(-10, -1, &[1, 1]));
        assert!(!taken(3, 0, &[]) && !taken(FINEST, 1, &[]));
        assert!(!taken(FINEST + 1, 0, &[1]) && !taken(MIN_SCALE - 1, 0, &[1]));
        assert!(!taken(3, 0, &[0, 1]) && !taken(3, 0, &[1, 0]) && !taken(3, 0, &[1; MAX_BUCKETS + 1]));
        assert!(!taken(3, i32::MAX, &[1, 1]) && !taken(3, 1 << 20, &[1]) && !taken(-10, -2, &[1]));
    }

    proptest! {
        // The buckets are those of the logarithms, at the finest scale there is room for; zeros are counted, and nothing else changes.
        #[test]
        fn buckets_are_those_of_the_logarithms(values in values()) {
            let histogram = of(&values);
            prop_assert_eq!(used(&histogram), naive(&values));
            prop_assert_eq!(histogram.count(), values.len() as u64);
            let (scale, zeros, offset, counts) = histogram.parts();
            prop_assert_eq!(zeros, values.iter().filter(|value| **value == 0.0).count() as u64);
            prop_assert_eq!(Exponential::of_parts(scale, zeros, offset, counts), Some(histogram.clone()));
            let mut point = ExponentialHistogramDataPoint::default();
            histogram.write(&mut point);
            prop_assert_eq!(point.count, values.len() as u64);
            prop_assert_eq!(Exponential::of_point(&point), Some(histogram));
        }

        // Merging gives the histogram of all values, whichever comes first and however differently they lie.
        #[test]
        fn merging_is_adding(first in values(), second in values()) {
            let whole = of(&[first.clone(), second.clone()].concat());
            let (first, second) = (of(&first), of(&second));
            for (mut merged, other) in [(first.clone(), &second), (second.clone(), &first)] {
                merged.merge(other);
                prop_assert_eq!(&merged, &whole);
            }
        }
    }
}
