//! Which segments there are, and how much room is left in them: known before a record is taken.

use std::collections::VecDeque;

use crate::segment::{SEGMENT_HEADER, Segment, Slot, room};
use crate::{AppendError, Lsn};

/// How long no more files are made after the disk was full.
const GROWTH_PAUSE: u64 = 5_000_000_000;
/// Of the room, so much is kept for records that help to empty the log: one part in this many, ...
const RESERVED_PART: u64 = 16;
/// ... and no more than this.
const RESERVED: u64 = 1 << 20;

/// The segments of a log on disk.
#[derive(Debug)]
pub(crate) struct Segments {
    /// From the oldest that some cursor has not passed to the one that is written to.
    pub(crate) live: VecDeque<Segment>,
    /// Where the next frame goes in the last of them.
    pub(crate) offset: u64,
    /// Files for more, of the size that is wanted now.
    pub(crate) free: Vec<Slot>,
    /// Files of a size that is no longer wanted.
    pub(crate) surplus: Vec<Slot>,
    /// Bytes of records that were taken and are not written yet.
    pub(crate) promised: u64,
    pub(crate) segment_size: u64,
    pub(crate) max_size: u64,
    /// No more files are made before this time, because the disk was full.
    growth_blocked_until: Option<u64>,
}

impl Segments {
    pub(crate) fn new(
        live: VecDeque<Segment>,
        offset: u64,
        slots: Vec<Slot>,
        segment_size: u64,
        max_size: u64,
    ) -> Self {
        let (mut free, mut surplus): (Vec<_>, Vec<_>) = slots.into_iter().partition(|slot| slot.size == segment_size);
        let taken: u64 = live.iter().map(|segment| segment.slot.size).sum();
        let allowed = max_size.saturating_sub(taken) / segment_size;
        surplus.extend(free.drain((allowed as usize).min(free.len())..));
        Self { live, offset, free, surplus, promised: 0, segment_size, max_size, growth_blocked_until: None }
    }

    /// How many more files may be made.
    pub(crate) fn growable(&self) -> u64 {
        let free = self.free.len() as u64 * self.segment_size;
        let taken: u64 = self.live.iter().map(|segment| segment.slot.size).sum();
        self.max_size.saturating_sub(taken).saturating_sub(free) / self.segment_size
    }

    /// Bytes of records that fit into the files that are there.
    pub(crate) fn prepared_room(&self) -> u64 {
        let current = self.live.back().map_or(0, |segment| segment.slot.room(self.offset));
        current + self.free.len() as u64 * self.segment_room()
    }

    /// Bytes of records that fit, with the files that may yet be made.
    fn room(&self, clock: impl FnOnce() -> u64) -> u64 {
        let is_blocked = self.growth_blocked_until.is_some_and(|until| {
            let now = clock();
            // A clock that was set back must not block for longer.
            now < until && until - now <= GROWTH_PAUSE
        });
        let growable = if is_blocked { 0 } else { self.growable() };
        self.prepared_room() + growable * self.segment_room()
    }

    fn segment_room(&self) -> u64 {
        room(self.segment_size, SEGMENT_HEADER)
    }

    /// Bytes of records that an empty log holds.
    pub(crate) fn capacity(&self) -> u64 {
        self.max_size / self.segment_size * self.segment_room()
    }

    /// Bytes of records that a log holds for sure when all is passed: the segment that is written to may be full.
    pub(crate) fn largest(&self) -> u64 {
        self.capacity().saturating_sub(self.segment_room()).saturating_sub(self.reserved())
    }

    fn reserved(&self) -> u64 {
        (self.capacity() / RESERVED_PART).min(RESERVED)
    }

    /// Takes room for a record, if there is any.
    pub(crate) fn promise(&mut self, cost: u64, urgent: bool, clock: impl FnOnce() -> u64) -> Result<(), AppendError> {
        let reserved = if urgent { 0 } else { self.reserved() };
        if cost > self.largest() {
            return Err(AppendError::TooLarge { size: cost, max_size: self.largest() });
        }
        if self.promised + cost + reserved > self.room(clock) {
            return Err(AppendError::Full);
        }
        self.promised += cost;
        Ok(())
    }

    /// Bytes that are taken, of those that [`Segments::capacity`] tells.
    pub(crate) fn used(&self, clock: impl FnOnce() -> u64) -> u64 {
        (self.capacity() + self.promised).saturating_sub(self.room(clock)).min(self.capacity())
    }

    pub(crate) fn block_growth(&mut self, now: u64) {
        self.growth_blocked_until = Some(now.saturating_add(GROWTH_PAUSE));
    }

    /// All consumers have passed `slowest`: segments that hold nothing else may be used again.
    pub(crate) fn release(&mut self, slowest: Lsn) {
        while self.live.len() > 1
            && self.live.front().is_some_and(|segment| segment.last_lsn <= slowest)
            && let Some(segment) = self.live.pop_front()
        {
            let is_wanted = segment.slot.size == self.segment_size && self.growable() > 0;
            if is_wanted { self.free.push(segment.slot) } else { self.surplus.push(segment.slot) }
        }
    }
}
