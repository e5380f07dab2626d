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

    /// Adds a level `count` times.
    #[inline]
    pub(crate) fn push_many(&mut self, level: u32, count: usize) {
        if self.last.0 != level {
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
        } else {
            let mut levels = Vec::with_capacity(self.len());
            self.all().for_each(|(level, count)| levels.extend(std::iter::repeat_n(level, count)));
            hybrid::encode(&levels, width, page);
        }
        let length = (page.len() - start - 4) as u32;
        page[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }
}
