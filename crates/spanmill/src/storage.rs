//! What outlives the process: the log, and checkpoints of what was made of it.
//!
//! The state is a function of checkpoint and log: a start restores the newest checkpoint and applies what the log has behind it. So
//! the log must keep what is not in a checkpoint, and of the requests in it those that are not archived.

use std::path::PathBuf;

use aggregate::{Lsn, Pipeline, Settings};
use bytes::Bytes;
use genai::SpanFacts;
use monitor::Monitoring;
use wal::{Checkpoints, Cursor, Directory, Log, RawReader, Reader, Start};

use crate::applier::SharedPipeline;
use crate::checkpointer::{Checkpointer, Given, Progressed};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::sections::Zstd;
use crate::failure::Failure;
use crate::forward;
use crate::outcomes;
use crate::recorder::{LogRecord, Recorder};
use crate::stored::Stored;
use crate::watching;

/// Where an instance lives.
#[derive(Debug)]
pub(crate) struct Home {
    /// `collector.instance.id`.
    pub(crate) instance_id: String,
    /// `None` if nothing outlives the process.
    directory: Option<Directory>,
}

impl Home {
    /// A place in the data directory, if anything outlives the process.
    pub(crate) fn place(&self, config: &Config, name: &str) -> Option<PathBuf> {
        self.directory.as_ref().map(|_| config.storage.directory.join(name))
    }

    /// Takes the data directory, if there is to be a log on disk: no other process has it at the same time. Without one an instance does
    /// not outlive its process, and neither does its id.
    pub(crate) fn take(config: &Config) -> Result<Self, Failure> {
        let new_id = || uuid::Uuid::new_v4().simple().to_string();
        if !config.storage.wal.enabled {
            return Ok(Self { instance_id: new_id(), directory: None });
        }
        let directory = Directory::open(&config.storage.directory)?;
        Ok(Self { instance_id: directory.instance_id(new_id)?, directory: Some(directory) })
    }
}

/// Bytes of records for whose application further requests wait, where the applier waits for nobody: more of them would take memory and be
/// applied no sooner.
const MOST_TO_APPLY: usize = 8 << 20;

/// The log with what was made of it so far.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) pipeline: Pipeline,
    pub(crate) monitoring: Monitoring,
    pub(crate) log: Log<LogRecord>,
    pub(crate) reader: Reader<LogRecord>,
    pub(crate) keeper: Keeper,
    /// The last record that the pipeline has applied.
    pub(crate) applied: Lsn,
    /// All requests up to here had their outcomes before, and have been told of.
    pub(crate) handed_on: Lsn,
}

impl Storage {
    /// Opens the log and restores the newest checkpoint.
    pub(crate) fn open(home: Home, config: &Config, settings: Settings, recorder: &Recorder) -> Result<Self, Failure> {
        // What waits to be applied takes memory beside the requests that wait for their outcomes, and helps nobody.
        let budget = config.receivers.otlp.memory_budget.as_usize();
        let memory_limit = budget / 8;
        let watched = config.watched();
        let home_forwarded = home.place(config, "forwarded");
        let clock = Clock::default();
        let told = {
            let clock = clock.clone();
            move || clock.now()
        };
        let Some(directory) = home.directory else {
            let (log, reader) = Log::in_memory(memory_of_log(config, budget), told);
            let keeper = Keeper::Memory(log.cursor());
            let (pipeline, monitoring) = (Pipeline::new(settings), Monitoring::new(&watched)?);
            return Ok(Self { pipeline, monitoring, log, reader, keeper, applied: 0, handed_on: 0 });
        };
        let max_size = config.storage.wal.max_size.bytes();
        let compression = config.storage.wal.compression.map(|Zstd(level)| i32::from(level));
        let log_settings = wal::Settings { max_size, segment_size: None, memory_limit, compression };
        let mut checkpoints = Checkpoints::open(&directory)?;
        let newest = checkpoints.newest()?;
        for (path, problem) in &newest.damaged {
            tracing::warn!(path = %path.display(), problem, "a checkpoint is damaged: the one before it is taken");
        }
        let stored = newest.checkpoint.as_ref().map(|newest| Stored::decode(newest.lsn, &newest.bytes)).transpose()?;
        let (applied, handed_on) = stored.as_ref().map_or((0, 0), |stored| (stored.lsn, stored.handed_on));
        // What the older checkpoint would need is kept, and what destinations have not got. With one checkpoint, that is all there is.
        let older = checkpoints.older()?;
        let older = older.as_ref().map(|older| Stored::decode(older.lsn, &older.bytes)).transpose()?;
        if let Some(places) = home_forwarded.as_deref().filter(|places| places.exists()) {
            // They are believed from here on: a killed process may have left names that were not durable yet.
            let synced = durable::create_directory(places).and_then(|()| durable::sync_names(places));
            synced.map_err(Failure::io("making places in the log durable"))?;
        }
        let owed = forward::owed_from(home_forwarded.as_deref(), config);
        let kept = older.map_or(0, |older| older.handed_on).min(owed.unwrap_or(Lsn::MAX));
        let start = Start { applied, needed: handed_on, kept };
        let restore = {
            let recorder = recorder.clone();
            move |kind, payload| recorder.restore(kind, payload)
        };
        let (log, reader) = Log::open(&directory, &log_settings, start, told, restore)?;
        clock.go_on_from(log.receive_time());
        let cursor = log.cursor_at(0);
        let (pipeline, monitoring) = match stored {
            None => (Pipeline::new(settings), Monitoring::new(&watched)?),
            Some(stored) => {
                let mut waiting = Waiting { log: log.read_from(stored.handed_on), recorder };
                let pipeline = Pipeline::restore(settings, stored.pipeline, |lsn| waiting.request(lsn))
                    .map_err(|error| Failure::Checkpoint { lsn: stored.lsn, reason: error.to_string() })?;
                (pipeline, watching::restore(&watched, stored.monitoring)?)
            }
        };
        let checkpointer = Checkpointer::start(checkpoints, (applied, handed_on), cursor, max_size)
            .map_err(Failure::io("starting the thread that writes checkpoints"))?;
        let keeper = Keeper::Disk(checkpointer);
        Ok(Self { pipeline, monitoring, log, reader, keeper, applied, handed_on })
    }
}

/// How much memory a log that is nowhere else takes.
fn memory_of_log(config: &Config, budget: usize) -> wal::Memory {
    let limit = budget / 8;
    // Disk and destinations may stand still for a while.
    if config.archive.is_none() && config.exporters.otlp.is_empty() {
        return wal::Memory { room: MOST_TO_APPLY, limit };
    }
    // Where outcomes are written on spans, it is the requests that wait for them that the log holds, and half of it is for others.
    let waiting = if config.enriches() { budget / 4 } else { 0 };
    wal::Memory::up_to(limit + 2 * waiting)
}

/// Requests that wait for outcomes, read again from the log.
struct Waiting<'a> {
    log: RawReader<LogRecord>,
    recorder: &'a Recorder,
}

impl Waiting<'_> {
    /// They are asked for in the order of the log.
    fn request(&mut self, lsn: Lsn) -> Option<(Bytes, Vec<SpanFacts>)> {
        loop {
            let record = self.log.try_next().inspect_err(|error| tracing::error!(%error, "reading the log")).ok()??;
            if record.lsn == lsn {
                let facts = self.recorder.facts(record.kind, &record.payload)?;
                return Some((record.payload, facts));
            }
            if record.lsn > lsn {
                return None;
            }
        }
    }
}

/// Says which part of the log is no longer needed.
#[derive(Debug)]
pub(crate) enum Keeper {
    /// Nothing outlives the process: what is applied is not needed any more.
    Memory(Cursor<LogRecord>),
    /// What a checkpoint holds is not needed any more.
    Disk(Checkpointer),
    /// A sink does not have what it was given: from now on the log keeps it, and no checkpoint passes it.
    Stopped,
}

impl Keeper {
    /// A record was applied, and what came of it was given to sinks. Tells whether the archive is waited for: it should publish what it has,
    /// or the log fills up.
    #[must_use]
    pub(crate) fn applied(&mut self, record: Progressed, pipeline: &SharedPipeline, given: Given<'_>) -> bool {
        match self {
            Self::Memory(cursor) => cursor.advance(record.lsn),
            Self::Disk(checkpointer) => return checkpointer.applied(record, pipeline, given),
            Self::Stopped => {}
        }
        false
    }

    /// See [`Keeper::Stopped`].
    pub(crate) fn stop(&mut self) {
        if matches!(self, Self::Disk(_)) {
            *self = Self::Stopped;
        }
    }

    /// Everything was applied and archived: what is left of the log is put into a checkpoint.
    pub(crate) fn finish(
        self,
        record: Option<Progressed>,
        pipeline: &SharedPipeline,
        outcomes: Option<&outcomes::Writer>,
    ) {
        if let (Self::Disk(checkpointer), Some(record)) = (self, record) {
            checkpointer.finish(record, pipeline, outcomes);
        }
    }
}
