//! Faults from outside: what a disk and a clock can do to a process, and disks of a size.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::target_directory;

/// Something that a process meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// fdatasync fails with EIO.
    Sync,
    /// pwrite fails with EIO.
    Write,
    /// fdatasync takes a while.
    Slow,
    /// The wall clock is off.
    Clock,
}

/// A switch for one fault of one process: see `tests/shims/faults.c`.
#[derive(Debug)]
pub struct Switch {
    fault: Fault,
    library: &'static Path,
    directory: TempDir,
}

impl Switch {
    /// Not switched on. `None`, with the reason printed, where the library that brings faults cannot be made.
    pub fn of(fault: Fault) -> Option<Self> {
        Some(Self { fault, library: library()?, directory: tempfile::tempdir().expect("a temporary directory") })
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("switch")
    }

    /// What the process must find in its environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let name = match self.fault {
            Fault::Sync => "FAULT_FDATASYNC",
            Fault::Write => "FAULT_PWRITE",
            Fault::Slow => "FAULT_SLOW",
            Fault::Clock => "FAULT_CLOCK",
        };
        vec![("LD_PRELOAD", self.library.display().to_string()), (name, self.path().display().to_string())]
    }

    /// From now on the disk fails.
    pub fn on(&self) {
        self.set(0);
    }

    /// From now on the wall clock is off by so many seconds, or fdatasync takes as many milliseconds.
    pub fn set(&self, number: i64) {
        // As a whole or not at all: the process may read it at any time.
        let next = self.directory.path().join("next");
        std::fs::write(&next, number.to_string()).expect("a writable directory");
        std::fs::rename(next, self.path()).expect("a writable directory");
    }

    /// From now on all is well.
    pub fn off(&self) {
        std::fs::remove_file(self.path()).expect("it was on");
    }
}

/// The library, compiled once a test process.
fn library() -> Option<&'static Path> {
    static LIBRARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("shims/faults.c");
        let library = target_directory().join("faults.so");
        run(Command::new("cc").args(["-shared", "-fPIC", "-O1", "-Wall", "-o"]).arg(&library).arg(source))
            .map_err(|reason| skip("no faults of disks and clocks", &reason))
            .map(|()| library)
            .ok()
    });
    library.as_deref()
}

/// A disk of its own, in memory.
#[derive(Debug)]
pub struct Disk(TempDir);

impl Disk {
    /// Of a size in MiB. `None`, with the reason printed, where nothing can be mounted.
    pub fn of(mebibytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let options = format!("size={mebibytes}m");
        let mounted = run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(directory.path()));
        mounted.map_err(|reason| skip("no disk of its own", &reason)).ok()?;
        Some(Self(directory))
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Lets nobody write any more. Nobody may have a file open to write.
    pub fn make_read_only(&self) {
        run(Command::new("mount").args(["-o", "remount,ro"]).arg(self.path())).expect("a disk that nobody writes to");
    }

    /// Takes all the room that is left, with a file.
    pub fn fill(&self) {
        let mut file = std::fs::File::create(self.filler()).expect("a writable disk");
        // Less and less, until not even a page is left.
        for size in [1 << 20, 4096] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Gives that room back.
    pub fn make_room(&self) {
        std::fs::remove_file(self.filler()).expect("it was filled");
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still uses it is about to end.
        let _ = run(Command::new("umount").arg("--lazy").arg(self.path()));
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

fn skip(what: &str, reason: &str) {
    // Not eprintln: the harness keeps that to itself when the test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}: {reason}");
}
