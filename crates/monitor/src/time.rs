//! Times are nanoseconds since the Unix epoch, lengths are nanoseconds. Time is told, never asked for.

/// A second.
pub const SECOND: u64 = 1_000_000_000;
/// A minute.
pub const MINUTE: u64 = 60 * SECOND;
/// An hour.
pub const HOUR: u64 = 60 * MINUTE;
/// A day.
pub const DAY: u64 = 24 * HOUR;

/// From a time, inclusive, to a time, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Range {
    /// The first nanosecond.
    pub from: u64,
    /// The first nanosecond behind it.
    pub to: u64,
}

impl Range {
    /// The `length` before `end`.
    pub const fn before(end: u64, length: u64) -> Self {
        Self { from: end.saturating_sub(length), to: end }
    }

    /// How long it is.
    pub const fn length(self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    /// The same in whole steps, as far as anything can be known of it.
    pub fn in_steps(self, step: u64, now: u64) -> Self {
        let to = self.to.min(now.max(self.from).saturating_add(1));
        Self { from: floor(self.from, step), to: to.next_multiple_of(step) }
    }

    /// For how long both are.
    pub(crate) fn overlap(self, other: Self) -> u64 {
        self.to.min(other.to).saturating_sub(self.from.max(other.from))
    }

    /// Whether a time lies in it.
    pub const fn contains(self, time: u64) -> bool {
        self.from <= time && time < self.to
    }
}

/// The greatest multiple of `step` that is not above `time`.
pub(crate) const fn floor(time: u64, step: u64) -> u64 {
    time - time % step
}
