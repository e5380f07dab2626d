//! Spans made for a test.
#![allow(missing_docs, dead_code)]

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span::Event, status::StatusCode};
use prost::Message;
use spanmill_genai::{Deriver, SpanFacts};

pub(crate) type Attributes<'a> = &'a [(&'a str, &'a str)];

/// A request with one span of one second, and its facts.
pub(crate) struct Built {
    pub(crate) body: Vec<u8>,
    pub(crate) facts: SpanFacts,
}

impl Built {
    pub(crate) fn new(scope: &str, name: &str, attributes: Attributes<'_>, events: &[(&str, Attributes<'_>)]) -> Self {
        Self::with_status(None, scope, name, attributes, events)
    }

    /// As [`Self::new`], with the status of a failure that says this.
    pub(crate) fn failed(
        message: &str,
        scope: &str,
        name: &str,
        attributes: Attributes<'_>,
        events: &[(&str, Attributes<'_>)],
    ) -> Self {
        let status = Status { message: message.to_owned(), code: StatusCode::Error.into() };
        Self::with_status(Some(status), scope, name, attributes, events)
    }

    fn with_status(
        status: Option<Status>,
        scope: &str,
        name: &str,
        attributes: Attributes<'_>,
        events: &[(&str, Attributes<'_>)],
    ) -> Self {
        let event = |(i, (name, attributes)): (usize, &(&str, Attributes<'_>))| Event {
            time_unix_nano: 1_100_000_000 + i as u64,
            name: (*name).to_owned(),
            attributes: pairs(attributes),
            ..Event::default()
        };
        let span = Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            name: name.to_owned(),
            start_time_unix_nano: 1_000_000_000,
            end_time_unix_nano: 2_000_000_000,
            attributes: pairs(attributes),
            events: events.iter().enumerate().map(event).collect(),
            status,
            ..Span::default()
        };
        let scope = InstrumentationScope { name: scope.to_owned(), ..InstrumentationScope::default() };
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans: vec![span], ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let facts = Deriver::default().derive(&body).unwrap().remove(0);
        Self { body, facts }
    }
}

pub(crate) fn pairs(attributes: Attributes<'_>) -> Vec<KeyValue> {
    let pair = |(key, written): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(value(written)) }),
        ..KeyValue::default()
    };
    attributes.iter().map(pair).collect()
}

/// A value as it is written in tests: `'5'` is a text, `5`, `0.5` and `true` are not, and `kv:{...}` is a structured value.
fn value(written: &str) -> Value {
    if let Some(text) = written.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return Value::StringValue(text.to_owned());
    }
    if let Some(json) = written.strip_prefix("kv:") {
        return structured(&serde_json::from_str(json).unwrap());
    }
    if let Ok(number) = written.parse() {
        return Value::IntValue(number);
    }
    if let Ok(number) = written.parse() {
        return Value::DoubleValue(number);
    }
    match written {
        "true" => Value::BoolValue(true),
        "false" => Value::BoolValue(false),
        text => Value::StringValue(text.to_owned()),
    }
}

fn structured(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Object(map) => {
            let pair = |(key, item): (&String, &serde_json::Value)| KeyValue {
                key: key.clone(),
                value: Some(AnyValue { value: Some(structured(item)) }),
                ..KeyValue::default()
            };
            Value::KvlistValue(KeyValueList { values: map.iter().map(pair).collect() })
        }
        serde_json::Value::Number(number) if number.is_i64() => Value::IntValue(number.as_i64().unwrap()),
        serde_json::Value::Number(number) => Value::DoubleValue(number.as_f64().unwrap()),
        other => Value::StringValue(other.to_string()),
    }
}
