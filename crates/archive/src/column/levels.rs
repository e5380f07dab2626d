//! Repetition and definition levels of a page.

use super::hybrid;

/// Levels of the values of a page. Most stand in long runs.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    runs: Vec<(u32, usize)>,
    len: usize,
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
        self.len += count;
        match self.runs.last_mut() {
            Some((last, length)) if *last == level => *length += count,
            _ if count > 0 => self.runs.push((level, count)),
            _ => {}
        }
    }

    /// Number of levels.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many of them are `level`.
    pub(crate) fn count(&self, level: u32) -> usize {
        self.runs.iter().filter(|(value, _)| *value == level).map(|(_, count)| count).sum()
    }

    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.len = 0;
    }

    /// Appends them to a page as the format wants levels up to `max`: nothing if there is only one.
    pub(crate) fn encode(&self, max: u32, page: &mut Vec<u8>) {
        if max == 0 {
            return;
        }
        let start = page.len();
        page.extend_from_slice(&[0; 4]);
        let width = hybrid::width_of(max);
        match self.runs.as_slice() {
            [(level, count)] => hybrid::run(*level, *count, width, page),
            runs => {
                let mut levels = Vec::with_capacity(self.len);
                runs.iter().for_each(|(level, count)| levels.extend(std::iter::repeat_n(*level, *count)));
                hybrid::encode(&levels, width, page);
            }
        }
        let length = (page.len() - start - 4) as u32;
        page[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }
}
