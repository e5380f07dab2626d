//! What can go wrong with a log on disk, told so that whoever reads it knows what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::Lsn;

/// Why a data directory, its log or its checkpoints could not be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refused something.
    #[error("{action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// Another process has the directory.
    #[error("the data directory {path} is in use by another process; each needs one of its own", path = .0.display())]
    Locked(PathBuf),
    /// Nothing that was ever logged is in the directory.
    #[error("{path} is no data directory of Spanmill: it holds neither a log nor a checkpoint", path = .0.display())]
    NoData(PathBuf),
    /// Acknowledged records are damaged or missing.
    #[error(
        "{path} is damaged at byte {offset}: {why}. Record {lsn} should stand there and was acknowledged, so it is not \
         skipped silently. Find out what happened to the disk, then run `spanmill repair {directory}`: it keeps what can be \
         read, puts the damaged files aside and tells what is lost",
        path = path.display(), directory = directory_of(path).display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// The record that should be there.
        lsn: Lsn,
        /// What is there instead.
        why: &'static str,
    },
    /// Records that a consumer still needs are not there.
    #[error(
        "the log in {directory} holds records {first} to {last}, but {needed} is needed: files are missing, or do not belong \
         to this checkpoint. Put them back, or run `spanmill repair {directory}` to go on without what is lost",
        directory = directory.display()
    )]
    Incomplete {
        /// The directory.
        directory: PathBuf,
        /// The first record that is there.
        first: Lsn,
        /// The last record that is there.
        last: Lsn,
        /// What is needed: the record after a consumer's position, or the last one that the checkpoint covers.
        needed: Lsn,
    },
    /// Written by a version that this one does not know.
    #[error(
        "{path} has format version {version}, and this version reads {known}: start the version that wrote it, or a newer one",
        path = path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// What it has.
        version: u32,
        /// What can be read.
        known: u32,
    },
    /// Every checkpoint is damaged.
    #[error(
        "no checkpoint in {directory} can be read: {damaged}. Put an intact one back, or move them away to start anew",
        directory = directory.display()
    )]
    Checkpoints {
        /// The directory.
        directory: PathBuf,
        /// Which, and why.
        damaged: String,
    },
    /// A setting makes no sense.
    #[error("{0}")]
    Setting(String),
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// Turns an error of the operating system into ours.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { action, path, source }
}
