//! When to try again, and for how long.

use std::time::{Duration, Instant};

use transport::Pauses;

/// How often and for how long a request is tried again that the destination may yet take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The pause after the first failure; it doubles with each further one.
    pub initial_interval: Duration,
    /// The longest pause, unless the destination asks for more.
    pub max_interval: Duration,
    /// A request is given up in place of the first attempt that comes so long after its first failure. `None` is never.
    pub max_elapsed_time: Option<Duration>,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            initial_interval: Duration::from_secs(1),
            max_interval: Duration::from_secs(30),
            max_elapsed_time: None,
        }
    }
}

/// The pauses between attempts while a destination fails.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    retry: Retry,
    pauses: Pauses,
    /// When the current request failed first.
    first_failure: Option<Instant>,
}

impl Backoff {
    pub(crate) fn new(retry: Retry) -> Backoff {
        Backoff { pauses: Pauses::new(retry.initial_interval, retry.max_interval), first_failure: None, retry }
    }

    /// The pause before the next attempt; never shorter than the destination asked for, within reason.
    pub(crate) fn pause(&mut self, asked_for: Option<Duration>, now: Instant) -> Duration {
        self.first_failure.get_or_insert(now);
        self.pauses.next(asked_for)
    }

    /// Whether the current request is to be given up, at the end of a pause; the next one has all of its time.
    pub(crate) fn gives_up(&mut self, now: Instant) -> bool {
        let elapsed = self.first_failure.map_or(Duration::ZERO, |first| now.duration_since(first));
        let gives_up = self.retry.max_elapsed_time.is_some_and(|longest| elapsed >= longest);
        if gives_up {
            self.first_failure = None;
        }
        gives_up
    }

    /// The destination answered: the next failure begins anew.
    pub(crate) fn reset(&mut self) {
        *self = Backoff::new(self.retry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Pauses grow, what is asked for is heard, and both are over after a reset.
    #[test]
    fn starts_over() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(Retry::default());
        let pauses = [None, None, None, Some(60 * second)].map(|asked_for| backoff.pause(asked_for, Instant::now()));
        assert!(pauses[2] >= 2 * second && pauses[3] == 60 * second, "{pauses:?}");
        backoff.reset();
        assert!(backoff.pause(None, Instant::now()) <= second);
    }

    // A request is given up when it has failed for as long as it may, and the time of the next one begins anew.
    #[test]
    fn patience_ends() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(Retry { max_elapsed_time: Some(10 * second), ..Retry::default() });
        let start = Instant::now();
        for begin in [start, start + 100 * second] {
            backoff.pause(None, begin);
            backoff.pause(None, begin + 9 * second);
            assert!(!backoff.gives_up(begin + 9 * second));
            assert!(backoff.gives_up(begin + 10 * second));
        }
        let mut patient = Backoff::new(Retry::default());
        patient.pause(None, start);
        assert!(!patient.gives_up(start + 1_000_000 * second));
    }
}
