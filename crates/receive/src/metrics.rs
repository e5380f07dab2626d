//! The receivers' own telemetry: counted per request, never per span.
use crate::{Budget, Refusal, Signal};
use bytes::Bytes;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use otlp::divide::RECORDS;

/// Counts requests by signal, transport and outcome, the bytes of their bodies, and their spans.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests: Counter<u64>,
    bytes: Counter<u64>,
    spans: Counter<u64>,
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
            .with_description(
                "Bytes of request bodies received whole, as they came over the wire, by outcome of the request",
            )
            .with_unit("By")
            .build();
        let spans = meter
            .u64_counter("spanmill.receiver.spans")
            .with_description(
                "Spans of requests, by outcome of the request. Of one that is refused before all of its body is there and inflated, or \
                 whose body cannot be read, nobody knows how many it held: spanmill.receiver.requests alone tells of it",
            )
            .with_unit("{span}")
            .build();
        Metrics { requests, bytes, spans }
    }

    /// One request has begun. `signal` is unknown if the path is.
    pub(crate) fn begin(&self, signal: Option<Signal>, transport: &'static str) -> Ongoing<'_> {
        Ongoing { metrics: self, signal, transport, outcome: "cancelled", wire_bytes: None, spans: Spans::Unknown }
    }
}

/// A request on its way. Dropped without an outcome, its client went away.
#[derive(Debug)]
pub(crate) struct Ongoing<'a> {
    metrics: &'a Metrics,
    signal: Option<Signal>,
    transport: &'static str,
    outcome: &'static str,
    wire_bytes: Option<usize>,
    spans: Spans,
}

/// How many spans a request holds.
#[derive(Debug)]
enum Spans {
    Unknown,
    /// Those in this body, which are to be counted only if it is refused.
    In(Bytes),
    Counted(u64),
}

impl Spans {
    /// `None` if nobody knows.
    fn count(self) -> Option<u64> {
        match self {
            Spans::In(body) => RECORDS.count(&body).ok(),
            Spans::Counted(spans) => Some(spans),
            Spans::Unknown => None,
        }
    }
}

impl Ongoing<'_> {
    /// The whole body has arrived.
    pub(crate) fn received(&mut self, wire_bytes: usize) {
        self.wire_bytes = Some(wire_bytes);
    }

    /// This is the body, inflated and in protobuf. It is kept until the request is answered.
    pub(crate) fn holds(&mut self, body: Bytes) {
        self.spans = Spans::In(body);
    }

    /// The request has been answered; accepted, it had so many spans.
    pub(crate) fn end(mut self, result: &Result<u64, Refusal>) {
        match result {
            Ok(spans) => (self.outcome, self.spans) = ("accepted", Spans::Counted(*spans)),
            Err(refusal) => {
                self.outcome = refusal.name();
                tracing::debug!(signal = self.signal_name(), transport = self.transport, %refusal, "request refused");
            }
        }
    }

    fn signal_name(&self) -> &'static str {
        self.signal.map_or("unknown", Signal::name)
    }
}

impl Drop for Ongoing<'_> {
    fn drop(&mut self) {
        // Only traces have spans. Whoever sees it counted finds its bytes given back.
        let spans = std::mem::replace(&mut self.spans, Spans::Unknown);
        let spans = spans.count().filter(|_| self.signal == Some(Signal::Traces));
        let attributes = [
            KeyValue::new("transport", self.transport),
            KeyValue::new("outcome", self.outcome),
            KeyValue::new("signal", self.signal_name()),
        ];
        let [of_spans @ .., _] = &attributes;
        self.metrics.requests.add(1, &attributes);
        if let Some(bytes) = self.wire_bytes {
            self.metrics.bytes.add(bytes as u64, &attributes);
        }
        if let Some(spans) = spans {
            self.metrics.spans.add(spans, of_spans);
        }
    }
}
