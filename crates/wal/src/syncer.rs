//! The thread that makes durable what is written, and only then tells anybody: what was written by the time a sync begins is safe when
//! it returns, whatever is written meanwhile.

use std::sync::Arc;

use crate::Record;
use crate::error::{OpenError, io_error};
use crate::log::{Shared, Space, State, Written};
use crate::segment::Segment;
use crate::writer::Step;

/// Syncs what is written.
pub(crate) struct Syncer<R> {
    shared: Arc<Shared<R>>,
    /// What the sync is for.
    in_hand: Vec<Written<R>>,
}

impl<R> Drop for Syncer<R> {
    fn drop(&mut self) {
        // Nobody may wait for a thread that is gone.
        if std::thread::panicking() {
            self.shared.break_down("its thread panicked", &mut self.in_hand);
        }
    }
}

impl<R: Record> Syncer<R> {
    pub(crate) fn new(shared: Arc<Shared<R>>) -> Self {
        Self { shared, in_hand: Vec::new() }
    }

    /// Syncs until all is written and safe, or the log fails.
    pub(crate) fn run(mut self) {
        while self.step() == Step::Went {}
    }

    /// Waits until something is written, makes it durable, and tells everybody.
    pub(crate) fn step(&mut self) -> Step {
        let Some(segment) = self.take() else { return Step::Ended };
        let result = self.sync(&segment);
        self.tell(result)
    }

    /// Takes what is written, and tells which segment it ends in: those before are durable. `None` at the end.
    pub(crate) fn take(&mut self) -> Option<Segment> {
        let mut state = self.shared.lock();
        loop {
            let State { space: Space::Disk(disk), has_ended, failure, .. } = &mut *state else { return None };
            if failure.is_some() {
                return None;
            }
            if !disk.written.is_empty() {
                std::mem::swap(&mut disk.written, &mut self.in_hand);
                return disk.segments.live.back().cloned();
            }
            if disk.is_written_out {
                *has_ended = true;
                self.shared.readable.notify_all();
                return None;
            }
            state = self.shared.wait(&self.shared.syncable, state);
        }
    }

    pub(crate) fn sync(&self, segment: &Segment) -> Result<(), OpenError> {
        let slot = &segment.slot;
        self.shared.sync(&*slot.file).map_err(io_error("syncing", &slot.path))
    }

    /// Tells everybody what has become of what was taken.
    pub(crate) fn tell(&mut self, result: Result<(), OpenError>) -> Step {
        if let Err(error) = result {
            self.shared.break_down(error, &mut self.in_hand);
            return Step::Ended;
        }
        let mut state = self.shared.lock();
        if state.failure.is_some() {
            drop(state);
            self.shared.break_down("it failed before", &mut self.in_hand);
            return Step::Ended;
        }
        let mut told = Vec::with_capacity(self.in_hand.len());
        for written in self.in_hand.drain(..) {
            told.push((written.told, written.entry.lsn));
            state.add_safe(written.entry);
        }
        drop(state);
        self.shared.readable.notify_all();
        for (told, lsn) in told {
            // Whoever asked may have gone: the record is safe all the same.
            let _ = told.send(Ok(lsn));
        }
        Step::Went
    }
}
