//! The HTTP server over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
mod common;

use bytes::Bytes;
use common::{
    BAD_REQUEST, GRACE, Kind, MAX_REQUEST, ONE_SECOND, RETRY_INFO, RpcStatus, Running, gzip, limits, start, until, zstd,
};
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use spanmill_receive::{Limits, Refusal, ServeError, Signal};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
/// `ExportTraceServiceRequest { resource_spans: [ResourceSpans {}] }`
const ONE_EMPTY_RESOURCE: &[u8] = b"\x0a\x00";

async fn http() -> Running {
    start(Kind::Http, limits(), GRACE).await
}

struct Response {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Response {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn rpc_status(&self) -> RpcStatus {
        assert_eq!(self.header("content-type"), PROTOBUF.1);
        RpcStatus::decode(self.body.clone()).unwrap()
    }

    fn json(&self) -> serde_json::Value {
        assert_eq!(self.header("content-type"), JSON.1);
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn call(
    server: &Running,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Response {
    call_version(server, false, method, path, headers, body).await
}

async fn call_version(
    server: &Running,
    is_http2: bool,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Response {
    let client = Client::builder(TokioExecutor::new()).http2_only(is_http2).build_http();
    let mut request = http::Request::builder().method(method).uri(format!("http://{}{path}", server.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    Response { status: parts.status.as_u16(), headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
}

async fn post(server: &Running, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response {
    call(server, "POST", "/v1/traces", headers, body).await
}

// Every signal is accepted at its path, over HTTP/1.1 and h2c, and the success response is empty protobuf.
#[tokio::test]
async fn signals_and_versions() {
    let server = http().await;
    for is_http2 in [false, true] {
        for path in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
            let response = call_version(&server, is_http2, "POST", path, &[PROTOBUF], ONE_EMPTY_RESOURCE).await;
            assert_eq!((response.status, response.header("content-type")), (200, PROTOBUF.1));
            assert!(response.body.is_empty());
        }
    }
    let signals: Vec<_> = server.recorder.requests.lock().unwrap().iter().map(|request| request.signal).collect();
    let all = [Signal::Traces, Signal::Metrics, Signal::Logs];
    assert_eq!(signals, [all, all].concat());
    assert!(server.recorder.bodies().iter().all(|body| body == ONE_EMPTY_RESOURCE));
    assert_eq!(server.counted("accepted"), 6);
}

// JSON arrives as the protobuf it means, small or large; the answer is JSON.
#[tokio::test]
async fn json_becomes_protobuf() {
    let server = http().await;
    for name in ["short".to_owned(), "long".repeat(20_000)] {
        let json = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"name":"{name}"}}]}}]}}]}}"#);
        for (encoding, body) in [("identity", json.clone().into_bytes()), ("gzip", gzip(json.as_bytes()))] {
            let headers = [("content-type", "application/json; charset=utf-8"), ("content-encoding", encoding)];
            let response = post(&server, &headers, body).await;
            assert_eq!((response.status, &response.body[..]), (200, &b"{}"[..]));
            assert_eq!(response.header("content-type"), JSON.1);
        }
        for body in server.recorder.bodies() {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            assert_eq!(request.resource_spans[0].scope_spans[0].spans[0].name, name);
        }
        server.recorder.requests.lock().unwrap().clear();
        assert_eq!(server.budget.used(), 0);
    }
}

// Spans and bytes are told by outcome: of what is accepted as its receiver says, of what is refused as its body says, and of what nobody
// can read not at all.
#[tokio::test]
async fn spans_and_bytes_by_outcome() {
    let server = http().await;
    let of = |outcome| ["spans", "bytes"].map(|what| server.sum(&format!("spanmill.receiver.{what}"), outcome));
    let two_spans = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{}]},{"spans":[{"name":"b"}]}]}]}"#;
    let packed = gzip(two_spans);
    let as_json = [JSON, ("content-encoding", "gzip")];

    server.recorder.accept(7);
    assert_eq!(post(&server, &as_json, packed.clone()).await.status, 200);
    assert_eq!(of("accepted"), [Some(7), Some(packed.len() as u64)]);

    server.recorder.answer(Refusal::Busy { retry_after: Duration::from_secs(1) });
    assert_eq!(post(&server, &as_json, packed.clone()).await.status, 503);
    assert_eq!(of("busy"), [Some(2), Some(packed.len() as u64)]);

    server.recorder.answer(Refusal::Malformed("no".to_owned()));
    assert_eq!(post(&server, &[PROTOBUF], &b"\xff\xff"[..]).await.status, 400);
    assert_eq!(post(&server, &[JSON], "{").await.status, 400);
    assert_eq!(of("malformed"), [None, Some(3)], "nobody knows how many spans");

    assert_eq!(post(&server, &[PROTOBUF], vec![0; MAX_REQUEST + 1]).await.status, 413);
    assert_eq!(of("too_large"), [None, None]);

    let logs = call(&server, "POST", "/v1/logs", &[PROTOBUF], ONE_EMPTY_RESOURCE).await;
    assert_eq!((logs.status, of("accepted")), (200, [Some(7), Some(packed.len() as u64 + 2)]), "logs are no spans");
}

// Requests without content succeed, in every form.
#[tokio::test]
async fn empty_requests() {
    let server = http().await;
    for (headers, body) in [
        (&[PROTOBUF][..], ""),
        (&[PROTOBUF, ("content-encoding", "gzip")], ""),
        (&[JSON], "{}"),
        (&[JSON], r#"{"resourceSpans":[]}"#),
    ] {
        assert_eq!(post(&server, headers, body).await.status, 200, "{headers:?} {body}");
    }
}

// All three compressions are taken, gzip with several members too.
#[tokio::test]
async fn compressions() {
    let server = http().await;
    let plain = b"\x0a\x03abc\x0a\x03abc".repeat(1_000);
    let (left, right) = plain.split_at(100);
    let members = [gzip(left), gzip(right)].concat();
    for (encoding, body) in [
        ("none", plain.clone()),
        ("identity", plain.clone()),
        ("gzip", gzip(&plain)),
        ("gzip", members),
        ("zstd", zstd(&plain)),
    ] {
        let response = post(&server, &[PROTOBUF, ("content-encoding", encoding)], body).await;
        assert_eq!(response.status, 200, "{encoding}");
    }
    assert!(server.recorder.bodies().iter().all(|body| *body == plain));
}

// What cannot be read by its headers is refused with a Status in the request's type, and with the header that helps.
#[tokio::test]
async fn wrong_heads() {
    let server = http().await;
    let encoded = post(&server, &[JSON, ("content-encoding", "gzip, gzip")], "{}").await;
    assert_eq!((encoded.status, encoded.header("accept-encoding")), (415, "identity,gzip,zstd"));
    assert_eq!(encoded.json()["code"], 12);
    assert!(encoded.json()["message"].as_str().unwrap().contains("gzip, gzip"));

    for headers in [&[("content-type", "text/plain")][..], &[]] {
        let typed = post(&server, headers, "x").await;
        assert_eq!(typed.status, 415);
        assert!(typed.rpc_status().message.contains("send application/x-protobuf or application/json"));
    }
    let method = call(&server, "GET", "/v1/traces", &[PROTOBUF], "").await;
    assert_eq!((method.status, method.header("allow")), (405, "POST"));
    assert!(!method.rpc_status().message.is_empty());
    let path = call(&server, "POST", "/v1/profiles", &[JSON], "{}").await;
    assert_eq!(path.status, 404);
    assert!(path.json()["message"].as_str().unwrap().contains("/v1/traces"));
}

// Where nobody shows credentials, on this machine only, nothing is taken from whoever calls the server by a name that others can give to it:
// a page of theirs in a browser here.
#[tokio::test]
async fn other_names_are_refused() {
    let server = http().await;
    for (host, status) in [("evil.example:4318", 403), ("localhost:4318", 200), ("127.0.0.1", 200)] {
        assert_eq!(post(&server, &[PROTOBUF, ("host", host)], ONE_EMPTY_RESOURCE).await.status, status, "{host}");
    }
    assert_eq!(server.recorder.bodies().len(), 2);
}

// Bad data is 400 with a BadRequest detail, as protobuf or JSON, whether the receiver or Ingest finds it.
#[tokio::test]
async fn malformed() {
    let server = http().await;
    let corrupt = post(&server, &[PROTOBUF, ("content-encoding", "gzip")], "not gzip").await;
    assert_eq!(corrupt.status, 400);
    assert_eq!(corrupt.rpc_status().code, 3);
    assert_eq!(corrupt.rpc_status().details[0].type_url, BAD_REQUEST);

    let json = post(&server, &[JSON], r#"{"resourceSpans":[{"#).await;
    assert_eq!(json.status, 400);
    assert_eq!(json.json()["code"], 3);
    assert_eq!(json.json()["details"][0]["@type"], BAD_REQUEST);

    server.recorder.answer(Refusal::Malformed("resource_spans[0]: bad wire type at byte 3".to_owned()));
    let ingest = post(&server, &[PROTOBUF], ONE_EMPTY_RESOURCE).await;
    assert_eq!(
        (ingest.status, ingest.rpc_status().message.as_str()),
        (400, "resource_spans[0]: bad wire type at byte 3")
    );
}

// Too large is 413, whether told by the length, found while reading, or inflated; the client can read it though it still
// writes, and the next request on the same connection works.
#[tokio::test]
async fn oversize() {
    let server = http().await;
    let too_much = vec![0; MAX_REQUEST * 4];
    let bomb = vec![0; 32 << 20];
    for (encoding, body) in
        [("identity", too_much.clone()), ("gzip", gzip(&too_much)), ("gzip", gzip(&bomb)), ("zstd", zstd(&bomb))]
    {
        let response = post(&server, &[PROTOBUF, ("content-encoding", encoding)], body).await;
        assert_eq!(response.status, 413, "{encoding}");
        assert_eq!(response.rpc_status().code, 8);
        assert!(response.rpc_status().details.is_empty());
        until("budget returned", || server.budget.used() == 0).await;
    }
    assert!(server.recorder.bodies().is_empty());

    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n";
    let mut wire = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for chunk in too_much.chunks(1 << 16) {
        wire.extend(format!("{:x}\r\n", chunk.len()).bytes());
        wire.extend(chunk);
        wire.extend(b"\r\n");
    }
    wire.extend(b"0\r\n\r\n");
    wire.extend(format!("{head}content-length: 0\r\nconnection: close\r\n\r\n").bytes());
    stream.write_all(&wire).await.unwrap();
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).await.unwrap();
    let answers = String::from_utf8_lossy(&answers);
    assert!(answers.starts_with("HTTP/1.1 413 "), "{answers}");
    assert!(answers.contains("HTTP/1.1 200 "), "{answers}");
}

// Pressure is 503 with Retry-After and RetryInfo, other transient states 503 alone: never a status that loses the batch.
#[tokio::test]
async fn transient() {
    let server = http().await;
    let busy = Refusal::Busy { retry_after: Duration::from_millis(1_000) };
    server.recorder.answer(busy.clone());
    let protobuf = post(&server, &[PROTOBUF], ONE_EMPTY_RESOURCE).await;
    assert_eq!((protobuf.status, protobuf.header("retry-after")), (503, "1"));
    let detail = &protobuf.rpc_status().details[0];
    assert_eq!((detail.type_url.as_str(), &detail.value[..]), (RETRY_INFO, ONE_SECOND));

    server.recorder.answer(busy);
    let json = post(&server, &[JSON], r#"{"resourceSpans":[{}]}"#).await;
    assert_eq!((json.status, json.header("retry-after")), (503, "1"));
    assert_eq!(json.json()["details"][0]["retryDelay"], "1s");

    server.recorder.answer(Refusal::Unavailable("write-ahead log failed".to_owned()));
    let unavailable = post(&server, &[PROTOBUF], ONE_EMPTY_RESOURCE).await;
    assert_eq!((unavailable.status, unavailable.rpc_status().code), (503, 14));
    assert_eq!(server.counted("busy"), 2);
    assert_eq!(server.counted("unavailable"), 1);
}

// Accepted bodies hold the budget, inflated bytes included, until they are dropped.
#[tokio::test]
async fn spent_budget_pushes_back() {
    let server = http().await;
    let body = gzip(&vec![7; MAX_REQUEST]);
    let headers = [PROTOBUF, ("content-encoding", "gzip")];
    let mut accepted = 0;
    let busy = loop {
        let response = post(&server, &headers, body.clone()).await;
        if response.status != 200 {
            break response;
        }
        accepted += 1;
        assert_eq!(server.budget.used(), accepted * MAX_REQUEST);
    };
    // the last one does not fit beside its own compressed bytes
    assert_eq!(accepted, common::BUDGET / MAX_REQUEST - 1);
    assert_eq!((busy.status, busy.header("retry-after")), (503, "1"));
    server.recorder.requests.lock().unwrap().clear();
    assert_eq!(server.budget.used(), 0);
    assert_eq!(post(&server, &headers, body).await.status, 200);
}

// A body that does not arrive in time is 503, not 408: the batch is good and must be sent again.
#[tokio::test]
async fn slow_body() {
    let patience = Duration::from_millis(50);
    let server = start(Kind::Http, Limits { body_read_timeout: patience, ..limits() }, GRACE).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\ncontent-length: 9\r\n\r\nabc";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap_or_default();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(server.budget.used(), 0);
    assert_eq!(server.counted("too_slow"), 1);
}

// A body that trickles is cut all the same: every byte is in time, the whole is not.
#[tokio::test]
async fn trickling_body() {
    let patience = Duration::from_millis(200);
    let server = start(Kind::Http, Limits { body_read_timeout: patience, ..limits() }, GRACE).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\ncontent-length: 100000\r\n\r\n";
    writer.write_all(head.as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        let mut pauses = tokio::time::interval(patience / 20);
        while writer.write_all(b"x").await.is_ok() {
            pauses.tick().await;
        }
    });
    let mut answer = [0; 12];
    tokio::time::timeout(GRACE, reader.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503");
    assert_eq!(server.counted("too_slow"), 1);
    trickle.await.unwrap();
}

// More connections than there may be wait for their turn, and are served when another one ends.
#[tokio::test]
async fn connections_wait_for_their_turn() {
    let server = start(Kind::Http, Limits { max_connections: 2, ..limits() }, GRACE).await;
    let get = b"GET /v1/traces HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut served = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(get).await.unwrap();
        stream.read_exact(&mut [0; 12]).await.unwrap();
        served.push(stream);
    }
    let mut third = TcpStream::connect(server.address).await.unwrap();
    third.write_all(get).await.unwrap();
    let mut answer = [0; 12];
    let early = tokio::time::timeout(Duration::from_millis(100), third.read_exact(&mut answer)).await;
    assert!(early.is_err(), "a third connection was served");
    drop(served.pop());
    tokio::time::timeout(GRACE, third.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 405");
}

// A client that never speaks, or never ends its head, is disconnected.
#[tokio::test]
async fn slow_head() {
    let server = start(Kind::Http, Limits { header_read_timeout: Duration::from_millis(50), ..limits() }, GRACE).await;
    for start_of_head in ["", "POST /v1/tra", "POST /v1/traces HTTP/1.1\r\nhost: example.org\r\n"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(start_of_head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(GRACE, stream.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "{start_of_head:?} kept the connection");
    }
}

// A client that goes away while its request is worked on is counted, and its bytes come back.
#[tokio::test]
async fn client_goes_away() {
    let server = http().await;
    server.recorder.gate.forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let address = server.address;
    let client = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\ncontent-length: 2\r\n\r\n\n\0";
        stream.write_all(head.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    });
    until("request in flight", || server.recorder.requests.lock().unwrap().len() == 1).await;
    server.recorder.requests.lock().unwrap().clear();
    client.abort();
    until("cancelled", || server.counted("cancelled") == 1).await;
    assert_eq!(server.sum("spanmill.receiver.spans", "cancelled"), Some(0));
    assert_eq!(server.budget.used(), 0);
}

// Shutdown: no new connections, the request in flight is finished, idle connections are closed, then the server ends.
#[tokio::test]
async fn graceful_shutdown() {
    let server = http().await;
    let recorder = std::sync::Arc::clone(&server.recorder);
    let address = server.address;
    recorder.gate.forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let mut idle = TcpStream::connect(address).await.unwrap();
    let in_flight = tokio::spawn(async move {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = http::Request::post(format!("http://{address}/v1/traces")).header(PROTOBUF.0, PROTOBUF.1);
        client.request(request.body(Full::new(Bytes::from(ONE_EMPTY_RESOURCE))).unwrap()).await
    });
    until("request in flight", || recorder.requests.lock().unwrap().len() == 1).await;
    let ended = server.stop();
    until("listener closed", || std::net::TcpStream::connect(address).is_err()).await;
    assert!(!ended.is_finished());
    recorder.gate.add_permits(1);
    assert_eq!(in_flight.await.unwrap().unwrap().status(), 200);
    ended.await.unwrap().unwrap();
    assert_eq!(idle.read(&mut [0]).await.unwrap_or(0), 0);
}

// A request that does not end holds the shutdown up to its deadline, and is then cut off.
#[tokio::test]
async fn shutdown_deadline() {
    let server = start(Kind::Http, limits(), Duration::from_millis(20)).await;
    let recorder = std::sync::Arc::clone(&server.recorder);
    recorder.gate.forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\ncontent-length: 2\r\n\r\n\n\0";
    stream.write_all(head.as_bytes()).await.unwrap();
    until("request in flight", || recorder.requests.lock().unwrap().len() == 1).await;
    assert!(matches!(server.stop().await.unwrap(), Err(ServeError::Deadline(_))));
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
}
