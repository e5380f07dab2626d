//! One call, one count: what durable records add up to.
//!
//! - [`Pipeline::apply`] applies the records of the log in their order; serve, replay, demo, recovery and tests all drive it.
//! - [`Contents`] are hashes of a request, by which what a client sends again is known, and what links its spans, and what it says of failures.
//! - [`SeriesIndex`] and [`Layout`] let request handlers look up a span's series beside the one applier.
//! - [`Pipeline::counted`]: the calls that the last record made count, for monitors.
//! - [`Outcome`]: every span gets exactly one, and they add up to what was received.
//! - [`enriched()`] writes what spans mean, and what became of them, on the spans themselves.
//! - [`Pipeline::checkpoint`] and [`Pipeline::restore`]: the state as bytes, and from there on with the log.
//! - [`Interval`] is a closed metrics interval as OTLP messages, for both temporalities and both kinds of histograms ([`Forms`]).
//! - [`ErrorIndex`] keeps error records, bounded and grouped by fingerprint; [`Report`] sums up what was counted.
//!
//! Pure: no I/O, no async, no clock, no logging. Time comes in as the log's receive time, so the state is a function of
//! the records applied.

mod call;
mod checkpoint;
mod collect;
mod contents;
mod descriptions;
mod duplicates;
mod enriched;
mod errors;
mod evaluated;
mod family;
mod fetch;
mod fingerprint;
mod histogram;
mod index;
mod instruments;
mod key;
mod known_prices;
mod outcome;
mod pending;
mod pipeline;
mod pricing;
mod recent;
mod record;
mod report;
mod ring;
mod series;
mod settle;
mod table;
mod tally;
mod watched;

pub use checkpoint::RestoreError;
pub use collect::{Forms, Histograms, Interval};
pub use contents::{Contents, Named};
pub use descriptions::Semconv;
pub use duplicates::DuplicateSettings;
pub use enriched::{Outcomes, enriched};
pub use errors::{ErrorGroup, ErrorIndex, ErrorRecord, ErrorText};
pub use evaluated::Evaluated;
pub use fetch::fetch;
pub use index::SeriesIndex;
pub use key::Layout;
pub use outcome::{Merged, Outcome, SpanOutcome};
pub use pipeline::{Effect, Pipeline, Settings};
pub use pricing::{Coverage, Pricing, SpanCost};
pub use record::{Applied, Logged, Lsn, Record};
pub use report::{Report, Saved, ServiceModel, Totals, Unpriced};
pub use settle::SettleSettings;
pub use watched::CountedCall;
