//! Spans made by hand.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use spanmill_tests::Payload;

/// 2026-01-01, in nanoseconds.
const START: u64 = 1_767_225_600_000_000_000;

/// An attribute.
pub fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A text attribute.
pub fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

/// A whole number as attribute.
pub fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}

/// A call of one second with 10 tokens in and 5 out, whose ids are made of `id`, which is not 0.
pub fn call(id: u64, model: &str) -> Span {
    Span {
        trace_id: [[0; 8], id.to_be_bytes()].concat(),
        span_id: id.to_be_bytes().to_vec(),
        name: "chat".to_owned(),
        kind: 3,
        start_time_unix_nano: START,
        end_time_unix_nano: START + 1_000_000_000,
        attributes: vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.provider.name", "openai"),
            text("gen_ai.request.model", model),
            number("gen_ai.usage.input_tokens", 10),
            number("gen_ai.usage.output_tokens", 5),
        ],
        ..Span::default()
    }
}

/// A request of spans.
pub fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes: vec![text("service.name", "test")], ..Resource::default() }),
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    }
}

/// A request of spans, as protobuf.
pub fn payload(spans: Vec<Span>) -> Payload {
    Payload::traces(&request(spans))
}
