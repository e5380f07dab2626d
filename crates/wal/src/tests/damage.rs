//! Damage is told from torn tails, refused, and repaired.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use proptest::prelude::*;

use super::harness::{Blob, DIRECTORY, Harness, Threads, opened, restore, settings};
use super::sim::{Crash, SimFs};
use crate::checkpoint::Checkpoints;
use crate::frame::{FRAME_HEADER, frame_size};
use crate::fs::FileSystem;
use crate::open::open;
use crate::segment::SEGMENT_HEADER;
use crate::{Directory, Log, Lsn, OpenError, Record, Start, repair_on};

/// A log over several segments, recycled ones among them, and its records from LSN 1 on.
fn written() -> (SimFs, Vec<Bytes>) {
    let mut harness = Harness::new(settings());
    harness.open().unwrap();
    for _ in 0..6 {
        harness.append(&[1_200, 300, 1_900]).unwrap();
        harness.checkpoint().unwrap();
    }
    harness.append(&[500]).unwrap();
    harness.close();
    harness.open().unwrap();
    harness.append(&[2_000, 5_000]).unwrap();
    harness.append(&[700]).unwrap();
    harness.append(&[10]).unwrap();
    harness.append(&[20]).unwrap();
    harness.close();
    (harness.fs.clone(), harness.model.safe.into_iter().map(|(_, content)| content).collect())
}

/// What a start finds: the checkpoint's place, and the records behind what both checkpoints cover.
fn found(fs: &SimFs) -> Result<(Lsn, Vec<(Lsn, Bytes)>), OpenError> {
    let directory = Directory::open_on(Arc::new(fs.clone()), DIRECTORY)?;
    let mut checkpoints = Checkpoints::open(&directory)?;
    let applied = checkpoints.newest()?.checkpoint.map_or(0, |checkpoint| checkpoint.lsn);
    let start = Start::at(applied);
    let (log, mut reader, mut threads) =
        opened(open::<Blob>(&directory, &settings(), start, Box::new(|| 0), Box::new(restore))?);
    log.close();
    threads.step();
    let records = std::iter::from_fn(|| reader.next()).map(|entry| (entry.lsn, entry.record.0)).collect();
    assert_eq!(log.failure(), None);
    Ok((applied, records))
}

/// Files that hold segments.
fn segments(fs: &SimFs) -> Vec<PathBuf> {
    let is_segment =
        |path: &PathBuf| path.to_string_lossy().ends_with(".wal") && path.parent() == Some(Path::new(DIRECTORY));
    fs.names().into_iter().filter(is_segment).collect()
}

// What a crash left where the log ends is not taken for what is written there afterwards, by a consumer that had read ahead to there and does
// not want the payload that it seems to have.
#[test]
fn leftovers_are_not_read() {
    let (fs, filled) = (SimFs::default(), |size: usize| Bytes::from(vec![7; size]));
    let open = || {
        let directory = Directory::open_on(Arc::new(fs.clone()), DIRECTORY).unwrap();
        opened(open::<Blob>(&directory, &settings(), Start::default(), Box::new(|| 0), Box::new(restore)).unwrap())
    };
    let append = |(log, _, threads): &mut (Log<Blob>, _, Threads<Blob>), size: usize| {
        let mut append = Box::pin(log.append(Blob(filled(size))));
        let mut poll = || append.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll().is_pending());
        threads.step();
        assert!(matches!(poll(), Poll::Ready(Ok(_))));
    };
    let mut before = open();
    [100, 300].into_iter().for_each(|size| append(&mut before, size));
    drop(before);
    let end = SEGMENT_HEADER + frame_size(100) + FRAME_HEADER as u64 + 300;
    fs.damage(&segments(&fs)[0], |bytes| bytes[end as usize - 1] ^= 1);

    let mut after = open();
    assert_eq!(after.0.last(), 1, "what is torn is cut");
    let unwanted = Blob(filled(300)).kind();
    let mut consumer = after.0.read_from(0).with_payloads_of(move |kind| kind != unwanted);
    assert_eq!(consumer.try_next().unwrap().unwrap().payload, filled(100));
    [200, 400].into_iter().for_each(|size| append(&mut after, size));
    for size in [200, 400] {
        assert_eq!(consumer.try_next().unwrap().unwrap().payload, filled(size));
    }
}

/// After any damage: a start finds everything, or all but the last `unproven` groups, which nothing behind them proves, or
/// refuses; and then repair makes it start, with exactly what it did not report as lost. Tells whether it was refused.
fn refused_or_whole(fs: &SimFs, written: &[Bytes], unproven: usize) -> bool {
    let is_right =
        |records: &[(Lsn, Bytes)]| records.iter().all(|(lsn, content)| written[*lsn as usize - 1] == content);
    match found(fs) {
        Ok((applied, records)) => {
            assert!(is_right(&records));
            let last = applied as usize + records.len();
            assert!(records.iter().map(|(lsn, _)| *lsn).eq(applied + 1..=last as Lsn));
            assert!(last + unproven >= written.len(), "{last} of {} are left, and nobody says so", written.len());
            let report = repair_on(Arc::new(fs.clone()), DIRECTORY).unwrap();
            // It looks at what the checkpoint covers, too: another consumer may need that.
            assert!(report.lost.iter().all(|lost| lost.through <= applied), "repair changes what is sound: {report}");
            false
        }
        Err(error) => {
            assert!(matches!(error, OpenError::Damaged { .. } | OpenError::Incomplete { .. }), "{error}");
            let message = error.to_string();
            assert!(message.contains(DIRECTORY) && message.contains("spanmill repair"), "{message}");
            let report = repair_on(Arc::new(fs.clone()), DIRECTORY).unwrap();
            assert!(report.quarantine.is_some());
            let (applied, records) = found(fs).unwrap_or_else(|error| panic!("{error}\n{report}"));
            assert!(is_right(&records), "{report}");
            let is_lost = |lsn: Lsn| report.lost.iter().any(|lost| (lost.from..=lost.through).contains(&lsn));
            let is_found = |lsn: Lsn| records.iter().any(|(found, _)| *found == lsn);
            for lsn in applied + 1..=written.len() as Lsn {
                let is_told = is_lost(lsn) || lsn > report.last || !report.unreadable.is_empty();
                assert!(is_found(lsn) != is_lost(lsn) || is_told && !is_found(lsn), "record {lsn}: {report}");
            }
            // The log goes on.
            assert!(repair_on(Arc::new(fs.clone()), DIRECTORY).unwrap().quarantine.is_none(), "{report}");
            true
        }
    }
}

// A changed byte in a record that later ones prove is refused: the message names the file, the place, the record and the way
// out. Repair keeps all records but that one, and puts the file aside as it was.
#[test]
fn a_changed_byte_is_refused_and_repaired() {
    let (fs, written) = written();
    let victim = written.len() - 3;
    let content = &written[victim - 1];
    let is_in = |bytes: &[u8]| bytes.windows(64).position(|window| window == &content[..64]);
    let mut hit = None;
    for path in segments(&fs) {
        fs.damage(&path, |bytes| {
            if let Some(at) = is_in(bytes) {
                bytes[at + 5] ^= 1;
                hit = Some((path.clone(), at as u64 - 56));
            }
        });
    }
    let (path, offset) = hit.unwrap();
    let error = found(&fs).unwrap_err();
    assert!(
        matches!(&error, OpenError::Damaged { lsn, path: at, .. } if *lsn == victim as Lsn && *at == path),
        "{error}"
    );
    let message = error.to_string();
    assert!(message.contains(&format!("byte {offset}")) && message.contains("spanmill repair /data/log"), "{message}");

    let report = repair_on(Arc::new(fs.clone()), DIRECTORY).unwrap();
    let lost: Vec<_> = report.lost.iter().map(|lost| (lost.from, lost.through)).collect();
    assert_eq!(lost, [(victim as Lsn, victim as Lsn)], "{report}");
    let (applied, records) = found(&fs).unwrap();
    assert_eq!(records.len(), written.len() - applied as usize - 1);
    let name = path.file_name().unwrap();
    assert!(fs.names().contains(&report.quarantine.unwrap().join(name)));
}

/// A log with a changed byte in the middle and a damaged checkpoint, and the bytes of those two files.
fn damaged() -> (SimFs, Vec<Vec<u8>>) {
    let (fs, written) = written();
    let content = &written[written.len() - 4];
    let mut originals = Vec::new();
    let checkpoint = fs.names().into_iter().rfind(|path| path.to_string_lossy().contains("checkpoint")).unwrap();
    for path in segments(&fs).into_iter().chain([checkpoint.clone()]) {
        fs.damage(&path, |bytes| {
            let at = bytes.windows(64).position(|window| window == &content[..64]);
            if let Some(at) = at.or((path == checkpoint).then_some(bytes.len() / 2)) {
                bytes[at + 5] ^= 1;
                originals.push(bytes.clone());
            }
        });
    }
    (fs, originals)
}

fn content(fs: &SimFs, path: &Path) -> Vec<u8> {
    let file = fs.open(path).unwrap();
    let mut bytes = vec![0; file.size().unwrap() as usize];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

// Whatever call of a repair is the last one, and whatever of the unsynced is lost then: the next repair comes to the same, what was damaged is put
// aside as it was, and power that fails after a repair undoes nothing of it.
#[test]
fn repair_dies_at_every_call() {
    let (undisturbed, _) = damaged();
    let before = undisturbed.calls();
    repair_on(Arc::new(undisturbed.clone()), DIRECTORY).unwrap();
    let calls = undisturbed.calls() - before;
    let expected = found(&undisturbed).unwrap();
    for call in 0..=calls {
        for crash in [Crash::Kill, Crash::LoseAll, Crash::Random { seed: call as u64, grain: 512 }] {
            let (fs, originals) = damaged();
            fs.die_at(before + call);
            let repaired = repair_on(Arc::new(fs.clone()), DIRECTORY);
            assert_eq!(repaired.is_ok(), call == calls, "call {call}");
            fs.crash(crash);
            if repaired.is_err() {
                repair_on(Arc::new(fs.clone()), DIRECTORY).unwrap();
                fs.crash(Crash::LoseAll);
            }
            let names = fs.names();
            let aside: Vec<_> = names.iter().filter(|path| path.to_string_lossy().contains("quarantine")).collect();
            for original in &originals {
                assert!(aside.iter().any(|path| content(&fs, path) == *original), "call {call}, {crash:?}: {aside:?}");
            }
            assert!(repair_on(Arc::new(fs.clone()), DIRECTORY).unwrap().quarantine.is_none(), "call {call}, {crash:?}");
            assert_eq!(found(&fs).unwrap(), expected, "call {call}, {crash:?}");
        }
    }
}

// Without any segment, or with all first pages gone, a log behind a checkpoint begins anew behind it.
#[test]
fn begins_anew_without_segments() {
    let (fs, written) = written();
    let before = found(&fs).unwrap().0;
    for path in segments(&fs) {
        fs.delete(&path);
    }
    assert!(refused_or_whole(&fs, &written, 0));
    let (applied, records) = found(&fs).unwrap();
    assert_eq!((applied, records.len()), (before, 0));
}

/// A block that was written where it does not belong: to which file, where, from which file, from where, how much.
type Misplaced = (usize, usize, usize, usize, usize);

fn misplace(fs: &SimFs, changes: &[Misplaced]) {
    let files = segments(fs);
    for &(to, at, from, from_at, length) in changes {
        let mut block = Vec::new();
        fs.damage(&files[from], |bytes| block.extend_from_slice(&bytes[from_at..]));
        fs.damage(&files[to], |bytes| {
            let length = length.min(block.len()).min(bytes.len() - at);
            bytes[at..at + length].copy_from_slice(&block[..length]);
        });
    }
}

// Frames of the next segment in the one before; a record's last frame gone, so that nothing says what is missing at the end; and that at
// the end of a segment whose follower has no first page: repair keeps what is sound.
#[test]
fn misplaced_blocks_cost_nothing_else() {
    for changes in [&[(1, 80, 2, 0, 5908)][..], &[(1, 5632, 1, 4872, 2556)], &[(0, 0, 0, 8, 2049), (2, 7968, 0, 0, 1)]]
    {
        let (fs, written) = written();
        misplace(&fs, changes);
        refused_or_whole(&fs, &written, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    // Blocks that were written where others belong: frames and first pages that are valid, but not there.
    #[test]
    fn misplaced_blocks(changes in proptest::collection::vec((0_usize..4, 0_usize..1024, 0_usize..4, 0_usize..1024, 1_usize..8192), 1..4)) {
        let (fs, written) = written();
        let changes: Vec<_> = changes.into_iter().map(|(to, at, from, from_at, length)| (to, at * 8, from, from_at * 8, length)).collect();
        misplace(&fs, &changes);
        // The end of the log may be among them.
        refused_or_whole(&fs, &written, written.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    // Changed bytes anywhere in the log.
    #[test]
    fn changed_bytes(changes in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..8192, 1_u8..), 1..4)) {
        let (fs, written) = written();
        let number = changes.len();
        for (file, at, change) in changes {
            let files = segments(&fs);
            fs.damage(&files[file.index(files.len())], |bytes| bytes[at] ^= change);
        }
        refused_or_whole(&fs, &written, number);
    }

    // Lost sectors and pages, first pages among them.
    #[test]
    fn lost_blocks(changes in proptest::collection::vec((any::<prop::sample::Index>(), 0_usize..16, 1_usize..9), 1..4)) {
        let (fs, written) = written();
        for (file, sector, count) in changes {
            let files = segments(&fs);
            let change = |bytes: &mut Vec<u8>| {
                let (from, to) = (sector * 512, ((sector + count) * 512).min(bytes.len()));
                // Not blank: a first page that was synced does not turn into one that was given back.
                bytes[from..to].fill(0x5a);
            };
            fs.damage(&files[file.index(files.len())], change);
        }
        // The end of the log may be among them.
        refused_or_whole(&fs, &written, written.len());
    }

    // Files that are gone or cut short.
    #[test]
    fn lost_files(file in any::<prop::sample::Index>(), cut in proptest::option::of(0_usize..8192)) {
        let (fs, written) = written();
        let files = segments(&fs);
        match cut {
            Some(size) => fs.damage(&files[file.index(files.len())], |bytes| bytes.truncate(size)),
            None => fs.delete(&files[file.index(files.len())]),
        }
        // The newest one may be.
        refused_or_whole(&fs, &written, 6);
    }
}
