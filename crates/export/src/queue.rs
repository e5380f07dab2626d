//! What waits for one destination: bounded, in order.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;
use tokio::sync::Notify;

use crate::courier::{Delivery, Piece};
use crate::destination::WhenFull;
use crate::items::Items as _;
use crate::outbox::{Lsn, Stored};
use crate::stats::{Amount, Signal};

/// One request for a destination. It is shared, not copied, among destinations.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// Metrics in the temporality of the destination.
    Metrics(Arc<ExportMetricsServiceRequest>),
    /// Log records.
    Logs(Arc<ExportLogsServiceRequest>),
}

impl Outgoing {
    pub(crate) fn signal(&self) -> Signal {
        match self {
            Outgoing::Metrics(_) => Signal::Metrics,
            Outgoing::Logs(_) => Signal::Logs,
        }
    }

    /// Number of data points or log records.
    pub(crate) fn items(&self) -> u64 {
        match self {
            Outgoing::Metrics(request) => request.items(),
            Outgoing::Logs(request) => request.items(),
        }
    }

    pub(crate) fn encode(&self) -> Bytes {
        match self {
            Outgoing::Metrics(request) => request.encode_to_vec().into(),
            Outgoing::Logs(request) => request.encode_to_vec().into(),
        }
    }

    fn encoded_len(&self) -> usize {
        match self {
            Outgoing::Metrics(request) => request.encoded_len(),
            Outgoing::Logs(request) => request.encoded_len(),
        }
    }
}

/// A request in the queue.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) signal: Signal,
    pub(crate) items: u64,
    /// A newer one of its kind says everything this one says: cumulative metrics.
    pub(crate) replaceable: bool,
    bytes: usize,
    body: Body,
}

/// Where a request is.
#[derive(Debug)]
enum Body {
    Memory(Outgoing),
    Disk(Stored),
}

impl Entry {
    /// A request that waits in memory.
    pub(crate) fn new(outgoing: Outgoing, replaceable: bool) -> Entry {
        let (signal, items, bytes) = (outgoing.signal(), outgoing.items(), outgoing.encoded_len());
        Entry { signal, items, replaceable, bytes, body: Body::Memory(outgoing) }
    }

    /// A request that waits on disk.
    pub(crate) fn stored(stored: Stored) -> Entry {
        let (signal, items, bytes) = (stored.signal(), stored.items(), stored.bytes);
        Entry { signal, items, replaceable: false, bytes, body: Body::Disk(stored) }
    }

    pub(crate) fn amount(&self) -> Amount {
        Amount { items: self.items, bytes: self.bytes as u64 }
    }

    pub(crate) fn is_stored(&self) -> bool {
        matches!(self.body, Body::Disk(_))
    }

    fn is_delta(&self) -> bool {
        self.signal == Signal::Metrics && !self.replaceable
    }

    /// The first record of the log that it was made of; `lsn` if nobody noted that.
    pub(crate) fn from(&self, lsn: Lsn) -> Lsn {
        match &self.body {
            Body::Memory(_) => lsn,
            Body::Disk(stored) => stored.from(),
        }
    }

    /// The metrics that it holds.
    pub(crate) fn metrics(&self) -> io::Result<ExportMetricsServiceRequest> {
        match &self.body {
            Body::Memory(Outgoing::Metrics(request)) => Ok(request.as_ref().clone()),
            Body::Memory(Outgoing::Logs(_)) => Ok(ExportMetricsServiceRequest::default()),
            Body::Disk(stored) => Ok(ExportMetricsServiceRequest::decode(stored.read()?)?),
        }
    }

    /// The request in pieces of at most so many bytes. Disks are not waited for on the runtime.
    pub(crate) async fn delivery(&self, max_bytes: usize) -> io::Result<Delivery> {
        let body = match &self.body {
            Body::Memory(outgoing) => outgoing.encode(),
            Body::Disk(stored) => {
                let stored = stored.clone();
                tokio::task::spawn_blocking(move || stored.read()).await??
            }
        };
        Ok(Delivery::new(self.signal, Piece::whole(body, self.items), max_bytes))
    }

    /// All but the last items were answered for: the next process sends no more than these.
    pub(crate) async fn keep_only_last(&mut self, items: u64) {
        let Body::Disk(stored) = &mut self.body else { return };
        let whole = stored.clone();
        match tokio::task::spawn_blocking(move || whole.keep_only_last(items)).await {
            Ok(Ok(rest)) => *stored = rest,
            Ok(Err(error)) => {
                tracing::warn!(%error, "what was answered for of a request is sent again at the next start")
            }
            Err(error) => tracing::error!(%error, "what was answered for of a request is not noted"),
        }
    }

    /// As [`Entry::done`], from the runtime. It is done even if nobody waits for it to be.
    pub(crate) async fn done_on_runtime(self) {
        if self.is_stored()
            && let Err(error) = tokio::task::spawn_blocking(|| self.done()).await
        {
            tracing::error!(%error, "a request that was answered for stays on disk");
        }
    }

    /// It is not waited for any more.
    pub(crate) fn done(self) {
        if let Body::Disk(stored) = self.body
            && let Err(error) = stored.done()
        {
            tracing::warn!(%error, "a request that was answered for stays on disk, and is sent again at the next start");
        }
    }
}

/// How much may wait. The request being sent is not part of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// Encoded size of all requests in memory.
    pub(crate) bytes: usize,
    /// Number of requests in memory.
    pub(crate) requests: usize,
    /// Encoded size of all requests on disk.
    pub(crate) stored: usize,
}

/// What had to go to let a request in.
#[derive(Debug, Default)]
pub(crate) struct Displaced {
    /// The older cumulative request, if one waited.
    pub(crate) superseded: Option<Entry>,
    /// Requests there was no room for: the oldest, or the offered one itself.
    pub(crate) dropped: Vec<Entry>,
}

/// A bounded queue with one taker.
#[derive(Debug)]
pub(crate) struct Queue {
    capacity: Capacity,
    when_full: WhenFull,
    state: Mutex<State>,
    /// The taker waits here.
    changed: Notify,
    /// Whoever waits for the end waits here.
    ended: Condvar,
    backlog: Backlog,
}

/// Whether a destination is so far behind that no more is to be brought about for it. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Backlog(Arc<AtomicBool>);

impl Backlog {
    /// More log records wait than may. Of a destination with [`WhenFull::DropOldest`] that is never so.
    pub fn is_full(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Entry>,
    /// Encoded sizes.
    in_memory: usize,
    stored: usize,
    /// Of these, log records.
    logs: Logs,
    closed: bool,
    /// Nobody who offers is to wait any more.
    ending: bool,
}

/// How many requests with log records wait, and their encoded sizes.
#[derive(Debug, Default)]
struct Logs {
    requests_in_memory: usize,
    bytes_in_memory: usize,
    bytes_stored: usize,
}

impl Queue {
    pub(crate) fn new(capacity: Capacity, when_full: WhenFull) -> Queue {
        Queue {
            capacity,
            when_full,
            state: Mutex::default(),
            changed: Notify::new(),
            ended: Condvar::new(),
            backlog: Backlog::default(),
        }
    }

    /// Lets a request in, as the newest; never waits. A replaceable one takes the place of the one that waits. Logs make room if the queue is
    /// told so, or else are let in beyond its bounds: [`Queue::backlog`] tells then. Deltas are not dropped, as there is a bound to what they
    /// are merged to.
    pub(crate) fn offer(&self, entry: Entry) -> Displaced {
        let mut displaced = Displaced::default();
        let mut state = self.state();
        if entry.replaceable
            && let Some(position) = state.waiting.iter().position(|waiting| waiting.replaceable)
        {
            displaced.superseded = state.take(position);
        }
        let is_bounded = entry.signal == Signal::Logs && self.when_full == WhenFull::DropOldest;
        if state.closed && entry.is_stored() {
            // The next process finds it.
            return displaced;
        }
        if state.closed || (is_bounded && entry.bytes > self.capacity.bytes) {
            displaced.dropped.push(entry);
            return displaced;
        }
        while is_bounded && state.is_full_for(&entry, self.capacity) {
            let oldest = state.waiting.iter().position(|waiting| waiting.signal == Signal::Logs);
            let Some(dropped) = oldest.and_then(|position| state.take(position)) else {
                displaced.dropped.push(entry);
                return displaced;
            };
            displaced.dropped.push(dropped);
        }
        state.put(entry);
        self.tell_backlog(&state);
        drop(state);
        self.changed.notify_one();
        displaced
    }

    /// Lets a request in that was in before.
    pub(crate) fn restore(&self, entry: Entry) {
        let mut state = self.state();
        state.put(entry);
        self.tell_backlog(&state);
        drop(state);
        self.changed.notify_one();
    }

    /// Takes the newest delta out, if as many wait as may.
    pub(crate) fn take_newest_delta(&self, max_waiting: usize) -> Option<Entry> {
        let mut state = self.state();
        let deltas = state.waiting.iter().filter(|entry| entry.is_delta());
        let is_crowded = deltas.count() >= max_waiting || state.is_full(self.capacity);
        let newest = state.waiting.iter().rposition(Entry::is_delta).filter(|_| is_crowded)?;
        state.take(newest)
    }

    /// Waits for the oldest request; `None` once the queue is closed and empty.
    pub(crate) async fn next(&self) -> Option<Entry> {
        loop {
            let (entry, closed) = {
                let mut state = self.state();
                let entry = state.take(0);
                self.tell_backlog(&state);
                (entry, state.closed)
            };
            if entry.is_some() || closed {
                return entry;
            }
            self.changed.notified().await;
        }
    }

    /// Whether a request waits that says everything a replaceable one says.
    pub(crate) fn has_replacement(&self) -> bool {
        self.state().waiting.iter().any(|entry| entry.replaceable)
    }

    /// Whether more waits than may.
    pub(crate) fn backlog(&self) -> Backlog {
        self.backlog.clone()
    }

    fn tell_backlog(&self, state: &State) {
        let is_full = self.when_full == WhenFull::Block && state.logs.exceed(self.capacity);
        self.backlog.0.store(is_full, Ordering::Relaxed);
    }

    /// From now on nobody waits to offer something.
    pub(crate) fn stop_waiting(&self) {
        self.state().ending = true;
        self.ended.notify_all();
    }

    /// Waits for a while; whether nobody is to wait any more.
    pub(crate) fn is_ending_within(&self, pause: Duration) -> bool {
        let waited = self.ended.wait_timeout_while(self.state(), pause, |state| !(state.ending || state.closed));
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.ending || state.closed
    }

    /// Lets no more in; what waits can still be taken.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
        self.ended.notify_all();
    }

    /// Encoded size of what waits.
    pub(crate) fn bytes(&self) -> usize {
        let state = self.state();
        state.in_memory + state.stored
    }

    /// Takes everything that waits.
    pub(crate) fn drain(&self) -> VecDeque<Entry> {
        let mut state = self.state();
        (state.in_memory, state.stored, state.logs) = (0, 0, Logs::default());
        std::mem::take(&mut state.waiting)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if something did, the state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Logs {
    fn exceed(&self, capacity: Capacity) -> bool {
        self.requests_in_memory >= capacity.requests
            || self.bytes_in_memory >= capacity.bytes
            || self.bytes_stored >= capacity.stored
    }

    /// Counts an entry as one that waits, or as one that does no more.
    fn count(&mut self, entry: &Entry, add: fn(usize, usize) -> usize) {
        if entry.signal != Signal::Logs {
            return;
        }
        if entry.is_stored() {
            self.bytes_stored = add(self.bytes_stored, entry.bytes);
            return;
        }
        self.bytes_in_memory = add(self.bytes_in_memory, entry.bytes);
        self.requests_in_memory = add(self.requests_in_memory, 1);
    }
}

impl State {
    fn is_full_for(&self, entry: &Entry, capacity: Capacity) -> bool {
        match entry.is_stored() {
            true => self.stored > 0 && self.stored + entry.bytes > capacity.stored,
            false => {
                self.count_in_memory() > 0 && (self.in_memory + entry.bytes > capacity.bytes || self.is_full(capacity))
            }
        }
    }

    /// Whether nothing more is to be let in that can be helped.
    fn is_full(&self, capacity: Capacity) -> bool {
        self.in_memory >= capacity.bytes
            || self.count_in_memory() >= capacity.requests
            || self.stored >= capacity.stored
    }

    fn count_in_memory(&self) -> usize {
        self.waiting.iter().filter(|entry| !entry.is_stored()).count()
    }

    /// Where the bytes of an entry are counted.
    fn sum_of(&mut self, entry: &Entry) -> &mut usize {
        if entry.is_stored() { &mut self.stored } else { &mut self.in_memory }
    }

    fn put(&mut self, entry: Entry) {
        *self.sum_of(&entry) += entry.bytes;
        self.logs.count(&entry, usize::saturating_add);
        self.waiting.push_back(entry);
    }

    fn take(&mut self, position: usize) -> Option<Entry> {
        let entry = self.waiting.remove(position)?;
        *self.sum_of(&entry) -= entry.bytes;
        self.logs.count(&entry, usize::saturating_sub);
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

    const CAPACITY: Capacity = Capacity { bytes: 1000, requests: 3, stored: 1000 };

    /// A request of so many empty records, each 2 bytes.
    fn logs(records: usize) -> Entry {
        let log_records = vec![LogRecord::default(); records];
        let scope_logs = vec![ScopeLogs { log_records, ..Default::default() }];
        let resource_logs = vec![ResourceLogs { scope_logs, ..Default::default() }];
        Entry::new(Outgoing::Logs(Arc::new(ExportLogsServiceRequest { resource_logs })), false)
    }

    fn cumulative() -> Entry {
        Entry::new(Outgoing::Metrics(Arc::new(ExportMetricsServiceRequest::default())), true)
    }

    fn items(entries: impl IntoIterator<Item = Entry>) -> Vec<u64> {
        entries.into_iter().map(|entry| entry.items).collect()
    }

    // Beyond its bounds, in requests or in bytes, the queue gives up its oldest requests and tells which.
    #[test]
    fn oldest_are_dropped() {
        let queue = Queue::new(CAPACITY, WhenFull::DropOldest);
        assert!(items((1..=3).flat_map(|records| queue.offer(logs(records)).dropped)).is_empty());
        assert_eq!(items(queue.offer(logs(4)).dropped), [1]);
        assert_eq!(items(queue.offer(logs(495)).dropped), [2, 3, 4]);
        assert_eq!(items(queue.offer(logs(600)).dropped), [600], "larger than the queue itself");
        assert!(queue.bytes() <= CAPACITY.bytes);
        assert_eq!(items(queue.drain()), [495]);
        assert_eq!(queue.bytes(), 0);
    }

    // Of cumulative requests one waits, and logs that pour in do not push it out.
    #[test]
    fn cumulative_requests_supersede() {
        let queue = Queue::new(CAPACITY, WhenFull::DropOldest);
        assert!(queue.offer(cumulative()).superseded.is_none());
        assert!(queue.offer(cumulative()).superseded.is_some());
        let dropped = (1..=10).flat_map(|records| queue.offer(logs(records)).dropped);
        assert_eq!(items(dropped), (1..=8).collect::<Vec<_>>());
        assert!(queue.has_replacement());
    }

    // What blocks lets all in without waiting, and tells that it is full from its bound on until there is room; only logs count, and a queue
    // that drops is never full.
    #[tokio::test]
    async fn a_full_queue_tells() {
        let queue = Queue::new(CAPACITY, WhenFull::Block);
        let backlog = queue.backlog();
        queue.offer(cumulative());
        for (records, is_full) in [(1, false), (2, false), (3, true), (4, true)] {
            assert!(queue.offer(logs(records)).dropped.is_empty());
            assert_eq!(backlog.is_full(), is_full, "{records}");
        }
        for is_full in [true, true, false] {
            queue.next().await;
            assert_eq!(backlog.is_full(), is_full);
        }
        queue.drain();
        queue.offer(logs(600));
        assert!(backlog.is_full(), "in bytes");
        let dropping = Queue::new(CAPACITY, WhenFull::DropOldest);
        (1..=10).for_each(|records| drop(dropping.offer(logs(records))));
        assert!(!dropping.backlog().is_full());
    }

    // A closed queue hands out what it holds, then ends, and takes nothing.
    #[tokio::test]
    async fn closing_ends_it() {
        let queue = Queue::new(CAPACITY, WhenFull::DropOldest);
        queue.offer(logs(1));
        queue.close();
        assert_eq!(items(queue.offer(logs(2)).dropped), [2]);
        assert_eq!(items(queue.next().await), [1]);
        assert!(queue.next().await.is_none());
    }
}
