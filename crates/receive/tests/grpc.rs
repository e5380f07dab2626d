//! The gRPC server over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
mod common;

use bytes::Bytes;
use common::{
    BAD_REQUEST, GRACE, Kind, MAX_REQUEST, ONE_SECOND, RETRY_INFO, RpcStatus, Running, gzip, limits, start, until, zstd,
};
use futures_util::StreamExt;
use http::HeaderMap;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::metrics::v1::ResourceMetrics;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use spanmill_receive::{Limits, Refusal, ServeError, Signal};
use std::convert::Infallible;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

async fn grpc() -> Running {
    start(Kind::Grpc, limits(), GRACE).await
}

async fn channel(server: &Running) -> Channel {
    Channel::from_shared(format!("http://{}", server.address)).unwrap().connect().await.unwrap()
}

fn traces(spans: usize, name: &str) -> ExportTraceServiceRequest {
    let span = Span { name: name.to_owned(), ..Span::default() };
    let scope = Some(InstrumentationScope::default());
    let scope_spans = ScopeSpans { scope, spans: vec![span; spans], ..ScopeSpans::default() };
    let resource_spans = ResourceSpans { scope_spans: vec![scope_spans], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
}

fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag][..], &length, message].concat()
}

/// What came back, whether in headers or in trailers.
struct Raw {
    http_status: u16,
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

impl Raw {
    fn status(&self) -> Status {
        let headers = self.trailers.as_ref().unwrap_or(&self.headers);
        Status::from_header_map(headers).unwrap()
    }
}

fn data(body: impl Into<Bytes>) -> UnsyncBoxBody<Bytes, Infallible> {
    Full::new(body.into()).boxed_unsync()
}

/// Sends a call without any gRPC library.
async fn raw_call(
    server: &Running,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: UnsyncBoxBody<Bytes, Infallible>,
) -> Raw {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = http::Request::builder().method(method).uri(format!("http://{}{path}", server.address));
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/grpc");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(body).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned();
    Raw { http_status: parts.status.as_u16(), headers: parts.headers, body: collected.to_bytes(), trailers }
}

async fn raw(server: &Running, headers: &[(&str, &str)], body: Vec<u8>) -> Raw {
    raw_call(server, "POST", TRACES, headers, data(body)).await
}

// The generated clients are served for all three signals and all compressions, and the protobuf body is handed on unchanged.
#[tokio::test]
async fn generated_clients() {
    let server = grpc().await;
    let channel = channel(&server).await;
    let request = traces(3_000, "a span with a name");
    for compression in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let mut client = TraceServiceClient::new(channel.clone());
        if let Some(encoding) = compression {
            client = client.send_compressed(encoding);
        }
        let response = client.export(request.clone()).await.unwrap().into_inner();
        assert!(response.partial_success.is_none());
    }
    let metrics = ExportMetricsServiceRequest { resource_metrics: vec![ResourceMetrics::default()] };
    MetricsServiceClient::new(channel.clone()).export(metrics.clone()).await.unwrap();
    let logs = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs::default()] };
    LogsServiceClient::new(channel).export(logs.clone()).await.unwrap();

    let signals: Vec<_> = server.recorder.requests.lock().unwrap().iter().map(|request| request.signal).collect();
    assert_eq!(signals, [Signal::Traces, Signal::Traces, Signal::Traces, Signal::Metrics, Signal::Logs]);
    let spans = request.encode_to_vec();
    let expected = [spans.clone(), spans.clone(), spans, metrics.encode_to_vec(), logs.encode_to_vec()];
    assert!(server.recorder.bodies() == expected);
    assert_eq!(server.counted("accepted"), 5);
}

// A success is exactly the empty message and status 0 in the trailers; an empty request is one.
#[tokio::test]
async fn success_bytes() {
    let server = grpc().await;
    for body in [frame(0, b""), frame(0, b"\x0a\x00"), frame(1, b"")] {
        let response = raw(&server, &[("grpc-encoding", "gzip")], body).await;
        assert_eq!(response.http_status, 200);
        assert_eq!(response.headers["content-type"], "application/grpc");
        assert_eq!(&response.body[..], [0, 0, 0, 0, 0]);
        assert_eq!(response.trailers.unwrap()["grpc-status"], "0");
    }
}

// Compressed messages may have several gzip members; an uncompressed message may stand under any grpc-encoding.
#[tokio::test]
async fn compressed_messages() {
    let server = grpc().await;
    let message = traces(2, "x").encode_to_vec();
    let (left, right) = message.split_at(7);
    let members = [gzip(left), gzip(right)].concat();
    for (encoding, body) in [
        ("gzip", frame(1, &members)),
        ("zstd", frame(1, &zstd(&message))),
        ("gzip", frame(0, &message)),
        ("identity", frame(0, &message)),
    ] {
        let response = raw(&server, &[("grpc-encoding", encoding)], body).await;
        assert_eq!(response.status().code(), Code::Ok, "{encoding}");
    }
    assert!(server.recorder.bodies().iter().all(|body| *body == message));
}

// An unknown compression is UNIMPLEMENTED, and the answer says what is known.
#[tokio::test]
async fn unknown_encoding() {
    let server = grpc().await;
    let response = raw(&server, &[("grpc-encoding", "snappy")], frame(1, b"x")).await;
    assert_eq!(response.status().code(), Code::Unimplemented);
    assert_eq!(response.headers["grpc-accept-encoding"], "identity,gzip,zstd");
    let unnamed = raw(&server, &[], frame(1, b"x")).await;
    assert_eq!(unnamed.status().code(), Code::Internal);
}

// Too large - declared, sent, or inflated from a bomb - is RESOURCE_EXHAUSTED without RetryInfo, and the budget is whole again.
#[tokio::test]
async fn oversize() {
    let server = grpc().await;
    let too_much = vec![0; MAX_REQUEST + 1];
    let bomb = vec![0; 32 << 20];
    let mut lying_header = frame(0, b"tiny");
    lying_header[1..5].copy_from_slice(&u32::MAX.to_be_bytes());
    for (encoding, body) in [
        ("identity", frame(0, &too_much)),
        ("identity", lying_header),
        ("gzip", frame(1, &gzip(&too_much))),
        ("gzip", frame(1, &gzip(&bomb))),
        ("zstd", frame(1, &zstd(&bomb))),
    ] {
        let response = raw(&server, &[("grpc-encoding", encoding)], body).await;
        let status = response.status();
        assert_eq!(status.code(), Code::ResourceExhausted, "{encoding}");
        assert!(status.details().is_empty());
        until("budget returned", || server.budget.used() == 0).await;
    }
    assert!(server.recorder.bodies().is_empty());
    assert_eq!(server.counted("too_large"), 5);
    // the answer also reaches a client that is still sending: the body is larger than the stream's window
    let mut client = TraceServiceClient::new(channel(&server).await);
    let status = client.export(traces(1, &"x".repeat(12 << 20))).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let exact = raw(&server, &[], frame(0, &vec![0; MAX_REQUEST])).await;
    assert_eq!(exact.status().code(), Code::Ok);
}

// Wrong framing is INTERNAL, bad compressed data INVALID_ARGUMENT; both are final for the client.
#[tokio::test]
async fn broken_frames() {
    let server = grpc().await;
    let cut_off = frame(0, b"abcdef")[..8].to_vec();
    let two_messages = [frame(0, b"a"), frame(0, b"b")].concat();
    for body in [cut_off, two_messages, vec![0, 0], vec![9, 0, 0, 0, 0]] {
        assert_eq!(raw(&server, &[], body).await.status().code(), Code::Internal);
    }
    let nothing = raw_call(&server, "POST", TRACES, &[], Empty::new().boxed_unsync()).await;
    assert_eq!(nothing.status().code(), Code::Internal);
    let corrupt = raw(&server, &[("grpc-encoding", "gzip")], frame(1, b"not gzip")).await;
    assert_eq!(corrupt.status().code(), Code::InvalidArgument);
    assert_eq!(server.counted("malformed"), 6);
}

// Unknown methods are UNIMPLEMENTED; what is not gRPC is told so by the HTTP status.
#[tokio::test]
async fn wrong_address() {
    let server = grpc().await;
    for path in ["/opentelemetry.proto.collector.trace.v1.TraceService/Import", "/nowhere", "/"] {
        let response = raw_call(&server, "POST", path, &[], data(frame(0, b""))).await;
        assert_eq!(response.status().code(), Code::Unimplemented, "{path}");
    }
    let protobuf = raw(&server, &[("content-type", "application/x-protobuf")], vec![]).await;
    assert_eq!(protobuf.http_status, 415);
    let get = raw_call(&server, "GET", TRACES, &[], Empty::new().boxed_unsync()).await;
    assert_eq!(get.http_status, 405);
}

// What Ingest says reaches the client: bad data as INVALID_ARGUMENT with BadRequest, pressure as UNAVAILABLE with RetryInfo.
#[tokio::test]
async fn refusals_of_ingest() {
    let server = grpc().await;
    let mut client = TraceServiceClient::new(channel(&server).await);

    server.recorder.answer(Refusal::Malformed("resource_spans[0]: bad wire type at byte 3".to_owned()));
    let malformed = client.export(traces(1, "x")).await.unwrap_err();
    assert_eq!(malformed.code(), Code::InvalidArgument);
    assert_eq!(malformed.message(), "resource_spans[0]: bad wire type at byte 3");
    assert_eq!(RpcStatus::decode(malformed.details()).unwrap().details[0].type_url, BAD_REQUEST);

    server.recorder.answer(Refusal::Busy { retry_after: Duration::from_secs(1) });
    let busy = client.export(traces(1, "x")).await.unwrap_err();
    assert_eq!(busy.code(), Code::Unavailable);
    let detail = &RpcStatus::decode(busy.details()).unwrap().details[0];
    assert_eq!((detail.type_url.as_str(), &detail.value[..]), (RETRY_INFO, ONE_SECOND));

    server.recorder.answer(Refusal::Unavailable("write-ahead log failed".to_owned()));
    let unavailable = client.export(traces(1, "x")).await.unwrap_err();
    assert_eq!((unavailable.code(), unavailable.message()), (Code::Unavailable, "write-ahead log failed"));
    client.export(traces(1, "x")).await.unwrap();
}

// Accepted bodies hold the budget; when it is spent, requests are pushed back; when the bodies are dropped, they are taken.
#[tokio::test]
async fn spent_budget_pushes_back() {
    let server = grpc().await;
    let mut client = TraceServiceClient::new(channel(&server).await);
    let request = traces(1, &"x".repeat(900 << 10));
    let mut accepted = 0;
    let busy = loop {
        assert!(accepted < 100, "the budget is never spent");
        match client.export(request.clone()).await {
            Ok(_) => accepted += 1,
            Err(status) => break status,
        }
    };
    assert_eq!(accepted, common::BUDGET / request.encoded_len());
    assert_eq!(busy.code(), Code::Unavailable);
    assert_eq!(RpcStatus::decode(busy.details()).unwrap().details[0].value, ONE_SECOND);
    server.recorder.requests.lock().unwrap().clear();
    assert_eq!(server.budget.used(), 0);
    client.export(request).await.unwrap();
}

/// A body that never ends.
fn endless(beginning: &[u8]) -> UnsyncBoxBody<Bytes, Infallible> {
    let beginning = Ok(http_body::Frame::data(Bytes::copy_from_slice(beginning)));
    let frames = futures_util::stream::once(async { beginning }).chain(futures_util::stream::pending());
    StreamBody::new(frames).boxed_unsync()
}

// A body that does not arrive in time is refused as retryable and gives its bytes back.
#[tokio::test]
async fn slow_body() {
    let patience = Duration::from_millis(50);
    let server = start(Kind::Grpc, Limits { body_read_timeout: patience, ..limits() }, GRACE).await;
    let response = raw_call(&server, "POST", TRACES, &[], endless(&frame(0, b"abc")[..6])).await;
    assert_eq!(response.status().code(), Code::Unavailable);
    assert_eq!(server.budget.used(), 0);
    assert_eq!(server.counted("too_slow"), 1);
}

// Health is told for the server and each service, follows its handle, and is ended by the shutdown.
#[tokio::test]
async fn health() {
    let server = grpc().await;
    let mut client = HealthClient::new(channel(&server).await);
    let whole = HealthCheckRequest { service: String::new() };
    let named = HealthCheckRequest { service: Signal::Traces.grpc_service().to_owned() };
    let serving = 1;
    let not_serving = 2;
    for request in [whole.clone(), named] {
        assert_eq!(client.check(request).await.unwrap().into_inner().status, serving);
    }
    let mut watch = client.watch(whole.clone()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status, serving);
    server.health.as_ref().unwrap().set_serving(false).await;
    assert_eq!(watch.message().await.unwrap().unwrap().status, not_serving);
    assert_eq!(client.check(whole).await.unwrap().into_inner().status, not_serving);
    server.stop().await.unwrap().unwrap();
}

// Anybody may ask for health: a question that is long or does not come is refused, and so is one watch more than there may be.
#[tokio::test]
async fn health_is_bounded() {
    const CHECK: &str = "/grpc.health.v1.Health/Check";
    let patience = Duration::from_millis(50);
    let server = start(Kind::Grpc, Limits { body_read_timeout: patience, ..limits() }, GRACE).await;
    let slow = raw_call(&server, "POST", CHECK, &[], endless(&frame(0, b"abc")[..6])).await;
    assert_eq!(slow.status().code(), Code::DeadlineExceeded);
    let long = HealthCheckRequest { service: "x".repeat(5_000) }.encode_to_vec();
    let long = raw_call(&server, "POST", CHECK, &[], data(frame(0, &long))).await;
    assert_eq!(long.status().code(), Code::OutOfRange);

    // A connection has room for so many requests, and no more.
    let mut watching = HealthClient::new(channel(&server).await);
    let mut client = HealthClient::new(channel(&server).await);
    let whole = HealthCheckRequest::default();
    let mut watches = Vec::new();
    for _ in 0..128 {
        watches.push(watching.watch(whole.clone()).await.unwrap());
    }
    assert_eq!(client.watch(whole.clone()).await.unwrap_err().code(), Code::ResourceExhausted);
    client.check(whole.clone()).await.unwrap();
    watches.pop();
    let deadline = Instant::now() + Duration::from_secs(10);
    while client.watch(whole.clone()).await.is_err() {
        assert!(Instant::now() < deadline, "a watch that ended makes no room");
    }
}

// Shutdown: no new connections, the request in flight is finished, then the server ends.
#[tokio::test]
async fn graceful_shutdown() {
    let server = grpc().await;
    let recorder = std::sync::Arc::clone(&server.recorder);
    let address = server.address;
    let mut client = TraceServiceClient::new(channel(&server).await);
    recorder.gate.forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let in_flight = tokio::spawn(async move { client.export(traces(1, "x")).await });
    until("request in flight", || recorder.requests.lock().unwrap().len() == 1).await;
    let ended = server.stop();
    until("listener closed", || std::net::TcpStream::connect(address).is_err()).await;
    assert!(!ended.is_finished());
    recorder.gate.add_permits(1);
    in_flight.await.unwrap().unwrap();
    ended.await.unwrap().unwrap();
}

// A request that does not end holds the shutdown up to its deadline, no longer.
#[tokio::test]
async fn shutdown_deadline() {
    let server = start(Kind::Grpc, limits(), Duration::from_millis(20)).await;
    let recorder = std::sync::Arc::clone(&server.recorder);
    recorder.gate.forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let mut client = TraceServiceClient::new(channel(&server).await);
    let _stuck = tokio::spawn(async move { client.export(traces(1, "x")).await });
    until("request in flight", || recorder.requests.lock().unwrap().len() == 1).await;
    assert!(matches!(server.stop().await.unwrap(), Err(ServeError::Deadline(_))));
}

/// A connection without any gRPC library, and how it ends. It answers pings.
async fn connect(
    server: &Running,
) -> (hyper::client::conn::http2::SendRequest<UnsyncBoxBody<Bytes, Infallible>>, tokio::task::JoinHandle<()>) {
    let stream = TokioIo::new(TcpStream::connect(server.address).await.unwrap());
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    (sender, tokio::spawn(async move { drop(connection.await) }))
}

// Whoever greets, answers pings and never asks anything is told to go in time, and so is who asks no more; meanwhile requests come through,
// however long they take.
#[tokio::test]
async fn idle_connections_end() {
    let patience = Duration::from_millis(200);
    let few = Limits { max_connections: 1, header_read_timeout: patience, idle_timeout: 2 * patience, ..limits() };
    let server = start(Kind::Grpc, few, GRACE).await;
    let (_sender, ended) = connect(&server).await;
    tokio::time::timeout(GRACE, ended).await.expect("a connection without requests was kept").unwrap();

    let (mut sender, ended) = connect(&server).await;
    server.recorder.gate.forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let request = http::Request::post(format!("http://{}{TRACES}", server.address));
    let message = data(frame(0, &traces(1, "x").encode_to_vec()));
    let request = request.header("content-type", "application/grpc").body(message).unwrap();
    let asked = tokio::spawn(async move {
        let status = sender.send_request(request).await.unwrap().status();
        (sender, status)
    });
    tokio::time::sleep(5 * patience).await;
    assert!(!ended.is_finished() && !asked.is_finished());
    server.recorder.gate.add_permits(1);
    let (_sender, status) = asked.await.unwrap();
    assert_eq!(status, 200);
    tokio::time::timeout(GRACE, ended).await.expect("an idle connection was kept").unwrap();
}

// A client that connects and stays silent is disconnected, and meanwhile takes one of the slots.
#[tokio::test]
async fn silent_connection() {
    let few = Limits { max_connections: 1, header_read_timeout: Duration::from_millis(100), ..limits() };
    let server = start(Kind::Grpc, few, GRACE).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    silent.write_all(b"PRI").await.unwrap();
    let mut nothing = Vec::new();
    // the server speaks first in HTTP/2; what matters is that it ends
    let ended = tokio::time::timeout(GRACE, silent.read_to_end(&mut nothing)).await;
    assert!(ended.is_ok(), "connection was kept");
    let mut client = TraceServiceClient::new(channel(&server).await);
    client.export(traces(1, "x")).await.unwrap();
}
