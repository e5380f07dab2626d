//! How far back a history reaches: as far as steps are kept, or less if there is no memory for that.

use super::groups::History;
use super::rings::{Forgotten, LEVELS, Level, oldest_kept, since};

/// How far back a history reaches in steps of a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// How long the steps are.
    pub step: u64,
    /// For how long they are kept if there is memory for that.
    pub kept: u64,
    /// From when on everything that was told is known in them.
    pub since: u64,
    /// Whether that is later than it would be with more memory.
    pub is_cut: bool,
}

/// How far back steps of each length reach, the shortest first.
pub(crate) fn reaches(now: u64, forgotten: &Forgotten) -> [Reach; LEVELS.len()] {
    std::array::from_fn(|level| {
        let (Level { step, kept }, since) = (LEVELS[level], since(level, now, forgotten));
        Reach { step, kept, since, is_cut: since > oldest_kept(level, now) }
    })
}

impl History {
    /// How far back steps of each length reach, the shortest first.
    pub fn reaches(&self) -> [Reach; LEVELS.len()] {
        reaches(self.now, &self.forgotten)
    }

    /// From when on everything that was told is known in steps of this length or longer ones.
    pub fn reaches_back_to(&self, step: u64) -> u64 {
        self.since(LEVELS.iter().position(|level| level.step >= step).unwrap_or(LEVELS.len() - 1))
    }

    /// From when on everything that was told is known, in whatever steps.
    pub fn known_from(&self) -> u64 {
        (0..LEVELS.len()).map(|level| self.since(level)).min().unwrap_or(self.now)
    }

    /// From when on everything that was told is known in steps of a length.
    pub(super) fn since(&self, level: usize) -> u64 {
        since(level, self.now, &self.forgotten)
    }
}
