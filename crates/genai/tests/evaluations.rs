//! Results of evaluations, from every place where they are told: spans and log records made after the sources of their dialects.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::build::{Attributes, Built, pairs};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Link;
use prost::Message;
use spanmill_genai::{Deriver, Evaluation, Role, ToldBy};

/// Name, score and label of every evaluation.
fn results(evaluations: &[Evaluation], body: &[u8]) -> Vec<(String, Option<f64>, String)> {
    let result = |told: &Evaluation| (told.name.str(body).into_owned(), told.score, told.label.str(body).into_owned());
    evaluations.iter().map(result).collect()
}

fn of_span(attributes: Attributes<'_>, events: &[(&str, Attributes<'_>)]) -> Vec<(String, Option<f64>, String)> {
    let body = Built::new("app", "span", attributes, events).body;
    results(&Deriver::default().derive_traces(&body).unwrap().evaluations, &body)
}

fn expected(results: &[(&str, Option<f64>, &str)]) -> Vec<(String, Option<f64>, String)> {
    results.iter().map(|(name, score, label)| ((*name).to_owned(), *score, (*label).to_owned())).collect()
}

fn logs(records: Vec<LogRecord>) -> Vec<u8> {
    let resource = Resource { attributes: pairs(&[("service.name", "judge")]), ..Resource::default() };
    let scope_logs = vec![ScopeLogs { log_records: records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

fn record(event_name: &str, attributes: Attributes<'_>) -> LogRecord {
    LogRecord {
        time_unix_nano: 5,
        observed_time_unix_nano: 6,
        event_name: event_name.to_owned(),
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        attributes: pairs(attributes),
        ..LogRecord::default()
    }
}

const RESULT: Attributes<'_> = &[
    ("gen_ai.evaluation.name", "relevance"),
    ("gen_ai.evaluation.score.value", "0.75"),
    ("gen_ai.evaluation.score.label", "relevant"),
    ("gen_ai.evaluation.explanation", "because of all that was said"),
];

// The log event of semconv 1.38 (pydantic-evals, OpenLIT) is an evaluation of the span that it belongs to; other records are none.
#[test]
fn log_events() {
    let late = LogRecord {
        time_unix_nano: 0,
        ..record("", &[&[("event.name", "gen_ai.evaluation.result")][..], RESULT].concat())
    };
    let body = logs(vec![
        record("gen_ai.evaluation.result", RESULT),
        record("gen_ai.client.inference.operation.details", RESULT),
        record("", RESULT),
        late,
        record("", RESULT),
        record("gen_ai.evaluation.result", &[("error.type", "timeout")]),
    ]);
    let evaluations = Deriver::default().derive_logs(&body).unwrap();
    let told = ("relevance", Some(0.75), "relevant");
    assert_eq!(results(&evaluations, &body), expected(&[told, told]));
    assert_eq!(evaluations.iter().map(|told| told.time).collect::<Vec<_>>(), [5, 6]);
    let first = evaluations[0];
    assert_eq!((first.told_by, first.trace_id, first.span_id), (ToldBy::Log, [1; 16], [2; 8]));
    assert_eq!(first.service.str(&body), "judge");
    assert!(!first.resource.is_empty());
}

// A score of any type is a number, if it is one; what is too long for a label or has lines is none; a failed evaluation has a name.
#[test]
fn scores_and_labels() {
    let long = "x".repeat(65);
    let cases: [(&str, &str, Option<f64>, &str); 8] = [
        ("4", "good", Some(4.0), "good"),
        ("'0.5'", "'1'", Some(0.5), "1"),
        ("-0.5", "", Some(-0.5), ""),
        ("NaN", "", None, ""),
        ("inf", "", None, ""),
        ("1e300", "", None, ""),
        ("high", &long, None, "_OTHER"),
        ("", "bad\nfor these reasons", None, "_OTHER"),
    ];
    for (score, label, number, told) in cases {
        let attributes = [
            ("gen_ai.evaluation.name", "x"),
            ("gen_ai.evaluation.score.value", score),
            ("gen_ai.evaluation.score.label", label),
        ];
        let body = logs(vec![record("gen_ai.evaluation.result", &attributes)]);
        let evaluations = Deriver::default().derive_logs(&body).unwrap();
        assert_eq!(results(&evaluations, &body), expected(&[("x", number, told)]), "{score:?} {label:?}");
    }
}

// The same event on a span, as often as it stands there, and the same keys as attributes of a span.
#[test]
fn span_events_and_attributes() {
    let told = ("relevance", Some(0.75), "relevant");
    let event = "gen_ai.evaluation.result";
    let failed: Attributes<'_> = &[("gen_ai.evaluation.name", "tone"), ("error.type", "timeout")];
    assert_eq!(
        of_span(&[], &[(event, RESULT), ("other", RESULT), (event, failed), (event, &[])]),
        expected(&[told, ("tone", None, "")])
    );
    assert_eq!(of_span(RESULT, &[]), expected(&[told]));
    let built = Built::new("app", "span", RESULT, &[(event, RESULT)]);
    let derived = Deriver::default().derive_traces(&built.body).unwrap();
    // That they are one is known where all that was told of a span is known.
    let told_by: Vec<_> = derived.evaluations.iter().map(|told| (told.told_by, told.time)).collect();
    assert_eq!(told_by, [(ToldBy::Event, 1_100_000_000), (ToldBy::Attributes, 2_000_000_000)]);
    assert_eq!((derived.evaluations[0].trace_id, derived.evaluations[0].span_id), ([1; 16], [2; 8]));
    assert_eq!(derived.spans[0].role, Role::None, "an evaluated span need not be GenAI");
}

// OpenInference flattens lists of evaluations and annotations, in whatever order their parts come, of spans, traces and sessions.
#[test]
fn flattened_lists() {
    let attributes: Attributes<'_> = &[
        ("openinference.span.kind", "CHAIN"),
        ("evaluations.10.evaluation.name", "last"),
        ("evaluations.0.evaluation.name", "hallucination"),
        ("evaluations.1.evaluation.score", "1"),
        ("evaluations.0.evaluation.label", "factual"),
        ("evaluations.1.evaluation.name", "qa"),
        ("evaluations.0.evaluation.score", "0.0"),
        ("evaluations.0.evaluation.explanation", "long"),
        ("annotations.0.annotation.name", "thumb"),
        ("annotations.0.annotation.label", "up"),
        ("trace.evaluations.0.evaluation.name", "of trace"),
        ("session.annotations.0.annotation.name", "of session"),
        ("evaluations.x.evaluation.name", "no list"),
        ("evaluations.0.1.evaluation.name", "no list"),
        ("evaluations.99999999999.evaluation.name", "no list"),
        ("evaluations.3.evaluation.explanation", "only"),
    ];
    let mut told = of_span(attributes, &[]);
    told.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(
        told,
        expected(&[
            ("hallucination", Some(0.0), "factual"),
            ("last", None, ""),
            ("of session", None, ""),
            ("of trace", None, ""),
            ("qa", Some(1.0), ""),
            ("thumb", None, "up"),
        ])
    );
    let derived = Built::new("app", "span", attributes, &[]);
    assert_eq!(derived.facts.role, Role::Chain);
}

// A span of an evaluator speaks of the span that it links to; other links say nothing.
#[test]
fn evaluators_link_to_what_they_evaluated() {
    let linked = |kind| {
        let attributes = [
            ("openinference.span.kind", kind),
            ("evaluations.0.evaluation.name", "qa"),
            ("evaluations.0.evaluation.score", "1"),
        ];
        let body = Built::new("app", "span", &attributes, &[]).body;
        let mut request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        let link = Link { trace_id: vec![8; 16], span_id: vec![9; 8], ..Link::default() };
        request.resource_spans[0].scope_spans[0].spans[0].links.push(link);
        let evaluations = Deriver::default().derive_traces(&request.encode_to_vec()).unwrap().evaluations;
        (evaluations[0].trace_id, evaluations[0].span_id)
    };
    assert_eq!(linked("EVALUATOR"), ([8; 16], [9; 8]));
    assert_eq!(linked("CHAIN"), ([1; 16], [2; 8]));
}

// Braintrust writes scores as JSON, by name.
#[test]
fn scores_in_json() {
    let scores = r#"{"Factuality": 0.6, "none": null, "quote\"d": 1, "Tone": 1, "text": "x"}"#;
    let told = [("Factuality", Some(0.6), ""), ("Tone", Some(1.0), "")];
    assert_eq!(of_span(&[("braintrust.scores", scores)], &[]), expected(&told));
    assert_eq!(of_span(&[("braintrust.scores", r#"{"Factuality": 0.6, "Tone"#)], &[]), expected(&told[..1]));
    assert_eq!(of_span(&[("braintrust.scores", "[1]")], &[]), expected(&[]));
    let many: Vec<String> = (0..1000).map(|number| format!("\"{number}\":1")).collect();
    let many = format!("{{{}}}", many.join(","));
    assert_eq!(of_span(&[("braintrust.scores", &many)], &[]).len(), 64);
}

// Each evaluation belongs to its span: nothing is carried over to the next one, and order is kept.
#[test]
fn spans_keep_their_own() {
    let body = Built::new("app", "span", &[("evaluations.0.evaluation.name", "a")], &[]).body;
    let mut request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
    let spans = &mut request.resource_spans[0].scope_spans[0].spans;
    let mut second = spans[0].clone();
    (second.span_id, second.attributes) = (vec![3; 8], Vec::new());
    let mut third = second.clone();
    (third.span_id, third.attributes) = (vec![4; 8], pairs(&[("evaluations.0.evaluation.label", "b")]));
    spans.extend([second, third]);
    let body = request.encode_to_vec();
    let derived = Deriver::default().derive_traces(&body).unwrap();
    assert_eq!(results(&derived.evaluations, &body), expected(&[("a", None, ""), ("", None, "b")]));
    assert_eq!(derived.evaluations.iter().map(|told| told.span_id).collect::<Vec<_>>(), [[2; 8], [4; 8]]);
    assert_eq!(derived.spans.len(), 3);
}

// Damaged logs are refused, with their place.
#[test]
fn damage_is_refused() {
    let body = logs(vec![record("gen_ai.evaluation.result", RESULT)]);
    let cut = &body[..body.len() - 1];
    assert!(Deriver::default().derive_logs(cut).unwrap_err().to_string().contains("resource_logs"));
}
