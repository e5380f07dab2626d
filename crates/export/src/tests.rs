//! The exporter against real servers: every delivery goes over a socket of this machine.

mod amounts;
mod delivery;
mod destination;
mod forwarding;
mod merging;
mod outage;
mod restart;
mod server;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prost::Message as _;

use crate::exporter::Limits;
use crate::queue::Capacity;
use crate::retry::Backoff;
use crate::*;
use server::{Answer, Received, Server};

const PATIENCE: Duration = Duration::from_secs(20);

fn destination(endpoint: &str, protocol: Protocol) -> Destination {
    Destination {
        name: "otlp/test".to_owned(),
        endpoint: endpoint.to_owned(),
        appends_path: true,
        protocol,
        headers: vec![("x-key".to_owned(), Secret::new("s3cret"))],
        tls: Tls::default(),
        retry: Retry::default(),
        compression: Compression::None,
        timeout: Duration::from_secs(5),
        profile: Profile::Default,
        max_request_size: 4 << 20,
        temporality: Temporality::Delta,
        histograms: Histograms::Explicit,
        metrics: true,
        logs: true,
        traces: true,
        when_full: WhenFull::DropOldest,
        replaced_metrics: Vec::new(),
    }
}

/// As in production, but impatient.
fn impatient() -> Limits {
    Limits { backoff: every(Duration::from_millis(5), Duration::from_millis(50)), ..Limits::default() }
}

fn every(initial_interval: Duration, max_interval: Duration) -> Backoff {
    Backoff::new(Retry { initial_interval, max_interval, max_elapsed_time: None })
}

fn start(destination: Destination, limits: Limits) -> Exporter {
    let meter = SdkMeterProvider::default().meter("test");
    Exporter::spawn_with(destination, &meter, None, limits).unwrap()
}

/// One data point with this value.
fn metrics(value: i64) -> Outgoing {
    Outgoing::Metrics(Arc::new(metrics_request(&[value])))
}

fn metrics_request(values: &[i64]) -> ExportMetricsServiceRequest {
    let point =
        |value: &i64| NumberDataPoint { value: Some(number_data_point::Value::AsInt(*value)), ..Default::default() };
    let sum = Sum {
        data_points: values.iter().map(point).collect(),
        aggregation_temporality: AggregationTemporality::Delta as i32,
        is_monotonic: true,
    };
    let metric = Metric { name: "requests".to_owned(), data: Some(metric::Data::Sum(sum)), ..Default::default() };
    let scope_metrics =
        vec![ScopeMetrics { metrics: vec![metric], schema_url: "scope".to_owned(), ..Default::default() }];
    let resource = Some(Resource { dropped_attributes_count: 9, ..Default::default() });
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { resource, scope_metrics, ..Default::default() }],
    }
}

/// So many records, the first one with this time, each later one with the next.
fn logs_request(first: u64, records: u64) -> ExportLogsServiceRequest {
    let record = |time_unix_nano| LogRecord { time_unix_nano, ..Default::default() };
    let log_records = (first..first + records).map(record).collect();
    let scope_logs = vec![ScopeLogs { log_records, ..Default::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] }
}

fn logs(first: u64, records: u64) -> Outgoing {
    Outgoing::Logs(Arc::new(logs_request(first, records)))
}

/// Polls until it holds.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn counts(exporter: &Exporter, signal: Signal) -> Counts {
    exporter.stats().counts(signal)
}

const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];
