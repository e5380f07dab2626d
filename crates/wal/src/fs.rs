//! What the log asks of a file system, and no more: narrow enough that tests can simulate every way it lets one down.

use std::fmt;
use std::fs::{self, OpenOptions, TryLockError};
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
#[cfg(target_os = "linux")]
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// A file system. Every change but [`File::write_at`] and those that [`FileSystem::sync_directory`] makes durable is durable
/// only after its sync; a directory is when [`FileSystem::create_directory`] returns.
pub trait FileSystem: fmt::Debug + Send + Sync {
    /// Makes a directory and those above it. It may be there already.
    ///
    /// # Errors
    /// As the operating system says.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
    /// Names in a directory, in no order.
    ///
    /// # Errors
    /// As the operating system says.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;
    /// Opens a file that is there, to read and to write.
    ///
    /// # Errors
    /// As the operating system says.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Makes an empty file; one of that name that is there is emptied.
    ///
    /// # Errors
    /// As the operating system says.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Gives a file another name; one of that name is replaced.
    ///
    /// # Errors
    /// As the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// As the operating system says.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes names durable: what was created, renamed or removed in the directory.
    ///
    /// # Errors
    /// As the operating system says.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Takes the exclusive lock of a file, which is made if it is not there, until what is returned is dropped. `None` if someone
    /// else has it. The end of the process, however it comes, releases it.
    ///
    /// # Errors
    /// As the operating system says.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;
}

/// A lock that is held until it is dropped.
pub trait Lock: fmt::Debug + Send + Sync {}

/// An open file, read and written at given places: it has no position that two users could fight for.
pub trait File: fmt::Debug + Send + Sync {
    /// How long it is.
    ///
    /// # Errors
    /// As the operating system says.
    fn size(&self) -> io::Result<u64>;
    /// Fills `buffer` from `offset` on. A file that ends before is an error of kind `UnexpectedEof`.
    ///
    /// # Errors
    /// As the operating system says.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// As the operating system says. Any part of it may have been written then.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes all that was written durable, with the size if it changed.
    ///
    /// # Errors
    /// As the operating system says. What was written before must not be trusted then, even if a later sync succeeds.
    fn sync(&self) -> io::Result<()>;
    /// A way into the file past the page cache, for what nobody reads soon. A sync of the file makes durable what was written so. `None` where there
    /// is none.
    fn past_cache(&self) -> Option<Box<dyn PastCache>> {
        None
    }
}

/// A way into an open file past the page cache.
pub trait PastCache: fmt::Debug + Send + Sync {
    /// Writes all of `blocks`: whole blocks of 4096 bytes, from memory at a multiple of that, to such a place.
    ///
    /// # Errors
    /// As the operating system says; `InvalidInput` and `Unsupported` if the file system does not write so after all.
    fn write_at(&self, blocks: &[u8], offset: u64) -> io::Result<()>;
}

/// The operating system's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealFileSystem;

#[derive(Debug)]
struct RealFile(fs::File);

impl Lock for RealFile {}

impl FileSystem for RealFileSystem {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        durable::create_directory(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        fs::read_dir(directory)?.map(name).collect()
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(RealFile(OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(RealFile(OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        durable::sync_names(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(RealFile(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl File for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    #[cfg(target_os = "linux")]
    fn past_cache(&self) -> Option<Box<dyn PastCache>> {
        // By its number, as its name may have changed.
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        let flags = rustix::fs::OFlags::DIRECT.bits().cast_signed();
        let direct = OpenOptions::new().write(true).custom_flags(flags).open(path).ok()?;
        Some(Box::new(Direct(direct)))
    }
}

/// A file that is open a second time, with `O_DIRECT`.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Direct(fs::File);

#[cfg(target_os = "linux")]
impl PastCache for Direct {
    fn write_at(&self, blocks: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(blocks, offset)
    }
}
