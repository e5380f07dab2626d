//! What waits for one destination: bounded, in order, and never in the way of whoever offers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric};
use prost::Message as _;
use tokio::sync::Notify;

use crate::stats::Signal;

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
            Outgoing::Metrics(request) => data_points(request),
            Outgoing::Logs(request) => log_records(request),
        }
    }

    fn encoded_len(&self) -> usize {
        match self {
            Outgoing::Metrics(request) => request.encoded_len(),
            Outgoing::Logs(request) => request.encoded_len(),
        }
    }
}

pub(crate) fn data_points(request: &ExportMetricsServiceRequest) -> u64 {
    let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    scopes.flat_map(|scope| &scope.metrics).map(metric_points).sum()
}

fn metric_points(metric: &Metric) -> u64 {
    let points = match &metric.data {
        Some(metric::Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(metric::Data::Sum(sum)) => sum.data_points.len(),
        Some(metric::Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(metric::Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(metric::Data::Summary(summary)) => summary.data_points.len(),
        None => 0,
    };
    points as u64
}

pub(crate) fn log_records(request: &ExportLogsServiceRequest) -> u64 {
    let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    scopes.map(|scope| scope.log_records.len() as u64).sum()
}

/// A request in the queue.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) outgoing: Outgoing,
    pub(crate) items: u64,
    /// A newer one of its kind says everything this one says: cumulative metrics.
    pub(crate) replaceable: bool,
    bytes: usize,
}

impl Entry {
    pub(crate) fn new(outgoing: Outgoing, replaceable: bool) -> Entry {
        Entry { items: outgoing.items(), bytes: outgoing.encoded_len(), outgoing, replaceable }
    }
}

/// How much may wait. The request being sent is not part of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capacity {
    /// Encoded size of all requests.
    pub(crate) bytes: usize,
    pub(crate) requests: usize,
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
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Entry>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(capacity: Capacity) -> Queue {
        Queue { capacity, state: Mutex::default(), changed: Notify::new() }
    }

    /// Lets a request in, as the newest. A replaceable one takes the place of the one that waits.
    pub(crate) fn offer(&self, entry: Entry) -> Displaced {
        let mut displaced = Displaced::default();
        let mut state = self.state();
        if state.closed || entry.bytes > self.capacity.bytes {
            displaced.dropped.push(entry);
            return displaced;
        }
        if entry.replaceable
            && let Some(position) = state.waiting.iter().position(|waiting| waiting.replaceable)
        {
            displaced.superseded = state.take(position);
        }
        while state.bytes + entry.bytes > self.capacity.bytes || state.waiting.len() >= self.capacity.requests {
            // The one cumulative request that waits stays: the next would only take its place.
            let oldest = state.waiting.iter().position(|waiting| !waiting.replaceable);
            let Some(dropped) = oldest.and_then(|position| state.take(position)) else {
                displaced.dropped.push(entry);
                return displaced;
            };
            displaced.dropped.push(dropped);
        }
        state.bytes += entry.bytes;
        state.waiting.push_back(entry);
        drop(state);
        self.changed.notify_one();
        displaced
    }

    /// Waits for the oldest request; `None` once the queue is closed and empty.
    pub(crate) async fn next(&self) -> Option<Entry> {
        loop {
            let (entry, closed) = {
                let mut state = self.state();
                (state.take(0), state.closed)
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

    /// Lets no more in; what waits can still be taken.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
    }

    /// Encoded size of what waits.
    pub(crate) fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// Takes everything that waits.
    pub(crate) fn drain(&self) -> VecDeque<Entry> {
        let mut state = self.state();
        state.bytes = 0;
        std::mem::take(&mut state.waiting)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if something did, the state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, position: usize) -> Option<Entry> {
        let entry = self.waiting.remove(position)?;
        self.bytes -= entry.bytes;
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

    const CAPACITY: Capacity = Capacity { bytes: 1000, requests: 3 };

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
        let queue = Queue::new(CAPACITY);
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
        let queue = Queue::new(CAPACITY);
        assert!(queue.offer(cumulative()).superseded.is_none());
        assert!(queue.offer(cumulative()).superseded.is_some());
        let dropped = (1..=10).flat_map(|records| queue.offer(logs(records)).dropped);
        assert_eq!(items(dropped), (1..=8).collect::<Vec<_>>());
        assert!(queue.has_replacement());
    }

    // A closed queue hands out what it holds, then ends, and takes nothing.
    #[tokio::test]
    async fn closing_ends_it() {
        let queue = Queue::new(CAPACITY);
        queue.offer(logs(1));
        queue.close();
        assert_eq!(items(queue.offer(logs(2)).dropped), [2]);
        assert_eq!(items(queue.next().await), [1]);
        assert!(queue.next().await.is_none());
    }
}
