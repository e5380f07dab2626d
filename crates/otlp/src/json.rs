//! OTLP/JSON at the edge: a JSON request becomes the protobuf request that it stands for.
//!
//! Source: OTLP specification, "JSON Protobuf Encoding", over the proto3 JSON mapping. Keys are lowerCamelCase only; unknown
//! keys are ignored; ids are hex in either case; enums are numbers; 64-bit integers are strings or numbers; doubles may be
//! `"NaN"`, `"Infinity"`, `"-Infinity"`; `null` is the same as absent.
//!
//! The protobuf is written while the JSON is parsed, by a table of OTLP's messages. No tree of the request
//! stands in between, so a hostile body costs at most four times its size (an array of zeros, as 64-bit counts).
//! serde_json limits the depth to 128, which is about 39 nested attribute values, well below what the protobuf reader takes.

mod encode;
mod schema;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

/// OTLP/JSON that is not a request: where, and what is wrong. Never quotes a text of the request.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct JsonError {
    /// The field that was being read, e.g. `resourceSpans[0].scopeSpans[0].spans[3].traceId`; `request` at the top.
    pub path: String,
    /// What is wrong with it, and at which line and column.
    pub problem: serde_json::Error,
}

/// What a request carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// The key that only a request of this signal has.
    const KEYS: [(&str, Self); 3] =
        [("resourceSpans", Self::Traces), ("resourceMetrics", Self::Metrics), ("resourceLogs", Self::Logs)];
}

/// The protobuf `ExportTraceServiceRequest` of a JSON one. A body without content is an empty request.
///
/// # Errors
/// Text that is not JSON, a value that its field cannot hold, or more than 128 levels.
pub fn traces_to_protobuf(json: &[u8]) -> Result<Vec<u8>, JsonError> {
    encode::request(json, &schema::TRACES)
}

/// The protobuf `ExportMetricsServiceRequest` of a JSON one. A body without content is an empty request.
///
/// # Errors
/// As [`traces_to_protobuf`].
pub fn metrics_to_protobuf(json: &[u8]) -> Result<Vec<u8>, JsonError> {
    encode::request(json, &schema::METRICS)
}

/// The protobuf `ExportLogsServiceRequest` of a JSON one. A body without content is an empty request.
///
/// # Errors
/// As [`traces_to_protobuf`].
pub fn logs_to_protobuf(json: &[u8]) -> Result<Vec<u8>, JsonError> {
    encode::request(json, &schema::LOGS)
}

/// Which signal a JSON request carries, told by its first known key. `None` for an empty request, or none of ours.
pub fn signal_of(json: &[u8]) -> Option<Signal> {
    serde_json::Deserializer::from_slice(json).deserialize_map(SignalVisitor).ok().flatten()
}

struct SignalVisitor;

impl<'de> Visitor<'de> for SignalVisitor {
    type Value = Option<Signal>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            found = found.or(Signal::KEYS.iter().find(|(name, _)| *name == key).map(|(_, signal)| *signal));
            map.next_value::<IgnoredAny>()?;
        }
        Ok(found)
    }
}
