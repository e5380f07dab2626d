//! How a log on disk is opened.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use bytes::Bytes;

use crate::directory::Directory;
use crate::error::{OpenError, io_error};
use crate::log::{Disk, Log, Shared, Space};
use crate::reader::{RawReader, Reader, Recovered};
use crate::recovery::recover;
use crate::segment::{SEGMENT_HEADER, Segment, SegmentHeader, file_name};
use crate::space::Segments;
use crate::syncer::Syncer;
use crate::writer::{Place, Writer, begin_segment, create_slot};
use crate::{Lsn, Memory, Record};

/// How a log on disk is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Bytes that its files may take together.
    pub max_size: u64,
    /// Bytes of one file; `None` for a sixteenth of `max_size`, but at most 64 MiB, as long as that makes no more than 256 files.
    pub segment_size: Option<u64>,
    /// Bytes of records that may wait in memory for the disk and for the reader; the last of them may exceed it.
    pub memory_limit: usize,
    /// The zstd level that payloads are compressed with; `None` stores them as they are.
    pub compression: Option<i32>,
}

/// Where the consumers of a log stand when it is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Start {
    /// The checkpoint covers the records up to here: the reader begins behind it. 0 without a checkpoint.
    pub applied: Lsn,
    /// Every consumer is done with the records up to here: it is an error if one behind is missing.
    pub needed: Lsn,
    /// Records behind here are kept if they are there, for the case that the newest checkpoint is lost: see
    /// [`crate::Checkpoints::covered`].
    pub kept: Lsn,
}

impl Start {
    /// All consumers stand at the same record.
    pub fn at(lsn: Lsn) -> Self {
        Self { applied: lsn, needed: lsn, kept: lsn }
    }
}

/// The smallest segment; only tests want one so small.
const MIN_SEGMENT: u64 = 2 * SEGMENT_HEADER;
const MAX_SEGMENT: u64 = 64 << 20;
/// A log of fewer segments could not be used again while it is written.
const MIN_SEGMENTS: u64 = 4;
/// Every segment is an open file.
const MAX_SEGMENTS: u64 = 256;
/// A frame's length and a reader's buffer are of this size at most.
const LARGEST_SEGMENT: u64 = 1 << 30;

impl Settings {
    fn segment_size(&self) -> Result<u64, OpenError> {
        let usual = (self.max_size / 16).min(MAX_SEGMENT).max(self.max_size / MAX_SEGMENTS);
        let size =
            self.segment_size.unwrap_or(usual).clamp(MIN_SEGMENT, LARGEST_SEGMENT) / SEGMENT_HEADER * SEGMENT_HEADER;
        if self.max_size / size < MIN_SEGMENTS {
            let min = MIN_SEGMENTS * size;
            return Err(OpenError::Setting(format!("the log needs {min} bytes at least, not {}", self.max_size)));
        }
        Ok(size)
    }
}

impl<R: Record> Log<R> {
    /// Opens the log in `directory`, or begins one. The reader gives first what is found behind `start.applied`, each record made
    /// by `restore` from its kind and payload, and then what is appended. `clock` tells nanoseconds since the Unix epoch.
    ///
    /// # Errors
    /// The directory cannot be read or written; records that were acknowledged are damaged or missing; the settings make no
    /// sense. Nothing was changed then that [`crate::repair()`] would need.
    pub fn open(
        directory: &Directory,
        settings: &Settings,
        start: Start,
        clock: impl Fn() -> u64 + Send + Sync + 'static,
        restore: impl FnMut(u8, Bytes) -> Result<R, String> + Send + 'static,
    ) -> Result<(Self, Reader<R>), OpenError> {
        let Parts { shared, reader, writer, syncer } =
            open(directory, settings, start, Box::new(clock), Box::new(restore))?;
        let log = Self::new(shared);
        log.spawn("wal", || writer.run())
            .and_then(|()| log.spawn("wal-sync", || syncer.run()))
            .map_err(io_error("starting a thread for", directory.path()))?;
        Ok((log, reader))
    }
}

/// The parts of an open log, for tests that make the threads' steps themselves.
pub(crate) struct Parts<R> {
    pub(crate) shared: Arc<Shared<R>>,
    pub(crate) reader: Reader<R>,
    pub(crate) writer: Writer<R>,
    pub(crate) syncer: Syncer<R>,
}

pub(crate) fn open<R: Record>(
    directory: &Directory,
    settings: &Settings,
    start: Start,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    restore: crate::reader::Restore<R>,
) -> Result<Parts<R>, OpenError> {
    let segment_size = settings.segment_size()?;
    let mut found = recover(directory, start)?;
    let epoch = found.epoch + 1;
    if found.live.is_empty() {
        found.live = first_segment(directory, segment_size, &mut found.next_number)?;
        found.offset = SEGMENT_HEADER;
    }
    let place = found.live.back().map(|segment| Place {
        slot: segment.slot.clone(),
        header: segment.header,
        offset: found.offset,
        epoch,
        durable: found.last_lsn,
        receive_time: found.receive_time,
    });
    let Some(place) = place else {
        return Err(OpenError::Setting("the log has no segment".to_owned()));
    };
    let segments = Segments::new(found.live, found.offset, found.free, segment_size, settings.max_size);
    let shared = Shared::new(
        Space::Disk(Disk { queue: VecDeque::new(), written: Vec::new(), is_written_out: false, segments }),
        start.applied,
        (found.last_lsn, found.receive_time, found.times),
        clock,
        Memory::up_to(settings.memory_limit),
        settings.compression,
    );
    let records = RawReader::new(Arc::clone(&shared), start.applied);
    let recovered = Recovered { records, through: found.last_lsn, restore };
    let reader = Reader::new(Arc::clone(&shared), Some(recovered));
    let writer = Writer::new(Arc::clone(&shared), directory.clone(), found.next_number, segment_size, place);
    let syncer = Syncer::new(Arc::clone(&shared));
    Ok(Parts { shared, reader, writer, syncer })
}

fn first_segment(
    directory: &Directory,
    segment_size: u64,
    next_number: &mut u32,
) -> Result<VecDeque<Segment>, OpenError> {
    let slot = create_slot(directory, &file_name(*next_number), segment_size)?;
    *next_number += 1;
    // Not a secret for ever, but nobody who sends requests knows it.
    let salt = RandomState::new().hash_one(segment_size) as u32;
    let header = SegmentHeader {
        size: segment_size,
        sequence: 1,
        previous: 0,
        first_lsn: 1,
        first_part: 0,
        epoch: 1,
        receive_time: 0,
        salt,
    };
    begin_segment(&slot, &header)?;
    Ok(VecDeque::from([Segment { slot, header, last_lsn: 0 }]))
}
