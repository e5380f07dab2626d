//! When files begin and end, what they are called, and what is left when something fails.

use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::support::{
    MINUTE, RECEIVED, applied, archived, attribute, below, call, calls, config, encoded, files, of_service, read,
    start, string,
};
use crate::{Archive, ArchiveConfig, ArchiveError, Totals, path};

fn names(directory: &Path) -> Vec<String> {
    files(directory).iter().map(|file| below(directory, file)).collect()
}

fn refused(config: ArchiveConfig) -> ArchiveError {
    Archive::start(config, &opentelemetry::global::meter("tests")).unwrap_err()
}

// The path tells the hour of receipt, the instance and the range of LSNs.
#[test]
fn the_path_tells_hour_instance_and_lsns() {
    let directory = tempfile::tempdir().unwrap();
    archived(config(directory.path()), [calls(10, RECEIVED, 1), calls(255, RECEIVED + 1, 1)]);
    let expected = "date=2026-11-22/hour=10/test-1-000000000000000a-00000000000000ff.parquet";
    assert_eq!(names(directory.path()), [expected]);
}

// A file ends with its hour: the last nanosecond of an hour and the first of the next are in different partitions.
#[test]
fn a_file_ends_with_its_hour() {
    let directory = tempfile::tempdir().unwrap();
    let next_hour = RECEIVED + MINUTE;
    archived(config(directory.path()), [calls(1, next_hour - 1, 2), calls(2, next_hour, 3)]);
    assert_eq!(
        names(directory.path()),
        [
            "date=2026-11-22/hour=10/test-1-0000000000000001-0000000000000001.parquet",
            "date=2026-11-22/hour=11/test-1-0000000000000002-0000000000000002.parquet",
        ]
    );
    let rows: Vec<_> = files(directory.path()).iter().map(|file| read(file).num_rows()).collect();
    assert_eq!(rows, [2, 3]);
}

// Who waits for a place in the log is woken when a file with it is published, and by the end of the archive if that comes before.
#[test]
fn a_place_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let archive = start(config(directory.path()));
    let position = archive.position();
    let wait_for = |lsn| {
        let position = position.clone();
        thread::spawn(move || position.wait_for(lsn))
    };
    let (first, third) = (wait_for(1), wait_for(3));
    (1..=2).for_each(|lsn| archive.send(calls(lsn, RECEIVED, 1)));
    archive.publish();
    assert!(first.join().unwrap());
    assert_eq!(position.get(), 2);
    assert!(!third.is_finished());
    archive.finish().unwrap();
    assert!(!third.join().unwrap());
}

// A file ends with the request that reaches max_rows, and no request is in two files.
#[test]
fn a_file_ends_at_max_rows() {
    let directory = tempfile::tempdir().unwrap();
    let config = ArchiveConfig { max_rows: 5, ..config(directory.path()) };
    let archive = start(config);
    (1..=5).for_each(|lsn| archive.send(calls(lsn, RECEIVED, 3)));
    let totals = archive.finish().unwrap();
    let written = files(directory.path());
    assert_eq!(written.iter().map(|file| read(file).num_rows()).collect::<Vec<_>>(), [6, 6, 3]);
    let bytes = written.iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert_eq!(totals, Totals { files: 3, rows: 15, bytes });
    assert!(names(directory.path())[1].ends_with("test-1-0000000000000003-0000000000000004.parquet"));
}

// A file that is asked for is published long before its time, and the position tells; a later start passes over what is published, so
// that no request is archived twice.
#[test]
fn what_is_published_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let archive = start(config(directory.path()));
    let position = archive.position();
    (1..=3).for_each(|lsn| archive.send(calls(lsn, RECEIVED, 1)));
    archive.publish();
    let patience = Instant::now() + Duration::from_secs(10);
    while position.get() < 3 {
        assert!(Instant::now() < patience, "at {}", position.get());
        thread::yield_now();
    }
    drop(archive);

    let again = start(config(directory.path()));
    assert_eq!(again.position().get(), 3);
    (2..=5).for_each(|lsn| again.send(calls(lsn, RECEIVED, 1)));
    assert_eq!(again.finish().unwrap().rows, 2);
    let ends: Vec<String> = names(directory.path()).iter().map(|name| name[name.len() - 41..].to_owned()).collect();
    assert_eq!(ends, ["0000000000000001-0000000000000003.parquet", "0000000000000004-0000000000000005.parquet"]);
}

// How far the archive has come is noted beside its files, of its instance: they may be moved away.
#[test]
fn what_was_moved_away_is_passed_over() {
    let (directory, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let noted = || ArchiveConfig { place: Some(data.path().join("archived")), ..config(directory.path()) };
    archived(noted(), [calls(1, RECEIVED, 1), calls(2, RECEIVED, 1)]);
    fs::remove_dir_all(directory.path().join(path::TABLE)).unwrap();
    let again = start(noted());
    assert_eq!(again.position().get(), 2);
    (1..=3).for_each(|lsn| again.send(calls(lsn, RECEIVED, 1)));
    assert_eq!(again.finish().unwrap().rows, 1);

    let another = start(ArchiveConfig { instance: "test-2".to_owned(), ..noted() });
    assert_eq!(another.position().get(), 0);
    drop(another);
    fs::write(data.path().join("archived"), "test-1").unwrap();
    assert!(refused(noted()).to_string().contains("archived"));
}

// What a dead server left under a name that is needed again, or anywhere in the table, hinders nobody.
#[test]
fn leftovers_hinder_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let table = directory.path().join(path::TABLE);
    let hour = table.join("date=2026-11-22/hour=10");
    fs::create_dir_all(&hour).unwrap();
    fs::write(table.join(path::hidden("test-1", 0)), "PAR1").unwrap();
    let archive = start(config(directory.path()));
    // As over a network file system without locks, where it stays at the start.
    fs::write(hour.join(path::hidden("test-1", 1)), "PAR1 and much more than that".repeat(1_000)).unwrap();
    archive.send(calls(1, RECEIVED, 1));
    assert_eq!(archive.finish().unwrap().rows, 1);
    let written = files(directory.path());
    assert_eq!(written.iter().map(|file| read(file).num_rows()).collect::<Vec<_>>(), [1]);
}

// A resource is stored once for all rows that share it, however large it is.
#[test]
fn a_large_resource_is_stored_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = 1_u64;
    let mut noise = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b' ' + (random >> 57) as u8 % 95)
    };
    let large: String = (0..2 << 20).map(|_| noise()).collect();
    let mut resource = of_service("shop", (0..2_000).map(|number| call(number, number)).collect());
    let attributes = &mut resource.resource.as_mut().unwrap().attributes;
    attributes.push(attribute("large", string(&large)));
    let totals = {
        let archive = start(config(directory.path()));
        archive.send(applied(1, RECEIVED, encoded(vec![resource])));
        archive.finish().unwrap()
    };
    assert!(totals.bytes < 3 << 20, "{} bytes", totals.bytes);
    assert_eq!(totals.rows, 2_000);
}

// A file ends when a request comes that was received max_age after its first one.
#[test]
fn a_file_ends_at_max_age() {
    let directory = tempfile::tempdir().unwrap();
    let config = ArchiveConfig { max_age: Duration::from_secs(10), ..config(directory.path()) };
    let second = 1_000_000_000;
    let times = [RECEIVED, RECEIVED + 10 * second - 1, RECEIVED + 10 * second];
    archived(config, (1..).zip(times).map(|(lsn, time)| calls(lsn, time, 1)));
    let rows: Vec<_> = files(directory.path()).iter().map(|file| read(file).num_rows()).collect();
    assert_eq!(rows, [2, 1]);
}

// When nothing comes any more, a file ends by the clock on the wall, with the archive still running.
#[test]
fn a_file_ends_when_nothing_comes() {
    let directory = tempfile::tempdir().unwrap();
    let archive = start(ArchiveConfig { max_age: Duration::from_millis(20), ..config(directory.path()) });
    archive.send(calls(1, RECEIVED, 1));
    let is_published = || names(directory.path()).iter().any(|name| !name.contains("/."));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_published() {
        assert!(Instant::now() < deadline, "no file after 20 s");
        thread::yield_now();
    }
    archive.finish().unwrap();
    assert_eq!(files(directory.path()).len(), 1);
}

// A dead server's hidden files go; a running server's, and what this crate did not write, stay.
#[test]
fn leftovers_are_removed_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let hour = directory.path().join("spans/date=2026-11-22/hour=10");
    fs::create_dir_all(&hour).unwrap();
    let leftover = hour.join(path::hidden("dead", 1));
    fs::write(&leftover, "PAR1 and not more").unwrap();
    let in_use = hour.join(path::hidden("alive", 2));
    let lock = File::create(&in_use).unwrap();
    lock.lock().unwrap();
    let foreign = [".hidden", ".tmp-notes.txt", "_SUCCESS", "other.parquet"].map(|name| hour.join(name));
    foreign.iter().for_each(|file| fs::write(file, "x").unwrap());

    start(config(directory.path())).finish().unwrap();
    assert!(!leftover.exists());
    assert!(in_use.exists());
    assert!(foreign.iter().all(|file| file.exists()));
}

// Where no directory can be made, starting is refused with the path and what the system said.
#[test]
fn a_directory_that_cannot_be_made_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "x").unwrap();
    let error = refused(config(&file.join("archive"))).to_string();
    assert!(error.starts_with("archive: cannot create directory "), "{error}");
    assert!(error.contains("/file/archive/spans: "), "{error}");
}

// What can't be right is refused at start.
#[test]
fn invalid_configuration_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let instance = ArchiveConfig { instance: "../up".to_owned(), ..config(directory.path()) };
    assert!(matches!(refused(instance), ArchiveError::Instance(_)));
    let level = ArchiveConfig { zstd_level: 99, ..config(directory.path()) };
    assert!(matches!(refused(level), ArchiveError::Compression { level: 99, .. }));
    assert!(files(directory.path()).is_empty());
}

// After a failure of the disk nobody hangs, however much is sent; the failure is told at the end, and nothing half-written
// is left.
#[test]
fn a_failure_is_remembered_and_nobody_hangs() {
    let directory = tempfile::tempdir().unwrap();
    let archive = start(ArchiveConfig { max_rows: 1, ..config(directory.path()) });
    let table = directory.path().join("spans");
    fs::remove_dir(&table).unwrap();
    fs::write(&table, "in the way").unwrap();
    (1..200).for_each(|lsn| archive.send(calls(lsn, RECEIVED, 1)));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !archive.health().has_failed() {
        assert!(Instant::now() < deadline, "no failure after 20 s");
        thread::yield_now();
    }
    archive.send(calls(200, RECEIVED, 1));
    let error = archive.finish().unwrap_err().to_string();
    assert!(error.starts_with("archive: cannot create directory "), "{error}");
    assert_eq!(files(directory.path()), [table]);
}
