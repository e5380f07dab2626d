//! Programs of others: the official OpenTelemetry SDK as a client, pyarrow as a reader of the archive, numpy and scipy.

use std::path::Path;

use serde_json::Value;
use spanmill_tests::{Backend, Client, Destination, Python, Setup, Spanmill, Tokens, Totals, corpus, rows};

use crate::corpus::replayed;

// The Python SDK sends spans, metrics and logs over gRPC and HTTP, is content with every answer, and its calls are counted.
#[tokio::test(flavor = "multi_thread")]
async fn the_official_sdk_is_content() {
    let Some(python) = Python::get() else { return };
    let backend = Backend::grpc().await;
    let spanmill = Spanmill::start(&Setup::with(Destination::grpc(&backend)));
    let grpc = format!("http://{}", spanmill.addresses.grpc);
    let http = format!("http://{}", spanmill.addresses.http);
    let applications =
        [("grpc", &grpc, "none"), ("grpc", &grpc, "gzip"), ("http", &http, "none"), ("http", &http, "gzip")];
    for (transport, endpoint, compression) in applications {
        let output = python.run("sdk.py", &[transport, endpoint, compression]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{transport} {compression}: {said}");
    }
    for signal in ["traces", "metrics", "logs"] {
        let accepted =
            spanmill.sample("spanmill_receiver_requests", &[("signal", signal), ("outcome", "accepted")]).await;
        let refused = spanmill.sample("spanmill_receiver_requests", &[("signal", signal)]).await - accepted;
        assert!(accepted >= 4 && refused == 0, "{signal}: {accepted} accepted, {refused} refused");
    }
    let totals = spanmill.counted(40).await;
    spanmill.stop();
    let tokens = Tokens { input: 4 * (100..109).sum::<u64>(), output: 4 * 90, ..Tokens::default() };
    assert_eq!((totals.requests, totals.errors, totals.tokens), (40, 4, tokens));
    assert_eq!(totals.by_model["gpt-4o-mini-2024-07-18"].requests, 36);
    assert_eq!(backend.received().totals(), totals);
}

// pyarrow reads the archive as one hive-partitioned table, and its counted rows are the totals.
#[tokio::test(flavor = "multi_thread")]
async fn pyarrow_finds_the_totals_in_the_archive() {
    let Some(python) = Python::get() else { return };
    let spanmill = Spanmill::start(&Setup::default());
    let sender = Client::grpc(spanmill.addresses);
    for payload in corpus().iter().flat_map(|client| &client.payloads) {
        sender.send(payload).await.unwrap();
    }
    let stopped = spanmill.stop();
    let archive = stopped.archive();
    let output = python.run("totals.py", &[archive.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(Totals::from_json(&output.stdout), *replayed());
    assert_eq!(Totals::from_rows(&rows(&archive)), *replayed());
}

/// Whether two documents say the same, numbers up to what the last digits of floats differ by between machines.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            (one - other).abs() <= 1e-9 * one.abs().max(1e-9)
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_there = |(key, value)| other.get(key).is_some_and(|other| is_same(value, other));
            one.len() == other.len() && one.iter().all(is_there)
        }
        _ => one == other,
    }
}

// What the statistics of monitors are compared with is what numpy and scipy compute today.
#[test]
fn expected_statistics_are_those_of_numpy_and_scipy() {
    let Some(python) = Python::get() else { return };
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/monitor/tests/statistics");
    let output = python.run(directory.join("expected.py").to_str().unwrap(), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let computed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kept: Value = serde_json::from_slice(&std::fs::read(directory.join("expected.json")).unwrap()).unwrap();
    for (name, computed) in computed.as_object().unwrap() {
        assert!(is_same(computed, &kept[name]), "{name}: expected.json is not what expected.py computes");
    }
}
