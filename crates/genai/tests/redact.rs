//! Redaction against prost: content goes, everything else stays.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::Path;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use spanmill_genai::Redactor;

const CONTENT: [&str; 5] =
    ["gen_ai.input.messages", "llm.input_messages.0.message.content", "input.value", "ai.prompt", "output"];
const OTHERS: [&str; 5] = ["gen_ai.request.model", "gen_ai.usage.input_tokens", "content", "llm.model_name", ""];
/// Content in an event that is a message, and nowhere else.
const OF_MESSAGES: &str = "content";

fn values() -> impl Strategy<Value = Option<AnyValue>> {
    let leaf = prop_oneof![
        ".{0,200}".prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        (-1e9..1e9).prop_map(Value::DoubleValue),
        vec(any::<u8>(), 0..20).prop_map(Value::BytesValue),
    ];
    let any_value = |value| AnyValue { value: Some(value) };
    let nested = leaf.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            vec(inner.clone().prop_map(any_value), 0..4).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec(inner.prop_map(move |value| KeyValue { value: Some(any_value(value)), ..pair("k", None) }), 0..4)
                .prop_map(|values| Value::KvlistValue(KeyValueList { values })),
        ]
    });
    proptest::option::weighted(0.9, proptest::option::weighted(0.9, nested).prop_map(|value| AnyValue { value }))
}

fn pair(key: &str, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let keys = proptest::sample::select([CONTENT, OTHERS].concat());
    vec((keys, values()).prop_map(|(key, value)| pair(key, value)), 0..4)
}

prop_compose! {
    fn spans()(
        name in ".{0,8}",
        attributes in attributes(),
        events in vec((proptest::sample::select(vec!["gen_ai.user.message", "exception", ""]), attributes()), 0..3),
        linked in attributes(),
        start in any::<u64>(),
    ) -> Span {
        let event = |(name, attributes): (&str, _)| Event { name: name.to_owned(), attributes, ..Event::default() };
        Span {
            name,
            attributes,
            start_time_unix_nano: start,
            events: events.into_iter().map(event).collect(),
            links: vec![Link { attributes: linked, ..Link::default() }],
            ..Span::default()
        }
    }
}

prop_compose! {
    fn requests()(spans in vec(vec(spans(), 0..3), 0..3), attributes in attributes()) -> ExportTraceServiceRequest {
        let scope = Some(InstrumentationScope { attributes: attributes.clone(), ..InstrumentationScope::default() });
        let resource = Some(Resource { attributes, ..Resource::default() });
        let scope_spans = spans.into_iter().map(|spans| ScopeSpans { spans, scope: scope.clone(), ..ScopeSpans::default() });
        let resource_spans = ResourceSpans { resource, scope_spans: scope_spans.collect(), ..ResourceSpans::default() };
        ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
    }
}

/// What redaction must come to, by the structures of prost.
fn expected(mut request: ExportTraceServiceRequest, new: impl Fn(&AnyValue) -> String) -> ExportTraceServiceRequest {
    let redact = |attributes: &mut Vec<KeyValue>, is_message: bool| {
        for KeyValue { key, value, .. } in attributes {
            let is_content = CONTENT.contains(&key.as_str()) || is_message && key == OF_MESSAGES;
            let Some(value) = value.as_mut().filter(|value| is_content && has_content(value)) else { continue };
            *value = AnyValue { value: Some(Value::StringValue(new(value))) };
        }
    };
    let scopes = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
    for span in scopes.flat_map(|scope| &mut scope.spans) {
        redact(&mut span.attributes, false);
        for event in &mut span.events {
            redact(&mut event.attributes, event.name.starts_with("gen_ai."));
        }
    }
    request
}

fn has_content(value: &AnyValue) -> bool {
    match &value.value {
        Some(Value::StringValue(text)) => !text.is_empty(),
        Some(Value::BytesValue(bytes)) => !bytes.is_empty(),
        Some(Value::ArrayValue(_) | Value::KvlistValue(_)) => true,
        _ => false,
    }
}

fn redacted(redactor: &Redactor, request: &ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    let body = request.encode_to_vec();
    match redactor.traces(&body).unwrap() {
        Some(redacted) => ExportTraceServiceRequest::decode(redacted.as_slice()).unwrap(),
        None => request.clone(),
    }
}

proptest! {
    // Everything but content is as it was, wherever it stands; content is gone; redacting again changes nothing.
    #[test]
    fn drop_takes_content_and_nothing_else(request in requests()) {
        let found = redacted(&Redactor::Drop, &request);
        prop_assert_eq!(&found, &expected(request, |_| String::new()));
        prop_assert_eq!(Redactor::Drop.traces(&found.encode_to_vec()).unwrap(), None);
    }

    // Hashes are 64 hexadecimal digits, the same for the same content, others for another key; all else is as it was.
    #[test]
    fn hash_tells_only_what_is_the_same(request in requests()) {
        let found = redacted(&Redactor::hash(b"key"), &request);
        let dropped = redacted(&Redactor::Drop, &request);
        prop_assert_eq!(&redacted(&Redactor::Drop, &found), &dropped);
        prop_assert_eq!(&found, &redacted(&Redactor::hash(b"key"), &request));
        if dropped != request {
            prop_assert_ne!(&found, &redacted(&Redactor::hash(b"other"), &request));
        }
    }

    // Nothing is looked at if content is kept.
    #[test]
    fn keep_does_nothing(body in vec(any::<u8>(), 0..50)) {
        prop_assert_eq!(Redactor::Keep.traces(&body), Ok(None));
        prop_assert_eq!(Redactor::Keep.logs(&body), Ok(None));
    }

    // Any bytes are redacted or refused; what prost reads before, it reads after.
    #[test]
    fn any_bytes(body in vec(any::<u8>(), 0..100)) {
        let _ = Redactor::Drop.logs(&body);
        if let Ok(Some(redacted)) = Redactor::Drop.traces(&body) {
            prop_assert_eq!(
                ExportTraceServiceRequest::decode(body.as_slice()).is_ok(),
                ExportTraceServiceRequest::decode(redacted.as_slice()).is_ok()
            );
        }
    }
}

// The hash is HMAC-SHA256 of the text, by the test vector of RFC 4231.
#[test]
fn the_hash_is_that_of_the_standard() {
    let value = Some(AnyValue { value: Some(Value::StringValue("what do ya want for nothing?".to_owned())) });
    let span = Span { attributes: vec![pair("input.value", value)], ..Span::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let request =
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] };
    let found = redacted(&Redactor::hash(b"Jefe"), &request);
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let expected = Some(AnyValue { value: Some(Value::StringValue(expected.to_owned())) });
    assert_eq!(found.resource_spans[0].scope_spans[0].spans[0].attributes[0].value, expected);
}

// Of a field that is written twice both go, and a field that nobody knows stays.
#[test]
fn odd_encodings() {
    let field = |number: u8, content: &[u8]| [&[number << 3 | 2, content.len() as u8], content].concat();
    let attribute =
        [field(2, &field(1, b"secret")), field(1, b"prompt"), field(2, &field(1, b"hidden")), field(9, b"?")].concat();
    let request =
        |attribute: &[u8]| field(1, &field(2, &field(2, &[&field(9, attribute)[..], &[0xf8, 1, 7]].concat())));
    let redacted = Redactor::Drop.traces(&request(&attribute)).unwrap().unwrap();
    let expected = [field(2, &field(1, b"")), field(1, b"prompt"), field(2, &field(1, b"")), field(9, b"?")].concat();
    assert_eq!(redacted, request(&expected));
}

// The body of a log record that is a message is content, that of another is not.
#[test]
fn bodies_of_log_records() {
    let body = Some(AnyValue { value: Some(Value::StringValue("hello".to_owned())) });
    let record = |event_name: &str| LogRecord {
        event_name: event_name.to_owned(),
        body: body.clone(),
        attributes: vec![pair("gen_ai.input.messages", body.clone()), pair("user.id", body.clone())],
        ..LogRecord::default()
    };
    let log_records = vec![record("gen_ai.user.message"), record("request.done")];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let request =
        ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] };
    let redacted = Redactor::Drop.logs(&request.encode_to_vec()).unwrap().unwrap();
    let redacted = ExportLogsServiceRequest::decode(redacted.as_slice()).unwrap();
    let records = &redacted.resource_logs[0].scope_logs[0].log_records;
    let nothing = Some(AnyValue { value: Some(Value::StringValue(String::new())) });
    assert_eq!([&records[0].body, &records[1].body], [&nothing, &body]);
    for record in records {
        assert_eq!((&record.attributes[0].value, &record.attributes[1].value), (&nothing, &body));
    }
}

// Of no real client anything is left of what was asked and answered.
#[test]
fn nothing_is_left_in_the_corpus() {
    const SAID: [&[u8]; 3] = [b"Fake answer", b"You are terse", b"sunny in Paris"];
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let contains = |body: &[u8], said: &[u8]| body.windows(said.len()).any(|window| window == said);
    let (mut said_before, mut left) = (0, Vec::new());
    for client in std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for file in std::fs::read_dir(&client).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.display().to_string();
            let body = std::fs::read(&file).unwrap();
            let redacted = match () {
                () if name.ends_with(".traces.binpb") => Redactor::Drop.traces(&body).unwrap(),
                () if name.ends_with(".logs.binpb") => Redactor::Drop.logs(&body).unwrap(),
                () => continue,
            };
            said_before += usize::from(SAID.iter().any(|said| contains(&body, said)));
            let redacted = redacted.unwrap_or(body);
            if SAID.iter().any(|said| contains(&redacted, said)) {
                left.push(name);
            }
        }
    }
    assert!(said_before >= 50, "{said_before} requests held content");
    assert!(left.is_empty(), "{left:#?}");
}
