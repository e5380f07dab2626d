//! Evaluations that come as logs.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use spanmill_tests::{Client, Compression, Payload, Setup, Signal, Spanmill, Transport, eventually, run};

use crate::spans::{attribute, text};

/// A request of one log record, which is an evaluation of score 0.75.
fn evaluation(id: u8) -> Payload {
    let record = LogRecord {
        time_unix_nano: 1_767_225_600_000_000_000,
        event_name: "gen_ai.evaluation.result".to_owned(),
        trace_id: vec![id; 16],
        span_id: vec![id; 8],
        attributes: vec![
            text("gen_ai.evaluation.name", "relevance"),
            attribute("gen_ai.evaluation.score.value", any_value::Value::DoubleValue(0.75)),
            text("gen_ai.evaluation.score.label", "relevant"),
            text("gen_ai.evaluation.explanation", "a long story"),
        ],
        ..LogRecord::default()
    };
    let resource = Resource { attributes: vec![text("service.name", "judge")], ..Resource::default() };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() }];
    Payload { signal: Signal::Logs, body: ExportLogsServiceRequest { resource_logs }.encode_to_vec().into() }
}

// Results that come as log records, over every transport, stand on /metrics.
#[tokio::test(flavor = "multi_thread")]
async fn evaluations_stand_on_metrics() {
    let spanmill = Spanmill::start(&Setup::default());
    for (id, transport) in (1..).zip(Transport::ALL) {
        let client = Client::new(spanmill.addresses, transport, Compression::None);
        client.send(&evaluation(id)).await.unwrap();
    }
    let labels = [
        ("service_name", "judge"),
        ("gen_ai_evaluation_name", "relevance"),
        ("gen_ai_evaluation_score_label", "relevant"),
    ];
    eventually("three evaluations counted", async || {
        (spanmill.sample("spanmill_evaluations_total", &labels).await == 3).then_some(())
    })
    .await;
    assert_eq!(spanmill.sample("spanmill_evaluation_score_count", &labels).await, 3);
    let page = spanmill.metrics().await;
    assert!(!page.contains("a long story"));
    spanmill.stop();
}

// Logs in files are read by replay, and damaged ones refused with their place.
#[test]
fn replay_reads_logs() {
    let directory = tempfile::tempdir().unwrap();
    let good = directory.path().join("01.logs.binpb");
    std::fs::write(&good, evaluation(1).body).unwrap();
    assert!(run(&["replay", good.to_str().unwrap()]).status.success());
    let bad = directory.path().join("02.logs.binpb");
    let body = evaluation(1).body;
    std::fs::write(&bad, &body[..body.len() - 1]).unwrap();
    let output = run(&["replay", bad.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&output.stderr).contains("02.logs.binpb"));
}
