//! What a log in memory keeps of its records until all cursors have passed them.

use std::collections::VecDeque;

use crate::Lsn;
use crate::chain::RawRecord;

/// The records that not every cursor has passed.
#[derive(Debug)]
pub(crate) struct Kept {
    /// With the memory that each takes.
    records: VecDeque<(usize, RawRecord)>,
    /// The first of them, or the next to come.
    pub(crate) first: Lsn,
}

impl Default for Kept {
    fn default() -> Self {
        Self { records: VecDeque::new(), first: 1 }
    }
}

impl Kept {
    pub(crate) fn add(&mut self, size: usize, record: RawRecord) {
        self.records.push_back((size, record));
    }

    /// What the first of them takes.
    pub(crate) fn first_size(&self) -> usize {
        self.records.front().map_or(0, |(size, _)| *size)
    }

    /// `None` if all cursors have passed it, or it is still to come.
    pub(crate) fn get(&self, lsn: Lsn) -> Option<RawRecord> {
        let place = usize::try_from(lsn.checked_sub(self.first)?).ok()?;
        self.records.get(place).map(|(_, record)| record.clone())
    }

    /// All cursors have passed `slowest`; tells how many bytes that sets free.
    pub(crate) fn release(&mut self, slowest: Lsn) -> usize {
        let mut freed = 0;
        while self.first <= slowest
            && let Some((size, _)) = self.records.pop_front()
        {
            self.first += 1;
            freed += size;
        }
        freed
    }
}
