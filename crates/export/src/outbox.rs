//! What one destination has yet to get, on disk: a file a request.
//!
//! | name | what it is |
//! |---|---|
//! | `FROM-LSN-SIGNAL-ITEMS-SENT.binpb` | a request that is not answered for, but for its first SENT items; those that it was merged of begin at FROM |
//! | `FROM-LSN-SIGNAL-ITEMS-SENT.sent` | the last one that is: what a start makes of the log up to there was offered before |
//!
//! A file is there as a whole or not at all. That a request was answered for need not be durable: it is sent again then.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::split::without_first;
use crate::stats::Signal;

/// The place of a record in the log.
pub(crate) type Lsn = u64;

const WAITING: &str = "binpb";
const ANSWERED: &str = "sent";
/// Tells that a place in the log was noted for the destination.
const PLACED: &str = "placed";

/// The directory of one destination.
#[derive(Debug)]
pub(crate) struct Outbox {
    directory: PathBuf,
    metrics: Lsn,
    logs: Lsn,
    is_new: bool,
}

/// A request in the outbox.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    directory: PathBuf,
    name: Name,
    pub(crate) bytes: usize,
}

/// What the name of a file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    lsn: Lsn,
    from: Lsn,
    signal: Signal,
    items: u64,
    /// How many of these, the first ones, were answered for.
    sent: u64,
}

impl Name {
    fn with(self, extension: &str) -> String {
        let Name { from, lsn, signal, items, sent } = self;
        format!("{from:020}-{lsn:020}-{}-{items}-{sent}.{extension}", signal.name())
    }

    fn parse(stem: &str) -> Option<Self> {
        let mut parts = stem.split('-');
        let (from, lsn) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let name = parts.next()?;
        let signal = Signal::ALL.into_iter().find(|signal| signal.name() == name)?;
        let (items, sent) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        parts.next().is_none().then_some(Self { lsn, from, signal, items, sent })
    }

    /// Whether a later request was made of this one and others.
    fn is_part_of(self, other: Self) -> bool {
        self.signal == other.signal && self.lsn < other.lsn && other.from <= self.lsn
    }
}

impl Outbox {
    /// Opens the directory, made if it is not there, and tells what waits in it, in order.
    pub(crate) fn open(directory: PathBuf) -> io::Result<(Self, Vec<Stored>)> {
        durable::create_directory(&directory)?;
        // What is found is believed from here on: a killed process may have left names that were not durable yet.
        durable::sync_names(&directory)?;
        let mut outbox = Self { directory, metrics: 0, logs: 0, is_new: true };
        let mut waiting = Vec::new();
        for entry in fs::read_dir(&outbox.directory)? {
            let entry = entry?;
            let path = entry.path();
            if path.to_string_lossy().ends_with(durable::UNFINISHED) {
                fs::remove_file(&path)?;
                continue;
            }
            if entry.file_name() == PLACED {
                outbox.is_new = false;
                continue;
            }
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let Some(name) = stem.and_then(Name::parse) else { continue };
            outbox.note(name);
            outbox.is_new = false;
            if path.extension().is_some_and(|extension| extension == WAITING) {
                let bytes = usize::try_from(entry.metadata()?.len()).unwrap_or(usize::MAX);
                waiting.push(Stored { directory: outbox.directory.clone(), name, bytes });
            }
        }
        let names: Vec<Name> = waiting.iter().map(|stored| stored.name).collect();
        // The process ended between a merge and the removal of what was merged.
        let (parts, mut waiting): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|stored| names.iter().any(|other| stored.name.is_part_of(*other)));
        parts.into_iter().try_for_each(|part| fs::remove_file(part.path(WAITING)))?;
        waiting.sort_by_key(|stored| stored.name);
        Ok((outbox, waiting))
    }

    /// Whether nothing was ever put here, and no place in the log noted for the destination. That there is a directory proves nothing: a start
    /// that failed leaves one.
    pub(crate) fn is_new(&self) -> bool {
        self.is_new
    }

    /// Remembers that a place in the log is noted for the destination: should it be lost, the destination is not new for that.
    pub(crate) fn note_placed(&mut self) -> io::Result<()> {
        let path = self.directory.join(PLACED);
        if !path.exists() {
            durable::write(&path, b"")?;
        }
        Ok(())
    }

    /// The newest record whose request was put here, be it answered for or not.
    pub(crate) fn through(&self, signal: Signal) -> Lsn {
        match signal {
            Signal::Metrics => self.metrics,
            Signal::Logs => self.logs,
            Signal::Traces => 0,
        }
    }

    /// The log ends at `last`; whether the destination is known from elsewhere. Tells whether more than that was put here.
    pub(crate) fn log_ends_at(&mut self, last: Lsn, is_known: bool) -> bool {
        let is_beyond = self.metrics.max(self.logs) > last;
        (self.metrics, self.logs) = match self.is_new && !is_known {
            true => (last, last),
            false => (self.metrics.min(last), self.logs.min(last)),
        };
        is_beyond
    }

    /// Stores a request; when this returns, it outlives the process and the machine.
    pub(crate) fn put(&mut self, from: Lsn, lsn: Lsn, signal: Signal, items: u64, body: &[u8]) -> io::Result<Stored> {
        let name = Name { lsn, from, signal, items, sent: 0 };
        let stored = Stored { directory: self.directory.clone(), name, bytes: body.len() };
        durable::write(&stored.path(WAITING), body)?;
        self.note(name);
        Ok(stored)
    }

    fn note(&mut self, name: Name) {
        match name.signal {
            Signal::Metrics => self.metrics = self.metrics.max(name.lsn),
            Signal::Logs => self.logs = self.logs.max(name.lsn),
            Signal::Traces => {}
        }
    }
}

impl Stored {
    pub(crate) fn signal(&self) -> Signal {
        self.name.signal
    }

    /// Those that are not answered for.
    pub(crate) fn items(&self) -> u64 {
        self.name.items.saturating_sub(self.name.sent)
    }

    pub(crate) fn from(&self) -> Lsn {
        self.name.from
    }

    /// The encoded request, without what was answered for.
    pub(crate) fn read(&self) -> io::Result<Bytes> {
        let body = Bytes::from(fs::read(self.path(WAITING))?);
        match self.name.sent {
            0 => Ok(body),
            sent => Ok(without_first(self.name.signal, body, sent)),
        }
    }

    /// All but the last items were answered for.
    pub(crate) fn keep_only_last(&self, items: u64) -> io::Result<Self> {
        let name = Name { sent: self.name.items.saturating_sub(items), ..self.name };
        let rest = Self { name, ..self.clone() };
        fs::rename(self.path(WAITING), rest.path(WAITING))?;
        Ok(rest)
    }

    /// It is not waited for any more. The file stays until a later one of its signal does so: its name tells how far the log was offered.
    pub(crate) fn done(&self) -> io::Result<()> {
        fs::rename(self.path(WAITING), self.path(ANSWERED))?;
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let is_older = |name: Name| name.signal == self.name.signal && name.lsn < self.name.lsn;
            if is_answered(&path).is_some_and(is_older) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.directory.join(self.name.with(extension))
    }
}

fn is_answered(path: &Path) -> Option<Name> {
    let is_it = path.extension().is_some_and(|extension| extension == ANSWERED);
    path.file_stem().and_then(|stem| stem.to_str()).filter(|_| is_it).and_then(Name::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(stored: &[Stored]) -> Vec<(Lsn, Lsn, Signal, u64)> {
        stored.iter().map(|stored| (stored.from(), stored.name.lsn, stored.signal(), stored.items())).collect()
    }

    // What was put and is not done is there at the next start, in order and byte for byte; how far the log was offered is known even
    // if nothing waits.
    #[test]
    fn outlives_the_process() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a/b");
        let (mut outbox, found) = Outbox::open(path.clone()).unwrap();
        assert!(found.is_empty());
        let first = outbox.put(3, 3, Signal::Metrics, 7, b"three").unwrap();
        outbox.put(3, 3, Signal::Logs, 2, b"logs").unwrap();
        let last = outbox.put(12, 12, Signal::Metrics, 1, b"twelve").unwrap();
        first.done().unwrap();
        drop(outbox);
        fs::write(path.join(format!("1{}", durable::UNFINISHED)), b"half").unwrap();

        let (outbox, found) = Outbox::open(path.clone()).unwrap();
        assert_eq!(names(&found), [(3, 3, Signal::Logs, 2), (12, 12, Signal::Metrics, 1)]);
        assert_eq!(found[1].read().unwrap(), "twelve");
        assert_eq!((outbox.through(Signal::Metrics), outbox.through(Signal::Logs)), (12, 3));
        found.iter().for_each(|stored| stored.done().unwrap());
        assert!(last.read().is_err());

        let (outbox, found) = Outbox::open(path.clone()).unwrap();
        assert_eq!((found.len(), outbox.through(Signal::Metrics), outbox.through(Signal::Logs)), (0, 12, 3));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 2, "one a signal");
    }

    // Of a request whose first items were answered for, the next process finds the others, whatever it has read before.
    #[test]
    fn what_was_answered_for_is_left_out() {
        use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
        use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
        use prost::Message as _;

        let record = |time_unix_nano| LogRecord { time_unix_nano, ..LogRecord::default() };
        let scope = |records: std::ops::Range<u64>| ScopeLogs {
            log_records: records.map(record).collect(),
            ..ScopeLogs::default()
        };
        let scope_logs = vec![scope(0..3), scope(3..4), scope(4..9)];
        let request =
            ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] };
        let temporary = tempfile::tempdir().unwrap();
        let (mut outbox, _) = Outbox::open(temporary.path().to_owned()).unwrap();
        let mut stored = outbox.put(1, 1, Signal::Logs, 9, &request.encode_to_vec()).unwrap();
        for left in (0..9).rev() {
            stored = stored.keep_only_last(left).unwrap();
            let (_, found) = Outbox::open(temporary.path().to_owned()).unwrap();
            assert_eq!(names(&found), [(1, 1, Signal::Logs, left)]);
            let rest = ExportLogsServiceRequest::decode(found[0].read().unwrap()).unwrap();
            let scopes = rest.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
            let times: Vec<u64> =
                scopes.flat_map(|scope| &scope.log_records).map(|record| record.time_unix_nano).collect();
            assert_eq!(times, (9 - left..9).collect::<Vec<_>>());
        }
        stored.done().unwrap();
        assert!(Outbox::open(temporary.path().to_owned()).unwrap().1.is_empty());
    }

    // What is newer than the log is not taken for its own, and a new outbox has missed nothing.
    #[test]
    fn it_knows_its_log() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("new");
        assert!(Outbox::open(path.clone()).unwrap().0.is_new());
        let (mut outbox, _) = Outbox::open(path.clone()).unwrap();
        assert!(outbox.is_new() && !outbox.log_ends_at(7, true));
        assert_eq!(
            (outbox.through(Signal::Metrics), outbox.through(Signal::Logs)),
            (0, 0),
            "known, but got nothing yet"
        );
        assert!(!outbox.log_ends_at(7, false));
        assert_eq!((outbox.through(Signal::Metrics), outbox.through(Signal::Logs)), (7, 7));
        outbox.put(9, 9, Signal::Metrics, 1, b"nine").unwrap();
        let (mut outbox, _) = Outbox::open(path).unwrap();
        assert!(!outbox.is_new() && !outbox.log_ends_at(9, false));
        assert_eq!((outbox.through(Signal::Metrics), outbox.through(Signal::Logs)), (9, 0));
        assert!(outbox.log_ends_at(3, false));
        assert_eq!(outbox.through(Signal::Metrics), 3);
        let path = temporary.path().join("placed");
        Outbox::open(path.clone()).unwrap().0.note_placed().unwrap();
        assert!(!Outbox::open(path).unwrap().0.is_new());
    }

    // A crash between a merge and the removal of what was merged sends nothing twice.
    #[test]
    fn merged_requests_are_not_sent_again() {
        let temporary = tempfile::tempdir().unwrap();
        let (mut outbox, _) = Outbox::open(temporary.path().to_owned()).unwrap();
        for lsn in [1, 5, 9] {
            outbox.put(lsn, lsn, Signal::Metrics, 1, b"one").unwrap();
        }
        outbox.put(5, 9, Signal::Logs, 1, b"other").unwrap();
        outbox.put(5, 14, Signal::Metrics, 1, b"merged").unwrap();
        let (_, found) = Outbox::open(temporary.path().to_owned()).unwrap();
        assert_eq!(names(&found), [(1, 1, Signal::Metrics, 1), (5, 9, Signal::Logs, 1), (5, 14, Signal::Metrics, 1)]);
    }
}
