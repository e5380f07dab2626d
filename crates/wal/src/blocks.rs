//! Bytes gathered into whole blocks, as they can be written past the page cache.
//!
//! What is written once and not read before the next start has no use for the page cache: to copy it there takes more CPU time than to
//! have the disk fetch it, above all into pages that the cache has to find first.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::fs::File;

/// Memory addresses, places in files and lengths must be multiples of this to be written past the page cache.
pub(crate) const BLOCK: usize = 4096;

/// Writes bytes one after another into a file, gathered to so many at a time.
#[derive(Debug)]
pub(crate) struct Blocks<'a> {
    file: &'a dyn File,
    /// The same, past the page cache; or the file itself.
    past_cache: Option<Arc<dyn File>>,
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
        let (blocks, rest) = gathered.split_at(gathered.len() / BLOCK * BLOCK);
        let past_cache = self.past_cache.as_deref().unwrap_or(self.file);
        for (file, bytes) in [(past_cache, blocks), (self.file, rest)] {
            if !bytes.is_empty() {
                file.write_at(bytes, self.at)?;
            }
            self.at += bytes.len() as u64;
        }
        self.gathered = 0;
        Ok(())
    }
}
