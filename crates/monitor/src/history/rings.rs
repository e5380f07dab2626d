//! Steps of three lengths: short ones for an hour, longer ones for longer.
//!
//! What is recorded goes into the open short step. A step that is over is packed, and added to the open step of the next
//! length. So the steps of a length hold everything but what is in the open steps of shorter lengths.

use std::collections::VecDeque;

use super::pack::{Packer, Unpacker};
use crate::time::{DAY, HOUR, MINUTE, Range, SECOND};

/// A length of steps, and for how long they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    /// Nanoseconds of a step.
    pub(crate) step: u64,
    /// Nanoseconds that are kept, beside the open step.
    pub(crate) kept: u64,
}

/// All of them.
pub(crate) const LEVELS: [Level; 3] = [
    Level { step: 10 * SECOND, kept: HOUR },
    Level { step: MINUTE, kept: DAY },
    Level { step: 15 * MINUTE, kept: 30 * DAY },
];

/// What a closed step takes in memory beside its bytes: its place in the ring, and what the allocator adds.
const OVERHEAD: usize = size_of::<Packed>() + 16;

/// What is added up in a step.
pub(crate) trait Cell: Default {
    /// Adds another one.
    fn merge(&mut self, other: &Self);
    /// Writes it.
    fn pack(&self, packer: &mut Packer);
    /// Adds what was written; `None` if that is none of this kind, and then something may have been added.
    fn add_packed(&mut self, packed: &mut Unpacker<'_>) -> Option<()>;
}

/// A closed step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packed {
    /// Steps since the Unix epoch.
    pub(crate) number: u32,
    pub(crate) bytes: Box<[u8]>,
}

/// A step, wherever it stands.
#[derive(Debug)]
pub(crate) enum Step<'a, C> {
    Closed(&'a [u8]),
    Open(&'a C),
}

impl<C: Cell> Step<'_, C> {
    pub(crate) fn add_to(&self, sum: &mut C) {
        match self {
            // What is in a ring was packed here or checked when it was restored.
            Self::Closed(bytes) => drop(sum.add_packed(&mut Unpacker::new(bytes))),
            Self::Open(cell) => sum.merge(cell),
        }
    }
}

/// The steps of one group of calls.
#[derive(Debug, Default)]
pub(crate) struct Rings<C> {
    closed: [VecDeque<Packed>; LEVELS.len()],
    /// Number and content of the open step, if anything is in it.
    open: [Option<(u32, C)>; LEVELS.len()],
    /// Bytes of memory that closed steps take.
    memory: [usize; LEVELS.len()],
}

impl<C: Cell> Rings<C> {
    /// The open step at a time that is not before any other told.
    #[inline]
    pub(crate) fn at(&mut self, time: u64, packer: &mut Packer) -> &mut C {
        let number = number(0, time);
        if self.open[0].as_ref().is_some_and(|(open, _)| *open != number) {
            self.close(0, packer);
        }
        &mut self.open[0].get_or_insert_with(|| (number, C::default())).1
    }

    /// Closes steps that are over, and forgets those that are older than is kept.
    pub(crate) fn advance(&mut self, now: u64, packer: &mut Packer) {
        for (level, Level { step, kept }) in LEVELS.into_iter().enumerate() {
            if self.open[level].as_ref().is_some_and(|(open, _)| *open < number(level, now)) {
                self.close(level, packer);
            }
            self.forget_before(level, number(level, now).saturating_sub((kept / step) as u32));
        }
    }

    /// Closes the open step of a length, and adds it to that of the next.
    fn close(&mut self, level: usize, packer: &mut Packer) {
        let Some((number, cell)) = self.open[level].take() else { return };
        cell.pack(packer);
        self.push(level, Packed { number, bytes: packer.take() });
        let Some(longer) = LEVELS.get(level + 1) else { return };
        let parent = (u64::from(number) * LEVELS[level].step / longer.step) as u32;
        if self.open[level + 1].as_ref().is_some_and(|(open, _)| *open != parent) {
            self.close(level + 1, packer);
        }
        match &mut self.open[level + 1] {
            Some((_, sum)) => sum.merge(&cell),
            none => *none = Some((parent, cell)),
        }
    }

    fn push(&mut self, level: usize, packed: Packed) {
        self.memory[level] += packed.bytes.len() + OVERHEAD;
        self.closed[level].push_back(packed);
    }

    /// Forgets closed steps of a length before a number.
    pub(crate) fn forget_before(&mut self, level: usize, number: u32) {
        while self.closed[level].front().is_some_and(|oldest| oldest.number < number) {
            if let Some(oldest) = self.closed[level].pop_front() {
                self.memory[level] -= oldest.bytes.len() + OVERHEAD;
            }
        }
    }

    /// Number of the oldest closed step of a length.
    pub(crate) fn oldest(&self, level: usize) -> Option<u32> {
        self.closed[level].front().map(|oldest| oldest.number)
    }

    /// When the newest of the shortest steps begins that is kept.
    pub(crate) fn newest(&self) -> Option<u64> {
        let closed = self.closed[0].back().map(|packed| packed.number);
        let newest = self.open[0].as_ref().map(|(number, _)| *number).or(closed);
        newest.map(|number| u64::from(number) * LEVELS[0].step)
    }

    /// Whether nothing is known any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.iter().all(Option::is_none) && self.closed.iter().all(VecDeque::is_empty)
    }

    /// Bytes of memory that closed steps of a length take.
    pub(crate) fn memory(&self, level: usize) -> usize {
        self.memory[level]
    }

    /// What was recorded in a range, in steps of a length: calls `each` with when a step begins. A step belongs to the range if
    /// it begins in it.
    pub(crate) fn each(&self, level: usize, range: Range, mut each: impl FnMut(u64, Step<'_, C>)) {
        let begins = |level: usize, number: u32| u64::from(number) * LEVELS[level].step;
        let closed = &self.closed[level];
        let first = closed.partition_point(|packed| begins(level, packed.number) < range.from);
        for packed in closed.range(first..) {
            let begin = begins(level, packed.number);
            if begin >= range.to {
                return;
            }
            each(begin, Step::Closed(&packed.bytes));
        }
        for level in (0..=level).rev() {
            if let Some((number, cell)) = &self.open[level]
                && range.contains(begins(level, *number))
            {
                each(begins(level, *number), Step::Open(cell));
            }
        }
    }

    /// Adds what was recorded in a range, in steps of a length.
    pub(crate) fn sum(&self, level: usize, range: Range, sum: &mut C) {
        self.each(level, range, |_, step| step.add_to(sum));
    }

    /// What was recorded in a range that ends now: in the shortest steps that are kept for all of it.
    pub(crate) fn window(&self, end: u64, length: u64) -> C {
        let level = level_for(length);
        let mut sum = C::default();
        self.sum(level, window(level, end, length), &mut sum);
        sum
    }

    /// The closed steps of a length.
    pub(crate) fn closed(&self, level: usize) -> impl Iterator<Item = &Packed> {
        self.closed[level].iter()
    }

    /// The open step of a length.
    pub(crate) fn open(&self, level: usize) -> Option<&(u32, C)> {
        self.open[level].as_ref()
    }

    /// Puts back a closed step, behind the others; tells whether it can stand there.
    pub(crate) fn restore_closed(&mut self, level: usize, packed: Packed) -> bool {
        let is_newer = self.closed[level].back().is_none_or(|newest| newest.number < packed.number);
        let is_sound = is_newer && unpack::<C>(&packed.bytes).is_some();
        if is_sound {
            self.push(level, packed);
        }
        is_sound
    }

    /// Puts back an open step; tells whether it is one.
    pub(crate) fn restore_open(&mut self, level: usize, packed: &Packed) -> bool {
        let cell = unpack(&packed.bytes);
        self.open[level] = cell.map(|cell| (packed.number, cell));
        self.open[level].is_some()
    }
}

/// When the newest steps of each length ended that were forgotten for lack of memory.
pub(crate) type Forgotten = [u64; LEVELS.len()];

/// Forgets closed steps until all together take no more than so many bytes: the oldest first, so all of the longest before others.
pub(crate) fn make_room<C: Cell>(all: &mut [&mut Rings<C>], most: usize, forgotten: &mut Forgotten) {
    let mut memory: usize = all.iter().flat_map(|rings| rings.memory).sum();
    for level in (0..LEVELS.len()).rev() {
        while memory > most
            && let Some(oldest) = all.iter().filter_map(|rings| rings.oldest(level)).min()
        {
            forgotten[level] = (u64::from(oldest) + 1) * LEVELS[level].step;
            for rings in all.iter_mut() {
                let before = rings.memory(level);
                rings.forget_before(level, oldest + 1);
                memory -= before - rings.memory(level);
            }
        }
    }
}

fn unpack<C: Cell>(bytes: &[u8]) -> Option<C> {
    let mut cell = C::default();
    let mut unpacker = Unpacker::new(bytes);
    cell.add_packed(&mut unpacker)?;
    unpacker.is_at_end().then_some(cell)
}

/// The number of the step of a length at a time.
pub(crate) const fn number(level: usize, time: u64) -> u32 {
    (time / LEVELS[level].step) as u32
}

/// The shortest steps that are kept for so long.
pub(crate) fn level_for(length: u64) -> usize {
    LEVELS.iter().position(|level| level.kept >= length).unwrap_or(LEVELS.len() - 1)
}

/// From when on everything that was told is known in steps of a length.
pub(crate) fn since(level: usize, now: u64, forgotten: &Forgotten) -> u64 {
    oldest_kept(level, now).max(forgotten[level])
}

/// When the oldest steps of a length begin that are still kept.
pub(crate) const fn oldest_kept(level: usize, now: u64) -> u64 {
    let Level { step, kept } = LEVELS[level];
    crate::time::floor(now, step).saturating_sub(kept)
}

/// A range of that length in whole steps that holds all that came since `end - length`.
pub(crate) const fn window(level: usize, end: u64, length: u64) -> Range {
    Range { from: crate::time::floor(end.saturating_sub(length), LEVELS[level].step), to: end }
}
