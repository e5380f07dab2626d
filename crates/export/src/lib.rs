//! What leaves Spanmill: metrics and error records to OTLP destinations, metrics to whoever scrapes `/metrics`.
//!
//! Both ways out start from the same OTLP messages; this crate never computes a number and never keeps a series.
//! A destination that is slow, down or hostile costs a bounded amount of memory and a few log lines: [`Exporter::offer`]
//! never blocks and nothing here panics or stops the process. What is not delivered is counted ([`Stats`]). Header values
//! are secrets: they are shown neither by `Debug` nor in a log line.
//!
//! | name | what it is |
//! |---|---|
//! | [`Destination`] | one `otlp/NAME` of the configuration: where to, how, and what |
//! | [`Exporter`] | the task that delivers to one destination, in order, with retries |
//! | [`Outgoing`] | one request handed to an exporter |
//! | [`openmetrics`] | an OTLP metrics request as OpenMetrics or Prometheus text (pure) |
//! | [`prometheus`] | the HTTP server that answers `GET /metrics` |
//!
//! Files, in the order of the flow: `destination` (settings, checked), `queue` (what waits), `profile` (what a kind of backend needs), `split` (requests in the size
//! a destination takes), `client` (gRPC, HTTP), `tls` (whom to trust), `outcome` (what an answer means), `retry` (when to try again), `exporter`
//! (the task), `stats` (what became of each item); `names`, `families`, `openmetrics`, `prometheus` for scraping.

mod client;
mod destination;
mod exporter;
mod families;
mod names;
pub mod openmetrics;
mod outcome;
mod profile;
pub mod prometheus;
mod queue;
mod retry;
mod split;
mod stats;
mod tls;

pub use destination::{Compression, Destination, ExportError, Protocol, Secret, Temporality};
pub use exporter::Exporter;
pub use profile::Profile;
pub use queue::Outgoing;
pub use retry::Retry;
pub use stats::{Counts, Signal, Stats};
pub use tls::{Identity, Tls};

#[cfg(test)]
mod tests;
