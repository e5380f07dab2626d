//! What the disk did not take, and what is in the page cache all the same.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::harness::{Blob, Threads, settings};
use super::refusal::{Opened, open_at, queue};
use super::sim::{Crash, SimFs};
use crate::Settings;
use crate::frame::FRAME_HEADER;
use crate::log::Log;
use crate::segment::SEGMENT_HEADER;

fn open_again(fs: &SimFs) -> Opened<Blob> {
    // Room for all, as nobody passes any.
    open_at(fs, &Settings { max_size: 256 << 10, ..settings() }, &Arc::default()).unwrap()
}

/// Appends records with these numbers, of which some fill a segment and others go on in the next; gives those that are acknowledged.
fn append(log: &Log<Blob>, threads: &mut Threads<Blob>, numbers: Range<u8>) -> Vec<Bytes> {
    let mut acknowledged = Vec::new();
    for number in numbers {
        let size = if number % 4 < 2 { SEGMENT_HEADER as usize - FRAME_HEADER } else { 3_000 };
        let record = Bytes::from(vec![number; size]);
        let Ok(mut answer) = queue(log, Blob(record.clone())) else { continue };
        let answer = loop {
            if let Some(answer) = answer() {
                break answer;
            }
            threads.step();
        };
        if answer.is_ok() {
            acknowledged.push(record);
        }
    }
    acknowledged
}

// Whichever sync fails, of a group, a segment or its first page: a start finds what was written in the page cache, where it counts as written, and
// goes on behind it. When power fails after that, everything that was acknowledged is there.
#[test]
fn what_a_failed_sync_left_is_written_again() {
    for failing in 0.. {
        let fs = SimFs::default();
        let (log, _reader, mut threads) = open_again(&fs);
        let syncs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&syncs);
        fs.set_fault(move |what, _| {
            let fails = what == "sync" && counted.fetch_add(1, Ordering::Relaxed) == failing;
            fails.then(|| io::Error::from_raw_os_error(5))
        });
        let mut acknowledged = append(&log, &mut threads, 0..8);
        fs.clear_fault();
        fs.crash(Crash::Kill);

        let (log, _reader, mut threads) = open_again(&fs);
        acknowledged.extend(append(&log, &mut threads, 8..10));
        fs.crash(Crash::LoseAll);

        let (log, mut reader, _threads) = open_again(&fs);
        let found: Vec<Bytes> = (0..log.last()).map(|_| reader.next().unwrap().record.0).collect();
        assert!(acknowledged.iter().all(|record| found.contains(record)), "sync {failing} fails");
        if syncs.load(Ordering::Relaxed) <= failing {
            assert!(failing > 8 && acknowledged.len() == 10, "{failing} syncs");
            return;
        }
    }
}
