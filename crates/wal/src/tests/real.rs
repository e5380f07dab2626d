//! A log on the real file system, with its thread.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use super::harness::{Blob, content, restore};
use crate::{Directory, Log, OpenError, Reader, Settings, Start, repair};

/// In the environment of a child process: the directory that it shall open.
const CHILD: &str = "SPANMILL_WAL_TEST_DIRECTORY";

fn settings() -> Settings {
    Settings { max_size: 1 << 20, segment_size: None, memory_limit: 1 << 20, compression: Some(1) }
}

fn open(directory: &Directory, start: Start) -> (Log<Blob>, Reader<Blob>) {
    static CLOCK: AtomicU64 = AtomicU64::new(0);
    let clock = || CLOCK.fetch_add(1, Ordering::Relaxed);
    Log::open(directory, &settings(), start, clock, restore).unwrap()
}

// Many threads append; each is told a place of its own; the reader and a second consumer see all of it in order, and a third, who wants
// no payloads, all of the places; another start
// finds it again, and the one after that only what is behind its checkpoint.
#[test]
fn appends_from_many_threads() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("a/b");
    let directory = Directory::open(&path).unwrap();
    let (log, mut reader) = open(&directory, Start::default());
    let mut second = log.read_from(0);
    let mut third = log.read_from(0).with_payloads_of(|_| false);
    let told: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8_u64)
            .map(|writer| {
                let log = log.clone();
                scope.spawn(move || {
                    let append = |number: u64| {
                        let record = Blob(content(number, (number * 37 % 900) as usize));
                        (log.append_blocking(record).unwrap(), number)
                    };
                    (writer * 100..writer * 100 + 50).map(append).collect::<Vec<_>>()
                })
            })
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let mut expected = told.clone();
    expected.sort_unstable();
    assert!(expected.iter().map(|(lsn, _)| *lsn).eq(1..=400));
    log.close();
    for (lsn, number) in &expected {
        let entry = reader.next().unwrap();
        let raw = second.next().unwrap().unwrap();
        let content = content(*number, (number * 37 % 900) as usize);
        assert_eq!((entry.lsn, &entry.record.0), (*lsn, &content));
        assert_eq!((raw.lsn, raw.receive_time, &raw.payload), (*lsn, entry.receive_time, &content));
        let raw = third.next().unwrap().unwrap();
        assert_eq!((raw.lsn, raw.receive_time, raw.payload.len()), (*lsn, entry.receive_time, 0));
    }
    assert!(reader.next().is_none() && second.next().unwrap().is_none() && third.next().unwrap().is_none());
    drop((log, reader, second, third, directory));

    for applied in [0, 250] {
        let directory = Directory::open(&path).unwrap();
        let (log, mut reader) = open(&directory, Start::at(applied));
        log.close();
        let found: Vec<u64> = std::iter::from_fn(|| reader.next()).map(|entry| entry.lsn).collect();
        assert!(found.into_iter().eq(applied + 1..=400));
    }
    assert_eq!(repair(&path).unwrap().quarantine, None);
}

// A second consumer that comes upon damage is told of it, and goes on behind it when it is told to: it misses the damaged records, in
// the middle of a segment and at the end of what is there, and nothing else.
#[test]
fn damage_is_passed_over() {
    let temporary = tempfile::tempdir().unwrap();
    let (log, _reader) = open(&Directory::open(temporary.path()).unwrap(), Start::default());
    let append = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            // Larger than a segment's remainder now and then.
            log.append_blocking(Blob(content(number, 5_000))).unwrap();
        }
    };
    append(0..60);
    let damage = |number: u64| {
        let wanted = content(number, 5_000);
        let files = fs::read_dir(temporary.path()).unwrap().map(|entry| entry.unwrap().path());
        let hit = files.filter(|path| path.extension().is_some_and(|extension| extension == "wal")).any(|path| {
            let mut bytes = fs::read(&path).unwrap();
            let Some(at) = bytes.windows(64).position(|window| window == &wanted[..64]) else { return false };
            bytes[at + 5] ^= 1;
            fs::write(&path, bytes).unwrap();
            true
        });
        assert!(hit, "record {number} is not found");
    };
    [6, 7, 30, 59].into_iter().for_each(damage);

    let mut consumer = log.read_from(0);
    let mut given = Vec::new();
    let mut told = 0;
    let mut read_all = |given: &mut Vec<u64>| {
        loop {
            match consumer.try_next() {
                Ok(Some(record)) => given.push(record.lsn),
                Ok(None) => return,
                Err(error) => {
                    assert!(matches!(error, crate::ReadError::Damaged { .. }), "{error}");
                    told += 1;
                    if consumer.skip_unreadable().is_none() {
                        return;
                    }
                }
            }
        }
    };
    read_all(&mut given);
    append(60..70);
    read_all(&mut given);
    assert!(given.into_iter().eq((1..=70).filter(|lsn| ![7, 8, 31, 60].contains(lsn))));
    assert!(told >= 4);
}

// The reader waits for records, and is woken by them.
#[test]
fn reader_waits() {
    let temporary = tempfile::tempdir().unwrap();
    let (log, mut reader) = open(&Directory::open(temporary.path()).unwrap(), Start::default());
    let waiting = std::thread::spawn(move || std::iter::from_fn(|| reader.next()).count());
    for number in 0..20 {
        log.append_blocking(Blob(content(number, 10))).unwrap();
    }
    drop(log);
    assert_eq!(waiting.join().unwrap(), 20);
}

// A second process on the same directory is refused while the first has it, and only then.
#[test]
fn second_process_is_refused() {
    if let Ok(path) = std::env::var(CHILD) {
        let refused = matches!(Directory::open(path), Err(OpenError::Locked(_)));
        std::process::exit(if refused { 75 } else { 0 });
    }
    let temporary = tempfile::tempdir().unwrap();
    let child = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "tests::real::second_process_is_refused"]).env(CHILD, temporary.path());
        command.output().unwrap().status.code()
    };
    let directory = Directory::open(temporary.path()).unwrap();
    assert_eq!(child(), Some(75));
    assert!(Directory::open(temporary.path()).unwrap_err().to_string().contains("in use by another process"));
    drop(directory);
    assert_eq!(child(), Some(0));
}

// A directory that cannot be written to is refused with its name.
#[test]
fn read_only_directory_is_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("data");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).unwrap();
    // Permissions do not hold for root.
    if fs::write(path.join("probe"), "").is_ok() {
        fs::remove_file(path.join("probe")).unwrap();
        let file = temporary.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Directory::open(file.join("data")).unwrap_err();
        assert!(error.to_string().contains("file/data"), "{error}");
        return;
    }
    let error = Directory::open(&path).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }) && error.to_string().contains("data/lock"), "{error}");
}

// The instance's id stays.
#[test]
fn instance_id_stays() {
    let temporary = tempfile::tempdir().unwrap();
    let id = |make: &str| Directory::open(temporary.path()).unwrap().instance_id(|| make.to_owned());
    assert_eq!(id("one").unwrap(), "one");
    assert_eq!(id("two").unwrap(), "one");
    fs::write(temporary.path().join("instance-id"), " \n").unwrap();
    assert!(id("three").unwrap_err().to_string().contains("instance-id"));
}
