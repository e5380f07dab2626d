//! Checkpoints: taken between two records, and written when nothing before them is needed any more.
//!
//! A thread of its own writes them, tens of megabytes at a time: meanwhile records are applied, and what clients send finds room.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use aggregate::Lsn;
use archive::Position;
use wal::{Checkpoints, Cursor};

use crate::applier::SharedPipeline;
use crate::outcomes;
use crate::recorder::LogRecord;
use crate::stored::Stored;

/// How often a checkpoint is taken at least while anything is applied, nanoseconds of receive time.
const EVERY: u64 = 30 * 1_000_000_000;
/// How much of the log is applied between checkpoints at most: this part of its size.
const SHARE: u64 = 6;

/// What sinks were given of the records that were applied: a checkpoint must not pass what they have not made durable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    /// The newest request of all.
    pub(crate) newest: Lsn,
    /// The archive has got them all; `None` without one.
    pub(crate) archive: Option<&'a Position>,
    /// They were given all outcomes.
    pub(crate) outcomes: Option<&'a outcomes::Writer>,
}

impl Given<'_> {
    /// Up to where the archive must have come, so that all requests up to `handed_on` are in it. Behind the newest there are only ticks, of which it
    /// gets none: to wait for the next request would be to wait for ever, if the log is full until there is a checkpoint.
    fn waits_for(&self, handed_on: Lsn) -> Option<(Position, Lsn)> {
        self.archive.map(|archive| (archive.clone(), handed_on.min(self.newest)))
    }
}

/// A record that was applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progressed {
    pub(crate) lsn: Lsn,
    pub(crate) receive_time: u64,
    /// Its bytes, before the log compresses them.
    pub(crate) bytes: u64,
}

/// Takes checkpoints, and has them written.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    writer: Writer,
    /// Bytes to apply between checkpoints.
    every: u64,
    /// Bytes applied since the last one was taken, and its receive time.
    applied: u64,
    since: u64,
    /// The archive was told that the one that was taken last waits for it.
    has_asked: bool,
}

#[derive(Debug)]
struct Taken {
    lsn: Lsn,
    handed_on: Lsn,
    bytes: Vec<u8>,
    /// The archive, and up to where it must have come before this is written.
    waits_for: Option<(Position, Lsn)>,
}

/// What becomes of the checkpoint that was taken last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It is on disk, or was given up.
    Done,
    /// What it does not hold is not archived yet.
    Waiting,
    /// It is being written.
    Writing,
    /// The archive has failed, or the thread: there are no more, and the log keeps what comes.
    Stopped,
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
        let writer =
            Writer::start(Files { checkpoints, written: VecDeque::from([restored]), cursor: Arc::new(cursor) })?;
        Ok(Self { writer, every: log_size / SHARE, applied: 0, since: 0, has_asked: false })
    }

    /// A record was applied, and what came of it and of all before was given to sinks. Tells whether the archive is waited for: a checkpoint that is
    /// taken and waits is let wait, unless the log fills up behind it.
    pub(crate) fn applied(&mut self, record: Progressed, shared: &SharedPipeline, given: Given<'_>) -> bool {
        self.applied += record.bytes;
        if self.since == 0 {
            self.since = record.receive_time;
        }
        let is_far = self.applied >= self.every;
        let is_old = record.receive_time.saturating_sub(self.since) >= EVERY;
        match self.writer.stage() {
            Stage::Done if is_far || is_old => {
                (self.applied, self.since, self.has_asked) = (0, record.receive_time, false);
                self.take(record, shared, given);
                false
            }
            Stage::Waiting if is_far || !self.writer.cursor.has_room() => !std::mem::replace(&mut self.has_asked, true),
            Stage::Done | Stage::Waiting | Stage::Writing | Stage::Stopped => false,
        }
    }

    /// Nothing comes any more, and everything is archived: writes what is left.
    pub(crate) fn finish(mut self, record: Progressed, shared: &SharedPipeline, outcomes: Option<&outcomes::Writer>) {
        self.take(record, shared, Given { newest: record.lsn, archive: None, outcomes });
        self.writer.finish();
    }

    /// If what became of spans cannot be made durable, there is none: the next one tries again.
    fn take(&mut self, record: Progressed, shared: &SharedPipeline, given: Given<'_>) {
        if let Err(error) = given.outcomes.map_or(Ok(()), outcomes::Writer::sync) {
            tracing::error!(%error, "what became of spans was not made durable, and no checkpoint is written");
            return;
        }
        let pipeline = shared.lock();
        let handed_on = pipeline.handed_on(record.lsn);
        let monitoring = shared.monitoring().checkpoint();
        let bytes =
            Stored::encode(self.writer.room(), handed_on, |bytes| pipeline.write_checkpoint(bytes), &monitoring);
        drop(pipeline);
        let waits_for = given.waits_for(handed_on);
        self.writer.write(Taken { lsn: record.lsn, handed_on, bytes, waits_for });
    }
}

/// The end of the thread that writes. When it is dropped, the thread ends with what it was given.
#[derive(Debug)]
struct Writer {
    taken: mpsc::Sender<Taken>,
    /// The memory of those that are written.
    room: mpsc::Receiver<Vec<u8>>,
    stage: Arc<Mutex<Stage>>,
    /// That of the thread.
    cursor: Arc<Cursor<LogRecord>>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(mut files: Files) -> io::Result<Self> {
        let (sender, taken) = mpsc::channel::<Taken>();
        let (written, room) = mpsc::channel();
        let stage = Arc::new(Mutex::new(Stage::Done));
        let told = Arc::clone(&stage);
        let cursor = Arc::clone(&files.cursor);
        let write = move || {
            for taken in taken {
                if taken.waits_for.as_ref().is_some_and(|(archive, needed)| !archive.wait_for(*needed)) {
                    tracing::error!("there are no more checkpoints: the archive has stopped");
                    return tell(&told, Stage::Stopped);
                }
                tell(&told, Stage::Writing);
                files.write(&taken);
                // Nobody may be left who wants it.
                let _ = written.send(taken.bytes);
                tell(&told, Stage::Done);
            }
        };
        let thread = thread::Builder::new().name("checkpoints".to_owned()).spawn(write)?;
        Ok(Self { taken: sender, room, stage, cursor, thread })
    }

    /// Memory for the next one, which is about as long as the last: to grow would be to copy it several times, and to take tens of megabytes
    /// from the operating system anew costs as much as to fill them.
    fn room(&self) -> Vec<u8> {
        let mut room = self.room.try_recv().unwrap_or_default();
        room.clear();
        room
    }

    fn stage(&self) -> Stage {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, taken: Taken) {
        tell(&self.stage, Stage::Waiting);
        if self.taken.send(taken).is_err() {
            tell(&self.stage, Stage::Stopped);
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

fn tell(stage: &Mutex<Stage>, now: Stage) {
    *stage.lock().unwrap_or_else(PoisonError::into_inner) = now;
}

/// The checkpoints on disk, and what the log keeps for them.
#[derive(Debug)]
struct Files {
    checkpoints: Checkpoints,
    /// Those on disk, the oldest first, and up to where their requests had been handed on.
    written: VecDeque<(Lsn, Lsn)>,
    cursor: Arc<Cursor<LogRecord>>,
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
        let archive = Position::default();
        let needed = |newest, archive, handed_on| {
            let given = Given { newest, archive, outcomes: None };
            given.waits_for(handed_on).map(|(_, lsn)| lsn)
        };
        assert_eq!(needed(7, Some(&archive), 9), Some(7), "behind the newest request are ticks");
        assert_eq!(needed(9, Some(&archive), 7), Some(7));
        assert_eq!(needed(9, None, 7), None, "there is no archive");
    }
}
