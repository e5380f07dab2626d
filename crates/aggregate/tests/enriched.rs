//! Spans with what they mean and what became of them written on them: nothing that was there is changed, and what is counted on
//! them adds up.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeMap;

use aggregate::{Applied, Outcomes, enriched};
use bytes::Bytes;
use common::corpus::{Sums, clients};
use common::driver::{Driver, settings};
use genai::Role;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use spanmill_aggregate as aggregate;

fn counted(requests: &[Bytes]) -> Driver {
    let mut driver = Driver::new(settings(usize::MAX));
    requests.iter().for_each(|body| driver.traces(body));
    driver.drain();
    driver
}

/// As it is written: what became of its spans went through bytes.
fn written(applied: &Applied) -> Bytes {
    let outcomes = Outcomes::decode(&Outcomes::encode(applied)).unwrap();
    let body = enriched(&applied.body, &applied.facts, Some(&outcomes)).unwrap();
    body.map_or_else(|| applied.body.clone(), Bytes::from)
}

fn spans(body: &Bytes) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

fn value(span: &Span, key: &str) -> Option<Value> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == key)?;
    attribute.value.as_ref()?.value.clone()
}

fn text(span: &Span, key: &str) -> String {
    match value(span, key) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{key} is {other:?}"),
    }
}

/// What is not told is empty.
fn told(span: &Span, key: &str) -> String {
    value(span, key).map_or_else(String::new, |_| text(span, key))
}

fn number(span: &Span, key: &str) -> u64 {
    match value(span, key) {
        Some(Value::IntValue(number)) => number.try_into().unwrap(),
        None => 0,
        other => panic!("{key} is {other:?}"),
    }
}

fn dollars(span: &Span) -> f64 {
    match value(span, "spanmill.cost_usd") {
        Some(Value::DoubleValue(dollars)) => dollars,
        None => 0.0,
        other => panic!("the cost is {other:?}"),
    }
}

// Of every client: spans have the attributes that they had, in their places, and others behind them, each key once; each has its
// outcome, and leads to the span under which its call is counted; tokens and costs of the counted ones add up to what was counted, by
// model too, which is the truth, and tell who says so; nothing is counted on others.
#[test]
fn counted_spans_add_up() {
    for client in clients() {
        let driver = counted(&client.requests);
        let mut sums = Sums::default();
        let mut cost = 0.0;
        let mut by_model: BTreeMap<String, [u64; 3]> = BTreeMap::new();
        for applied in &driver.applied {
            let (before, after) = (spans(&applied.body), spans(&written(applied)));
            assert_eq!(before.len(), after.len());
            for ((before, after), outcome) in before.iter().zip(&after).zip(&applied.outcomes) {
                let (old, new) = after.attributes.split_at(before.attributes.len());
                assert_eq!(old, before.attributes, "{}", client.name);
                for (place, attribute) in new.iter().enumerate() {
                    let is_new =
                        after.attributes[..before.attributes.len() + place].iter().all(|a| a.key != attribute.key);
                    assert!(is_new, "{}: {} stands twice", client.name, attribute.key);
                }
                assert_eq!(&Span { attributes: before.attributes.clone(), ..after.clone() }, before);
                if new.is_empty() {
                    assert_eq!(outcome.outcome.name(), "not_genai");
                    continue;
                }
                assert_eq!(text(after, "spanmill.outcome"), outcome.outcome.name());
                assert_eq!(text(after, "spanmill.outcome_reason"), outcome.reason);
                let counted_at = outcome.counted_span_id;
                let leads_on = counted_at != [0; 8] && before.span_id != counted_at;
                let expected =
                    if leads_on { format!("{:016x}", u64::from_be_bytes(counted_at)) } else { String::new() };
                assert_eq!(told(after, "spanmill.counted_span_id"), expected, "{}", client.name);
                let is_counted = outcome.is_counted();
                assert!(
                    is_counted || !new.iter().any(|a| a.key.contains("cost") || a.key.starts_with("spanmill.usage"))
                );
                if is_counted {
                    let models = ["spanmill.response.model", "spanmill.request.model"].map(|key| told(after, key));
                    let model =
                        models.into_iter().find(|model| !model.is_empty()).unwrap_or_else(|| "unknown".to_owned());
                    let sums = by_model.entry(model).or_default();
                    sums[0] += u64::from(text(after, "spanmill.outcome") == "counted");
                    sums[1] += number(after, "spanmill.usage.input_tokens");
                    sums[2] += number(after, "spanmill.usage.output_tokens");
                    let counted_as = told(after, "spanmill.provider.name");
                    assert!(!counted_as.is_empty(), "{}: counted as nobody's", client.name);
                }
                if let Some(told_cost) = outcome.cost.filter(|_| is_counted) {
                    assert_eq!(told(after, "spanmill.cost_source"), told_cost.source);
                    assert_eq!(text(after, "spanmill.price_coverage"), told_cost.coverage.name());
                    assert_eq!(text(after, "spanmill.price_version"), *applied.price_version);
                }
                sums.requests += u64::from(text(after, "spanmill.outcome") == "counted");
                sums.input += number(after, "spanmill.usage.input_tokens");
                sums.output += number(after, "spanmill.usage.output_tokens");
                sums.cache_read += number(after, "spanmill.usage.cache_read.input_tokens");
                sums.cache_write += number(after, "spanmill.usage.cache_creation.input_tokens");
                sums.reasoning += number(after, "spanmill.usage.reasoning.output_tokens");
                cost += dollars(after);
                if is_counted {
                    for key in ["gen_ai.operation.name", "gen_ai.provider.name"] {
                        assert!(value(after, key).is_some(), "{}: no {key}", client.name);
                    }
                }
            }
        }
        let report = driver.pipeline.report();
        assert_eq!(sums, Sums { errors: 0, ..Sums::from(&report.totals) }, "{}", client.name);
        assert!((cost - report.totals.cost.dollars()).abs() < 1e-9, "{}: {cost} dollars", client.name);
        let expected = report
            .by_model
            .iter()
            .map(|(model, totals)| (model.clone(), [totals.requests, totals.input(), totals.output()]));
        assert_eq!(by_model, expected.collect(), "{}", client.name);
        let [least, most] = [client.expected.totals, client.upper.totals].map(|sums| Sums { errors: 0, ..sums });
        assert!(sums.is_within(&least, &most), "{}: {sums:?}", client.name);
    }
}

// Who gets such spans and counts them again, a second Spanmill for one, comes to the same, and has nothing to add.
#[test]
fn counted_again_they_come_to_the_same() {
    for client in clients() {
        let first = counted(&client.requests);
        let written: Vec<Bytes> = first.applied.iter().map(written).collect();
        let second = counted(&written);
        let [first, second_report] = [&first, &second].map(|driver| driver.pipeline.report());
        assert_eq!(Sums::from(&second_report.totals), Sums::from(&first.totals), "{}", client.name);
        assert_eq!(second_report.totals.cost, first.totals.cost, "{}", client.name);
        assert!(second.applied.iter().map(self::written).eq(written), "{}", client.name);
    }
}

// What became of spans that nobody knows of is not written; what they mean is.
#[test]
fn without_outcomes_they_mean_the_same() {
    for client in clients() {
        for applied in counted(&client.requests).applied {
            let meaning = enriched(&applied.body, &applied.facts, None).unwrap();
            let with_meaning = meaning.map_or(applied.body.clone(), Bytes::from);
            for (span, facts) in spans(&with_meaning).iter().zip(&applied.facts) {
                assert!(span.attributes.iter().all(|attribute| !attribute.key.starts_with("spanmill.")));
                if facts.role == Role::None {
                    continue;
                }
                for (key, fact) in [
                    ("gen_ai.operation.name", facts.operation.bytes(&applied.body)),
                    ("gen_ai.provider.name", facts.provider.bytes(&applied.body)),
                    ("gen_ai.request.model", facts.request_model.bytes(&applied.body)),
                    ("gen_ai.response.model", facts.response_model.bytes(&applied.body)),
                ] {
                    assert!(value(span, key).is_some() || fact.is_empty(), "{}: no {key}", client.name);
                }
                for (key, count) in [("input", facts.usage().input), ("output", facts.usage().output)] {
                    let is_told = value(span, &format!("gen_ai.usage.{key}_tokens")).is_some();
                    assert!(is_told || count.is_none() || !facts.usage().is_reported(), "{}: {key}", client.name);
                }
            }
        }
    }
}
