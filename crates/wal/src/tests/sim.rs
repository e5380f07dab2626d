//! A file system in memory that does what real ones may do when power fails: unsynced writes are lost, torn and reordered in
//! blocks, unsynced names are lost. It can be made to die at any call, and to answer with errors.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::fs::{File, FileSystem, Lock, PastCache};

/// How the machine goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The process is killed: all that was written is there, but no more durable than before.
    Kill,
    /// Power fails: nothing is there but what was synced.
    LoseAll,
    /// Power fails just after everything happened to be written back.
    KeepAll,
    /// Power fails: each unsynced block and name is there, or not, or in an earlier form.
    Random { seed: u64, grain: usize },
}

#[derive(Debug, Clone, Default)]
pub(crate) struct SimFs(Arc<Mutex<Disk>>);

/// Decides about calls: what is asked, of which file.
type Fault = Box<dyn FnMut(&'static str, &Path) -> Option<io::Error> + Send>;

#[derive(Default)]
struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names that were not synced, in order; each happens as a whole or not at all.
    unsynced_names: Vec<Vec<(PathBuf, Option<usize>)>>,
    directories: BTreeSet<PathBuf>,
    /// Those whose own names were synced in the directories above.
    durable_directories: BTreeSet<PathBuf>,
    /// Calls that changed something.
    calls: usize,
    die_at: Option<usize>,
    is_dead: bool,
    /// How often it went down: files that were open before cannot be used after.
    life: usize,
    locks: BTreeSet<PathBuf>,
    fault: Option<Fault>,
    /// What cannot be read of which inode.
    unreadable: Vec<(usize, Range<u64>)>,
    reads: usize,
    /// Bytes that files may have together.
    capacity: Option<usize>,
}

#[derive(Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<(usize, Vec<u8>)>,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("names", &self.names).finish_non_exhaustive()
    }
}

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

impl SimFs {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    /// Calls so far that changed something.
    pub(crate) fn calls(&self) -> usize {
        self.disk().calls
    }

    /// From this call on everything fails, as if the process were gone.
    pub(crate) fn die_at(&self, call: usize) {
        self.disk().die_at = Some(call);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.disk().is_dead
    }

    pub(crate) fn set_fault(&self, fault: impl FnMut(&'static str, &Path) -> Option<io::Error> + Send + 'static) {
        self.disk().fault = Some(Box::new(fault));
    }

    pub(crate) fn clear_fault(&self) {
        self.disk().fault = None;
    }

    pub(crate) fn set_capacity(&self, capacity: Option<usize>) {
        self.disk().capacity = capacity;
    }

    /// From now on reading any of these bytes of a file fails.
    pub(crate) fn set_unreadable(&self, path: &Path, unreadable: &[Range<u64>]) {
        let mut disk = self.disk();
        let inode = disk.names[path];
        disk.unreadable = unreadable.iter().map(|range| (inode, range.clone())).collect();
    }

    /// How often a file was read.
    pub(crate) fn reads(&self) -> usize {
        self.disk().reads
    }

    /// Bytes of all files that have a name.
    pub(crate) fn size(&self) -> usize {
        self.disk().size()
    }

    pub(crate) fn names(&self) -> Vec<PathBuf> {
        self.disk().names.keys().cloned().collect()
    }

    /// Changes a file behind everybody's back.
    pub(crate) fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut disk = self.disk();
        let number = disk.names[path];
        let inode = &mut disk.inodes[number];
        change(&mut inode.bytes);
        inode.durable = inode.bytes.clone();
        inode.unsynced.clear();
    }

    pub(crate) fn delete(&self, path: &Path) {
        let mut disk = self.disk();
        disk.names.remove(path);
        disk.durable_names.remove(path);
    }

    /// The machine, or only the process, goes down and comes up again.
    pub(crate) fn crash(&self, how: Crash) {
        let mut disk = self.disk();
        disk.life += 1;
        (disk.die_at, disk.is_dead) = (None, false);
        disk.locks.clear();
        let (mut random, grain) = match how {
            Crash::Kill => return,
            Crash::Random { seed, grain } => (Random(seed), grain),
            Crash::LoseAll | Crash::KeepAll => (Random(0), 4096),
        };
        // How many of `count` successive changes made it.
        let mut survivors = |count: usize| match how {
            Crash::KeepAll => count,
            Crash::Random { .. } => match random.below(3) {
                0 => 0,
                1 => count,
                _ => random.below(count + 1),
            },
            Crash::LoseAll | Crash::Kill => 0,
        };
        for inode in &mut disk.inodes {
            inode.settle(grain, &mut survivors);
        }
        for change in std::mem::take(&mut disk.unsynced_names) {
            if survivors(1) == 1 {
                apply(&mut disk.durable_names, change);
            }
        }
        let unsynced_directories: Vec<_> = disk.directories.difference(&disk.durable_directories).cloned().collect();
        for directory in unsynced_directories {
            if survivors(1) == 1 {
                disk.durable_directories.insert(directory);
            } else {
                disk.durable_names.retain(|path, _| !path.starts_with(&directory));
            }
        }
        disk.directories = disk.durable_directories.clone();
        disk.names = disk.durable_names.clone();
    }
}

impl Inode {
    fn write_back(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        self.durable.resize(self.durable.len().max(end), 0);
        self.durable[at..end].copy_from_slice(bytes);
    }

    /// Decides what is there of what was not synced.
    fn settle(&mut self, grain: usize, survivors: &mut impl FnMut(usize) -> usize) {
        let unsynced = std::mem::take(&mut self.unsynced);
        let before = self.durable.len();
        let after = self.bytes.len();
        let size = if survivors(1) == 1 { after } else { before.min(after) };
        let mut image = self.durable.clone();
        image.resize(size, 0);
        for start in (0..size).step_by(grain) {
            let end = (start + grain).min(size);
            let touching: Vec<_> =
                unsynced.iter().filter(|(at, bytes)| *at < end && at + bytes.len() > start).collect();
            let count = survivors(touching.len());
            for (at, bytes) in touching.into_iter().take(count) {
                let (from, to) = ((*at).max(start), (at + bytes.len()).min(end));
                image[from..to].copy_from_slice(&bytes[from - at..to - at]);
            }
        }
        self.durable.clone_from(&image);
        self.bytes = image;
    }
}

impl Disk {
    fn size(&self) -> usize {
        self.names.values().map(|number| self.inodes[*number].bytes.len()).sum()
    }

    fn check(&mut self, what: &'static str, path: &Path, life: usize) -> io::Result<()> {
        if self.is_dead || life != self.life {
            return Err(io::Error::other("the machine is down"));
        }
        match self.fault.as_mut().and_then(|fault| fault(what, path)) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// A call that changes something. `Err` when it is the one to die at.
    fn change(&mut self, what: &'static str, path: &Path, life: usize) -> io::Result<()> {
        self.check(what, path, life)?;
        self.calls += 1;
        if self.die_at.is_some_and(|at| self.calls > at) {
            self.is_dead = true;
            return Err(io::Error::other("the machine goes down"));
        }
        Ok(())
    }

    fn rename_all(&mut self, change: Vec<(PathBuf, Option<usize>)>) {
        apply(&mut self.names, change.clone());
        self.unsynced_names.push(change);
    }
}

fn apply(names: &mut BTreeMap<PathBuf, usize>, change: Vec<(PathBuf, Option<usize>)>) {
    for (path, inode) in change {
        match inode {
            Some(inode) => names.insert(path, inode),
            None => names.remove(&path),
        };
    }
}

#[derive(Debug, Clone)]
struct SimFile {
    fs: SimFs,
    path: PathBuf,
    inode: usize,
    life: usize,
}

#[derive(Debug)]
struct SimLock {
    fs: SimFs,
    path: PathBuf,
    life: usize,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut disk = self.fs.disk();
        if disk.life == self.life {
            disk.locks.remove(&self.path);
        }
    }
}

impl FileSystem for SimFs {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let life = disk.life;
        disk.change("create_directory", path, life)?;
        disk.directories.insert(path.to_owned());
        disk.durable_directories.insert(path.to_owned());
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut disk = self.disk();
        let life = disk.life;
        disk.check("list", directory, life)?;
        let all = disk.names.keys().chain(&disk.directories);
        let here = all.filter(|path| path.parent() == Some(directory));
        Ok(here.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut disk = self.disk();
        let life = disk.life;
        disk.check("open", path, life)?;
        let inode = *disk.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile { fs: self.clone(), path: path.to_owned(), inode, life }))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut disk = self.disk();
        let life = disk.life;
        disk.change("create", path, life)?;
        let inode = disk.inodes.len();
        disk.inodes.push(Inode::default());
        disk.rename_all(vec![(path.to_owned(), Some(inode))]);
        Ok(Arc::new(SimFile { fs: self.clone(), path: path.to_owned(), inode, life }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let life = disk.life;
        disk.change("rename", from, life)?;
        let inode = *disk.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        disk.rename_all(vec![(from.to_owned(), None), (to.to_owned(), Some(inode))]);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let life = disk.life;
        disk.change("remove", path, life)?;
        disk.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        disk.rename_all(vec![(path.to_owned(), None)]);
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let life = disk.life;
        disk.change("sync_directory", path, life)?;
        let synced: Vec<_> = disk.directories.iter().filter(|made| made.parent() == Some(path)).cloned().collect();
        disk.durable_directories.extend(synced);
        let is_here = |change: &Vec<(PathBuf, Option<usize>)>| change[0].0.parent() == Some(path);
        let (synced, other) = std::mem::take(&mut disk.unsynced_names).into_iter().partition(is_here);
        disk.unsynced_names = other;
        let synced: Vec<Vec<_>> = synced;
        for change in synced {
            apply(&mut disk.durable_names, change);
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let mut disk = self.disk();
        let life = disk.life;
        disk.change("lock", path, life)?;
        if !disk.locks.insert(path.to_owned()) {
            return Ok(None);
        }
        Ok(Some(Box::new(SimLock { fs: self.clone(), path: path.to_owned(), life })))
    }
}

impl File for SimFile {
    fn size(&self) -> io::Result<u64> {
        let mut disk = self.fs.disk();
        disk.check("size", &self.path, self.life)?;
        Ok(disk.inodes[self.inode].bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut disk = self.fs.disk();
        disk.check("read", &self.path, self.life)?;
        disk.reads += 1;
        let end = offset + buffer.len() as u64;
        let is_bad =
            |(inode, range): &(usize, Range<u64>)| *inode == self.inode && range.start < end && offset < range.end;
        if disk.unreadable.iter().any(is_bad) {
            return Err(io::Error::from_raw_os_error(5));
        }
        let bytes = disk.inodes[self.inode].bytes.get(offset as usize..).and_then(|bytes| bytes.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.fs.disk();
        let result = disk.change("write", &self.path, self.life);
        if result.is_err() && !disk.is_dead {
            return result;
        }
        // Who dies in a write has written some of it.
        let seed = disk.calls as u64;
        let written = if result.is_ok() { bytes.len() } else { Random(seed).below(bytes.len() + 1) };
        let end = offset as usize + written;
        let more = end.saturating_sub(disk.inodes[self.inode].bytes.len());
        if disk.capacity.is_some_and(|capacity| disk.size() + more > capacity) && more > 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let inode = &mut disk.inodes[self.inode];
        inode.bytes.resize(inode.bytes.len().max(end), 0);
        inode.bytes[offset as usize..end].copy_from_slice(&bytes[..written]);
        inode.unsynced.push((offset as usize, bytes[..written].to_vec()));
        result
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.fs.disk();
        let result = disk.change("sync", &self.path, self.life);
        if result.is_err() && disk.is_dead {
            return result;
        }
        let inode = &mut disk.inodes[self.inode];
        // What could not be written stands in the page cache, where it counts as written.
        let written = std::mem::take(&mut inode.unsynced);
        if result.is_ok() {
            written.iter().for_each(|(at, bytes)| inode.write_back(*at, bytes));
        }
        result
    }

    fn past_cache(&self) -> Option<Box<dyn PastCache>> {
        Some(Box::new(SimPastCache(self.clone())))
    }
}

/// Takes nothing but whole blocks, from memory where blocks may begin.
#[derive(Debug)]
struct SimPastCache(SimFile);

impl PastCache for SimPastCache {
    fn write_at(&self, blocks: &[u8], offset: u64) -> io::Result<()> {
        let numbers = [blocks.as_ptr() as usize, blocks.len(), offset as usize];
        assert!(numbers.iter().all(|number| number.is_multiple_of(4096)), "{numbers:?}");
        let SimFile { fs, path, life, .. } = &self.0;
        fs.disk().check("write past the cache", path, *life)?;
        self.0.write_at(blocks, offset)
    }
}
