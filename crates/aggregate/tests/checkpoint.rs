//! A checkpoint is the whole state: a pipeline that is restored from one goes on as the one that wrote it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use aggregate::{
    DuplicateSettings, Effect, ErrorGroup, ErrorRecord, Forms, Interval, Logged, Lsn, Pipeline, Record, RestoreError,
    Settings, SettleSettings, SpanOutcome,
};
use bytes::Bytes;
use common::corpus::clients;
use common::driver::{SECOND, START, settings};
use common::evaluations::{judged, log, logs, result};
use common::spans::{Made, agent, call, other, request};
use genai::{Deriver, SpanFacts};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use proptest::prelude::*;
use proptest::sample::select;
use rapidhash::v3::rapidhash_v3;
use spanmill_aggregate as aggregate;

static CORPUS: LazyLock<Vec<Bytes>> =
    LazyLock::new(|| clients().into_iter().flat_map(|client| client.requests).collect());

/// What a log is made of.
#[derive(Debug, Clone)]
enum Step {
    Traces(Bytes),
    Logs(Bytes),
    Tick,
    ExportInterval,
    Drain,
}

/// A log: steps, and how long after the one before each was received.
type Log = Vec<(Step, u64)>;

fn logged(log: &Log) -> Vec<Logged> {
    let mut receive_time = START;
    let mut all = Vec::new();
    for (lsn, (step, after)) in (1..).zip(log) {
        receive_time += after;
        let record = match step {
            Step::Traces(body) => {
                Record::of_traces(&Deriver::default(), body.clone(), None, false).unwrap().unwrap_or(Record::Tick)
            }
            Step::Logs(body) => {
                Record::Logs { body: body.clone(), evaluations: Deriver::default().derive_logs(body).unwrap() }
            }
            Step::Tick => Record::Tick,
            Step::ExportInterval => Record::ExportInterval,
            Step::Drain => Record::Drain,
        };
        all.push(Logged { lsn, receive_time, record });
    }
    all
}

/// What a log gives back of a record.
fn body(log: &[Logged], lsn: Lsn) -> Option<(Bytes, Vec<SpanFacts>)> {
    match &log.get((lsn as usize).checked_sub(1)?)?.record {
        Record::Traces { body, facts, .. } => Some((body.clone(), facts.clone())),
        _ => None,
    }
}

/// What came of a record, without what belongs to the process.
#[derive(Debug, PartialEq)]
enum Came {
    Applied(Lsn, u64, Bytes, Vec<SpanFacts>, Vec<SpanOutcome>, Arc<str>),
    Interval(Box<[Forms<Option<Arc<ExportMetricsServiceRequest>>>; 2]>, String),
}

fn apply(pipeline: &mut Pipeline, mut logged: Logged) -> Vec<Came> {
    // Some requests come as from a handler that looked its series up, the others as after a restart.
    if let Record::Traces { body, .. } = &logged.record
        && logged.lsn.is_multiple_of(8)
        && let Ok(Some(looked_up)) =
            Record::of_traces(&Deriver::default(), body.clone(), Some(&pipeline.index()), false)
    {
        logged.record = looked_up;
    }
    let mut came = Vec::new();
    pipeline.apply(logged, |effect| {
        came.push(match effect {
            Effect::Applied(mut applied) => {
                applied.facts.iter_mut().for_each(|facts| facts.series = None);
                let aggregate::Applied { lsn, receive_time, body, facts, outcomes, price_version } = applied;
                Came::Applied(lsn, receive_time, body, facts, outcomes, price_version)
            }
            Effect::Interval(Interval { delta, cumulative, errors }) => {
                Came::Interval(Box::new([delta, cumulative]), format!("{errors:?}"))
            }
        });
    });
    came
}

/// All that a pipeline tells when it is asked.
fn told(pipeline: &Pipeline) -> impl PartialEq + std::fmt::Debug + use<> {
    let errors = pipeline.errors();
    let records: Vec<ErrorRecord> = errors.records(None).cloned().collect();
    let groups: Vec<ErrorGroup> = errors.groups().into_iter().cloned().collect();
    let counted =
        (pipeline.snapshot(), pipeline.report(), pipeline.unpriced(), pipeline.saved(), pipeline.settled_early());
    (counted, records, groups, pipeline.is_waiting(), pipeline.oldest_waiting(), pipeline.unaccounted())
}

fn restored(settings: &Settings, checkpoint: &[u8], log: &[Logged]) -> Pipeline {
    Pipeline::restore(settings.clone(), checkpoint, |lsn| body(log, lsn)).unwrap()
}

/// Applies a log to a pipeline that lives on and to one that is restored from its checkpoint at each of the cuts, and
/// compares all that comes of it.
fn go_on_alike(settings: &Settings, log: &Log, cuts: impl Fn(usize) -> bool) {
    let log = logged(log);
    let mut lives_on = Pipeline::new(settings.clone());
    let mut cut = Pipeline::new(settings.clone());
    for (place, record) in log.iter().enumerate() {
        if cuts(place) {
            let checkpoint = cut.checkpoint();
            // The log need not go back further than it says.
            let oldest = cut.oldest_waiting().unwrap_or(Lsn::MAX);
            let bodies = |lsn| body(&log, lsn).filter(|_| lsn >= oldest);
            cut = Pipeline::restore(settings.clone(), &checkpoint, bodies).unwrap();
            assert!(cut.checkpoint() == checkpoint, "a checkpoint of what was restored is another, before {place}");
            assert_eq!(told(&cut), told(&lives_on), "restored before {place}");
        }
        let came = apply(&mut lives_on, record.clone());
        assert_eq!(apply(&mut cut, record.clone()), came, "from record {place}");
        assert_eq!(cut.unaccounted(), 0, "after record {place}");
    }
    assert_eq!(told(&cut), told(&lives_on));
    assert!(cut.checkpoint() == lives_on.checkpoint(), "the checkpoints at the end are not the same");
}

fn any_span() -> impl Strategy<Value = Made> {
    let ids = (1..=3_u8, 1..=14_u8, prop_oneof![2 => Just(0_u8), 3 => 1..=14_u8]);
    let times = (0..4_000_u64, 0..2_000_u64);
    let usage = proptest::option::of(select(vec![(100, 10), (100, 11), (7, 0)]));
    let model = select(vec!["gpt-4o", "gpt-4o-2024-08-06", "claude-sonnet-4-5", "no-such-model"]);
    let response = proptest::option::weighted(0.3, select(vec!["r1", "r2", "r3"]));
    let what = (0..16_u8, select(vec!["sdk", "framework", "gateway"]), any::<bool>());
    (ids, times, usage, model, response, what, 0..8_u8).prop_map(
        |((trace, id, parent), (from, length), usage, model, response, (kind, scope, failed), rare)| {
            let mut made = match kind {
                0 => other(id),
                1 => agent(id),
                2 => call(id, scope).with("gen_ai.operation.name", "execute_tool").with("gen_ai.tool.name", "search"),
                3 => call(id, scope).with("gen_ai.operation.name", "embeddings"),
                4 => call(0, scope),
                // Two halves of a streamed call.
                5 => call(id, "logfire.openai")
                    .with("request_data", "{\"model\":\"gpt-4o\"}")
                    .with("logfire.span_type", select_part(rare)),
                // What may stand for a call.
                6 => call(id, scope).with("gen_ai.operation.name", "chain"),
                7 => call(id, scope).with("gen_ai.operation.name", "mumble"),
                _ => call(id, scope),
            };
            if kind > 1 {
                made = made.with("gen_ai.request.model", model);
            }
            if let Some((input, output)) = usage {
                made = made.using(input, output);
            }
            if let Some(response) = response {
                made = made.with("gen_ai.response.id", response);
            }
            made = match rare {
                0 => made.with("gen_ai.openai.response.service_tier", "batch"),
                1 => {
                    made.set("gen_ai.usage.cost", Value::DoubleValue(0.25));
                    made
                }
                2 => judged(made, result("tone", 0.5, "good")),
                3 => made.with("error.type", "timeout").failed(),
                _ => made,
            };
            let made = made.trace(trace).under(parent).during(from, from + length);
            if failed && rare > 5 { made.failed() } else { made }
        },
    )
}

fn select_part(rare: u8) -> &'static str {
    if rare.is_multiple_of(2) { "span" } else { "log" }
}

fn any_step() -> impl Strategy<Value = (Step, u64)> {
    let logs_of = |id: u8, name: &str, score| Step::Logs(logs(vec![log(id, result(name, score, ""))]));
    let step = prop_oneof![
        12 => proptest::collection::vec(any_span(), 1..12).prop_map(|spans| Step::Traces(request(&spans))),
        3 => any::<prop::sample::Index>().prop_map(|index| Step::Traces(index.get(&CORPUS).clone())),
        2 => (1..4_u8, select(vec!["tone", "relevance"]), select(vec![0.0, 0.5, 1.0]))
            .prop_map(move |(id, name, score)| logs_of(id, name, score)),
        2 => Just(Step::Tick),
        3 => Just(Step::ExportInterval),
        1 => Just(Step::Drain),
    ];
    // Times may stand still, most spans of a call come within the wait, and now and then all is over.
    (step, prop_oneof![2 => Just(0), 6 => 1..2 * SECOND, 1 => Just(11 * SECOND), 1 => Just(31 * 60 * SECOND)])
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let memory = select(vec![20_000, 60_000, 64 << 20]);
    let pending = select(vec![None, Some(20_000), Some(usize::MAX)]);
    let sizes = (select(vec![1, 3, 1_000]), select(vec![2, 1_000]), memory, pending);
    // With one entry next to nothing is a repetition.
    let duplicates = (select(vec![20 * SECOND, 1_800 * SECOND]), select(vec![1, 30, 1_000_000]));
    let duplicates = duplicates.prop_map(|(window, max_entries)| DuplicateSettings { window, max_entries });
    let forms = || any::<(bool, bool)>().prop_map(|(explicit, exponential)| Forms { explicit, exponential });
    (sizes, duplicates, any::<bool>(), forms(), forms()).prop_map(
        |((limit, error_records, memory, pending), duplicates, merge_unlinked, delta, cumulative)| {
            let settle = SettleSettings { memory, merge_unlinked, ..settings(limit).settle };
            Settings { settle, duplicates, error_records, pending, delta, cumulative, ..settings(limit) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // Whatever the log and wherever it is cut: a restored pipeline goes on as if it had never stopped.
    #[test]
    fn restored_is_as_never_stopped(
        settings in any_settings(),
        log in proptest::collection::vec(any_step(), 1..60),
        cuts in proptest::collection::vec(proptest::bool::weighted(0.2), 60),
    ) {
        go_on_alike(&settings, &log, |place| cuts[place]);
    }

    // The same of one cut, as recovery makes it.
    #[test]
    fn one_cut_is_as_none(
        settings in any_settings(),
        log in proptest::collection::vec(any_step(), 1..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let cut = cut.index(log.len());
        go_on_alike(&settings, &log, |place| place == cut);
    }
}

// All that real clients sent, restored before every request.
#[test]
fn the_corpus_restored_before_every_request() {
    let mut log = Log::new();
    for (number, body) in CORPUS.iter().enumerate() {
        log.push((Step::Traces(body.clone()), SECOND / 2));
        if number % 7 == 6 {
            log.push((Step::ExportInterval, 0));
        }
    }
    log.extend([(Step::Drain, SECOND), (Step::ExportInterval, SECOND)]);
    for merge_unlinked in [false, true] {
        let settle = SettleSettings { merge_unlinked, ..settings(1_000).settle };
        go_on_alike(&Settings { settle, ..settings(1_000) }, &log, |_| true);
    }
}

/// A log in which everything waits that can.
fn waiting_log() -> Log {
    let spans = [
        call(1, "framework").using(100, 10).failed(),
        call(2, "sdk").under(1).during(10, 900).using(100, 10).with("gen_ai.response.id", "r1"),
        call(3, "sdk").trace(2).with("gen_ai.request.model", "no-such-model").using(5, 1),
        agent(4).trace(3).using(70, 7),
        other(5).trace(3).under(4),
        judged(call(6, "sdk").trace(4), result("tone", 0.5, "good")),
    ];
    let counted = [call(7, "sdk").trace(5).using(9, 9), call(8, "sdk").trace(6).failed()];
    vec![
        (Step::Traces(request(&counted)), 0),
        (Step::ExportInterval, 60 * SECOND),
        (Step::Traces(request(&counted[..1])), SECOND),
        (Step::Traces(request(&spans)), SECOND),
        (Step::Logs(logs(vec![log(1, result("relevance", 1.0, ""))])), SECOND),
    ]
}

fn after(settings: &Settings, log: &[Logged]) -> Pipeline {
    let mut pipeline = Pipeline::new(settings.clone());
    log.iter().for_each(|record| drop(apply(&mut pipeline, record.clone())));
    pipeline
}

/// A checkpoint with one bit wrong in each byte, one after the other.
fn damaged(checkpoint: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..checkpoint.len()).map(|place| {
        let mut damaged = checkpoint.to_vec();
        damaged[place] ^= 1 << (place % 8);
        damaged
    })
}

/// The checkpoint with the hash that it should have.
fn hashed(mut damaged: Vec<u8>) -> Vec<u8> {
    let end = damaged.len() - 9;
    let hash = rapidhash_v3(&damaged[..end]);
    damaged[end + 1..].copy_from_slice(&hash.to_le_bytes());
    damaged
}

/// Whether an error tells where.
fn tells_where(error: &RestoreError) -> bool {
    match error {
        RestoreError::Invalid { field, problem } => !field.is_empty() && !problem.is_empty(),
        RestoreError::Format { .. } | RestoreError::MissingBody { .. } => true,
    }
}

// A checkpoint that is cut off anywhere, or has a bit wrong anywhere, is refused with the place; none is taken, none
// brings us down.
#[test]
fn damage_is_refused() {
    let (settings, log) = (settings(3), logged(&waiting_log()));
    let checkpoint = after(&settings, &log).checkpoint();
    let restore = |bytes: &[u8]| Pipeline::restore(settings.clone(), bytes, |lsn| body(&log, lsn));
    assert!(restore(&checkpoint).is_ok());
    for length in 0..checkpoint.len() {
        assert!(tells_where(&restore(&checkpoint[..length]).unwrap_err()), "{length} bytes");
    }
    for (place, damaged) in damaged(&checkpoint).enumerate() {
        assert!(tells_where(&restore(&damaged).unwrap_err()), "byte {place}");
    }
    let mut longer = checkpoint.clone();
    longer.push(0);
    assert!(restore(&longer).is_err());
}

// Damage that the hash does not show is refused, or gives a pipeline that works.
#[test]
fn damage_below_the_hash_does_no_harm() {
    let (settings, log) = (settings(3), logged(&waiting_log()));
    let checkpoint = after(&settings, &log).checkpoint();
    let end = START + 3_600 * SECOND;
    let mut refused = 0;
    for (place, damaged) in damaged(&checkpoint).enumerate().take(checkpoint.len() - 9) {
        match Pipeline::restore(settings.clone(), &hashed(damaged), |lsn| body(&log, lsn)) {
            Ok(mut pipeline) => {
                for (lsn, record) in (10..).zip([Record::Drain, Record::ExportInterval]) {
                    apply(&mut pipeline, Logged { lsn, receive_time: end, record });
                }
                let again = pipeline.checkpoint();
                assert!(restored(&settings, &again, &log).checkpoint() == again, "byte {place}");
            }
            Err(error) => {
                assert!(tells_where(&error), "byte {place}");
                refused += 1;
            }
        }
    }
    assert!((1..checkpoint.len() - 9).contains(&refused), "{refused}");
}

// An error says which field of which element is wrong.
#[test]
fn errors_name_the_field() {
    let (settings, log) = (settings(3), logged(&waiting_log()));
    let checkpoint = after(&settings, &log).checkpoint();
    let error = |bytes: &[u8], has_bodies: bool| {
        let bodies = |lsn| body(&log, lsn).filter(|_| has_bodies);
        Pipeline::restore(settings.clone(), bytes, bodies).unwrap_err().to_string()
    };
    assert_eq!(
        error(&checkpoint, false),
        "checkpoint: the request with log sequence number 4 waits for outcomes and is not in the log"
    );
    assert_eq!(error(&[], true), "checkpoint: hash: missing: the checkpoint is cut off");
    // The head: its key, its length, then the format.
    let mut other_format = checkpoint.clone();
    other_format[3] = 2;
    assert_eq!(
        error(&other_format, true),
        "checkpoint: format 2, and this version reads format 1 only: start the version that wrote it, or a newer one"
    );
    // In a key, the length of a value is written in two bytes before it.
    let key = checkpoint.windows(8).position(|bytes| bytes == b"\x06\0gpt-4o").unwrap();
    let mut other_key = checkpoint.clone();
    other_key[key] += 1;
    let told = error(&hashed(other_key), true);
    assert!(told.starts_with("checkpoint: series[") && told.ends_with("].key: not one of this kind"), "{told}");
}

/// The sum of each counter, and the earliest start.
fn counters(message: &ExportMetricsServiceRequest) -> (BTreeMap<String, i64>, u64) {
    let (mut sums, mut start) = (BTreeMap::new(), u64::MAX);
    let metrics = message.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics);
    for metric in metrics {
        let Some(metric::Data::Sum(sum)) = &metric.data else { continue };
        for point in &sum.data_points {
            start = start.min(point.start_time_unix_nano);
            if let Some(number_data_point::Value::AsInt(count)) = point.value {
                *sums.entry(metric.name.clone()).or_default() += count;
            }
        }
    }
    (sums, start)
}

// Under other settings series start anew, from the open interval: what was exported is not exported again, what was not
// is, and what waits is counted, under the new layout.
#[test]
fn another_fingerprint_starts_series_anew() {
    let (before, log) = (settings(100), logged(&waiting_log()));
    let pipeline = after(&before, &log);
    let checkpoint = pipeline.checkpoint();
    let (_, start) = counters(&pipeline.snapshot().unwrap());
    assert_eq!(start, START);

    let mut other = settings(100);
    other.layout.resource_attributes = vec!["deployment.environment.name".to_owned(), "service.name".to_owned()];
    other.layout.dimensions = vec!["gen_ai.response.id".to_owned()];
    let mut anew = restored(&other, &checkpoint, &log);
    let now = START + 60 * SECOND;
    let (sums, start) = counters(&anew.snapshot().unwrap());
    assert_eq!((start, sums["spanmill.evaluations"]), (now, 2));
    assert_eq!(sums.get("spanmill.requests"), None, "two were exported, and the others wait");
    let came = apply(&mut anew, Logged { lsn: 10, receive_time: now + 20 * SECOND, record: Record::Drain });
    assert_eq!(came.len(), 1, "the request that waits has its outcomes");
    let report = anew.report();
    assert_eq!((report.totals.requests, report.totals.input()), (4, 175));
    assert!(report.by_service_and_model.iter().all(|row| row.service == "app"), "{report:?}");
    let (sums, start) = counters(&anew.snapshot().unwrap());
    assert_eq!((start, sums["spanmill.requests"], sums["spanmill.spans"]), (now, 4, 7));

    // The same settings: what was counted before is in it, from its start.
    let same = restored(&before, &checkpoint, &log);
    assert_eq!(counters(&same.snapshot().unwrap()), counters(&pipeline.snapshot().unwrap()));
}

// Who gets what may change from one start to the next, and the counters go on.
#[test]
fn sinks_may_come_and_go() {
    let log = logged(&waiting_log());
    for (before, then) in [(None, Some(usize::MAX)), (Some(usize::MAX), None)] {
        let with = |pending| Settings { pending, ..settings(100) };
        let checkpoint = after(&with(before), &log).checkpoint();
        let mut pipeline = restored(&with(then), &checkpoint, &log);
        let came = apply(&mut pipeline, Logged { lsn: 10, receive_time: START + 99 * SECOND, record: Record::Drain });
        assert!(came.is_empty(), "nobody knows their outcomes any more");
        let report = pipeline.report();
        assert_eq!((report.totals.requests, report.totals.errors), (6, 1));
        let next = Logged { lsn: 11, receive_time: START + 100 * SECOND, record: log[0].record.clone() };
        assert_eq!(apply(&mut pipeline, next).len(), usize::from(then.is_some()), "its spans are repetitions");
    }
}
