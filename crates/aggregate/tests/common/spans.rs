//! Spans made by hand.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use super::driver::START;

/// A millisecond in nanoseconds.
pub const MS: u64 = 1_000_000;

/// A span, of `chat gpt-4o` from 0 to 1000 ms of trace 1 unless said otherwise.
#[derive(Debug, Clone)]
pub struct Made {
    pub scope: &'static str,
    pub span: Span,
}

/// A call span with an id, in a scope.
pub fn call(id: u8, scope: &'static str) -> Made {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![id; 8],
        name: "chat gpt-4o".to_owned(),
        start_time_unix_nano: START,
        end_time_unix_nano: START + 1000 * MS,
        ..Span::default()
    };
    Made { scope, span }.with("gen_ai.operation.name", "chat").with("gen_ai.request.model", "gpt-4o")
}

/// An agent's span with an id.
pub fn agent(id: u8) -> Made {
    let mut made = call(id, "agents");
    made.span.attributes.clear();
    made.with("gen_ai.operation.name", "invoke_agent").with("gen_ai.agent.name", "helper")
}

/// A span without any sign of GenAI.
pub fn other(id: u8) -> Made {
    let mut made = call(id, "http");
    made.span.attributes.clear();
    made
}

impl Made {
    pub fn with(mut self, key: &str, value: &str) -> Self {
        let value = any_value::Value::StringValue(value.to_owned());
        self.set(key, value);
        self
    }

    pub fn set(&mut self, key: &str, value: any_value::Value) {
        let pair = attribute(key, value);
        self.span.attributes.retain(|known| known.key != key);
        self.span.attributes.push(pair);
    }

    pub fn trace(mut self, id: u8) -> Self {
        self.span.trace_id = vec![id; 16];
        self
    }

    pub fn under(mut self, id: u8) -> Self {
        self.span.parent_span_id = vec![id; 8];
        self
    }

    /// Start and end in milliseconds.
    pub fn during(mut self, from: u64, to: u64) -> Self {
        self.span.start_time_unix_nano = START + from * MS;
        self.span.end_time_unix_nano = START + to * MS;
        self
    }

    pub fn named(mut self, name: &str) -> Self {
        self.span.name = name.to_owned();
        self
    }

    pub fn using(mut self, input: i64, output: i64) -> Self {
        self.set("gen_ai.usage.input_tokens", any_value::Value::IntValue(input));
        self.set("gen_ai.usage.output_tokens", any_value::Value::IntValue(output));
        self
    }

    pub fn failed(mut self) -> Self {
        self.span.status = Some(Status { code: 2, message: "failed".to_owned() });
        self
    }
}

/// An attribute.
pub fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// The resource of everything that is made by hand.
pub fn resource() -> Resource {
    let service = any_value::Value::StringValue("app".to_owned());
    Resource { attributes: vec![attribute("service.name", service)], ..Resource::default() }
}

/// A request with these spans.
pub fn request(spans: &[Made]) -> Bytes {
    let scope_spans = spans
        .iter()
        .map(|made| ScopeSpans {
            scope: Some(InstrumentationScope { name: made.scope.to_owned(), ..InstrumentationScope::default() }),
            spans: vec![made.span.clone()],
            ..ScopeSpans::default()
        })
        .collect();
    let resource_spans = vec![ResourceSpans { resource: Some(resource()), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
}
