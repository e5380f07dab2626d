//! Checkpoints: taken between two records, and written when nothing before them is needed any more.
//!
//! A thread of its own writes them, tens of megabytes at a time: meanwhile records are applied, and what clients send finds room.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use aggregate::Lsn;
use wal::{Checkpoints, Cursor};

use crate::applier::SharedPipeline;
use crate::outcomes;
use crate::recorder::LogRecord;
use crate::stored::Stored;

/// How often a checkpoint is taken at least while anything is applied, nanoseconds of receive time.
const EVERY: u64 = 30 * 1_000_000_000;
/// How much of the log is applied between checkpoints at most: this part of its size.
const SHARE: u64 = 8;

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

/// Takes checkpoints, and has them written.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    writer: Writer,
    /// Not given to the writer: what it does not hold is not archived yet.
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
    /// Goes on behind the checkpoint that was restored, given as its record and up to where requests had been handed on. When one is on
    /// disk, `cursor` moves on.
    pub(crate) fn start(
        checkpoints: Checkpoints,
        restored: (Lsn, Lsn),
        cursor: Cursor<LogRecord>,
        log_size: u64,
    ) -> io::Result<Self> {
        let writer = Writer::start(Files { checkpoints, written: VecDeque::from([restored]), cursor })?;
        Ok(Self { writer, taken: None, every: log_size / SHARE, applied: 0, since: 0 })
    }

    /// A record was applied, and `safe` tells what sinks have of all up to it. Tells whether the archive is waited for.
    pub(crate) fn applied(&mut self, record: Progressed, shared: &SharedPipeline, safe: Safe<'_>) -> bool {
        let (is_due, is_waiting) = (self.is_due(record), self.taken.is_some());
        if is_due && !is_waiting {
            self.take(record, shared);
        }
        self.write_if(safe);
        is_due && is_waiting && self.taken.is_some()
    }

    /// Nothing comes any more, and everything is archived: writes what is left.
    pub(crate) fn finish(mut self, record: Progressed, shared: &SharedPipeline, outcomes: Option<&outcomes::Writer>) {
        self.take(record, shared);
        self.write_if(Safe { given: record.lsn, archived: None, outcomes });
        self.writer.finish();
    }

    /// Whether so much was applied since the last time that a checkpoint is due, or so long ago. One that is taken and waits for the
    /// archive is let wait, unless the log fills up behind it. While one is written, there is no other.
    fn is_due(&mut self, record: Progressed) -> bool {
        self.applied += record.bytes;
        if self.since == 0 {
            self.since = record.receive_time;
        }
        let is_old = record.receive_time.saturating_sub(self.since) >= EVERY;
        let is_due = self.applied >= self.every || (is_old && self.taken.is_none());
        if !is_due || self.writer.is_busy() {
            return false;
        }
        (self.applied, self.since) = (0, record.receive_time);
        true
    }

    fn take(&mut self, record: Progressed, shared: &SharedPipeline) {
        let pipeline = shared.lock();
        let handed_on = pipeline.oldest_waiting().map_or(record.lsn, |waiting| waiting - 1);
        let monitoring = shared.monitoring().checkpoint();
        let bytes =
            Stored::encode(self.writer.room(), handed_on, |bytes| pipeline.write_checkpoint(bytes), &monitoring);
        self.taken = Some(Taken { lsn: record.lsn, handed_on, bytes });
    }

    /// Writes the checkpoint that is taken, if sinks have what it does not hold. If that cannot be found out, it is given up: the next one
    /// tries again.
    fn write_if(&mut self, safe: Safe<'_>) {
        let is_safe = self.taken.as_ref().map_or(Ok(false), |taken| safe.has(taken.handed_on));
        if let Err(error) = &is_safe {
            tracing::error!(%error, "what became of spans was not made durable, and no checkpoint is written");
            self.taken = None;
        }
        if let Some(taken) = self.taken.take_if(|_| matches!(is_safe, Ok(true))) {
            self.writer.write(taken);
        }
    }
}

/// The end of the thread that writes. When it is dropped, the thread ends with what it was given.
#[derive(Debug)]
struct Writer {
    taken: mpsc::Sender<Taken>,
    /// The memory of those that are written.
    room: mpsc::Receiver<Vec<u8>>,
    is_busy: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(mut files: Files) -> io::Result<Self> {
        let (sender, taken) = mpsc::channel::<Taken>();
        let (written, room) = mpsc::channel();
        let is_busy = Arc::new(AtomicBool::new(false));
        let busy = Arc::clone(&is_busy);
        let write = move || {
            for taken in taken {
                files.write(&taken);
                // Nobody may be left who wants it.
                let _ = written.send(taken.bytes);
                busy.store(false, Ordering::Release);
            }
        };
        let thread = thread::Builder::new().name("checkpoints".to_owned()).spawn(write)?;
        Ok(Self { taken: sender, room, is_busy, thread })
    }

    /// Memory for the next one, which is about as long as the last: to grow would be to copy it several times, and to take tens of megabytes
    /// from the operating system anew costs as much as to fill them.
    fn room(&self) -> Vec<u8> {
        let mut room = self.room.try_recv().unwrap_or_default();
        room.clear();
        room
    }

    fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Acquire)
    }

    fn write(&self, taken: Taken) {
        self.is_busy.store(true, Ordering::Release);
        if self.taken.send(taken).is_err() {
            tracing::error!("a checkpoint was not written: the thread that writes them is gone");
        }
    }

    /// Waits until what was given is written.
    fn finish(self) {
        drop(self.taken);
        if self.thread.join().is_err() {
            tracing::error!("the thread that writes checkpoints panicked");
        }
    }
}

/// The checkpoints on disk, and what the log keeps for them.
#[derive(Debug)]
struct Files {
    checkpoints: Checkpoints,
    /// Those on disk, the oldest first, and up to where their requests had been handed on.
    written: VecDeque<(Lsn, Lsn)>,
    cursor: Cursor<LogRecord>,
}

impl Files {
    fn write(&mut self, taken: &Taken) {
        match self.checkpoints.write(taken.lsn, &taken.bytes) {
            Ok(covered) => {
                self.written.push_back((taken.lsn, taken.handed_on));
                while self.written.front().is_some_and(|(lsn, _)| *lsn < covered) {
                    self.written.pop_front();
                }
                if let Some((_, handed_on)) = self.written.front().filter(|(lsn, _)| *lsn == covered) {
                    self.cursor.advance(*handed_on);
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
