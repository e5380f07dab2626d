//! Faults from outside: what a disk and a clock can do to a process, and disks of a size.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
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
    /// pread of the log fails with EIO.
    Read,
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
            Fault::Read => "FAULT_PREAD",
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
        fs::write(&next, number.to_string()).expect("a writable directory");
        fs::rename(next, self.path()).expect("a writable directory");
    }

    /// From now on all is well.
    pub fn off(&self) {
        fs::remove_file(self.path()).expect("it was on");
    }
}

/// The power supply of one process: when it fails, nothing is left of its directory but what was synced. Only the log's own files (those directly in
/// the data directory) are left as they stand: crates/wal tries every loss of theirs by itself.
#[derive(Debug)]
pub struct Power {
    library: &'static Path,
    /// What outlives it, as `tests/shims/faults.c` keeps it.
    durable: TempDir,
}

impl Power {
    /// Of a process that is about to start in a directory; what is there is durable. `None`, with the reason printed, where the library that
    /// brings faults cannot be made.
    pub fn of(directory: &Path) -> Option<Self> {
        let power = Self { library: library()?, durable: tempfile::tempdir().expect("a temporary directory") };
        power.keep(directory);
        Some(power)
    }

    /// What the process must find in its environment.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let durable = self.durable.path().display().to_string();
        vec![("LD_PRELOAD", self.library.display().to_string()), ("FAULT_POWER", durable)]
    }

    /// The same for a process that is killed instead of its step of that number, counted from 1.
    pub fn environment_until(&self, step: u32) -> Vec<(&'static str, String)> {
        let mut environment = self.environment();
        environment.push(("FAULT_DEATH", step.to_string()));
        environment
    }

    /// Power has failed: what outlives that of what the ended process left.
    pub fn cut(self, directory: TempDir) -> TempDir {
        let left = tempfile::tempdir().expect("a temporary directory");
        self.restore(&id(directory.path()), left.path());
        let (data, left_data) = (directory.path().join("data"), left.path().join("data"));
        fs::create_dir_all(&left_data).expect("a writable directory");
        for entry in fs::read_dir(data).into_iter().flatten().map(|entry| entry.expect("its entries")) {
            if entry.file_type().expect("a type").is_file() && entry.file_name() != "archived" {
                fs::copy(entry.path(), left_data.join(entry.file_name())).expect("a copy");
            }
        }
        left
    }

    fn kept(&self, id: &str, kind: &str) -> PathBuf {
        self.durable.path().join(format!("{id}.{kind}"))
    }

    fn keep(&self, directory: &Path) {
        let mut names = String::new();
        for entry in fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("its entries")) {
            let (path, id) = (entry.path(), id(&entry.path()));
            let kind = if path.is_dir() { 'd' } else { 'f' };
            let _ = writeln!(names, "{id} {kind} {}", entry.file_name().display());
            match path.is_dir() {
                true => self.keep(&path),
                false => drop(fs::copy(path, self.kept(&id, "bytes")).expect("a copy")),
            }
        }
        fs::write(self.kept(&id(directory), "names"), names).expect("a writable directory");
    }

    fn restore(&self, directory: &str, to: &Path) {
        // A directory that was never synced is empty, and so is a file.
        let names = fs::read_to_string(self.kept(directory, "names")).unwrap_or_default();
        for line in names.lines() {
            let [id, kind, name] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let to = to.join(name);
            if kind == "d" {
                fs::create_dir(&to).expect("a new name");
                self.restore(id, &to);
            } else {
                fs::write(to, fs::read(self.kept(id, "bytes")).unwrap_or_default()).expect("a writable directory");
            }
        }
    }
}

/// As `identify` in `tests/shims/faults.c`.
fn id(path: &Path) -> String {
    let about = fs::metadata(path).expect("what is there");
    let born =
        about.created().ok().and_then(|born| born.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    format!("{}-{}-{}", about.ino(), born.as_secs(), born.subsec_nanos())
}

/// What a process must find in its environment that is to be killed instead of its step of that number, of those that concern a path with a word
/// in it: see `tests/shims/faults.c`. Nothing, with the reason printed, where the library that brings faults cannot be made.
pub fn death_at(step: u32, word: &str) -> Vec<(&'static str, String)> {
    let Some(library) = library() else { return Vec::new() };
    let preloaded = ("LD_PRELOAD", library.display().to_string());
    vec![preloaded, ("FAULT_DEATH", step.to_string()), ("FAULT_DEATH_IN", word.to_owned())]
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
        let mut file = fs::File::create(self.filler()).expect("a writable disk");
        // Less and less, until not even a page is left.
        for size in [1 << 20, 4096] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Gives that room back.
    pub fn make_room(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
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

pub(crate) fn skip(what: &str, reason: &str) {
    // Not eprintln: the harness keeps that to itself when the test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what}: {reason}");
}
