//! Every payload of the corpus, in every form, and the same totals wherever they are told.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message;
use spanmill_tests::{
    Backend, Client, Compression, Destination, Received, Setup, Signal, Spanmill, Totals, Transport, corpus,
    eventually, rows, run,
};

/// What `replay` counts in the whole corpus: as much as the clients' truths allow.
pub fn replayed() -> &'static Totals {
    static TOTALS: OnceLock<Totals> = OnceLock::new();
    TOTALS.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let clients = corpus();
        for client in &clients {
            let traces = client.payloads.iter().filter(|payload| payload.signal == Signal::Traces);
            for (number, payload) in traces.enumerate() {
                let file = format!("{}-{number:02}.traces.binpb", client.name);
                std::fs::write(directory.path().join(file), &payload.body).unwrap();
            }
        }
        let output = run(&["replay", "--format", "json", directory.path().to_str().unwrap()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let totals = Totals::from_json(&output.stdout);
        let sum = |cell: fn(&Totals) -> u64| -> (u64, u64) {
            let truths = clients.iter().map(|client| &client.truth);
            truths.fold((0, 0), |(least, most), truth| {
                (least + cell(&truth.expected), most + cell(&truth.expected_upper))
            })
        };
        let cells: [fn(&Totals) -> u64; 3] =
            [|totals| totals.requests, |totals| totals.errors, |totals| totals.tokens.input];
        for cell in cells {
            let (least, most) = sum(cell);
            assert!((least..=most).contains(&cell(&totals)), "{} of {least} to {most}", cell(&totals));
        }
        totals
    })
}

/// One destination for each protocol and temporality.
struct Backends {
    all: Vec<(Backend, Destination)>,
}

impl Backends {
    async fn start(compression: Compression) -> Self {
        let compression = compression.name().unwrap_or("none");
        let mut all = Vec::new();
        for temporality in ["cumulative", "delta"] {
            for protocol in ["grpc", "http/protobuf"] {
                let backend = if protocol == "grpc" { Backend::grpc().await } else { Backend::http().await };
                let address = backend.address;
                all.push((
                    backend,
                    Destination { address, protocol, temporality, compression, signals: "metrics, logs", more: "" },
                ));
            }
        }
        Self { all }
    }
}

/// Sends everything in one form to a server of its own; then all readers must find what `replay` finds.
async fn travel(transport: Transport, compression: Compression) {
    let backends = Backends::start(compression).await;
    let destinations = backends.all.iter().map(|(_, destination)| destination.clone()).collect();
    // The shortest interval there is, so that totals come in several deltas.
    let spanmill = Spanmill::start(&Setup { destinations, interval: "1s", ..Setup::default() });
    let sender = Client::new(spanmill.addresses, transport, compression);
    let clients = corpus();
    let mut sent = [0; 3];
    for (number, client) in clients.iter().enumerate() {
        for payload in &client.payloads {
            let answer = sender.send(payload).await;
            assert_eq!(answer, Ok(()), "{} {:?} {transport:?} {compression:?}", client.name, payload.signal);
            sent[payload.signal as usize] += 1;
        }
        if number == clients.len() / 2 {
            eventually("the first interval at each destination", async || {
                backends.all.iter().all(|(backend, _)| backend.received().totals().requests > 0).then_some(())
            })
            .await;
        }
    }

    let expected = replayed();
    assert_eq!(spanmill.counted(expected.requests).await, *expected, "/metrics");
    for (signal, name) in [(Signal::Traces, "traces"), (Signal::Metrics, "metrics"), (Signal::Logs, "logs")] {
        let transport = if transport == Transport::Grpc { "grpc" } else { "http" };
        let labels = [("signal", name), ("transport", transport), ("outcome", "accepted")];
        assert_eq!(spanmill.sample("spanmill_receiver_requests", &labels).await, sent[signal as usize], "{name}");
    }

    for (token_type, tokens) in [("input", expected.tokens.input), ("output", expected.tokens.output)] {
        let labels = [("gen_ai_token_type", token_type)];
        assert_eq!(spanmill.sample("gen_ai_client_token_usage_sum", &labels).await, tokens, "{token_type}");
    }
    let spans: Vec<_> =
        clients.iter().flat_map(|client| &client.payloads).flat_map(|payload| payload.spans()).collect();
    assert_eq!(spanmill.sample("spanmill_spans", &[]).await, spans.len() as u64, "every span has one outcome");

    let logs = clients.iter().flat_map(|client| &client.payloads).filter(|payload| payload.signal == Signal::Logs);
    let logs = logs.map(|payload| ExportLogsServiceRequest::decode(payload.body.clone()).unwrap());
    let log_records = logs.map(|request| Received { logs: vec![request], ..Received::default() }.log_records().count());
    let log_records: usize = log_records.sum();

    let stopped = spanmill.stop();
    let rows = rows(&stopped.archive());
    assert_eq!(Totals::from_rows(&rows), *expected, "archive");
    let span_ids: BTreeSet<_> = spans.into_iter().map(|span| (span.trace_id, span.span_id)).collect();
    for (backend, destination) in &backends.all {
        let received = backend.received();
        assert_eq!(received.totals(), *expected, "{destination:?}");
        let errors: Vec<_> =
            received.error_records().map(|record| (record.trace_id.clone(), record.span_id.clone())).collect();
        assert_eq!(errors.len() as u64, expected.errors, "{destination:?}");
        assert!(errors.iter().all(|ids| span_ids.contains(ids)), "error records lead to spans: {destination:?}");
        let distinct: BTreeSet<_> = errors.iter().collect();
        assert_eq!(distinct.len(), errors.len(), "each error is told once: {destination:?}");
        let theirs = received.log_records().count() - errors.len();
        assert_eq!(theirs, log_records, "log records of applications: {destination:?}");
    }
    assert!(!stopped.log.contains("ERROR"), "{}", stopped.log);
}

// gRPC, in every compression: accepted, and the same totals at every destination, at /metrics, in the archive and by replay.
#[tokio::test(flavor = "multi_thread")]
async fn grpc() {
    for compression in Compression::ALL {
        travel(Transport::Grpc, compression).await;
    }
}

// HTTP with protobuf, in every compression: the same.
#[tokio::test(flavor = "multi_thread")]
async fn http_protobuf() {
    for compression in Compression::ALL {
        travel(Transport::HttpProtobuf, compression).await;
    }
}

// HTTP with JSON, in every compression: the same.
#[tokio::test(flavor = "multi_thread")]
async fn http_json() {
    for compression in Compression::ALL {
        travel(Transport::HttpJson, compression).await;
    }
}
