//! Any bytes as the newest checkpoint, and changes to one: it is read as it was written, or the one before is.

#![no_main]

mod memory;

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use memory::Memory;
use spanmill_wal::{Checkpoints, Directory};

fuzz_target!(|input: (Vec<u8>, Vec<(u16, u8)>, bool)| {
    let (bytes, changes, is_whole_file) = input;
    let memory = Memory::default();
    let directory = Directory::open_on(Arc::new(memory.clone()), "/data").unwrap();
    let mut checkpoints = Checkpoints::open(&directory).unwrap();
    checkpoints.write(10, b"before").unwrap();
    checkpoints.write(20, &bytes).unwrap();
    let path = Path::new("/data/checkpoint-0000000000000014");
    if is_whole_file {
        memory.put(path, bytes.clone());
    }
    for file in memory.files("14") {
        let mut file = file.lock().unwrap();
        for (at, change) in changes {
            let length = file.len();
            if let Some(byte) = file.get_mut(usize::from(at) % length.max(1)) {
                *byte ^= change;
            }
        }
    }
    let mut checkpoints = Checkpoints::open(&directory).unwrap();
    // A file of a newer version is refused.
    let Ok(newest) = checkpoints.newest() else { return };
    let checkpoint = newest.checkpoint.unwrap();
    if newest.damaged.is_empty() {
        assert_eq!(checkpoint.lsn, 20);
        assert!(is_whole_file || checkpoint.bytes == bytes);
    } else {
        assert_eq!((checkpoint.lsn, checkpoint.bytes.as_slice()), (10, b"before".as_slice()));
    }
});
