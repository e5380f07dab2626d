//! Programs of others: the official OpenTelemetry SDK as a client, pyarrow as a reader of the archive, scipy as the one who knows statistics.

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

// What canaries, drift, control charts and burn rates are compared with in the tests of `monitor` is what numpy and scipy compute.
#[test]
fn statistics_are_compared_with_what_scipy_computes() {
    let Some(python) = Python::get() else { return };
    let output = python.run("statistics.py", &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let computed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let kept = include_str!("../../../crates/monitor/tests/statistics/expected.json");
    assert_same("", &computed, &serde_json::from_str(kept).unwrap());
}

/// Numbers may differ as they do between processors.
fn assert_same(place: &str, computed: &Value, kept: &Value) {
    match (computed, kept) {
        (Value::Object(computed), Value::Object(kept)) => {
            assert!(computed.keys().eq(kept.keys()), "{place}");
            computed.iter().for_each(|(name, value)| assert_same(&format!("{place}/{name}"), value, &kept[name]));
        }
        (Value::Array(computed), Value::Array(kept)) => {
            assert_eq!(computed.len(), kept.len(), "{place}");
            let pairs = computed.iter().zip(kept).enumerate();
            pairs.for_each(|(number, (computed, kept))| assert_same(&format!("{place}/{number}"), computed, kept));
        }
        (Value::Number(computed), Value::Number(kept)) => {
            let (computed, kept) = (computed.as_f64().unwrap(), kept.as_f64().unwrap());
            assert!((computed - kept).abs() <= 1e-9 * kept.abs(), "{place}: {computed} for {kept}");
        }
        _ => assert_eq!(computed, kept, "{place}"),
    }
}
