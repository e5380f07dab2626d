//! When to try again, and for how long.

use std::time::Duration;

use transport::Pauses;

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

impl Retry {
    pub(crate) fn pauses(self) -> Pauses {
        Pauses::new(self.initial_interval, self.max_interval)
    }
}
