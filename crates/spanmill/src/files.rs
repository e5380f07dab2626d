//! How many files the process may have open: connections must leave enough for the log and the archive.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Servers that take connections: two of OTLP, admin, metrics.
const SERVERS: u64 = 4;

/// How many connections a server may have of those that it would like. All of them together take three quarters of the open files that the
/// system allows at most.
pub(crate) fn connections(wanted: usize) -> usize {
    let share = limit().map_or(usize::MAX, |limit| usize::try_from(limit / SERVERS * 3 / 4).unwrap_or(usize::MAX));
    wanted.min(share).max(1)
}

/// The limit, raised to what the system allows; `None` if there is none.
fn limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Refused, it stays what it was.
    let is_raised = current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    if is_raised { maximum } else { current }
}
