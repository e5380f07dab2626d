//! Closed cells as bytes: variable-length numbers, and of histograms only what is there. Most of a history is closed.

use prost::encoding::{decode_varint, encode_varint};

/// More than can be counted in a step, and little enough that sums of all steps have room. What is more is cut to it.
const MAX_COUNT: u64 = 1 << 40;
/// More pico-dollars than calls can cost. What is more is cut to it.
const MAX_AMOUNT: i128 = 1 << 110;

/// Writes a cell.
#[derive(Debug, Default)]
pub(crate) struct Packer {
    bytes: Vec<u8>,
}

impl Packer {
    /// The bytes of what was written since the last time.
    pub(crate) fn take(&mut self) -> Box<[u8]> {
        let packed = self.bytes.as_slice().into();
        self.bytes.clear();
        packed
    }

    pub(crate) fn count(&mut self, count: u64) {
        encode_varint(count.min(MAX_COUNT), &mut self.bytes);
    }

    pub(crate) fn signed(&mut self, amount: i128) {
        let amount = amount.clamp(-MAX_AMOUNT, MAX_AMOUNT);
        let zigzag = (amount << 1 ^ amount >> 127) as u128;
        encode_varint(zigzag as u64 & LOW, &mut self.bytes);
        encode_varint((zigzag >> LOW_BITS) as u64, &mut self.bytes);
    }

    /// Ascending numbers and what is counted of each.
    pub(crate) fn sparse(&mut self, counts: impl Iterator<Item = (u16, u64)> + Clone) {
        self.count(counts.clone().count() as u64);
        let mut next = 0;
        for (number, count) in counts {
            self.count(u64::from(number - next));
            self.count(count);
            next = number + 1;
        }
    }
}

/// How many bits of an amount stand in the first of its two numbers: nine bytes of seven.
const LOW_BITS: u32 = 63;
const LOW: u64 = (1 << LOW_BITS) - 1;

/// Reads a cell; `None` if it is none.
#[derive(Debug)]
pub(crate) struct Unpacker<'a> {
    bytes: &'a [u8],
}

impl<'a> Unpacker<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.bytes.is_empty()
    }

    #[inline]
    pub(crate) fn count(&mut self) -> Option<u64> {
        if let [byte @ 0..=127, rest @ ..] = self.bytes {
            self.bytes = rest;
            return Some(u64::from(*byte));
        }
        decode_varint(&mut self.bytes).ok().filter(|count| *count <= MAX_COUNT)
    }

    pub(crate) fn signed(&mut self) -> Option<i128> {
        let low = decode_varint(&mut self.bytes).ok().filter(|low| *low <= LOW)?;
        let high = decode_varint(&mut self.bytes).ok()?;
        let zigzag = u128::from(high) << LOW_BITS | u128::from(low);
        let amount = (zigzag >> 1) as i128 ^ -((zigzag & 1) as i128);
        (-MAX_AMOUNT..=MAX_AMOUNT).contains(&amount).then_some(amount)
    }

    /// What [`Packer::sparse`] wrote, whose numbers are below `end`.
    #[inline]
    pub(crate) fn sparse(&mut self, end: u16, mut each: impl FnMut(u16, u64)) -> Option<()> {
        let mut next = 0u64;
        for _ in 0..self.count()? {
            let number = next.checked_add(self.count()?).filter(|number| *number < u64::from(end))?;
            each(number as u16, self.count()?);
            next = number + 1;
        }
        Some(())
    }
}
