//! A server that dies on the way to a file: the next one writes the same file, whatever it would have decided itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use aggregate::{Applied, Lsn};
use proptest::prelude::*;

use super::support::{
    MINUTE, RECEIVED, applied, archived, below, call, calls, config, encoded, files, integer, of_service, read, start,
};
use crate::path::{self, Hour};
use crate::{ArchiveConfig, Include, Position};

/// An archive and its place beside each other.
fn noted(directory: &Path) -> ArchiveConfig {
    ArchiveConfig { place: Some(directory.join("archived")), ..config(&directory.join("archive")) }
}

/// What stands in an archive, by the paths of its files.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let archive = directory.join("archive");
    files(&archive).iter().map(|file| (below(&archive, file), fs::read(file).unwrap())).collect()
}

/// The ranges of all files.
fn ranges(directory: &Path) -> Vec<(Lsn, Lsn)> {
    let range = |name: &String| {
        let lsns = name.rsplit_once("test-1-").unwrap().1.strip_suffix(".parquet").unwrap();
        let (from, to) = lsns.split_once('-').unwrap();
        (Lsn::from_str_radix(from, 16).unwrap(), Lsn::from_str_radix(to, 16).unwrap())
    };
    contents(directory).keys().map(range).collect()
}

/// What a server has come to on its way to a file when it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    /// What it is to hold is noted, and nothing is written.
    Noted,
    /// It is complete, without its name.
    Complete,
    /// It has its name, and that is not noted.
    Named,
}

/// Archives until the server dies on the way to a file, which something in its way sees to.
fn dies(config: &ArchiveConfig, requests: &[Arc<Applied>], death: Death, (from, to): (Lsn, Lsn), whole: &Path) {
    let archive = start(config.clone());
    let first = requests.iter().find(|request| request.lsn == from).unwrap();
    let hour = config.directory.join(path::TABLE).join(Hour::of(first.receive_time).partition());
    let (hidden, published) = (hour.join(path::hidden("test-1", from)), hour.join(path::published("test-1", from, to)));
    let in_the_way = if death == Death::Noted { &hidden } else { &published };
    fs::create_dir_all(in_the_way).unwrap();
    requests.iter().for_each(|request| archive.send(Arc::clone(request)));
    archive.finish().unwrap_err();
    fs::remove_dir(in_the_way).unwrap();
    match death {
        Death::Noted => {}
        Death::Complete => fs::write(hidden, "PAR1 and not more").unwrap(),
        Death::Named => {
            let name = below(&config.directory, &published);
            fs::write(published, &contents(whole)[&name]).unwrap();
        }
    }
}

// Whatever step on the way to a file a server dies at, the next one publishes that file under the same name and with the same bytes, though it
// would have ended it elsewhere; what is behind is as it decides. Nothing is there twice.
#[test]
fn a_death_on_the_way_to_a_file_does_not_change_it() {
    let requests: Vec<_> = (1..=9).map(|lsn| calls(lsn, RECEIVED + lsn, 2)).collect();
    for max_pending in [1, usize::MAX] {
        for death in [Death::Noted, Death::Complete, Death::Named] {
            // With row groups that are written meanwhile, it is not cut yet when it is begun.
            if (max_pending, death) == (1, Death::Noted) {
                continue;
            }
            let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let first = |directory| ArchiveConfig { max_pending, max_rows: 6, ..noted(directory) };
            archived(first(whole.path()), requests.iter().cloned());
            assert_eq!(ranges(whole.path()), [(1, 3), (4, 6), (7, 9)]);

            dies(&first(broken.path()), &requests, death, (4, 6), whole.path());
            let next = ArchiveConfig { max_rows: 1, max_age: Duration::ZERO, ..first(broken.path()) };
            archived(next, requests.iter().cloned());
            let case = format!("{death:?}, row groups of {max_pending} bytes");
            assert_eq!(ranges(broken.path()), [(1, 3), (4, 6), (7, 7), (8, 8), (9, 9)], "{case}");
            let (whole, broken) = (contents(whole.path()), contents(broken.path()));
            assert!(whole.iter().take(2).eq(broken.iter().take(2)), "other bytes: {case}");
        }
    }
}

/// A request of a test: how far its place and its time are behind those of the one before, and its spans.
type Step = (Lsn, u64, u64);

fn requests(steps: &[Step]) -> Vec<Arc<Applied>> {
    let (mut lsn, mut time) = (0, RECEIVED);
    let request = |&(places, seconds, spans): &Step| {
        lsn += places;
        time += seconds * 1_000_000_000;
        calls(lsn, time, spans)
    };
    steps.iter().map(request).collect()
}

/// Which ranges become files, as the documentation says it.
fn expected(requests: &[Arc<Applied>], max_rows: usize, max_age: Duration) -> Vec<(Lsn, Lsn)> {
    let mut ranges = Vec::new();
    let mut file: Vec<&Applied> = Vec::new();
    for request in requests.iter().filter(|request| !request.facts.is_empty()) {
        let rows: usize = file.iter().map(|request| request.facts.len()).sum();
        let is_over = file.first().is_some_and(|first| {
            rows >= max_rows
                || Duration::from_nanos(request.receive_time - first.receive_time) >= max_age
                || first.receive_time / (60 * MINUTE) != request.receive_time / (60 * MINUTE)
        });
        if is_over {
            ranges.push((file[0].lsn, file[file.len() - 1].lsn));
            file.clear();
        }
        file.push(request);
    }
    ranges.extend(file.first().zip(file.last()).map(|(first, last)| (first.lsn, last.lsn)));
    ranges
}

/// When a file ends: its rows, and its age. Minutes, so that the clock on the wall has no say.
fn limits() -> impl Strategy<Value = (usize, Duration)> {
    (1..9_usize, 1..7_u64).prop_map(|(rows, half_minutes)| (rows, Duration::from_secs(30 * half_minutes)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    // Whatever comes, wherever a server dies and however the next one is configured: files up to the one on the way are what the first would have
    // made, byte for byte, those behind what the second makes, and every span is in one.
    #[test]
    fn files_are_those_that_were_decided(
        steps in prop::collection::vec((1..4_u64, 0..40_u64, 0..4_u64), 1..20),
        (first, second) in (limits(), limits()),
        broken_at in any::<prop::sample::Index>(),
        has_name in any::<bool>(),
    ) {
        let (whole, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let with = |directory, (max_rows, max_age)| ArchiveConfig { max_rows, max_age, ..noted(directory) };
        let requests = requests(&steps);
        let mut ranges_of_first = expected(&requests, first.0, first.1);
        prop_assume!(!ranges_of_first.is_empty());
        archived(with(whole.path(), first), requests.iter().cloned());
        prop_assert_eq!(&ranges(whole.path()), &ranges_of_first);

        let broken_at = broken_at.index(ranges_of_first.len());
        let cut = ranges_of_first[broken_at];
        let death = if has_name { Death::Named } else { Death::Complete };
        dies(&with(broken.path(), first), &requests, death, cut, whole.path());
        archived(with(broken.path(), second), requests.iter().cloned());
        ranges_of_first.truncate(broken_at + 1);
        let behind = requests.iter().position(|request| request.lsn > cut.1).unwrap_or(requests.len());
        let ranges_of_second = expected(&requests[behind..], second.0, second.1);
        prop_assert_eq!(ranges(broken.path()), [ranges_of_first, ranges_of_second].concat());
        let (whole, left) = (contents(whole.path()), contents(broken.path()));
        prop_assert!(whole.iter().take(broken_at + 1).eq(left.iter().take(broken_at + 1)));

        let rows = files(&broken.path().join("archive")).into_iter().flat_map(|file| {
            let rows = read(&file);
            (0..rows.num_rows()).map(|row| integer(&rows, "lsn", row).unwrap().cast_unsigned()).collect::<Vec<_>>()
        });
        let mut rows: Vec<Lsn> = rows.collect();
        rows.sort_unstable();
        let sent: Vec<Lsn> = requests.iter().flat_map(|request| vec![request.lsn; request.facts.len()]).collect();
        prop_assert_eq!(rows, sent);
    }
}

fn comes_to(position: &Position, lsn: Lsn) {
    let patience = Instant::now() + Duration::from_secs(20);
    while position.get() < lsn {
        assert!(Instant::now() < patience, "at {}", position.get());
        thread::yield_now();
    }
}

/// A place where requests up to 3 are archived, and 4 to 6 are cut.
fn cut(directory: &Path) -> ArchiveConfig {
    let config = noted(directory);
    fs::write(config.place.as_ref().unwrap(), "test-1 3 4 6\n").unwrap();
    config
}

// Neither who asks for the file nor the end of the archive publishes less of it: the next run does it, and who waits hears of it then.
#[test]
fn nothing_ends_a_cut_file_early() {
    let directory = tempfile::tempdir().unwrap();
    let archive = start(cut(directory.path()));
    (4..=5).for_each(|lsn| archive.send(calls(lsn, RECEIVED, 1)));
    archive.publish();
    let position = archive.position();
    assert_eq!(archive.finish().unwrap().files, 0);
    assert_eq!(position.get(), 3);
    assert!(contents(directory.path()).is_empty());

    let archive = start(noted(directory.path()));
    let position = archive.position();
    (1..=7).for_each(|lsn| archive.send(calls(lsn, RECEIVED, 1)));
    comes_to(&position, 6);
    archive.finish().unwrap();
    assert_eq!(ranges(directory.path()), [(4, 6), (7, 7)]);
}

// What is archived under another configuration than it was cut with stays in order, in its hour and complete: a request that is kept now and
// stands before the cut has a file of its own, and the last one of the cut ends it also if it is kept no more.
#[test]
fn another_configuration_may_keep_more_or_less() {
    let other = |lsn, time| {
        let mut span = call(lsn, 0);
        span.attributes.clear();
        applied(lsn, time, encoded(vec![of_service("shop", vec![span])]))
    };
    let next_hour = RECEIVED + MINUTE;
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("archived"), "test-1 2 5 6\n").unwrap();
    let requests = [
        other(3, next_hour - 1),
        other(4, next_hour),
        calls(5, next_hour, 1),
        calls(6, next_hour, 1),
        calls(7, next_hour, 1),
    ];
    archived(ArchiveConfig { include: Include::All, ..noted(directory.path()) }, requests);
    assert_eq!(ranges(directory.path()), [(3, 3), (4, 4), (5, 6), (7, 7)]);

    let directory = tempfile::tempdir().unwrap();
    let archive = start(cut(directory.path()));
    let position = archive.position();
    [calls(4, RECEIVED, 1), calls(5, RECEIVED, 1), other(6, RECEIVED)]
        .into_iter()
        .for_each(|request| archive.send(request));
    comes_to(&position, 6);
    archive.send(calls(7, RECEIVED, 1));
    archive.finish().unwrap();
    assert_eq!(ranges(directory.path()), [(4, 5), (7, 7)]);

    // The last one does not come at all.
    let directory = tempfile::tempdir().unwrap();
    archived(cut(directory.path()), [calls(4, RECEIVED, 1), calls(5, RECEIVED, 1), calls(7, RECEIVED, 1)]);
    assert_eq!(ranges(directory.path()), [(4, 5), (7, 7)]);

    // Nothing of the cut is kept: there is no file, and nobody waits for it.
    let directory = tempfile::tempdir().unwrap();
    archived(cut(directory.path()), [other(4, RECEIVED), other(6, RECEIVED), calls(7, RECEIVED, 1)]);
    assert_eq!(ranges(directory.path()), [(7, 7)]);
}

// A cut of requests that the log has lost binds nobody: others have their places.
#[test]
fn a_cut_behind_the_log_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let archive = start(cut(directory.path()));
    archive.log_ends_at(5);
    (4..=5).for_each(|lsn| archive.send(calls(lsn, RECEIVED, 1)));
    archive.publish();
    comes_to(&archive.position(), 5);
    archive.finish().unwrap();
    assert_eq!(ranges(directory.path()), [(4, 5)]);
}
