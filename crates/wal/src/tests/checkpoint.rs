//! Checkpoint files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::harness::DIRECTORY;
use super::sim::{Crash, SimFs};
use crate::checkpoint::Checkpoints;
use crate::{Directory, OpenError};

fn open(fs: &SimFs) -> Checkpoints {
    Checkpoints::open(&Directory::open_on(Arc::new(fs.clone()), DIRECTORY).unwrap()).unwrap()
}

fn path_of(lsn: u64) -> PathBuf {
    Path::new(DIRECTORY).join(format!("checkpoint-{lsn:016x}"))
}

// The newest is found again, two are kept, and the log may be forgotten up to the older one.
#[test]
fn two_are_kept() {
    let fs = SimFs::default();
    let mut checkpoints = open(&fs);
    assert_eq!(checkpoints.newest().unwrap().checkpoint, None);
    assert_eq!(checkpoints.write(10, b"ten").unwrap(), 0);
    assert_eq!(checkpoints.write(20, b"twenty").unwrap(), 10);
    assert_eq!(checkpoints.write(30, b"").unwrap(), 20);
    assert_eq!(checkpoints.write(30, b"again").unwrap(), 20);
    drop(checkpoints);
    fs.crash(Crash::LoseAll);
    let mut checkpoints = open(&fs);
    let newest = checkpoints.newest().unwrap().checkpoint.unwrap();
    assert_eq!((newest.lsn, newest.bytes.as_slice(), checkpoints.covered()), (30, b"again".as_slice(), 20));
    assert!(!fs.names().contains(&path_of(10)));
}

// Whatever its size, and wherever blocks and pieces of a file end, a checkpoint comes back as it was written: simulated, where nothing but whole
// blocks may be written past the page cache, and where the second such write is refused; and on a real disk.
#[test]
fn every_size_comes_back() {
    let temporary = tempfile::tempdir().unwrap();
    let [usual, refusing] = [SimFs::default(), SimFs::default()];
    let tried = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tried);
    refusing.set_fault(move |what, _| {
        let is_second = what == "write past the cache" && counted.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        is_second.then(|| io::ErrorKind::InvalidInput.into())
    });
    let directories = [
        Directory::open_on(Arc::new(usual), DIRECTORY).unwrap(),
        Directory::open_on(Arc::new(refusing), DIRECTORY).unwrap(),
        Directory::open(temporary.path()).unwrap(),
    ];
    let ends = [0, 4 << 10, 8 << 10, 1 << 20, 4 << 20, 5 << 20];
    let sizes = ends.into_iter().flat_map(|end| [0, 1, 31, 32, 33, 64].map(|less| end + 32 - less.min(end + 32)));
    for directory in directories {
        let mut checkpoints = Checkpoints::open(&directory).unwrap();
        for (lsn, size) in (1..).zip(sizes.clone()) {
            let bytes: Vec<u8> = (0..size).map(|at| (at * 7 + at / 4096 + size) as u8).collect();
            checkpoints.write(lsn, &bytes).unwrap();
            assert!(checkpoints.newest().unwrap().checkpoint.unwrap().bytes == bytes, "{size} bytes");
        }
    }
    assert!(tried.load(Ordering::Relaxed) > sizes.count(), "some files were refused, and written all the same");
}

// With any byte of the newest changed, or with it cut short, the one before is found and the damage is told; the damaged one does
// not count as kept any more. With both damaged it is an error that names them.
#[test]
fn falls_back_to_the_older() {
    let length = 32 + 6;
    for at in 0..=length {
        let fs = SimFs::default();
        let mut checkpoints = open(&fs);
        checkpoints.write(10, b"ten").unwrap();
        checkpoints.write(20, b"twenty").unwrap();
        drop(checkpoints);
        let change = |bytes: &mut Vec<u8>| match bytes.get_mut(at) {
            Some(byte) => *byte ^= 4,
            None => bytes.truncate(at / 2),
        };
        fs.damage(&path_of(20), change);
        let mut checkpoints = open(&fs);
        let newest = checkpoints.newest().unwrap();
        assert_eq!(newest.checkpoint.unwrap().bytes, b"ten", "byte {at}");
        assert_eq!(newest.damaged.len(), 1);
        assert_eq!(newest.damaged[0].0, path_of(20));
        assert_eq!(checkpoints.write(25, b"new").unwrap(), 10);
        drop(checkpoints);

        fs.damage(&path_of(10), |bytes| bytes.clear());
        fs.damage(&path_of(25), |bytes| bytes.clear());
        let error = open(&fs).newest().unwrap_err();
        assert!(
            matches!(error, OpenError::Checkpoints { .. }) && error.to_string().contains("0000000000000019"),
            "{error}"
        );
    }
}

// What a crash left unfinished is removed.
#[test]
fn leftovers_are_removed() {
    let fs = SimFs::default();
    let mut checkpoints = open(&fs);
    checkpoints.write(10, b"ten").unwrap();
    fs.die_at(fs.calls() + 3);
    assert!(checkpoints.write(20, b"twenty").is_err());
    drop(checkpoints);
    fs.crash(Crash::KeepAll);
    assert!(fs.names().iter().any(|name| name.to_string_lossy().ends_with(".tmp")));
    let mut checkpoints = open(&fs);
    assert!(!fs.names().iter().any(|name| name.to_string_lossy().ends_with(".tmp")));
    assert_eq!(checkpoints.newest().unwrap().checkpoint.unwrap().lsn, 10);
}

// The instance's id is made once, and durable when it was told, at whatever call the machine goes down.
#[test]
fn instance_id_is_made_once() {
    let told = |fs: &SimFs, id: &str| {
        let directory = Directory::open_on(Arc::new(fs.clone()), DIRECTORY)?;
        directory.instance_id(|| id.to_owned())
    };
    for call in 0..12 {
        for seed in 0..20 {
            let fs = SimFs::default();
            fs.die_at(call);
            let first = told(&fs, "first");
            fs.crash(Crash::Random { seed, grain: 512 });
            let second = told(&fs, "second").unwrap();
            if let Ok(first) = first {
                assert_eq!(first, second);
            }
            assert!(["first", "second"].contains(&second.as_str()));
            assert_eq!(told(&fs, "third").unwrap(), second);
        }
    }
}
