//! The data directory: one process has it at a time.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{OpenError, io_error};
use crate::fs::{File, FileSystem, Lock, RealFileSystem};

/// Ends the names of files that are not finished; what a crash leaves of them is removed.
pub(crate) const UNFINISHED: &str = ".tmp";

/// The file that names the instance whose data it is.
pub const INSTANCE_ID: &str = "instance-id";

/// A data directory that this process has for itself. Clones hold the same lock; so do the logs and checkpoints opened in it.
#[derive(Debug, Clone)]
pub struct Directory {
    pub(crate) fs: Arc<dyn FileSystem>,
    path: Arc<Path>,
    _lock: Arc<dyn Lock>,
}

impl Directory {
    /// Makes the directory if it is not there, and locks it.
    ///
    /// # Errors
    /// It cannot be made or written to, or another process has it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(RealFileSystem), path)
    }

    /// As [`Directory::open`], on a file system of the caller's.
    ///
    /// # Errors
    /// As [`Directory::open`].
    pub fn open_on(fs: Arc<dyn FileSystem>, path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let path = path.into();
        fs.create_directory(&path).map_err(io_error("creating", &path))?;
        let lock_path = path.join("lock");
        let lock = fs.lock(&lock_path).map_err(io_error("locking", &lock_path))?;
        let lock = lock.ok_or_else(|| OpenError::Locked(path.clone()))?;
        let directory = Self { fs, path: path.into(), _lock: lock.into() };
        // Names of files that a killed process made may not be durable yet, and they are believed from here on.
        directory.sync()?;
        Ok(directory)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The id of this instance: made once, and the same ever after. `make` is asked only the first time.
    ///
    /// # Errors
    /// The file cannot be read, written, or holds no id.
    pub fn instance_id(&self, make: impl FnOnce() -> String) -> Result<String, OpenError> {
        let name = INSTANCE_ID;
        let path = self.path.join(name);
        if !self.list()?.iter().any(|there| there == name) {
            let id = make();
            self.write_whole(name, id.as_bytes())?;
            return Ok(id);
        }
        let bytes = self.read_whole(name)?;
        let id = String::from_utf8(bytes).unwrap_or_default().trim().to_owned();
        if id.is_empty() {
            let why = "holds no id: write the instance's id into it, or remove it to begin new series";
            return Err(OpenError::Setting(format!("{}: {why}", path.display())));
        }
        Ok(id)
    }

    /// Names in it, sorted.
    pub(crate) fn list(&self) -> Result<Vec<String>, OpenError> {
        let mut names = self.fs.list(&self.path).map_err(io_error("listing", &self.path))?;
        names.sort_unstable();
        Ok(names)
    }

    pub(crate) fn sync(&self) -> Result<(), OpenError> {
        self.fs.sync_directory(&self.path).map_err(io_error("syncing", &self.path))
    }

    /// Writes a file so that it is there as a whole or not at all, whenever a crash comes; durable when this returns.
    pub(crate) fn write_whole(&self, name: &str, bytes: &[u8]) -> Result<(), OpenError> {
        self.create_whole(name, |file| file.write_at(bytes, 0)).map(drop)
    }

    /// As [`Directory::write_whole`], with what `fill` writes into the file.
    pub(crate) fn create_whole(
        &self,
        name: &str,
        fill: impl FnOnce(&dyn File) -> std::io::Result<()>,
    ) -> Result<Arc<dyn File>, OpenError> {
        let path = self.path.join(name);
        let unfinished = self.path.join(format!("{name}{UNFINISHED}"));
        let made = self.fs.create(&unfinished).and_then(|file| {
            fill(&*file)?;
            file.sync()?;
            self.fs.rename(&unfinished, &path)?;
            Ok(file)
        });
        let file = match made {
            Ok(file) => file,
            Err(error) => {
                // What was written so far takes room that others may need; if it cannot be removed, the next start does it.
                let _ = self.fs.remove(&unfinished);
                return Err(io_error("writing", &unfinished)(error));
            }
        };
        self.sync()?;
        Ok(file)
    }

    pub(crate) fn read_whole(&self, name: &str) -> Result<Vec<u8>, OpenError> {
        let path = self.path.join(name);
        let read = || {
            let file = self.fs.open(&path)?;
            let mut bytes = vec![0; usize::try_from(file.size()?).unwrap_or(usize::MAX)];
            file.read_at(&mut bytes, 0)?;
            Ok(bytes)
        };
        read().map_err(io_error("reading", &path))
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), OpenError> {
        let path = self.path.join(name);
        self.fs.remove(&path).map_err(io_error("removing", &path))
    }
}
