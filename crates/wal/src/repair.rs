//! Saves what can be saved of a damaged data directory.
//!
//! Every file that is changed is copied into a quarantine directory first. Then, as long as a scan finds damage, the damaged
//! place is covered by a frame that says which records are lost there: what stands before *and behind* it stays in the log, at its
//! place. Damaged checkpoints are put aside.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;

use crate::Lsn;
use crate::checkpoint::{Checkpoints, lsn_of};
use crate::directory::{Directory, INSTANCE_ID};
use crate::error::{OpenError, io_error};
use crate::frame::{FRAME_HEADER, Header, MIN_FRAME};
use crate::fs::{FileSystem, RealFileSystem};
use crate::recovery::{Damage, End, Inventory, What, blank, scan};
use crate::segment::{FrameReader, Place, SEGMENT_HEADER, Segment, SegmentHeader, Slot, file_name, number_of};
use crate::times::Times;
use crate::writer::{begin_segment, create_slot};

/// What [`repair`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The checkpoint covers the records up to here; 0 without one.
    pub applied: Lsn,
    /// Records that were acknowledged, or may have been, and are lost.
    pub lost: Vec<Lost>,
    /// The last record of the log that is left.
    pub last: Lsn,
    /// Where the files as they were have been put, if anything was changed.
    pub quarantine: Option<PathBuf>,
    /// Their names.
    pub files: BTreeSet<String>,
    /// A file of which nothing could be read, not even which records it held.
    pub unreadable: Vec<PathBuf>,
}

/// Records that are lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The first.
    pub from: Lsn,
    /// The last.
    pub through: Lsn,
    /// Where they stood, if anywhere.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.quarantine {
            None => writeln!(f, "nothing was damaged, and nothing was changed")?,
            Some(quarantine) => {
                let files: Vec<&str> = self.files.iter().map(String::as_str).collect();
                writeln!(f, "put aside as they were, in {}: {}", quarantine.display(), files.join(", "))?;
            }
        }
        for lost in &self.lost {
            let Lost { from, through, path, offset } = lost;
            let note = if *through <= self.applied { " (the checkpoint covers them)" } else { "" };
            writeln!(f, "lost: records {from} to {through}, {} at byte {offset}{note}", path.display())?;
        }
        for path in &self.unreadable {
            writeln!(f, "lost: whatever stood in {} behind record {}", path.display(), self.applied)?;
        }
        if self.lost.is_empty() && self.unreadable.is_empty() {
            writeln!(f, "no record is lost")?;
        }
        write!(f, "the checkpoint covers records up to {}, the log ends with record {}", self.applied, self.last)
    }
}

/// Repairs a data directory that [`crate::Log::open`] or [`Checkpoints::newest`] refuses. One that is sound is not changed.
///
/// # Errors
/// The directory is none of Spanmill, is in use, cannot be read or written, or has no room for copies of the damaged files.
pub fn repair(directory: impl Into<PathBuf>) -> Result<Report, OpenError> {
    repair_on(Arc::new(RealFileSystem), directory)
}

/// As [`repair`], on a file system of the caller's.
///
/// # Errors
/// As [`repair`].
pub fn repair_on(fs: Arc<dyn FileSystem>, directory: impl Into<PathBuf>) -> Result<Report, OpenError> {
    let directory = directory.into();
    let names = fs.list(&directory).map_err(io_error("listing", &directory))?;
    let is_data = |name: &String| name == INSTANCE_ID || number_of(name).is_some() || lsn_of(name).is_some();
    if !names.iter().any(is_data) {
        return Err(OpenError::NoData(directory));
    }
    let directory = Directory::open_on(fs, directory)?;
    let mut repair = Repair { directory, report: Report::default() };
    repair.settle()?;
    repair.checkpoints()?;
    repair.log()?;
    Ok(repair.report)
}

/// Every damaged place costs a scan of the log.
const MAX_PLACES: usize = 10_000;

struct Repair {
    directory: Directory,
    report: Report,
}

impl Repair {
    /// Makes durable what is there: what a repair wrote that was killed may be in the page cache only, and is believed from here on.
    fn settle(&self) -> Result<(), OpenError> {
        for name in self.directory.list()?.iter().filter(|name| number_of(name).is_some()) {
            let path = self.directory.path().join(name);
            let settled = self.directory.fs.open(&path).and_then(|file| file.sync());
            settled.map_err(io_error("syncing", &path))?;
        }
        Ok(())
    }

    fn checkpoints(&mut self) -> Result<(), OpenError> {
        let checkpoints = Checkpoints::open(&self.directory)?;
        for (name, is_good) in checkpoints.check()? {
            if !is_good {
                self.put_aside(&name)?;
                self.directory.remove(&name)?;
                self.directory.sync()?;
            }
        }
        let newest = Checkpoints::open(&self.directory)?.newest()?;
        self.report.applied = newest.checkpoint.map_or(0, |checkpoint| checkpoint.lsn);
        Ok(())
    }

    fn log(&mut self) -> Result<(), OpenError> {
        for _ in 0..MAX_PLACES {
            let mut inventory = Inventory::take(&self.directory)?;
            let begins_late = |segment: &Segment| segment.header.begins_with() > self.report.applied.saturating_add(1);
            let first = inventory.segments.iter().rposition(|segment| !begins_late(segment));
            // A consumer may need more than the checkpoint does: from the beginning of what hangs together.
            let hangs_together =
                |pair: &[Segment]| matches!(pair, [one, next] if next.header.previous == one.header.sequence);
            let before = inventory.segments.get(..=first.unwrap_or(0)).unwrap_or_default();
            let run = before.windows(2).rev().take_while(|pair| hangs_together(pair)).count();
            let mut segments = inventory.segments.split_off(first.unwrap_or(0) - run);
            let Some(oldest) = segments.first() else { return self.begin_anew(&inventory) };
            if first.is_none() {
                // What lies between the checkpoint and the first segment is gone.
                let (path, header) = (oldest.slot.path.clone(), oldest.header);
                let next = self.report.applied + 1;
                self.lost(next, header.begins_with() - 1, path, 0);
                self.bridge(&inventory, header, header.sequence.wrapping_sub(2), (next, 0))?;
                continue;
            }
            match scan(&mut segments, &inventory.damaged, self.report.applied, &mut Times::default())? {
                End::Tail(tail) => {
                    self.report.last = tail.last_lsn;
                    return Ok(());
                }
                End::Damage(damage) => self.mend(&inventory, &segments, &damage)?,
            }
        }
        let path = self.directory.path().display();
        Err(OpenError::Setting(format!("{path} has more than {MAX_PLACES} damaged places: too many to repair")))
    }

    /// Mends one place. Every scan after it comes further.
    fn mend(&mut self, inventory: &Inventory, segments: &[Segment], damage: &Damage) -> Result<(), OpenError> {
        let Some(segment) = segments.get(damage.index) else { return Ok(()) };
        let next = segments.get(damage.index + 1);
        match (damage.what, next) {
            (What::Page(number), _) => match inventory.damaged.get(number) {
                Some(slot) => self.rewrite_page(slot, segment, damage),
                None => Ok(()),
            },
            (What::Gap, Some(next)) => self.mend_gap(inventory, segment, next, damage),
            (What::Short, _) if segment.slot.size - damage.offset < MIN_FRAME => {
                let slot = self.new_slot(inventory, segment.header.size)?;
                begin_segment(&slot, &page(&slot, segment, damage))
            }
            _ => self.cover(segment, next, damage),
        }
    }

    /// A segment is missing. Its file may be there, with a page that cannot be read.
    fn mend_gap(
        &mut self,
        inventory: &Inventory,
        segment: &Segment,
        next: &Segment,
        damage: &Damage,
    ) -> Result<(), OpenError> {
        let begins = next.header.begins_with();
        if next.header.previous == segment.header.sequence && next.header.epoch >= damage.epoch {
            return self.cover_end(segment, next);
        }
        if begins < damage.lsn || next.header.epoch < damage.epoch || next.header.previous == segment.header.sequence {
            // It holds nothing that belongs behind here.
            self.put_aside(&next.slot.name)?;
            return blank(&next.slot);
        }
        let belongs = |header: &Header| header.lsn >= damage.lsn && header.lsn < begins && header.epoch >= damage.epoch;
        let mut first: Option<(Lsn, &Slot)> = None;
        for slot in &inventory.damaged {
            let mut frames = FrameReader::new(slot.file.clone(), slot.size, segment.header.salt, SEGMENT_HEADER);
            if let Some((_, header)) = frames.find(belongs).map_err(io_error("reading", &slot.path))?
                && first.is_none_or(|(lsn, _)| header.lsn < lsn)
            {
                first = Some((header.lsn, slot));
            }
        }
        if let Some((_, slot)) = first
            && segment.header.sequence.wrapping_add(1) < next.header.sequence
        {
            return self.rewrite_page(slot, segment, damage);
        }
        self.lost(damage.lsn, begins - 1, segment.slot.path.clone(), damage.offset);
        self.bridge(inventory, next.header, segment.header.sequence, (damage.lsn, damage.part))
    }

    /// A segment is full of good frames, but does not end where the next one goes on: what belongs behind it was written into it, or its
    /// last frames are not there. Covers it from there on, or its last frame, as there is no room behind it to say what is lost.
    fn cover_end(&mut self, segment: &Segment, next: &Segment) -> Result<(), OpenError> {
        let slot = &segment.slot;
        self.put_aside(&slot.name)?;
        let mut frames = FrameReader::new(slot.file.clone(), slot.size, segment.header.salt, SEGMENT_HEADER);
        let mut at = (SEGMENT_HEADER, segment.header.first_lsn);
        while let Place::Header(header) = frames.header().map_err(io_error("reading", &slot.path))? {
            at = (frames.offset, header.lsn);
            if (header.lsn, header.part) >= (next.header.first_lsn, next.header.first_part) {
                break;
            }
            frames.skip(&header);
        }
        let (offset, from) = at;
        let through = next.header.begins_with() - 1;
        self.lost(from, through, slot.path.clone(), offset);
        // Neither newer nor older than what stands before and behind it.
        let like = SegmentHeader { epoch: next.header.epoch, receive_time: next.header.receive_time, ..segment.header };
        write_lost(slot, offset, slot.size, &like, (from, through), segment.header.salt)
    }

    /// Writes the first page of a segment anew: it goes on where `before` ends.
    fn rewrite_page(&mut self, slot: &Slot, before: &Segment, damage: &Damage) -> Result<(), OpenError> {
        self.put_aside(&slot.name)?;
        begin_segment(slot, &page(slot, before, damage))
    }

    fn new_slot(&mut self, inventory: &Inventory, size: u64) -> Result<Slot, OpenError> {
        // That something was changed must be seen, though there is nothing to copy.
        self.quarantine()?;
        create_slot(&self.directory, &file_name(inventory.next_number), size)
    }

    /// Makes a segment that says that all records from `lsn` up to those of the segment `next` are lost.
    fn bridge(
        &mut self,
        inventory: &Inventory,
        next: SegmentHeader,
        previous: u64,
        (lsn, part): (Lsn, u16),
    ) -> Result<(), OpenError> {
        let size = next.size;
        let slot = self.new_slot(inventory, size)?;
        let sequence = next.previous;
        let header = SegmentHeader { sequence, previous, first_lsn: lsn, first_part: part, ..next };
        write_lost(&slot, SEGMENT_HEADER, size, &next, (lsn, next.begins_with() - 1), next.salt)?;
        begin_segment(&slot, &header)
    }

    /// Covers a bad place up to the next good frame.
    fn cover(&mut self, segment: &Segment, next: Option<&Segment>, damage: &Damage) -> Result<(), OpenError> {
        let slot = &segment.slot;
        self.put_aside(&slot.name)?;
        let salt = segment.header.salt;
        let reading = || io_error("reading", &slot.path);
        let at = |offset| FrameReader::new(slot.file.clone(), slot.size, salt, offset);
        let mut frames = at(damage.offset + FRAME_HEADER as u64);
        let (mut seen, mut epoch) = (damage.lsn, damage.epoch);
        let mut found = None;
        // What stands in the next segment, or behind it, does not belong here, whoever wrote it here.
        let follower = next.filter(|next| next.header.previous == segment.header.sequence);
        let last = follower.map_or(Lsn::MAX, |next| next.header.begins_with().saturating_sub(1));
        let belongs = |header: &Header| (damage.lsn..=last).contains(&header.lsn);
        while let Some((offset, header)) = frames.find(belongs).map_err(reading())? {
            epoch = epoch.max(header.epoch);
            let is_newer = header.epoch >= damage.epoch && header.receive_time >= damage.receive_time;
            if is_newer
                && (header.part == 0 || header.is_lost)
                && frames.take_payload(&header, &mut Vec::new()).map_err(reading())?
            {
                found = Some((offset, header));
                break;
            }
            if header.epoch >= damage.epoch {
                seen = seen.max(header.lsn);
            }
            frames = at(offset + 8);
        }
        let (end, through, epoch) = match (found, next) {
            (Some((offset, header)), _) => (offset, header.lsn - 1, damage.epoch),
            (None, Some(_)) if follower.is_some() => (slot.size, last, damage.epoch),
            // What is lost in the segments between is seen then.
            (None, Some(next)) => (slot.size, seen.min(next.header.begins_with().saturating_sub(1)), damage.epoch),
            // Nothing follows: what is written from now on must not be taken for what a crash left there.
            (None, None) => (damage.offset + FRAME_HEADER as u64, self.report.applied.max(seen), epoch + 1),
        };
        self.lost(damage.lsn, through, slot.path.clone(), damage.offset);
        let like = SegmentHeader { epoch, receive_time: damage.receive_time, ..segment.header };
        write_lost(slot, damage.offset, end, &like, (damage.lsn, through), salt)
    }

    fn lost(&mut self, from: Lsn, through: Lsn, path: PathBuf, offset: u64) {
        if from <= through {
            self.report.lost.push(Lost { from, through, path, offset });
        }
    }

    /// There is no segment that can be read.
    fn begin_anew(&mut self, inventory: &Inventory) -> Result<(), OpenError> {
        self.report.last = self.report.applied;
        if inventory.damaged.is_empty() && self.report.applied == 0 {
            return Ok(());
        }
        for slot in &inventory.damaged {
            self.put_aside(&slot.name)?;
            self.report.unreadable.push(slot.path.clone());
            blank(slot)?;
        }
        let known = inventory.damaged.first().or(inventory.free.first()).map(|slot| slot.size);
        let size = known.filter(|size| *size > 2 * SEGMENT_HEADER).unwrap_or(2 * SEGMENT_HEADER);
        let slot = self.new_slot(inventory, size)?;
        let salt = RandomState::new().hash_one(size) as u32;
        let first_lsn = self.report.applied + 1;
        let header =
            SegmentHeader { size, sequence: 1, previous: 0, first_lsn, first_part: 0, epoch: 1, receive_time: 0, salt };
        begin_segment(&slot, &header)
    }

    /// The directory for files as they were.
    fn quarantine(&mut self) -> Result<PathBuf, OpenError> {
        if let Some(path) = &self.report.quarantine {
            return Ok(path.clone());
        }
        let names = self.directory.list()?;
        let free = (1_u32..).map(|number| format!("quarantine-{number}")).find(|name| !names.contains(name));
        let path = self.directory.path().join(free.unwrap_or_default());
        self.directory.fs.create_directory(&path).map_err(io_error("creating", &path))?;
        self.directory.sync()?;
        self.report.quarantine = Some(path.clone());
        Ok(path)
    }

    /// Copies a file as it is, once.
    fn put_aside(&mut self, name: &str) -> Result<(), OpenError> {
        if self.report.files.contains(name) {
            return Ok(());
        }
        let quarantine = self.quarantine()?;
        let (from, to) = (self.directory.path().join(name), quarantine.join(name));
        let fs = &*self.directory.fs;
        let copy = || {
            let source = fs.open(&from)?;
            let target = fs.create(&to)?;
            let size = source.size()?;
            let mut chunk = vec![0; 1 << 20];
            let mut at = 0;
            while at < size {
                let length = (size - at).min(chunk.len() as u64) as usize;
                let chunk = chunk.get_mut(..length).unwrap_or_default();
                source.read_at(chunk, at)?;
                target.write_at(chunk, at)?;
                at += length as u64;
            }
            target.sync()?;
            fs.sync_directory(&quarantine)
        };
        copy().map_err(io_error("copying", &from))?;
        self.report.files.insert(name.to_owned());
        Ok(())
    }
}

/// The first page of a segment that goes on at a damaged place.
fn page(slot: &Slot, before: &Segment, damage: &Damage) -> SegmentHeader {
    SegmentHeader {
        size: slot.size,
        sequence: before.header.sequence.wrapping_add(1),
        previous: before.header.sequence,
        first_lsn: damage.lsn,
        first_part: damage.part,
        epoch: damage.epoch,
        receive_time: damage.receive_time,
        salt: before.header.salt,
    }
}

/// Writes a frame over all bytes from `at` to `end` that says which records are lost; epoch and time are those of `like`.
fn write_lost(
    slot: &Slot,
    at: u64,
    end: u64,
    like: &SegmentHeader,
    (from, through): (Lsn, Lsn),
    salt: u32,
) -> Result<(), OpenError> {
    let length = end.saturating_sub(at).saturating_sub(FRAME_HEADER as u64);
    let payload = vec![0; length as usize];
    let header = Header {
        length: length as u32,
        payload_crc: crc32c::crc32c(&payload),
        lsn: from,
        durable: through,
        epoch: like.epoch,
        receive_time: like.receive_time,
        kind: 0,
        part: 0,
        is_last: true,
        is_compressed: false,
        is_lost: true,
    };
    let frame = [&header.encode(salt)[..], &payload].concat();
    let written = slot.file.write_at(&frame, at).and_then(|()| slot.file.sync());
    written.map_err(io_error("repairing", &slot.path))
}
