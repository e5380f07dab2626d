//! Files in memory, for targets that change them behind the log's back.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spanmill_wal::fs::{File, FileSystem, Lock};

type Bytes = Arc<Mutex<Vec<u8>>>;

/// A file system in memory; clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Memory(Arc<Mutex<BTreeMap<PathBuf, Bytes>>>);

#[derive(Debug)]
struct Open(Bytes);

#[derive(Debug)]
struct Held;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// Another file system with the same content.
    #[allow(dead_code)] // not every target needs all of this
    pub fn copy(&self) -> Self {
        let files = lock(&self.0);
        let copy = files.iter().map(|(path, bytes)| (path.clone(), Arc::new(Mutex::new(lock(bytes).clone()))));
        Self(Arc::new(Mutex::new(copy.collect())))
    }

    /// The content of the files whose names end so, to change it.
    pub fn files(&self, suffix: &str) -> Vec<Arc<Mutex<Vec<u8>>>> {
        let files = lock(&self.0);
        let wanted = files.iter().filter(|(path, _)| path.to_string_lossy().ends_with(suffix));
        wanted.map(|(_, bytes)| Arc::clone(bytes)).collect()
    }

    /// Puts a file there.
    pub fn put(&self, path: &Path, bytes: Vec<u8>) {
        lock(&self.0).insert(path.to_owned(), Arc::new(Mutex::new(bytes)));
    }
}

impl Lock for Held {}

impl FileSystem for Memory {
    fn create_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let files = lock(&self.0);
        let names = files.keys().filter(|path| path.parent() == Some(directory)).filter_map(|path| path.file_name());
        Ok(names.map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let bytes = lock(&self.0).get(path).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(Open(bytes)))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.put(path, Vec::new());
        self.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = lock(&self.0);
        let bytes = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        lock(&self.0).remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, _: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        Ok(Some(Box::new(Held)))
    }
}

impl File for Open {
    fn size(&self) -> io::Result<u64> {
        Ok(lock(&self.0).len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = lock(&self.0);
        let there = bytes.get(offset as usize..).and_then(|bytes| bytes.get(..buffer.len()));
        buffer.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, written: &[u8], offset: u64) -> io::Result<()> {
        let mut bytes = lock(&self.0);
        let end = offset as usize + written.len();
        let size = bytes.len().max(end);
        bytes.resize(size, 0);
        bytes[offset as usize..end].copy_from_slice(written);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
