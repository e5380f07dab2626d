//! Counts in as little memory as they need.

use nonmax::NonMaxU32;

use super::Usage;

/// A [`Usage`] in half of its memory: no count is above [`Usage::MOST`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactUsage([Option<NonMaxU32>; 6]);

impl CompactUsage {
    /// Nothing is told.
    pub const NONE: Self = Self([None; 6]);

    /// What it was made of.
    #[inline]
    pub fn get(self) -> Usage {
        let [input, cache_read, cache_write, cache_write_1h, output, reasoning] =
            self.0.map(|count| count.map(|count| count.get()));
        Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning }
    }
}

impl From<Usage> for CompactUsage {
    #[inline]
    fn from(usage: Usage) -> Self {
        let Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning } = usage;
        let counts = [input, cache_read, cache_write, cache_write_1h, output, reasoning];
        Self(counts.map(|count| count.and_then(|count| NonMaxU32::new(count.min(Usage::MOST)))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        // A usage comes out as it went in; only what no usage holds is cut.
        #[test]
        fn usage_stays(counts in proptest::array::uniform6(proptest::option::of(any::<u32>()))) {
            let usage = |[input, cache_read, cache_write, cache_write_1h, output, reasoning]: [Option<u32>; 6]| {
                Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning }
            };
            let cut = counts.map(|count| count.map(|count| count.min(Usage::MOST)));
            prop_assert_eq!(CompactUsage::from(usage(counts)).get(), usage(cut));
        }
    }
}
