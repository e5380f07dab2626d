//! Reads records over the frames of successive segments, and accepts only what must come next.

use std::io;

use bytes::Bytes;

use crate::Lsn;
use crate::frame::Header;
use crate::segment::{FrameReader, Place, SEGMENT_HEADER, Segment};

/// A record as it stands in the log, for whoever reads it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// Its place.
    pub lsn: Lsn,
    /// When it was appended, nanoseconds since the Unix epoch.
    pub receive_time: u64,
    /// What kind of record it is.
    pub kind: u8,
    /// [`crate::Record::items`] of the record, while it is in memory.
    pub items: Option<u64>,
    /// Its bytes.
    pub payload: Bytes,
}

/// Reads one record after another.
#[derive(Debug)]
pub(crate) struct Chain {
    frames: FrameReader,
    pub(crate) sequence: u64,
    /// The record that must come next ...
    pub(crate) expected: Lsn,
    /// ... and the part of it.
    pub(crate) part: u16,
    pub(crate) epoch: u64,
    pub(crate) receive_time: u64,
    /// What was read of a record that is not complete.
    payload: Vec<u8>,
    /// Where that record begins: sequence of the segment, and offset.
    pub(crate) begun: Option<(u64, u64)>,
    /// Up to where the frames that were read say that all is durable.
    pub(crate) durable: Lsn,
}

/// What came next.
#[derive(Debug)]
pub(crate) enum Next {
    Record(Stored),
    /// `repair` found nothing readable up to here.
    Lost {
        through: Lsn,
    },
    /// The segment is full; the log goes on in the next one.
    SegmentEnd,
    /// Here stands nothing that must come next.
    Stop,
}

/// A record as it is stored.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) lsn: Lsn,
    pub(crate) receive_time: u64,
    kind: u8,
    is_compressed: bool,
    payload: Vec<u8>,
}

impl Chain {
    /// Begins with a segment. The end of a record that begins before it is passed over.
    pub(crate) fn new(segment: &Segment) -> Self {
        let header = segment.header;
        Self {
            frames: frames_of(segment),
            sequence: header.sequence,
            expected: header.first_lsn,
            part: header.first_part,
            epoch: header.epoch,
            receive_time: header.receive_time,
            payload: Vec::new(),
            begun: None,
            durable: 0,
        }
    }

    /// Goes on with a segment; `false`, and nothing done, if it does not go on where the last one ended.
    pub(crate) fn enter(&mut self, segment: &Segment) -> bool {
        let header = segment.header;
        let goes_on = (header.first_lsn, header.first_part) == (self.expected, self.part);
        // Behind what `repair` gave up, the rest of a record may stand.
        let is_rest = self.part == 0 && header.first_part > 0 && header.first_lsn.checked_add(1) == Some(self.expected);
        if !(goes_on || is_rest) || header.previous != self.sequence || header.epoch < self.epoch {
            return false;
        }
        if is_rest {
            (self.expected, self.part) = (header.first_lsn, header.first_part);
        }
        self.frames = frames_of(segment);
        self.sequence = header.sequence;
        self.epoch = header.epoch;
        self.receive_time = self.receive_time.max(header.receive_time);
        true
    }

    /// Goes on behind what cannot be read, with the next record of the segment that is whole from its beginning, up to the `last` that is
    /// safe. Tells whether there is one by now.
    pub(crate) fn resume(&mut self, last: Lsn) -> bool {
        self.frames.refresh();
        let (expected, epoch, time) = (self.expected, self.epoch, self.receive_time);
        let follows = |header: &Header| {
            (expected..=last).contains(&header.lsn)
                && header.part == 0
                && header.epoch >= epoch
                && header.receive_time >= time
        };
        while let Some((offset, header)) = self.frames.find_readable(follows) {
            let is_whole = matches!(self.frames.take_payload(&header, &mut Vec::new()), Ok(true));
            self.frames.offset = if is_whole { offset } else { offset + 1 };
            if is_whole {
                (self.expected, self.part, self.begun) = (header.lsn, 0, None);
                self.payload.clear();
                return true;
            }
        }
        false
    }

    /// Where in its segment it stands.
    pub(crate) fn offset(&self) -> u64 {
        self.frames.offset
    }

    /// Forgets what was read ahead: it may have been written since.
    pub(crate) fn refresh(&mut self) {
        self.frames.refresh();
    }

    /// The next record of the segment.
    pub(crate) fn next(&mut self) -> io::Result<Next> {
        self.next_of(&|_| true)
    }

    /// The next record of the segment, without its payload if nobody wants that kind.
    pub(crate) fn next_of(&mut self, is_wanted: &dyn Fn(u8) -> bool) -> io::Result<Next> {
        loop {
            let header = match self.frames.header()? {
                Place::Full => return Ok(Next::SegmentEnd),
                Place::Nothing => return Ok(Next::Stop),
                Place::Header(header) => header,
            };
            let is_next = header.lsn == self.expected && (header.part == self.part || header.is_lost);
            if !is_next || header.epoch < self.epoch || header.receive_time < self.receive_time {
                return Ok(Next::Stop);
            }
            let at = self.frames.offset;
            if header.part == 0 || header.is_lost {
                self.payload.clear();
            }
            let is_read = header.is_lost || is_wanted(header.kind);
            if !is_read {
                self.frames.skip(&header);
            } else if !self.frames.take_payload(&header, &mut self.payload)? {
                return Ok(Next::Stop);
            }
            (self.epoch, self.receive_time) = (header.epoch, header.receive_time);
            if header.is_lost {
                let (from, through) = (self.expected, header.durable);
                (self.expected, self.part, self.begun) = (from.max(through.saturating_add(1)), 0, None);
                return Ok(Next::Lost { through });
            }
            self.durable = self.durable.max(header.durable);
            if header.part == 0 {
                self.begun = Some((self.sequence, at));
            }
            if !header.is_last {
                self.part = self.part.saturating_add(1);
                continue;
            }
            (self.expected, self.part) = (self.expected.saturating_add(1), 0);
            let payload = std::mem::take(&mut self.payload);
            if self.begun.take().is_some() {
                let is_compressed = header.is_compressed && is_read;
                return Ok(Next::Record(Stored::new(&Header { is_compressed, ..header }, payload)));
            }
        }
    }

    /// The next place in the segment, from the current one on, with a header for which `is_wanted` holds. The chain is of no
    /// further use.
    pub(crate) fn find(&mut self, is_wanted: impl FnMut(&Header) -> bool) -> io::Result<Option<(u64, Header)>> {
        self.frames.find(is_wanted)
    }
}

fn frames_of(segment: &Segment) -> FrameReader {
    FrameReader::new(segment.slot.file.clone(), segment.slot.size, segment.header.salt, SEGMENT_HEADER)
}

impl Stored {
    fn new(header: &Header, payload: Vec<u8>) -> Self {
        Self {
            lsn: header.lsn,
            receive_time: header.receive_time,
            kind: header.kind,
            is_compressed: header.is_compressed,
            payload,
        }
    }

    pub(crate) fn open(self) -> io::Result<RawRecord> {
        let payload = if self.is_compressed { decompress(&self.payload)? } else { self.payload };
        let (lsn, receive_time, kind) = (self.lsn, self.receive_time, self.kind);
        Ok(RawRecord { lsn, receive_time, kind, items: None, payload: payload.into() })
    }
}

/// Payloads smaller than this are not worth the work.
const COMPRESS_FROM: usize = 256;

/// A payload as zstd, behind its size; `None` if that makes it no smaller.
pub(crate) fn compress(payload: &[u8], level: i32) -> io::Result<Option<Vec<u8>>> {
    let Ok(size) = u32::try_from(payload.len()) else { return Ok(None) };
    if payload.len() < COMPRESS_FROM {
        return Ok(None);
    }
    let packed = zstd::bulk::compress(payload, level)?;
    if packed.len() + 4 >= payload.len() {
        return Ok(None);
    }
    Ok(Some([&size.to_le_bytes(), packed.as_slice()].concat()))
}

/// The size can be trusted: it was under the frame's checksum.
fn decompress(stored: &[u8]) -> io::Result<Vec<u8>> {
    let (size, packed) = stored.split_first_chunk().ok_or(io::ErrorKind::InvalidData)?;
    zstd::bulk::decompress(packed, u32::from_le_bytes(*size) as usize)
}
