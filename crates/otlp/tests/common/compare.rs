//! The borrowed reader and prost side by side, on bytes that may be anything. Also used by the fuzz targets.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::ScopeSpans;
use prost::Message;

use super::observed;

/// Both readers agree on `body`: the same content, or an error with its place.
///
/// # Panics
/// They do not.
pub fn compare(body: &[u8], name: &str) {
    match (ExportTraceServiceRequest::decode(body), observed::read(body)) {
        (Ok(request), Ok(read)) => {
            let expected = observed::visible(request);
            // Compared as bytes, so that NaN is itself.
            let same = read.encode_to_vec() == expected.encode_to_vec();
            if !same && !same_but_for_merged_lists(&read, &expected) {
                assert_eq!(format!("{read:#?}"), format!("{expected:#?}"), "{name}");
            }
        }
        (Ok(_), Err(error)) => panic!("{name}: only prost reads it: {error}"),
        (Err(refusal), Ok(_)) => assert!(may_differ(&refusal), "{name}: only prost refuses it: {refusal}"),
        (Err(_), Err(error)) => {
            assert!(error.offset() <= body.len(), "{name}: {error}");
            assert!(!error.path().to_string().is_empty(), "{name}: {error}");
        }
    }
}

/// What only prost refuses: texts that are not UTF-8, less deep nesting, and fields that the reader steps over.
pub fn may_differ(refusal: &prost::DecodeError) -> bool {
    let reason = refusal.to_string();
    // `string_value_strindex`, by the name of its oneof: of the values with a varint the reader steps over this one only.
    let is_strindex = reason.contains("message: AnyValue.value: ") && reason.ends_with("(expected Varint)");
    is_strindex
        || ["UTF-8", "recursion limit", "entity_refs", "schema_url", "strindex"]
            .iter()
            .any(|allowed| reason.contains(allowed))
}

/// Of a list that is sent in two parts the reader has the last part, prost both: a value and the attributes of a scope are
/// handed on as one range. Nobody writes such requests; reading them so is harmless.
fn same_but_for_merged_lists(read: &ExportTraceServiceRequest, expected: &ExportTraceServiceRequest) -> bool {
    let scopes = |request: &ExportTraceServiceRequest| -> Vec<ScopeSpans> {
        request.resource_spans.iter().flat_map(|resource_spans| resource_spans.scope_spans.clone()).collect()
    };
    let resource = |request: &ExportTraceServiceRequest| -> Vec<Vec<KeyValue>> {
        let resources = request.resource_spans.iter().map(|r| r.resource.clone().unwrap_or_default().attributes);
        resources.collect()
    };
    same(&resource(read), &resource(expected), |read, expected| same(read, expected, same_pair))
        && same(&scopes(read), &scopes(expected), same_scope_spans)
}

fn same_scope_spans(read: &ScopeSpans, expected: &ScopeSpans) -> bool {
    let (read_scope, expected_scope) =
        (read.scope.clone().unwrap_or_default(), expected.scope.clone().unwrap_or_default());
    (read_scope.name, read_scope.version) == (expected_scope.name, expected_scope.version)
        && ends_with(&read_scope.attributes, &expected_scope.attributes, same_pair)
        && same(&read.spans, &expected.spans, |read, expected| {
            let (mut read, mut expected) = (read.clone(), expected.clone());
            let attributes = |span: &mut opentelemetry_proto::tonic::trace::v1::Span| -> Vec<Vec<KeyValue>> {
                let own = std::iter::once(std::mem::take(&mut span.attributes));
                let events = span.events.iter_mut().map(|event| std::mem::take(&mut event.attributes));
                let links = span.links.iter_mut().map(|link| std::mem::take(&mut link.attributes));
                own.chain(events).chain(links).collect()
            };
            let (read_attributes, expected_attributes) = (attributes(&mut read), attributes(&mut expected));
            read == expected
                && same(&read_attributes, &expected_attributes, |read, expected| same(read, expected, same_pair))
        })
}

fn same_pair(read: &KeyValue, expected: &KeyValue) -> bool {
    let value = |pair: &KeyValue| pair.value.clone().unwrap_or_default();
    read.key == expected.key && same_value(&value(read), &value(expected))
}

fn same_value(read: &AnyValue, expected: &AnyValue) -> bool {
    match (&read.value, &expected.value) {
        // An index into a dictionary that only profiles have: unknown here.
        (_, Some(Value::StringValueStrindex(_))) => true,
        (Some(Value::ArrayValue(read)), Some(Value::ArrayValue(expected))) => {
            ends_with(&read.values, &expected.values, same_value)
        }
        (Some(Value::KvlistValue(read)), Some(Value::KvlistValue(expected))) => {
            ends_with(&read.values, &expected.values, same_pair)
        }
        (Some(Value::DoubleValue(read)), Some(Value::DoubleValue(expected))) => read.to_bits() == expected.to_bits(),
        (read, expected) => read == expected,
    }
}

fn same<T>(read: &[T], expected: &[T], is_same: impl Fn(&T, &T) -> bool) -> bool {
    read.len() == expected.len() && read.iter().zip(expected).all(|(read, expected)| is_same(read, expected))
}

fn ends_with<T>(read: &[T], expected: &[T], is_same: impl Fn(&T, &T) -> bool) -> bool {
    let skipped = expected.len().checked_sub(read.len());
    skipped.is_some_and(|skipped| same(read, &expected[skipped..], is_same))
}
