//! Pass-through: what applications sent is read from the log once more and handed on, by one thread for each destination.
//!
//! Each destination has a cursor of its own: one that is slow or down holds up nobody but the log, which keeps what it has not got.
//! With a log on disk the cursor's place outlives the process; what was on its way when it ended is sent again.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use export::{Exporter, Forwarded, Forwarder, Signal, WhenFull};
use tokio::runtime::Handle;
use wal::{Cursor, Log, Lsn, RawReader, RawRecord, ReadError};

use crate::ingest::HandedOn;
use crate::recorder::{LogRecord, kind};

/// How often a place is written down while it moves.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// How many records that nobody wants are passed before the log is told.
const PASS_AT_ONCE: u64 = 16;
/// How long the log is left alone when it could not be read.
const READ_AGAIN: Duration = Duration::from_secs(5);

/// What destinations want of what applications send, all together.
pub(crate) fn handed_on(exporters: &[Exporter]) -> HandedOn {
    let any = |wants: fn(&export::Destination) -> bool| exporters.iter().any(|exporter| wants(exporter.destination()));
    HandedOn { metrics: any(|to| to.metrics), logs: any(|to| to.logs) }
}

/// A destination, and how far it has come. Made before anything is appended to the log.
#[derive(Debug)]
pub(crate) struct Forwarding {
    name: String,
    wanted: Wanted,
    when_full: WhenFull,
    forwarder: Forwarder,
    log: Log<LogRecord>,
    reader: RawReader<LogRecord>,
    cursor: Cursor<LogRecord>,
    place: Place,
    /// Read, but not part of the batch before.
    ahead: Option<RawRecord>,
}

/// The signals of a destination.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    traces: bool,
    metrics: bool,
    logs: bool,
}

impl Wanted {
    /// The signal of a record that is wanted.
    fn signal(self, kind: u8) -> Option<Signal> {
        match kind {
            kind::TRACES => self.traces.then_some(Signal::Traces),
            kind::METRICS => self.metrics.then_some(Signal::Metrics),
            kind::LOGS => self.logs.then_some(Signal::Logs),
            _ => None,
        }
    }
}

/// What is handed on at once.
struct Batch {
    signal: Signal,
    body: Bytes,
    items: u64,
    /// All records up to here are in it, or are not wanted.
    through: Lsn,
}

impl Forwarding {
    /// Where the destination stands in the log: at its place in the directory, or, without one, at what is appended from now on.
    pub(crate) fn new(exporter: &Exporter, log: &Log<LogRecord>, directory: Option<PathBuf>) -> io::Result<Self> {
        let destination = exporter.destination();
        let name = destination.name.clone();
        let mut place = Place::open(directory.map(|directory| directory.join(name.replace('/', "-"))))?;
        let first = log.first();
        let mut passed = place.noted.unwrap_or_else(|| log.last()).min(log.last());
        if passed + 1 < first {
            let missing = first - 1 - passed;
            tracing::warn!(destination = %name, missing, "requests are no longer in the log and were not handed on");
            passed = first - 1;
        }
        // From here on it is owed what comes, whenever the process ends.
        place.reached = passed;
        place.note();
        let wanted = Wanted { traces: destination.traces, metrics: destination.metrics, logs: destination.logs };
        Ok(Self {
            wanted,
            when_full: destination.when_full,
            forwarder: exporter.forwarder().map_err(io::Error::other)?,
            reader: log.read_from(passed).with_payloads_of(move |kind| wanted.signal(kind).is_some()),
            cursor: log.cursor_at(passed),
            log: log.clone(),
            place,
            ahead: None,
            name,
        })
    }

    /// Starts the thread. It ends when the log has ended and all was handed on, or when the exporter ends.
    pub(crate) fn start(self, runtime: Handle) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("forwarder".to_owned()).spawn(move || self.run(&runtime))
    }

    fn run(mut self, runtime: &Handle) {
        let mut ended = None;
        while let Some(batch) = self.next_batch() {
            let Batch { signal, body, items, through } = batch;
            let (log, cursor, when_full) = (&self.log, &self.cursor, self.when_full);
            // Whoever is the last one may have to make room.
            let is_given_up = || when_full == WhenFull::DropOldest && !log.has_room() && cursor.is_slowest();
            if runtime.block_on(self.forwarder.deliver(signal, body, items, is_given_up)) == Forwarded::Ended {
                ended = Some((signal, items));
                break;
            }
            self.pass(through);
        }
        self.place.note();
        if let Some((signal, items)) = ended {
            self.leave(signal, items);
        }
    }

    /// The destination does not answer, and the process ends. What a log on disk holds is handed on by the next one.
    fn leave(&mut self, signal: Signal, items: u64) {
        if self.place.path.is_some() {
            return;
        }
        self.forwarder.count_dropped(signal, items);
        while let Some(Batch { signal, items, .. }) = self.next_batch() {
            self.forwarder.count_dropped(signal, items);
        }
    }

    fn pass(&mut self, through: Lsn) {
        self.cursor.advance(through);
        self.place.move_to(through);
    }

    /// What comes next, as much of it as the destination takes at once and is there by now; waits until something is. `None` when the log
    /// has ended and all was read.
    fn next_batch(&mut self) -> Option<Batch> {
        let mut bodies: Vec<Bytes> = Vec::new();
        let (mut signal, mut bytes, mut items, mut through) = (None, 0, 0, None);
        let mut unwanted = 0;
        loop {
            let record = match self.ahead.take() {
                Some(record) => record,
                None => match self.read(bodies.is_empty(), through) {
                    Some(record) => record,
                    None => break,
                },
            };
            let Some(its) = self.wanted.signal(record.kind) else {
                through = Some(record.lsn);
                unwanted += 1;
                if bodies.is_empty() && unwanted % PASS_AT_ONCE == 0 {
                    self.pass(record.lsn);
                }
                continue;
            };
            let fits = bytes + record.payload.len() <= self.forwarder.max_request_size();
            if signal.is_some_and(|signal| signal != its || !fits) {
                self.ahead = Some(record);
                break;
            }
            signal = Some(its);
            bytes += record.payload.len();
            // data points are counted by the forwarder, which reads them anyway
            items += if its == Signal::Metrics { 1 } else { otlp::trace::count_items(&record.payload) };
            through = Some(record.lsn);
            bodies.push(record.payload);
        }
        let (signal, through) = (signal?, through?);
        Some(Batch { signal, body: concatenated(bodies), items, through })
    }

    /// The next record; waits for one only if nothing else is to do, and then lets the log know how far it has come.
    fn read(&mut self, waits: bool, passed: Option<Lsn>) -> Option<RawRecord> {
        loop {
            let read = match self.reader.try_next() {
                Ok(None) if waits => {
                    if let Some(passed) = passed {
                        self.pass(passed);
                    }
                    self.place.note();
                    self.reader.next()
                }
                read => read,
            };
            let error = match read {
                Ok(record) => return record,
                Err(error) => error,
            };
            tracing::error!(destination = %self.name, %error, "what is to be handed on cannot be read");
            if self.log.failure().is_some() || !waits {
                return None;
            }
            if let ReadError::Passed(_) = error {
                let wanted = self.wanted;
                let reader = self.log.read_from(self.log.first().saturating_sub(1));
                self.reader = reader.with_payloads_of(move |kind| wanted.signal(kind).is_some());
            }
            std::thread::sleep(READ_AGAIN);
        }
    }
}

/// Requests of one signal as one: their fields are repeated messages, so their bytes stand behind each other.
fn concatenated(mut bodies: Vec<Bytes>) -> Bytes {
    if bodies.len() == 1 {
        return bodies.pop().unwrap_or_default();
    }
    let mut all = BytesMut::with_capacity(bodies.iter().map(Bytes::len).sum());
    bodies.iter().for_each(|body| all.extend_from_slice(body));
    all.freeze()
}

/// How far a destination has come, in a file if it shall outlive the process.
#[derive(Debug)]
struct Place {
    path: Option<PathBuf>,
    reached: Lsn,
    noted: Option<Lsn>,
    noted_at: Instant,
}

impl Place {
    /// A file that cannot be understood is as good as none.
    fn open(path: Option<PathBuf>) -> io::Result<Self> {
        let mut noted = None;
        if let Some(path) = &path {
            path.parent().map(fs::create_dir_all).transpose()?;
            noted = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        }
        Ok(Self { path, reached: noted.unwrap_or_default(), noted, noted_at: Instant::now() })
    }

    fn move_to(&mut self, lsn: Lsn) {
        self.reached = lsn;
        if self.noted_at.elapsed() >= NOTE_EVERY {
            self.note();
        }
    }

    /// Writes it down. It need not be durable: what is handed on twice is better than what is not.
    fn note(&mut self) {
        let Some(path) = self.path.as_ref().filter(|_| self.noted != Some(self.reached)) else { return };
        let temporary = path.with_extension("new");
        let written = fs::write(&temporary, self.reached.to_string()).and_then(|()| fs::rename(&temporary, path));
        match written {
            Ok(()) => (self.noted, self.noted_at) = (Some(self.reached), Instant::now()),
            Err(error) => tracing::warn!(path = %path.display(), %error, "a place in the log was not noted"),
        }
    }
}
