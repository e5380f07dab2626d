//! Checkpoints: what a consumer made of the log up to a record, in a file of its own.
//!
//! A file is there as a whole or not at all, and two are kept: should the newest turn out to be damaged, the one before is
//! still good, and the log behind *it* is still there, because [`Checkpoints::write`] tells how far the log may be forgotten.

use std::path::PathBuf;

use crate::Lsn;
use crate::blocks::{BLOCK, Blocks};
use crate::directory::{Directory, UNFINISHED};
use crate::error::OpenError;
use crate::frame::{u32_at, u64_at};

const MAGIC: [u8; 8] = *b"SpanCKP\n";
const VERSION: u32 = 1;
/// Magic, version, checksum, LSN, length: the same in every version, so that a damaged file is told from a new one.
const HEADER: usize = 32;
const KEPT: usize = 2;
/// So much is written before it is synced: the log, which syncs all the time, waits for no more than that.
const PIECE: usize = 4 << 20;
/// Bytes that are gathered for one call.
const ROOM: usize = 1 << 20;

/// The checkpoints of a data directory.
#[derive(Debug)]
pub struct Checkpoints {
    directory: Directory,
    /// Those that are there and are believed to be good, oldest first.
    kept: Vec<Lsn>,
}

/// What a consumer made of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// It covers the records up to here.
    pub lsn: Lsn,
    /// What the consumer wrote.
    pub bytes: Vec<u8>,
}

/// The newest checkpoint that can be read.
#[derive(Debug, Default)]
pub struct Newest {
    /// `None` if there was never one.
    pub checkpoint: Option<Checkpoint>,
    /// Newer ones that are damaged, and why: somebody should know.
    pub damaged: Vec<(PathBuf, &'static str)>,
}

impl Checkpoints {
    /// Finds the checkpoints in `directory`, and removes what a crash left unfinished.
    ///
    /// # Errors
    /// The directory cannot be read or written.
    pub fn open(directory: &Directory) -> Result<Self, OpenError> {
        let mut kept = Vec::new();
        for name in directory.list()? {
            if name.strip_suffix(UNFINISHED).and_then(lsn_of).is_some() {
                directory.remove(&name)?;
            }
            kept.extend(lsn_of(&name));
        }
        kept.sort_unstable();
        let mut checkpoints = Self { directory: directory.clone(), kept };
        // The removal of an old one is not made durable by itself: a crash brings it back.
        checkpoints.remove_old();
        Ok(checkpoints)
    }

    fn remove_old(&mut self) {
        while self.kept.len() > KEPT {
            let oldest = self.kept.remove(0);
            // One that cannot be removed takes room and does no harm.
            let _ = self.directory.remove(&file_name(oldest));
        }
    }

    /// Writes a checkpoint that covers the records up to `lsn`; it is durable when this returns. Tells up to which record the
    /// log is not needed any more, not even if this checkpoint is lost: how far a [`crate::Cursor`] may be advanced.
    ///
    /// # Errors
    /// The disk refused: the checkpoints before are as they were.
    pub fn write(&mut self, lsn: Lsn, bytes: &[u8]) -> Result<Lsn, OpenError> {
        self.directory.create_whole(&file_name(lsn), |file| {
            let room = (HEADER + bytes.len()).next_multiple_of(BLOCK).min(ROOM);
            let mut blocks = Blocks::new(file, room);
            blocks.put(&header(lsn, bytes))?;
            for piece in bytes.chunks(PIECE) {
                blocks.put(piece)?;
                if bytes.len() > PIECE {
                    file.sync()?;
                }
            }
            blocks.flush()
        })?;
        self.kept.retain(|kept| *kept < lsn);
        self.kept.push(lsn);
        self.remove_old();
        Ok(self.covered())
    }

    /// Up to which record the log is not needed any more, not even if the newest checkpoint is lost.
    pub fn covered(&self) -> Lsn {
        // If the only one is lost, the log is needed from its beginning.
        if self.kept.len() < KEPT { 0 } else { self.kept.first().copied().unwrap_or(0) }
    }

    /// Names of all that are there, and whether they can be read.
    pub(crate) fn check(&self) -> Result<Vec<(String, bool)>, OpenError> {
        let check = |lsn: &Lsn| {
            let name = file_name(*lsn);
            let decoded = decode(*lsn, self.directory.read_whole(&name)?);
            Ok((name, !matches!(decoded, Err(Unreadable::Damaged(_)))))
        };
        self.kept.iter().map(check).collect()
    }

    /// The checkpoint before the newest one, if there is one that can be read: what it would need of the log is to be kept.
    ///
    /// # Errors
    /// The operating system refused.
    pub fn older(&self) -> Result<Option<Checkpoint>, OpenError> {
        let Some(&lsn) = self.kept.first().filter(|_| self.kept.len() >= KEPT) else { return Ok(None) };
        let bytes = decode(lsn, self.directory.read_whole(&file_name(lsn))?).ok();
        Ok(bytes.map(|bytes| Checkpoint { lsn, bytes }))
    }

    /// The newest checkpoint that can be read.
    ///
    /// # Errors
    /// There are checkpoints, but none can be read; one is of a version that is not known.
    pub fn newest(&mut self) -> Result<Newest, OpenError> {
        let mut newest = Newest::default();
        for lsn in self.kept.clone().into_iter().rev() {
            let name = file_name(lsn);
            let path = self.directory.path().join(&name);
            match decode(lsn, self.directory.read_whole(&name)?) {
                Ok(bytes) => {
                    newest.checkpoint = Some(Checkpoint { lsn, bytes });
                    return Ok(newest);
                }
                Err(Unreadable::Version(version)) => {
                    return Err(OpenError::Version { path, version, known: VERSION });
                }
                Err(Unreadable::Damaged(why)) => {
                    // It must not take the place of a good one when the next is written.
                    self.kept.retain(|kept| *kept != lsn);
                    newest.damaged.push((path, why));
                }
            }
        }
        if newest.damaged.is_empty() {
            return Ok(newest);
        }
        let damaged: Vec<_> = newest.damaged.iter().map(|(path, why)| format!("{}: {why}", path.display())).collect();
        Err(OpenError::Checkpoints { directory: self.directory.path().to_owned(), damaged: damaged.join("; ") })
    }
}

/// Why a checkpoint cannot be read.
enum Unreadable {
    Damaged(&'static str),
    Version(u32),
}

fn file_name(lsn: Lsn) -> String {
    format!("checkpoint-{lsn:016x}")
}

/// The last record that a checkpoint covers, by the name of its file.
pub(crate) fn lsn_of(name: &str) -> Option<Lsn> {
    let digits = name.strip_prefix("checkpoint-")?;
    (digits.len() == 16).then(|| Lsn::from_str_radix(digits, 16).ok())?
}

fn header(lsn: Lsn, bytes: &[u8]) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&checksum(VERSION, lsn, bytes).to_le_bytes());
    header.extend_from_slice(&lsn.to_le_bytes());
    header.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    header
}

/// Over everything but the magic and itself.
fn checksum(version: u32, lsn: Lsn, bytes: &[u8]) -> u32 {
    let numbers = [lsn.to_le_bytes(), (bytes.len() as u64).to_le_bytes()].concat();
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(&version.to_le_bytes()), &numbers), bytes)
}

fn decode(lsn: Lsn, mut file: Vec<u8>) -> Result<Vec<u8>, Unreadable> {
    if !file.starts_with(&MAGIC) || file.len() < HEADER {
        return Err(Unreadable::Damaged("it is no checkpoint"));
    }
    let version = u32_at(&file, 8);
    let (crc, its_lsn, length) = (u32_at(&file, 12), u64_at(&file, 16), u64_at(&file, 24));
    file.drain(..HEADER);
    if length != file.len() as u64 {
        return Err(Unreadable::Damaged("its length is not what was written"));
    }
    if its_lsn != lsn || crc != checksum(version, lsn, &file) {
        return Err(Unreadable::Damaged("its checksum does not hold"));
    }
    if version == VERSION { Ok(file) } else { Err(Unreadable::Version(version)) }
}
