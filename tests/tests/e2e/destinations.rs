//! Destinations as they are met with: encrypted, with certificates that change, and of the kinds that profiles are for.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, metric, number_data_point};
use spanmill_tests::{Authority, Backend, Client, Destination, Payload, Setup, Spanmill, TlsFront, eventually};

use crate::spans::{call, payload, request, text};

// Over both protocols a destination is reached by TLS, with a certificate of our own; a renewed one of ours or of the destination
// holds without a restart, what waited meanwhile arrives, and nothing goes to a destination that is not trusted.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_change_on_both_sides() {
    let (server, other_server, clients, strangers) =
        (Authority::new(), Authority::new(), Authority::new(), Authority::new());
    for (protocol, backend) in [("grpc", Backend::grpc().await), ("http/protobuf", Backend::http().await)] {
        let front = TlsFront::start(backend.address, &server.issue(), &clients).await;
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

        front.replace(&other_server.issue(), &clients);
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
    assert!(page.contains("\ntarget_info{collector_instance_id=\""), "{page}");
}
