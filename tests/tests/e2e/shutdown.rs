//! SIGTERM: what was acknowledged is not lost, and the end comes in time.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use spanmill_tests::{
    Backend, Client, Compression, Destination, PATIENCE, Setup, Spanmill, Totals, Transport, eventually, get, rows,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::spans::{call, payload};

/// An address that nobody listens on, and nobody else can take while the socket lives.
fn nobody() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn span_id(id: u64) -> String {
    format!("{id:016x}")
}

// Under load, every acknowledged call is in the archive and at the destination, and both tell the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_kept() {
    let backend = Backend::grpc().await;
    let spanmill = Spanmill::start(&Setup::with(Destination::grpc(&backend)));
    let mut senders = Vec::new();
    for (number, transport) in Transport::ALL.into_iter().enumerate() {
        let client = Client::new(spanmill.addresses, transport, Compression::None);
        senders.push(tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            let first = number as u64 * 1_000_000 + 1;
            for id in first.. {
                // Refused once the server stops.
                if client.send(&payload(vec![call(id, "gpt-4o")])).await.is_err() {
                    return acknowledged;
                }
                acknowledged.push(id);
            }
            acknowledged
        }));
    }
    spanmill.counted(100).await;
    spanmill.terminate();
    let mut acknowledged = Vec::new();
    for sender in senders {
        acknowledged.extend(tokio::time::timeout(PATIENCE, sender).await.unwrap().unwrap());
    }
    let stopped = spanmill.ended();
    let rows = rows(&stopped.archive());
    let archived: BTreeSet<_> = rows.iter().map(|row| row.span_id.clone()).collect();
    assert_eq!(archived.len(), rows.len(), "archived once");
    assert!(acknowledged.len() >= 100);
    let lost = acknowledged.iter().filter(|id| !archived.contains(&span_id(**id))).count();
    assert_eq!(lost, 0, "of {} acknowledged", acknowledged.len());
    assert_eq!(backend.received().totals(), Totals::from_rows(&rows));
}

// A request whose body is still on its way is finished and acknowledged, while nothing new is accepted.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_is_finished() {
    let spanmill = Spanmill::start(&Setup::default());
    let addresses = spanmill.addresses;
    let body = payload(vec![call(1, "gpt-4o")]).body;
    let mut connection = TcpStream::connect(addresses.http).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\nexpect: 100-continue\r\n\
         content-length: {}\r\n\r\n",
        body.len(),
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 1024];
    let length = connection.read(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 100"), "the server waits for the body");

    spanmill.terminate();
    let refused = |address| async move { TcpStream::connect(address).await.is_err().then_some(()) };
    eventually("no new connections", async || refused(addresses.grpc).await.and(refused(addresses.http).await)).await;
    assert_eq!(get(addresses.admin, "/readyz").await.status, 503, "says that it stops");
    assert_eq!(get(addresses.admin, "/livez").await.status, 200);

    connection.write_all(&body).await.unwrap();
    let length = connection.read(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..length]));
    let rows = rows(&spanmill.ended().archive());
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].span_id, span_id(1));
}

// A destination that was never there blocks nothing: spans are taken, counted and archived, and the end comes in time.
#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_down_blocks_nothing() {
    let (_taken, address) = nobody();
    let destination = |protocol| Destination {
        address,
        protocol,
        temporality: "delta",
        compression: "gzip",
        signals: "metrics, logs",
        more: "",
    };
    let destinations = vec![destination("grpc"), destination("http/protobuf")];
    let spanmill = Spanmill::start(&Setup { destinations, interval: "1s", ..Setup::default() });
    let client = Client::grpc(spanmill.addresses);
    for id in 1..=100 {
        client.send(&payload(vec![call(id, "gpt-4o")])).await.unwrap();
    }
    assert_eq!(spanmill.counted(100).await.requests, 100);
    assert_eq!(get(spanmill.addresses.admin, "/readyz").await.status, 200);
    let start = Instant::now();
    let stopped = spanmill.stop();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(rows(&stopped.archive()).len(), 100);
}

/// Files below `directory` that are not published.
fn hidden_files(directory: &Path) -> Vec<String> {
    let entries = walkdir::WalkDir::new(directory).into_iter().flatten();
    let names = entries.filter_map(|entry| entry.file_name().to_str().map(str::to_owned));
    names.filter(|name| name.starts_with(".tmp-") && name.ends_with(".parquet")).collect()
}

// What a server that died left half-written in the archive, the next one clears away.
#[tokio::test(flavor = "multi_thread")]
async fn leftovers_are_cleared_away() {
    let spanmill = Spanmill::start(&Setup::default());
    let archive = spanmill.archive();
    let directory = spanmill.kill();
    let hour = archive.join("spans/date=2026-01-01/hour=00");
    std::fs::create_dir_all(&hour).unwrap();
    std::fs::write(hour.join(".tmp-7f3a-000000000000002a.parquet"), "PAR1").unwrap();
    assert_eq!(hidden_files(&archive).len(), 1);

    let stopped = Spanmill::start_in(directory, &Setup::default()).stop();
    assert_eq!(hidden_files(&stopped.archive()), Vec::<String>::new());
    assert_eq!(rows(&stopped.archive()), []);
}

// Ctrl-C does what SIGTERM does: at the end every span is in a published file and nothing hidden is left.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_nothing_hidden() {
    let spanmill = Spanmill::start(&Setup::default());
    let client = Client::grpc(spanmill.addresses);
    client.send(&payload((1..=50).map(|id| call(id, "gpt-4o")).collect())).await.unwrap();
    spanmill.interrupt();
    let stopped = spanmill.ended();
    assert_eq!(hidden_files(&stopped.archive()), Vec::<String>::new());
    assert_eq!(rows(&stopped.archive()).len(), 50);
}

// A server that says that it listens can be told to stop, however soon after.
#[tokio::test(flavor = "multi_thread")]
async fn stopped_as_soon_as_it_listens() {
    for _ in 0..20 {
        let stopped = Spanmill::start(&Setup::default()).stop();
        assert!(stopped.log.contains("stopping"), "{}", stopped.log);
    }
}
