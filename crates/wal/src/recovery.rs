//! What a start finds on disk: where the log begins and ends, and whether what was acknowledged is all there.
//!
//! The rule for a bad place is: it is a torn tail, which is cut, unless something proves that what should be there was
//! acknowledged. Proof is a later frame that says so (every frame tells up to where the log was durable when it was written),
//! a later segment (a segment is durable before the next one is begun), or a checkpoint that covers it. Proof means damage,
//! and damage is refused.

use std::collections::VecDeque;
use std::ops::Range;

use crate::chain::{Chain, Next};
use crate::directory::{Directory, UNFINISHED};
use crate::error::{OpenError, io_error};
use crate::frame::Header;
use crate::segment::{FrameReader, Page, SEGMENT_HEADER, Segment, SegmentHeader, Slot, VERSION, number_of};
use crate::times::Times;
use crate::{Lsn, Start};

/// What a start found.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// From the oldest that is needed to the one that is written to. Empty if there is no log yet.
    pub(crate) live: VecDeque<Segment>,
    /// Where the next frame goes in the last of them.
    pub(crate) offset: u64,
    /// Files for more.
    pub(crate) free: Vec<Slot>,
    /// The first number that no file has had.
    pub(crate) next_number: u32,
    pub(crate) last_lsn: Lsn,
    pub(crate) receive_time: u64,
    pub(crate) times: Times,
    /// Of the newest frame or segment that is on disk, accepted or not.
    pub(crate) epoch: u64,
}

/// The segment files of a directory.
#[derive(Debug)]
pub(crate) struct Inventory {
    /// In the order of their sequence.
    pub(crate) segments: Vec<Segment>,
    /// Blank ones.
    pub(crate) free: Vec<Slot>,
    /// Those whose first page cannot be read.
    pub(crate) damaged: Vec<Slot>,
    pub(crate) next_number: u32,
}

/// How a scan ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The log ends here.
    Tail(Tail),
    /// Something that was acknowledged is not there.
    Damage(Damage),
}

#[derive(Debug)]
pub(crate) struct Tail {
    /// Which segment, and where in it the next frame goes.
    pub(crate) index: usize,
    pub(crate) offset: u64,
    /// From where on nothing in it says that what stands there is durable.
    pub(crate) unsure: u64,
    pub(crate) last_lsn: Lsn,
    pub(crate) receive_time: u64,
    pub(crate) epoch: u64,
}

#[derive(Debug)]
pub(crate) struct Damage {
    pub(crate) index: usize,
    pub(crate) offset: u64,
    /// What must stand there.
    pub(crate) lsn: Lsn,
    pub(crate) part: u16,
    pub(crate) epoch: u64,
    pub(crate) receive_time: u64,
    pub(crate) what: What,
}

/// What is wrong at a damaged place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// No valid frame, within the log.
    Frame,
    /// The next segment is not the one that must follow.
    Gap,
    /// No valid frame, at the end of the log; later ones prove that there was one.
    Proof,
    /// The log ends before a checkpoint.
    Short,
    /// The first page of this one of the damaged files cannot be read.
    Page(usize),
}

impl What {
    fn why(self) -> &'static str {
        match self {
            Self::Frame => "no valid frame stands there, but the log goes on in the next segment",
            Self::Gap => "the next segment does not go on where this one ends",
            Self::Proof => "no valid frame stands there, but later ones show that it was acknowledged",
            Self::Short => "the log ends there, but a checkpoint covers more records",
            Self::Page(_) => "the segment's first page cannot be read, and records that were acknowledged follow it",
        }
    }
}

impl Inventory {
    pub(crate) fn take(directory: &Directory) -> Result<Self, OpenError> {
        let mut inventory = Self { segments: Vec::new(), free: Vec::new(), damaged: Vec::new(), next_number: 0 };
        for name in directory.list()? {
            if name.strip_suffix(UNFINISHED).and_then(number_of).is_some() {
                directory.remove(&name)?;
                continue;
            }
            let Some(number) = number_of(&name) else { continue };
            inventory.next_number = inventory.next_number.max(number.saturating_add(1));
            let path = directory.path().join(&name);
            let file = directory.fs.open(&path).map_err(io_error("opening", &path))?;
            let size = file.size().map_err(io_error("reading the size of", &path))?;
            let slot = Slot { name, path, file, size };
            match slot.read_page().map_err(io_error("reading", &slot.path))? {
                Page::Valid(header) => inventory.segments.push(Segment { slot, header, last_lsn: 0 }),
                Page::Blank => inventory.free.push(slot),
                Page::Damaged => inventory.damaged.push(slot),
                Page::Unknown { version } => {
                    return Err(OpenError::Version { path: slot.path, version, known: VERSION });
                }
            }
        }
        inventory.segments.sort_by_key(|segment| (segment.header.sequence, segment.header.epoch));
        Ok(inventory)
    }
}

/// Finds what there is of the log in `directory`.
pub(crate) fn recover(directory: &Directory, start: Start) -> Result<Recovered, OpenError> {
    let Start { applied, needed, kept } = start;
    let mut inventory = Inventory::take(directory)?;
    let incomplete =
        |first, last, needed| OpenError::Incomplete { directory: directory.path().to_owned(), first, last, needed };
    if inventory.segments.is_empty() {
        if let Some(slot) = inventory.damaged.iter().find_map(|slot| has_content(slot).transpose()) {
            let slot = slot?;
            let why = "the segment's first page cannot be read, and something was written behind it";
            return Err(OpenError::Damaged { path: slot.path.clone(), offset: 0, lsn: applied + 1, why });
        }
        if applied.max(needed) > 0 {
            return Err(incomplete(0, 0, applied.max(needed)));
        }
        let mut free = inventory.free;
        free.append(&mut inventory.damaged);
        return Ok(Recovered {
            live: VecDeque::new(),
            offset: 0,
            free,
            next_number: inventory.next_number,
            last_lsn: 0,
            receive_time: 0,
            times: Times::default(),
            epoch: 0,
        });
    }

    let mut free = std::mem::take(&mut inventory.free);
    let mut live = newest_chain(&mut inventory, &mut free);
    // What is not even kept may be used again; what is kept but not needed is not looked at.
    let holding = |live: &VecDeque<Segment>, lsn: Lsn| {
        let begins_late = |segment: &Segment| segment.header.begins_with() > lsn.saturating_add(1);
        live.iter().rposition(|segment| !begins_late(segment)).unwrap_or(0)
    };
    let first = holding(&live, kept.min(needed).min(applied));
    free.extend(live.drain(..first).map(|segment| segment.slot));
    let first = holding(&live, needed.min(applied));
    let begins_with = live.get(first).map_or(0, |segment| segment.header.begins_with());
    set_ends(live.make_contiguous());

    // Of what is not looked at, first pages tell when segments were begun; the first of all segments does not.
    let mut times = Times::default();
    for header in live.iter().take(first).map(|segment| segment.header).filter(|header| header.receive_time > 0) {
        times.note(header.first_lsn, header.receive_time);
    }
    let scanned = live.make_contiguous().get_mut(first..).unwrap_or_default();
    let tail = match scan(scanned, &inventory.damaged, applied, &mut times)? {
        End::Tail(tail) => tail,
        End::Damage(damage) => {
            let (slot, offset) = match damage.what {
                What::Page(number) => (inventory.damaged.get(number), 0),
                _ => (live.get(first + damage.index).map(|segment| &segment.slot), damage.offset),
            };
            let path = slot.map_or_else(|| directory.path().to_owned(), |slot| slot.path.clone());
            return Err(OpenError::Damaged { path, offset, lsn: damage.lsn, why: damage.what.why() });
        }
    };
    if begins_with > needed.min(applied).saturating_add(1) {
        return Err(incomplete(begins_with, tail.last_lsn, needed.min(applied).saturating_add(1)));
    }
    // Segments behind the tail hold the rest of a record that is cut. From the last one on, so that a crash leaves a chain.
    let behind = live.split_off(first + tail.index + 1);
    for segment in behind.into_iter().rev() {
        blank(&segment.slot)?;
        free.push(segment.slot);
    }
    for slot in inventory.damaged {
        blank(&slot)?;
        free.push(slot);
    }
    if let Some(last) = live.back() {
        write_again(&last.slot, tail.unsure..tail.offset)?;
    }
    Ok(Recovered {
        live,
        offset: tail.offset,
        free,
        next_number: inventory.next_number,
        last_lsn: tail.last_lsn,
        receive_time: tail.receive_time,
        times,
        epoch: tail.epoch,
    })
}

/// The segments that follow each other up to the newest; the others are free.
fn newest_chain(inventory: &mut Inventory, free: &mut Vec<Slot>) -> VecDeque<Segment> {
    let mut chain: VecDeque<Segment> = VecDeque::new();
    for segment in std::mem::take(&mut inventory.segments).into_iter().rev() {
        let is_next = chain.front().is_none_or(|next| next.header.previous == segment.header.sequence);
        if is_next {
            chain.push_front(segment);
        } else {
            free.push(segment.slot);
        }
    }
    chain
}

/// The last record that touches each segment, as far as the first pages tell.
fn set_ends(segments: &mut [Segment]) {
    let mut next: Option<SegmentHeader> = None;
    for segment in segments.iter_mut().rev() {
        let ends = next.map(|next| if next.first_part > 0 { next.first_lsn } else { next.first_lsn.saturating_sub(1) });
        segment.last_lsn = ends.unwrap_or(segment.header.first_lsn);
        next = Some(segment.header);
    }
}

/// Reads all segments, sets which record is the last that touches each, and notes when records came. `damaged` are files whose first page
/// cannot be read.
pub(crate) fn scan(
    segments: &mut [Segment],
    damaged: &[Slot],
    applied: Lsn,
    times: &mut Times,
) -> Result<End, OpenError> {
    let Some(first) = segments.first() else {
        return Ok(End::Tail(Tail { index: 0, offset: 0, unsure: 0, last_lsn: 0, receive_time: 0, epoch: 0 }));
    };
    let salt = segments.last().map_or(0, |segment| segment.header.salt);
    let mut chain = Chain::new(first);
    let mut index = 0;
    let stop = |chain: &Chain, index: usize, what| {
        Ok(End::Damage(Damage {
            index,
            offset: chain.offset(),
            lsn: chain.expected,
            part: chain.part,
            epoch: chain.epoch,
            receive_time: chain.receive_time,
            what,
        }))
    };
    // Records of the segment of which none behind them says that they are durable, and where they begin.
    let mut unsure: VecDeque<(Lsn, u64)> = VecDeque::new();
    while let Some(segment) = segments.get_mut(index) {
        let path = segment.slot.path.clone();
        let begin = chain.offset();
        let next = chain.next().map_err(io_error("reading", &path))?;
        // The last record of which something stands here, be it only a part.
        segment.last_lsn = if chain.part > 0 { chain.expected } else { chain.expected.saturating_sub(1) };
        match next {
            Next::Record(record) => {
                times.note(record.lsn, record.receive_time);
                unsure.push_back((record.lsn, begin));
                while unsure.pop_front_if(|(lsn, _)| *lsn <= chain.durable).is_some() {}
            }
            Next::Lost { .. } => {}
            Next::SegmentEnd => {
                let Some(next) = segments.get(index + 1) else { break };
                if !chain.enter(next) {
                    return stop(&chain, index, What::Gap);
                }
                index += 1;
                // A segment is durable before the next one is begun.
                unsure.clear();
            }
            Next::Stop if index + 1 < segments.len() => {
                return stop(&chain, index, What::Frame);
            }
            Next::Stop => break,
        }
    }

    // The end of the newest segment that can be read. Whatever is wrong here is a torn tail, if nothing proves otherwise.
    let (expected, epoch, offset) = (chain.expected, chain.epoch, chain.offset());
    if applied >= expected {
        return stop(&chain, index, What::Short);
    }
    for (number, slot) in damaged.iter().enumerate() {
        let mut frames = FrameReader::new(slot.file.clone(), slot.size, salt, SEGMENT_HEADER);
        let goes_on = |header: &Header| header.lsn >= expected && header.epoch >= epoch;
        if frames.find(goes_on).map_err(io_error("reading", &slot.path))?.is_some() {
            return stop(&chain, index, What::Page(number));
        }
    }
    let mut tail = Tail {
        index,
        offset,
        unsure: unsure.front().map_or(offset, |(_, begin)| *begin),
        last_lsn: expected.saturating_sub(1),
        receive_time: chain.receive_time,
        epoch: chain.epoch,
    };
    if let Some((sequence, begin)) = chain.begun {
        let at = segments.iter().position(|segment| segment.header.sequence == sequence).unwrap_or(index);
        (tail.index, tail.offset) = (at, begin);
    }
    // All of the rest is read: the next epoch must be newer than that of any frame that a crash left there.
    let mut proof = false;
    let path = segments.get(index).map(|segment| segment.slot.path.clone()).unwrap_or_default();
    let damage = stop(&chain, index, What::Proof);
    chain
        .find(|header| {
            tail.epoch = tail.epoch.max(header.epoch);
            proof |= header.lsn > expected && header.epoch >= epoch && !header.is_lost && header.durable >= expected;
            false
        })
        .map_err(io_error("reading", &path))?;
    if proof { damage } else { Ok(End::Tail(tail)) }
}

/// Makes durable what was read of the newest segment. It may be in the page cache only, if the process was killed between write and sync; and if a
/// sync failed, the system takes that for written and will not write it unless it is told to once more.
fn write_again(slot: &Slot, unsure: Range<u64>) -> Result<(), OpenError> {
    const CHUNK: u64 = 1 << 20;
    let begins = unsure.clone().step_by(CHUNK as usize);
    let pieces = begins.map(|begin| begin..unsure.end.min(begin + CHUNK));
    let mut bytes = Vec::new();
    for piece in std::iter::once(0..SEGMENT_HEADER).chain(pieces) {
        bytes.resize((piece.end - piece.start) as usize, 0);
        slot.file.read_at(&mut bytes, piece.start).map_err(io_error("reading", &slot.path))?;
        slot.file.write_at(&bytes, piece.start).map_err(io_error("writing", &slot.path))?;
    }
    slot.file.sync().map_err(io_error("syncing", &slot.path))
}

/// Gives a file back: it holds no segment any more.
pub(crate) fn blank(slot: &Slot) -> Result<(), OpenError> {
    let page = vec![0; SEGMENT_HEADER.min(slot.size) as usize];
    let blanked = slot.file.write_at(&page, 0).and_then(|()| slot.file.sync());
    blanked.map_err(io_error("clearing", &slot.path))
}

/// Whether anything was ever written behind the first page.
fn has_content(slot: &Slot) -> Result<Option<&Slot>, OpenError> {
    let mut chunk = vec![0; 64 * 1024];
    let mut at = SEGMENT_HEADER;
    while at < slot.size {
        let length = (slot.size - at).min(chunk.len() as u64) as usize;
        let chunk = chunk.get_mut(..length).unwrap_or_default();
        slot.file.read_at(chunk, at).map_err(io_error("reading", &slot.path))?;
        if chunk.iter().any(|byte| *byte != 0) {
            return Ok(Some(slot));
        }
        at += length as u64;
    }
    Ok(None)
}
