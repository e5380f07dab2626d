//! What a process has used, from `/proc`. Linux only: elsewhere the files are missing and reading them is an error.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

/// Why a figure of a process could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The process has ended, or this is not Linux.
    #[error("reading {path}: {source}")]
    Read {
        /// The file in `/proc`.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file does not look as proc(5) says.
    #[error("{path} has no {field}")]
    Field {
        /// The file in `/proc`.
        path: PathBuf,
        /// What was looked for.
        field: &'static str,
    },
}

/// CPU time of every thread of a process at one moment, in nanoseconds (user and system, `schedstat`).
///
/// A thread that ends between two readings takes its time with it: the servers measured here keep theirs.
#[derive(Debug, Clone)]
pub struct CpuTime {
    by_thread: HashMap<String, u64>,
}

impl CpuTime {
    /// Reads process `pid`.
    ///
    /// # Errors
    /// If the process does not exist.
    pub fn read(pid: u32) -> Result<Self, ProcessError> {
        let path = PathBuf::from(format!("/proc/{pid}/task"));
        let threads = std::fs::read_dir(&path).map_err(|source| ProcessError::Read { path, source })?;
        let mut by_thread = HashMap::new();
        for thread in threads.flatten() {
            let path = thread.path().join("schedstat");
            // The thread may have ended since it was listed.
            let Ok(text) = std::fs::read_to_string(&path) else {
                continue;
            };
            let on_cpu = text.split_ascii_whitespace().next().and_then(|first| first.parse().ok());
            let on_cpu = on_cpu.ok_or(ProcessError::Field { path, field: "time on the CPU" })?;
            by_thread.insert(thread.file_name().to_string_lossy().into_owned(), on_cpu);
        }
        Ok(Self { by_thread })
    }

    /// The CPU time used since `earlier`.
    pub fn since(&self, earlier: &Self) -> Duration {
        let used = self.by_thread.iter().map(|(thread, now)| {
            let before = earlier.by_thread.get(thread).copied().unwrap_or(0);
            now.saturating_sub(before)
        });
        Duration::from_nanos(used.sum())
    }
}

/// Largest resident memory of process `pid` so far, in bytes (`VmHWM`).
///
/// # Errors
/// If the process does not exist.
pub fn peak_memory(pid: u32) -> Result<u64, ProcessError> {
    let path = PathBuf::from(format!("/proc/{pid}/status"));
    let text = std::fs::read_to_string(&path).map_err(|source| ProcessError::Read { path: path.clone(), source })?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|number| number.parse::<u64>().ok());
    kibibytes.map(|number| number * 1024).ok_or(ProcessError::Field { path, field: "VmHWM" })
}

#[cfg(test)]
mod tests {
    use super::{CpuTime, peak_memory};

    /// Work done between two readings is seen, and memory is in bytes.
    #[test]
    fn own_process_is_measured() {
        let pid = std::process::id();
        let before = CpuTime::read(pid).unwrap();
        let mut number = 1_u64;
        while CpuTime::read(pid).unwrap().since(&before).as_millis() < 5 {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
        assert!(peak_memory(pid).unwrap() > 1024 * 1024);
    }
}
