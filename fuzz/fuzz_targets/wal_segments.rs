//! Changes to the files of a log: a start finds records as they were written, or refuses; after a repair it starts. Changes under a
//! log that is open: whoever reads it back gets records as they were written, in order, and passes over the others.
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
use spanmill_wal::{Checkpoints, Directory, Log, OpenError, ReadError, Reader, Record, Settings, Start, repair_on};

const DIRECTORY: &str = "/data";
/// Two starts write it, so that there are two epochs in it and both kinds of payloads.
const RECORDS: u64 = 40;
const LAST_OF_FIRST: u64 = 20;

/// Room for all that the records take, in segments that most of them are split by.
fn settings(compression: Option<i32>) -> Settings {
    Settings { max_size: 128 << 10, segment_size: Some(8 << 10), memory_limit: 1 << 20, compression }
}

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

/// Texts that zstd makes smaller, but not small.
fn content(lsn: u64) -> Bytes {
    let number = |at: u64| (at.wrapping_mul(lsn + 7) % 61) as u8;
    (0..lsn * 397 % 3_000).map(number).collect()
}

fn open(memory: &Memory, compression: Option<i32>) -> Result<(Log<Numbered>, Reader<Numbered>, u64), OpenError> {
    let directory = Directory::open_on(Arc::new(memory.clone()), Path::new(DIRECTORY))?;
    let applied = Checkpoints::open(&directory)?.newest()?.checkpoint.map_or(0, |checkpoint| checkpoint.lsn);
    let restore = |_, bytes| Ok(Numbered(bytes));
    let (log, reader) = Log::open(&directory, &settings(compression), Start::at(applied), || 1, restore)?;
    Ok((log, reader, applied))
}

static WRITTEN: LazyLock<Memory> = LazyLock::new(|| {
    let memory = Memory::default();
    let directory = Directory::open_on(Arc::new(memory.clone()), DIRECTORY).unwrap();
    let mut checkpoints = Checkpoints::open(&directory).unwrap();
    for (compression, records) in [(None, 1..=LAST_OF_FIRST), (Some(1), LAST_OF_FIRST + 1..=RECORDS)] {
        let (log, _reader, applied) = open(&memory, compression).unwrap();
        let cursor = log.cursor_at(applied);
        for lsn in records {
            assert_eq!(log.append_blocking(Numbered(content(lsn))), Ok(lsn));
            // What is behind the older of the newest two checkpoints stays, and that is much of the log.
            if lsn == 4 || lsn == 8 {
                cursor.advance(checkpoints.write(lsn, b"state").unwrap());
            }
        }
    }
    assert_eq!(start(&memory).unwrap(), RECORDS, "as it was written, it is read to its end");
    memory
});

/// The last record that a start finds behind the checkpoint.
fn start(memory: &Memory) -> Result<u64, OpenError> {
    let (log, mut reader, applied) = open(memory, None)?;
    log.close();
    let mut last = applied;
    while let Some(entry) = reader.next() {
        assert!(entry.lsn > last, "in order, each once");
        assert_eq!(entry.record.0, content(entry.lsn));
        last = entry.lsn;
    }
    assert_eq!(log.failure(), None);
    Ok(last)
}

/// Reads back what was changed since the log was opened, as a forwarder does.
fn read_back(log: &Log<Numbered>) {
    let mut last = log.first() - 1;
    let mut reader = log.read_from(last);
    loop {
        match reader.try_next() {
            Ok(Some(record)) => {
                assert!(record.lsn > last && record.lsn <= RECORDS, "in order, each once");
                assert_eq!(record.payload, content(record.lsn));
                last = record.lsn;
            }
            Ok(None) => break,
            Err(ReadError::Damaged { lsn, .. }) => {
                assert!(lsn > last, "damage stands behind what was read");
                match reader.skip_unreadable() {
                    Some(skipped) => assert!(skipped.end > last, "it goes on behind it"),
                    None => break,
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// One change: in which file, where, from which file, from where, and how much. Without a length it changes one byte.
type Change = (u8, u16, u8, u16, u16);

fn change(memory: &Memory, changes: &[Change]) {
    let files = memory.files(".wal");
    for &(file, at, from_file, from, length) in changes {
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
}

fuzz_target!(|input: (bool, Vec<Change>)| {
    let (is_open, changes) = input;
    let memory = WRITTEN.copy();
    if is_open {
        let (log, _reader, _) = open(&memory, None).unwrap();
        change(&memory, &changes);
        return read_back(&log);
    }
    change(&memory, &changes);
    if start(&memory).is_err() {
        let report = repair_on(Arc::new(memory.clone()), DIRECTORY).unwrap();
        start(&memory).unwrap_or_else(|error| panic!("{error} after {report}"));
    }
});
