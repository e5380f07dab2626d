//! Pass-through: what applications sent is read from the log once more and handed on, by one thread for each destination. With
//! `forward.enrich`, spans get written on them what they mean and what became of them, and wait until that is known.
//!
//! Each destination has a cursor of its own: one that is slow or down holds up nobody but the log, which keeps what it has not got.
//! With a log on disk the cursor's place outlives the process; what was on its way when it ended is sent again.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use export::{Amount, Exporter, Forwarded, Forwarder, Signal, WhenFull};
use tokio::runtime::Handle;
use wal::{Cursor, Log, Lsn, RawReader, RawRecord, ReadError};

use crate::config::Config;
use crate::ingest::HandedOn;
use crate::outcomes::{self, Found, Outcomes};
use crate::recorder::{LogRecord, Recorder, kind};

/// How often a place is written down while it moves.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// How many records that nobody wants are passed before the log is told.
const PASS_AT_ONCE: u64 = 16;
/// How many requests go as one at most, however small they are, ...
const BATCH_REQUESTS: usize = 1024;
/// ... and what each of them takes in memory beside its bytes.
const REQUEST_OVERHEAD: usize = 256;
/// How long a disk is left alone when it refused to read, ...
const READ_AGAIN: Duration = Duration::from_secs(5);
/// ... and how often it is asked before what it does not read is passed over.
const READ_TRIES: u32 = 3;

/// What destinations want of what applications send, all together.
pub(crate) fn handed_on(exporters: &[Exporter]) -> HandedOn {
    let any = |wants: fn(&export::Destination) -> bool| exporters.iter().any(|exporter| wants(exporter.destination()));
    HandedOn { metrics: any(|to| to.metrics), logs: any(|to| to.logs) }
}

/// The first place up to which some destination has come, of those that are configured and have one.
pub(crate) fn owed_from(directory: Option<&Path>, config: &Config) -> Option<Lsn> {
    let noted = |name: &String| Place::read(&file(directory?, &format!("otlp/{name}"))).ok().flatten();
    config.exporters.otlp.keys().filter_map(noted).min()
}

/// Whether a place is noted for a destination, or stands where none can be read: then it is not new.
pub(crate) fn is_placed(directory: Option<&Path>, destination: &str) -> bool {
    directory.is_some_and(|directory| !matches!(Place::read(&file(directory, destination)), Ok(None)))
}

/// Tells of what an earlier run left for destinations that are not configured any more: they may have got another name.
pub(crate) fn warn_of_unknown(config: &Config, places: Option<&Path>, outboxes: Option<&Path>) -> io::Result<()> {
    let known = config.exporters.otlp.keys().map(|name| format!("otlp-{name}"));
    let known: BTreeSet<String> = known.collect();
    for directory in [places, outboxes].into_iter().flatten().filter(|directory| directory.exists()) {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if known.contains(&name) || name.ends_with(durable::UNFINISHED) {
                continue;
            }
            let path = entry.path();
            tracing::warn!(
                destination = %name.replacen('-', "/", 1), path = %path.display(),
                "this destination is not configured, and what waits for it is not sent: give it its name back, or remove this path"
            );
        }
    }
    Ok(())
}

/// Where the place of a destination is noted.
fn file(directory: &Path, destination: &str) -> PathBuf {
    directory.join(destination.replace('/', "-"))
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
    enrichment: Option<Enrichment>,
    /// Read, but not part of the batch before.
    ahead: Option<RawRecord>,
}

/// How far a destination has come in the log. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Position(Arc<AtomicU64>);

impl Position {
    /// All records up to here were handed on, or are not wanted.
    pub(crate) fn get(&self) -> Lsn {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self, lsn: Lsn) {
        self.0.store(lsn, Ordering::Release);
    }
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
    /// With their items.
    bodies: Vec<(Bytes, u64)>,
    /// All records up to here are in it, or are not wanted.
    through: Lsn,
}

impl Batch {
    fn amount(&self) -> Amount {
        self.bodies.iter().map(|(body, items)| Amount { items: *items, bytes: body.len() as u64 }).sum()
    }
}

impl Forwarding {
    /// Where the destination stands in the log: at its place in the directory, or, without one, at what is appended from now on. With
    /// outcomes, they are written on its spans.
    pub(crate) fn new(
        exporter: &Exporter,
        log: &Log<LogRecord>,
        directory: Option<PathBuf>,
        outcomes: Option<&Outcomes>,
    ) -> io::Result<Self> {
        let destination = exporter.destination();
        let name = destination.name.clone();
        let mut place = Place::new(directory.map(|directory| file(&directory, &name)));
        let first = log.first();
        let noted = place.path.as_deref().map(Place::read).transpose();
        // What stands there need not be written again: the disk may be full.
        place.noted = noted.as_ref().ok().copied().flatten().flatten();
        let mut passed = match noted {
            Ok(noted) => match noted.flatten() {
                Some(noted) => noted.min(log.last()),
                None if exporter.is_new() => log.last(),
                None => {
                    tracing::warn!(destination = %name, "its place in the log is lost: it gets all that is there");
                    first.saturating_sub(1)
                }
            },
            Err(error) => {
                tracing::warn!(destination = %name, %error, "its place in the log cannot be read: it gets all that is there");
                first.saturating_sub(1)
            }
        };
        if passed + 1 < first {
            let missing = first - 1 - passed;
            tracing::warn!(destination = %name, missing, "records are no longer in the log and were not handed on");
            passed = first - 1;
        }
        // From here on it is owed what comes, whenever the process ends.
        place.reached.set(passed);
        place.write()?;
        exporter.note_placed()?;
        let wanted = Wanted { traces: destination.traces, metrics: destination.metrics, logs: destination.logs };
        let enrichment = outcomes.filter(|_| wanted.traces).map(|outcomes| Enrichment::new(outcomes.reader(passed)));
        Ok(Self {
            wanted,
            enrichment,
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

    /// How far it has come, by the name of the destination.
    pub(crate) fn position(&self) -> (String, Position) {
        (self.name.clone(), self.place.reached.clone())
    }

    /// Starts the thread. It ends when the log has ended and all was handed on, or when the exporter ends.
    pub(crate) fn start(self, runtime: Handle) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("forwarder".to_owned()).spawn(move || self.run(&runtime))
    }

    fn run(mut self, runtime: &Handle) {
        let mut ended = None;
        while let Some(batch) = self.next_batch() {
            let amount = batch.amount();
            let Batch { signal, bodies, through } = batch;
            let (log, cursor, when_full) = (&self.log, &self.cursor, self.when_full);
            // Whoever is the last one may have to make room.
            let is_given_up = || when_full == WhenFull::DropOldest && !log.has_room() && cursor.is_slowest();
            if runtime.block_on(self.forwarder.deliver(signal, bodies, is_given_up)) == Forwarded::Ended {
                ended = Some((signal, amount));
                break;
            }
            self.pass(through);
        }
        self.place.note();
        if let Some((signal, amount)) = ended {
            self.leave(signal, amount);
        }
    }

    /// The destination does not answer, and the process ends. What a log on disk holds is handed on by the next one.
    fn leave(&mut self, signal: Signal, amount: Amount) {
        if self.place.path.is_some() {
            return;
        }
        self.forwarder.count_dropped(signal, amount);
        while let Some(batch) = self.next_batch() {
            self.forwarder.count_dropped(batch.signal, batch.amount());
        }
    }

    fn pass(&mut self, through: Lsn) {
        self.cursor.advance(through);
        self.place.move_to(through);
        if let Some(enrichment) = &self.enrichment {
            enrichment.outcomes.pass(self.place.durable());
        }
    }

    /// What comes next, as much of it as the destination takes at once and is there by now; waits until something is. `None` when the log
    /// has ended and all was read.
    fn next_batch(&mut self) -> Option<Batch> {
        let mut bodies: Vec<(Bytes, u64)> = Vec::new();
        let (mut signal, mut bytes, mut through) = (None, 0, None);
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
            let mut payload = record.payload.clone();
            if its == Signal::Traces && self.enrichment.is_some() {
                let is_first = bodies.is_empty();
                if let Some(passed) = through.filter(|_| is_first) {
                    self.pass(passed);
                }
                match self.enriched(&record, is_first) {
                    Some(written) => payload = written,
                    // It ends; what a log on disk holds is handed on by the next process.
                    None if is_first => return None,
                    None => {
                        self.ahead = Some(record);
                        break;
                    }
                }
            }
            let size = payload.len() + REQUEST_OVERHEAD;
            let fits = bodies.len() < BATCH_REQUESTS && bytes + size <= self.forwarder.max_request_size();
            if signal.is_some_and(|signal| signal != its || !fits) {
                self.ahead = Some(record);
                break;
            }
            signal = Some(its);
            bytes += size;
            // data points are counted by the forwarder, which reads them anyway
            let items = match its {
                Signal::Metrics => 1,
                Signal::Traces | Signal::Logs => {
                    record.items.unwrap_or_else(|| otlp::divide::RECORDS.count(&payload).unwrap_or(1))
                }
            };
            through = Some(record.lsn);
            bodies.push((payload, items));
        }
        Some(Batch { signal: signal?, bodies, through: through? })
    }

    /// The spans of a record with what is to be written on them; `None` if that is not known yet and not waited for, or never will be
    /// in this process.
    fn enriched(&mut self, record: &RawRecord, waits: bool) -> Option<Bytes> {
        let enrichment = self.enrichment.as_mut()?;
        for tries in 1.. {
            match enrichment.outcomes.get(record.lsn, record.receive_time, waits) {
                Ok(Found::Kept(outcomes)) => return Some(enrichment.write(&self.name, record, Some(&outcomes))),
                Ok(Found::Missing) => return Some(enrichment.write(&self.name, record, None)),
                Ok(Found::NotYet | Found::Ended) => return None,
                Err(error) => tracing::error!(destination = %self.name, %error, "what became of spans cannot be read"),
            }
            if self.log.is_closed() || !waits {
                return None;
            }
            if tries % READ_TRIES == 0 {
                enrichment.outcomes.skip_unreadable();
                continue;
            }
            std::thread::sleep(READ_AGAIN);
        }
        None
    }

    /// The next record; waits for one only if nothing else is to do, and then lets the log know how far it has come.
    fn read(&mut self, waits: bool, passed: Option<Lsn>) -> Option<RawRecord> {
        for tries in 1.. {
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
            // A disk that refuses may only be away for a while; what is damaged stays so.
            let is_given_up = matches!(error, ReadError::Damaged { .. }) || tries % READ_TRIES == 0;
            if is_given_up && self.skip_unreadable() {
                continue;
            }
            if self.log.is_closed() || !waits {
                return None;
            }
            if let ReadError::Passed(_) = error {
                let wanted = self.wanted;
                let reader = self.log.read_from(self.log.first().saturating_sub(1));
                self.reader = reader.with_payloads_of(move |kind| wanted.signal(kind).is_some());
            }
            std::thread::sleep(READ_AGAIN);
        }
        None
    }

    /// Gives up what cannot be read: waiting for it would keep the rest from the destination for ever, and the log from being used again.
    /// Tells whether anything behind it can be read by now.
    fn skip_unreadable(&mut self) -> bool {
        let Some(skipped) = self.reader.skip_unreadable() else { return false };
        let records = skipped.end - skipped.start;
        tracing::error!(destination = %self.name, from = skipped.start, records, "records cannot be read, and are not handed on");
        self.forwarder.count_unreadable(records);
        true
    }
}

/// What is written on spans before they are handed on.
#[derive(Debug)]
struct Enrichment {
    recorder: Recorder,
    outcomes: outcomes::Reader,
    /// Whether what became of the newest spans is not known.
    lacks_outcomes: bool,
}

impl Enrichment {
    fn new(outcomes: outcomes::Reader) -> Self {
        Self { recorder: Recorder::default(), outcomes, lacks_outcomes: false }
    }

    /// The spans of a record as they are handed on.
    fn write(&mut self, destination: &str, record: &RawRecord, outcomes: Option<&[u8]>) -> Bytes {
        let outcomes = outcomes.and_then(|bytes| {
            let decoded = aggregate::Outcomes::decode(bytes);
            decoded.inspect_err(|error| tracing::error!(%destination, %error, "what became of spans")).ok()
        });
        if outcomes.is_none() && !self.lacks_outcomes {
            let lsn = record.lsn;
            tracing::warn!(%destination, lsn, "spans were counted before they were to be enriched: they go without outcome and cost");
        }
        self.lacks_outcomes = outcomes.is_none();
        let facts = self.recorder.facts(record.kind, &record.payload).unwrap_or_default();
        // What cannot be read goes as it is, as it would without.
        let written = aggregate::enriched(&record.payload, &facts, outcomes.as_ref());
        written.ok().flatten().map_or_else(|| record.payload.clone(), Bytes::from)
    }
}

/// How far a destination has come, in a file if it shall outlive the process.
#[derive(Debug)]
struct Place {
    path: Option<PathBuf>,
    reached: Position,
    noted: Option<Lsn>,
    noted_at: Instant,
}

impl Place {
    fn new(path: Option<PathBuf>) -> Self {
        Self { path, reached: Position::default(), noted: None, noted_at: Instant::now() }
    }

    /// What is noted; `None` if nothing was yet.
    fn read(path: &Path) -> io::Result<Option<Lsn>> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text?,
        };
        text.trim().parse().map(Some).map_err(|_| io::Error::other(format!("{}: not a number", path.display())))
    }

    fn move_to(&mut self, lsn: Lsn) {
        self.reached.set(lsn);
        if self.noted_at.elapsed() >= NOTE_EVERY {
            self.note();
        }
    }

    /// How far the next process will know that the destination has come; in this one, if none follows.
    fn durable(&self) -> Lsn {
        self.path.as_ref().map_or(self.reached.get(), |_| self.noted.unwrap_or_default())
    }

    /// Writes it down if it can; if not, more is handed on twice after a crash.
    fn note(&mut self) {
        if let Err(error) = self.write() {
            tracing::warn!(%error, "a place in the log was not noted");
        }
    }

    /// Writes it down; when this returns, it outlives the machine: without it nobody would know what is owed.
    fn write(&mut self) -> io::Result<()> {
        self.noted_at = Instant::now();
        let reached = self.reached.get();
        let Some(path) = self.path.as_ref().filter(|_| self.noted != Some(reached)) else { return Ok(()) };
        if self.noted.is_none() {
            durable::create_directory(path.parent().unwrap_or(Path::new(".")))?;
        }
        durable::write(path, reached.to_string().as_bytes())?;
        self.noted = Some(reached);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
