//! What can go wrong with the archive.

use std::io;
use std::path::{Path, PathBuf};

use arrow_schema::ArrowError;
use parquet::errors::ParquetError;

/// Why the archive could not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file system refused.
    #[error("archive: cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A Parquet file could not be written.
    #[error("archive: cannot write {}: {source}", path.display())]
    Parquet {
        /// The file under its hidden name.
        path: PathBuf,
        /// What the Parquet writer said.
        source: ParquetError,
    },
    /// Rows did not become columns.
    #[error("archive: cannot build columns: {0}")]
    Columns(#[from] ArrowError),
    /// An option of the Parquet writer is out of its range.
    #[error("archive: cannot write Parquet with zstd level {level}: {source}")]
    Compression {
        /// The level that was configured.
        level: i32,
        /// What the Parquet writer said.
        source: ParquetError,
    },
    /// The instance id can't be part of a file name.
    #[error("archive: invalid instance id {0:?}: want 1 to 128 letters, digits, '_' or '-'")]
    Instance(String),
    /// The archive's thread ended without a result.
    #[error("archive: the writing thread died")]
    ThreadDied,
}

impl ArchiveError {
    /// For `map_err`: says what was tried with which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    /// For `map_err`: says which file the Parquet writer failed on.
    pub(crate) fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> Self {
        move |source| Self::Parquet { path: path.to_owned(), source }
    }
}
