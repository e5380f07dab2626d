//! The meaning of a span: what a GenAI span says, whatever instrumentation library wrote it.
//!
//! - [`Deriver`] walks a request once and gives one [`SpanFacts`] a span, and the [`Evaluation`]s in it; [`Deriver::explain`] tells
//!   where each fact was read.
//! - [`Redactor`] takes prompts and completions out of a request, before anybody else sees it.
//! - [`dialects`] is the table of attribute dialects: data, one file a dialect. To add one, read its documentation.
//! - [`Role`] says whether a span is a call to a model; only calls are counted.
//! - [`Usage`] holds canonical tokens: input includes cached input, output includes reasoning.
//! - [`Money`] is an exact amount.
//! - [`price`] says what a call costs.
//! - [`bedrock`] says what the ids of Bedrock's models are made of.
//! - [`ErrorClass`] is the bounded class of a failure.
//!
//! Pure: no I/O, no async, no clock, no logging, and no allocation per span (only usage objects that are
//! written as text, and keys that mean something in one dialect only, may take one).

pub mod bedrock;
pub mod dialects;
pub mod price;

mod answer;
mod coerce;
mod content;
mod cost;
mod derive;
mod error;
mod evaluation;
mod facts;
mod finish;
mod json;
mod lookup;
mod model;
mod money;
mod operation;
mod provider;
mod redact;
mod repr;
mod role;
mod tier;
mod usage;

pub use derive::{DeriveError, Derived, Deriver, MAX_EVALUATIONS, MAX_SPANS, Source};
pub use error::{ErrorClass, ErrorFacts};
pub use evaluation::{Evaluation, ToldBy};
pub use facts::{Label, ReportPart, SpanFacts, SpanKind, SplitReport, Status, called_at, duration_of, time_of};
pub use money::Money;
pub use redact::Redactor;
pub use role::Role;
pub use usage::{CompactUsage, Inconsistency, TokenClasses, Usage};
