//! The receivers' own telemetry: counted per request, never per span.
use crate::{Budget, Refusal, Signal};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

/// Counts requests by signal, transport and outcome, and the bytes of their bodies.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests: Counter<u64>,
    bytes: Counter<u64>,
}

impl Metrics {
    /// Registers the instruments. `spanmill.receiver.memory` is observed on collection.
    pub(crate) fn new(meter: &Meter, budget: &Budget) -> Self {
        let observed = budget.clone();
        meter
            .i64_observable_up_down_counter("spanmill.receiver.memory")
            .with_description("Request bytes held at once")
            .with_unit("By")
            .with_callback(move |observer| observer.observe(i64::try_from(observed.used()).unwrap_or(i64::MAX), &[]))
            .build();
        let requests = meter
            .u64_counter("spanmill.receiver.requests")
            .with_description("Export requests, by signal, transport and outcome (accepted, or why not)")
            .with_unit("{request}")
            .build();
        let bytes = meter
            .u64_counter("spanmill.receiver.bytes")
            .with_description("Bytes of request bodies received whole, as they came over the wire")
            .with_unit("By")
            .build();
        Metrics { requests, bytes }
    }

    /// One request has begun. `signal` is unknown if the path is.
    pub(crate) fn begin(&self, signal: Option<Signal>, transport: &'static str) -> Ongoing<'_> {
        let signal = signal.map_or("unknown", Signal::name);
        Ongoing { metrics: self, signal, transport, outcome: "cancelled" }
    }
}

/// A request on its way. Dropped without an outcome, its client went away.
#[derive(Debug)]
pub(crate) struct Ongoing<'a> {
    metrics: &'a Metrics,
    signal: &'static str,
    transport: &'static str,
    outcome: &'static str,
}

impl Ongoing<'_> {
    /// The whole body has arrived.
    pub(crate) fn received(&self, wire_bytes: usize) {
        let attributes = [KeyValue::new("signal", self.signal), KeyValue::new("transport", self.transport)];
        self.metrics.bytes.add(wire_bytes as u64, &attributes);
    }

    /// The request has been answered.
    pub(crate) fn end(mut self, result: &Result<(), Refusal>) {
        let Err(refusal) = result else {
            self.outcome = "accepted";
            return;
        };
        self.outcome = refusal.name();
        tracing::debug!(signal = self.signal, transport = self.transport, %refusal, "request refused");
    }
}

impl Drop for Ongoing<'_> {
    fn drop(&mut self) {
        let attributes = [
            KeyValue::new("signal", self.signal),
            KeyValue::new("transport", self.transport),
            KeyValue::new("outcome", self.outcome),
        ];
        self.metrics.requests.add(1, &attributes);
    }
}
