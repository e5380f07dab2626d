//! The log between acknowledgement and application, and the checkpoints that make it short.
//!
//! - [`Log::append`] returns when the record is as safe as the log makes it: only then a request may be acknowledged. The
//!   log assigns the record's place ([`Lsn`]) and its receive time, which never goes back.
//! - [`Reader::next`] gives the records back in their order, to one applier: first those that a start found on disk, then what
//!   is appended. [`RawReader`] gives them to anyone else, from disk.
//! - [`Cursor`] says how far a consumer has come; what all cursors have passed is forgotten, and counts no longer against the
//!   log's size.
//! - [`Checkpoints`] keeps what a consumer made of the log, so that a start need not read all of it again.
//! - [`Directory`] is where both live: one process has it at a time. [`repair()`] saves what can be saved of a damaged one.
//!
//! A log in memory ([`Log::in_memory`]) is safe until the process ends; a log on disk ([`Log::open`]) when fdatasync has
//! returned. The log knows nothing of what its records mean.
//!
//! | file | subject |
//! |---|---|
//! | `log`, `admission`, `cursor`, `memory`, `space` | appending; how far consumers have come; what there is room for, in memory and on disk |
//! | `writer` | the thread that writes: groups, segments begun and made |
//! | `syncer` | the thread that syncs: fdatasync, and who is told |
//! | `reader`, `chain` | reading: live, recovered, and for a second consumer |
//! | `times` | when records were received, for who wants to know how far behind a consumer is |
//! | `frame`, `segment` | the format |
//! | `open`, `recovery`, `repair` | a start: what is there, what is torn, what is damaged |
//! | `checkpoint`, `directory`, `blocks`, `fs`, `error` | files that are there as a whole or not at all; the lock; past the page cache; the file system; what to tell |

mod admission;
mod blocks;
mod chain;
mod checkpoint;
mod cursor;
mod directory;
mod error;
mod frame;
pub mod fs;
mod log;
mod memory;
mod open;
mod reader;
mod recovery;
mod repair;
mod segment;
mod space;
mod syncer;
mod times;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

pub use admission::Admission;
pub use chain::RawRecord;
pub use checkpoint::{Checkpoint, Checkpoints, Newest};
pub use cursor::Cursor;
pub use directory::{Directory, INSTANCE_ID};
pub use error::OpenError;
pub use log::Log;
pub use open::{Settings, Start};
pub use reader::{RawReader, ReadError, Reader};
pub use repair::{Lost, Report, repair, repair_on};

/// Log sequence number: the place of a record in the log, counted from 1.
pub type Lsn = u64;

/// What a log can hold.
pub trait Record: Send + 'static {
    /// What kind of record it is, for whoever reads it back.
    fn kind(&self) -> u8;
    /// The bytes that must outlive the process. Everything else of a record can be made from them again.
    fn payload(&self) -> Bytes;
    /// Bytes of memory that it takes, payload included.
    fn size(&self) -> usize;
    /// Whether consumers need it to get on, so that a log that is full for others must still take it: a small part of the room
    /// on disk is kept for these.
    fn is_urgent(&self) -> bool {
        false
    }
    /// How many things it holds, if that is known: to read the payload for it would be to fetch all of it into the processor's caches.
    fn items(&self) -> Option<u64> {
        None
    }
}

/// A record with what the log assigned.
#[derive(Debug, Clone)]
pub struct Entry<R> {
    /// Its place.
    pub lsn: Lsn,
    /// When it was appended, nanoseconds since the Unix epoch; never less than that of the record before.
    pub receive_time: u64,
    /// What was appended.
    pub record: R,
}

/// How much is in records that tell how many things they hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    /// These things.
    pub items: u64,
    /// Bytes of the payloads.
    pub bytes: u64,
}

impl Volume {
    /// With another record.
    pub fn add(&mut self, record: &impl Record) {
        let Some(items) = record.items() else { return };
        self.items += items;
        self.bytes += record.payload().len() as u64;
    }
}

/// How full a log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// Records in memory: in a log in memory those that not every cursor has passed, on disk those that wait to be written or to
    /// be read.
    pub memory: Level,
    /// Records on disk that not every cursor has passed, as long as their segments cannot be used again.
    pub disk: Option<Level>,
}

/// How much memory a log takes for records, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// With more than these taken requests should wait ([`Log::has_room`]), and also with more than half of the limit. Here the first record
    /// does not count, which a consumer has at hand: else large ones would be made and consumed in turns.
    pub room: usize,
    /// With these taken records are refused that were not [admitted](Log::admit). The last one may exceed it.
    pub limit: usize,
}

impl Memory {
    /// Requests wait at half of the limit.
    pub fn up_to(limit: usize) -> Self {
        Self { room: limit, limit }
    }
}

/// Bytes, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// How many there are.
    pub used: u64,
    /// How many there may be.
    pub max: u64,
}

impl Level {
    /// Whether more than so many per cent are taken.
    pub fn exceeds(&self, percent: u64) -> bool {
        u128::from(self.used) * 100 > u128::from(self.max) * u128::from(percent)
    }
}

/// Why a record was not appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The log is full: consumers are behind, or the disk is full. It will have room again.
    #[error("the log is full")]
    Full,
    /// The record is larger than the log will ever have room for.
    #[error(
        "a record of {size} bytes does not fit into the log, which has room for {max_size} at most: raise its size"
    )]
    TooLarge {
        /// Bytes that it takes on disk.
        size: u64,
        /// Bytes that there is room for when all else is passed.
        max_size: u64,
    },
    /// The log was closed: the process is about to end.
    #[error("the log is closed")]
    Closed,
    /// The disk let the log down. Nothing will be appended any more: the process must end.
    #[error("{0}")]
    Failed(Arc<str>),
}
