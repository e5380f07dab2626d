//! The task that delivers to one destination: in order, one request at a time, again and again while the destination may
//! yet take it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry::metrics::Meter;
use prost::Message;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::destination::{Destination, ExportError, Temporality};
use crate::outcome::{Accepted, Failure, Verdict};
use crate::profile::Profile;
use crate::queue::{self, Capacity, Entry, Outgoing, Queue};
use crate::retry::{Backoff, Retry};
use crate::split::{Halve, split};
use crate::stats::{self, Signal, Stats};

/// How much of a destination's own words a log line shows.
const MAX_LOGGED_CHARS: usize = 256;

/// The bounds of one exporter.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) capacity: Capacity,
    pub(crate) backoff: Backoff,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            capacity: Capacity { bytes: 64 * 1024 * 1024, requests: 1024 },
            backoff: Backoff::new(Retry::default()),
        }
    }
}

/// A running exporter. Dropping it without [`Exporter::shutdown`] ends it at once.
#[derive(Debug)]
pub struct Exporter {
    destination: Destination,
    queue: Arc<Queue>,
    stats: Arc<Stats>,
    overflowing: Arc<AtomicBool>,
    /// How long the destination may take for its next answer, once the exporter is to end.
    grace: watch::Sender<Option<Duration>>,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Checks the destination and starts its task on the current tokio runtime. Nothing is connected before the first
    /// request.
    ///
    /// # Errors
    /// If the endpoint or a header cannot be used.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn(destination: Destination, meter: &Meter) -> Result<Exporter, ExportError> {
        let backoff = Backoff::new(destination.retry);
        Exporter::spawn_with(destination, meter, Limits { backoff, ..Limits::default() })
    }

    pub(crate) fn spawn_with(destination: Destination, meter: &Meter, limits: Limits) -> Result<Exporter, ExportError> {
        let client = Client::new(&destination)?;
        let queue = Arc::new(Queue::new(limits.capacity));
        let stats = Arc::new(Stats::default());
        let overflowing = Arc::new(AtomicBool::new(false));
        let (grace, grace_given) = watch::channel(None);
        let answers = Arc::new(AtomicU64::new(0));
        stats::observe(meter, &destination.name, &stats, &queue);
        let worker = Worker {
            name: destination.name.clone(),
            secrets: destination.headers.iter().map(|(_, secret)| secret.expose().to_owned()).collect(),
            client,
            queue: Arc::clone(&queue),
            stats: Arc::clone(&stats),
            overflowing: Arc::clone(&overflowing),
            profile: destination.profile,
            max_request_size: destination.max_request_size,
            backoff: limits.backoff,
            ending: grace_given.clone(),
            answers: Arc::clone(&answers),
            current: None,
            unreachable: false,
            logged: HashSet::new(),
        };
        let task = tokio::spawn(work(worker, grace_given, answers));
        Ok(Exporter { destination, queue, stats, overflowing, grace, task })
    }

    /// Puts a request into the queue; never blocks. A signal that the destination does not take is ignored.
    pub fn offer(&self, outgoing: Outgoing) {
        let signal = outgoing.signal();
        let (wanted, replaceable) = match signal {
            Signal::Metrics => (self.destination.metrics, self.destination.temporality == Temporality::Cumulative),
            Signal::Logs => (self.destination.logs, false),
        };
        if !wanted {
            return;
        }
        let displaced = self.queue.offer(Entry::new(outgoing, replaceable));
        if let Some(superseded) = &displaced.superseded {
            count(&self.stats.of(Signal::Metrics).superseded, superseded.items);
        }
        for entry in &displaced.dropped {
            count(&self.stats.of(entry.outgoing.signal()).dropped, entry.items);
        }
        if !displaced.dropped.is_empty() && !self.overflowing.swap(true, Ordering::Relaxed) {
            tracing::warn!(destination = %self.destination.name, "queue is full: the oldest requests are dropped");
        }
    }

    /// What this exporter delivers to.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// What became of the items so far. The numbers outlive the exporter.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Sends what is queued, with retries, until the destination has answered nothing for as long as `grace`; what is left then is
    /// dropped and counted.
    pub async fn shutdown(self, grace: Duration) {
        self.queue.close();
        self.grace.send_replace(Some(grace));
        if let Err(error) = self.task.await {
            tracing::error!(destination = %self.destination.name, %error, "exporter ended badly");
        }
    }
}

/// Delivers until the queue is closed and empty, or the deadline has passed.
async fn work(mut worker: Worker, grace: watch::Receiver<Option<Duration>>, answers: Arc<AtomicU64>) {
    tokio::select! {
        () = worker.deliver_all() => return,
        () = time_is_up(grace, &answers) => {}
    }
    worker.abandon();
}

/// Returns when a grace was given, and passed without an answer.
async fn time_is_up(mut grace: watch::Receiver<Option<Duration>>, answers: &AtomicU64) {
    // An error means that the exporter was dropped: time is up now.
    let Ok(Some(grace)) = grace.wait_for(Option::is_some).await.map(|grace| *grace) else { return };
    let mut before = None;
    loop {
        let now = answers.load(Ordering::Relaxed);
        if before.replace(now) == Some(now) {
            return;
        }
        tokio::time::sleep(grace).await;
    }
}

/// The state of the task.
struct Worker {
    name: String,
    /// Header values, which a destination might repeat in its answers.
    secrets: Vec<String>,
    client: Client,
    queue: Arc<Queue>,
    stats: Arc<Stats>,
    overflowing: Arc<AtomicBool>,
    profile: Profile,
    max_request_size: usize,
    backoff: Backoff,
    /// Tells when the exporter is to end.
    ending: watch::Receiver<Option<Duration>>,
    /// How often the destination has answered.
    answers: Arc<AtomicU64>,
    /// What is being delivered.
    current: Option<Delivery>,
    /// Whether the last attempt failed and this has been logged.
    unreachable: bool,
    /// Refusals that have been logged.
    logged: HashSet<(Signal, String)>,
}

/// One request, in the pieces that the destination has not answered for yet.
struct Delivery {
    signal: Signal,
    replaceable: bool,
    pieces: VecDeque<Piece>,
}

struct Piece {
    body: Bytes,
    items: u64,
}

impl Piece {
    fn new<Request: Message>(request: &Request, items: impl Fn(&Request) -> u64) -> Piece {
        Piece { body: request.encode_to_vec().into(), items: items(request) }
    }

    /// In two, unless it is but one item.
    fn halve(&self, signal: Signal) -> Option<[Piece; 2]> {
        match signal {
            Signal::Metrics => halves(&self.body, queue::data_points),
            Signal::Logs => halves(&self.body, queue::log_records),
        }
    }
}

fn halves<Request>(body: &[u8], items: impl Fn(&Request) -> u64) -> Option<[Piece; 2]>
where
    Request: Halve + Message + Default,
{
    let mut first = Request::decode(body).ok()?;
    let second = first.halve()?;
    Some([Piece::new(&first, &items), Piece::new(&second, &items)])
}

impl Delivery {
    fn new(entry: Entry, profile: Profile, max_bytes: usize) -> Delivery {
        let pieces = match &entry.outgoing {
            Outgoing::Metrics(request) => pieces(&*profile.metrics(request), max_bytes, queue::data_points),
            Outgoing::Logs(request) => pieces(&*profile.logs(request), max_bytes, queue::log_records),
        };
        Delivery { signal: entry.outgoing.signal(), replaceable: entry.replaceable, pieces }
    }

    fn items(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.items).sum()
    }
}

/// Encodes a request, in pieces only if it is too large.
fn pieces<Request>(request: &Request, max_bytes: usize, items: impl Fn(&Request) -> u64) -> VecDeque<Piece>
where
    Request: Halve + Message + Clone,
{
    let piece = |request: &Request| Piece::new(request, &items);
    if request.encoded_len() <= max_bytes {
        return VecDeque::from([piece(request)]);
    }
    split(request.clone(), max_bytes).iter().map(piece).collect()
}

impl Worker {
    async fn deliver_all(&mut self) {
        while let Some(entry) = self.queue.next().await {
            self.current = Some(Delivery::new(entry, self.profile, self.max_request_size));
            self.deliver().await;
            self.current = None;
        }
    }

    /// Sends the pieces of the current request, each until it is answered for; gives up only for a newer request that
    /// says the same.
    async fn deliver(&mut self) {
        while let Some(delivery) = &mut self.current
            && let Some(piece) = delivery.pieces.front()
        {
            let (signal, replaceable, items) = (delivery.signal, delivery.replaceable, piece.items);
            match self.client.send(signal, piece.body.clone()).await {
                Ok(accepted) => {
                    delivery.pieces.pop_front();
                    self.on_accepted(signal, items, &accepted);
                }
                Err(failure) => match failure.verdict {
                    Verdict::TooLarge if let Some([first, second]) = piece.halve(signal) => {
                        delivery.pieces.pop_front();
                        delivery.pieces.push_front(second);
                        delivery.pieces.push_front(first);
                        self.on_too_large(signal, &failure);
                    }
                    Verdict::Permanent | Verdict::TooLarge => {
                        delivery.pieces.pop_front();
                        self.on_refused(signal, items, &failure);
                    }
                    Verdict::Transient { retry_after } => {
                        self.on_unreachable(signal, &failure);
                        self.pause(retry_after).await;
                        if self.backoff.gives_up(Instant::now()) {
                            self.give_up();
                        } else if replaceable && self.queue.has_replacement() {
                            self.supersede();
                        }
                    }
                },
            }
        }
    }

    fn on_accepted(&mut self, signal: Signal, items: u64, accepted: &Accepted) {
        let rejected = accepted.rejected.min(items);
        count(&self.stats.of(signal).sent, items - rejected);
        count(&self.stats.of(signal).failed, rejected);
        if rejected > 0 || !accepted.message.is_empty() {
            self.log_refusal(signal, "partial success", &accepted.message);
        }
        if self.unreachable {
            tracing::info!(destination = %self.name, "destination is back");
        }
        self.overflowing.store(false, Ordering::Relaxed);
        self.on_answer();
    }

    fn on_refused(&mut self, signal: Signal, items: u64, failure: &Failure) {
        count(&self.stats.of(signal).failed, items);
        self.log_refusal(signal, &failure.status, &failure.message);
        self.on_answer();
    }

    /// The pieces are sent in its place, so that nothing is lost but the attempt.
    fn on_too_large(&mut self, signal: Signal, failure: &Failure) {
        self.on_answer();
        if self.logged.insert((signal, "too large".to_owned())) {
            let (status, message) = (&failure.status, self.presentable(&failure.message));
            tracing::warn!(
                destination = %self.name, signal = signal.name(), %status, %message,
                "the destination takes smaller requests only: a smaller max_request_size spares it the others"
            );
        }
    }

    fn on_answer(&mut self) {
        self.unreachable = false;
        self.backoff.reset();
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    fn on_unreachable(&mut self, signal: Signal, failure: &Failure) {
        count(&self.stats.of(signal).retries, 1);
        if self.unreachable {
            return;
        }
        self.unreachable = true;
        let (status, message) = (&failure.status, self.presentable(&failure.message));
        tracing::warn!(destination = %self.name, signal = signal.name(), %status, %message, "export failed, trying again");
    }

    fn supersede(&mut self) {
        if let Some(delivery) = self.current.take() {
            count(&self.stats.of(delivery.signal).superseded, delivery.items());
        }
    }

    /// The request has been tried for as long as it may be.
    fn give_up(&mut self) {
        let Some(delivery) = self.current.take() else { return };
        count(&self.stats.of(delivery.signal).dropped, delivery.items());
        let (signal, items) = (delivery.signal.name(), delivery.items());
        tracing::warn!(destination = %self.name, signal, items, "not delivered within max_elapsed_time, dropped");
    }

    /// Waits for the time of the next attempt. The beginning of a shutdown ends the wait: little time is left then.
    async fn pause(&mut self, retry_after: Option<Duration>) {
        let pause = tokio::time::sleep(self.backoff.pause(retry_after, Instant::now()));
        let shutting_down = self.ending.borrow().is_some();
        if shutting_down {
            pause.await;
            return;
        }
        tokio::select! {
            () = pause => {}
            _ = self.ending.changed() => self.backoff.reset(),
        }
    }

    /// Counts what will not be sent any more.
    fn abandon(&mut self) {
        self.queue.close();
        let mut items_left = 0;
        if let Some(delivery) = self.current.take() {
            count(&self.stats.of(delivery.signal).dropped, delivery.items());
            items_left += delivery.items();
        }
        for entry in self.queue.drain() {
            count(&self.stats.of(entry.outgoing.signal()).dropped, entry.items);
            items_left += entry.items;
        }
        if items_left > 0 {
            tracing::warn!(destination = %self.name, items = items_left, "not delivered in time, dropped");
        }
    }

    /// One line per distinct refusal: a destination that does not know a signal refuses it at every interval.
    fn log_refusal(&mut self, signal: Signal, status: &str, message: &str) {
        if !self.logged.insert((signal, status.to_owned())) {
            return;
        }
        let message = self.presentable(message);
        tracing::warn!(
            destination = %self.name, signal = signal.name(), %status, %message,
            "export refused; further refusals of this kind are only counted"
        );
    }

    fn presentable(&self, message: &str) -> String {
        presentable(message, &self.secrets)
    }
}

/// A destination's words, cut, on one line, and without our secrets.
fn presentable(message: &str, secrets: &[String]) -> String {
    let secrets = secrets.iter().filter(|secret| !secret.is_empty());
    let masked = secrets.fold(message.to_owned(), |text, secret| text.replace(secret.as_str(), "***"));
    masked.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_LOGGED_CHARS).collect()
}

fn count(counter: &AtomicU64, items: u64) {
    counter.fetch_add(items, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    // A destination that repeats our key in its answer, or answers with a novel, does not fill the log with it.
    #[test]
    fn answers_are_logged_with_care() {
        let secrets = ["s3cret".to_owned(), String::new()];
        assert_eq!(presentable("bad key s3cret\nsorry", &secrets), "bad key *** sorry");
        assert_eq!(presentable(&"x".repeat(10_000), &secrets).len(), MAX_LOGGED_CHARS);
    }
}
