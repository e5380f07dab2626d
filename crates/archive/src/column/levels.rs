//! Repetition and definition levels of a page.

use super::hybrid;

/// Levels of the values of a page. Most stand in long runs.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    /// Runs that have ended.
    runs: Vec<(u32, usize)>,
    /// The run that goes on.
    last: (u32, usize),
}

impl Levels {
    /// Adds a level.
    #[inline]
    pub(crate) fn push(&mut self, level: u32) {
        self.push_many(level, 1);
    }

    /// Adds a level `count` times. None of a level is no run: it would end the one that goes on.
    #[inline]
    pub(crate) fn push_many(&mut self, level: u32, count: usize) {
        if self.last.0 != level && count > 0 {
            self.end_run(level);
        }
        self.last.1 += count;
    }

    fn end_run(&mut self, next: u32) {
        if self.last.1 > 0 {
            self.runs.push(self.last);
        }
        self.last = (next, 0);
    }

    fn all(&self) -> impl Iterator<Item = (u32, usize)> {
        self.runs.iter().copied().chain([self.last])
    }

    /// Number of levels.
    pub(crate) fn len(&self) -> usize {
        self.all().map(|(_, count)| count).sum()
    }

    /// How many of them are `level`.
    pub(crate) fn count(&self, level: u32) -> usize {
        self.all().filter(|(value, _)| *value == level).map(|(_, count)| count).sum()
    }

    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.last = (0, 0);
    }

    /// Appends them to a page as the format wants levels up to `max`: nothing if there is only one.
    pub(crate) fn encode(&self, max: u32, page: &mut Vec<u8>) {
        if max == 0 {
            return;
        }
        let start = page.len();
        page.extend_from_slice(&[0; 4]);
        let width = hybrid::width_of(max);
        if self.runs.is_empty() {
            let (level, count) = self.last;
            hybrid::run(level, count, width, page);
        } else if width == 1 {
            hybrid::encode_bits(&self.bits(), self.len(), page);
        } else {
            let mut levels = Vec::with_capacity(self.len());
            self.all().for_each(|(level, count)| levels.extend(std::iter::repeat_n(level, count)));
            hybrid::encode(&levels, width, page);
        }
        let length = (page.len() - start - 4) as u32;
        page[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// A bit for each level that is 1, eight levels a byte, the first the lowest.
    fn bits(&self) -> Vec<u8> {
        let mut words = vec![0; self.len().div_ceil(u64::BITS as usize)];
        let mut from = 0;
        for (level, count) in self.all() {
            let to = from + count;
            if level == 1 && count > 0 {
                set_bits(&mut words, from, to);
            }
            from = to;
        }
        words.into_iter().flat_map(u64::to_le_bytes).take(from.div_ceil(8)).collect()
    }
}

/// Sets the bits from one on up to another, which is left out. There must be some.
fn set_bits(words: &mut [u64], from: usize, to: usize) {
    const BITS: usize = u64::BITS as usize;
    let (first, last) = (from / BITS, (to - 1) / BITS);
    let (above, below) = (u64::MAX << (from % BITS), u64::MAX >> (BITS - 1 - (to - 1) % BITS));
    if first == last {
        words[first] |= above & below;
        return;
    }
    words[first] |= above;
    words[first + 1..last].fill(u64::MAX);
    words[last] |= below;
}
