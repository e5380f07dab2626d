//! OTLP on the wire.
//!
//! - [`trace::walk`] reads an `ExportTraceServiceRequest` once, borrowing: a [`trace::Visitor`] is told what is in it.
//! - [`value`] holds attribute values, [`wire`] the protobuf encoding and its errors.
//! - [`json`] turns OTLP/JSON into the protobuf body, so that there is one form behind the edge.
//! - [`logs::walk`] reads an `ExportLogsServiceRequest` likewise.
//! - [`rewrite`] gives some attributes another text, or spans more attributes, and leaves everything else byte for byte.
//! - [`metrics`] and [`logs`] write what leaves, [`exponential`] is OTLP's exponential histogram.
//!
//! Pure: no I/O, no async, no clock, no logging. Malformed input is an error with its place, never a panic.

mod envelope;
pub mod exponential;
pub mod json;
pub mod logs;
pub mod metrics;
pub mod rewrite;
pub mod trace;
pub mod value;
pub mod wire;

pub use value::{KeyValue, Value};
pub use wire::{Text, WireError};
