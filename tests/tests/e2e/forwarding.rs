//! Between application and backend, or between two Collectors: what comes in goes out as it is, beside what is derived from it.

mod enriched;
mod places;

use std::collections::BTreeSet;
use std::net::TcpListener;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use prost::Message;
use spanmill_tests::{Backend, Client, Destination, Payload, Setup, Signal, Spanmill, corpus, eventually};

use crate::spans::{call, payload};

const DURABLE: &str = "enabled: true, max_size: 64MiB";

fn concatenated<'a>(bodies: impl Iterator<Item = &'a Bytes>) -> Vec<u8> {
    bodies.flat_map(|body| body.iter().copied()).collect()
}

// A destination of traces gets every byte that the applications of the corpus sent, in order, with and without a log on disk, over
// HTTP and over gRPC, compressed or not.
#[tokio::test(flavor = "multi_thread")]
async fn traces_go_through_byte_for_byte() {
    let payloads: Vec<Payload> = corpus().into_iter().flat_map(|client| client.payloads).collect();
    let traces: Vec<&Payload> = payloads.iter().filter(|payload| payload.signal == Signal::Traces).collect();
    let expected = concatenated(traces.iter().map(|payload| &payload.body));
    for (protocol, compression, wal) in [
        ("http/protobuf", "none", "enabled: false"),
        ("http/protobuf", "none", DURABLE),
        ("grpc", "none", DURABLE),
        ("grpc", "gzip", DURABLE),
    ] {
        let backend = if protocol == "grpc" { Backend::grpc().await } else { Backend::http().await };
        let to = Destination { protocol, compression, ..Destination::http_with_traces(&backend) };
        let setup = Setup { wal, ..Setup::with(to) };
        let spanmill = Spanmill::start(&setup);
        let client = Client::grpc(spanmill.addresses);
        for payload in &traces {
            client.send(payload).await.unwrap();
        }
        spanmill.stop();
        let is_same = concatenated(backend.received().traces.iter()) == expected;
        assert!(is_same, "{protocol} {compression} {wal}: other bytes came out than went in");
    }
}

// A destination that is not there holds up nobody; what came meanwhile waits for it, over a kill, and comes when it is there.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_destination_missed_waits_in_the_log() {
    let absent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let present = Backend::grpc().await;
    let with_traces = |destination| Destination { signals: "traces, metrics, logs", ..destination };
    let destinations = vec![
        with_traces(Destination { address: absent, ..Destination::grpc(&present) }),
        with_traces(Destination::grpc(&present)),
    ];
    let setup = Setup { wal: DURABLE, destinations, ..Setup::default() };
    let mut spanmill = Spanmill::start(&setup);
    let mut sent = BTreeSet::new();
    for kill in 0..3_u64 {
        let client = Client::grpc(spanmill.addresses);
        for batch in 0..20 {
            let ids = (kill * 20 + batch) * 10 + 1..=(kill * 20 + batch) * 10 + 10;
            sent.extend(ids.clone());
            client.send(&payload(ids.map(|id| call(id, "gpt-4o")).collect())).await.unwrap();
        }
        let has_all = async || (ids(&present) == sent).then_some(());
        eventually("everything at the one that is there", has_all).await;
        let reached = async |destination| {
            spanmill.sample("spanmill_wal_lsn", &[("cursor", "forwarded"), ("destination", destination)]).await
        };
        let safe = spanmill.sample("spanmill_wal_lsn", &[("cursor", "safe")]).await;
        eventually("its cursor is told", async || (reached("otlp/backend1").await >= safe).then_some(())).await;
        assert!(reached("otlp/backend0").await + 20 * (kill + 1) <= safe, "the other one has none of it");
        spanmill = Spanmill::start_in(spanmill.kill(), &setup);
    }
    let late = Backend::grpc_at(absent).await;
    eventually("everything at the one that was not", async || (ids(&late) == sent).then_some(())).await;
    spanmill.stop();
}

fn ids(backend: &Backend) -> BTreeSet<u64> {
    let spans = backend.received().spans();
    spans.iter().map(|span| u64::from_be_bytes(span.span_id.as_slice().try_into().unwrap())).collect()
}

fn metrics(names: &[&str]) -> Payload {
    let metrics = names.iter().map(|name| {
        let value = Some(number_data_point::Value::AsInt(7));
        let sum = Sum {
            data_points: vec![NumberDataPoint { value, ..Default::default() }],
            aggregation_temporality: AggregationTemporality::Cumulative as i32,
            is_monotonic: true,
        };
        Metric { name: (*name).to_owned(), data: Some(metric::Data::Sum(sum)), ..Default::default() }
    });
    let scope_metrics = vec![ScopeMetrics { metrics: metrics.collect(), ..Default::default() }];
    let request =
        ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics { scope_metrics, ..Default::default() }] };
    Payload { signal: Signal::Metrics, body: request.encode_to_vec().into() }
}

fn logs(event: &str) -> Payload {
    let log_records = vec![LogRecord { event_name: event.to_owned(), ..Default::default() }];
    let scope_logs = vec![ScopeLogs { log_records, ..Default::default() }];
    let request = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] };
    Payload { signal: Signal::Logs, body: request.encode_to_vec().into() }
}

// Metrics and logs of applications go to whoever takes these signals; of metrics that Spanmill derives itself only its own, unless
// the user wants both.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_and_logs_go_through() {
    let theirs = |backend: &Backend| -> BTreeSet<String> {
        let received = backend.received();
        let resources = received.metrics.iter().flat_map(|request| &request.resource_metrics);
        // derived ones tell which instance they are of
        let resources = resources.filter(|resource| resource.resource.is_none());
        let metrics = resources.flat_map(|resource| &resource.scope_metrics).flat_map(|scope| &scope.metrics);
        metrics.map(|metric| metric.name.clone()).collect()
    };
    for (forward, expected) in [
        ("", vec!["process.cpu.time"]),
        ("keep_client_metrics: true", vec!["gen_ai.client.token.usage", "process.cpu.time"]),
    ] {
        let (backend, only_traces) = (Backend::grpc().await, Backend::grpc().await);
        let traces = Destination { signals: "traces", ..Destination::grpc(&only_traces) };
        let setup = Setup { forward, destinations: vec![Destination::grpc(&backend), traces], ..Setup::default() };
        let spanmill = Spanmill::start(&setup);
        let client = Client::grpc(spanmill.addresses);
        client.send(&metrics(&["process.cpu.time", "gen_ai.client.token.usage"])).await.unwrap();
        client.send(&logs("app.started")).await.unwrap();
        client.send(&payload(vec![call(1, "gpt-4o")])).await.unwrap();
        spanmill.stop();
        assert!(theirs(&backend).iter().eq(&expected), "{:?}", theirs(&backend));
        let events: Vec<String> = backend.received().log_records().map(|record| record.event_name.clone()).collect();
        assert_eq!(events, ["app.started"]);
        assert!(backend.received().traces.is_empty());
        let received = only_traces.received();
        assert_eq!((received.spans().len(), received.metrics.len(), received.logs.len()), (1, 0, 0));
    }
}
