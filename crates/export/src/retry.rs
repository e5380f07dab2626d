//! When to try again: exponential back-off with jitter, and what the destination asked for.

use std::time::Duration;

/// A destination may ask for more patience than `max`, up to this.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(300);

/// The pauses between attempts while a destination fails.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    initial: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(initial: Duration, max: Duration) -> Backoff {
        Backoff { initial, max, next: initial }
    }

    /// The pause before the next attempt: between half of the current step and all of it, so that many Spanmills do not
    /// return to a recovering destination at once; never shorter than the destination asked for.
    pub(crate) fn pause(&mut self, asked_for: Option<Duration>) -> Duration {
        let step = self.next;
        self.next = step.saturating_mul(2).min(self.max);
        let jittered = step.mul_f64(0.5 + fastrand::f64() / 2.0);
        jittered.max(asked_for.unwrap_or_default().min(LONGEST_ASKED_FOR))
    }

    /// The destination answered: the next failure begins anew.
    pub(crate) fn reset(&mut self) {
        self.next = self.initial;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Pauses grow from the initial interval to the longest, with jitter, and start over after a reset.
    #[test]
    fn grows_to_its_bound() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        for step in [1, 2, 4, 8, 16, 30, 30] {
            let pause = backoff.pause(None).as_secs_f64();
            assert!(pause >= f64::from(step) / 2.0 && pause <= f64::from(step), "{pause} at step {step}");
        }
        backoff.reset();
        assert!(backoff.pause(None) <= Duration::from_secs(1));
    }

    // A delay asked for is kept, within reason.
    #[test]
    fn destination_is_heard() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        assert_eq!(backoff.pause(Some(Duration::from_secs(60))), Duration::from_secs(60));
        assert_eq!(backoff.pause(Some(Duration::MAX)), LONGEST_ASKED_FOR);
    }
}
