//! One span of a payload: a model call as the OpenTelemetry GenAI semantic conventions 1.41 write it.

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span::Event, span::SpanKind, status::StatusCode};

use super::Shape;
use super::catalogue::{AGENTS, EMBEDDINGS, FAILURES, Failure, MODELS, Model, STACKTRACE, WORDS};
use crate::random::SplitMix64;

const FAILING_PERCENT: u64 = 3;
const INPUT_TEXT_BYTES: usize = 3 * 1024;
const OUTPUT_TEXT_BYTES: usize = 1024;

/// The numbers that tie a span to others; all of them are rewritten before a send.
#[derive(Debug)]
pub struct Ids {
    /// Bytes of `trace_id`.
    pub trace: [u8; 16],
    /// Bytes of `span_id`.
    pub span: [u8; 8],
    /// Bytes of `parent_span_id`.
    pub parent: [u8; 8],
    /// The last 16 characters of `gen_ai.response.id`.
    pub response: String,
    /// Nanoseconds since the Unix epoch.
    pub start: u64,
    /// Nanoseconds since the Unix epoch.
    pub end: u64,
}

/// A model call of the given shape. Heavy: odd spans carry the output text on an event, even ones as an attribute.
pub fn call(shape: Shape, index: usize, ids: &Ids, random: &mut SplitMix64) -> Option<Span> {
    let model = random.pick(&MODELS)?;
    let failure = if random.percent(FAILING_PERCENT) { random.pick(&FAILURES) } else { None };

    let mut attributes = request_attributes(model, random)?;
    let mut events = Vec::new();
    match failure {
        Some(failure) => {
            attributes.push(text("error.type", failure.kind));
            events.push(exception(failure, ids.end));
        }
        None => attributes.extend(response_attributes(model, ids, random)),
    }
    if shape == Shape::Heavy {
        attributes.push(text("gen_ai.input.messages", message("user", INPUT_TEXT_BYTES, random)));
        let output = text("gen_ai.output.messages", message("assistant", OUTPUT_TEXT_BYTES, random));
        if index.is_multiple_of(2) {
            attributes.push(output);
        } else {
            events.push(event("gen_ai.client.inference.operation.details", ids.end, vec![output]));
        }
    }

    Some(Span {
        trace_id: ids.trace.to_vec(),
        span_id: ids.span.to_vec(),
        parent_span_id: ids.parent.to_vec(),
        flags: 0x101,
        name: format!("{} {}", model.operation, model.request),
        kind: SpanKind::Client as i32,
        start_time_unix_nano: ids.start,
        end_time_unix_nano: ids.end,
        attributes,
        events,
        status: failure.map(|failure| Status { message: failure.message.to_owned(), code: StatusCode::Error as i32 }),
        ..Span::default()
    })
}

fn request_attributes(model: &Model, random: &mut SplitMix64) -> Option<Vec<KeyValue>> {
    let agent = random.pick(&AGENTS)?;
    let mut attributes = vec![
        text("gen_ai.operation.name", model.operation),
        text("gen_ai.provider.name", model.provider),
        text("gen_ai.request.model", model.request),
        text("server.address", model.server),
        integer("server.port", 443),
        text("gen_ai.conversation.id", format!("conv_{:016x}{:08x}", random.next(), random.below(1 << 32))),
        text("gen_ai.agent.name", *agent),
        text("gen_ai.agent.id", format!("asst_{:016x}", random.next())),
        text("enduser.id", format!("user-{:06}", random.below(1_000_000))),
    ];
    if model.operation == EMBEDDINGS {
        attributes.push(integer("gen_ai.embeddings.dimension.count", 1536));
        attributes.push(strings("gen_ai.request.encoding_formats", "base64"));
    } else {
        attributes.push(double("gen_ai.request.temperature", random.below(11) as f64 / 10.0));
        attributes.push(double("gen_ai.request.top_p", 0.95));
        attributes.push(integer("gen_ai.request.max_tokens", 256 << random.below(5)));
        attributes.push(text("gen_ai.output.type", "text"));
    }
    Some(attributes)
}

fn response_attributes(model: &Model, ids: &Ids, random: &mut SplitMix64) -> Vec<KeyValue> {
    let input = 200 + random.below(8_000) as i64;
    let mut attributes = vec![
        text("gen_ai.response.model", model.response),
        text("gen_ai.response.id", format!("{}{}", model.response_id_prefix, ids.response)),
        integer("gen_ai.usage.input_tokens", input),
    ];
    if model.operation == EMBEDDINGS {
        attributes.push(text("http.response.header.x_request_id", format!("req_{:016x}", random.next())));
        attributes.push(integer("http.response.status_code", 200));
        return attributes;
    }
    attributes.push(integer("gen_ai.usage.output_tokens", 20 + random.below(900) as i64));
    attributes.push(integer("gen_ai.usage.cache_read.input_tokens", input / 4 * random.below(4) as i64));
    attributes.push(strings("gen_ai.response.finish_reasons", model.finish_reason));
    if random.percent(40) {
        attributes.push(boolean("gen_ai.request.stream", true));
    }
    attributes
}

fn exception(failure: &Failure, time: u64) -> Event {
    let attributes = vec![
        text("exception.type", failure.kind),
        text("exception.message", failure.message),
        text("exception.stacktrace", STACKTRACE),
        text("exception.escaped", "False"),
    ];
    event("exception", time, attributes)
}

fn event(name: &str, time_unix_nano: u64, attributes: Vec<KeyValue>) -> Event {
    Event { time_unix_nano, name: name.to_owned(), attributes, dropped_attributes_count: 0 }
}

/// The JSON of `gen_ai.input.messages`, with about `bytes` of text in it.
fn message(role: &str, bytes: usize, random: &mut SplitMix64) -> String {
    let mut content = String::with_capacity(bytes + 128);
    while content.len() < bytes {
        content.push_str(random.pick(&WORDS).copied().unwrap_or_default());
        content.push(' ');
    }
    format!(r#"[{{"role":"{role}","parts":[{{"type":"text","content":"{content}"}}]}}]"#)
}

/// A string attribute.
pub fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn integer(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn double(key: &str, value: f64) -> KeyValue {
    attribute(key, Value::DoubleValue(value))
}

fn boolean(key: &str, value: bool) -> KeyValue {
    attribute(key, Value::BoolValue(value))
}

fn strings(key: &str, only: &str) -> KeyValue {
    let values = vec![AnyValue { value: Some(Value::StringValue(only.to_owned())) }];
    attribute(key, Value::ArrayValue(ArrayValue { values }))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
