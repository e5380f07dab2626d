//! Results of evaluations made by hand.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use prost::Message;

use super::driver::START;
use super::spans::{Made, attribute, resource};

/// The attributes of a result; no label if it is empty.
pub fn result(name: &str, score: f64, label: &str) -> Vec<KeyValue> {
    let mut attributes = vec![
        attribute("gen_ai.evaluation.name", Value::StringValue(name.to_owned())),
        attribute("gen_ai.evaluation.score.value", Value::DoubleValue(score)),
        attribute("gen_ai.evaluation.explanation", Value::StringValue("a long story".to_owned())),
    ];
    if !label.is_empty() {
        attributes.push(attribute("gen_ai.evaluation.score.label", Value::StringValue(label.to_owned())));
    }
    attributes
}

/// A log record with a result of the span `id` of trace 1.
pub fn log(id: u8, attributes: Vec<KeyValue>) -> LogRecord {
    LogRecord {
        observed_time_unix_nano: START + u64::from(id),
        event_name: "gen_ai.evaluation.result".to_owned(),
        trace_id: vec![1; 16],
        span_id: vec![id; 8],
        attributes,
        ..LogRecord::default()
    }
}

/// A request with these log records.
pub fn logs(log_records: Vec<LogRecord>) -> Bytes {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: Some(resource()), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec().into()
}

/// A span with a result as event.
pub fn judged(mut made: Made, attributes: Vec<KeyValue>) -> Made {
    let name = "gen_ai.evaluation.result".to_owned();
    made.span.events.push(Event { time_unix_nano: START + 1, name, attributes, ..Event::default() });
    made
}
