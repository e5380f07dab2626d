//! Memory that a process may not exceed: a control group of the kernel, which kills it beyond.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::faults::skip;

/// Where groups are made, what is there if the kernel has groups of that version with memory in them, and the file of a group that holds it to so
/// many bytes: versions 2 and 1.
const VERSIONS: [(&str, &str, &str); 2] = [
    ("/sys/fs/cgroup", "cgroup.controllers", "memory.max"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.limit_in_bytes"),
];

/// A group whose members are held to so many bytes together. It ends when they have.
#[derive(Debug)]
pub struct MemoryCap(PathBuf);

impl MemoryCap {
    /// A group without members. `None`, with the reason printed, where no groups can be made.
    pub fn of(bytes: u64) -> Option<Self> {
        let there = VERSIONS.into_iter().find(|(parent, sign, _)| Path::new(parent).join(sign).exists());
        let made = there
            .ok_or_else(|| io::Error::other("the kernel has none here"))
            .and_then(|(parent, _, limit)| Self::make(Path::new(parent), limit, bytes));
        made.map_err(|reason| skip("no cap on memory", &format!("no control group can be made: {reason}"))).ok()
    }

    fn make(parent: &Path, limit: &str, bytes: u64) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("spanmill-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        // Of version 2; where that is done already, or cannot be, the limit tells.
        let _ = put(&parent.join("cgroup.subtree_control"), "+memory");
        let directory = parent.join(name);
        fs::create_dir(&directory)?;
        let group = Self(directory);
        // Of version 2, and only where there is swap.
        let _ = put(&group.0.join("memory.swap.max"), "0");
        put(&group.0.join(limit), &bytes.to_string())?;
        Ok(group)
    }

    /// What a shell runs to become a member.
    pub fn join(&self) -> String {
        format!("echo $$ > {}", self.members().display())
    }

    /// Whether a process is a member, so that the cap is one.
    pub fn holds(&self, process: u32) -> bool {
        let members = fs::read_to_string(self.members()).expect("the group's members");
        members.lines().any(|member| member == process.to_string())
    }

    fn members(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }
}

/// Writes to a file of the kernel: where it is not there, none is made.
fn put(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

impl Drop for MemoryCap {
    fn drop(&mut self) {
        // While it has members, it stays.
        let _ = fs::remove_dir(&self.0);
    }
}
