//! The archive's own metrics.

use opentelemetry::metrics::{Counter, Meter, UpDownCounter};

/// Instruments of the archive; without attributes, as a server has one archive.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// Files published.
    pub(crate) files: Counter<u64>,
    /// Rows in published files.
    pub(crate) rows: Counter<u64>,
    /// Size of published files.
    pub(crate) bytes: Counter<u64>,
    /// Failures: the first one stops the archive.
    pub(crate) errors: Counter<u64>,
    /// Requests that came after the archive had stopped, or were lost with it.
    pub(crate) dropped: Counter<u64>,
    /// Requests that wait in the channel.
    pub(crate) queue: UpDownCounter<i64>,
}

impl Metrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        let counter =
            |name, unit, description| meter.u64_counter(name).with_unit(unit).with_description(description).build();
        Self {
            files: counter("spanmill.archive.files", "{file}", "Parquet files published"),
            rows: counter("spanmill.archive.rows", "{row}", "Rows in published files"),
            bytes: counter("spanmill.archive.bytes", "By", "Size of published files"),
            errors: counter("spanmill.archive.errors", "{error}", "Failures; the first one stops the archive"),
            dropped: counter(
                "spanmill.archive.dropped",
                "{request}",
                "Requests not archived because the archive had stopped",
            ),
            queue: meter
                .i64_up_down_counter("spanmill.archive.queue")
                .with_unit("{request}")
                .with_description("Requests waiting for the archive's thread")
                .build(),
        }
    }
}
