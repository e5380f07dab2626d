//! Exponential histograms, at destinations that ask for them.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, ExponentialHistogramDataPoint, Metric, metric};
use spanmill_tests::{Backend, Client, Destination, Row, Setup, Spanmill, corpus, labels_of, rows};

use crate::corpus::replayed;

const DURATION: &str = "gen_ai.client.operation.duration";

/// Buckets that have something, at one scale.
#[derive(Debug, Clone, Default)]
struct Distribution {
    scale: i32,
    zeros: u64,
    counts: BTreeMap<i32, u64>,
}

impl Distribution {
    fn of(point: &ExponentialHistogramDataPoint) -> Self {
        let buckets = point.positive.clone().unwrap();
        let counts = (buckets.offset..).zip(buckets.bucket_counts).filter(|(_, count)| *count > 0).collect();
        let distribution = Self { scale: point.scale, zeros: point.zero_count, counts };
        assert_eq!(distribution.count(), point.count);
        distribution
    }

    fn count(&self) -> u64 {
        self.zeros + self.counts.values().sum::<u64>()
    }

    /// At the coarser of both scales.
    fn add(&mut self, other: Self) {
        if self.count() == 0 {
            *self = other;
            return;
        }
        let scale = self.scale.min(other.scale);
        let mut counts = BTreeMap::new();
        for (from, buckets) in [(self.scale, &self.counts), (other.scale, &other.counts)] {
            for (index, count) in buckets {
                *counts.entry(index >> (from - scale)).or_default() += count;
            }
        }
        *self = Self { scale, zeros: self.zeros + other.zeros, counts };
    }

    /// The value that the share `quantile` is not above, and the greatest relative error that it can have.
    fn quantile(&self, quantile: f64) -> (f64, f64) {
        let rank = (self.count() as f64 * quantile).ceil() as u64;
        let mut below = self.zeros;
        let bucket = self.counts.iter().find(|(_, count)| {
            below += **count;
            below >= rank
        });
        let width = (-f64::from(self.scale)).exp2();
        let base = width.exp2();
        let lower = (f64::from(*bucket.expect("a bucket").0) * width).exp2();
        (2.0 * lower * base / (1.0 + base), (base - 1.0) / (base + 1.0))
    }
}

/// The metrics that Spanmill derived, with the service that each tells of.
fn metrics(requests: &[ExportMetricsServiceRequest]) -> impl Iterator<Item = (String, &Metric)> {
    let resources = requests.iter().flat_map(|request| &request.resource_metrics).filter_map(|resource| {
        let attributes = labels_of(&resource.resource.as_ref()?.attributes);
        // those of applications have none
        attributes.contains_key("collector.instance.id").then_some((attributes, resource))
    });
    resources.flat_map(|(attributes, resource)| {
        let service = attributes.get("service.name").cloned().unwrap_or_default();
        resource.scope_metrics.iter().flat_map(|scope| &scope.metrics).map(move |metric| (service.clone(), metric))
    })
}

/// The distributions of durations by service, and how many measurements each histogram has, whichever kind it is.
fn told(backend: &Backend, wanted: AggregationTemporality) -> (BTreeMap<String, Distribution>, BTreeMap<String, u64>) {
    let received = backend.received();
    let requests = match wanted {
        AggregationTemporality::Delta => &received.metrics[..],
        // of cumulative ones the last derived message
        _ => {
            let is_derived =
                |request: &ExportMetricsServiceRequest| metrics(std::slice::from_ref(request)).next().is_some();
            std::slice::from_ref(received.metrics.iter().rfind(|request| is_derived(request)).unwrap())
        }
    };
    let (mut durations, mut counts): (BTreeMap<_, Distribution>, BTreeMap<String, u64>) = Default::default();
    for (service, metric) in metrics(requests) {
        let mut count = |count| *counts.entry(metric.name.clone()).or_default() += count;
        match metric.data.as_ref().unwrap() {
            metric::Data::ExponentialHistogram(histogram) => {
                assert_eq!(histogram.aggregation_temporality(), wanted);
                for point in &histogram.data_points {
                    count(point.count);
                    if metric.name == DURATION {
                        durations.entry(service.clone()).or_default().add(Distribution::of(point));
                    }
                }
            }
            metric::Data::Histogram(histogram) => histogram.data_points.iter().for_each(|point| count(point.count)),
            _ => {}
        }
    }
    (durations, counts)
}

/// True durations in seconds, by service, ascending.
pub fn true_durations(rows: &[Row]) -> BTreeMap<String, Vec<f64>> {
    let mut durations: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.is_counted()) {
        durations.entry(row.service.clone()).or_default().push(row.duration_nano.unwrap() as f64 / 1e9);
    }
    durations.values_mut().for_each(|durations| durations.sort_by(f64::total_cmp));
    durations
}

/// By nearest rank.
pub fn percentile(ascending: &[f64], part: f64) -> f64 {
    ascending[(ascending.len() as f64 * part).ceil() as usize - 1]
}

// Destinations that ask for exponential histograms get them, cumulative and delta, beside one that gets explicit ones: all count the
// same, and the p95 of each service is within the relative error of its scale.
#[tokio::test(flavor = "multi_thread")]
async fn exponential_histograms_tell_the_truth() {
    let (cumulative, delta, explicit) = (Backend::grpc().await, Backend::grpc().await, Backend::grpc().await);
    let more = "histograms: exponential";
    let destinations = vec![
        Destination { more, ..Destination::grpc(&cumulative) },
        Destination { temporality: "delta", more, ..Destination::grpc(&delta) },
        Destination::grpc(&explicit),
    ];
    let spanmill = Spanmill::start(&Setup { destinations, interval: "1s", ..Setup::default() });
    let sender = Client::grpc(spanmill.addresses);
    for payload in corpus().iter().flat_map(|client| &client.payloads) {
        sender.send(payload).await.unwrap();
    }
    let expected = replayed();
    spanmill.counted(expected.requests).await;
    let stopped = spanmill.stop();

    let truth = true_durations(&rows(&stopped.archive()));
    let (no_durations, true_counts) = told(&explicit, AggregationTemporality::Cumulative);
    assert!(no_durations.is_empty() && true_counts[DURATION] == expected.requests, "{true_counts:?}");
    for (backend, temporality) in
        [(&cumulative, AggregationTemporality::Cumulative), (&delta, AggregationTemporality::Delta)]
    {
        let (durations, counts) = told(backend, temporality);
        assert_eq!(counts, true_counts);
        assert!(durations.keys().eq(truth.keys()), "{:?}", durations.keys());
        for (service, distribution) in durations {
            let durations = &truth[&service];
            assert_eq!(distribution.count(), durations.len() as u64, "{service}");
            let exact = percentile(durations, 0.95);
            let (p95, error) = distribution.quantile(0.95);
            assert!((p95 - exact).abs() <= exact * error * (1.0 + 1e-9), "{service}: {p95} for {exact}, {error}");
            assert!(error < 0.05, "{service}: {error} at scale {}", distribution.scale);
        }
    }
}
