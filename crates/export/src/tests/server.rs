//! An OTLP destination that records what it gets and answers as it is told: over gRPC tonic's server, over HTTP
//! axum's.

use std::collections::VecDeque;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::RequestExt as _;
use axum::extract::{Request, State};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use prost::Message;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tonic::codec::CompressionEncoding;
use tonic::server::Grpc;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::Protocol;
use crate::client::EncodedCodec;

/// How to answer a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answer {
    Ok,
    Partial(i64),
    Busy,
    /// Busy for so many seconds.
    BusyFor(u32),
    Refused,
    Silence,
    /// All is well, but only the head of the answer comes (HTTP).
    Stall,
    /// All is well, in more words than anybody reads.
    Novel,
}

/// A request as it came, inflated.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Received {
    pub(super) fn metric_values(&self) -> Vec<i64> {
        if self.path.contains("ogs") {
            return Vec::new();
        }
        let request = ExportMetricsServiceRequest::decode(&self.body[..]).unwrap();
        let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        let points = scopes.flat_map(|scope| &scope.metrics).flat_map(|metric| match &metric.data {
            Some(metric::Data::Sum(sum)) => &sum.data_points[..],
            _ => &[],
        });
        points
            .map(|point| match point.value {
                Some(number_data_point::Value::AsInt(value)) => value,
                _ => panic!("not one of ours"),
            })
            .collect()
    }

    pub(super) fn log_times(&self) -> Vec<u64> {
        if !self.path.contains("ogs") {
            return Vec::new();
        }
        let request = ExportLogsServiceRequest::decode(&self.body[..]).unwrap();
        let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
        scopes.flat_map(|scope| &scope.log_records).map(|record| record.time_unix_nano).collect()
    }
}

#[derive(Default)]
struct Script {
    answers: VecDeque<Answer>,
    received: Vec<Received>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Script>>);

impl Shared {
    fn record(&self, path: &str, headers: HeaderMap, body: Vec<u8>) -> Answer {
        let mut script = self.0.lock().unwrap();
        script.received.push(Received { path: path.to_owned(), headers, body });
        script.answers.pop_front().unwrap_or(Answer::Ok)
    }
}

/// It has a runtime of its own, so that its end also breaks its connections, as the end of a process does.
pub(super) struct Server {
    pub(super) endpoint: String,
    shared: Shared,
    runtime: Option<Runtime>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An address nobody listens on.
pub(super) fn unused_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Server {
    pub(super) async fn start(protocol: Protocol) -> Server {
        Server::start_at(protocol, "127.0.0.1:0".parse().unwrap()).await
    }

    pub(super) async fn start_at(protocol: Protocol, address: SocketAddr) -> Server {
        Server::start_limited(protocol, address, usize::MAX).await
    }

    /// One that takes requests of so many bytes, compressed or not.
    pub(super) async fn start_limited(protocol: Protocol, address: SocketAddr, max_bytes: usize) -> Server {
        let shared = Shared::default();
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let served = shared.clone();
        let (bound, address_bound) = tokio::sync::oneshot::channel();
        runtime.spawn(async move {
            let listener = bind(address).await;
            bound.send(listener.local_addr().unwrap()).unwrap();
            match protocol {
                Protocol::Grpc => serve_grpc(listener, served, max_bytes).await,
                Protocol::HttpProtobuf => serve_http(listener, served, max_bytes).await,
            }
        });
        let endpoint = format!("http://{}", address_bound.await.unwrap());
        Server { endpoint, shared, runtime: Some(runtime) }
    }

    /// Answers of the next requests; after them all is well.
    pub(super) fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.0.lock().unwrap().answers.extend(answers);
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.shared.0.lock().unwrap().received.clone()
    }
}

/// Waits for a former server at this address to be gone.
async fn bind(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
    }
}

async fn serve_grpc(listener: TcpListener, shared: Shared, max_bytes: usize) {
    let router = axum::Router::new().fallback(grpc_export).with_state((shared, max_bytes));
    let server = tonic::transport::Server::builder().add_routes(Routes::from(router));
    server.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap();
}

/// Messages are taken as the bytes that they are: a generated service would decode them, and lose what it does not know.
async fn grpc_export(
    State((shared, max_bytes)): State<(Shared, usize)>,
    request: Request,
) -> http::Response<tonic::body::Body> {
    let service = match request.uri().path() {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => "Traces",
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => "Metrics",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => "Logs",
        other => panic!("unexpected method {other}"),
    };
    let export = tower::service_fn(async |request: tonic::Request<Bytes>| {
        let (metadata, _, message) = request.into_parts();
        let answer = shared.record(service, metadata.into_headers(), message.into());
        grpc_answer(answer).await.map(|rejected| Response::new(response(service == "Metrics", rejected).into()))
    });
    let grpc = Grpc::new(EncodedCodec).max_decoding_message_size(max_bytes);
    grpc.accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .send_compressed(CompressionEncoding::Gzip)
        .unary(export, request)
        .await
}

async fn grpc_answer(answer: Answer) -> Result<i64, Status> {
    match answer {
        Answer::Ok => Ok(0),
        Answer::Partial(rejected) => Ok(rejected),
        Answer::Busy => Err(Status::unavailable("busy")),
        Answer::BusyFor(seconds) => {
            let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(seconds.into())));
            Err(Status::with_error_details(Code::ResourceExhausted, "busy", details))
        }
        Answer::Refused => Err(Status::invalid_argument("no")),
        Answer::Silence | Answer::Stall => std::future::pending().await,
        Answer::Novel => Ok(NOVEL),
    }
}

/// So many rejected items stand for the answer of that name.
const NOVEL: i64 = i64::MAX;

fn explanation(rejected: i64) -> String {
    if rejected == NOVEL { "x".repeat(5 << 20) } else { "some were bad".to_owned() }
}

fn response(is_metrics: bool, rejected: i64) -> Vec<u8> {
    match is_metrics {
        true => metrics_response(rejected).encode_to_vec(),
        false => logs_response(rejected).encode_to_vec(),
    }
}

fn metrics_response(rejected_data_points: i64) -> ExportMetricsServiceResponse {
    let error_message = explanation(rejected_data_points);
    let partial_success = ExportMetricsPartialSuccess { rejected_data_points, error_message };
    ExportMetricsServiceResponse { partial_success: (rejected_data_points > 0).then_some(partial_success) }
}

fn logs_response(rejected_log_records: i64) -> ExportLogsServiceResponse {
    let error_message = explanation(rejected_log_records);
    let partial_success = ExportLogsPartialSuccess { rejected_log_records, error_message };
    ExportLogsServiceResponse { partial_success: (rejected_log_records > 0).then_some(partial_success) }
}

/// The body of an answer that never comes.
struct Never;

impl http_body::Body for Never {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

async fn serve_http(listener: TcpListener, shared: Shared, max_bytes: usize) {
    let limit = axum::extract::DefaultBodyLimit::max(max_bytes);
    let router = axum::Router::new().fallback(http_export).layer(limit).with_state(shared);
    axum::serve(listener, router).await.unwrap();
}

async fn http_export(State(shared): State<Shared>, request: Request) -> axum::response::Response {
    let (head, body) = request.with_limited_body().into_parts();
    assert_eq!(head.method, "POST");
    assert_eq!(head.headers[CONTENT_TYPE], "application/x-protobuf");
    let Ok(body) = body.collect().await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let body = body.to_bytes();
    let body = match head.headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap()) {
        Some("gzip") => {
            let mut inflated = Vec::new();
            flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut inflated).unwrap();
            inflated
        }
        Some("zstd") => zstd::stream::decode_all(&body[..]).unwrap(),
        Some(other) => panic!("unexpected encoding {other}"),
        None => body.to_vec(),
    };
    let is_metrics = head.uri.path().ends_with("/v1/metrics");
    let encode = |rejected| response(is_metrics, rejected);
    match shared.record(head.uri.path(), head.headers, body) {
        Answer::Ok => encode(0).into_response(),
        Answer::Partial(rejected) => encode(rejected).into_response(),
        Answer::Busy => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Answer::BusyFor(seconds) => {
            (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, seconds.to_string())]).into_response()
        }
        Answer::Refused => StatusCode::BAD_REQUEST.into_response(),
        Answer::Silence => std::future::pending().await,
        Answer::Stall => axum::body::Body::new(Never).into_response(),
        Answer::Novel => encode(NOVEL).into_response(),
    }
}
