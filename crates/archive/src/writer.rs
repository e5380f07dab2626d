//! The archive's thread: gathers spans, and decides when a row group and when a file is complete.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use aggregate::{Applied, Lsn, Outcome};
use opentelemetry::metrics::Meter;

use crate::ahead::Ahead;
use crate::error::ArchiveError;
use crate::file::{self, FileOptions, Footer, HiddenFile, ROW_GROUP_BYTES, ROW_GROUP_ROWS};
use crate::metrics::Metrics;
use crate::path::{self, Hour};
use crate::pending::Pending;
use crate::place::{Cut, Note, Place};
use crate::room::Room;
use crate::row_hash::RowHash;
use crate::rows::RowGroups;

/// Which spans are archived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Include {
    /// Those with GenAI meaning: every outcome but `not_genai`.
    #[default]
    Genai,
    /// All.
    All,
}

/// What the archive is told.
#[derive(Debug, Clone)]
pub struct ArchiveConfig {
    /// Where the directory `spans` is, or is made.
    pub directory: PathBuf,
    /// Which spans are archived.
    pub include: Include,
    /// A file is closed by the request that makes it hold this many rows. A request is never split.
    pub max_rows: usize,
    /// A file is closed when its first request was received this long ago.
    pub max_age: Duration,
    /// Bytes of requests that wait for their row group at most, beside a fixed limit of 64 MiB: they are held in memory until it is
    /// complete, and count against the budget of the receivers.
    pub max_pending: usize,
    /// Level of zstd, 1 to 22. Higher ones than 1 cost more than they save.
    pub zstd_level: i32,
    /// Where it is noted how far the archive has come and which file is next, in a directory that is there. `None` if nothing outlives the
    /// process.
    pub place: Option<PathBuf>,
    /// Names this server in file names: letters, digits, `-` and `_`. Two servers must not share one.
    pub instance: String,
}

/// What was archived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Files published.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

/// Requests that wait for the thread before [`Archive::send`] waits too: some 50 ms of full load.
const QUEUE_REQUESTS: usize = 32;

/// Whether an archive still works.
#[derive(Debug, Clone, Default)]
pub struct Health {
    has_failed: Arc<AtomicBool>,
    room: Room,
}

impl Health {
    /// Whether a failure has stopped the archive. What comes after it is not archived.
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Acquire)
    }

    /// Whether its disk is full. It goes on when there is room, and meanwhile takes nothing more.
    pub fn is_disk_full(&self) -> bool {
        self.room.is_awaited()
    }

    /// From now on a full disk is a failure like any other: nobody has the time to wait for room.
    pub fn stop_waiting(&self) {
        self.room.give_up();
    }
}

/// What is handed to the thread.
enum Handed {
    Request(Arc<Applied>),
    /// Complete the file that is open.
    Publish,
    /// The log ended there when the server started.
    LogEnd(Lsn),
}

/// How far an archive has come.
#[derive(Debug, Clone, Default)]
pub struct Position(Arc<(Mutex<Reached>, Condvar)>);

#[derive(Debug, Default)]
struct Reached {
    lsn: Lsn,
    has_ended: bool,
}

impl Position {
    /// Up to which place in the log everything is archived, durably: published, or nothing that is kept.
    pub fn get(&self) -> Lsn {
        self.reached().lsn
    }

    /// Waits until it has come to `lsn`. False if the archive has ended before.
    pub fn wait_for(&self, lsn: Lsn) -> bool {
        let Self(shared) = self;
        let is_awaited = |reached: &mut Reached| reached.lsn < lsn && !reached.has_ended;
        let reached = shared.1.wait_while(self.reached(), is_awaited).unwrap_or_else(PoisonError::into_inner);
        reached.lsn >= lsn
    }

    fn set(&self, lsn: Lsn) {
        self.reached().lsn = lsn;
        self.0.1.notify_all();
    }

    fn end(&self) {
        self.reached().has_ended = true;
        self.0.1.notify_all();
    }

    fn reached(&self) -> MutexGuard<'_, Reached> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The archive. Dropped without [`Archive::finish`], it completes its file in the background.
#[derive(Debug)]
pub struct Archive {
    queue: SyncSender<Handed>,
    thread: JoinHandle<Result<Totals, ArchiveError>>,
    health: Health,
    position: Position,
    /// Everything up to here was archived by an earlier run.
    archived_before: Lsn,
    metrics: Metrics,
}

impl Archive {
    /// Prepares the directory, removes what a dead server left in it, and starts the thread.
    ///
    /// # Errors
    /// The directory can't be made, read or written, or the configuration is invalid.
    pub fn start(config: ArchiveConfig, meter: &Meter) -> Result<Self, ArchiveError> {
        if !path::is_valid_instance(&config.instance) {
            return Err(ArchiveError::Instance(config.instance));
        }
        let options = FileOptions::new(config.zstd_level)?;
        let groups = RowGroups::new(options.press()?);
        let table = config.directory.join(path::TABLE);
        durable::create_directory(&table).map_err(ArchiveError::io("create directory", &table))?;
        let file::Found { removed, newest } = file::look_through(&table, &config.instance)?;
        let place = Place::new(config.place.clone(), config.instance.clone());
        let Note { archived, cut } = place.read()?;
        let archived_before = newest.max(archived);
        if removed > 0 {
            tracing::info!(files = removed, "removed incomplete archive files of an earlier run");
        }
        // Better refused now than after the first spans were acknowledged. Dropped, it is gone.
        let no_wait = Room::default();
        no_wait.give_up();
        drop(HiddenFile::create(&table, &config.instance, 0, &options, &no_wait)?);

        let position = Position::default();
        position.set(archived_before);
        let metrics = Metrics::new(meter);
        let health = Health::default();
        let (queue, inbox) = mpsc::sync_channel(QUEUE_REQUESTS);
        let writer = Writer {
            table,
            config,
            options,
            metrics: metrics.clone(),
            room: health.room.clone(),
            open: None,
            groups,
            place,
            cut,
            totals: Totals::default(),
            received: archived_before,
            position: position.clone(),
        };
        let failed = Arc::clone(&health.has_failed);
        let thread =
            thread::Builder::new().name("archive".to_owned()).spawn(move || run(writer, inbox, &failed)).map_err(
                |source| ArchiveError::Io { action: "start the thread for", path: PathBuf::from(path::TABLE), source },
            )?;
        Ok(Self { queue, thread, health, position, archived_before, metrics })
    }

    /// Hands a request over. Waits while the queue is full: the archive is no faster than its disk, and nothing is dropped while that
    /// is full either.
    /// After a failure it returns at once, and the request is counted as dropped. What an earlier run has archived is passed over:
    /// the log gives it again if the server died.
    pub fn send(&self, request: Arc<Applied>) {
        if request.lsn <= self.archived_before {
            return;
        }
        // Counted before, as the thread may be done with it by the time it is sent.
        self.metrics.queue.add(1, &[]);
        if self.queue.send(Handed::Request(request)).is_err() {
            self.metrics.queue.add(-1, &[]);
            self.metrics.dropped.add(1, &[]);
        }
    }

    /// Tells where the log ended at the start, before any request is sent: an earlier run may have cut a file behind that, of requests that
    /// are lost. Others have their places now.
    pub fn log_ends_at(&self, lsn: Lsn) {
        // After a failure there is no file; `health` tells of it.
        let _ = self.queue.send(Handed::LogEnd(lsn));
    }

    /// Completes the file that is open, whatever its age and size: somebody waits for [`Archive::position`]. One that an earlier run has cut
    /// is complete where it was cut, and not before.
    pub fn publish(&self) {
        // After a failure there is nothing to publish; `health` tells of it.
        let _ = self.queue.send(Handed::Publish);
    }

    /// A handle that tells how far it has come.
    pub fn position(&self) -> Position {
        self.position.clone()
    }

    /// A handle that tells whether the archive works; [`Archive::finish`] tells which.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Archives what was sent, completes the file, and ends the thread.
    ///
    /// # Errors
    /// What stopped the archive, now or earlier.
    pub fn finish(self) -> Result<Totals, ArchiveError> {
        drop(self.queue);
        self.thread.join().unwrap_or(Err(ArchiveError::ThreadDied))
    }
}

/// The thread. When it returns, the inbox is gone and nobody waits on the queue any more.
fn run(mut writer: Writer, inbox: Receiver<Handed>, has_failed: &AtomicBool) -> Result<Totals, ArchiveError> {
    let result = writer.run(&inbox);
    if let Err(error) = &result {
        tracing::error!(%error, "the archive has stopped");
        has_failed.store(true, Ordering::Release);
        writer.metrics.errors.add(1, &[]);
    }
    result.map(|()| writer.totals)
}

/// What the thread works with.
struct Writer {
    table: PathBuf,
    config: ArchiveConfig,
    options: FileOptions,
    metrics: Metrics,
    room: Room,
    open: Option<OpenFile>,
    groups: RowGroups,
    place: Place,
    /// What an earlier run has decided to make one file, and died before. If its file was published, nothing of it comes any more.
    cut: Option<Cut>,
    totals: Totals,
    /// The newest request that was handed over.
    received: Lsn,
    position: Position,
}

/// The file that rows are gathered for. It is on disk only from its first row group on.
struct OpenFile {
    hour: Hour,
    /// When its first request was received.
    first_received: u64,
    end: End,
    lsn_from: Lsn,
    lsn_to: Lsn,
    rows: usize,
    /// Of those that are written.
    hash: RowHash,
    pending: Pending,
    file: Option<HiddenFile>,
}

/// What ends a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Its age, size or hour, or that somebody asks for it. From this instant on the clock on the wall says that it is too old, whatever is
    /// received.
    Undecided(Instant),
    /// This request: an earlier run has cut it there.
    Cut(Lsn),
}

impl OpenFile {
    fn new(first: &Applied, end: End) -> Self {
        Self {
            hour: Hour::of(first.receive_time),
            first_received: first.receive_time,
            end,
            lsn_from: first.lsn,
            lsn_to: first.lsn,
            rows: 0,
            hash: RowHash::default(),
            pending: Pending::default(),
            file: None,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if let End::Undecided(deadline) = self.end { Some(deadline) } else { None }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // However the thread ends, nobody waits for it any more.
        self.position.end();
    }
}

impl Writer {
    fn run(&mut self, inbox: &Receiver<Handed>) -> Result<(), ArchiveError> {
        loop {
            let deadline = self.open.as_ref().and_then(OpenFile::deadline);
            let received = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(Duration::ZERO) => Err(RecvTimeoutError::Timeout),
                Some(time_left) => inbox.recv_timeout(time_left),
            };
            match received {
                Ok(Handed::Request(request)) => {
                    self.metrics.queue.add(-1, &[]);
                    self.add(request)?;
                }
                Ok(Handed::LogEnd(last)) => self.cut = self.cut.filter(|cut| cut.lsn_to <= last),
                Ok(Handed::Publish) | Err(RecvTimeoutError::Timeout) => self.close_early()?,
                Err(RecvTimeoutError::Disconnected) => return self.close_early(),
            }
        }
    }

    fn add(&mut self, request: Arc<Applied>) -> Result<(), ArchiveError> {
        if self.open.as_ref().is_some_and(|open| !self.belongs(&request, open)) {
            self.close()?;
        }
        let lsn = request.lsn;
        self.take(request)?;
        self.received = lsn;
        if self.open.as_ref().is_some_and(|open| self.is_complete(open)) {
            self.close()?;
        }
        if self.open.is_none() {
            self.position.set(lsn);
        }
        Ok(())
    }

    fn take(&mut self, request: Arc<Applied>) -> Result<(), ArchiveError> {
        let include = self.config.include;
        let outcomes = Arc::clone(&request);
        let is_kept = |position: usize| {
            outcomes.outcomes.get(position).is_some_and(|outcome| {
                !outcome.is_repeated() && (include == Include::All || outcome.outcome != Outcome::NotGenai)
            })
        };
        if !(0..request.facts.len()).any(is_kept) {
            return Ok(());
        }
        let end = self.end_of(request.lsn);
        let open = self.open.get_or_insert_with(|| OpenFile::new(&request, end));
        open.lsn_to = request.lsn;
        open.rows += open.pending.add(request, is_kept);
        if open.pending.len() >= ROW_GROUP_ROWS || open.pending.bytes() >= self.config.max_pending.min(ROW_GROUP_BYTES)
        {
            self.write_row_group()?;
        }
        Ok(())
    }

    /// What ends a file that begins with a request.
    fn end_of(&self, first: Lsn) -> End {
        if let Some(cut) = self.cut.filter(|cut| cut.holds(first)) {
            return End::Cut(cut.lsn_to);
        }
        let now = Instant::now();
        End::Undecided(now.checked_add(self.config.max_age).unwrap_or(now))
    }

    fn belongs(&self, request: &Applied, open: &OpenFile) -> bool {
        if let End::Cut(lsn_to) = open.end {
            return request.lsn <= lsn_to;
        }
        let age = Duration::from_nanos(request.receive_time.saturating_sub(open.first_received));
        let is_cut = self.cut.is_some_and(|cut| cut.holds(request.lsn));
        !is_cut && Hour::of(request.receive_time) == open.hour && age < self.config.max_age
    }

    fn is_complete(&self, open: &OpenFile) -> bool {
        match open.end {
            End::Undecided(_) => open.rows >= self.config.max_rows,
            End::Cut(lsn_to) => self.received >= lsn_to,
        }
    }

    /// Writes what is pending as one row group, or as several if one request has more rows than that may have.
    fn write_row_group(&mut self) -> Result<(), ArchiveError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let file = match &mut open.file {
            Some(file) => file,
            none => {
                let directory = self.table.join(open.hour.partition());
                none.insert(HiddenFile::create(
                    &directory,
                    &self.config.instance,
                    open.lsn_from,
                    &self.options,
                    &self.room,
                )?)
            }
        };
        let mut pending = std::mem::take(&mut open.pending);
        let mut left = pending.len();
        let hash = &mut open.hash;
        // The hash looks at a span after it was fetched: before, it would wait for memory.
        let mut spans = Ahead::of(pending.sorted()).inspect(|(request, position)| hash.add(request, *position));
        while left > 0 {
            let rows = left.min(ROW_GROUP_ROWS);
            file.write_row_group(spans.by_ref().take(rows), rows, &mut self.groups)?;
            left -= rows;
        }
        Ok(())
    }

    /// Completes the file before its time. One that was cut would be another than it was to be: it is published where it ends, or by the next
    /// run.
    fn close_early(&mut self) -> Result<(), ArchiveError> {
        match &self.open {
            Some(OpenFile { end: End::Cut(_), .. }) => Ok(()),
            _ => self.close(),
        }
    }

    /// Completes the file, if there is one.
    fn close(&mut self) -> Result<(), ArchiveError> {
        let Some(&OpenFile { lsn_from, lsn_to, .. }) = self.open.as_ref() else {
            return Ok(());
        };
        // From now on it is this file, whatever happens until it has its name.
        self.note(Note { archived: self.position.get(), cut: Some(Cut { lsn_from, lsn_to }) })?;
        self.write_row_group()?;
        let Some(OpenFile { file: Some(file), rows, hash, .. }) = self.open.take() else {
            return Ok(());
        };
        let size = file.publish(Footer { instance: &self.config.instance, lsn_from, lsn_to, rows, hash })?;
        // Everything that was handed over is in it or before it.
        let done = self.received;
        self.note(Note { archived: done, cut: None })?;
        self.position.set(done);
        self.totals.files += 1;
        self.totals.rows += rows as u64;
        self.totals.bytes += size;
        self.metrics.files.add(1, &[]);
        self.metrics.rows.add(rows as u64, &[]);
        self.metrics.bytes.add(size, &[]);
        Ok(())
    }

    fn note(&self, note: Note) -> Result<(), ArchiveError> {
        self.room.wait_for(|| self.place.write(note))
    }
}
