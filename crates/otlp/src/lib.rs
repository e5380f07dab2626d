//! OTLP on the wire.
//!
//! - [`trace::walk`] reads an `ExportTraceServiceRequest` once, borrowing: a [`trace::Visitor`] is told what is in it.
//! - [`value`] holds attribute values, [`wire`] the protobuf encoding and its errors.
//! - [`json`] turns OTLP/JSON into the protobuf body, so that there is one form behind the edge.
//! - [`logs::walk`] reads an `ExportLogsServiceRequest` likewise.
//! - [`rewrite`] gives some attributes another text, spans more attributes, or leaves metrics out, and everything else stays byte for byte.
//! - [`divide`] gives requests in smaller parts, and counts what is in them.
//! - [`metrics`] and [`logs`] write what leaves, [`exponential`] is OTLP's exponential histogram.
//!
//! Pure: no I/O, no async, no clock, no logging. Malformed input is an error with its place, never a panic.

pub mod divide;
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
