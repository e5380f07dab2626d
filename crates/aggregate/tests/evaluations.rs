//! Results of evaluations, from wherever they come, as metrics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use aggregate::Record;
use common::driver::{Driver, settings};
use common::evaluations::{judged, log, logs, result};
use common::spans::{call, other, request};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, metric, number_data_point};
use spanmill_aggregate as aggregate;

fn labels(attributes: &[KeyValue]) -> String {
    let text = |pair: &KeyValue| match pair.value.clone().unwrap().value.unwrap() {
        Value::StringValue(text) => text,
        other => format!("{other:?}"),
    };
    attributes.iter().map(text).collect::<Vec<_>>().join(" ")
}

/// Each point of `spanmill.evaluations`: its labels and its value.
fn counts(message: &ExportMetricsServiceRequest) -> Vec<(String, i64)> {
    let mut counts = Vec::new();
    for metric in metrics(message).filter(|metric| metric.name == "spanmill.evaluations") {
        assert_eq!(metric.unit, "{evaluation}");
        let Some(metric::Data::Sum(sum)) = &metric.data else { panic!("no counter") };
        assert!(sum.is_monotonic);
        for point in &sum.data_points {
            let Some(number_data_point::Value::AsInt(count)) = point.value else { panic!("no count") };
            counts.push((labels(&point.attributes), count));
        }
    }
    counts.sort();
    counts
}

/// Each point of `spanmill.evaluation.score`, by its labels.
fn scores(message: &ExportMetricsServiceRequest) -> Vec<(String, HistogramDataPoint)> {
    let mut scores = Vec::new();
    for metric in metrics(message).filter(|metric| metric.name == "spanmill.evaluation.score") {
        let Some(metric::Data::Histogram(histogram)) = &metric.data else { panic!("no histogram") };
        scores.extend(histogram.data_points.iter().map(|point| (labels(&point.attributes), point.clone())));
    }
    scores.sort_by(|one, other| one.0.cmp(&other.0));
    scores
}

fn metrics(
    message: &ExportMetricsServiceRequest,
) -> impl Iterator<Item = &opentelemetry_proto::tonic::metrics::v1::Metric> {
    message.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics).flat_map(|scope| &scope.metrics)
}

fn named(counts: &[(&str, i64)]) -> Vec<(String, i64)> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

// Log events, span events and attributes of spans come to the same series, and lead to the span that was evaluated, whatever it is.
#[test]
fn every_place_counts() {
    let mut driver = Driver::new(settings(100));
    driver.logs(&logs(vec![log(9, result("relevance", 0.75, "good")), LogRecord::default()]));
    let list = call(2, "app")
        .with("evaluations.0.evaluation.name", "relevance")
        .with("evaluations.0.evaluation.score", "1")
        .with("evaluations.0.evaluation.label", "good")
        .with("evaluations.1.evaluation.name", "tone");
    driver.traces(&request(&[judged(other(1), result("relevance", 0.25, "bad")), list]));
    driver.logs(&logs(vec![LogRecord::default()]));
    driver.drain();
    driver.apply(Record::ExportInterval);

    let interval = driver.intervals.pop().unwrap();
    let (delta, cumulative) = (interval.delta.explicit.unwrap(), interval.cumulative.explicit.unwrap());
    assert_eq!(delta.resource_metrics[0].resource.as_ref().unwrap().attributes[0].key, "collector.instance.id");
    let expected = named(&[("relevance bad", 1), ("relevance good", 2), ("tone", 1)]);
    assert_eq!((counts(&delta), counts(&cumulative)), (expected.clone(), expected));
    let scores = scores(&cumulative);
    assert_eq!(
        scores.iter().map(|(labels, _)| labels.as_str()).collect::<Vec<_>>(),
        ["relevance bad", "relevance good"]
    );
    let good = &scores[1].1;
    assert_eq!((good.count, good.sum, good.min, good.max), (2, Some(1.75), Some(0.75), Some(1.0)));
    let mut spans: Vec<_> = good.exemplars.iter().map(|exemplar| exemplar.span_id.clone()).collect();
    spans.sort();
    assert_eq!(spans, [[2; 8], [9; 8]]);
    assert_eq!(driver.outcomes.len(), 2, "spans are what they are");
    assert!(!format!("{cumulative:?}").contains("a long story"));
}

// A request that is sent again, and a library that tells a result as event and as log record, count once.
#[test]
fn one_result_counts_once() {
    let mut driver = Driver::new(settings(100));
    let judged = request(&[judged(call(1, "app"), result("relevance", 0.75, ""))]);
    let log = logs(vec![log(1, result("relevance", 0.75, ""))]);
    for body in [&judged, &judged] {
        driver.traces(body);
    }
    for body in [&log, &log] {
        driver.logs(body);
    }
    assert_eq!(counts(&driver.pipeline.snapshot().unwrap()), named(&[("relevance", 1)]));
}

// Names and labels are bounded by the limit of series: what is over it is counted, without them, and without a sum of its own kind lost.
#[test]
fn series_are_bounded() {
    let mut driver = Driver::new(settings(3));
    let records = (1..=9).map(|id| log(id, result(&format!("made up {id}"), 1.0, ""))).collect();
    driver.logs(&logs(records));
    let snapshot = driver.pipeline.snapshot().unwrap();
    let counts = counts(&snapshot);
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<i64>(), 9);
    assert_eq!(counts.len(), 4);
    assert_eq!(counts[0], ("BoolValue(true)".to_owned(), 6), "otel.metric.overflow");
    assert_eq!(scores(&snapshot).iter().map(|(_, point)| point.count).sum::<u64>(), 9);
}

// Each usual scale has buckets of its own; where a score is negative there is no sum, and else no bound below zero.
#[test]
fn scales_have_buckets() {
    let point = |values: &[f64]| {
        let mut driver = Driver::new(settings(100));
        let of = |(id, value): (usize, &f64)| log(id as u8 + 1, result("x", *value, ""));
        driver.logs(&logs(values.iter().enumerate().map(of).collect()));
        scores(&driver.pipeline.snapshot().unwrap()).remove(0).1
    };
    let used = |point: &HistogramDataPoint| point.bucket_counts.iter().filter(|count| **count > 0).count();
    for scale in
        [&[0.0, 0.05, 0.15, 0.25, 0.95, 1.0][..], &[1.0, 2.0, 3.0, 4.0, 5.0], &[0.0, 10.0, 55.0, 65.0, 100.0, 101.0]]
    {
        let point = point(scale);
        let shared = usize::from(scale.contains(&0.95));
        assert_eq!(used(&point), scale.len() - shared, "{scale:?}");
        assert_eq!(point.sum, Some(scale.iter().sum()));
        assert_eq!(point.explicit_bounds[0], 0.0);
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    }
    let signed = point(&[-2.0, -1.0, -0.7, -0.2, 0.5]);
    assert_eq!((signed.sum, signed.min, signed.explicit_bounds[0]), (None, Some(-2.0), -1.0));
    assert_eq!(used(&signed), 4);
}

// A result that leads to no span counts, and has no exemplar.
#[test]
fn a_span_need_not_be_known() {
    let mut driver = Driver::new(settings(100));
    let nowhere = LogRecord { trace_id: Vec::new(), span_id: Vec::new(), ..log(1, result("x", 1.0, "")) };
    driver.logs(&logs(vec![nowhere.clone(), nowhere]));
    let snapshot = driver.pipeline.snapshot().unwrap();
    assert_eq!(counts(&snapshot), named(&[("x", 2)]));
    assert!(scores(&snapshot)[0].1.exemplars.is_empty());
}
