//! Delta intervals made one.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
};
use otlp::exponential::Exponential;
use proptest::prelude::*;

use super::*;
use crate::items::Items as _;
use crate::merge::merge_delta;

/// Resource, metric, attribute, and what was measured.
type Measured = (u8, u8, u8, u8);

fn attribute(number: u8) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::IntValue(i64::from(number))) });
    KeyValue { key: "number".to_owned(), value, ..Default::default() }
}

/// A sum of ints, one of doubles and a histogram of each kind for each.
fn interval(start: u64, measured: &[Measured]) -> ExportMetricsServiceRequest {
    const DELTA: i32 = AggregationTemporality::Delta as i32;
    let mut resources: BTreeMap<u8, Vec<Metric>> = BTreeMap::new();
    let merged = measured.iter().map(|&(resource, metric, point, value)| ((resource, metric, point), value));
    for ((resource, metric, point), value) in merged.collect::<BTreeMap<_, _>>() {
        let (attributes, start_time_unix_nano, time_unix_nano) = (vec![attribute(point)], start, start + 1);
        let number = |value| {
            let (attributes, value) = (attributes.clone(), Some(value));
            let point =
                NumberDataPoint { attributes, value, start_time_unix_nano, time_unix_nano, ..Default::default() };
            metric::Data::Sum(Sum { data_points: vec![point], aggregation_temporality: DELTA, is_monotonic: true })
        };
        let float = f64::from(value);
        let histogram = HistogramDataPoint {
            attributes: attributes.clone(),
            start_time_unix_nano,
            time_unix_nano,
            explicit_bounds: vec![100.0],
            bucket_counts: if value <= 100 { vec![1, 0] } else { vec![0, 1] },
            count: 1,
            sum: Some(float),
            min: Some(float),
            max: Some(float),
            ..Default::default()
        };
        let histogram = Histogram { data_points: vec![histogram], aggregation_temporality: DELTA };
        let mut exponential = ExponentialHistogramDataPoint {
            attributes: attributes.clone(),
            start_time_unix_nano,
            time_unix_nano,
            sum: Some(float),
            min: Some(float),
            max: Some(float),
            ..Default::default()
        };
        let mut distribution = Exponential::default();
        distribution.record(float, 1);
        distribution.write(&mut exponential);
        let exponential = ExponentialHistogram { data_points: vec![exponential], aggregation_temporality: DELTA };
        let kinds = [
            ("int", number(number_data_point::Value::AsInt(i64::from(value)))),
            ("double", number(number_data_point::Value::AsDouble(float))),
            ("histogram", metric::Data::Histogram(histogram)),
            ("exponential", metric::Data::ExponentialHistogram(exponential)),
        ];
        let metrics = resources.entry(resource).or_default();
        for (kind, data) in kinds {
            metrics.push(Metric { name: format!("{kind}{metric}"), data: Some(data), ..Default::default() });
        }
    }
    let resource_metrics = resources.into_iter().map(|(resource, metrics)| ResourceMetrics {
        resource: Some(Resource { attributes: vec![attribute(resource)], ..Default::default() }),
        scope_metrics: vec![ScopeMetrics { metrics, ..Default::default() }],
        ..Default::default()
    });
    ExportMetricsServiceRequest { resource_metrics: resource_metrics.collect() }
}

/// Everything that the points say, added up by whose they are.
fn totals(requests: &[ExportMetricsServiceRequest]) -> BTreeMap<String, (f64, Vec<u64>, u64, u64)> {
    let mut totals: BTreeMap<String, (f64, Vec<u64>, u64, u64)> = BTreeMap::new();
    for resource in requests.iter().flat_map(|request| &request.resource_metrics) {
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            let mut add = |attributes: &[KeyValue], value: f64, buckets: &[u64], start: u64, end: u64| {
                let key = format!("{:?} {} {attributes:?}", resource.resource, metric.name);
                let total = totals.entry(key).or_insert((0.0, vec![0; buckets.len()], u64::MAX, 0));
                total.0 += value;
                total.1.iter_mut().zip(buckets).for_each(|(total, count)| *total += count);
                (total.2, total.3) = (total.2.min(start), total.3.max(end));
            };
            match metric.data.as_ref().unwrap() {
                metric::Data::Sum(sum) => sum.data_points.iter().for_each(|point| {
                    let value = match point.value.unwrap() {
                        number_data_point::Value::AsInt(value) => value as f64,
                        number_data_point::Value::AsDouble(value) => value,
                    };
                    add(&point.attributes, value, &[], point.start_time_unix_nano, point.time_unix_nano);
                }),
                metric::Data::Histogram(histogram) => histogram.data_points.iter().for_each(|point| {
                    let (start, end) = (point.start_time_unix_nano, point.time_unix_nano);
                    assert_eq!(point.count, point.bucket_counts.iter().sum::<u64>());
                    add(&point.attributes, point.sum.unwrap(), &point.bucket_counts, start, end);
                }),
                metric::Data::ExponentialHistogram(histogram) => histogram.data_points.iter().for_each(|point| {
                    let (start, end) = (point.start_time_unix_nano, point.time_unix_nano);
                    let buckets = &point.positive.as_ref().unwrap().bucket_counts;
                    assert_eq!(point.count, point.zero_count + buckets.iter().sum::<u64>());
                    let counts = [point.zero_count, point.count];
                    add(&point.attributes, point.sum.unwrap(), &counts, start, end);
                }),
                other => panic!("{other:?}"),
            }
        }
    }
    totals
}

fn points(request: &ExportMetricsServiceRequest) -> usize {
    usize::try_from(request.items()).unwrap()
}

proptest! {
    // Merged intervals say what they said one by one, over the whole time, with one point for each series.
    #[test]
    fn merged_intervals_say_the_same(
        intervals in prop::collection::vec(prop::collection::vec((0_u8..3, 0_u8..2, 0_u8..3, any::<u8>()), 0..8), 1..5)
    ) {
        let intervals: Vec<_> =
            intervals.iter().zip(0..).map(|(measured, start)| interval(start, measured)).collect();
        let mut merged = ExportMetricsServiceRequest::default();
        intervals.iter().for_each(|interval| merge_delta(&mut merged, interval));
        let expected = totals(&intervals);
        prop_assert_eq!(&totals(std::slice::from_ref(&merged)), &expected);
        prop_assert_eq!(points(&merged), expected.len());
    }
}

// Exponential histograms at two scales are added at one that holds both; one with negative measurements stands beside.
#[test]
fn exponential_histograms_are_added() {
    let request = |values: &[f64], negative: Option<Buckets>| {
        let mut distribution = Exponential::default();
        values.iter().for_each(|value| distribution.record(*value, 1));
        let mut point = ExponentialHistogramDataPoint { max: values.last().copied(), ..Default::default() };
        distribution.write(&mut point);
        point.negative = negative;
        let aggregation_temporality = AggregationTemporality::Delta as i32;
        let data = metric::Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![point],
            aggregation_temporality,
        });
        let metric = Metric { name: "m".to_owned(), data: Some(data), ..Default::default() };
        let scope = ScopeMetrics { metrics: vec![metric], ..Default::default() };
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics { scope_metrics: vec![scope], ..Default::default() }],
        }
    };
    let mut merged = request(&[1.0, 1.01], None);
    merge_delta(&mut merged, &request(&[0.0, 0.001, 500.0], None));
    assert_eq!(merged, request(&[0.0, 0.001, 1.0, 1.01, 500.0], None));
    let other = request(&[3.0], Some(Buckets { offset: 0, bucket_counts: vec![1] }));
    merge_delta(&mut merged, &other);
    assert_eq!(points(&merged), 2);
}

/// A gauge and an up-and-down counter, as Spanmill tells of itself.
fn levels(value: i64) -> ExportMetricsServiceRequest {
    let point = || NumberDataPoint { value: Some(number_data_point::Value::AsInt(value)), ..Default::default() };
    let gauge = metric::Data::Gauge(Gauge { data_points: vec![point()] });
    let sum = metric::Data::Sum(Sum {
        data_points: vec![point()],
        aggregation_temporality: AggregationTemporality::Cumulative as i32,
        is_monotonic: false,
    });
    let metrics = [("gauge", gauge), ("up and down", sum)].map(|(name, data)| Metric {
        name: name.to_owned(),
        data: Some(data),
        ..Default::default()
    });
    let scope_metrics = vec![ScopeMetrics { metrics: metrics.into(), ..Default::default() }];
    ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics { scope_metrics, ..Default::default() }] }
}

// Of what is no delta the latest point stays, however many intervals are merged.
#[test]
fn levels_do_not_pile_up() {
    let mut merged = levels(1);
    (2..=5).for_each(|value| merge_delta(&mut merged, &levels(value)));
    assert_eq!(merged, levels(5));
}
