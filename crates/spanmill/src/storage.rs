//! What outlives the process: the log, and checkpoints of what was made of it.
//!
//! The state is a function of checkpoint and log: a start restores the newest checkpoint and applies what the log has behind it. So
//! the log must keep what is not in a checkpoint, and of the requests in it those that are not archived.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use aggregate::{Lsn, Pipeline, Settings};
use bytes::Bytes;
use genai::SpanFacts;
use monitor::Monitoring;
use wal::{Checkpoints, Cursor, Directory, Log, RawReader, Reader, Start};

use crate::applier::SharedPipeline;
use crate::clock::Clock;
use crate::config::Config;
use crate::failure::Failure;
use crate::forward;
use crate::outcomes;
use crate::recorder::{LogRecord, Recorder};
use crate::stored::Stored;
use crate::watching;

/// How often a checkpoint is taken at least while anything is applied, nanoseconds of receive time.
const CHECKPOINT_EVERY: u64 = 30 * 1_000_000_000;
/// How much of the log is applied between checkpoints at most: this part of its size.
const CHECKPOINT_SHARE: u64 = 8;

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
            // Where outcomes are written on spans, it is these requests that the log holds, and half of it is for others.
            let waiting = if config.enriches() { budget / 4 } else { 0 };
            let (log, reader) = Log::in_memory(memory_limit + 2 * waiting, told);
            let keeper = Keeper { cursor: log.cursor(), checkpointer: None, is_stopped: false };
            let (pipeline, monitoring) = (Pipeline::new(settings), Monitoring::new(&watched)?);
            return Ok(Self { pipeline, monitoring, log, reader, keeper, applied: 0, handed_on: 0 });
        };
        let max_size = config.storage.wal.max_size.bytes();
        let log_settings = wal::Settings { max_size, segment_size: None, memory_limit, compression: None };
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
        let checkpointer = Checkpointer {
            checkpoints,
            written: VecDeque::from([(applied, handed_on)]),
            taken: None,
            every: max_size / CHECKPOINT_SHARE,
            applied: 0,
            since: 0,
        };
        let keeper = Keeper { cursor, checkpointer: Some(checkpointer), is_stopped: false };
        Ok(Self { pipeline, monitoring, log, reader, keeper, applied, handed_on })
    }
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
pub(crate) struct Keeper {
    cursor: Cursor<LogRecord>,
    /// `None` if nothing outlives the process.
    checkpointer: Option<Checkpointer>,
    /// Nothing of the log is given up any more.
    is_stopped: bool,
}

impl Keeper {
    /// A record was applied, and `safe` tells what sinks have of all up to it. Tells whether the archive is waited for: it should
    /// publish what it has, or the log fills up.
    #[must_use]
    pub(crate) fn applied(&mut self, record: Progressed, pipeline: &SharedPipeline, safe: Safe<'_>) -> bool {
        let Some(checkpointer) = &mut self.checkpointer else {
            if !self.is_stopped {
                self.cursor.advance(record.lsn);
            }
            return false;
        };
        let (is_due, is_waiting) = (checkpointer.is_due(record), checkpointer.taken.is_some());
        if is_due && !is_waiting {
            checkpointer.take(record, pipeline);
        }
        checkpointer.write_if(safe, &self.cursor);
        is_due && is_waiting && checkpointer.taken.is_some()
    }

    /// A sink does not have what it was given: from now on the log keeps it, and no checkpoint passes it.
    pub(crate) fn stop(&mut self) {
        if self.checkpointer.take().is_some() {
            self.is_stopped = true;
        }
    }

    /// Everything was applied and archived: what is left of the log is put into a checkpoint.
    pub(crate) fn finish(
        mut self,
        record: Option<Progressed>,
        pipeline: &SharedPipeline,
        outcomes: Option<&outcomes::Writer>,
    ) {
        if let (Some(checkpointer), Some(record)) = (&mut self.checkpointer, record) {
            checkpointer.take(record, pipeline);
            checkpointer.write_if(Safe { given: record.lsn, archived: None, outcomes }, &self.cursor);
        }
    }
}

/// What sinks have of the records that were applied: a checkpoint must not pass what they have not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Safe<'a> {
    /// The newest request that was given to the sinks.
    pub(crate) given: Lsn,
    /// All requests up to here are archived; `None` without an archive.
    pub(crate) archived: Option<Lsn>,
    /// They were given all outcomes.
    pub(crate) outcomes: Option<&'a outcomes::Writer>,
}

impl Safe<'_> {
    /// Whether all up to `lsn` outlives the machine.
    fn has(&self, lsn: Lsn) -> io::Result<bool> {
        // Behind what was given there are only ticks. To wait for the next request would be to wait for ever, if the log is full until there is a
        // checkpoint.
        let needed = lsn.min(self.given);
        if self.archived.is_some_and(|archived| archived < needed) {
            return Ok(false);
        }
        self.outcomes.map_or(Ok(()), outcomes::Writer::sync)?;
        Ok(true)
    }
}

/// A record that was applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progressed {
    pub(crate) lsn: Lsn,
    pub(crate) receive_time: u64,
    /// What it takes of the log.
    pub(crate) bytes: u64,
}

/// Takes checkpoints, and writes each when nothing before it is needed any more.
#[derive(Debug)]
struct Checkpointer {
    checkpoints: Checkpoints,
    /// Those on disk, the oldest first, and up to where their requests had been handed on.
    written: VecDeque<(Lsn, Lsn)>,
    /// Taken, but not written: what it does not hold is not archived yet.
    taken: Option<Taken>,
    /// Bytes to apply between checkpoints.
    every: u64,
    /// Bytes applied since the last one was taken, and its receive time.
    applied: u64,
    since: u64,
}

#[derive(Debug)]
struct Taken {
    lsn: Lsn,
    handed_on: Lsn,
    bytes: Vec<u8>,
}

impl Checkpointer {
    /// Whether so much was applied since the last time that a checkpoint is due, or so long ago. One that is taken and waits for the
    /// archive is let wait, unless the log fills up behind it.
    fn is_due(&mut self, record: Progressed) -> bool {
        self.applied += record.bytes;
        if self.since == 0 {
            self.since = record.receive_time;
        }
        let is_old = record.receive_time.saturating_sub(self.since) >= CHECKPOINT_EVERY;
        let is_due = self.applied >= self.every || (is_old && self.taken.is_none());
        if is_due {
            (self.applied, self.since) = (0, record.receive_time);
        }
        is_due
    }

    fn take(&mut self, record: Progressed, shared: &SharedPipeline) {
        let pipeline = shared.lock();
        let handed_on = pipeline.oldest_waiting().map_or(record.lsn, |waiting| waiting - 1);
        let bytes = Stored::encode(handed_on, &pipeline.checkpoint(), &shared.monitoring().checkpoint());
        self.taken = Some(Taken { lsn: record.lsn, handed_on, bytes });
    }

    /// Writes the checkpoint that is taken, if sinks have what it does not hold. If that cannot be found out, it is given up: the next one
    /// tries again.
    fn write_if(&mut self, safe: Safe<'_>, cursor: &Cursor<LogRecord>) {
        let is_safe = self.taken.as_ref().map_or(Ok(false), |taken| safe.has(taken.handed_on));
        if let Err(error) = &is_safe {
            tracing::error!(%error, "what became of spans was not made durable, and no checkpoint is written");
            self.taken = None;
        }
        let Some(taken) = self.taken.take_if(|_| matches!(is_safe, Ok(true))) else { return };
        match self.checkpoints.write(taken.lsn, &taken.bytes) {
            Ok(covered) => {
                self.written.push_back((taken.lsn, taken.handed_on));
                while self.written.front().is_some_and(|(lsn, _)| *lsn < covered) {
                    self.written.pop_front();
                }
                if let Some((_, handed_on)) = self.written.front().filter(|(lsn, _)| *lsn == covered) {
                    cursor.advance(*handed_on);
                }
            }
            // The log keeps what it would have freed. If it stays so, the log becomes full and says so.
            Err(error) => tracing::error!(%error, "a checkpoint was not written"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A checkpoint waits for the archive to have what it was given, and for nothing else: ticks come even if no request does.
    #[test]
    fn a_checkpoint_waits_for_what_was_given() {
        let has = |given, archived, lsn| Safe { given, archived, outcomes: None }.has(lsn).unwrap();
        assert!(has(7, Some(7), 9), "behind the newest request are ticks");
        assert!(!has(7, Some(6), 9));
        assert!(has(9, Some(7), 7));
        assert!(!has(9, Some(7), 8));
        assert!(has(9, None, 9), "there is no archive");
    }
}
