//! What became of each item, as numbers that only grow: read by tests and pages through [`Stats`], and by Spanmill's own
//! telemetry through the meter.

use std::iter::Sum;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use crate::queue::Queue;

/// The signals that leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Items are spans.
    Traces,
    /// Items are data points.
    Metrics,
    /// Items are log records.
    Logs,
}

impl Signal {
    pub(crate) const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }
}

/// What became of what one destination was offered.
#[derive(Debug, Default)]
pub struct Stats {
    traces: Counters,
    metrics: Counters,
    logs: Counters,
    unreadable: AtomicU64,
}

/// The numbers of one signal: items, except `retries`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Taken by the destination.
    pub sent: u64,
    /// Refused by the destination for good, whole requests and parts of them.
    pub failed: u64,
    /// Never answered for: the queue was full, or time ran out at shutdown.
    pub dropped: u64,
    /// Cumulative data points left out because newer ones took their place; nothing is lost by that.
    pub superseded: u64,
    /// Data points of applications left out because derived metrics of the same names go to the destination.
    pub replaced: u64,
    /// Attempts that failed and were, or will be, repeated.
    pub retries: u64,
}

/// Items, and how long the messages are that hold them: encoded, and not compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub items: u64,
    /// In how many bytes.
    pub bytes: u64,
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Amount>>(amounts: I) -> Amount {
        amounts.fold(Amount::default(), |sum, Amount { items, bytes }| Amount {
            items: sum.items + items,
            bytes: sum.bytes + bytes,
        })
    }
}

/// What met with one outcome.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    items: AtomicU64,
    bytes: AtomicU64,
}

impl Tally {
    pub(crate) fn add(&self, Amount { items, bytes }: Amount) {
        count(&self.items, items);
        count(&self.bytes, bytes);
    }

    pub(crate) fn read(&self) -> Amount {
        Amount { items: self.items.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: Tally,
    pub(crate) failed: Tally,
    pub(crate) dropped: Tally,
    pub(crate) superseded: Tally,
    pub(crate) replaced: Tally,
    pub(crate) retries: AtomicU64,
}

impl Counters {
    fn outcomes(&self) -> [(&'static str, &Tally); 5] {
        [
            ("sent", &self.sent),
            ("failed", &self.failed),
            ("dropped", &self.dropped),
            ("superseded", &self.superseded),
            ("replaced", &self.replaced),
        ]
    }
}

impl Stats {
    /// The numbers of one signal now.
    pub fn counts(&self, signal: Signal) -> Counts {
        let counters = self.of(signal);
        Counts {
            sent: counters.sent.read().items,
            failed: counters.failed.read().items,
            dropped: counters.dropped.read().items,
            superseded: counters.superseded.read().items,
            replaced: counters.replaced.read().items,
            retries: counters.retries.load(Ordering::Relaxed),
        }
    }

    /// Requests of applications that were not handed on because they could not be read back: nobody knows how many items they held.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    pub(crate) fn count_unreadable(&self, requests: u64) {
        count(&self.unreadable, requests);
    }

    pub(crate) fn of(&self, signal: Signal) -> &Counters {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
        }
    }
}

pub(crate) fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Shows the numbers of one destination to the meter, at every collection.
pub(crate) fn observe(meter: &Meter, destination: &str, stats: &Arc<Stats>, queue: &Arc<Queue>) {
    let destination = KeyValue::new("destination", destination.to_owned());

    let (attribute, source) = (destination.clone(), Arc::clone(stats));
    meter
        .u64_observable_counter("spanmill.exporter.unreadable")
        .with_unit("{request}")
        .with_description(
            "Requests of applications that were not handed on because the log is damaged where they stand",
        )
        .with_callback(move |observer| observer.observe(source.unreadable(), std::slice::from_ref(&attribute)))
        .build();

    let by_outcome = |name, unit, description, value: fn(Amount) -> u64| {
        let (attribute, source) = (destination.clone(), Arc::clone(stats));
        meter
            .u64_observable_counter(name)
            .with_unit(unit)
            .with_description(description)
            .with_callback(move |observer| {
                for signal in Signal::ALL {
                    for (outcome, tally) in source.of(signal).outcomes() {
                        let signal = KeyValue::new("signal", signal.name());
                        let attributes = [attribute.clone(), signal, KeyValue::new("outcome", outcome)];
                        observer.observe(value(tally.read()), &attributes);
                    }
                }
            })
            .build()
    };
    by_outcome(
        "spanmill.exporter.items",
        "{item}",
        "Spans, data points and log records, by what became of them at the destination",
        |amount| amount.items,
    );
    by_outcome(
        "spanmill.exporter.bytes",
        "By",
        "The messages that they are in, encoded and not compressed; one that is refused in part counts as sent",
        |amount| amount.bytes,
    );

    let (attribute, source) = (destination.clone(), Arc::clone(stats));
    meter
        .u64_observable_counter("spanmill.exporter.retries")
        .with_unit("{attempt}")
        .with_description("Attempts to send that failed and are repeated")
        .with_callback(move |observer| {
            for signal in Signal::ALL {
                let signal_name = KeyValue::new("signal", signal.name());
                observer.observe(source.counts(signal).retries, &[attribute.clone(), signal_name]);
            }
        })
        .build();

    let source = Arc::clone(queue);
    meter
        .u64_observable_gauge("spanmill.exporter.queue.size")
        .with_unit("By")
        .with_description("Encoded size of the requests that wait for the destination")
        .with_callback(move |observer| observer.observe(source.bytes() as u64, std::slice::from_ref(&destination)))
        .build();
}
