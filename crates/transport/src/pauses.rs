//! Exponential back-off with jitter, and what the other side asked for.

use std::time::Duration;

/// The other side may ask for more patience than the longest pause, up to this.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(300);

/// The pauses between attempts while they fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    /// The first one is `initial`; each further one is twice as long, up to `longest`.
    pub const fn new(initial: Duration, longest: Duration) -> Self {
        Self { next: initial, longest }
    }

    /// The pause before the next attempt: between half of the current step and all of it, so that many Spanmills do not
    /// return to a recovering server at once; never shorter than the other side asked for, within reason.
    pub fn next(&mut self, asked_for: Option<Duration>) -> Duration {
        let step = self.next;
        self.next = step.saturating_mul(2).min(self.longest);
        let jittered = step.mul_f64(0.5 + fastrand::f64() / 2.0);
        jittered.max(asked_for.unwrap_or_default().min(LONGEST_ASKED_FOR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Pauses grow from the initial one to the longest, with jitter; what is asked for is heard, within reason.
    #[test]
    fn pauses_grow_to_their_bound() {
        let mut pauses = Pauses::new(Duration::from_secs(1), Duration::from_secs(30));
        for step in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            let pause = pauses.next(None).as_secs_f64();
            assert!((step / 2.0..=step).contains(&pause), "{pause} at step {step}");
        }
        assert_eq!(pauses.next(Some(Duration::from_secs(90))), Duration::from_secs(90));
        assert_eq!(pauses.next(Some(Duration::MAX)), LONGEST_ASKED_FOR);
    }
}
