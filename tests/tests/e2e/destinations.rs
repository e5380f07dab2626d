//! Destinations as they are met with: encrypted, with certificates that change, and of the kinds that profiles are for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, status};
use prost::Message as _;
use spanmill_tests::{
    Authority, Backend, Client, Destination, Payload, Setup, Spanmill, TlsFront, eventually, get, sample,
};
use tokio::net::TcpListener;

use crate::spans::{call, payload, request, text};

// Over both protocols a destination is reached by TLS, with a certificate of our own; a renewed one of ours or of the destination
// holds without a restart, what waited meanwhile arrives, and nothing goes to a destination that is not trusted.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_change_on_both_sides() {
    let (server, other_server, clients, strangers) =
        (Authority::new(), Authority::new(), Authority::new(), Authority::new());
    for (protocol, backend) in [("grpc", Backend::grpc().await), ("http/protobuf", Backend::http().await)] {
        let front = TlsFront::start(backend.address, &server.issue(), Some(&clients)).await;
        let directory = tempfile::tempdir().unwrap();
        let ca_file = directory.path().join("ca.pem");
        std::fs::write(&ca_file, server.pem()).unwrap();
        strangers.issue().write(directory.path());
        let destination = Destination {
            address: front.address,
            protocol,
            temporality: "cumulative",
            compression: "gzip",
            signals: "metrics, logs",
            more: "tls: { ca_file: ca.pem, cert_file: cert.pem, key_file: key.pem }",
        };
        let setup = Setup { interval: "1s", settle_wait: "100ms", ..Setup::with(destination) };
        let spanmill = Spanmill::start_in(directory, &setup);
        let client = Client::grpc(spanmill.addresses);
        let arrived = async |requests: u64| {
            eventually(&format!("{requests} requests over {protocol}"), async || {
                Some(()).filter(|()| backend.received().totals().requests >= requests)
            })
            .await;
        };
        let retries = async || {
            let labels = [("destination", "otlp/backend0"), ("signal", "metrics")];
            spanmill.sample("spanmill_exporter_retries_total", &labels).await
        };
        let refused = async |before: u64| {
            eventually("an attempt that fails", async || Some(retries().await).filter(|now| *now > before)).await
        };

        client.send(&payload(vec![call(1, "gpt-4o")])).await.unwrap();
        let before = refused(0).await;
        assert_eq!(backend.received().metrics.len(), 0, "nobody may send with a stranger's certificate");
        clients.issue().write(spanmill.directory());
        arrived(1).await;

        front.replace(&other_server.issue(), Some(&clients));
        client.send(&payload(vec![call(2, "gpt-4o")])).await.unwrap();
        refused(before).await;
        assert_eq!(backend.received().totals().requests, 1, "nothing is told to a stranger");
        std::fs::write(spanmill.directory().join("ca.pem"), other_server.pem()).unwrap();
        arrived(2).await;

        client.send(&payload(vec![call(3, "gpt-4o")])).await.unwrap();
        spanmill.stop();
        assert_eq!(backend.received().totals().requests, 3);
    }
}

// Without a key about it, a destination is trusted as the operating system trusts it, and not because it speaks TLS.
#[tokio::test(flavor = "multi_thread")]
async fn the_system_says_whom_to_trust() {
    let authority = Authority::new();
    let (backend, stranger) = (Backend::grpc().await, Backend::grpc().await);
    let front = TlsFront::start(backend.address, &authority.issue(), None).await;
    let strange_front = TlsFront::start(stranger.address, &Authority::new().issue(), None).await;
    let destination = |address| Destination { address, more: "tls: null", ..Destination::grpc(&backend) };
    let setup = Setup {
        destinations: vec![destination(front.address), destination(strange_front.address)],
        interval: "1s",
        settle_wait: "100ms",
        environment: vec![("SSL_CERT_FILE", "system.pem".to_owned()), ("SSL_CERT_DIR", String::new())],
        ..Setup::default()
    };
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("system.pem"), authority.pem()).unwrap();
    let spanmill = Spanmill::start_in(directory, &setup);
    Client::grpc(spanmill.addresses).send(&payload(vec![call(1, "gpt-4o")])).await.unwrap();
    eventually("a call at the destination", async || {
        (backend.received().totals().requests == 1 && outcomes(&spanmill, 1).await.retries > 0).then_some(())
    })
    .await;
    assert_eq!(stranger.received().metrics.len(), 0);
    let log = spanmill.stop().log;
    assert!(log.contains("invalid peer certificate"), "{log}");
}

/// One point of a counter as a destination sees it.
struct SumPoint {
    metric: String,
    is_delta: bool,
    window: [u64; 2],
    value: i64,
    /// Names and values of text attributes, of the resource and of the point.
    resource: Vec<(String, String)>,
    attributes: Vec<(String, String)>,
}

fn texts(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let text = |attribute: &KeyValue| match attribute.value.clone()?.value? {
        any_value::Value::StringValue(text) => Some((attribute.key.clone(), text)),
        _ => None,
    };
    attributes.iter().filter_map(text).collect()
}

fn sum_points(backend: &Backend) -> Vec<SumPoint> {
    let received = backend.received();
    let mut points = Vec::new();
    for metrics in received.metrics.iter().flat_map(|request| &request.resource_metrics) {
        let resource = texts(&metrics.resource.as_ref().unwrap().attributes);
        for metric in metrics.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            let Some(metric::Data::Sum(sum)) = &metric.data else { continue };
            // What goes up and down has its value at a time.
            if !sum.is_monotonic {
                continue;
            }
            points.extend(sum.data_points.iter().filter_map(|point| {
                let Some(number_data_point::Value::AsInt(value)) = point.value else { return None };
                Some(SumPoint {
                    metric: metric.name.clone(),
                    is_delta: sum.aggregation_temporality == AggregationTemporality::Delta as i32,
                    window: [point.start_time_unix_nano, point.time_unix_nano],
                    value,
                    resource: resource.clone(),
                    attributes: texts(&point.attributes),
                })
            }));
        }
    }
    points
}

/// Calls of a service in production.
fn calls(ids: std::ops::RangeInclusive<u64>) -> Payload {
    let mut request = request(ids.map(|id| call(id, "gpt-4o")).collect());
    let resource = request.resource_spans[0].resource.as_mut().unwrap();
    resource.attributes.push(text("deployment.environment.name", "production"));
    Payload::traces(&request)
}

// SigNoz adds up delta points by the minute that their time lies in: over a restart, and for a service that lives for a moment, what
// it shows is what was called; each point lies within its window; the environment has both of its names; Spanmill's own
// health comes with it.
#[tokio::test(flavor = "multi_thread")]
async fn signoz_shows_every_call() {
    let backend = Backend::grpc().await;
    let destination = Destination { temporality: "", more: "profile: signoz", ..Destination::grpc(&backend) };
    let setup = Setup { interval: "1s", settle_wait: "100ms", ..Setup::with(destination) };
    let mut directory = tempfile::tempdir().unwrap();
    for ids in [1..=7, 8..=12] {
        let spanmill = Spanmill::start_in(directory, &setup);
        Client::grpc(spanmill.addresses).send(&calls(ids)).await.unwrap();
        directory = spanmill.stop().directory;
    }
    let points = sum_points(&backend);
    let requests: Vec<_> = points.iter().filter(|point| point.metric == "spanmill.requests").collect();
    let mut by_minute = BTreeMap::new();
    for point in &requests {
        *by_minute.entry(point.window[1] / 60_000_000_000).or_insert(0) += point.value;
        let begun = point.window[0] / 1_000_000;
        assert!(begun <= point.window[1] / 1_000_000);
        for name in ["deployment.environment", "deployment.environment.name"] {
            assert!(point.resource.contains(&(name.to_owned(), "production".to_owned())), "{name}");
        }
    }
    assert_eq!(by_minute.values().sum::<i64>(), 12);
    assert!(points.iter().all(|point| point.is_delta), "cumulative points lose their first");
    let received = points.iter().filter(|point| point.metric == "spanmill.receiver.requests");
    assert_eq!(received.map(|point| point.value).sum::<i64>(), 2, "own metrics");
}

// Over OTLP, Prometheus gets the labels that it gets by scraping.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_gets_the_labels_of_a_scrape() {
    let backend = Backend::http().await;
    let destination = Destination {
        protocol: "http/protobuf",
        temporality: "",
        more: "profile: prometheus",
        ..Destination::grpc(&backend)
    };
    let setup = Setup { settle_wait: "100ms", ..Setup::with(destination) };
    let spanmill = Spanmill::start(&setup);
    Client::grpc(spanmill.addresses).send(&calls(1..=3)).await.unwrap();
    spanmill.counted(3).await;
    let page = spanmill.metrics().await;
    spanmill.stop();
    let points = sum_points(&backend);
    let mut lines: Vec<_> = points
        .iter()
        .filter(|point| point.metric == "spanmill.requests")
        .map(|point| {
            let labels = point.attributes.iter().map(|(name, value)| format!("{}=\"{value}\"", name.replace('.', "_")));
            let labels: BTreeSet<_> = labels.collect();
            let labels = labels.into_iter().collect::<Vec<_>>().join(",");
            format!("spanmill_requests_total{{{labels}}} {}", point.value)
        })
        .collect();
    lines.sort();
    let scraped: Vec<_> = page.lines().filter(|line| line.starts_with("spanmill_requests_total{")).collect();
    assert_eq!(lines, scraped);
}

// A scraper is told what it scrapes, and what each metric means.
#[tokio::test(flavor = "multi_thread")]
async fn scrapes_explain_themselves() {
    let spanmill = Spanmill::start(&Setup::default());
    Client::grpc(spanmill.addresses).send(&calls(1..=3)).await.unwrap();
    spanmill.counted(3).await;
    let page = spanmill.metrics().await;
    let info = page.lines().find(|line| line.starts_with("target_info{")).unwrap();
    assert!(info.contains("service_name=\"spanmill\"") && info.contains("service_version=\""), "{info}");
    let families = |prefix: &'static str| {
        let rest = page.lines().filter_map(move |line| line.strip_prefix(prefix));
        rest.filter_map(|rest| rest.split(' ').next()).collect::<Vec<_>>()
    };
    assert_eq!(families("# HELP "), families("# TYPE "));
    assert!(families("# TYPE ").len() > 10);
    spanmill.stop();
}

/// A destination that gives everybody this answer.
async fn answering(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(async move || answer.clone());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// A destination that takes connections, and each of them only for as long as `time`.
async fn connecting(time: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                drop(connection);
            });
        }
    });
    address
}

/// The bad ones, in the order of the configuration.
const HANGS: usize = 0;
const RESETS: usize = 1;
const BUSY: usize = 2;
const OFTEN_BUSY: usize = 3;
const REFUSES: usize = 4;
const PARTIAL: usize = 5;

/// What became of the data points of a destination.
struct Outcomes {
    sent: u64,
    failed: u64,
    dropped: u64,
    retries: u64,
}

async fn outcomes(spanmill: &Spanmill, destination: usize) -> Outcomes {
    let name = format!("otlp/backend{destination}");
    let page = spanmill.metrics().await;
    let sample = |metric: &str, outcome: &str| {
        let labels = [("destination", name.as_str()), ("signal", "metrics"), ("outcome", outcome)];
        let labels = if outcome.is_empty() { &labels[..2] } else { &labels[..] };
        sample(&page, metric, labels)
    };
    let items = |outcome| sample("spanmill_exporter_items_total", outcome);
    let retries = sample("spanmill_exporter_retries_total", "");
    Outcomes { sent: items("sent"), failed: items("failed"), dropped: items("dropped"), retries }
}

// Destinations that hang, reset connections, are busy or refuse hinder nobody: a good one gets everything once, each of them has
// its own true numbers, a refusal is logged once with its reason however often it comes, and the end comes in time.
#[tokio::test(flavor = "multi_thread")]
async fn bad_destinations_hinder_nobody() {
    // Field 1, partial success: field 1, one rejected item.
    let one_rejected: &[u8] = &[10, 2, 8, 1];
    let busy = (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "3600")]);
    let addresses = [
        connecting(Duration::from_secs(3600)).await,
        connecting(Duration::ZERO).await,
        answering(busy).await,
        answering(StatusCode::TOO_MANY_REQUESTS).await,
        answering((StatusCode::BAD_REQUEST, "no such tenant")).await,
        answering(one_rejected).await,
    ];
    let impatient = "timeout: 300ms, retry_on_failure: { initial_interval: 50ms, max_interval: 100ms }";
    let bad = addresses.map(|address| Destination {
        address,
        protocol: "http/protobuf",
        temporality: "delta",
        compression: "none",
        signals: "metrics, logs",
        more: impatient,
    });
    let good = [("grpc", Backend::grpc().await), ("http/protobuf", Backend::http().await)];
    let mut destinations = bad.to_vec();
    destinations.push(Destination { protocol: "grpc", ..bad[HANGS].clone() });
    destinations.extend(good.iter().map(|(protocol, backend)| Destination {
        address: backend.address,
        protocol,
        more: "",
        ..bad[HANGS].clone()
    }));
    let setup = Setup { destinations, interval: "1s", settle_wait: "100ms", ..Setup::default() };
    let spanmill = Spanmill::start(&setup);
    let client = Client::grpc(spanmill.addresses);
    for id in 1..=30 {
        client.send(&payload(vec![call(id, "gpt-4o")])).await.unwrap();
        if id % 10 == 0 {
            eventually("everything at the good ones", async || {
                good.iter().all(|(_, backend)| backend.received().totals().requests >= id).then_some(())
            })
            .await;
        }
    }
    for (destination, is_as_expected) in [
        (HANGS, (|of| of.retries >= 2 && of.sent + of.failed == 0) as fn(&Outcomes) -> bool),
        (RESETS, |of| of.retries >= 2 && of.sent + of.failed == 0),
        (BUSY, |of| of.retries == 1 && of.sent + of.failed == 0),
        (OFTEN_BUSY, |of| of.retries >= 2 && of.sent + of.failed == 0),
        (REFUSES, |of| of.failed >= 2 && of.sent + of.retries == 0),
        (PARTIAL, |of| of.failed >= 2 && of.sent > of.failed && of.retries == 0),
    ] {
        eventually(&format!("the numbers of destination {destination}"), async || {
            let of = outcomes(&spanmill, destination).await;
            (is_as_expected(&of) && of.dropped == 0).then_some(())
        })
        .await;
    }
    let stopped = spanmill.stop();
    for (_, backend) in &good {
        assert_eq!(backend.received().totals().requests, 30);
    }
    for (destination, reason) in [(REFUSES, "no such tenant"), (PARTIAL, "partial success")] {
        let name = format!("otlp/backend{destination}");
        let lines = stopped.log.lines().filter(|line| line.contains(&name) && line.contains("export refused"));
        let lines: Vec<&str> = lines.collect();
        assert!(lines.len() == 1 && lines[0].contains(reason), "{}", stopped.log);
    }
}

/// A destination of logs that is busy until it is told to be well, and how many records it has taken then.
async fn busy() -> (SocketAddr, Arc<AtomicBool>, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, is_busy, taken) = (listener.local_addr().unwrap(), Arc::new(true.into()), Arc::default());
    let (asked, counted): (Arc<AtomicBool>, Arc<AtomicU64>) = (Arc::clone(&is_busy), Arc::clone(&taken));
    let answer = async move |body: Bytes| {
        if asked.load(Relaxed) {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        let request = ExportLogsServiceRequest::decode(body).unwrap();
        let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        counted.fetch_add(scopes.map(|scope| scope.log_records.len() as u64).sum(), Relaxed);
        StatusCode::OK
    };
    let router = Router::new().fallback(answer).layer(DefaultBodyLimit::disable());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, is_busy, taken)
}

// While a destination is busy, error records pile up for it until 64 MiB wait, without a log on disk. Then clients are asked to come again, and
// readiness says why, or the oldest records are dropped; what was acknowledged is counted all the while, and every record is sent or
// counted as dropped.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "64 MiB of error records take a while"]
async fn errors_pile_up_for_a_busy_destination() {
    const BATCH: u64 = 500;
    // Half more than 64 MiB.
    const MOST: u64 = 160;
    let failed = |id| {
        let message = format!("no {id} {}", "x".repeat(1_000));
        Span { status: Some(Status { code: status::StatusCode::Error as i32, message }), ..call(id, "gpt-4o") }
    };
    for (blocks, more) in [
        (true, "when_full: block, retry_on_failure: { initial_interval: 50ms, max_interval: 50ms }"),
        (false, "when_full: drop_oldest, retry_on_failure: { initial_interval: 50ms, max_interval: 50ms }"),
    ] {
        let (address, is_busy, taken) = busy().await;
        let destination = Destination {
            address,
            protocol: "http/protobuf",
            temporality: "cumulative",
            compression: "none",
            signals: "logs",
            more,
        };
        let spanmill = Spanmill::start(&Setup { interval: "1s", settle_wait: "10ms", ..Setup::with(destination) });
        let client = Client::grpc(spanmill.addresses);
        let mut acknowledged = 0;
        for batch in 0..MOST {
            let ids = batch * BATCH + 1..(batch + 1) * BATCH + 1;
            let answer = client.send(&payload(ids.map(failed).collect())).await;
            if let Err(refusal) = &answer {
                assert!(blocks, "{refusal:?}");
                let said = get(spanmill.addresses.admin, "/readyz").await;
                assert!(said.status == 503 && said.text().contains("otlp/backend0"), "{}", said.text());
                break;
            }
            acknowledged += BATCH;
        }
        assert_eq!(acknowledged < MOST * BATCH, blocks, "{acknowledged} acknowledged");
        assert_eq!(spanmill.counted(acknowledged).await.errors, acknowledged);
        is_busy.store(false, Relaxed);
        eventually("every record is sent or dropped", async || {
            let page = spanmill.metrics().await;
            let items = |outcome| {
                let labels = [("destination", "otlp/backend0"), ("signal", "logs"), ("outcome", outcome)];
                sample(&page, "spanmill_exporter_items_total", &labels)
            };
            let (sent, dropped) = (items("sent"), items("dropped"));
            (sent + dropped == acknowledged).then(|| {
                println!("{acknowledged} errors, {dropped} records dropped");
                assert_eq!((sent, dropped == 0), (taken.load(Relaxed), blocks));
            })
        })
        .await;
        client.send(&payload(vec![failed(u64::MAX)])).await.unwrap();
        spanmill.stop();
    }
}
