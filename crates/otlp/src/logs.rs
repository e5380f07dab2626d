//! `ExportLogsServiceRequest`: [`walk`] reads it once, and [`Log`] is the constructor that a log record needs.

mod read;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
pub use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};

pub use read::{RECORD_ATTRIBUTES, Record, Visitor, walk};

/// What a log record says; the ids make it lead to its trace.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// When it happened, nanoseconds since the Unix epoch.
    pub time: u64,
    /// When it was seen, nanoseconds since the Unix epoch.
    pub observed: u64,
    /// The message.
    pub body: String,
    /// Event name.
    pub event_name: &'static str,
    /// Trace of the span that it speaks of.
    pub trace_id: [u8; 16],
    /// The span that it speaks of.
    pub span_id: [u8; 8],
    /// Its attributes; see [`crate::metrics::text`] for their constructors.
    pub attributes: Vec<KeyValue>,
}

impl Log {
    /// A record of severity ERROR.
    pub fn error(self) -> LogRecord {
        LogRecord {
            time_unix_nano: self.time,
            observed_time_unix_nano: self.observed,
            severity_number: SeverityNumber::Error.into(),
            severity_text: "ERROR".to_owned(),
            body: Some(AnyValue { value: Some(any_value::Value::StringValue(self.body)) }),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            flags: 0,
            trace_id: self.trace_id.to_vec(),
            span_id: self.span_id.to_vec(),
            event_name: self.event_name.to_owned(),
        }
    }
}
