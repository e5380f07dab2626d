//! The task that delivers Spanmill's own metrics and error records to one destination.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::metrics::Meter;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::courier::{Courier, Delivered, Delivery};
use crate::destination::{Destination, ExportError, Temporality};
use crate::forwarder::Forwarder;
use crate::merge::merge_delta;
use crate::outbox::{Lsn, Outbox};
use crate::queue::{Backlog, Capacity, Entry, Outgoing, Queue};
use crate::retry::{Backoff, Retry};
use crate::stats::{self, Signal, Stats, count};

/// The bounds of one exporter.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) capacity: Capacity,
    pub(crate) backoff: Backoff,
    /// How many delta intervals wait one by one before further ones are merged.
    pub(crate) intervals: usize,
    /// How long a disk is left alone when it refused to read what waits.
    pub(crate) read_again: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            capacity: Capacity { bytes: 64 << 20, requests: 1024, stored: 1 << 30 },
            backoff: Backoff::new(Retry::default()),
            // an hour, at the default interval
            intervals: 120,
            read_again: Duration::from_secs(5),
        }
    }
}

/// How often it is tried again to store what the disk has no room for.
const STORE_AGAIN: Duration = Duration::from_millis(500);

/// How often a disk is asked for what waits, before that is left for the next process.
const READ_TRIES: u32 = 3;

/// A running exporter. Dropping it without [`Exporter::shutdown`] ends it at once.
#[derive(Debug)]
pub struct Exporter {
    destination: Destination,
    queue: Arc<Queue>,
    stats: Arc<Stats>,
    limits: Limits,
    overflowing: Arc<AtomicBool>,
    /// Where what waits is kept, if it shall outlive the process.
    outbox: Option<Mutex<Outbox>>,
    /// Nothing is stored any more: something could not be.
    refuses: AtomicBool,
    /// How long the destination may take for its next answer, once the exporter is to end.
    grace: watch::Sender<Option<Duration>>,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Checks the destination and starts its task on the current tokio runtime. Nothing is connected before the first
    /// request. With a directory, what waits is kept there: it outlives the process, and what is found there is sent first.
    ///
    /// # Errors
    /// If the endpoint, a header or the directory cannot be used.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn spawn(destination: Destination, meter: &Meter, directory: Option<PathBuf>) -> Result<Exporter, ExportError> {
        let backoff = Backoff::new(destination.retry);
        Exporter::spawn_with(destination, meter, directory, Limits { backoff, ..Limits::default() })
    }

    pub(crate) fn spawn_with(
        destination: Destination,
        meter: &Meter,
        directory: Option<PathBuf>,
        limits: Limits,
    ) -> Result<Exporter, ExportError> {
        let queue = Arc::new(Queue::new(limits.capacity, destination.when_full));
        let stats = Arc::new(Stats::default());
        let overflowing = Arc::new(AtomicBool::new(false));
        let (grace, grace_given) = watch::channel(None);
        let courier =
            Courier::new(&destination, Arc::clone(&stats), limits.backoff.clone(), grace_given, directory.is_some())?;
        let outbox = directory.map(Outbox::open).transpose().map_err(|error| ExportError::Outbox {
            destination: destination.name.clone(),
            reason: error.to_string(),
        })?;
        let outbox = outbox.map(|(outbox, found)| {
            found.into_iter().for_each(|stored| queue.restore(Entry::stored(stored)));
            Mutex::new(outbox)
        });
        stats::observe(meter, &destination.name, &stats, &queue);
        let worker = Worker {
            name: destination.name.clone(),
            courier,
            queue: Arc::clone(&queue),
            stats: Arc::clone(&stats),
            overflowing: Arc::clone(&overflowing),
            max_request_size: destination.max_request_size,
            read_again: limits.read_again,
            current: None,
        };
        let task = tokio::spawn(work(worker));
        Ok(Exporter {
            destination,
            queue,
            stats,
            limits,
            overflowing,
            outbox,
            refuses: AtomicBool::new(false),
            grace,
            task,
        })
    }

    /// Puts a request into the queue, the one that the record at `lsn` of the log brought about. A signal that the destination does not
    /// take is ignored, and so is what was offered before the process was started again.
    ///
    /// Cumulative requests take the place of the one that waits, delta requests are merged when many wait. Log records of a destination with
    /// [`crate::WhenFull::Block`] are let in beyond the bounds of the queue: whoever brings them about is to stop when [`Exporter::backlog`]
    /// says so. No destination is waited for, but the disk is when it is full: never call it from async code.
    ///
    /// Gives back whether the request is as safe as it can be made; it is not if the exporter was told to end while it waited for the disk.
    pub fn offer(&self, lsn: Lsn, outgoing: Outgoing) -> bool {
        let signal = outgoing.signal();
        let (wanted, replaceable) = match signal {
            Signal::Metrics => (self.destination.metrics, self.destination.temporality == Temporality::Cumulative),
            Signal::Logs => (self.destination.logs, false),
            Signal::Traces => (false, false),
        };
        if !wanted || self.was_offered(lsn, signal) {
            return true;
        }
        // Before anything is stored: what is sent again is the same bytes.
        let entry = match self.destination.profile.adapt(outgoing) {
            Outgoing::Metrics(newer) if !replaceable => self.merged(lsn, newer),
            outgoing => self.kept(lsn, outgoing, replaceable),
        };
        let Some(entry) = entry else { return false };
        let displaced = self.queue.offer(entry);
        if let Some(superseded) = displaced.superseded {
            self.stats.of(Signal::Metrics).superseded.add(superseded.amount());
        }
        let is_overflowing = !displaced.dropped.is_empty();
        for entry in displaced.dropped {
            self.stats.of(entry.signal).dropped.add(entry.amount());
            entry.done();
        }
        if is_overflowing && !self.overflowing.swap(true, Ordering::Relaxed) {
            tracing::warn!(destination = %self.destination.name, "queue is full: the oldest requests are dropped");
        }
        true
    }

    fn was_offered(&self, lsn: Lsn, signal: Signal) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| lsn <= lock(outbox).through(signal))
    }

    /// A delta request, merged with the newest that waits if too many do; `None` as for [`Exporter::kept`].
    fn merged(&self, lsn: Lsn, newer: Arc<ExportMetricsServiceRequest>) -> Option<Entry> {
        let Some(older) = self.queue.take_newest_delta(self.limits.intervals) else {
            return self.kept(lsn, Outgoing::Metrics(newer), false);
        };
        let mut merged = match older.metrics() {
            Ok(merged) => merged,
            Err(error) => {
                tracing::error!(destination = %self.destination.name, %error, "what waits cannot be read");
                self.queue.restore(older);
                return self.kept(lsn, Outgoing::Metrics(newer), false);
            }
        };
        merge_delta(&mut merged, &newer);
        let entry = self.kept_since(older.from(lsn), lsn, Outgoing::Metrics(Arc::new(merged)), false);
        match &entry {
            Some(_) => older.done(),
            // What is not stored must not take the place of what is.
            None => self.queue.restore(older),
        }
        entry
    }

    fn kept(&self, lsn: Lsn, outgoing: Outgoing, replaceable: bool) -> Option<Entry> {
        self.kept_since(lsn, lsn, outgoing, replaceable)
    }

    /// The request, stored if what waits shall outlive the process. Waits while the disk does not take it; `None` if the exporter is
    /// to end meanwhile: then the next process makes it again, and everything behind it.
    fn kept_since(&self, from: Lsn, lsn: Lsn, outgoing: Outgoing, replaceable: bool) -> Option<Entry> {
        let Some(outbox) = self.outbox.as_ref().filter(|_| !replaceable) else {
            return Some(Entry::new(outgoing, replaceable));
        };
        let (body, items) = (outgoing.encode(), outgoing.items());
        while !self.refuses.load(Ordering::Relaxed) {
            let error = match lock(outbox).put(from, lsn, outgoing.signal(), items, &body) {
                Ok(stored) => return Some(Entry::stored(stored)),
                Err(error) => error,
            };
            tracing::error!(destination = %self.destination.name, %error, "what is to be sent cannot be stored, trying again");
            if self.queue.is_ending_within(STORE_AGAIN) {
                self.refuses.store(true, Ordering::Relaxed);
            }
        }
        None
    }

    /// Says where the log ends, and whether an earlier process is known to have had the destination. What the outbox claims to have had beyond
    /// that is of another log: it is not believed. One of a destination that is new has had everything up to there.
    pub fn log_ends_at(&self, last: Lsn, is_known: bool) {
        let Some(outbox) = &self.outbox else { return };
        if lock(outbox).log_ends_at(last, is_known) {
            tracing::warn!(destination = %self.destination.name, last, "the outbox is of a longer log than there is");
        }
    }

    /// Remembers that a place in the log is noted for it.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn note_placed(&self) -> io::Result<()> {
        self.outbox.as_ref().map_or(Ok(()), |outbox| lock(outbox).note_placed())
    }

    /// Whether no earlier process had anything for it, nor a place in the log, as far as its outbox tells.
    pub fn is_new(&self) -> bool {
        self.outbox.as_ref().is_none_or(|outbox| lock(outbox).is_new())
    }

    /// What this exporter delivers to.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Whether so much waits for the destination that no more is to be accepted.
    pub fn backlog(&self) -> Backlog {
        self.queue.backlog()
    }

    /// What became of the items so far. The numbers outlive the exporter.
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Hands on what applications sent to the same destination, on a connection of its own. It ends with the exporter.
    ///
    /// # Errors
    /// As [`Exporter::spawn`].
    pub fn forwarder(&self) -> Result<Forwarder, ExportError> {
        let stats = Arc::clone(&self.stats);
        let (backoff, ending) = (self.limits.backoff.clone(), self.grace.subscribe());
        let courier = Courier::new(&self.destination, stats, backoff, ending, self.outbox.is_some())?;
        Ok(Forwarder::new(&self.destination, courier, Arc::clone(&self.stats)))
    }

    /// The end is near: from now on [`Exporter::offer`] waits for nothing.
    pub fn stop_waiting(&self) {
        self.queue.stop_waiting();
    }

    /// From now on the destination has as long as `grace` for each of its answers; see [`Exporter::shutdown`].
    pub fn begin_shutdown(&self, grace: Duration) {
        self.queue.stop_waiting();
        self.queue.close();
        self.grace.send_replace(Some(grace));
    }

    /// Sends what is queued, with retries, until the destination has answered nothing for as long as `grace`; what is left then is
    /// kept for the next start, or dropped and counted if nothing outlives the process.
    pub async fn shutdown(self, grace: Duration) {
        self.begin_shutdown(grace);
        if let Err(error) = self.task.await {
            tracing::error!(destination = %self.destination.name, %error, "exporter ended badly");
        }
    }
}

/// Delivers until the queue is closed and empty, or the deadline has passed.
async fn work(mut worker: Worker) {
    let time_is_up = worker.courier.time_is_up();
    tokio::select! {
        () = worker.deliver_all() => return,
        () = time_is_up => {}
    }
    worker.abandon();
}

/// The state of the task.
struct Worker {
    name: String,
    courier: Courier,
    queue: Arc<Queue>,
    stats: Arc<Stats>,
    overflowing: Arc<AtomicBool>,
    max_request_size: usize,
    read_again: Duration,
    /// What is being delivered, and the pieces that are not answered for, once it was read.
    current: Option<(Entry, Option<Delivery>)>,
}

impl Worker {
    async fn deliver_all(&mut self) {
        while let Some(entry) = self.queue.next().await {
            self.current = Some((entry, None));
            if self.read().await {
                self.deliver().await;
            } else if let Some((entry, _)) = self.current.take() {
                tracing::error!(
                    destination = %self.name, signal = entry.signal.name(), items = entry.items,
                    "what was to be sent cannot be read, left for the next start"
                );
                self.stats.of(entry.signal).dropped.add(entry.amount());
            }
        }
    }

    /// Reads the current request. A disk that refuses may only be away for a while, or the process have too many files open.
    async fn read(&mut self) -> bool {
        for tries in 1.. {
            let Some((entry, delivery)) = &mut self.current else { break };
            let error = match entry.delivery(self.max_request_size).await {
                Ok(read) => {
                    *delivery = Some(read);
                    return true;
                }
                Err(error) => error,
            };
            tracing::error!(destination = %self.name, %error, "what is to be sent cannot be read");
            if tries == READ_TRIES {
                break;
            }
            count(&self.stats.of(entry.signal).retries, 1);
            tokio::time::sleep(self.read_again).await;
        }
        false
    }

    /// Delivers the current request, if it could be read; gives up only for a newer one that says the same.
    async fn deliver(&mut self) {
        if let Some((entry, Some(delivery))) = &mut self.current {
            let (queue, replaceable) = (&self.queue, entry.replaceable);
            let is_given_up = || replaceable && queue.has_replacement();
            while !delivery.is_done() {
                match self.courier.deliver_piece(delivery, &is_given_up).await {
                    Delivered::Answered => self.overflowing.store(false, Ordering::Relaxed),
                    Delivered::TimedOut => break,
                    Delivered::GivenUp => {
                        self.stats.of(delivery.signal).superseded.add(delivery.rest());
                        break;
                    }
                }
                if !delivery.is_done() {
                    entry.keep_only_last(delivery.rest().items).await;
                }
            }
        }
        if let Some((entry, _)) = self.current.take() {
            entry.done_on_runtime().await;
        }
    }

    /// Counts what will not be sent any more.
    fn abandon(&mut self) {
        self.queue.close();
        let current = self.current.take().map(|(entry, delivery)| {
            let rest = delivery.map_or(entry.amount(), |delivery| delivery.rest());
            (entry.is_stored(), entry.signal, rest)
        });
        let waiting = self.queue.drain().into_iter().map(|entry| (entry.is_stored(), entry.signal, entry.amount()));
        let (mut kept, mut dropped) = (0, 0);
        for (is_stored, signal, rest) in current.into_iter().chain(waiting) {
            if is_stored {
                kept += rest.items;
                continue;
            }
            self.stats.of(signal).dropped.add(rest);
            dropped += rest.items;
        }
        if dropped > 0 {
            tracing::warn!(destination = %self.name, items = dropped, "not delivered in time, dropped");
        }
        if kept > 0 {
            tracing::info!(destination = %self.name, items = kept, "not delivered in time, kept for the next start");
        }
    }
}

/// A panic while the lock was held leaves the outbox sound.
fn lock(outbox: &Mutex<Outbox>) -> std::sync::MutexGuard<'_, Outbox> {
    outbox.lock().unwrap_or_else(PoisonError::into_inner)
}
