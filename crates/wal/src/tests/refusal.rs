//! What a log refuses, and what ends it.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::harness::{Blob, DIRECTORY, Threads, opened, restore, settings};
use super::sim::{Crash, SimFs};
use crate::log::Log;
use crate::open::open;
use crate::reader::Reader;
use crate::writer::Step;
use crate::{AppendError, Directory, OpenError, RawReader, ReadError, Record, Settings, Start};

pub(super) type Opened<R> = (Log<R>, Reader<R>, Threads<R>);

pub(super) fn open_at(fs: &SimFs, settings: &Settings, clock: &Arc<AtomicU64>) -> Result<Opened<Blob>, OpenError> {
    let directory = Directory::open_on(Arc::new(fs.clone()), DIRECTORY)?;
    let clock = Arc::clone(clock);
    let clock = Box::new(move || clock.load(Ordering::Relaxed));
    Ok(opened(open(&directory, settings, Start::default(), clock, Box::new(restore))?))
}

fn blob(size: usize) -> Blob {
    Blob(Bytes::from(vec![7; size]))
}

/// Takes a record; the thread's step is still to come.
pub(super) fn queue<R: Record>(
    log: &Log<R>,
    record: R,
) -> Result<impl FnMut() -> Option<Result<u64, AppendError>> + use<R>, AppendError> {
    let log = log.clone();
    let mut append = Box::pin(async move { log.append(record).await });
    let mut poll = move || match pin!(&mut append).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => None,
        Poll::Ready(answer) => Some(answer),
    };
    match poll() {
        Some(Err(error)) => Err(error),
        Some(Ok(_)) => panic!("nothing is safe before the thread's step"),
        None => Ok(poll),
    }
}

// An error of any call of a group ends the log for good: what waits and what comes is refused with the reason, the reader gives
// what was safe and ends, and nothing is acknowledged even when the disk works again. The next start finds what was safe.
#[test]
fn any_error_ends_it() {
    for call in ["write", "sync"] {
        let (fs, clock) = (SimFs::default(), Arc::default());
        let (log, mut reader, mut threads) = open_at(&fs, &settings(), &clock).unwrap();
        let mut safe = queue(&log, blob(10)).unwrap();
        threads.step();
        assert_eq!(safe(), Some(Ok(1)));

        fs.set_fault(move |what, _| (what == call).then(|| io::Error::from_raw_os_error(5)));
        let mut first = queue(&log, blob(20)).unwrap();
        let mut second = queue(&log, blob(30)).unwrap();
        assert_eq!(threads.step(), Step::Ended);
        fs.clear_fault();
        for pending in [&mut first, &mut second] {
            let Some(Err(AppendError::Failed(why))) = pending() else { panic!("acknowledged") };
            assert!(why.contains("segment-00000.wal") && why.contains("os error 5"), "{why}");
        }
        assert!(matches!(queue(&log, blob(1)).err(), Some(AppendError::Failed(_))));
        assert_eq!(threads.step(), Step::Ended);
        assert!(log.failure().is_some());
        assert_eq!(reader.next().unwrap().lsn, 1);
        assert!(reader.next().is_none());
        drop((log, reader, threads));

        fs.crash(Crash::LoseAll);
        let (log, mut reader, _threads) = open_at(&fs, &settings(), &clock).unwrap();
        assert_eq!((log.last(), reader.next().unwrap().record), (1, blob(10)));
    }
}

// The system tells of a failed sync once, to whichever thread asks first: the other is refused as well, for any file, and acknowledges nothing.
#[test]
fn failed_sync_is_not_forgotten() {
    let (fs, clock) = (SimFs::default(), Arc::default());
    let (log, _reader, mut threads) = open_at(&fs, &settings(), &clock).unwrap();
    let mut written = queue(&log, blob(10)).unwrap();
    threads.writer.step();
    let segment = threads.syncer.take().unwrap();
    let mut failures = 1;
    fs.set_fault(move |what, _| {
        let fails = what == "sync" && failures > 0;
        failures -= i32::from(fails);
        fails.then(|| io::Error::from_raw_os_error(5))
    });
    // As the writer does between two segments.
    assert!(log.shared.sync(&*segment.slot.file).is_err());
    let synced = threads.syncer.sync(&segment);
    assert_eq!(threads.syncer.tell(synced), Step::Ended);
    assert!(matches!(written(), Some(Err(AppendError::Failed(_)))));
}

// Whoever waits for a group that is written while the sync of the one before fails is refused as well, and what comes after.
#[test]
fn what_is_written_beside_a_failing_sync_is_refused() {
    let (fs, clock) = (SimFs::default(), Arc::default());
    let (log, _reader, Threads { mut writer, mut syncer }) = open_at(&fs, &settings(), &clock).unwrap();
    let mut first = queue(&log, blob(10)).unwrap();
    writer.step();
    syncer.take().unwrap();
    let mut second = queue(&log, blob(20)).unwrap();
    let group = writer.group().unwrap().unwrap();
    let failed = OpenError::Setting("the sync fails".to_owned());
    assert_eq!(syncer.tell(Err(failed)), Step::Ended);
    writer.put_group(group).unwrap();
    for pending in [&mut first, &mut second] {
        let Some(Err(AppendError::Failed(why))) = pending() else { panic!("nobody is told") };
        assert!(why.contains("the sync fails"), "{why}");
    }
    assert_eq!(writer.step(), Step::Ended);
}

// A disk that is full while a new file is made makes the log full, not broken; it goes on when there is room again. What was
// acknowledged is safe all the while.
#[test]
fn full_disk_is_a_full_log() {
    let (fs, clock) = (SimFs::default(), Arc::new(AtomicU64::new(0)));
    let (log, _reader, mut threads) = open_at(&fs, &settings(), &clock).unwrap();
    fs.set_capacity(Some(fs.size() + 3_000));
    let mut lsn = 0;
    let refused = loop {
        let Ok(mut append) = queue(&log, blob(1_000)) else { panic!("the log itself is not full") };
        threads.step();
        match append() {
            Some(Ok(_)) => lsn += 1,
            other => break other,
        }
    };
    assert_eq!((refused, log.failure()), (Some(Err(AppendError::Full)), None));
    // It does not try again with every request, ...
    let calls = fs.calls();
    assert!(matches!(queue(&log, blob(1_000)).err(), Some(AppendError::Full)));
    assert_eq!(calls, fs.calls());
    // ... but later.
    fs.set_capacity(None);
    clock.fetch_add(5_000_000_000, Ordering::Relaxed);
    let mut append = queue(&log, blob(1_000)).unwrap();
    threads.step();
    assert_eq!(append(), Some(Ok(lsn + 1)));
}

// A log at its size refuses at once; records that help to empty it are still taken; after the cursor has passed it goes on, in the
// same files.
#[test]
fn full_until_passed() {
    struct Urgent(Blob);
    impl Record for Urgent {
        fn kind(&self) -> u8 {
            self.0.kind()
        }
        fn payload(&self) -> Bytes {
            self.0.payload()
        }
        fn size(&self) -> usize {
            self.0.size()
        }
        fn is_urgent(&self) -> bool {
            self.0.0.len() == 10
        }
    }
    let fs = SimFs::default();
    let directory = Directory::open_on(Arc::new(fs.clone()), DIRECTORY).unwrap();
    let restore = |kind, payload| restore(kind, payload).map(Urgent);
    let (log, _reader, mut threads) =
        opened(open(&directory, &settings(), Start::default(), Box::new(|| 0), Box::new(restore)).unwrap());
    let cursor = log.cursor();
    let mut last = 0;
    for _ in 0..3 {
        while queue(&log, Urgent(blob(900))).is_ok() {
            threads.step();
            last += 1;
        }
        let fill = log.fill();
        assert!(fill.disk.unwrap().exceeds(90) && !log.has_room(), "{fill:?}");
        assert!(matches!(queue(&log, Urgent(blob(900))).err(), Some(AppendError::Full)));
        assert!(queue(&log, Urgent(blob(10))).is_ok());
        threads.step();
        last += 1;
        assert!(fs.size() <= 48 << 10);
        cursor.advance(last);
        assert!(log.has_room(), "{:?}", log.fill());
    }
    assert!(last > 60);
}

// A record that never fits is told from one that does not fit now: its client must not send it again and again.
#[test]
fn too_large_is_not_full() {
    let (log, _reader, _threads) = open_at(&SimFs::default(), &settings(), &Arc::default()).unwrap();
    assert!(matches!(queue(&log, blob(40_000)).err(), Some(AppendError::TooLarge { .. })));
}

// Records in memory count until the reader takes them; a reader that does not keep up makes the log full. The last of them may exceed the limit:
// what was made of a request is not thrown away because it is large.
#[test]
fn memory_is_limited() {
    let settings = Settings { memory_limit: 1_500, ..settings() };
    let (log, mut reader, mut threads) = open_at(&SimFs::default(), &settings, &Arc::default()).unwrap();
    drop(queue(&log, blob(1_000)).unwrap());
    drop(queue(&log, blob(1_000)).unwrap());
    assert!(matches!(queue(&log, blob(1_000)).err(), Some(AppendError::Full)));
    threads.step();
    assert!(matches!(queue(&log, blob(1_000)).err(), Some(AppendError::Full)));
    reader.next().unwrap();
    assert!(queue(&log, blob(1_000)).is_ok());
}

// A request whose client has gone is in the log all the same: it may be told so later, and its retry is then a duplicate.
#[test]
fn cancelled_append_is_appended() {
    let (log, mut reader, mut threads) = open_at(&SimFs::default(), &settings(), &Arc::default()).unwrap();
    drop(queue(&log, blob(5)).unwrap());
    threads.step();
    assert_eq!(reader.next().unwrap().record, blob(5));
}

// Nothing is given to a reader before it is durable, nor acknowledged.
#[test]
fn nothing_before_it_is_durable() {
    let fs = SimFs::default();
    let (log, mut reader, mut threads) = open_at(&fs, &settings(), &Arc::default()).unwrap();
    let mut append = queue(&log, blob(5)).unwrap();
    assert_eq!((append(), log.last()), (None, 0));
    assert!(log.read_from(0).try_next().unwrap().is_none());
    log.close();
    threads.step();
    assert_eq!(append(), Some(Ok(1)));
    assert_eq!(threads.step(), Step::Ended);
    assert_eq!((reader.next().unwrap().lsn, reader.next().is_none()), (1, true));
    assert!(matches!(queue(&log, blob(5)).err(), Some(AppendError::Closed)));
}

// A record that cannot be restored ends the log with a reason that names it.
#[test]
fn what_cannot_be_restored_ends_it() {
    let (fs, clock) = (SimFs::default(), Arc::default());
    let (log, reader, mut threads) = open_at(&fs, &settings(), &clock).unwrap();
    drop(queue(&log, blob(5)).unwrap());
    threads.step();
    drop((log, reader, threads));
    let directory = Directory::open_on(Arc::new(fs), DIRECTORY).unwrap();
    let refuse = Box::new(|_, _| Err::<Blob, _>("too new".to_owned()));
    let (log, mut reader, mut threads) =
        opened(open(&directory, &settings(), Start::default(), Box::new(|| 0), refuse).unwrap());
    assert!(reader.next().is_none());
    assert_eq!(log.failure().as_deref(), Some("record 1 of the log cannot be restored: too new"));
    assert_eq!(threads.step(), Step::Ended);
}

// What the disk refuses to read is told of, again as long as it is so, and read as if nothing had been when the disk works again. Passed over,
// nothing is lost but the records that touch the bad pages, and a disk that reads nothing is not asked for each of its pages.
#[test]
fn unreadable_records_are_passed_over() {
    // Four to five of them touch a page.
    const SIZE: u64 = 928;
    let (fs, clock) = (SimFs::default(), Arc::default());
    let settings =
        Settings { max_size: 4 << 20, segment_size: Some(512 << 10), memory_limit: 4 << 20, compression: None };
    let (log, _reader, mut threads) = open_at(&fs, &settings, &clock).unwrap();
    for _ in 1..=1_500 {
        drop(queue(&log, blob(SIZE as usize - 56)).unwrap());
    }
    while log.last() < 1_500 {
        assert_eq!(threads.step(), Step::Went);
    }
    let at = |lsn: u64| 4_096 + (lsn - 1) * SIZE;
    let page_of = |lsn: u64| at(lsn) / 4_096 * 4_096..at(lsn) / 4_096 * 4_096 + 4_096;
    let segment = std::path::Path::new(DIRECTORY).join("segment-00000.wal");
    let touches = |lsn: u64, page: &std::ops::Range<u64>| at(lsn) < page.end && page.start < at(lsn + 1);
    let bad = [page_of(100), page_of(101), page_of(300)];
    let is_lost = |lsn: &u64| bad.iter().any(|page| touches(*lsn, page));

    let read_all = |reader: &mut RawReader<Blob>, is_skipping: bool| {
        let (mut given, mut told) = (Vec::new(), 0);
        loop {
            match reader.try_next() {
                Ok(Some(record)) => given.push(record.lsn),
                Ok(None) => return (given, told),
                Err(ReadError::Io { .. }) => {
                    told += 1;
                    if !is_skipping || reader.skip_unreadable().is_none() {
                        return (given, told);
                    }
                }
                Err(error) => panic!("{error}"),
            }
        }
    };
    fs.set_unreadable(&segment, &bad);
    let mut reader = log.read_from(0);
    let first_lost = (1..).find(is_lost).unwrap();
    assert_eq!(read_all(&mut reader, false), ((1..first_lost).collect(), 1));
    assert_eq!(read_all(&mut reader, false), (Vec::new(), 1));
    fs.set_unreadable(&segment, &[]);
    assert_eq!(read_all(&mut reader, false), ((first_lost..=1_500).collect(), 0));

    fs.set_unreadable(&segment, &bad);
    let (given, told) = read_all(&mut log.read_from(0), true);
    assert!(given.into_iter().eq((1..=1_500).filter(|lsn| !is_lost(lsn))));
    assert_eq!(told, 2);

    // One record is split where the segment ends.
    let in_next = ((512 << 10) - 4_096) / SIZE + 2;
    fs.set_unreadable(&segment, std::slice::from_ref(&(0..u64::MAX)));
    let before = fs.reads();
    let (given, told) = read_all(&mut log.read_from(0), true);
    assert_eq!((given.first(), given.last(), told), (Some(&in_next), Some(&1_500), 1));
    assert!(fs.reads() - before < 50, "{} reads", fs.reads() - before);
}

// Whoever reads without a cursor is told when the log has forgotten the record, and does not get another one.
#[test]
fn passed_records_are_not_mistaken() {
    let (log, _reader, mut threads) = open_at(&SimFs::default(), &settings(), &Arc::default()).unwrap();
    let cursor = log.cursor();
    let mut behind = log.read_from(0);
    for lsn in 1..40 {
        drop(queue(&log, blob(1_500)).unwrap());
        threads.step();
        if lsn == 1 {
            assert_eq!(behind.next().unwrap().unwrap().lsn, 1);
        }
        cursor.advance(lsn - 1);
    }
    assert!(matches!(behind.next(), Err(ReadError::Passed(2))));
    assert!(matches!(log.read_from(0).try_next(), Err(ReadError::Passed(1))));
    assert_eq!(log.read_from(38).try_next().unwrap().unwrap().lsn, 39);
}

// The clock may be set back, also between two processes: receive time stays.
#[test]
fn time_never_goes_back() {
    let (fs, clock) = (SimFs::default(), Arc::new(AtomicU64::new(0)));
    let mut times = Vec::new();
    for time in [100, 50, 120, 3] {
        clock.store(time, Ordering::Relaxed);
        let (log, mut reader, mut threads) = open_at(&fs, &settings(), &clock).unwrap();
        drop(queue(&log, blob(2_000)).unwrap());
        threads.step();
        log.close();
        threads.step();
        times = std::iter::from_fn(|| reader.next()).map(|entry| entry.receive_time).collect();
    }
    assert_eq!(times, [100, 100, 120, 120]);
}

// A checkpoint of another log, or a log that lost its files, is refused: going on would give places in the log away twice.
#[test]
fn log_shorter_than_its_checkpoint_is_refused() {
    let fs = SimFs::default();
    let directory = Directory::open_on(Arc::new(fs), DIRECTORY).unwrap();
    let opened = open::<Blob>(&directory, &settings(), Start::at(7), Box::new(|| 0), Box::new(restore));
    assert!(matches!(opened.err(), Some(OpenError::Incomplete { needed: 7, .. })));
    drop(open::<Blob>(&directory, &settings(), Start::default(), Box::new(|| 0), Box::new(restore)).unwrap());
    let opened = open::<Blob>(&directory, &settings(), Start::at(7), Box::new(|| 0), Box::new(restore));
    assert!(matches!(opened.err(), Some(OpenError::Damaged { lsn: 1, .. })));
}

// A smaller log, and segments of another size, come into force as the old ones are passed.
#[test]
fn sizes_may_change() {
    let fs = SimFs::default();
    let directory = Directory::open_on(Arc::new(fs.clone()), DIRECTORY).unwrap();
    let mut last = 0;
    for (max_size, segment_size) in
        [(64 << 10, 8 << 10), (48 << 10, 12 << 10), (96 << 10, 8 << 10), (32 << 10, 8 << 10)]
    {
        let settings = Settings { max_size, segment_size: Some(segment_size), ..settings() };
        let start = Start::at(last);
        let (log, _reader, mut threads) =
            opened(open::<Blob>(&directory, &settings, start, Box::new(|| 0), Box::new(restore)).unwrap());
        let cursor = log.cursor();
        for _ in 0..60 {
            let mut append = queue(&log, blob(1_100)).unwrap();
            threads.step();
            last += 1;
            assert_eq!(append(), Some(Ok(last)));
            cursor.advance(last);
        }
        assert!(fs.size() as u64 <= max_size, "{} of {max_size}", fs.size());
    }
}

// Settings that make no sense are refused with what is needed.
#[test]
fn too_small_is_refused() {
    let settings = Settings { max_size: 20_000, ..settings() };
    let error = open_at(&SimFs::default(), &settings, &Arc::default()).err().unwrap();
    assert_eq!(error.to_string(), "the log needs 32768 bytes at least, not 20000");
}
