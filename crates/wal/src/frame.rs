//! Frames: a record, or a part of one, as it stands in a segment.
//!
//! A segment that is used again is full of frames that were valid once, and so is what a crash left behind the last good
//! record. So a frame counts only if its checksum holds *and* it is the one that must come next: LSN, part and epoch stand
//! under the checksum. The checksum is salted with a number of the log's own, so that nobody can put the bytes of a valid
//! frame into a request. The header has a checksum of its own: with it a reader knows whether it may trust the length, and
//! looking for frames behind damage costs no more than their headers.

use crate::Lsn;

/// Bytes before a frame's payload.
pub(crate) const FRAME_HEADER: usize = 56;
/// A segment with less room than this left is full: the next frame stands in the next one.
pub(crate) const MIN_FRAME: u64 = FRAME_HEADER as u64 + 64;
/// Frames begin at multiples of this.
const ALIGNMENT: u64 = 8;

const MAGIC: u32 = u32::from_le_bytes(*b"SpWf");

/// The frame ends its record.
const LAST: u8 = 1;
/// The record's payload is zstd, behind four bytes that tell its size before.
const COMPRESSED: u8 = 2;
/// No record: stands where `repair` found none, and its payload is the last LSN that is lost.
const LOST: u8 = 4;

/// What stands before a frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Bytes of payload in this frame.
    pub(crate) length: u32,
    pub(crate) payload_crc: u32,
    pub(crate) lsn: Lsn,
    /// All records up to here were durable when this was written: that they are missing is damage, not a torn tail.
    pub(crate) durable: Lsn,
    /// How often the log had been opened. Never less than in the frame before.
    pub(crate) epoch: u64,
    pub(crate) receive_time: u64,
    pub(crate) kind: u8,
    /// Which part of its record it is, from 0.
    pub(crate) part: u16,
    pub(crate) is_last: bool,
    pub(crate) is_compressed: bool,
    pub(crate) is_lost: bool,
}

impl Header {
    pub(crate) fn encode(&self, salt: u32) -> [u8; FRAME_HEADER] {
        let flags =
            u8::from(self.is_last) * LAST + u8::from(self.is_compressed) * COMPRESSED + u8::from(self.is_lost) * LOST;
        let mut bytes = [0; FRAME_HEADER];
        let mut at = 0;
        let mut put = |field: &[u8]| {
            if let Some(place) = bytes.get_mut(at..at + field.len()) {
                place.copy_from_slice(field);
            }
            at += field.len();
        };
        put(&MAGIC.to_le_bytes());
        put(&[0; 4]);
        put(&self.length.to_le_bytes());
        put(&self.payload_crc.to_le_bytes());
        put(&self.lsn.to_le_bytes());
        put(&self.durable.to_le_bytes());
        put(&self.epoch.to_le_bytes());
        put(&self.receive_time.to_le_bytes());
        put(&[self.kind, flags]);
        put(&self.part.to_le_bytes());
        let crc = header_crc(&bytes, salt);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` if this is no header of a frame of this log.
    pub(crate) fn decode(bytes: &[u8; FRAME_HEADER], salt: u32) -> Option<Self> {
        let (u32_at, u64_at) = (|at| u32_at(bytes, at), |at| u64_at(bytes, at));
        if u32_at(0) != MAGIC || u32_at(4) != header_crc(bytes, salt) {
            return None;
        }
        let flags = bytes[49];
        Some(Self {
            length: u32_at(8),
            payload_crc: u32_at(12),
            lsn: u64_at(16),
            durable: u64_at(24),
            epoch: u64_at(32),
            receive_time: u64_at(40),
            kind: bytes[48],
            part: u16::from_le_bytes([bytes[50], bytes[51]]),
            is_last: flags & LAST != 0,
            is_compressed: flags & COMPRESSED != 0,
            is_lost: flags & LOST != 0,
        })
    }

    /// Bytes that the frame takes in its segment.
    pub(crate) fn size(&self) -> u64 {
        frame_size(self.length as usize)
    }
}

/// Bytes that a frame with so much payload takes.
pub(crate) fn frame_size(payload: usize) -> u64 {
    (FRAME_HEADER as u64).saturating_add(payload as u64).next_multiple_of(ALIGNMENT)
}

fn header_crc(bytes: &[u8; FRAME_HEADER], salt: u32) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(salt, &bytes[..4]), &bytes[8..])
}

/// Whether a frame may begin with these bytes: cheap, for those who look for one.
pub(crate) fn begins_like_one(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC.to_le_bytes())
}

/// The number at `at`; zero where there are no bytes.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

/// The number at `at`; zero where there are no bytes.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        // What was encoded is decoded, and any single changed byte, and any other salt, is noticed.
        #[test]
        fn header_is_whole(numbers in any::<[u64; 4]>(), length: u32, bits in 0_u8..8, at in 0..52_usize, change in 1_u8..) {
            let header = Header {
                length,
                payload_crc: !length,
                lsn: numbers[0],
                durable: numbers[1],
                epoch: numbers[2],
                receive_time: numbers[3],
                kind: bits,
                part: 7,
                is_last: bits & 1 != 0,
                is_compressed: bits & 2 != 0,
                is_lost: bits & 4 != 0,
            };
            let mut bytes = header.encode(9);
            prop_assert_eq!(Header::decode(&bytes, 9), Some(header));
            prop_assert_eq!(Header::decode(&bytes, 8), None);
            bytes[at] ^= change;
            prop_assert_eq!(Header::decode(&bytes, 9), None);
        }
    }
}
