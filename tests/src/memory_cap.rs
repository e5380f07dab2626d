//! Memory that a process may not exceed: a control group of the kernel, which kills it beyond.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::faults::skip;

/// Where groups are made, and the files of a group that hold it to so many bytes: versions 2 and 1 of the kernel's control groups.
const VERSIONS: [(&str, &str, Option<&str>); 2] = [
    ("/sys/fs/cgroup", "memory.max", Some("memory.swap.max")),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", None),
];

/// A group whose members are held to so many bytes together. It ends when they have.
#[derive(Debug)]
pub struct MemoryCap(PathBuf);

impl MemoryCap {
    /// A group without members. `None`, with the reason printed, where no groups can be made.
    pub fn of(bytes: u64) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("spanmill-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        // Where that is done already, or cannot be, the next step tells.
        let _ = fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
        let made = VERSIONS.into_iter().map(|(parent, limit, swap)| {
            let group = Self(Path::new(parent).join(&name));
            fs::create_dir(&group.0)?;
            if let Some(swap) = swap {
                // There may be no swap.
                let _ = fs::write(group.0.join(swap), "0");
            }
            fs::write(group.0.join(limit), bytes.to_string()).map(|()| group)
        });
        let mut reason = String::new();
        for group in made {
            match group {
                Ok(group) => return Some(group),
                Err(error) => reason = error.to_string(),
            }
        }
        skip("no cap on memory", &format!("no control group can be made: {reason}"));
        None
    }

    /// What a shell runs to become a member.
    pub fn join(&self) -> String {
        format!("echo $$ > {}", self.0.join("cgroup.procs").display())
    }
}

impl Drop for MemoryCap {
    fn drop(&mut self) {
        // Of a version that is not there, there is none.
        let _ = fs::remove_dir(&self.0);
    }
}
