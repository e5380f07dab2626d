//! The thread that writes: takes what waits, and writes it as one group. While the one that syncs makes that durable, it writes the
//! next.
//!
//! Any error of the disk ends the log for good. After a failed sync nobody knows what is on disk, and a later sync that succeeds
//! proves nothing: so nothing is acknowledged any more, and the next start looks at what is really there. The one exception is a
//! full disk while a *new* file is made: nothing was promised that needed it yet, so the log is merely full.

use std::io;
use std::sync::Arc;

use crate::directory::Directory;
use crate::error::{OpenError, io_error};
use crate::frame::{FRAME_HEADER, Header, MIN_FRAME};
use crate::fs::File;
use crate::log::{Disk, Pending, Shared, Space, State, Written};
use crate::segment::{SEGMENT_HEADER, Segment, SegmentHeader, Slot, file_name};
use crate::{AppendError, Entry, Lsn, Record};

/// Bytes that are written before a sync may begin: longer groups would make those who wait wait longer for little.
const GROUP: u64 = 8 << 20;
/// Bytes that are gathered for one call.
const BUFFER: usize = 1 << 20;
/// Payloads from this size on are written from where they are.
const DIRECT: usize = 256 << 10;

/// Writes groups.
pub(crate) struct Writer<R> {
    pub(crate) shared: Arc<Shared<R>>,
    pub(crate) directory: Directory,
    pub(crate) next_number: u32,
    pub(crate) segment_size: u64,
    /// The segment that is written to.
    pub(crate) file: Arc<dyn File>,
    pub(crate) size: u64,
    pub(crate) sequence: u64,
    /// Where the next frame goes, counted with what is in the buffer.
    pub(crate) offset: u64,
    pub(crate) salt: u32,
    pub(crate) epoch: u64,
    /// The last record that is written.
    pub(crate) last: Lsn,
    /// The last that was durable when the group was taken that is written.
    pub(crate) durable: Lsn,
    pub(crate) receive_time: u64,
    buffer: Vec<u8>,
    /// The group that is written.
    in_hand: Vec<Written<R>>,
}

impl<R> Drop for Writer<R> {
    fn drop(&mut self) {
        // Nobody may wait for a thread that is gone.
        if std::thread::panicking() {
            self.shared.break_down("its thread panicked", &mut self.in_hand);
        }
    }
}

/// The place of a log that a writer goes on with.
pub(crate) struct Place {
    pub(crate) slot: Slot,
    pub(crate) header: SegmentHeader,
    pub(crate) offset: u64,
    pub(crate) epoch: u64,
    pub(crate) durable: Lsn,
    pub(crate) receive_time: u64,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Went,
    Ended,
}

impl<R: Record> Writer<R> {
    pub(crate) fn new(
        shared: Arc<Shared<R>>,
        directory: Directory,
        next_number: u32,
        segment_size: u64,
        at: Place,
    ) -> Self {
        Self {
            shared,
            directory,
            next_number,
            segment_size,
            file: at.slot.file,
            size: at.slot.size,
            sequence: at.header.sequence,
            offset: at.offset,
            salt: at.header.salt,
            epoch: at.epoch,
            last: at.durable,
            durable: at.durable,
            receive_time: at.receive_time,
            buffer: Vec::with_capacity(BUFFER),
            in_hand: Vec::new(),
        }
    }

    /// Writes until the log is closed or fails.
    pub(crate) fn run(mut self) {
        while self.step() == Step::Went {}
    }

    /// Waits for records and writes one group of them.
    pub(crate) fn step(&mut self) -> Step {
        let result = match self.group() {
            Ok(None) => return Step::Ended,
            Ok(Some(group)) if group.is_empty() => Ok(()),
            Ok(Some(group)) => self.put_group(group),
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            self.shared.break_down(error, &mut self.in_hand);
            return Step::Ended;
        }
        Step::Went
    }

    /// The next records that files are there for; none if the first that waited had to be refused. `None` at the end.
    pub(crate) fn group(&mut self) -> Result<Option<Vec<Pending<R>>>, OpenError> {
        loop {
            let shared = Arc::clone(&self.shared);
            let mut state = shared.lock();
            let surplus = loop {
                let State { space: Space::Disk(disk), is_closed, failure, last, .. } = &mut *state else {
                    return Ok(None);
                };
                self.durable = *last;
                if failure.is_some() {
                    return Ok(None);
                }
                if !disk.queue.is_empty() {
                    break std::mem::take(&mut disk.segments.surplus);
                }
                if *is_closed {
                    disk.is_written_out = true;
                    shared.syncable.notify_one();
                    return Ok(None);
                }
                state = shared.wait(&shared.writable, state);
            };
            if !surplus.is_empty() {
                drop(state);
                self.remove(&surplus)?;
                continue;
            }
            let Space::Disk(disk) = &mut state.space else { return Ok(None) };
            let group = take_group(disk);
            if !group.is_empty() {
                return Ok(Some(group));
            }
            let may_grow = disk.segments.growable() > 0;
            drop(state);
            if !may_grow || !self.grow()? {
                self.refuse_first();
                return Ok(Some(Vec::new()));
            }
        }
    }

    /// The first record that waits finds no room: the disk was full.
    fn refuse_first(&self) {
        let mut state = self.shared.lock();
        let State { space: Space::Disk(disk), memory, .. } = &mut *state else { return };
        let Some(pending) = disk.queue.pop_front() else { return };
        disk.segments.promised = disk.segments.promised.saturating_sub(pending.cost());
        *memory = memory.saturating_sub(pending.size);
        drop(state);
        // Whoever asked may have gone.
        let _ = pending.told.send(Err(AppendError::Full));
    }

    /// Makes a file for another segment. `false` if there is no room on the disk.
    fn grow(&mut self) -> Result<bool, OpenError> {
        let name = file_name(self.next_number);
        match create_slot(&self.directory, &name, self.segment_size) {
            Ok(slot) => {
                self.next_number = self.next_number.saturating_add(1);
                if let Space::Disk(disk) = &mut self.shared.lock().space {
                    disk.segments.free.push(slot);
                }
                Ok(true)
            }
            Err(OpenError::Io { source, .. }) if is_disk_full(&source) => {
                let now = (self.shared.clock)();
                if let Space::Disk(disk) = &mut self.shared.lock().space {
                    disk.segments.block_growth(now);
                }
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn remove(&self, surplus: &[Slot]) -> Result<(), OpenError> {
        for slot in surplus {
            self.directory.remove(&slot.name)?;
        }
        self.directory.sync()
    }

    /// Writes the group, and hands it on to be made durable.
    pub(crate) fn put_group(&mut self, group: Vec<Pending<R>>) -> Result<(), OpenError> {
        // One time for all of them: they become safe together.
        self.receive_time = self.receive_time.max((self.shared.clock)());
        let first = self.last + 1;
        let mut cost = 0;
        let mut result = Ok(());
        for (lsn, pending) in (first..).zip(group) {
            if result.is_ok() {
                result = self.put_record(lsn, &pending);
            }
            (self.last, cost) = (lsn, cost + pending.cost());
            let entry = Entry { lsn, receive_time: self.receive_time, record: pending.record };
            self.in_hand.push(Written { entry, told: pending.told });
        }
        result.and_then(|()| self.flush())?;

        let mut state = self.shared.lock();
        if state.failure.is_some() {
            drop(state);
            self.shared.break_down("it failed before", &mut self.in_hand);
            return Ok(());
        }
        if let Space::Disk(disk) = &mut state.space {
            disk.written.append(&mut self.in_hand);
            let segments = &mut disk.segments;
            segments.promised = segments.promised.saturating_sub(cost);
            segments.offset = self.offset;
        }
        drop(state);
        self.shared.syncable.notify_one();
        Ok(())
    }

    /// Writes a record, split where a segment ends.
    fn put_record(&mut self, lsn: Lsn, pending: &Pending<R>) -> Result<(), OpenError> {
        let mut rest = &pending.payload[..];
        let mut part = 0_u16;
        loop {
            if self.size - self.offset < MIN_FRAME {
                self.next_segment(lsn, part)?;
            }
            let room = (self.size - self.offset).saturating_sub(FRAME_HEADER as u64);
            let length = rest.len().min(usize::try_from(room).unwrap_or(usize::MAX)).min(u32::MAX as usize);
            let (payload, behind) = rest.split_at(length);
            let header = Header {
                length: length as u32,
                payload_crc: crc32c::crc32c(payload),
                lsn,
                durable: self.durable,
                epoch: self.epoch,
                receive_time: self.receive_time,
                kind: pending.record.kind(),
                part,
                is_last: behind.is_empty(),
                is_compressed: pending.is_compressed,
                is_lost: false,
            };
            self.put_frame(&header, payload)?;
            if behind.is_empty() {
                return Ok(());
            }
            rest = behind;
            part = part.saturating_add(1);
        }
    }

    fn put_frame(&mut self, header: &Header, payload: &[u8]) -> Result<(), OpenError> {
        let padding = header.size() as usize - FRAME_HEADER - payload.len();
        self.buffer.extend_from_slice(&header.encode(self.salt));
        self.offset += header.size();
        if payload.len() < DIRECT {
            self.buffer.extend_from_slice(payload);
            self.buffer.extend(std::iter::repeat_n(0, padding));
            return if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) };
        }
        // Written out of order of its parts, no copy of it is made; the padding stays what it was.
        let at = self.offset - (payload.len() + padding) as u64;
        self.flush_before(at)?;
        self.write(payload, at)
    }

    /// Writes what is gathered, which ends at the writer's place.
    fn flush(&mut self) -> Result<(), OpenError> {
        self.flush_before(self.offset)
    }

    fn flush_before(&mut self, end: u64) -> Result<(), OpenError> {
        let buffer = std::mem::take(&mut self.buffer);
        let written = if buffer.is_empty() { Ok(()) } else { self.write(&buffer, end - buffer.len() as u64) };
        self.buffer = buffer;
        self.buffer.clear();
        written
    }

    fn write(&self, bytes: &[u8], at: u64) -> Result<(), OpenError> {
        self.file.write_at(bytes, at).map_err(|error| self.error("writing", error))
    }

    /// An error with the segment that is written to.
    fn error(&self, action: &'static str, error: io::Error) -> OpenError {
        let state = self.shared.lock();
        let path = state.segment(|_| true).map(|segment| segment.slot.path).unwrap_or_default();
        io_error(action, &path)(error)
    }

    /// Begins the next segment with a part of a record.
    fn next_segment(&mut self, lsn: Lsn, part: u16) -> Result<(), OpenError> {
        // Before the next segment says that this one is complete, it must be.
        self.flush()?;
        self.shared.sync(&*self.file).map_err(|error| self.error("syncing", error))?;
        let slot = match &mut self.shared.lock().space {
            Space::Disk(disk) if !disk.segments.free.is_empty() => Some(disk.segments.free.remove(0)),
            _ => None,
        };
        // A group is only taken when the files for it are there.
        let slot = match slot {
            Some(slot) => slot,
            None => {
                let number = self.next_number;
                self.next_number = number.saturating_add(1);
                create_slot(&self.directory, &file_name(number), self.segment_size)?
            }
        };
        self.sequence += 1;
        let header = SegmentHeader {
            size: slot.size,
            sequence: self.sequence,
            previous: self.sequence - 1,
            first_lsn: lsn,
            first_part: part,
            epoch: self.epoch,
            receive_time: self.receive_time,
            salt: self.salt,
        };
        begin_segment(&slot, &header)?;
        let mut state = self.shared.lock();
        if let Space::Disk(disk) = &mut state.space {
            let segments = &mut disk.segments;
            if let Some(segment) = segments.live.back_mut() {
                segment.last_lsn = if part > 0 { lsn } else { lsn - 1 };
            }
            // What is promised has its room behind here; it is counted exactly when the group is done.
            segments.offset = SEGMENT_HEADER;
            segments.live.push_back(Segment { slot: slot.clone(), header, last_lsn: lsn });
        }
        drop(state);
        (self.file, self.size, self.offset) = (slot.file, slot.size, SEGMENT_HEADER);
        Ok(())
    }
}

/// Takes records that the files which are there have room for.
fn take_group<R>(disk: &mut Disk<R>) -> Vec<Pending<R>> {
    let room = disk.segments.prepared_room();
    let (mut group, mut size) = (Vec::new(), 0);
    while let Some(cost) = disk.queue.front().map(Pending::cost)
        && size + cost <= room
        && (size == 0 || size + cost <= GROUP)
        && let Some(pending) = disk.queue.pop_front()
    {
        size += cost;
        group.push(pending);
    }
    group
}

fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Makes a file for a segment, filled with zeros: whatever is written into it later finds its room taken already.
pub(crate) fn create_slot(directory: &Directory, name: &str, size: u64) -> Result<Slot, OpenError> {
    let zeros = vec![0; BUFFER.min(size as usize)];
    let file = directory.create_whole(name, |file| {
        let mut at = 0;
        while at < size {
            let length = (size - at).min(zeros.len() as u64);
            file.write_at(zeros.get(..length as usize).unwrap_or_default(), at)?;
            at += length;
        }
        Ok(())
    })?;
    Ok(Slot { name: name.to_owned(), path: directory.path().join(name), file, size })
}

/// Makes a segment's first page durable, before any frame follows it.
pub(crate) fn begin_segment(slot: &Slot, header: &SegmentHeader) -> Result<(), OpenError> {
    let begun = slot.file.write_at(&header.encode(), 0).and_then(|()| slot.file.sync());
    begun.map_err(io_error("writing the first page of", &slot.path))
}
