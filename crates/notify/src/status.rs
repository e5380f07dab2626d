//! What became of notifications, by notifier: for a page, and as metrics.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use monitor::DeliveryOutcome;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

/// What a page shows of a notifier, since the process started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its name, such as `webhook/oncall`.
    pub notifier: String,
    /// What became of notifications.
    pub counts: Counts,
    /// When a notification was last delivered.
    pub last_success: Option<SystemTime>,
    /// When an attempt last failed, and why.
    pub last_error: Option<(SystemTime, String)>,
}

/// Numbers of one notifier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Notifications that were delivered.
    pub delivered: u64,
    /// Notifications that were refused for good.
    pub refused: u64,
    /// Notifications that were given up because they became too old.
    pub given_up: u64,
    /// Attempts that failed; some were, or will be, repeated.
    pub failed_attempts: u64,
}

/// How notifiers do, for whoever shows it.
#[derive(Debug, Clone, Default)]
pub struct Statuses(Vec<Notes>);

impl Statuses {
    pub(crate) fn of(notes: impl Iterator<Item = Notes>) -> Self {
        Self(notes.collect())
    }

    /// What became of what they were given, up to now.
    pub fn read(&self) -> Vec<Status> {
        self.0.iter().map(Notes::status).collect()
    }
}

/// Where a notifier notes what becomes of its notifications.
#[derive(Debug, Clone)]
pub(crate) struct Notes {
    status: Arc<Mutex<Status>>,
    notifications: Counter<u64>,
    failed_attempts: Counter<u64>,
    name: KeyValue,
}

impl Notes {
    /// All outcomes begin at zero, so that the first failure is seen as an increase.
    pub(crate) fn new(notifier: &str, meter: &Meter) -> Self {
        let notifications = meter
            .u64_counter("spanmill.notifier.notifications")
            .with_description("Notifications that a notifier is through with")
            .with_unit("{notification}")
            .build();
        let failed_attempts = meter
            .u64_counter("spanmill.notifier.failed_attempts")
            .with_description("Attempts to deliver that failed, those that were repeated included")
            .with_unit("{attempt}")
            .build();
        let status =
            Status { notifier: notifier.to_owned(), counts: Counts::default(), last_success: None, last_error: None };
        let name = KeyValue::new("notifier", notifier.to_owned());
        let notes = Self { status: Arc::new(Mutex::new(status)), notifications, failed_attempts, name };
        DeliveryOutcome::ALL.into_iter().for_each(|outcome| notes.count(outcome, 0));
        notes.failed_attempts.add(0, std::slice::from_ref(&notes.name));
        notes
    }

    fn count(&self, outcome: DeliveryOutcome, number: u64) {
        self.notifications.add(number, &[self.name.clone(), KeyValue::new("outcome", outcome.name())]);
    }

    /// A notification is done with.
    pub(crate) fn settled(&self, outcome: DeliveryOutcome) {
        self.count(outcome, 1);
        let mut status = self.lock();
        match outcome {
            DeliveryOutcome::Delivered => status.counts.delivered += 1,
            DeliveryOutcome::Refused => status.counts.refused += 1,
            DeliveryOutcome::GivenUp => status.counts.given_up += 1,
        }
        if outcome == DeliveryOutcome::Delivered {
            status.last_success = Some(SystemTime::now());
        }
    }

    /// An attempt failed.
    pub(crate) fn failed(&self, message: &str) {
        self.failed_attempts.add(1, std::slice::from_ref(&self.name));
        let mut status = self.lock();
        status.counts.failed_attempts += 1;
        status.last_error = Some((SystemTime::now(), message.to_owned()));
    }

    fn status(&self) -> Status {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
