//! Bytes gathered into whole blocks, as they can be written past the page cache.
//!
//! What is written once and not read before the next start has no use for the page cache: to copy it there takes more CPU time than to
//! have the disk fetch it, above all into pages that the cache has to find first.

use std::io;
use std::ops::Range;

use crate::fs::{File, PastCache};

/// Memory addresses, places in files and lengths must be multiples of this to be written past the page cache.
pub(crate) const BLOCK: usize = 4096;

/// Writes bytes one after another into a file, gathered to so many at a time.
#[derive(Debug)]
pub(crate) struct Blocks<'a> {
    file: &'a dyn File,
    /// Until it turns out that the file system does not write so.
    past_cache: Option<Box<dyn PastCache>>,
    memory: Vec<u8>,
    /// Where in `memory` the room for blocks is.
    room: Range<usize>,
    gathered: usize,
    /// Where in the file the gathered go.
    at: u64,
}

impl<'a> Blocks<'a> {
    /// Begins at the start of `file`, and gathers `size` bytes, a multiple of [`BLOCK`].
    pub(crate) fn new(file: &'a dyn File, size: usize) -> Self {
        let memory = vec![0; size + BLOCK];
        let start = memory.as_ptr().align_offset(BLOCK).min(BLOCK);
        Self { file, past_cache: file.past_cache(), memory, room: start..start + size, gathered: 0, at: 0 }
    }

    /// Adds bytes, and writes what is gathered whenever its room is full.
    pub(crate) fn put(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(self.room.len() - self.gathered));
            let begin = self.room.start + self.gathered;
            if let Some(room) = self.memory.get_mut(begin..begin + now.len()) {
                room.copy_from_slice(now);
            }
            self.gathered += now.len();
            if self.gathered == self.room.len() {
                self.flush()?;
            }
            bytes = later;
        }
        Ok(())
    }

    /// Writes what is gathered: of a file that ends within a block the last bytes as any other file's.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let gathered = self.memory.get(self.room.start..self.room.start + self.gathered).unwrap_or_default();
        let blocks = gathered.get(..gathered.len() / BLOCK * BLOCK).unwrap_or_default();
        let rest = if write_past_cache(&mut self.past_cache, blocks, self.at)? {
            gathered.get(blocks.len()..).unwrap_or_default()
        } else {
            gathered
        };
        if !rest.is_empty() {
            self.file.write_at(rest, self.at + (gathered.len() - rest.len()) as u64)?;
        }
        self.at += gathered.len() as u64;
        self.gathered = 0;
        Ok(())
    }
}

/// Tells whether the blocks are written. If the file system does not write so after all, nobody tries again.
fn write_past_cache(past_cache: &mut Option<Box<dyn PastCache>>, blocks: &[u8], at: u64) -> io::Result<bool> {
    let Some(file) = past_cache.as_deref().filter(|_| !blocks.is_empty()) else { return Ok(false) };
    match file.write_at(blocks, at) {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            *past_cache = None;
            Ok(false)
        }
        written => written.map(|()| true),
    }
}
