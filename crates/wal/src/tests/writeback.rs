//! What the disk did not take, and what is in the page cache all the same.

use std::io;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::harness::{Blob, DIRECTORY, Threads, opened, restore, settings};
use super::sim::{Crash, SimFs};
use crate::frame::FRAME_HEADER;
use crate::log::Log;
use crate::open::open;
use crate::reader::Reader;
use crate::segment::SEGMENT_HEADER;
use crate::{Directory, Settings, Start};

fn open_at(fs: &SimFs) -> (Log<Blob>, Reader<Blob>, Threads<Blob>) {
    let directory = Directory::open_on(Arc::new(fs.clone()), DIRECTORY).unwrap();
    // Room for all, as nobody passes any.
    let settings = Settings { max_size: 256 << 10, ..settings() };
    opened(open(&directory, &settings, Start::default(), Box::new(|| 0), Box::new(restore)).unwrap())
}

/// Appends records with these numbers, of which some fill a segment and others go on in the next; gives those that are acknowledged.
fn append(log: &Log<Blob>, threads: &mut Threads<Blob>, numbers: Range<u8>) -> Vec<Bytes> {
    let mut acknowledged = Vec::new();
    for number in numbers {
        let size = if number % 4 < 2 { SEGMENT_HEADER as usize - FRAME_HEADER } else { 3_000 };
        let record = Bytes::from(vec![number; size]);
        let mut append = pin!(log.append(Blob(record.clone())));
        let mut poll = || append.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let mut answer = poll();
        while answer.is_pending() {
            threads.step();
            answer = poll();
        }
        if let Poll::Ready(Ok(_)) = answer {
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
        let (log, _reader, mut threads) = open_at(&fs);
        let syncs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&syncs);
        fs.set_fault(move |what, _| {
            let fails = what == "sync" && counted.fetch_add(1, Ordering::Relaxed) == failing;
            fails.then(|| io::Error::from_raw_os_error(5))
        });
        let mut acknowledged = append(&log, &mut threads, 0..8);
        fs.clear_fault();
        fs.crash(Crash::Kill);

        let (log, _reader, mut threads) = open_at(&fs);
        acknowledged.extend(append(&log, &mut threads, 8..10));
        fs.crash(Crash::LoseAll);

        let (log, mut reader, _threads) = open_at(&fs);
        let found: Vec<Bytes> = (0..log.last()).map(|_| reader.next().unwrap().record.0).collect();
        assert!(acknowledged.iter().all(|record| found.contains(record)), "sync {failing} fails");
        if syncs.load(Ordering::Relaxed) <= failing {
            assert!(failing > 8 && acknowledged.len() == 10, "{failing} syncs");
            return;
        }
    }
}
