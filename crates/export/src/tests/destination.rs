//! What is refused before anything is sent, what is never shown, and what the meter sees.

use std::collections::BTreeMap;
use std::sync::Mutex;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, Temporality as SdkTemporality};

use super::*;

fn refusal(change: impl FnOnce(&mut Destination)) -> String {
    let mut destination = destination("http://localhost:4317", Protocol::Grpc);
    change(&mut destination);
    client::Client::new(&destination).err().map(|error| error.to_string()).unwrap_or_default()
}

// A destination that cannot work is refused at start with the reason, and without its secrets.
#[tokio::test]
async fn unusable_destinations_are_refused() {
    let endpoint = |endpoint: &str| refusal(|destination| destination.endpoint = endpoint.to_owned());
    assert_eq!(endpoint("http://localhost:4317"), "");
    assert_eq!(endpoint("https://localhost:4317"), "");
    assert_eq!(endpoint("localhost:4317"), "exporter otlp/test: endpoint: must begin with http:// or https://");
    assert_eq!(endpoint("http://me:pw@host"), "exporter otlp/test: endpoint: credentials belong into headers");
    assert_eq!(endpoint("http://host/?key=1"), "exporter otlp/test: endpoint: must not have a query");
    assert_eq!(endpoint("http://host/path"), "exporter otlp/test: endpoint: must not have a path with protocol grpc");
    assert!(endpoint("http://ho st").starts_with("exporter otlp/test: endpoint: not a url"));
    assert!(endpoint("").starts_with("exporter otlp/test: endpoint: not a url"));

    let without_ca = refusal(|destination| {
        destination.endpoint = "https://localhost:4317".to_owned();
        destination.tls.ca_file = Some("/nowhere/ca.pem".into());
    });
    assert!(without_ca.starts_with("exporter otlp/test: tls: /nowhere/ca.pem: "), "{without_ca}");

    let header = |name: &str, value: &str| {
        refusal(|destination| destination.headers = vec![(name.to_owned(), Secret::new(value))])
    };
    assert_eq!(header("Authorization", "Bearer x"), "");
    assert_eq!(header("a b", "x"), "exporter otlp/test: header \"a b\": not a valid name");
    assert_eq!(header("a", "s3cret\n"), "exporter otlp/test: header \"a\": not a valid value");
    assert_eq!(
        header("content-length", "1"),
        "exporter otlp/test: header \"content-length\": is set by the exporter itself"
    );
    assert_eq!(header("a-bin", "1"), "exporter otlp/test: header \"a-bin\": binary metadata is not supported");
}

// Debug output of everything that holds a header shows none of its value.
#[tokio::test]
async fn secrets_are_not_shown() {
    let exporter = start(destination("http://localhost:1", Protocol::Grpc), impatient());
    let shown = format!("{exporter:?} {:?}", exporter.destination());
    assert!(shown.contains("x-key") && !shown.contains("s3cret"), "{shown}");
}

/// Keeps the last value of every counter, by name and attributes.
#[derive(Clone, Default)]
struct Collected(Arc<Mutex<BTreeMap<String, u64>>>);

impl PushMetricExporter for Collected {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let mut collected = self.0.lock().unwrap();
        for metric in metrics.scope_metrics().flat_map(|scope| scope.metrics()) {
            let AggregatedMetrics::U64(MetricData::Sum(sum)) = metric.data() else {
                continue;
            };
            for point in sum.data_points() {
                let mut attributes: Vec<_> =
                    point.attributes().map(|attribute| format!("{}={}", attribute.key, attribute.value)).collect();
                attributes.sort();
                collected.insert(format!("{} {}", metric.name(), attributes.join(" ")), point.value());
            }
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> SdkTemporality {
        SdkTemporality::Cumulative
    }
}

// Two destinations share a meter; its metrics tell them apart and carry the numbers of each.
#[tokio::test]
async fn meter_sees_every_destination() {
    let collected = Collected::default();
    let provider = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(collected.clone()).build()).build();
    let meter = provider.meter("spanmill");
    let server = Server::start(Protocol::Grpc).await;
    for (name, records) in [("otlp/a", 2), ("otlp/b", 3)] {
        let destination = Destination { name: name.to_owned(), ..destination(&server.endpoint, Protocol::Grpc) };
        let exporter = Exporter::spawn(destination, &meter, None).unwrap();
        exporter.offer(0, logs(1, records));
        exporter.shutdown(PATIENCE).await;
    }
    provider.force_flush().unwrap();
    let collected = collected.0.lock().unwrap();
    let sent = |name: &str| collected[&format!("spanmill.exporter.items destination={name} outcome=sent signal=logs")];
    assert_eq!((sent("otlp/a"), sent("otlp/b")), (2, 3));
    let bytes = collected["spanmill.exporter.bytes destination=otlp/b outcome=sent signal=logs"];
    assert_eq!(bytes, logs_request(1, 3).encoded_len() as u64);
    assert_eq!(collected["spanmill.exporter.retries destination=otlp/a signal=logs"], 0);
}
