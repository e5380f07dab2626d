//! What the pipeline promises, driven with real and made-up requests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use aggregate::{Effect, Interval, Layout, Logged, Pipeline, Record, Settings, Totals};
use bytes::Bytes;
use genai::Deriver;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use proptest::prelude::*;
use spanmill_aggregate as aggregate;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * SECOND;

fn settings(limit: usize) -> Settings {
    Settings {
        layout: Layout {
            resource_attributes: vec!["service.name".to_owned()],
            dimensions: Vec::new(),
            max_label_length: 256,
        },
        cardinality_limit: limit,
        error_records: 1_000,
        instance_id: "test".to_owned(),
        delta: true,
        cumulative: true,
        error_logs: true,
    }
}

fn corpus() -> Vec<Bytes> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let mut files: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>())
        .filter(|file| file.to_string_lossy().ends_with(".traces.binpb"))
        .collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap().into()).collect()
}

/// A pipeline and the log position that it has reached.
struct Driven {
    pipeline: Pipeline,
    lsn: u64,
    received: u64,
    outcomes: u64,
}

impl Driven {
    fn new(limit: usize) -> Self {
        Self { pipeline: Pipeline::new(settings(limit)), lsn: 0, received: 0, outcomes: 0 }
    }

    /// Each record is received a second after the one before.
    fn apply(&mut self, record: Record) -> Option<Interval> {
        self.lsn += 1;
        let mut closed = None;
        let logged = Logged { lsn: self.lsn, receive_time: START + self.lsn * SECOND, record };
        let outcomes = &mut self.outcomes;
        self.pipeline.apply(logged, |effect| match effect {
            Effect::Applied(applied) => *outcomes += applied.outcomes.len() as u64,
            Effect::Interval(interval) => closed = Some(interval),
        });
        closed
    }

    fn traces(&mut self, body: &Bytes) {
        let mut facts = Deriver::default().derive(body).unwrap();
        // Half of the requests come as from a handler that looked its series up, half as after a restart.
        if self.lsn.is_multiple_of(2) {
            self.pipeline.index().resolve(body, &mut facts);
        }
        self.received += facts.len() as u64;
        self.apply(Record::Traces { body: body.clone(), facts });
    }
}

/// What the corpus comes to without a limit.
static UNLIMITED: LazyLock<Totals> = LazyLock::new(|| {
    let mut driven = Driven::new(usize::MAX);
    corpus().iter().for_each(|body| driven.traces(body));
    driven.pipeline.report().totals
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
                        let Some(number_data_point::Value::AsInt(value)) = point.value else { panic!("a count") };
                        let key = format!("{} {resource} {}", metric.name, text(&point.attributes));
                        *sums.entry(key).or_default() += value as u64;
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

    // However the interval is cut, the deltas add up to the cumulative state, and the outcomes to what was received.
    #[test]
    fn deltas_add_up_to_cumulative(cuts in proptest::collection::vec(any::<bool>(), 79), limit in prop_oneof![Just(10_000_usize), 1..40_usize]) {
        let mut driven = Driven::new(limit);
        // A server may stand idle for a while before the first span comes.
        driven.apply(Record::ExportInterval);
        let mut deltas = Sums::new();
        let mut add = |interval: Interval| {
            for (key, value) in interval.delta.iter().flat_map(|delta| sums(delta)) {
                *deltas.entry(key).or_default() += value;
            }
        };
        for (body, cut) in corpus().iter().zip(cuts.into_iter().chain(std::iter::repeat(false))) {
            driven.traces(body);
            if cut {
                add(driven.apply(Record::ExportInterval).unwrap());
            }
        }
        let before_the_close = sums(&driven.pipeline.snapshot().unwrap());
        let last = driven.apply(Record::ExportInterval).unwrap();
        let cumulative = sums(last.cumulative.as_ref().unwrap());
        add(last);
        prop_assert_eq!(&before_the_close, &cumulative, "a snapshot has the open interval in it");
        deltas.retain(|_, value| *value > 0);
        let mut told = cumulative.clone();
        told.retain(|_, value| *value > 0);
        prop_assert_eq!(deltas, told);

        prop_assert_eq!(driven.outcomes, driven.received);
        prop_assert_eq!(of_metric(&cumulative, "spanmill.spans"), driven.received);
        let report = driven.pipeline.report();
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
    let first = driven.apply(Record::ExportInterval).unwrap();
    let second = driven.apply(Record::ExportInterval).unwrap();
    assert!(second.delta.is_none());
    assert!(second.errors.is_none());
    assert_eq!(sums(&first.cumulative.unwrap()), sums(&second.cumulative.unwrap()));
}
