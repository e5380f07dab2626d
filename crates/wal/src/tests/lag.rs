//! What the log tells of itself: how much became safe, and how far behind a consumer is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::harness::content;
use crate::{Directory, Log, Lsn, Memory, Reader, Record, Settings, Start, Volume};

/// A record that holds as many things as its first byte says, or does not say how many.
#[derive(Debug)]
struct Things(Bytes);

impl Record for Things {
    fn kind(&self) -> u8 {
        0
    }
    fn payload(&self) -> Bytes {
        self.0.clone()
    }
    fn size(&self) -> usize {
        self.0.len()
    }
    fn items(&self) -> Option<u64> {
        self.0.first().map(|items| u64::from(*items))
    }
}

fn things(items: u8, bytes: usize) -> Things {
    Things(vec![items; bytes].into())
}

/// Seconds, by a clock that is set by hand.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn set(&self, seconds: u64) {
        self.0.store(seconds * 1_000_000_000, Ordering::Relaxed);
    }

    fn told(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let time = Arc::clone(&self.0);
        move || time.load(Ordering::Relaxed)
    }
}

fn open(directory: &tempfile::TempDir, clock: &Clock, start: Start) -> (Log<Things>, Reader<Things>) {
    // Compressed, which the volume is not.
    let settings =
        Settings { max_size: 1 << 20, segment_size: Some(8 << 10), memory_limit: 1 << 20, compression: Some(1) };
    let restore = |_, payload| Ok(Things(payload));
    Log::open(&Directory::open(directory.path()).unwrap(), &settings, start, clock.told(), restore).unwrap()
}

fn lag(log: &Log<Things>, passed: Lsn) -> Option<u64> {
    log.lag(passed).as_ref().map(Duration::as_secs)
}

// How far behind a consumer is, is the time from the first record that it has not passed to the newest; how much is safe is what was
// appended of records that say so, uncompressed. In memory, on disk, and of what another start finds.
#[test]
fn lag_and_volume() {
    let clock = Clock::default();
    let directory = tempfile::tempdir().unwrap();
    let safe = Volume { items: 3 + 5 + 2, bytes: 900 + 700 + 1 };
    let lags = |log: &Log<Things>| [0, 1, 2, 3, 4, 9].map(|passed| lag(log, passed));
    let expected = [25, 15, 5, 0, 0, 0].map(Some);
    for (log, mut reader) in
        [Log::in_memory(Memory::up_to(1 << 20), clock.told()), open(&directory, &clock, Start::default())]
    {
        assert_eq!((lag(&log, 0), log.volume()), (Some(0), Volume::default()), "an empty log");
        let records = [(1_000, things(3, 900)), (1_010, things(5, 700)), (1_020, things(0, 0)), (1_025, things(2, 1))];
        for (seconds, record) in records {
            clock.set(seconds);
            log.append_blocking(record).unwrap();
        }
        assert_eq!((lags(&log), log.volume()), (expected, safe));
        assert!((1..=4).all(|lsn| reader.next().is_some_and(|entry| entry.lsn == lsn)));
        assert_eq!(log.volume(), safe, "what is read is not safe once more");
    }
    let (log, mut reader) = open(&directory, &clock, Start::default());
    assert_eq!((lags(&log), log.volume()), (expected, Volume::default()));
    assert!((1..=4).all(|lsn| reader.next().is_some_and(|entry| entry.lsn == lsn)));
    assert_eq!((lags(&log), log.volume()), (expected, safe), "what is given again counts as safe");
}

// What a start does not look at, because only a consumer beside the reader needs it, has a time all the same: that of its segment.
#[test]
fn what_is_kept_has_a_time() {
    let clock = Clock::default();
    let directory = tempfile::tempdir().unwrap();
    let (log, reader) = open(&directory, &clock, Start::default());
    for lsn in 1..=40 {
        clock.set(1_000 + 10 * lsn);
        log.append_blocking(Things(content(lsn, 3_000))).unwrap();
    }
    drop((log, reader));
    let (log, _reader) = open(&directory, &clock, Start { applied: 38, needed: 38, kept: 0 });
    for passed in 0..40 {
        let exact = 10 * (40_u64.saturating_sub(passed + 1));
        let told = lag(&log, passed);
        // A segment has room for less than two records, so parts of three, and the first page of the first one tells no time.
        let is_near = told.is_some_and(|told| (exact..=exact + 30).contains(&told));
        assert!(is_near || (passed < 3 && told.is_none()), "{passed}: {told:?} instead of {exact}");
    }
    assert_eq!(lag(&log, 38), Some(10), "what it looks at is exact");
}
