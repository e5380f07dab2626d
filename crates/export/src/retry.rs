//! When to try again, and for how long: exponential back-off with jitter, and what the destination asked for.

use std::time::{Duration, Instant};

/// A destination may ask for more patience than `max_interval`, up to this.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(300);

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
    next: Duration,
    /// When the current request failed first.
    first_failure: Option<Instant>,
}

impl Backoff {
    pub(crate) fn new(retry: Retry) -> Backoff {
        Backoff { next: retry.initial_interval, first_failure: None, retry }
    }

    /// The pause before the next attempt: between half of the current step and all of it, so that many Spanmills do not
    /// return to a recovering destination at once; never shorter than the destination asked for.
    pub(crate) fn pause(&mut self, asked_for: Option<Duration>, now: Instant) -> Duration {
        self.first_failure.get_or_insert(now);
        let step = self.next;
        self.next = step.saturating_mul(2).min(self.retry.max_interval);
        let jittered = step.mul_f64(0.5 + fastrand::f64() / 2.0);
        jittered.max(asked_for.unwrap_or_default().min(LONGEST_ASKED_FOR))
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

    // Pauses grow from the initial interval to the longest, with jitter, and start over after a reset.
    #[test]
    fn grows_to_its_bound() {
        let mut backoff = Backoff::new(Retry::default());
        let mut pause = || backoff.pause(None, Instant::now()).as_secs_f64();
        for step in [1, 2, 4, 8, 16, 30, 30] {
            let pause = pause();
            assert!(pause >= f64::from(step) / 2.0 && pause <= f64::from(step), "{pause} at step {step}");
        }
        backoff.reset();
        assert!(backoff.pause(None, Instant::now()) <= Duration::from_secs(1));
    }

    // A delay asked for is kept, within reason.
    #[test]
    fn destination_is_heard() {
        let mut backoff = Backoff::new(Retry::default());
        let minute = Duration::from_secs(60);
        assert_eq!(backoff.pause(Some(minute), Instant::now()), minute);
        assert_eq!(backoff.pause(Some(Duration::MAX), Instant::now()), LONGEST_ASKED_FOR);
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
