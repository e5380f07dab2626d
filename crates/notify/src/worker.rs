//! The task of one notifier: it delivers in order, and tries again.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use monitor::{Delivery, DeliveryOutcome, Incident};
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;

use crate::alertmanager::AlertmanagerClient;
use crate::email::EmailClient;
use crate::message::Message;
use crate::notifier::Settled;
use crate::outcome::{Failure, Verdict};
use crate::retry::Retry;
use crate::status::Notes;
use crate::webhook::WebhookClient;

/// What speaks to the other side.
#[derive(Debug)]
pub(crate) enum Client {
    Webhook(WebhookClient),
    Alertmanager(AlertmanagerClient),
    Email(EmailClient),
}

/// A notifier at work.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) client: Client,
    pub(crate) timeout: Duration,
    pub(crate) retry: Retry,
    pub(crate) queue: mpsc::Receiver<Message>,
    pub(crate) firing: watch::Receiver<Arc<Vec<Incident>>>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) settled: mpsc::Sender<Settled>,
    pub(crate) notes: Notes,
}

/// So much of an error is kept with what became of a notification, characters.
const KEPT_OF_ERROR: usize = 300;

impl Worker {
    /// Works until it is told to stop, or nobody is there to give it anything.
    pub(crate) async fn run(mut self) {
        let resend = match &self.client {
            Client::Alertmanager(client) => Some(client.resend),
            Client::Webhook(_) | Client::Email(_) => None,
        };
        // Not at the start: what an earlier run told lasts for longer than this.
        const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
        let every = resend.unwrap_or(NEVER).clamp(Duration::from_millis(1), NEVER);
        let mut resends = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
        resends.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = self.stop.clone();
        loop {
            let message = tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                message = self.queue.recv() => message,
                _ = resends.tick(), if resend.is_some() => {
                    self.resend().await;
                    continue;
                }
            };
            let Some(message) = message else { return };
            let Some(delivery) = self.settle(&message).await else { return };
            self.notes.settled(delivery.outcome);
            let settled = Settled { notification: message.notification.id, delivery };
            if self.settled.send(settled).await.is_err() {
                return;
            }
        }
    }

    /// Tries until it is known what becomes of a notification; `None` if it is to stop before.
    async fn settle(&mut self, message: &Message) -> Option<Delivery> {
        let (notifier, notification) = (&self.name, &message.notification.id);
        let mut pauses = self.retry.pauses();
        let (mut attempts, mut last_error): (u32, Option<String>) = (0, None);
        let ended = |outcome, attempts, error: Option<String>| {
            let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            let at = u64::try_from(at).unwrap_or(u64::MAX);
            let error = error.map(|error| error.chars().take(KEPT_OF_ERROR).collect());
            Some(Delivery { notifier: notifier.clone(), outcome, at, attempts, error })
        };
        loop {
            attempts += 1;
            let Err(Failure { verdict, message: error }) = self.attempt(self.deliver(message)).await else {
                return ended(DeliveryOutcome::Delivered, attempts, last_error);
            };
            let Verdict::Transient { retry_after } = verdict else {
                tracing::warn!(notifier, notification, error, "a notification was refused");
                return ended(DeliveryOutcome::Refused, attempts, Some(error));
            };
            if self.is_too_old(message.notification.at) {
                tracing::warn!(notifier, notification, error, "a notification was given up: it is too old by now");
                return ended(DeliveryOutcome::GivenUp, attempts, Some(error));
            }
            if attempts == 1 {
                tracing::warn!(notifier, notification, error, "a notification was not delivered and is tried again");
            }
            last_error = Some(error);
            let mut stop = self.stop.clone();
            tokio::select! {
                () = tokio::time::sleep(pauses.next(retry_after)) => {}
                () = stopped(&mut stop) => return None,
            }
        }
    }

    async fn deliver(&self, message: &Message) -> Result<(), Failure> {
        match &self.client {
            Client::Webhook(client) => client.deliver(message).await,
            Client::Alertmanager(client) => client.deliver(message).await,
            Client::Email(client) => client.deliver(message).await,
        }
    }

    /// Tells an Alertmanager what still fires. If that fails, the next time is soon enough.
    async fn resend(&self) {
        let firing = Arc::clone(&self.firing.borrow());
        let Client::Alertmanager(client) = &self.client else { return };
        if firing.is_empty() {
            return;
        }
        if let Err(Failure { message: error, .. }) = self.attempt(client.post(&firing)).await {
            tracing::debug!(notifier = self.name, error, "what still fires was not told");
        }
    }

    /// Bounds an attempt, and notes its failure.
    async fn attempt(&self, attempt: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
        let timed_out = || Failure::transient(format!("no answer within {} s", self.timeout.as_secs_f64()));
        let result = tokio::time::timeout(self.timeout, attempt).await.unwrap_or_else(|_| Err(timed_out()));
        if let Err(failure) = &result {
            self.notes.failed(&failure.message);
        }
        result
    }

    fn is_too_old(&self, at: u64) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.retry.max_age.is_some_and(|max_age| now.saturating_sub(Duration::from_nanos(at)) >= max_age)
    }
}

/// Resolves when it is said so, or nobody is there to say so.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
