//! What leaves Spanmill: metrics and error records to OTLP destinations, metrics to whoever scrapes `/metrics`.
//!
//! Both ways out start from the same OTLP messages; this crate never computes a number and never keeps a series.
//! A destination that is slow, down or hostile costs a bounded amount of memory and disk, and a few log lines: nothing here panics or stops
//! the process. What is not delivered is counted ([`Stats`]). Header values are secrets: they are shown neither by `Debug` nor in a
//! log line.
//!
//! | name | what it is |
//! |---|---|
//! | [`Destination`] | one `otlp/NAME` of the configuration: where to, how, and what |
//! | [`Exporter`] | the task that delivers to one destination, in order, with retries |
//! | [`Outgoing`] | one request handed to an exporter |
//! | [`Forwarder`] | hands on what applications sent, as they sent it |
//! | [`openmetrics`] | an OTLP metrics request as OpenMetrics or Prometheus text (pure) |
//! | [`prometheus`] | what answers `GET /metrics` |
//!
//! Files, in the order of the flow: `destination` (settings, checked), `profile` (what a kind of backend needs), `queue` (what waits),
//! `outbox` (the same on disk), `merge` (delta intervals made one), `items`, `split`, `shorten` (requests in the size a destination takes), `client` (gRPC,
//! HTTP), `outcome` (what an answer means), `retry` (when to try again), `courier` (one delivery), `exporter` (the
//! task), `forwarder`, `stats` (what became of each item); `names`, `families`, `openmetrics`, `prometheus` for scraping.

mod client;
mod courier;
mod destination;
mod exporter;
mod families;
mod forwarder;
mod items;
mod merge;
mod names;
pub mod openmetrics;
mod outbox;
mod outcome;
mod profile;
pub mod prometheus;
mod queue;
mod retry;
mod shorten;
mod split;
mod stats;

pub use destination::{Compression, Destination, ExportError, Histograms, Protocol, Temporality, WhenFull};
pub use exporter::Exporter;
pub use forwarder::{Forwarded, Forwarder};
pub use profile::Profile;
pub use queue::{Backlog, Outgoing};
pub use retry::Retry;
pub use stats::{Amount, Counts, Signal, Stats};
pub use transport::{Identity, Secret, Tls};

#[cfg(test)]
mod tests;
