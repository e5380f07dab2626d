//! The archive: every span as one row of the table `spans`, in Parquet files that any SQL engine reads without a catalogue.
//!
//! - [`Archive`] has a thread of its own behind a bounded channel: [`Archive::send`] waits when the thread can't keep up.
//! - The table of columns is data: `schema.rs`. Names, field ids and types are a contract with whoever queries the files.
//! - A file is complete or not there: written under a hidden name, fsynced, renamed, its directory fsynced. A request is
//!   never split between two files, so the LSN ranges in the names of one instance's files don't overlap. While the disk is full, the
//!   archive waits: a file goes on where it stopped.
//! - What a file is to hold is noted before it is complete (`place.rs`): a server that dies on the way to it leaves the next one to publish the
//!   same file, byte for byte if version and configuration (but for `max_age` and `max_rows`) are the same.
//! - The footer of a file tells its range, the number of its rows and their hash (`row_hash.rs` says of what).
//!
//! Layout: `<directory>/spans/date=YYYY-MM-DD/hour=HH/<instance>-<lsn_from>-<lsn_to>.parquet` by receive time in UTC, LSNs
//! as 16 hexadecimal digits. Hidden names begin with a dot, which Spark, Hive, Trino and DuckDB's globs pass over.
//!
//! It never changes, merges or deletes a published file, and never reads one.

mod ahead;
mod attributes;
mod column;
mod error;
mod file;
mod hex;
mod metrics;
mod nested;
mod path;
mod pending;
mod place;
mod promoted;
mod room;
mod row_hash;
mod rows;
mod schema;
mod span;
mod writer;

#[cfg(test)]
mod tests;

pub use error::ArchiveError;
pub use schema::{SCHEMA_VERSION, schema};
pub use writer::{Archive, ArchiveConfig, Health, Include, Position, Totals};
