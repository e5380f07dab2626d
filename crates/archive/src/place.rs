//! How far an instance has come, noted beside its log: its files may have been moved away.

use std::fs;
use std::io;
use std::path::PathBuf;

use aggregate::Lsn;

use crate::error::ArchiveError;

/// A note of the newest place in the log whose request an instance has archived.
#[derive(Debug)]
pub(crate) struct Place {
    /// `None` where nothing outlives the process.
    path: Option<PathBuf>,
    instance: String,
}

impl Place {
    pub(crate) fn new(path: Option<PathBuf>, instance: String) -> Self {
        Self { path, instance }
    }

    /// What is noted of the instance; zero if nothing is.
    pub(crate) fn read(&self) -> Result<Lsn, ArchiveError> {
        let Some(path) = &self.path else { return Ok(0) };
        let note = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            note => note.map_err(ArchiveError::io("read", path))?,
        };
        let noted = note.trim().split_once(' ').and_then(|(instance, lsn)| Some((instance, lsn.parse().ok()?)));
        let Some((instance, lsn)) = noted else {
            let malformed = io::Error::other("not an instance and the number of a record");
            return Err(ArchiveError::io("read", path)(malformed));
        };
        Ok(if instance == self.instance { lsn } else { 0 })
    }

    /// Notes that everything up to `lsn` is archived. When this returns, a power failure can't undo it.
    pub(crate) fn write(&self, lsn: Lsn) -> Result<(), ArchiveError> {
        let Some(path) = &self.path else { return Ok(()) };
        let note = format!("{} {lsn}\n", self.instance);
        durable::write(path, note.as_bytes()).map_err(ArchiveError::io("write file", path))
    }
}
