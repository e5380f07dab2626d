//! What is told beside the calls: of spans that nobody knows, of usage that contradicts itself, of calls that were counted early, of costs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use aggregate::{Outcome, Pricing, Settings, SettleSettings};
use common::driver::{Driver, settings};
use common::spans::{call, other, request};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use spanmill_aggregate as aggregate;

/// The points of a counter: their attributes' values, in order, and the number.
fn points(driver: &Driver, name: &str) -> Vec<(Vec<String>, i64)> {
    let metrics = driver.pipeline.snapshot().unwrap();
    let all =
        metrics.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics).flat_map(|scope| &scope.metrics);
    let data = all.filter(|metric| metric.name == name).map(|metric| metric.data.as_ref().unwrap());
    let points = data.flat_map(|data| match data {
        metric::Data::Sum(sum) => &sum.data_points,
        other => panic!("no counter: {other:?}"),
    });
    let told = points.map(|point| {
        let values = point.attributes.iter().map(|pair| match pair.value.as_ref().unwrap().value.as_ref().unwrap() {
            Value::StringValue(text) => text.clone(),
            other => panic!("no text: {other:?}"),
        });
        let number_data_point::Value::AsInt(number) = point.value.unwrap() else { panic!("no count: {point:?}") };
        (values.collect(), number)
    });
    told.collect()
}

fn told(values: &[&str], number: i64) -> (Vec<String>, i64) {
    (values.iter().map(|value| (*value).to_owned()).collect(), number)
}

// A span with GenAI attributes that nobody knows is counted as such and kept for the archive; one without any is neither.
#[test]
fn unknown_spans_are_told_of() {
    let mut driver = Driver::new(settings(100));
    driver.traces(&request(&[other(1).with("gen_ai.tomorrow", "x"), other(2).with("tomorrow", "x")]));
    driver.drain();
    let outcomes: Vec<Outcome> = driver.outcomes.iter().map(|outcome| outcome.outcome).collect();
    assert_eq!(outcomes, [Outcome::Unrecognised, Outcome::NotGenai]);
    let spans = points(&driver, "spanmill.spans");
    assert!(spans.contains(&told(&["unrecognised", "unknown_operation"], 1)), "{spans:?}");
    assert_eq!(spans.iter().map(|(_, number)| number).sum::<i64>(), 2);
}

// Usage that contradicts itself is counted, with what is wrong with it.
#[test]
fn contradictions_are_counted() {
    let mut driver = Driver::new(settings(100));
    let mut more_cached = call(1, "sdk").using(10, 1);
    more_cached.set("gen_ai.usage.cache_read.input_tokens", Value::IntValue(11));
    let mut more_reasoning = call(2, "sdk").using(10, 1);
    more_reasoning.set("gen_ai.usage.reasoning.output_tokens", Value::IntValue(2));
    driver.traces(&request(&[more_cached, more_reasoning, call(3, "sdk").using(10, 1)]));
    driver.drain();
    let mut inconsistent = points(&driver, "spanmill.tokens.inconsistent");
    inconsistent.sort();
    assert_eq!(inconsistent, [told(&["cache_exceeds_input"], 1), told(&["reasoning_exceeds_output"], 1)]);
}

// Calls for which there was no memory are counted as settled early.
#[test]
fn early_calls_are_counted_as_such() {
    let settle = SettleSettings { memory: 1 << 20, ..settings(100).settle };
    let mut driver = Driver::new(Settings { settle, ..settings(100) });
    for trace in 1..=20 {
        let spans: Vec<_> = (1..=250).map(|id| call(id, "sdk").trace(trace).under(251).using(10, 1)).collect();
        driver.traces(&request(&spans));
    }
    let early = driver.pipeline.settled_early();
    assert!(early > 0);
    assert_eq!(points(&driver, "spanmill.settle.early"), [told(&[], early as i64)]);
}

// A cost that the instrumentation supplies is taken, and marked; or the catalogue's is, if that is configured.
#[test]
fn supplied_costs_are_honoured_or_not() {
    let cost = |honour_supplied| {
        let pricing = Pricing { honour_supplied, ..settings(100).pricing };
        let mut driver = Driver::new(Settings { pricing, ..settings(100) });
        let mut made = call(1, "sdk").using(1_000_000, 0);
        made.set("gen_ai.usage.cost", Value::DoubleValue(0.5));
        driver.traces(&request(&[made]));
        driver.drain();
        let cost = driver.outcomes[0].cost.unwrap();
        (cost.coverage.name(), cost.amount.unwrap().pico())
    };
    assert_eq!(cost(true), ("supplied", 500_000_000_000));
    assert_eq!(cost(false), ("priced", 2_500_000_000_000));
}
