//! What calls are told as, by each of the conventions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeSet;

use aggregate::{Record, Semconv, Settings};
use common::driver::{Driver, SECOND, settings};
use common::spans::{call, request};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use spanmill_aggregate as aggregate;

/// A streamed answer, one that failed, and embeddings.
fn counted(semconv: Semconv) -> ExportMetricsServiceRequest {
    let mut answer = call(1, "chat").using(100, 20);
    for (key, tokens) in [("cache_read.input", 40), ("reasoning.output", 5)] {
        answer.set(&format!("gen_ai.usage.{key}_tokens"), any_value::Value::IntValue(tokens));
    }
    answer.set("gen_ai.response.time_to_first_chunk", any_value::Value::DoubleValue(0.25));
    let failed = call(2, "chat").trace(2).failed();
    let mut embeddings = call(3, "embed").trace(3).during(0, 500).with("gen_ai.operation.name", "embeddings");
    embeddings.set("gen_ai.usage.input_tokens", any_value::Value::IntValue(7));
    let mut driver = Driver::new(Settings { semconv, ..settings(100) });
    driver.traces(&request(&[answer, failed, embeddings]));
    driver.drain();
    driver.now += SECOND;
    driver.apply(Record::ExportInterval);
    driver.intervals.pop().unwrap().cumulative.explicit.unwrap().as_ref().clone()
}

/// Attributes that tell the points of this test from each other.
fn told(attributes: &[KeyValue]) -> String {
    const TOLD: [&str; 4] = ["gen_ai.operation.name", "error.type", "gen_ai.token.type", "gen_ai.token.modality"];
    let told = attributes.iter().filter(|attribute| TOLD.contains(&attribute.key.as_str()));
    let value = |attribute: &KeyValue| match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
        any_value::Value::StringValue(text) => text.clone(),
        other => format!("{other:?}"),
    };
    told.map(value).collect::<Vec<_>>().join(",")
}

/// The points of OpenTelemetry's metrics of calls, a line each: of a histogram, how often and how much in all.
fn lines(message: &ExportMetricsServiceRequest) -> Vec<String> {
    let scopes = message.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let metrics = scopes.flat_map(|scope| &scope.metrics).filter(|metric| metric.name.starts_with("gen_ai.client."));
    let mut lines: Vec<String> = metrics
        .flat_map(|metric| match metric.data.as_ref().unwrap() {
            metric::Data::Histogram(histogram) => {
                let points = histogram.data_points.iter();
                let line = |point: &opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint| {
                    format!("{} {} {}x {}", metric.name, told(&point.attributes), point.count, point.sum.unwrap())
                };
                points.map(line).collect::<Vec<_>>()
            }
            metric::Data::Sum(sum) => {
                assert!(sum.is_monotonic && metric.unit == "{token}", "{}", metric.name);
                let value = |value: Option<number_data_point::Value>| match value.unwrap() {
                    number_data_point::Value::AsInt(value) => value,
                    number_data_point::Value::AsDouble(value) => panic!("{value}"),
                };
                let points = sum.data_points.iter();
                points
                    .map(|point| format!("{} {} {}", metric.name, told(&point.attributes), value(point.value)))
                    .collect()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    lines.sort();
    lines
}

// By the conventions 1.41 there is one histogram of tokens and one of durations, whatever the operation.
#[test]
fn calls_are_told_by_the_conventions_1_41() {
    assert_eq!(
        lines(&counted(Semconv::V1_41)),
        [
            "gen_ai.client.operation.duration chat 1x 1",
            "gen_ai.client.operation.duration chat,_OTHER 1x 1",
            "gen_ai.client.operation.duration embeddings 1x 0.5",
            "gen_ai.client.operation.time_to_first_chunk chat 1x 0.25",
            "gen_ai.client.token.usage chat,input 1x 100",
            "gen_ai.client.token.usage chat,output 1x 20",
            "gen_ai.client.token.usage embeddings,input 1x 7",
        ]
    );
}

// By the next ones inference has names of its own, tokens are counters of which some are parts of others, and distributions beside
// them; a call without a report of usage adds no tokens.
#[test]
fn calls_are_told_by_the_next_conventions() {
    assert_eq!(
        lines(&counted(Semconv::Next)),
        [
            "gen_ai.client.inference.duration chat 1x 1",
            "gen_ai.client.inference.duration chat,_OTHER 1x 1",
            "gen_ai.client.inference.operation.input_tokens chat 1x 100",
            "gen_ai.client.inference.operation.input_tokens embeddings 1x 7",
            "gen_ai.client.inference.operation.output_tokens chat 1x 20",
            "gen_ai.client.inference.time_to_first_chunk chat 1x 0.25",
            "gen_ai.client.inference.usage.cache_read.input_tokens chat,unknown 40",
            "gen_ai.client.inference.usage.cache_read.input_tokens embeddings,unknown 0",
            "gen_ai.client.inference.usage.cache_write.input_tokens chat,unknown 0",
            "gen_ai.client.inference.usage.cache_write.input_tokens embeddings,unknown 0",
            "gen_ai.client.inference.usage.input_tokens chat,unknown 100",
            "gen_ai.client.inference.usage.input_tokens embeddings,unknown 7",
            "gen_ai.client.inference.usage.output_tokens chat,unknown 20",
            "gen_ai.client.inference.usage.output_tokens embeddings,unknown 0",
            "gen_ai.client.inference.usage.reasoning.output_tokens chat,unknown 5",
            "gen_ai.client.inference.usage.reasoning.output_tokens embeddings,unknown 0",
            "gen_ai.client.operation.duration embeddings 1x 0.5",
        ]
    );
}

// The names that client metrics are compared with are those that are exported, and Spanmill's own are the same by both.
#[test]
fn names_are_those_exported() {
    let own = |semconv: Semconv| -> BTreeSet<&str> {
        semconv.metric_names().into_iter().filter(|name| name.starts_with("spanmill.")).collect()
    };
    assert_eq!(own(Semconv::V1_41), own(Semconv::Next));
    for semconv in [Semconv::V1_41, Semconv::Next] {
        let known = semconv.metric_names();
        let message = counted(semconv);
        let scopes = message.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        for metric in scopes.flat_map(|scope| &scope.metrics) {
            assert!(known.contains(&metric.name.as_str()), "{}", metric.name);
        }
        let of_calls = lines(&message).len();
        assert!(of_calls > 0 && known.len() >= 16, "{known:?}");
    }
}
