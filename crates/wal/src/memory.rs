//! What a log in memory knows of its records: their sizes, until all cursors have passed them.

use std::collections::VecDeque;

use crate::Lsn;

/// Sizes of the records that not every cursor has passed.
#[derive(Debug)]
pub(crate) struct Kept {
    sizes: VecDeque<usize>,
    /// The record of the first size.
    first: Lsn,
}

impl Default for Kept {
    fn default() -> Self {
        Self { sizes: VecDeque::new(), first: 1 }
    }
}

impl Kept {
    pub(crate) fn add(&mut self, size: usize) {
        self.sizes.push_back(size);
    }

    /// All cursors have passed `slowest`; tells how many bytes that sets free.
    pub(crate) fn release(&mut self, slowest: Lsn) -> usize {
        let mut freed = 0;
        while self.first <= slowest
            && let Some(size) = self.sizes.pop_front()
        {
            self.first += 1;
            freed += size;
        }
        freed
    }
}
