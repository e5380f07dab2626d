//! The log between acknowledgement and application.
//!
//! - [`Log::append`] returns when the record is as safe as the log makes it: only then a request may be acknowledged. The
//!   log assigns the record's place ([`Lsn`]) and its receive time, which never goes back.
//! - [`Reader::next`] gives the records back in their order, to one applier.
//! - [`Cursor`] says how far a consumer has come; what all cursors have passed is forgotten, and counts no longer against the
//!   log's size.
//!
//! Today's log lives in memory: a record is safe until the process ends. It knows nothing of what its records mean.

mod memory;

use bytes::Bytes;

pub use memory::{Cursor, Log, Reader};

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

/// Why a record was not appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The log is full: consumers are behind. It will have room again.
    #[error("the log is full")]
    Full,
    /// The log was closed: the process is about to end.
    #[error("the log is closed")]
    Closed,
}
