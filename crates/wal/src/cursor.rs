//! Consumers that are waited for.

use std::fmt;
use std::sync::Arc;

use crate::Lsn;
use crate::log::{Shared, Space, State};

/// How far a consumer has come.
pub struct Cursor<R> {
    shared: Arc<Shared<R>>,
    number: usize,
}

impl<R> fmt::Debug for Cursor<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("number", &self.number).finish_non_exhaustive()
    }
}

impl<R> Cursor<R> {
    pub(crate) fn at(shared: Arc<Shared<R>>, lsn: Lsn) -> Self {
        let mut state = shared.lock();
        state.cursors.push(lsn);
        let number = state.cursors.len() - 1;
        drop(state);
        Self { shared, number }
    }

    /// [`crate::Log::has_room`] of its log.
    pub fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    /// Whether no other consumer is behind this one.
    pub fn is_slowest(&self) -> bool {
        let state = self.shared.lock();
        let passed = state.cursors.get(self.number).copied().unwrap_or_default();
        state.cursors.iter().all(|other| *other >= passed)
    }

    /// The consumer is done with every record up to `lsn`, durably: the log will not have them again.
    pub fn advance(&self, lsn: Lsn) {
        let mut state = self.shared.lock();
        let State { cursors, space, memory, last, .. } = &mut *state;
        if let Some(passed) = cursors.get_mut(self.number) {
            *passed = lsn.min(*last).max(*passed);
        }
        let slowest = cursors.iter().copied().min().unwrap_or(0);
        match space {
            Space::Memory(kept) => *memory -= kept.release(slowest),
            Space::Disk(disk) => disk.segments.release(slowest),
        }
    }
}
