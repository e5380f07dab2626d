//! What a peer could wear the server out with: connections, slow heads and bodies, resets, more bytes than there is room for.
//! Everybody else is served meanwhile, and memory stays flat.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value;
use spanmill_tests::{PATIENCE, Setup, Signal, Spanmill, eventually, grpc_frame, post, rows};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;
use tonic_types::StatusExt;

use crate::bad_input::Target;
use crate::spans::{attribute, call, payload, request};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const MIB: usize = 1 << 20;

/// HTTP/2 frames by hand.
mod frame {
    pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    pub const SETTINGS: u8 = 4;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    pub const GOAWAY: u8 = 7;
    const WINDOW_UPDATE: u8 = 8;
    const END_HEADERS: u8 = 4;

    pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// A call begins: POST, http, / and an authority, by HPACK's static table.
    pub fn headers(stream: u32) -> Vec<u8> {
        frame(HEADERS, END_HEADERS, stream, &[0x83, 0x86, 0x84, 0x41, 1, b'x'])
    }

    pub fn reset(stream: u32) -> Vec<u8> {
        frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
    }

    /// A window larger than there may be: an error of the stream, which the server itself has to reset.
    pub fn bad_window_update(stream: u32) -> Vec<u8> {
        frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes())
    }
}

/// Opens a connection, sends streams made by `attack` until the server ends it or there were as many, and tells whether it did.
async fn flood(target: &Target, streams: u32, attack: impl Fn(u32) -> Vec<u8>) -> bool {
    let mut connection = TcpStream::connect(target.spanmill.addresses.grpc).await.unwrap();
    connection.write_all(frame::PREFACE).await.unwrap();
    connection.write_all(&frame::frame(frame::SETTINGS, 0, 0, &[])).await.unwrap();
    let (mut reader, mut writer) = connection.into_split();
    let ended = tokio::spawn(async move {
        let mut head = [0; 9];
        // GOAWAY, or the end of the connection in any other way
        while reader.read_exact(&mut head).await.is_ok() && head[3] != frame::GOAWAY {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            if reader.read_exact(&mut payload).await.is_err() {
                return;
            }
        }
    });
    for stream in (0..streams).map(|number| number * 2 + 1) {
        if ended.is_finished() || writer.write_all(&attack(stream)).await.is_err() {
            break;
        }
    }
    timeout(Duration::from_secs(3), ended).await.is_ok()
}

// Streams that are opened and reset at once cost no memory and keep nobody from being served.
#[tokio::test(flavor = "multi_thread")]
async fn rapid_resets() {
    let mut target = Target::start(&Setup::default());
    target.still_works().await;
    let before = target.spanmill.memory("VmRSS");
    for _ in 0..3 {
        flood(&target, 20_000, |stream| [frame::headers(stream), frame::reset(stream)].concat()).await;
        target.still_works().await;
    }
    let grown = target.spanmill.memory("VmRSS").saturating_sub(before);
    assert!(grown < 32 << 20, "{} MiB", grown >> 20);
    target.spanmill.stop();
}

// A client that makes the server reset its streams again and again loses its connection.
#[tokio::test(flavor = "multi_thread")]
async fn resets_that_the_server_is_made_to_send() {
    let mut target = Target::start(&Setup::default());
    let was_ended =
        flood(&target, 20_000, |stream| [frame::headers(stream), frame::bad_window_update(stream)].concat()).await;
    assert!(was_ended, "20,000 errors are too many");
    target.still_works().await;
    target.spanmill.stop();
}

// Hundreds of connections that never end their heads or their bodies keep nobody from being served.
#[tokio::test(flavor = "multi_thread")]
async fn slow_clients() {
    let mut target = Target::start(&Setup::default());
    target.still_works().await;
    let before = target.spanmill.memory("VmRSS");
    let head = "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n";
    let mut slow = Vec::new();
    for number in 0..300 {
        let (address, said) = match number % 4 {
            0 => (target.spanmill.addresses.http, head.to_owned()),
            1 => (target.spanmill.addresses.http, format!("{head}content-length: 60000000\r\n\r\nx")),
            2 => (target.spanmill.addresses.grpc, "PRI * HTTP/2.0".to_owned()),
            _ => (target.spanmill.addresses.admin, "GET /livez HTTP/1.1\r\n".to_owned()),
        };
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(said.as_bytes()).await.unwrap();
        slow.push(connection);
    }
    target.still_works().await;
    for connection in &mut slow {
        // trickling: one byte more each
        connection.write_all(b"x").await.unwrap();
    }
    target.still_works().await;
    let grown = target.spanmill.memory("VmRSS").saturating_sub(before);
    assert!(grown < 32 << 20, "{} MiB", grown >> 20);
    drop(slow);
    target.still_works().await;
    target.spanmill.stop();
}

// A head that is too large is refused, over both versions of HTTP, long before it takes much memory.
#[tokio::test(flavor = "multi_thread")]
async fn endless_heads() {
    let mut target = Target::start(&Setup::default());
    let mut connection = TcpStream::connect(target.spanmill.addresses.http).await.unwrap();
    connection.write_all(b"GET / HTTP/1.1\r\nendless: ").await.unwrap();
    let mut sent = 0;
    while sent < 4 * MIB {
        match connection.write(&[b'x'; 8192]).await {
            Ok(count) => sent += count,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
                break;
            }
        }
    }
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, connection.read_to_end(&mut answer)).await.expect("the connection ends");
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));

    let long = "x".repeat(20_000);
    let client = tonic::transport::Endpoint::from_shared(format!("http://{}", target.spanmill.addresses.grpc)).unwrap();
    let mut client = TraceServiceClient::new(client.connect().await.unwrap());
    let mut call = tonic::Request::new(request(Vec::new()));
    call.metadata_mut().insert("long", long.parse().unwrap());
    assert!(client.export(call).await.is_err());
    target.still_works().await;
    target.spanmill.stop();
}

// When the budget is held, a request waits a moment; then it is UNAVAILABLE with RetryInfo, or 503 with Retry-After. As soon as
// there is room, the next one is taken, and one that waits is.
#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget() {
    let setup = Setup { max_request_size: "1MiB", receiver: "memory_budget: 1MiB", ..Setup::default() };
    let mut target = Target::start(&setup);
    let addresses = target.spanmill.addresses;
    let large = |id| {
        let mut span = call(id, "large");
        span.attributes.push(attribute("text", any_value::Value::StringValue("x".repeat(MIB / 2))));
        request(vec![span])
    };
    let body = prost::Message::encode_to_vec(&large(1));

    // Most of the budget is held by a body that does not end.
    let mut holder = TcpStream::connect(addresses.http).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\ncontent-length: {MIB}\r\n\r\n"
    );
    holder.write_all(head.as_bytes()).await.unwrap();
    holder.write_all(&vec![0; MIB * 3 / 4]).await.unwrap();
    eventually("the budget is held", async || {
        (target.spanmill.sample("spanmill_receiver_memory", &[]).await >= MIB as u64 * 3 / 4).then_some(())
    })
    .await;

    let start = Instant::now();
    let answer = post(addresses.http, "/v1/traces", &[PROTOBUF], body.clone()).await;
    assert_eq!((answer.status.as_u16(), answer.headers["retry-after"].as_bytes()), (503, &b"1"[..]));
    assert!(start.elapsed() > Duration::from_millis(900), "it was not waited for: {:?}", start.elapsed());
    let mut client = TraceServiceClient::connect(format!("http://{}", addresses.grpc)).await.unwrap();
    let status = client.export(large(2)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.get_details_retry_info().is_some_and(|info| info.retry_delay.is_some()), "{status:?}");

    // One that waits is taken when the other goes away.
    let waiting = tokio::spawn(async move { client.export(large(3)).await });
    drop(holder);
    waiting.await.unwrap().unwrap();
    assert_eq!(post(addresses.http, "/v1/traces", &[PROTOBUF], body).await.status, 200);
    target.still_works().await;
    target.spanmill.stop();
}

// Far more at once than there is room for is pushed back or taken; sent again, all of it is counted once.
#[tokio::test(flavor = "multi_thread")]
async fn overload_is_pushed_back_and_comes_again() {
    const CLIENTS: u64 = 24;
    let setup = Setup { max_request_size: "1MiB", receiver: "memory_budget: 2MiB", ..Setup::default() };
    let mut target = Target::start(&setup);
    let grpc = target.spanmill.addresses.grpc;
    let clients = (0..CLIENTS).map(|id| {
        tokio::spawn(async move {
            let mut span = call(id + 1, "large");
            span.attributes.push(attribute("text", any_value::Value::StringValue("x".repeat(MIB / 2))));
            let mut client = TraceServiceClient::connect(format!("http://{grpc}")).await.unwrap();
            let deadline = Instant::now() + PATIENCE;
            loop {
                let Err(status) = client.export(request(vec![span.clone()])).await else { return };
                assert_eq!(status.code(), Code::Unavailable, "{status}");
                assert!(status.get_details_retry_info().is_some(), "{status:?}");
                assert!(Instant::now() < deadline, "never taken");
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    assert_eq!(target.spanmill.counted(CLIENTS).await.requests, CLIENTS);
    target.still_works().await;
    let frame = grpc_frame(false, &payload(vec![call(99, "last")]).body);
    let answer = spanmill_tests::grpc_call(grpc, Signal::Traces.grpc_path(), &[], frame).await;
    assert_eq!(answer.grpc_code(), Code::Ok);
    target.spanmill.stop();
}

// Strangers who take every connection there may be leave the log and the archive enough files to go on.
#[tokio::test(flavor = "multi_thread")]
async fn connections_leave_files_for_the_rest() {
    let wal = "enabled: true, max_size: 64MiB";
    let before = "ulimit -n 160".to_owned();
    let setup = Setup { before, wal, settle_wait: "10ms", archive_age: "1s", ..Setup::default() };
    let spanmill = Spanmill::start(&setup);
    let mut strangers = Vec::new();
    // No more than wait in the kernel beside those that are let in.
    for _ in 0..140 {
        strangers.push(TcpStream::connect(spanmill.addresses.grpc).await.unwrap());
    }
    let large = |id| {
        let padding = attribute("padding", any_value::Value::StringValue("x".repeat(512 << 10)));
        let mut span = call(id, "gpt-4o");
        span.attributes.push(padding);
        payload(vec![span])
    };
    // More than two segments of the log.
    for id in 1..=80 {
        let answer = post(spanmill.addresses.http, Signal::Traces.http_path(), &[PROTOBUF], large(id).body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(spanmill.counted(80).await.requests, 80);
    drop(strangers);
    let stopped = spanmill.stop().succeeded();
    assert_eq!(rows(&stopped.archive()).len(), 80);
}
