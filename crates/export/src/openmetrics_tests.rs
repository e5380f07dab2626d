//! What a scraper gets to see.

use std::io::Write as _;
use std::process::{Command, Stdio};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, Metric, ResourceMetrics, ScopeMetrics, Sum, metric,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::*;

const TIME: u64 = 1_700_000_000_123_456_789;

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let attribute = |(key, value): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(any_value::Value::StringValue((*value).to_owned())) }),
        ..Default::default()
    };
    pairs.iter().map(attribute).collect()
}

fn exemplar(value: f64, seconds_later: u64) -> Exemplar {
    Exemplar {
        time_unix_nano: TIME + seconds_later * 1_000_000_000,
        trace_id: (0xA0..0xB0).collect(),
        span_id: vec![0, 1, 2, 3, 4, 5, 6, seconds_later as u8],
        value: Some(exemplar::Value::AsDouble(value)),
        ..Default::default()
    }
}

fn metric(name: &str, unit: &str, data: metric::Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: format!("The \"{name}\"\\as it is"),
        data: Some(data),
        ..Default::default()
    }
}

fn counter(temporality: AggregationTemporality, points: Vec<NumberDataPoint>) -> metric::Data {
    metric::Data::Sum(Sum { data_points: points, aggregation_temporality: temporality as i32, is_monotonic: true })
}

fn number(labels: &[(&str, &str)], value: number_data_point::Value) -> NumberDataPoint {
    NumberDataPoint { attributes: attributes(labels), value: Some(value), ..Default::default() }
}

fn resource(labels: &[(&str, &str)], metrics: Vec<Metric>) -> ResourceMetrics {
    ResourceMetrics {
        resource: Some(Resource { attributes: attributes(labels), ..Default::default() }),
        scope_metrics: vec![ScopeMetrics { metrics, ..Default::default() }],
        ..Default::default()
    }
}

fn durations(labels: &[(&str, &str)], exemplars: Vec<Exemplar>) -> Metric {
    let point = HistogramDataPoint {
        attributes: attributes(labels),
        count: 6,
        sum: Some(700.25),
        bucket_counts: vec![1, 2, 0, 3],
        explicit_bounds: vec![0.01, 1.0, 655.36],
        exemplars,
        ..Default::default()
    };
    let histogram =
        Histogram { data_points: vec![point], aggregation_temporality: AggregationTemporality::Cumulative as i32 };
    metric("gen_ai.client.operation.duration", "s", metric::Data::Histogram(histogram))
}

/// What Spanmill sends, small: two services with the same metrics, every kind of metric, exemplars.
fn sample() -> ExportMetricsServiceRequest {
    use AggregationTemporality::{Cumulative, Delta};
    use number_data_point::Value::{AsDouble, AsInt};

    let mut requests = number(&[("outcome", "success")], AsInt(5));
    requests.exemplars = vec![exemplar(1.0, 1), exemplar(1.0, 2)];
    let shop = resource(
        &[("service.name", "shop"), ("collector.instance.id", "c1")],
        vec![
            metric("spanmill.requests", "{request}", counter(Cumulative, vec![requests])),
            metric("spanmill.cost", "{USD}", counter(Cumulative, vec![number(&[], AsDouble(0.000_012))])),
            durations(
                &[("gen_ai.request.model", "gpt-4o")],
                vec![exemplar(0.5, 1), exemplar(0.9, 3), exemplar(9000.0, 2)],
            ),
        ],
    );
    let bank = resource(
        &[("service.name", "bank")],
        vec![
            durations(&[("gen_ai.request.model", "a\\b\"c\nd")], vec![]),
            metric(
                "spanmill.requests",
                "{request}",
                counter(
                    Cumulative,
                    vec![
                        number(&[("outcome", "success")], AsInt(1)),
                        number(&[("outcome", "error"), ("x.y", "dot"), ("x_y", "low"), ("none", "")], AsInt(2)),
                        number(&[("service.name", "of the point")], AsInt(3)),
                    ],
                ),
            ),
            metric("spanmill.requests", "{request}", counter(Delta, vec![number(&[("delta", "no")], AsInt(9))])),
            metric(
                "spanmill.load",
                "1",
                metric::Data::Gauge(Gauge {
                    data_points: vec![number(&[], AsDouble(1.5e9)), number(&[("x", "nan")], AsDouble(f64::NAN))],
                }),
            ),
        ],
    );
    ExportMetricsServiceRequest { resource_metrics: vec![shop, bank] }
}

// The whole page: names, types, units, escaping, cumulative buckets, exemplars in the bucket of their value, families in
// one piece over several resources, delta left out.
#[test]
fn openmetrics_page() {
    insta::assert_snapshot!(render(&sample(), Format::OpenMetrics));
}

// The older format: counters under their sample name, no units, no exemplars, no end mark.
#[test]
fn prometheus_text_page() {
    insta::assert_snapshot!(render(&sample(), Format::PrometheusText));
}

// The order of the request does not show.
#[test]
fn order_is_of_no_consequence() {
    let mut reversed = sample();
    reversed.resource_metrics.reverse();
    for resource_metrics in &mut reversed.resource_metrics {
        resource_metrics.scope_metrics.iter_mut().for_each(|scope| scope.metrics.reverse());
    }
    assert_eq!(render(&reversed, Format::OpenMetrics), render(&sample(), Format::OpenMetrics));
}

/// Scores below zero, which OTLP tells without a sum.
fn with_scores() -> ExportMetricsServiceRequest {
    let point = HistogramDataPoint {
        count: 2,
        bucket_counts: vec![0, 1, 1],
        explicit_bounds: vec![-1.0, 0.0],
        ..Default::default()
    };
    let histogram =
        Histogram { data_points: vec![point], aggregation_temporality: AggregationTemporality::Cumulative as i32 };
    let scores = metric("spanmill.evaluation.score", "1", metric::Data::Histogram(histogram));
    let mut request = sample();
    request.resource_metrics.push(resource(&[("service.name", "judge")], vec![scores]));
    request
}

// A histogram without sum has no count in OpenMetrics, where the two belong together.
#[test]
fn no_count_without_sum() {
    let name = "spanmill_evaluation_score_";
    let kinds = |format| {
        let page = render(&with_scores(), format);
        let samples = page.lines().filter_map(|line| line.strip_prefix(name)?.split('{').next().map(str::to_owned));
        samples.collect::<Vec<_>>()
    };
    assert_eq!(kinds(Format::OpenMetrics), ["bucket", "bucket", "bucket"]);
    assert_eq!(kinds(Format::PrometheusText), ["bucket", "bucket", "bucket", "count"]);
}

// An empty state is an empty page, not an invalid one.
#[test]
fn nothing_to_show() {
    let nothing = ExportMetricsServiceRequest::default();
    assert_eq!(render(&nothing, Format::OpenMetrics), "# EOF\n");
    assert_eq!(render(&nothing, Format::PrometheusText), "");
}

// The reference parser of OpenMetrics, which is strict, takes the page and finds every family. Skipped without it.
#[test]
fn reference_parser_agrees() {
    const PARSE: &str = "import sys\n\
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse\n\
        print(' '.join(family.name for family in parse(sys.stdin.read())))";
    let python = std::env::var("SPANMILL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_parser = Command::new(&python).args(["-c", "import prometheus_client"]).output();
    if !has_parser.is_ok_and(|output| output.status.success()) {
        println!("skipped: {python} has no package prometheus_client");
        return;
    }
    let mut parser = Command::new(&python)
        .args(["-c", PARSE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let resource = with_scores().resource_metrics[0].resource.clone().unwrap();
    let mut page = Vec::new();
    write(&mut page, &resource.attributes, &with_scores(), Format::OpenMetrics).unwrap();
    parser.stdin.take().unwrap().write_all(&page).unwrap();
    let output = parser.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let families = "gen_ai_client_operation_duration_seconds spanmill_cost spanmill_evaluation_score spanmill_load_ratio \
                    spanmill_requests\n";
    let families = format!("target {families}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), families);
}

// Numbers have OpenMetrics' canonical form, as in the table of its specification.
#[test]
fn numbers_are_canonical() {
    let cases = [
        (0.0, "0.0"),
        (1.0, "1.0"),
        (-2.5, "-2.5"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (100_000.0, "100000.0"),
        (1_000_000.0, "1e+06"),
        (1_048_576.0, "1.048576e+06"),
        (655.36, "655.36"),
        (1e100, "1e+100"),
        (f64::INFINITY, "+Inf"),
        (f64::NEG_INFINITY, "-Inf"),
        (f64::NAN, "NaN"),
    ];
    for (value, expected) in cases {
        assert_eq!(Number(value).to_string(), expected);
    }
}

// Accept headers as Prometheus 2 and 3, curl and browsers send them.
#[test]
fn formats_are_negotiated() {
    use Format::{OpenMetrics, PrometheusText};
    let cases = [
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OpenMetrics,
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            OpenMetrics,
        ),
        ("text/plain;version=0.0.4;q=0.5, application/openmetrics-text; version=1.0.0; q=0.1", PrometheusText),
        ("text/plain, application/openmetrics-text", OpenMetrics),
        ("application/openmetrics-text;version=0.0.1", PrometheusText),
        ("application/openmetrics-text;q=0, */*", PrometheusText),
        ("text/html,application/xhtml+xml,*/*;q=0.8", PrometheusText),
        ("application/json", PrometheusText),
        ("*/*", PrometheusText),
        ("", PrometheusText),
        (";;q=x,,", PrometheusText),
    ];
    for (accept, format) in cases {
        assert_eq!(Format::negotiate(accept), format, "{accept}");
    }
}
