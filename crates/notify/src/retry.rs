//! When to try again: exponential back-off with jitter, and what the other side asked for.

use std::time::Duration;

/// The other side may ask for more patience than `max_interval`, up to this.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(300);

/// How a notification is tried again that may yet be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// The pause after the first failure; it doubles with each further one.
    pub initial_interval: Duration,
    /// The longest pause, unless the other side asks for more.
    pub max_interval: Duration,
    /// A notification that is older than this is given up when an attempt fails: it came too late to be of use. Its age counts from
    /// when it came to be, also over a restart. `None` is never.
    pub max_age: Option<Duration>,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            initial_interval: Duration::from_secs(1),
            max_interval: Duration::from_secs(30),
            max_age: Some(Duration::from_secs(3600)),
        }
    }
}

/// The pauses between attempts while they fail.
#[derive(Debug)]
pub(crate) struct Backoff {
    retry: Retry,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(retry: Retry) -> Self {
        Self { next: retry.initial_interval, retry }
    }

    /// The pause before the next attempt: between half of the current step and all of it, so that many do not return at once; never
    /// shorter than the other side asked for.
    pub(crate) fn pause(&mut self, asked_for: Option<Duration>) -> Duration {
        let step = self.next;
        self.next = step.saturating_mul(2).min(self.retry.max_interval);
        let jittered = step.mul_f64(0.5 + fastrand::f64() / 2.0);
        jittered.max(asked_for.unwrap_or_default().min(LONGEST_ASKED_FOR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Pauses grow from the initial interval to the longest, with jitter; what is asked for is heard, within reason.
    #[test]
    fn pauses_grow_to_their_bound() {
        let mut backoff = Backoff::new(Retry::default());
        for step in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            let pause = backoff.pause(None).as_secs_f64();
            assert!((step / 2.0..=step).contains(&pause), "{pause} at step {step}");
        }
        assert_eq!(backoff.pause(Some(Duration::from_secs(90))), Duration::from_secs(90));
        assert_eq!(backoff.pause(Some(Duration::MAX)), LONGEST_ASKED_FOR);
    }
}
