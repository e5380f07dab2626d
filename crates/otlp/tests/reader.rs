//! The borrowed reader against its oracle: prost, with opentelemetry-proto's types.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{arbitrary, compare::compare, corpus, mangle::mangle, observed};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use prost::Message;

fn decode(body: &[u8]) -> Result<ExportTraceServiceRequest, prost::DecodeError> {
    ExportTraceServiceRequest::decode(body)
}

proptest! {
    /// Any request is read as prost reads it.
    #[test]
    fn reads_what_prost_reads(request in arbitrary::traces()) {
        prop_assert_eq!(observed::read(&request.encode_to_vec()).unwrap(), observed::visible(request));
    }

    /// Spans are counted as prost counts them, in any legal encoding.
    #[test]
    fn counts_spans(request in arbitrary::traces(), seed in any::<u64>()) {
        let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        let spans: usize = scopes.map(|scope| scope.spans.len()).sum();
        let body = mangle(&request.encode_to_vec(), seed);
        prop_assert_eq!(spanmill_otlp::divide::RECORDS.count(&body).unwrap(), spans as u64);
    }

    /// The same in any other legal encoding: see [`common::mangle`].
    #[test]
    fn reads_every_legal_encoding(request in arbitrary::traces(), seed in any::<u64>()) {
        let body = mangle(&request.encode_to_vec(), seed);
        prop_assert_eq!(&decode(&body).unwrap(), &request, "the test itself is wrong");
        prop_assert_eq!(observed::read(&body).unwrap(), observed::visible(request));
    }

    /// Bytes that are no request at all are refused or read as prost does.
    #[test]
    fn any_bytes_are_an_error_or_a_request(body in prop::collection::vec(any::<u8>(), 0..200)) {
        compare(&body, "bytes");
    }

    /// A request with some bytes overwritten is refused or read as prost does.
    #[test]
    fn damage_is_an_error_or_a_request(
        request in arbitrary::traces(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut body = request.encode_to_vec();
        for (at, byte) in damage {
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = byte;
            }
        }
        compare(&body, "damaged");
    }
}

/// What only profiles use of a value is stepped over, whatever it holds, as its definition asks of receivers of other signals; a wrong wire
/// type of any other field is refused.
#[test]
fn indexes_of_profiles_are_stepped_over() {
    let with_value = |value: &[u8]| {
        let nested = |tag: u8, body: &[u8]| [&[tag, body.len() as u8], body].concat();
        let key_value = [nested(0x0a, b"k"), nested(0x12, value)].concat();
        nested(0x0a, &nested(0x0a, &nested(0x0a, &key_value)))
    };
    for (field, is_read) in [(8, true), (9, true), (2, false), (3, false)] {
        let fixed64 = [&[field << 3 | 1][..], &[0; 8]].concat();
        let body = with_value(&fixed64);
        assert_eq!(observed::read(&body).is_ok(), is_read, "field {field}");
        compare(&body, &format!("field {field}"));
    }
    assert!(observed::read(&with_value(&[8 << 3, 1])).is_ok());
}

/// Every real payload of every client is read as prost reads it.
#[test]
fn reads_the_corpus() {
    for (name, body) in corpus::payloads("traces") {
        let request = decode(&body).unwrap();
        assert!(!request.resource_spans.is_empty(), "{name}");
        assert_eq!(observed::read(&body).unwrap(), observed::visible(request), "{name}");
    }
}

/// A real payload cut anywhere is an error with its place, at no byte a panic.
#[test]
fn refuses_every_truncation() {
    // Every byte of the short ones, some thousands of each long one.
    for (name, body) in corpus::payloads("traces") {
        let step = if body.len() < 16_384 { 1 } else { body.len() / 2000 };
        for end in (0..body.len()).step_by(step) {
            compare(&body[..end], &format!("{name} cut at {end}"));
        }
    }
}

/// A real payload with a bit flipped is an error with its place, or read as prost reads it.
#[test]
fn survives_flipped_bits() {
    for (name, body) in corpus::payloads("traces") {
        let mut damaged = body.clone();
        for flip in 0..20 {
            let at = flip * 7919 % body.len();
            let bit = 1 << (flip % 8);
            damaged[at] ^= bit;
            compare(&damaged, &format!("{name} with bit {bit:#x} of byte {at} flipped"));
            damaged[at] ^= bit;
        }
    }
}

/// The edges of the wire format are decided as prost decides them: what is a field, a varint, a group.
#[test]
fn decides_the_edges_as_prost_does() {
    const VALID: bool = true;
    const INVALID: bool = false;
    let varint = |last: u8| [[0x80; 9].as_slice(), &[last]].concat();
    let cases: [(&str, Vec<u8>, bool); 22] = [
        ("nothing", vec![], VALID),
        ("a message of no bytes", vec![0x0a, 0], VALID),
        ("an unknown varint", vec![0x50, 1], VALID),
        ("an unknown varint of ten bytes", [vec![0x50], varint(1)].concat(), VALID),
        ("a varint of 65 bits", [vec![0x50], varint(2)].concat(), INVALID),
        ("a varint of eleven bytes", [vec![0x50], varint(0x81), vec![0]].concat(), INVALID),
        ("a length beyond the body", vec![0x0a, 1], INVALID),
        ("a length of 64 bits", [vec![0x0a], varint(1)].concat(), INVALID),
        ("a length beyond its message", vec![0x0a, 2, 0x1a, 1, b'x'], INVALID),
        ("field number 0", vec![0x02, 0], INVALID),
        ("the largest field number", vec![0xf8, 0xff, 0xff, 0xff, 0x0f, 1], VALID),
        ("a field number beyond that", vec![0xf8, 0xff, 0xff, 0xff, 0x1f, 1], INVALID),
        ("wire type 6", vec![0x56, 0], INVALID),
        ("wire type 7", vec![0x57, 0], INVALID),
        ("a known field of another wire type", vec![0x08, 1], INVALID),
        ("a group", vec![0x53, 0x08, 1, 0x54], VALID),
        ("a group in a group", vec![0x53, 0x5b, 0x5c, 0x54], VALID),
        ("a group that ends as another", vec![0x53, 0x5c], INVALID),
        ("groups that cross", vec![0x53, 0x5b, 0x54, 0x5c], INVALID),
        ("a group that never ends", vec![0x53, 0x08, 1], INVALID),
        ("a group that never began", vec![0x54], INVALID),
        ("a known field as a group", vec![0x0b, 0x0c], INVALID),
    ];
    for (name, body, valid) in cases {
        assert_eq!(observed::read(&body).is_ok(), valid, "{name}");
        compare(&body, name);
    }
    let deep = [vec![0x53; 100_000], vec![0x54; 100_000]].concat();
    assert!(observed::read(&deep).is_err());
}

/// An error says where: the byte, and the fields around it.
#[test]
fn an_error_has_its_place() {
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    let span = Span { name: "chat".into(), start_time_unix_nano: 1, ..Span::default() };
    let scope_spans = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
    let resource_spans = ResourceSpans { scope_spans: vec![scope_spans], ..ResourceSpans::default() };
    let mut body = ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec();
    let name = body.windows(4).position(|bytes| bytes == b"chat").unwrap();
    body[name - 1] = 100;

    let error = observed::read(&body).unwrap_err();
    assert_eq!(error.path().to_string(), "resource_spans.scope_spans.spans.name");
    assert_eq!(error.offset(), name);
    assert_eq!(error.to_string(), format!("truncated message at byte {name} in resource_spans.scope_spans.spans.name"));
}

/// Values nested beyond the limit are refused, a hundred thousand levels as well as a hundred and one; those within are read.
#[test]
fn bounds_nesting() {
    let nested = |levels: usize| {
        // From the innermost value outwards: AnyValue.array_value { values }, behind KeyValue.value, in a span.
        let mut message = Vec::new();
        for key in std::iter::repeat_n([0x0a, 0x2a], levels).flatten().chain([0x12, 0x4a, 0x12, 0x12, 0x0a]) {
            let mut outer = Vec::with_capacity(message.len() + 6);
            outer.push(key);
            prost::encoding::encode_varint(message.len() as u64, &mut outer);
            outer.extend_from_slice(&message);
            message = outer;
        }
        message
    };
    assert!(decode(&nested(40)).is_ok());
    assert_eq!(observed::read(&nested(40)).unwrap(), observed::visible(decode(&nested(40)).unwrap()));
    assert!(observed::read(&nested(100)).is_ok());
    for levels in [101, 2_000] {
        let error = observed::read(&nested(levels)).unwrap_err();
        assert!(error.to_string().starts_with("value nested too deep at byte"), "{error}");
    }
}
