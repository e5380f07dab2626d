//! Attributes added to spans on the wire, against prost that decodes, adds and encodes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{arbitrary, corpus, mangle::mangle};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::prelude::*;
use prost::Message;
use spanmill_otlp::rewrite::add_to_spans;
use spanmill_otlp::trace::{self, Event, Scope, SpanVisitor, Visitor};
use spanmill_otlp::{Text, Value as OtlpValue};

const KEYS: [&str; 3] = ["a", "gen_ai.request.model", "spanmill.outcome"];

/// What a span gets, told by its number: nothing, or some of the keys, one of them twice.
fn wanted(number: usize) -> Vec<(&'static str, Value)> {
    let texts = KEYS.map(|key| (key, Value::StringValue(format!("é{number}"))));
    let numbers = [
        ("int", Value::IntValue(-(number as i64))),
        ("double", Value::DoubleValue(number as f64 / 3.0)),
        texts[0].clone(),
    ];
    let all = texts.into_iter().chain(numbers);
    all.enumerate()
        .filter(|(place, _)| !number.is_multiple_of(3) && !(place + number).is_multiple_of(4))
        .map(|(_, wanted)| wanted)
        .collect()
}

/// What prost makes of it.
fn expected(mut request: ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    let scopes = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
    for (number, span) in scopes.flat_map(|scope| &mut scope.spans).enumerate() {
        for (key, value) in wanted(number) {
            if span.attributes.iter().all(|attribute| attribute.key != key) {
                let value = Some(AnyValue { value: Some(value) });
                span.attributes.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
            }
        }
    }
    request
}

fn rewritten(body: &[u8]) -> Option<Vec<u8>> {
    let mut number = 0..;
    add_to_spans(body, |added| {
        for (key, value) in wanted(number.next().unwrap()) {
            match value {
                Value::StringValue(text) => added.text(key, text.as_bytes()),
                Value::IntValue(value) => added.int(key, value),
                Value::DoubleValue(value) => added.double(key, value),
                _ => panic!("not wanted"),
            }
        }
        added.text("not.utf-8", b"\xff");
    })
    .unwrap()
}

/// Some spans have keys that are to be added.
fn with_keys(mut request: ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    let scopes = request.resource_spans.iter_mut().flat_map(|resource| &mut resource.scope_spans);
    for (number, span) in scopes.flat_map(|scope| &mut scope.spans).enumerate() {
        let keys = KEYS.iter().filter(|key| (key.len() + number).is_multiple_of(2));
        span.attributes.extend(keys.map(|key| KeyValue { key: (*key).to_owned(), ..KeyValue::default() }));
    }
    request
}

fn check(body: &[u8]) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let expected = expected(request.clone());
    match rewritten(body) {
        Some(bytes) => {
            assert_ne!(expected, request);
            assert_eq!(ExportTraceServiceRequest::decode(bytes.as_slice()).unwrap(), expected);
        }
        None => assert_eq!(expected, request),
    }
}

proptest! {
    /// In any request, in any legal encoding, what is added stands on its span, once, and nothing else is another.
    #[test]
    fn adds_what_prost_adds(request in arbitrary::traces(), seed in any::<u64>()) {
        let request = with_keys(request);
        check(&request.encode_to_vec());
        check(&mangle(&request.encode_to_vec(), seed));
    }

    /// Unknown fields and odd encodings come through: every span is the bytes that came, and behind them what was added.
    #[test]
    fn everything_else_is_the_same_bytes(request in arbitrary::traces(), seed in any::<u64>()) {
        let body = mangle(&request.encode_to_vec(), seed);
        let mut more = Vec::new();
        let value = Some(AnyValue { value: Some(Value::StringValue("counted".to_owned())) });
        let pair = KeyValue { key: "spanmill.outcome".to_owned(), value, ..KeyValue::default() };
        Span { attributes: vec![pair], ..Span::default() }.encode(&mut more).unwrap();
        let added = add_to_spans(&body, |added| added.text("spanmill.outcome", b"counted")).unwrap();
        let expected: Vec<_> = spans(&body).into_iter().map(|span| [span, more.clone()].concat()).collect();
        prop_assert_eq!(added.is_some(), !expected.is_empty());
        prop_assert_eq!(spans(&added.unwrap_or(body)), expected);
    }
}

/// The bytes of every span.
fn spans(body: &[u8]) -> Vec<Vec<u8>> {
    struct Messages(Vec<Text>);
    impl SpanVisitor for Messages {
        fn attribute(&mut self, _: &[u8], _: OtlpValue) {}
        fn event(&mut self, _: Event) {}
        fn span(&mut self, span: &trace::Span) {
            self.0.push(span.message);
        }
    }
    impl Visitor for Messages {
        fn again(&mut self) {
            self.0.clear();
        }
        fn resource(&mut self, _: Text) {}
        fn resource_attribute(&mut self, _: &[u8], _: OtlpValue) {}
        fn scope(&mut self, _: Scope) {}
    }
    let mut messages = Messages(Vec::new());
    trace::walk(body, &mut messages).unwrap();
    messages.0.into_iter().map(|span| span.bytes(body).to_vec()).collect()
}

/// Every real payload of every client takes more attributes.
#[test]
fn adds_to_the_corpus() {
    corpus::payloads("traces").iter().for_each(|(_, body)| check(body));
}
