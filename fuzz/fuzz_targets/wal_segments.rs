//! Changes to the files of a log: a start finds records as they were written, or refuses; after a repair it starts.
//!
//! A fuzzer does not guess checksums, so it gets a log that was written well, and changes bytes in it or writes blocks of it to
//! other places: frames that are valid, but not there.

#![no_main]

mod memory;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use memory::Memory;
use spanmill_wal::{Checkpoints, Directory, Log, OpenError, Record, Settings, Start, repair_on};

const DIRECTORY: &str = "/data";
const SETTINGS: Settings =
    Settings { max_size: 48 << 10, segment_size: Some(8 << 10), memory_limit: 1 << 20, compression: None };

/// A record that is made of its own number.
struct Numbered(Bytes);

impl Record for Numbered {
    fn kind(&self) -> u8 {
        0
    }
    fn payload(&self) -> Bytes {
        self.0.clone()
    }
    fn size(&self) -> usize {
        self.0.len()
    }
}

fn content(lsn: u64) -> Bytes {
    std::iter::repeat_n(lsn as u8, (lsn as usize * 397) % 3_000).collect()
}

static WRITTEN: LazyLock<Memory> = LazyLock::new(|| {
    let memory = Memory::default();
    let directory = Directory::open_on(Arc::new(memory.clone()), DIRECTORY).unwrap();
    let mut checkpoints = Checkpoints::open(&directory).unwrap();
    let (log, _reader) =
        Log::open(&directory, &SETTINGS, Start::default(), || 1, |_, bytes| Ok(Numbered(bytes))).unwrap();
    let cursor = log.cursor();
    for lsn in 1..=40 {
        assert_eq!(log.append_blocking(Numbered(content(lsn))), Ok(lsn));
        if lsn % 6 == 0 {
            cursor.advance(checkpoints.write(lsn, b"state").unwrap());
        }
    }
    memory
});

/// What stands in the log behind its checkpoint.
fn start(memory: &Memory) -> Result<(), OpenError> {
    let directory = Directory::open_on(Arc::new(memory.clone()), Path::new(DIRECTORY))?;
    let applied = Checkpoints::open(&directory)?.newest()?.checkpoint.map_or(0, |checkpoint| checkpoint.lsn);
    let (log, mut reader) = Log::open(&directory, &SETTINGS, Start::at(applied), || 1, |_, bytes| Ok(Numbered(bytes)))?;
    log.close();
    let mut last = applied;
    while let Some(entry) = reader.next() {
        assert!(entry.lsn > last, "in order, each once");
        assert_eq!(entry.record.0, content(entry.lsn));
        last = entry.lsn;
    }
    assert_eq!(log.failure(), None);
    Ok(())
}

fuzz_target!(|changes: Vec<(u8, u16, u8, u16, u16)>| {
    let memory = WRITTEN.copy();
    let files = memory.files(".wal");
    for (file, at, from_file, from, length) in changes {
        let from_bytes = files[usize::from(from_file) % files.len()].lock().unwrap().clone();
        let mut bytes = files[usize::from(file) % files.len()].lock().unwrap();
        let at = usize::from(at) % bytes.len();
        if length == 0 {
            bytes[at] ^= from as u8;
            continue;
        }
        // Frames begin at multiples of eight.
        let (at, from) = (at / 8 * 8, usize::from(from) % from_bytes.len() / 8 * 8);
        let length = usize::from(length).min(bytes.len() - at).min(from_bytes.len() - from);
        bytes[at..at + length].copy_from_slice(&from_bytes[from..from + length]);
    }
    if start(&memory).is_err() {
        let report = repair_on(Arc::new(memory.clone()), DIRECTORY).unwrap();
        start(&memory).unwrap_or_else(|error| panic!("{error} after {report}"));
    }
});
