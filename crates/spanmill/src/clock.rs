//! The time at which requests are received.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The wall clock, but it neither goes back nor stands: where the wall clock was set back, time goes on at half the speed until that
/// has caught up. So whatever waits for time to pass waits twice as long at most, and not as long as the clock was set back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock(Arc<Mutex<Option<Told>>>);

/// What the clock has told last, and when.
#[derive(Debug, Clone, Copy)]
struct Told {
    time: u64,
    at: Instant,
}

impl Clock {
    /// Nanoseconds since the Unix epoch.
    pub(crate) fn now(&self) -> u64 {
        self.tell(unix_nanos(), Instant::now())
    }

    /// Goes on from a time that an earlier run was told, if the wall clock is behind it.
    pub(crate) fn go_on_from(&self, time: u64) {
        self.tell(time, Instant::now());
    }

    fn tell(&self, wall: u64, at: Instant) -> u64 {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let time = last.map_or(wall, |last| {
            let passed = u64::try_from(at.saturating_duration_since(last.at).as_nanos()).unwrap_or(u64::MAX);
            wall.max(last.time.saturating_add(passed / 2))
        });
        *last = Some(Told { time, at });
        time
    }
}

/// The wall clock, in nanoseconds since the Unix epoch.
pub(crate) fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    // Time is that of the wall clock, steps forward included; set back, it goes on at half the speed until it is that again.
    #[test]
    fn time_goes_on() {
        const SECOND: u64 = 1_000_000_000;
        let clock = Clock::default();
        let begin = Instant::now();
        let tell = |wall: u64, after: u64| clock.tell(wall * SECOND, begin + Duration::from_secs(after));
        assert_eq!(tell(1_000, 0), 1_000 * SECOND);
        assert_eq!(tell(1_010, 10), 1_010 * SECOND);
        assert_eq!(tell(5_000, 11), 5_000 * SECOND);
        assert_eq!(tell(1_012, 12), 5_000 * SECOND + SECOND / 2);
        assert_eq!(tell(1_022, 22), 5_005 * SECOND + SECOND / 2);
        assert_eq!(tell(9_000, 8_000), 9_000 * SECOND);
    }
}
