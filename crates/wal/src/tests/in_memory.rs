//! A log in memory.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use proptest::prelude::*;

use crate::log::OVERHEAD;
use crate::{Admission, AppendError, Log, Lsn, Memory, ReadError, Record};

struct Blob(usize);

impl Record for Blob {
    fn kind(&self) -> u8 {
        0
    }
    fn payload(&self) -> Bytes {
        Bytes::from(vec![0; self.0])
    }
    fn size(&self) -> usize {
        self.0
    }
}

// A reader sees every record once, in order, and then the end; nothing is appended after the close.
#[test]
fn reads_in_order_until_closed() {
    let (log, mut reader) = Log::in_memory(Memory::up_to(1 << 20), || 7);
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let log = log.clone();
            std::thread::spawn(move || (0..100).for_each(|size| assert!(log.append_blocking(Blob(size)).is_ok())))
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    log.close();
    assert_eq!(log.append_blocking(Blob(1)), Err(AppendError::Closed));
    let lsns: Vec<Lsn> = std::iter::from_fn(|| reader.next()).map(|entry| entry.lsn).collect();
    assert_eq!(lsns, (1..=400).collect::<Vec<_>>());
}

// Receive time never goes back, whatever the clock does.
#[test]
fn receive_time_never_goes_back() {
    let clock = Arc::new(AtomicU64::new(10));
    let told = Arc::clone(&clock);
    let (log, mut reader) = Log::in_memory(Memory::up_to(1 << 20), move || told.load(Ordering::Relaxed));
    for time in [10, 12, 3, 13] {
        clock.store(time, Ordering::Relaxed);
        log.append_blocking(Blob(0)).unwrap();
    }
    log.close();
    assert_eq!(std::iter::from_fn(|| reader.next()).map(|e| e.receive_time).collect::<Vec<_>>(), [10, 12, 12, 13]);
}

// A full log refuses; it has room again when the slowest cursor has passed, and not before.
#[test]
fn full_until_the_slowest_cursor_has_passed() {
    let (log, _reader) = Log::in_memory(Memory::up_to(2 * (100 + OVERHEAD)), || 0);
    let (fast, slow) = (log.cursor(), log.cursor());
    log.append_blocking(Blob(100)).unwrap();
    log.append_blocking(Blob(100)).unwrap();
    assert_eq!(log.append_blocking(Blob(100)), Err(AppendError::Full));
    fast.advance(2);
    assert_eq!(log.append_blocking(Blob(100)), Err(AppendError::Full));
    slow.advance(1);
    assert_eq!(log.append_blocking(Blob(100)), Ok(3));
}

// Requests wait long before one is refused: behind the record that is in use for as much as was said, and in any case at half of the limit.
#[test]
fn no_room_is_not_full() {
    let size = 100 + OVERHEAD;
    let appended = |room: usize| {
        let (log, _reader) = Log::in_memory(Memory { room: room * size, limit: 6 * size }, || 0);
        let cursor = log.cursor();
        let append = || log.append_blocking(Blob(100)).map(|_| log.has_room());
        let said: Vec<_> = std::iter::repeat_with(append).take(7).collect();
        cursor.advance(6);
        assert!(log.has_room());
        said
    };
    let with_room = |count: usize| {
        let said = (0..6).map(|place| Ok(place < count));
        said.chain([Err(AppendError::Full)]).collect::<Vec<_>>()
    };
    assert_eq!(appended(0), with_room(1));
    assert_eq!(appended(1), with_room(2));
    assert_eq!(appended(6), with_room(3));
}

/// What a future gives without having to wait for it.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(given) => Some(given),
        Poll::Pending => None,
    }
}

// What was admitted counts as taken until it is appended or given up.
#[test]
fn what_is_admitted_takes_room() {
    let (log, _reader) = Log::in_memory(Memory::up_to(1_000), || 0);
    let first = log.admit(400).unwrap();
    let second = log.admit(400).unwrap();
    assert!(log.admit(1).is_none() && log.has_room());
    drop(first);
    assert!(log.admit(1).is_some());
    assert_eq!(at_once(second.append(Blob(400))), Some(Ok(1)));
    assert!(log.admit(1).is_none(), "the log needs some for itself");
    assert_eq!(log.fill().memory.used, 400 + OVERHEAD as u64);
}

proptest! {
    // However many are made at once, and however large they are: none that was admitted is refused, and they take half of the limit and
    // one of them at most.
    #[test]
    fn what_is_admitted_is_not_refused(
        steps in proptest::collection::vec((0_usize..6, 0_usize..3_000), 1..200),
        room in 0_usize..2_000,
        limit in 1_usize..4_000,
    ) {
        let (log, _reader) = Log::in_memory(Memory { room, limit }, || 0);
        let cursor = log.cursor();
        let mut made = Vec::new();
        for (step, size) in steps {
            match step {
                0 => cursor.advance(log.first()),
                1 | 2 if !made.is_empty() => {
                    let (admission, size): (Admission<'_, Blob>, usize) = made.swap_remove(size % made.len());
                    prop_assert!(matches!(at_once(admission.append(Blob(size))), Some(Ok(_))));
                }
                3 => drop(made.pop()),
                _ => made.extend(log.admit(size + OVERHEAD).map(|admission| (admission, size))),
            }
            prop_assert!(log.fill().memory.used as usize <= limit / 2 + 3_000 + OVERHEAD);
        }
    }

    // What counts against the size is exactly what some cursor has not passed.
    #[test]
    fn size_is_what_is_not_passed(sizes in proptest::collection::vec(0_usize..1000, 1..50), passed in 0_u64..60) {
        let (log, _reader) = Log::in_memory(Memory::up_to(usize::MAX), || 0);
        let cursor = log.cursor();
        for &size in &sizes {
            log.append_blocking(Blob(size)).unwrap();
        }
        cursor.advance(passed);
        let kept: usize = sizes.iter().skip(passed as usize).map(|size| size + OVERHEAD).sum();
        prop_assert_eq!(log.fill().memory.used, kept as u64);
    }
}

// A second consumer reads what no cursor has passed, and is told if what it wants was passed.
#[test]
fn second_consumer_reads_what_is_kept() {
    let (log, _reader) = Log::in_memory(Memory::up_to(1 << 20), || 7);
    let (cursor, mut second) = (log.cursor(), log.read_from(0));
    assert_eq!((log.first(), second.try_next().unwrap()), (1, None));
    for number in 1..=3 {
        log.append_blocking(Blob(number)).unwrap();
    }
    let first = second.next().unwrap().unwrap();
    assert_eq!((first.lsn, first.receive_time, first.payload.len()), (1, 7, 1));
    cursor.advance(2);
    assert_eq!(log.first(), 3);
    assert!(matches!(second.next(), Err(ReadError::Passed(2))));
    assert_eq!(log.read_from(2).next().unwrap().unwrap().payload.len(), 3);
    log.close();
    assert!(log.read_from(3).next().unwrap().is_none());
}
