//! A destination: a real OTLP server that keeps what it receives.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::{TcpListener, ToSocketAddrs};
use tonic::Status;
use tonic::codec::CompressionEncoding::{Gzip, Zstd};
use tonic::server::Grpc;

use crate::{Encoded, Signal, Totals, otlp};

/// What a destination has received, in order.
#[derive(Debug, Default)]
pub struct Received {
    /// Metrics requests.
    pub metrics: Vec<ExportMetricsServiceRequest>,
    /// Logs requests.
    pub logs: Vec<ExportLogsServiceRequest>,
    /// Traces requests as they came, without compression.
    pub traces: Vec<Bytes>,
}

impl Received {
    /// What its metrics come to: deltas added up, of cumulative points the last.
    pub fn totals(&self) -> Totals {
        otlp(&self.metrics)
    }

    /// Its log records that are error records.
    pub fn error_records(&self) -> impl Iterator<Item = &LogRecord> {
        let is_grouped = |record: &&LogRecord| record.attributes.iter().any(|pair| pair.key == "spanmill.error.group");
        self.log_records().filter(is_grouped)
    }

    /// Its log records.
    pub fn log_records(&self) -> impl Iterator<Item = &LogRecord> {
        let resources = self.logs.iter().flat_map(|request| &request.resource_logs);
        resources.flat_map(|resource| &resource.scope_logs).flat_map(|scope| &scope.log_records)
    }

    /// Its spans.
    pub fn spans(&self) -> Vec<Span> {
        let requests =
            self.traces.iter().map(|body| ExportTraceServiceRequest::decode(body.clone()).expect("protobuf"));
        let resources = requests.flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

/// A running destination. It ends with the test's runtime.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Where it listens.
    pub address: SocketAddr,
    inbox: Inbox,
}

type Inbox = Arc<Mutex<Received>>;

impl Backend {
    /// An OTLP/gRPC server.
    pub async fn grpc() -> Self {
        Self::grpc_at("127.0.0.1:0").await
    }

    /// The same at a certain address.
    pub async fn grpc_at(address: impl ToSocketAddrs) -> Self {
        let (listener, address) = listener(address).await;
        let inbox = Inbox::default();
        let router = Router::new().fallback(export).with_state(Arc::clone(&inbox));
        let server = tonic::transport::Server::builder().add_routes(router.into());
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        tokio::spawn(async move { server.serve_with_incoming(incoming).await.expect("a gRPC server") });
        Self { address, inbox }
    }

    /// An OTLP/HTTP server for protobuf.
    pub async fn http() -> Self {
        let (listener, address) = listener("127.0.0.1:0").await;
        let inbox = Inbox::default();
        let router = Router::new()
            .route("/v1/metrics", post(metrics))
            .route("/v1/logs", post(logs))
            .route("/v1/traces", post(traces))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&inbox));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("an HTTP server") });
        Self { address, inbox }
    }

    /// As [`Backend::http`], but every second request for metrics is answered with 503, half of those after they were kept: who sent
    /// them cannot know.
    pub async fn failing() -> Self {
        let (listener, address) = listener("127.0.0.1:0").await;
        let inbox = Inbox::default();
        let (kept, count) = (Arc::clone(&inbox), Arc::new(AtomicU64::new(0)));
        let fails = move |State(()): State<()>, headers: HeaderMap, body: Bytes| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            let kept = Arc::clone(&kept);
            async move {
                if number % 4 == 1 {
                    return StatusCode::SERVICE_UNAVAILABLE;
                }
                kept.lock().expect("no test panics in here").metrics.push(decode(&headers, &body));
                if number % 4 == 3 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
            }
        };
        let router = Router::new().route("/v1/metrics", post(fails)).layer(DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, router).await.expect("an HTTP server") });
        Self { address, inbox }
    }

    /// What it has received so far.
    pub fn received(&self) -> MutexGuard<'_, Received> {
        self.inbox.lock().expect("no test panics in here")
    }
}

async fn listener(address: impl ToSocketAddrs) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(address).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// Messages are taken as the bytes that they are: a generated service would decode them, and lose what it does not know.
async fn export(State(inbox): State<Inbox>, request: Request) -> Response<tonic::body::Body> {
    let path = request.uri().path().to_owned();
    let keep = tower::service_fn(async |request: tonic::Request<Bytes>| {
        let message = request.into_inner();
        let mut received = inbox.lock().expect("no test panics in here");
        match [Signal::Traces, Signal::Metrics, Signal::Logs].into_iter().find(|signal| signal.grpc_path() == path) {
            Some(Signal::Traces) => received.traces.push(message),
            Some(Signal::Metrics) => {
                received.metrics.push(ExportMetricsServiceRequest::decode(message).expect("protobuf"));
            }
            Some(Signal::Logs) => received.logs.push(ExportLogsServiceRequest::decode(message).expect("protobuf")),
            None => return Err(Status::unimplemented(&path)),
        }
        Ok(tonic::Response::new(Bytes::new()))
    });
    let server = Grpc::new(Encoded).accept_compressed(Gzip).accept_compressed(Zstd).send_compressed(Gzip);
    // A Collector sends all that it has at once.
    server.apply_max_message_size_config(Some(64 << 20), None).unary(keep, request).await
}

async fn traces(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let plain = plain(&headers, &body);
    inbox.lock().expect("no test panics in here").traces.push(plain.into());
    StatusCode::OK
}

async fn metrics(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let request = decode(&headers, &body);
    inbox.lock().expect("no test panics in here").metrics.push(request);
    StatusCode::OK
}

async fn logs(State(inbox): State<Inbox>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let request = decode(&headers, &body);
    inbox.lock().expect("no test panics in here").logs.push(request);
    StatusCode::OK
}

fn decode<Request: Message + Default>(headers: &HeaderMap, body: &[u8]) -> Request {
    Request::decode(plain(headers, body).as_slice()).expect("protobuf")
}

fn plain(headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    assert_eq!(header("content-type"), Some("application/x-protobuf"));
    match header("content-encoding") {
        None => body.to_vec(),
        Some("gzip") => {
            let mut plain = Vec::new();
            std::io::copy(&mut flate2::read::GzDecoder::new(body), &mut plain).expect("gzip");
            plain
        }
        Some("zstd") => zstd::decode_all(body).expect("zstd"),
        Some(other) => panic!("content-encoding {other}"),
    }
}
