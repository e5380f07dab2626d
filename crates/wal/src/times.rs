//! When records were received: few marks, from which any place in the log becomes a time that is near enough.

use std::collections::VecDeque;

use crate::Lsn;

/// Marks are this far apart at least, nanoseconds: one second.
const STEP: u64 = 1_000_000_000;
/// When there are too many, they are thinned to this part of their age, ...
const PART: u64 = 32;
/// ... which so many are enough for in a hundred days.
const MARKS: usize = 1024;

/// Times of records, exact to a second, or to a thirty-second part of how long ago they came.
#[derive(Debug, Default)]
pub(crate) struct Times {
    /// In the order of the log.
    marks: VecDeque<(Lsn, u64)>,
}

impl Times {
    /// The record at `lsn` came at `time`, and after those that were noted before.
    pub(crate) fn note(&mut self, lsn: Lsn, time: u64) {
        if self.marks.back().is_some_and(|(_, newest)| time.saturating_sub(*newest) < STEP) {
            return;
        }
        if self.marks.len() == MARKS {
            self.thin(time);
        }
        self.marks.push_back((lsn, time));
    }

    /// When the record came, or not long before; `None` if it is older than what was noted.
    pub(crate) fn of(&self, lsn: Lsn) -> Option<u64> {
        let behind = self.marks.partition_point(|(marked, _)| *marked <= lsn);
        self.marks.get(behind.checked_sub(1)?).map(|(_, time)| *time)
    }

    /// Leaves out what is not needed between its neighbours; if that makes no room, the oldest.
    fn thin(&mut self, now: u64) {
        let mut kept = VecDeque::with_capacity(MARKS);
        let mut before = None;
        for (place, mark) in self.marks.iter().enumerate() {
            let next = self.marks.get(place + 1).map_or(now, |(_, time)| *time);
            let gap = before.map(|before: u64| next.saturating_sub(before));
            if gap.is_none_or(|gap| gap > now.saturating_sub(next) / PART) {
                kept.push_back(*mark);
                before = Some(mark.1);
            }
        }
        if kept.len() == MARKS {
            kept.pop_front();
        }
        self.marks = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // However many records come, for a second or for a year, few marks tell when each of them came: within a second, or within a
    // thirty-second part of its age.
    #[test]
    fn any_record_has_a_time() {
        for (every, records) in [(1_000_000, 100_000), (700_000_000, 500_000), (60 * STEP, 500_000)] {
            let time_of = |lsn: Lsn| 1_800_000_000 * STEP + lsn * every;
            let mut times = Times::default();
            for lsn in 10..=records {
                times.note(lsn, time_of(lsn));
            }
            assert!(times.marks.len() <= MARKS);
            assert_eq!(times.of(9), None, "nobody has noted it");
            for lsn in (10..=records).step_by(97) {
                let (told, came, now) = (times.of(lsn).unwrap(), time_of(lsn), time_of(records));
                let error = came.checked_sub(told).unwrap();
                assert!(error <= STEP.max((now - told) / PART), "{lsn} of {records}: {error} ns");
            }
        }
    }
}
