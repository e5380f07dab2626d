//! Outcomes are there as often as they are asked for, until nobody asks for them any more.

use super::*;

fn kept(lsn: Lsn) -> Kept {
    sized(lsn, 10)
}

fn sized(lsn: Lsn, size: usize) -> Kept {
    Kept { lsn, receive_time: lsn * 100, outcomes: vec![lsn as u8; size].into() }
}

fn open(directory: &Path, known: Lsn, last: Lsn) -> Outcomes {
    Outcomes::open(Some(directory.to_owned()), known, last).unwrap()
}

fn get(reader: &mut Reader, lsn: Lsn) -> Found {
    reader.get(lsn, lsn * 100, false).unwrap()
}

fn found(lsn: Lsn) -> Found {
    Found::Kept(kept(lsn).outcomes)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

// In memory and on disk: what is kept is found, again and again; what is not, is missing where it was known, and not there yet
// where it is not; who waits is woken, be it by the end.
#[test]
fn outcomes_are_found() {
    let temporary = tempfile::tempdir().unwrap();
    for directory in [None, Some(temporary.path().join("outcomes"))] {
        let outcomes = Outcomes::open(directory, 2, 100).unwrap();
        let (mut reader, writer) = (outcomes.reader(0), outcomes.writer());
        assert_eq!((get(&mut reader, 1), get(&mut reader, 3)), (Found::Missing, Found::NotYet));
        assert!([1, 4, 4, 7].map(|lsn| writer.keep(kept(lsn))).into_iter().all(|is_kept| is_kept));
        for (lsn, expected) in
            [(2, Found::Missing), (3, Found::Missing), (4, found(4)), (4, found(4)), (6, Found::Missing)]
        {
            assert_eq!(get(&mut reader, lsn), expected, "{lsn}");
        }
        assert_eq!((get(&mut reader, 7), get(&mut reader, 8)), (found(7), Found::NotYet));
        let waiting = std::thread::spawn(move || [9, 10].map(|lsn| reader.get(lsn, lsn * 100, true).unwrap()));
        assert!(writer.keep(kept(9)));
        drop(writer);
        assert_eq!(waiting.join().unwrap(), [found(9), Found::Ended]);
    }
}

// What was kept is there after a restart, and is not kept twice when it is told again; a request at the same place in another log is
// not taken for it.
#[test]
fn outcomes_outlive_the_process() {
    let temporary = tempfile::tempdir().unwrap();
    let writer = open(temporary.path(), 0, 0).writer();
    assert!([3, 5].map(|lsn| writer.keep(kept(lsn))).into_iter().all(|is_kept| is_kept));
    writer.sync().unwrap();
    let outcomes = open(temporary.path(), 0, 9);
    let (mut reader, writer) = (outcomes.reader(3), outcomes.writer());
    assert!([3, 5, 8].map(|lsn| writer.keep(kept(lsn))).into_iter().all(|is_kept| is_kept));
    assert_eq!((get(&mut reader, 5), get(&mut reader, 8)), (found(5), found(8)));
    assert_eq!(outcomes.reader(0).get(5, 1, false).unwrap(), Found::Missing);
    let frames = [3, 5, 8].map(|lsn| kept(lsn).encode()).concat();
    assert_eq!(fs::read(&files(temporary.path())[0]).unwrap(), frames);

    // A log that ends before them is another one.
    let outcomes = open(temporary.path(), 2, 7);
    assert_eq!((files(temporary.path()).len(), get(&mut outcomes.reader(0), 3)), (0, Found::NotYet));
}

// Cut or changed anywhere, what is whole before the flaw is there, what comes behind it is not, and all that is told again is kept.
#[test]
fn what_is_not_whole_is_told_again() {
    let temporary = tempfile::tempdir().unwrap();
    let all = [1, 2, 3].map(|lsn| kept(lsn).encode()).concat();
    let frame = all.len() / 3;
    let flaws = (0..all.len()).flat_map(|at| {
        let mut changed = all.clone();
        changed[at] ^= 1;
        [(at, all[..at].to_vec()), (at, changed)]
    });
    for (at, bytes) in flaws {
        fs::write(temporary.path().join(format!("{:020}.outcomes", 1)), bytes).unwrap();
        let outcomes = open(temporary.path(), 0, 9);
        let whole = (at / frame) as Lsn;
        assert_eq!(get(&mut outcomes.reader(0), whole + 1), Found::NotYet, "flaw at {at}");
        let writer = outcomes.writer();
        assert!([1, 2, 3].map(|lsn| writer.keep(kept(lsn))).into_iter().all(|is_kept| is_kept));
        let mut reader = open(temporary.path(), 0, 9).reader(0);
        assert_eq!([1, 2, 3].map(|lsn| get(&mut reader, lsn)), [1, 2, 3].map(found), "flaw at {at}");
    }
}

// Files go when all who ask have passed what is in them, durably, and not before; whoever is behind finds everything in the others.
#[test]
fn files_go_when_nobody_needs_them() {
    let temporary = tempfile::tempdir().unwrap();
    let outcomes = open(temporary.path(), 0, 0);
    let (fast, mut slow, writer) = (outcomes.reader(0), outcomes.reader(0), outcomes.writer());
    // Three files of four, and what is in the last.
    assert!((1..=14).all(|lsn| writer.keep(sized(lsn, 1 << 20))));
    assert_eq!(files(temporary.path()).len(), 4);
    fast.pass(14);
    assert_eq!(files(temporary.path()).len(), 4);
    slow.pass(5);
    assert_eq!(files(temporary.path()).len(), 3);
    for lsn in 6..=14 {
        assert_eq!(get(&mut slow, lsn), Found::Kept(sized(lsn, 1 << 20).outcomes), "{lsn}");
        slow.pass(lsn);
    }
    assert_eq!(files(temporary.path()).len(), 1, "the one that is written to");
    writer.sync().unwrap();
    let outcomes = open(temporary.path(), 0, 14);
    assert_eq!(get(&mut outcomes.reader(12), 14), Found::Kept(sized(14, 1 << 20).outcomes));
}

// Without a directory too, what all who ask have passed is forgotten, and nothing else.
#[test]
fn memory_is_given_back() {
    let outcomes = Outcomes::open(None, 0, 0).unwrap();
    let (fast, mut slow, writer) = (outcomes.reader(0), outcomes.reader(0), outcomes.writer());
    assert!((1..=3).all(|lsn| writer.keep(kept(lsn))));
    fast.pass(3);
    assert_eq!(get(&mut slow, 1), found(1));
    slow.pass(2);
    assert_eq!([1, 2, 3].map(|lsn| get(&mut slow, lsn)), [Found::Missing, Found::Missing, found(3)]);
}

// A disk that does not take them is waited for, until the end: then they are not kept, and nothing is told to be.
#[test]
fn the_disk_is_waited_for() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = temporary.path().join("outcomes");
    let outcomes = open(&directory, 0, 0);
    let (mut reader, writer) = (outcomes.reader(0), outcomes.writer());
    fs::remove_dir(&directory).unwrap();
    let keeping = std::thread::spawn(move || (writer.keep(kept(1)), writer));
    fs::create_dir(&directory).unwrap();
    let (is_kept, writer) = keeping.join().unwrap();
    assert!(is_kept && get(&mut reader, 1) == found(1));

    let other = temporary.path().join("other");
    let outcomes = open(&other, 0, 0);
    let writer_of_other = outcomes.writer();
    fs::remove_dir(&other).unwrap();
    let keeping = std::thread::spawn(move || (writer_of_other.keep(kept(1)), writer_of_other));
    outcomes.stop_waiting();
    let (is_kept, writer_of_other) = keeping.join().unwrap();
    assert!(!is_kept);
    fs::create_dir(&other).unwrap();
    assert!(!writer_of_other.keep(kept(2)), "the next process would take the first for known");
    drop((writer, writer_of_other));
    assert_eq!(outcomes.reader(0).get(1, 100, true).unwrap(), Found::Ended);
    assert_eq!(files(&other).len(), 0);
}

// A file that cannot be read is told of, and given up: what it tells of is missing, and what comes behind it is found.
#[test]
fn what_cannot_be_read_is_given_up() {
    let temporary = tempfile::tempdir().unwrap();
    let outcomes = open(temporary.path(), 0, 0);
    let (mut reader, writer) = (outcomes.reader(0), outcomes.writer());
    assert!([1, 2, 3].map(|lsn| writer.keep(sized(lsn, FILE_SIZE as usize))).into_iter().all(|is_kept| is_kept));
    // Shorter than what was written to it: reading fails.
    File::options().write(true).open(&files(temporary.path())[1]).unwrap().set_len(100).unwrap();
    assert_eq!(get(&mut reader, 1), Found::Kept(sized(1, FILE_SIZE as usize).outcomes));
    for _ in 0..2 {
        assert!(reader.get(2, 200, false).is_err());
    }
    reader.skip_unreadable();
    assert_eq!(get(&mut reader, 2), Found::Missing);
    assert_eq!(get(&mut reader, 3), Found::Kept(sized(3, FILE_SIZE as usize).outcomes));
}
