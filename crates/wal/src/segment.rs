//! Segments: files of one size that are made and filled with zeros once, and then used again and again.
//!
//! The first page tells which place in the log the segment has now; frames follow. That page is made durable before any frame
//! behind it is written, and the segment before is made durable before that: so a page that cannot be read, with frames behind
//! it, is damage, and so is any bad frame that is not in the newest segment.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Lsn;
use crate::frame::{self, FRAME_HEADER, Header, MIN_FRAME, u32_at, u64_at};
use crate::fs::File;

/// The first page of a segment; frames follow.
pub(crate) const SEGMENT_HEADER: u64 = 4096;
/// What is lost of a segment to frames that are split at its end, at most.
const SPLIT_LOSS: u64 = MIN_FRAME + FRAME_HEADER as u64 + 16;

/// The header stands in the page twice: without one, a log of one segment had no salt to read its frames with.
const COPY: usize = 2048;

const MAGIC: [u8; 8] = *b"SpanWAL\n";
pub(crate) const VERSION: u32 = 1;

/// What the first page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The size of the file.
    pub(crate) size: u64,
    /// Its place in the log, counted from 1.
    pub(crate) sequence: u64,
    /// The place of the segment before: one less, unless `repair` gave some up.
    pub(crate) previous: u64,
    /// The record of its first frame ...
    pub(crate) first_lsn: Lsn,
    /// ... and which part of it that is.
    pub(crate) first_part: u16,
    pub(crate) epoch: u64,
    /// Of the record before.
    pub(crate) receive_time: u64,
    /// The log's own number; see [`frame`].
    pub(crate) salt: u32,
}

/// What the first page of a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Valid(SegmentHeader),
    /// Never used, or given back.
    Blank,
    Unknown {
        version: u32,
    },
    Damaged,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut page = Vec::with_capacity(SEGMENT_HEADER as usize);
        page.extend_from_slice(&MAGIC);
        page.extend_from_slice(&VERSION.to_le_bytes());
        page.extend_from_slice(&self.salt.to_le_bytes());
        for number in [
            self.size,
            self.sequence,
            self.first_lsn,
            u64::from(self.first_part),
            self.epoch,
            self.receive_time,
            self.previous,
        ] {
            page.extend_from_slice(&number.to_le_bytes());
        }
        let crc = crc32c::crc32c(&page);
        page.extend_from_slice(&crc.to_le_bytes());
        let header = page.clone();
        page.resize(COPY, 0);
        page.extend_from_slice(&header);
        page.resize(SEGMENT_HEADER as usize, 0);
        page
    }

    /// The first record that begins in the segment or behind it.
    pub(crate) fn begins_with(&self) -> Lsn {
        self.first_lsn + Lsn::from(self.first_part > 0)
    }
}

impl Page {
    pub(crate) fn decode(page: &[u8], size: u64) -> Self {
        if page.iter().all(|byte| *byte == 0) {
            return Self::Blank;
        }
        match Self::decode_one(page, size) {
            Self::Damaged => Self::decode_one(page.get(COPY..).unwrap_or_default(), size),
            page => page,
        }
    }

    fn decode_one(bytes: &[u8], size: u64) -> Self {
        let Some((fields, crc)) = bytes.split_at_checked(72) else { return Self::Damaged };
        if !fields.starts_with(&MAGIC) || crc32c::crc32c(fields) != u32_at(crc, 0) {
            return Self::Damaged;
        }
        let version = u32_at(fields, 8);
        if version != VERSION {
            return Self::Unknown { version };
        }
        let header = SegmentHeader {
            size: u64_at(fields, 16),
            sequence: u64_at(fields, 24),
            first_lsn: u64_at(fields, 32),
            first_part: u64_at(fields, 40) as u16,
            epoch: u64_at(fields, 48),
            receive_time: u64_at(fields, 56),
            previous: u64_at(fields, 64),
            salt: u32_at(fields, 12),
        };
        if header.size == size { Self::Valid(header) } else { Self::Damaged }
    }
}

/// A file that can hold a segment.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
    pub(crate) size: u64,
}

/// A file that holds a segment.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) slot: Slot,
    pub(crate) header: SegmentHeader,
    /// The last record of which some part stands here; not kept while the segment is written to.
    pub(crate) last_lsn: Lsn,
}

impl Slot {
    pub(crate) fn read_page(&self) -> io::Result<Page> {
        if self.size < SEGMENT_HEADER {
            return Ok(Page::Damaged);
        }
        let mut page = vec![0; SEGMENT_HEADER as usize];
        self.file.read_at(&mut page, 0)?;
        Ok(Page::decode(&page, self.size))
    }

    /// Bytes of records that surely fit into what is left behind `offset`, whatever is split.
    pub(crate) fn room(&self, offset: u64) -> u64 {
        room(self.size, offset)
    }
}

/// Bytes of records that surely fit into a segment of `size` behind `offset`.
pub(crate) fn room(size: u64, offset: u64) -> u64 {
    size.saturating_sub(offset).saturating_sub(SPLIT_LOSS)
}

/// The file name of the segment file with that number.
pub(crate) fn file_name(number: u32) -> String {
    format!("segment-{number:05}.wal")
}

/// The number in the name of a segment file.
pub(crate) fn number_of(name: &str) -> Option<u32> {
    name.strip_prefix("segment-")?.strip_suffix(".wal")?.parse().ok()
}

/// Reads a segment's frames one after another.
#[derive(Debug)]
pub(crate) struct FrameReader {
    file: Arc<dyn File>,
    size: u64,
    salt: u32,
    pub(crate) offset: u64,
    /// Bytes of the file from `window_at` on, so that small frames do not cost a system call each.
    window: Vec<u8>,
    window_at: u64,
    /// Up to a multiple of this is read at once.
    ahead: u64,
}

/// What stands where a frame may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Header(Header),
    /// Too little room is left in the segment for a frame.
    Full,
    /// No frame of this log.
    Nothing,
}

const WINDOW: u64 = 256 * 1024;
/// What cannot be read of a file is at least so much.
const PAGE: u64 = 4096;

impl FrameReader {
    pub(crate) fn new(file: Arc<dyn File>, size: u64, salt: u32, offset: u64) -> Self {
        Self { file, size, salt, offset, window: Vec::new(), window_at: 0, ahead: WINDOW }
    }

    /// Forgets what was read ahead: it may have changed.
    pub(crate) fn refresh(&mut self) {
        self.window.clear();
    }

    fn to_boundary(&self, at: u64) -> u64 {
        self.ahead - at % self.ahead
    }

    /// Makes `length` bytes from `at` on stand in the window. They must be in the file.
    fn bytes(&mut self, at: u64, length: u64) -> io::Result<&[u8]> {
        let is_there = at >= self.window_at && at + length <= self.window_at + self.window.len() as u64;
        if !is_there {
            let ahead = self.to_boundary(at).max(length).min(self.size.saturating_sub(at));
            self.window.resize(ahead as usize, 0);
            self.window_at = at;
            let mut read = self.file.read_at(&mut self.window, at);
            if read.is_err() && ahead > length {
                // What is wanted may stand before what cannot be read.
                self.window.truncate(length as usize);
                read = self.file.read_at(&mut self.window, at);
            }
            if let Err(error) = read {
                self.window.clear();
                return Err(error);
            }
        }
        let start = (at - self.window_at) as usize;
        self.window.get(start..start + length as usize).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// What stands at the reader's place.
    pub(crate) fn header(&mut self) -> io::Result<Place> {
        if self.size.saturating_sub(self.offset) < MIN_FRAME {
            return Ok(Place::Full);
        }
        let (salt, left) = (self.salt, self.size - self.offset);
        let bytes = self.bytes(self.offset, FRAME_HEADER as u64)?;
        let header = bytes.first_chunk().and_then(|bytes| Header::decode(bytes, salt));
        Ok(header
            .filter(|header| FRAME_HEADER as u64 + u64::from(header.length) <= left)
            .map_or(Place::Nothing, Place::Header))
    }

    /// Adds the payload of the frame at the reader's place to `payload`, and goes on to the next. `false`, and nothing done, if
    /// it is not what was written.
    pub(crate) fn take_payload(&mut self, header: &Header, payload: &mut Vec<u8>) -> io::Result<bool> {
        let at = self.offset + FRAME_HEADER as u64;
        let before = payload.len();
        if u64::from(header.length) <= self.ahead {
            let bytes = self.bytes(at, u64::from(header.length))?;
            payload.extend_from_slice(bytes);
        } else {
            payload.resize(before + header.length as usize, 0);
            self.file.read_at(payload.get_mut(before..).unwrap_or_default(), at)?;
        }
        if payload.get(before..).map(crc32c::crc32c) != Some(header.payload_crc) {
            payload.truncate(before);
            return Ok(false);
        }
        self.offset += header.size();
        Ok(true)
    }

    /// Goes on to the frame behind the one at the reader's place.
    pub(crate) fn skip(&mut self, header: &Header) {
        self.offset += header.size();
    }

    /// The next place from the reader's on where a header stands for which `is_wanted` holds.
    pub(crate) fn find(&mut self, mut is_wanted: impl FnMut(&Header) -> bool) -> io::Result<Option<(u64, Header)>> {
        const STEP: u64 = 8;
        let mut at = self.offset.next_multiple_of(STEP);
        while at + FRAME_HEADER as u64 <= self.size {
            // Only what is in the window, as long as a header may be: a payload full of beginnings is read once.
            let window_end = self.window_at + self.window.len() as u64;
            let is_in_window = at >= self.window_at && at + FRAME_HEADER as u64 <= window_end;
            let chunk = if is_in_window { window_end - at } else { (self.size - at).min(self.to_boundary(at)) };
            self.offset = at;
            let bytes = self.bytes(at, chunk)?;
            let found = bytes.chunks(STEP as usize).position(frame::begins_like_one);
            let Some(found) = found else {
                at += chunk.next_multiple_of(STEP);
                continue;
            };
            self.offset = at + found as u64 * STEP;
            if let Place::Header(header) = self.header()?
                && is_wanted(&header)
            {
                return Ok(Some((self.offset, header)));
            }
            at = self.offset + STEP;
        }
        self.offset = self.size;
        Ok(None)
    }

    /// The same, past what the disk refuses to read: first page by page, then in steps that double as long as nothing can be read, so that a
    /// disk that is gone is not asked for each of its pages.
    pub(crate) fn find_readable(&mut self, mut is_wanted: impl FnMut(&Header) -> bool) -> Option<(u64, Header)> {
        let (mut failed_at, mut step) = (None, PAGE);
        loop {
            if let Ok(found) = self.find(&mut is_wanted) {
                return found;
            }
            if self.ahead > PAGE {
                self.ahead = PAGE;
                continue;
            }
            step = if failed_at == Some(self.offset) { 2 * step } else { PAGE };
            self.offset = (self.offset / PAGE * PAGE).saturating_add(step);
            failed_at = Some(self.offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What was encoded is decoded, from either copy; with both changed, or in a file of another size, the page is damaged.
    #[test]
    fn page_is_whole() {
        let header = SegmentHeader {
            size: 8192,
            sequence: 3,
            previous: 2,
            first_lsn: 17,
            first_part: 1,
            epoch: 5,
            receive_time: 8,
            salt: 1,
        };
        let page = header.encode();
        assert_eq!(Page::decode(&page, 8192), Page::Valid(header));
        assert_eq!(Page::decode(&page, 4096), Page::Damaged);
        assert_eq!(Page::decode(&[0; 4096], 8192), Page::Blank);
        for at in 0..76 {
            let mut page = page.clone();
            page[at] ^= 1;
            assert_eq!(Page::decode(&page, 8192), Page::Valid(header), "byte {at}");
            page[COPY + 75 - at] ^= 1;
            assert_eq!(Page::decode(&page, 8192), Page::Damaged, "byte {at}");
        }
    }
}
