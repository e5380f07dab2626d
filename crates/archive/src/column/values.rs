//! Values of a page that are no texts, and what all values have in common.

use parquet::basic::Encoding;

use super::delta;

/// Values that wait for their page. Nulls are not among them: definition levels tell where they stand.
pub(crate) trait Values {
    /// Bytes of the page, about.
    fn size(&self) -> usize;

    /// Appends them to a page; none are left. Their range is told if it is wanted, and there are any.
    fn encode(&mut self, page: &mut Vec<u8>, wants_range: bool) -> Encoded;

    /// The dictionary that the pages refer to, as the format wants it, and how many texts are in it.
    fn dictionary(&self) -> Option<(&[u8], usize)> {
        None
    }

    /// Forgets what pages refer to: those that follow are of another chunk.
    fn end_chunk(&mut self) {}
}

/// How the values of a page were encoded.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) encoding: Encoding,
    pub(crate) range: Option<Range>,
}

/// The smallest and the largest value, or bounds around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) min: Bound,
    pub(crate) max: Bound,
}

/// An end of a range. Those of one leaf are of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bound {
    Integer(i64),
    Amount(i128),
    /// And whether it is a value itself: a long one is cut.
    Text(Vec<u8>, bool),
}

/// Integers of 32 or 64 bits.
#[derive(Debug, Default)]
pub(crate) struct Integers(Vec<i64>);

impl Integers {
    #[inline]
    pub(crate) fn push(&mut self, value: i64) {
        self.0.push(value);
    }

    pub(crate) fn push_many(&mut self, value: i64, count: usize) {
        self.0.resize(self.0.len() + count, value);
    }
}

impl Values for Integers {
    fn size(&self) -> usize {
        size_of_val(self.0.as_slice())
    }

    fn encode(&mut self, page: &mut Vec<u8>, wants_range: bool) -> Encoded {
        delta::encode(&self.0, page);
        let range = range(&self.0, wants_range, Bound::Integer);
        self.0.clear();
        Encoded { encoding: Encoding::DELTA_BINARY_PACKED, range }
    }
}

fn range<T: Ord + Copy>(values: &[T], is_wanted: bool, bound: fn(T) -> Bound) -> Option<Range> {
    let first = *values.first().filter(|_| is_wanted)?;
    let (min, max) = values.iter().fold((first, first), |(min, max), &value| (min.min(value), max.max(value)));
    Some(Range { min: bound(min), max: bound(max) })
}

/// Amounts of money: 16 bytes, the highest first.
#[derive(Debug, Default)]
pub(crate) struct Amounts(Vec<i128>);

impl Amounts {
    #[inline]
    pub(crate) fn push(&mut self, value: i128) {
        self.0.push(value);
    }
}

impl Values for Amounts {
    fn size(&self) -> usize {
        size_of_val(self.0.as_slice())
    }

    fn encode(&mut self, page: &mut Vec<u8>, wants_range: bool) -> Encoded {
        self.0.iter().for_each(|value| page.extend_from_slice(&value.to_be_bytes()));
        let range = range(&self.0, wants_range, Bound::Amount);
        self.0.clear();
        Encoded { encoding: Encoding::PLAIN, range }
    }
}

/// Booleans, one bit each.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    bits: Vec<u8>,
    len: usize,
}

impl Flags {
    #[inline]
    pub(crate) fn push(&mut self, value: bool) {
        let bit = self.len % 8;
        if bit == 0 {
            self.bits.push(0);
        }
        if let Some(last) = self.bits.last_mut() {
            *last |= u8::from(value) << bit;
        }
        self.len += 1;
    }
}

impl Values for Flags {
    fn size(&self) -> usize {
        self.bits.len()
    }

    fn encode(&mut self, page: &mut Vec<u8>, _wants_range: bool) -> Encoded {
        page.append(&mut self.bits);
        self.len = 0;
        Encoded { encoding: Encoding::PLAIN, range: None }
    }
}
