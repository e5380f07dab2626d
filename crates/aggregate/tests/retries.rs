//! What clients send again is recognised, whole or in other batches, and adds nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use aggregate::{DuplicateSettings, Outcome, Record, Settings};
use bytes::Bytes;
use common::corpus::clients;
use common::driver::{Driver, SECOND, settings};
use common::spans::{call, request};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message;
use spanmill_aggregate as aggregate;

/// A request as a Collector passes it on: its bytes are not those of the client, but always the same.
fn encoded(request: &Bytes) -> (Bytes, Vec<Bytes>) {
    let request = ExportTraceServiceRequest::decode(request.clone()).unwrap();
    let whole = request.encode_to_vec().into();
    let mut apart = Vec::new();
    for resource_spans in &request.resource_spans {
        for scope_spans in &resource_spans.scope_spans {
            for span in &scope_spans.spans {
                let mut one = resource_spans.clone();
                one.scope_spans = vec![scope_spans.clone()];
                one.scope_spans[0].spans = vec![span.clone()];
                apart.push(ExportTraceServiceRequest { resource_spans: vec![one] }.encode_to_vec().into());
            }
        }
    }
    (whole, apart)
}

/// All that was measured of applications: everything but the counts of the work itself.
fn measured(driver: &Driver) -> Vec<Metric> {
    let message = driver.pipeline.snapshot().unwrap();
    let metrics = message.resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
    let mut metrics: Vec<Metric> = metrics.flat_map(|scope| scope.metrics).collect();
    metrics.retain(|metric| metric.name != "spanmill.spans");
    metrics
}

// After every request was sent again, at once or after its calls were counted, whole or span by span, every measurement of every
// client is what it was: calls, tokens, costs, agents, tools and evaluations.
#[test]
fn what_is_sent_again_adds_nothing() {
    for client in clients() {
        for pause in [0, 60 * SECOND] {
            let mut driver = Driver::new(settings(usize::MAX));
            let requests: Vec<_> = client.requests.iter().map(encoded).collect();
            requests.iter().for_each(|(whole, _)| driver.traces(whole));
            driver.now += pause;
            driver.apply(Record::Tick);
            let mut once = Driver::new(settings(usize::MAX));
            requests.iter().for_each(|(whole, _)| once.traces(whole));
            for (whole, apart) in &requests {
                driver.traces(whole);
                apart.iter().for_each(|span| driver.traces(span));
            }
            for driver in [&mut driver, &mut once] {
                driver.now = common::driver::START + 120 * SECOND;
                driver.apply(Record::Drain);
            }
            assert_eq!(driver.outcomes.len() as u64, driver.received);
            let ends_at = |metrics: Vec<Metric>| format!("{metrics:?}");
            assert_eq!(ends_at(measured(&driver)), ends_at(measured(&once)), "{}, {pause}", client.name);
            let again = &driver.outcomes[once.outcomes.len()..];
            let is_known =
                |outcome: Outcome| matches!(outcome, Outcome::Duplicate | Outcome::NotGenai | Outcome::Malformed);
            assert!(again.iter().all(|outcome| is_known(outcome.outcome)), "{}, {pause}", client.name);
        }
    }
}

// Outside of the window, and beyond the number of entries, a retry is a new request: memory is bounded.
#[test]
fn the_window_is_bounded() {
    let client = clients().into_iter().find(|client| client.name == "otel-openai-v2").unwrap();
    let sent_twice = |duplicates: DuplicateSettings, pause: u64| {
        let mut driver = Driver::new(Settings { duplicates, ..settings(usize::MAX) });
        for _ in 0..2 {
            client.requests.iter().for_each(|request| driver.traces(request));
            driver.now += pause;
            driver.apply(Record::Drain);
        }
        driver.pipeline.report().totals.requests
    };
    let window = DuplicateSettings { window: 60 * SECOND, max_entries: 10_000 };
    let once = client.expected.totals.requests;
    assert_eq!(sent_twice(window, 59 * SECOND), once);
    assert!(sent_twice(DuplicateSettings { max_entries: 1, ..window }, 40 * 60 * SECOND) > once);
    assert!(sent_twice(window, 40 * 60 * SECOND) > once);
}

// A span whose first copy waits, but is too long ago to be recognised by its hash, waits with it: each is accounted for, once.
#[test]
fn a_repetition_waits_with_its_original() {
    let duplicates = DuplicateSettings { max_entries: 2, ..settings(100).duplicates };
    let mut driver = Driver::new(Settings { duplicates, ..settings(100) });
    let original = request(&[call(1, "sdk")]);
    driver.traces(&original);
    driver.traces(&request(&[call(2, "sdk").trace(2), call(3, "sdk").trace(3), call(4, "sdk").trace(4)]));
    driver.traces(&original);
    assert!(driver.outcomes.is_empty(), "all of them wait");
    driver.drain();
    let counted = driver.outcomes.iter().filter(|outcome| outcome.outcome == Outcome::Counted).count();
    let repeated = driver.outcomes.iter().filter(|outcome| outcome.is_repeated()).count();
    assert_eq!((counted, repeated), (4, 1));
}

/// How many spans had the ids of another one, as the cumulative metrics tell it.
fn id_conflicts(pipeline: &aggregate::Pipeline) -> u64 {
    let resources = pipeline.snapshot().unwrap().resource_metrics;
    let mut metrics = resources.into_iter().flat_map(|resource| resource.scope_metrics).flat_map(|scope| scope.metrics);
    let Some(conflicts) = metrics.find(|metric| metric.name == "spanmill.spans.id_conflict") else { return 0 };
    let Some(Data::Sum(sum)) = conflicts.data else { panic!("not a sum") };
    match sum.data_points[0].value {
        Some(Value::AsInt(count)) => count as u64,
        other => panic!("{other:?}"),
    }
}

// Spans of the same ids and other content are calls of their own, in a small trace and in one that is looked up by ids, each told as a
// conflict; what is sent again is none. A restart does not forget it.
#[test]
fn same_ids_with_other_content_are_kept_and_told() {
    for others in [0, 40] {
        let mut driver = Driver::new(settings(100));
        (0..others).for_each(|n| driver.traces(&request(&[call(100 + n, "sdk").using(1, 1)])));
        for input in [10, 20, 30] {
            driver.traces(&request(&[call(1, "sdk").using(input, 1)]));
        }
        driver.traces(&request(&[call(2, "sdk").using(10, 1)]));
        assert_eq!(id_conflicts(&driver.pipeline), 2, "among {others}");
        driver.traces(&request(&[call(1, "sdk").using(20, 1)]));
        driver.drain();
        assert_eq!(driver.pipeline.report().totals.requests, u64::from(others) + 4);
        let restored = aggregate::Pipeline::restore(settings(100), &driver.pipeline.checkpoint(), |_| None).unwrap();
        assert_eq!(id_conflicts(&restored), 2);
    }
}
