//! All notifiers, from outside.

use std::sync::Arc;
use std::time::Duration;

use monitor::{Delivery, Incident};
use opentelemetry::metrics::Meter;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::alertmanager::{Alertmanager, AlertmanagerClient};
use crate::email::{Email, EmailClient};
use crate::message::Message;
use crate::retry::Retry;
use crate::status::{Notes, Statuses};
use crate::webhook::{Webhook, WebhookClient};
use crate::worker::{Client, Worker};

/// How many notifications wait in front of a notifier at most. The others wait where they come from.
const QUEUE: usize = 16;

/// Who is told, and how.
#[derive(Debug, Clone)]
pub struct Notifier {
    /// Its name, such as `webhook/oncall`: it stands in metrics and logs.
    pub name: String,
    /// By which means.
    pub channel: Channel,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// What becomes of attempts that fail.
    pub retry: Retry,
}

/// A means of telling.
#[derive(Debug, Clone)]
pub enum Channel {
    /// Any program that takes HTTP.
    Webhook(Webhook),
    /// Prometheus' Alertmanager.
    Alertmanager(Alertmanager),
    /// Mailboxes.
    Email(Email),
}

/// Why a notifier cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// It has a URL that is none.
    #[error("its url is none")]
    Url,
    /// It has a header that cannot be sent. Which is not said, as values are secrets.
    #[error("one of its headers cannot be sent")]
    Header,
    /// It has an address that is none.
    #[error("{0:?} is no mail address")]
    Address(String),
    /// Nobody would get its mail.
    #[error("it has nobody to send mail to")]
    NoAddress,
}

/// A notifier is through with a notification: it was delivered, or it never will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The [id](monitor::Notification::id) of the notification.
    pub notification: String,
    /// What became of it.
    pub delivery: Delivery,
}

/// Running notifiers. Dropped, they end at once.
#[derive(Debug)]
pub struct Notifiers {
    queues: Vec<(String, mpsc::Sender<Message>, Notes)>,
    firing: watch::Sender<Arc<Vec<Incident>>>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Notifiers {
    /// Starts them on the runtime of the caller. What they are through with comes out of the receiver.
    ///
    /// # Errors
    /// A notifier cannot be used: its name, and why.
    pub fn start(
        notifiers: &[Notifier],
        meter: &Meter,
    ) -> Result<(Self, mpsc::Receiver<Settled>), (String, NotifyError)> {
        let (settled, through) = mpsc::channel(QUEUE);
        let (firing, _) = watch::channel(Arc::default());
        let (stop, _) = watch::channel(false);
        let mut all = Self { queues: Vec::new(), firing, stop, tasks: JoinSet::new() };
        for notifier in notifiers {
            let client = match &notifier.channel {
                Channel::Webhook(webhook) => WebhookClient::new(webhook).map(Client::Webhook),
                Channel::Alertmanager(alertmanager) => AlertmanagerClient::new(alertmanager).map(Client::Alertmanager),
                Channel::Email(email) => EmailClient::new(email, notifier.timeout).map(Client::Email),
            };
            let client = client.map_err(|error| (notifier.name.clone(), error))?;
            let (sender, queue) = mpsc::channel(QUEUE);
            let notes = Notes::new(&notifier.name, meter);
            all.queues.push((notifier.name.clone(), sender, notes.clone()));
            let worker = Worker {
                name: notifier.name.clone(),
                client,
                timeout: notifier.timeout,
                retry: notifier.retry,
                queue,
                firing: all.firing.subscribe(),
                stop: all.stop.subscribe(),
                settled: settled.clone(),
                notes,
            };
            all.tasks.spawn(worker.run());
        }
        Ok((all, through))
    }

    /// Their names, in the order in which they were given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.queues.iter().map(|(name, ..)| &**name)
    }

    /// Gives a notifier something to tell, behind what it was given before; whether it took it: else it has enough for now.
    pub fn offer(&self, notifier: &str, message: Message) -> bool {
        let queue = self.queues.iter().find(|(name, ..)| name == notifier);
        queue.is_some_and(|(_, queue, _)| queue.try_send(message).is_ok())
    }

    /// Says which incidents last that somebody was told of: Alertmanager wants to hear of them again and again. It is to be said before
    /// what is told of their end is [offered](Self::offer).
    pub fn set_firing(&self, incidents: Vec<Incident>) {
        self.firing.send_if_modified(|firing| {
            let is_new = **firing != incidents;
            if is_new {
                *firing = Arc::new(incidents);
            }
            is_new
        });
    }

    /// What becomes of what they are given.
    pub fn statuses(&self) -> Statuses {
        Statuses::of(self.queues.iter().map(|(.., notes)| notes.clone()))
    }

    /// Lets attempts under way end, for as long as is said, and begins no others.
    pub async fn stop(mut self, grace: Duration) {
        self.stop.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all).await.is_err() {
            tracing::warn!("a notifier was ended in the middle of an attempt");
        }
    }
}
