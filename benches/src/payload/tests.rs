use std::collections::HashSet;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::{IdSource, Payload, Shape};

fn spans(body: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans).collect()
}

fn response_id(span: &Span) -> Option<String> {
    let pair = span.attributes.iter().find(|pair| pair.key == "gen_ai.response.id")?;
    match pair.value.clone()?.value? {
        Value::StringValue(id) => Some(id),
        _ => None,
    }
}

/// The same arguments give the same bytes, another seed gives others: measurements can be repeated.
#[test]
fn building_is_deterministic() {
    let first = Payload::build(Shape::Lean, 64, 7).unwrap();
    assert_eq!(first.body(), Payload::build(Shape::Lean, 64, 7).unwrap().body());
    assert_ne!(first.body(), Payload::build(Shape::Lean, 64, 8).unwrap().body());
}

/// The payloads weigh what reference/performance.md says, so that figures can be compared.
#[test]
fn weights_are_those_of_the_reference() {
    for batch in [20, 512, 1000] {
        let lean = Payload::build(Shape::Lean, batch, 1).unwrap();
        assert_eq!(lean.spans(), batch);
        let lean_span = lean.body().len() / batch;
        assert!((662..=910).contains(&lean_span), "{lean_span} bytes a lean span at {batch}");

        let heavy_span = Payload::build(Shape::Heavy, batch, 1).unwrap().body().len() / batch;
        assert!((4_800..=5_300).contains(&heavy_span), "{heavy_span} bytes a heavy span at {batch}");
    }
    let body = Payload::build(Shape::Lean, 1000, 1).unwrap();
    for span in spans(body.body()).iter().filter(|span| span.status.is_none()) {
        assert!((16..=20).contains(&span.attributes.len()), "{} attributes", span.attributes.len());
    }
}

/// After two renewals no id of any kind has been sent twice, the spans of a trace still belong together, and everything
/// else is as it was.
#[test]
fn renewing_changes_ids_and_times_only() {
    const NOW: u64 = 1_800_000_000_000_000_000;
    let payload = Payload::build(Shape::Heavy, 100, 3).unwrap();
    let original = spans(payload.body());
    let mut body = payload.body().to_vec();
    let mut ids = IdSource::of_sender(99, 0);

    let mut seen: HashSet<Vec<u8>> = original.iter().map(|span| span.span_id.clone()).collect();
    let mut seen_responses: HashSet<String> = original.iter().filter_map(response_id).collect();
    let mut traces = HashSet::new();
    for _ in 0..2 {
        payload.renew(&mut body, &mut ids, NOW);
        let renewed = spans(&body);
        assert_eq!(renewed.len(), original.len());
        for (old, new) in original.iter().zip(&renewed) {
            assert!(seen.insert(new.span_id.clone()));
            assert!(response_id(new).is_none_or(|id| seen_responses.insert(id)));
            assert_eq!(response_id(old).is_some(), response_id(new).is_some());
            assert!(new.end_time_unix_nano <= NOW && new.end_time_unix_nano > NOW - 2_000_000_000);
            assert_eq!(
                new.end_time_unix_nano - new.start_time_unix_nano,
                old.end_time_unix_nano - old.start_time_unix_nano
            );
            assert_eq!(old.name, new.name);
            assert_eq!(old.attributes.len(), new.attributes.len());
            traces.insert((new.trace_id.clone(), new.parent_span_id.clone()));
        }
    }
    assert_eq!(traces.len(), 2 * 25);
}

/// Senders of one seed never give the same id.
#[test]
fn senders_do_not_meet() {
    let mut all = HashSet::new();
    for sender in 0..64 {
        let mut ids = IdSource::of_sender(5, sender);
        for _ in 0..1_000 {
            assert!(all.insert(ids.span()));
        }
    }
}
