//! What the pipeline promises, driven with real and made-up requests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use aggregate::{Interval, Pipeline, Record, Totals};
use bytes::Bytes;
use common::corpus::clients;
use common::driver::{Driver, SECOND, settings};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use proptest::prelude::*;
use spanmill_aggregate as aggregate;

fn corpus() -> Vec<Bytes> {
    clients().into_iter().flat_map(|client| client.requests).collect()
}

/// A driver whose records are received a second after each other.
struct Driven(Driver);

impl Driven {
    fn new(limit: usize) -> Self {
        Self(Driver::new(settings(limit)))
    }

    fn apply(&mut self, record: Record) -> Option<Interval> {
        self.0.now += SECOND;
        self.0.apply(record);
        self.0.intervals.pop()
    }

    fn traces(&mut self, body: &Bytes) {
        self.0.now += SECOND;
        self.0.traces(body);
    }

    fn pipeline(&self) -> &Pipeline {
        &self.0.pipeline
    }
}

/// What the corpus comes to without a limit.
static UNLIMITED: LazyLock<Totals> = LazyLock::new(|| {
    let mut driven = Driven::new(usize::MAX);
    corpus().iter().for_each(|body| driven.traces(body));
    driven.apply(Record::Drain);
    driven.pipeline().report().totals
});

type Sums = BTreeMap<String, u64>;

/// Every counter and every histogram's count and whole sum, by metric, resource and attributes.
fn sums(message: &ExportMetricsServiceRequest) -> Sums {
    let mut sums = Sums::new();
    for resource_metrics in &message.resource_metrics {
        let resource = text(&resource_metrics.resource.as_ref().unwrap().attributes);
        for metric in resource_metrics.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            match metric.data.as_ref().unwrap() {
                metric::Data::Sum(sum) => {
                    for point in &sum.data_points {
                        assert!(0 < point.start_time_unix_nano && point.start_time_unix_nano < point.time_unix_nano);
                        let value = match point.value.unwrap() {
                            number_data_point::Value::AsInt(count) => count as u64,
                            // Dollars: below 9,000 of them every pico-dollar comes back.
                            number_data_point::Value::AsDouble(dollars) => (dollars * 1e12).round() as u64,
                        };
                        let key = format!("{} {resource} {}", metric.name, text(&point.attributes));
                        *sums.entry(key).or_default() += value;
                    }
                }
                metric::Data::Histogram(histogram) => {
                    for point in &histogram.data_points {
                        assert_eq!(point.count, point.bucket_counts.iter().sum::<u64>());
                        assert!(0 < point.start_time_unix_nano && point.start_time_unix_nano < point.time_unix_nano);
                        let key = format!("{} {resource} {}", metric.name, text(&point.attributes));
                        *sums.entry(key).or_default() += point.count;
                    }
                }
                metric::Data::ExponentialHistogram(histogram) => {
                    for point in &histogram.data_points {
                        let buckets = &point.positive.as_ref().unwrap().bucket_counts;
                        assert_eq!(point.count, point.zero_count + buckets.iter().sum::<u64>());
                        assert!(0 < point.start_time_unix_nano && point.start_time_unix_nano < point.time_unix_nano);
                        let key = format!("{} {resource} {}", metric.name, text(&point.attributes));
                        *sums.entry(key).or_default() += point.count;
                    }
                }
                other => panic!("no such metric: {other:?}"),
            }
        }
    }
    sums
}

fn text(attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue]) -> String {
    let value = |value: &any_value::Value| match value {
        any_value::Value::StringValue(text) => text.clone(),
        other => format!("{other:?}"),
    };
    let pairs = attributes
        .iter()
        .map(|pair| format!("{}={}", pair.key, value(pair.value.as_ref().and_then(|any| any.value.as_ref()).unwrap())));
    pairs.collect::<Vec<_>>().join(",")
}

fn of_metric(sums: &Sums, name: &str) -> u64 {
    sums.iter().filter(|(key, _)| key.split(' ').next() == Some(name)).map(|(_, value)| value).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    // However the interval is cut, the deltas add up to the cumulative state, and the outcomes to what was received; and so they do
    // with exponential histograms.
    #[test]
    fn deltas_add_up_to_cumulative(cuts in proptest::collection::vec(any::<bool>(), 79), limit in prop_oneof![Just(10_000_usize), 1..40_usize]) {
        let mut driven = Driven::new(limit);
        // A server may stand idle for a while before the first span comes.
        driven.apply(Record::ExportInterval);
        let mut deltas = Sums::new();
        let mut add = |interval: Interval| {
            let [explicit, exponential] = [&interval.delta.explicit, &interval.delta.exponential].map(|form| form.as_deref().map(sums));
            assert_eq!(explicit, exponential);
            for (key, value) in interval.delta.explicit.iter().flat_map(|delta| sums(delta)) {
                *deltas.entry(key).or_default() += value;
            }
        };
        for (body, cut) in corpus().iter().zip(cuts.into_iter().chain(std::iter::repeat(false))) {
            driven.traces(body);
            if cut {
                add(driven.apply(Record::ExportInterval).unwrap());
            }
        }
        driven.apply(Record::Drain);
        let before_the_close = sums(&driven.pipeline().snapshot().unwrap());
        let last = driven.apply(Record::ExportInterval).unwrap();
        let cumulative = sums(last.cumulative.explicit.as_ref().unwrap());
        let exponential = last.cumulative.exponential.clone().unwrap();
        prop_assert_eq!(&sums(&exponential), &cumulative);
        let metrics = exponential.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics[0].metrics);
        let explicit: Vec<_> = metrics.filter(|metric| matches!(metric.data, Some(metric::Data::Histogram(_)))).collect();
        prop_assert!(explicit.iter().all(|metric| metric.name == "spanmill.evaluation.score"), "{:?}", explicit);
        add(last);
        prop_assert_eq!(&before_the_close, &cumulative, "a snapshot has the open interval in it");
        deltas.retain(|_, value| *value > 0);
        let mut told = cumulative.clone();
        told.retain(|_, value| *value > 0);
        prop_assert_eq!(deltas, told);

        prop_assert_eq!(driven.0.outcomes.len() as u64, driven.0.received);
        prop_assert_eq!(of_metric(&cumulative, "spanmill.spans"), driven.0.received);
        let report = driven.pipeline().report();
        prop_assert_eq!(of_metric(&cumulative, "spanmill.requests"), report.totals.requests);
        prop_assert_eq!(of_metric(&cumulative, "spanmill.tokens"), report.totals.input() + report.totals.output());
        prop_assert_eq!(report.totals, *UNLIMITED, "the limit moves calls into the overflow series and loses none");
    }
}

// An interval in which nothing came has no delta, and the cumulative state stays.
#[test]
fn an_empty_interval_is_no_news() {
    let mut driven = Driven::new(100);
    driven.traces(&corpus()[0]);
    driven.apply(Record::Drain);
    let first = driven.apply(Record::ExportInterval).unwrap();
    let second = driven.apply(Record::ExportInterval).unwrap();
    assert!(second.delta.explicit.is_none());
    assert!(second.errors.is_none());
    assert_eq!(sums(&first.cumulative.explicit.unwrap()), sums(&second.cumulative.explicit.unwrap()));
}
