//! How far a destination has come in the log, and what becomes of it that is damaged, lost or nobody's any more.

use std::collections::BTreeSet;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use opentelemetry_proto::tonic::trace::v1::Span;
use spanmill_tests::{Backend, Client, Destination, Setup, Spanmill, eventually, sample};

use super::{DURABLE, ids};
use crate::spans::{call, payload, text};

/// A destination of traces at an address where nobody is yet.
async fn absent() -> (SocketAddr, Setup) {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let destination = Destination { address, signals: "traces", ..Destination::grpc(&Backend::grpc().await) };
    (address, Setup { wal: DURABLE, settle_wait: "100ms", ..Setup::with(destination) })
}

/// A call with a text in it that nothing else has.
fn marked(id: u64, length: usize) -> Span {
    let mut span = call(id, "gpt-4o");
    span.attributes.push(text("marker", &format!("marker-{id}-{}", "x".repeat(length))));
    span
}

async fn arrives(backend: &Backend, expected: impl IntoIterator<Item = u64>) {
    let expected: BTreeSet<u64> = expected.into_iter().collect();
    eventually("what the destination is owed", async || (ids(backend) == expected).then_some(())).await;
}

/// Changes a byte of what was logged.
fn damage(data: &Path, marker: &str) {
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "wal") {
            continue;
        }
        let mut file = std::fs::File::options().read(true).write(true).open(path).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        if let Some(at) = bytes.windows(marker.len()).position(|window| window == marker.as_bytes()) {
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            file.write_all(b"M").unwrap();
            return;
        }
    }
    panic!("{marker} is not in the log");
}

// A record that is damaged where only a destination needs it is told of, counted and passed over: the rest arrives, and the log is
// not held for ever.
#[tokio::test(flavor = "multi_thread")]
async fn damage_is_passed_over() {
    let (address, setup) = absent().await;
    let spanmill = Spanmill::start(&setup);
    let client = Client::grpc(spanmill.addresses);
    // The first is on its way to nobody when the others come.
    client.send(&payload(vec![marked(1, 0)])).await.unwrap();
    let labels = [("destination", "otlp/backend0"), ("signal", "traces")];
    eventually("an attempt", async || {
        (spanmill.sample("spanmill_exporter_retries_total", &labels).await > 0).then_some(())
    })
    .await;
    for id in 2..=5 {
        client.send(&payload(vec![marked(id, 0)])).await.unwrap();
    }
    damage(&spanmill.directory().join("data"), "marker-3-");
    let backend = Backend::grpc_at(address).await;
    arrives(&backend, [1, 2, 4, 5]).await;
    let page = spanmill.metrics().await;
    assert_eq!(sample(&page, "spanmill_exporter_unreadable_total", &labels[..1]), 1);
    let log = spanmill.stop().log;
    assert!(log.contains("records cannot be read, and are not handed on"), "{log}");
}

// A destination whose place in the log is lost gets all that is there, rather than nothing; one that is new begins with what comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_place_loses_nothing() {
    let (address, setup) = absent().await;
    let spanmill = Spanmill::start(&setup);
    Client::grpc(spanmill.addresses).send(&payload(vec![call(1, "gpt-4o")])).await.unwrap();
    let directory = spanmill.stop().directory;
    std::fs::remove_file(directory.path().join("data/forwarded/otlp-backend0")).unwrap();
    let new = Backend::grpc().await;
    let mut both = setup.clone();
    both.destinations.push(Destination { signals: "traces", ..Destination::grpc(&new) });
    let spanmill = Spanmill::start_in(directory, &both);
    Client::grpc(spanmill.addresses).send(&payload(vec![call(2, "gpt-4o")])).await.unwrap();
    let backend = Backend::grpc_at(address).await;
    arrives(&backend, [1, 2]).await;
    arrives(&new, [2]).await;
    let log = spanmill.stop().log;
    assert_eq!(log.matches("its place in the log is lost").count(), 1, "{log}");
}

// What a destination is owed is kept however many checkpoints are behind it, and over restarts: segments of the log that nobody
// else needs are not used again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_owed_is_kept_over_checkpoints() {
    let (address, setup) = absent().await;
    let mut directory = tempfile::tempdir().unwrap();
    // Each run fills more than a segment of 4 MiB, and ends with a checkpoint.
    for run in 0..2_u64 {
        let spanmill = Spanmill::start_in(directory, &setup);
        let client = Client::grpc(spanmill.addresses);
        for id in run * 5 + 1..=run * 5 + 5 {
            client.send(&payload(vec![marked(id, 1 << 20)])).await.unwrap();
        }
        spanmill.counted((run + 1) * 5).await;
        directory = spanmill.stop().directory;
    }
    let spanmill = Spanmill::start_in(directory, &setup);
    let backend = Backend::grpc_at(address).await;
    arrives(&backend, 1..=10).await;
    let log = spanmill.stop().log;
    assert!(!log.contains("no longer in the log"), "{log}");
}

// A log that is full of what one destination has not got gives up the oldest of it, if that destination says so: it is counted, everybody is
// served, and the rest arrives.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "fills 64 MiB"]
async fn a_full_log_gives_up_the_oldest() {
    // A quarter more than the log holds.
    const SPANS: u64 = 40;
    let (address, mut setup) = absent().await;
    setup.destinations[0].more =
        "when_full: drop_oldest, retry_on_failure: { initial_interval: 20ms, max_interval: 20ms }";
    let spanmill = Spanmill::start(&setup);
    let client = Client::grpc(spanmill.addresses);
    for id in 1..=SPANS {
        client.send(&payload(vec![marked(id, 2 << 20)])).await.unwrap();
    }
    assert_eq!(spanmill.counted(SPANS).await.requests, SPANS);
    let labels = [("destination", "otlp/backend0"), ("signal", "traces"), ("outcome", "dropped")];
    let dropped = spanmill.sample("spanmill_exporter_items_total", &labels).await;
    assert!((1..SPANS / 2).contains(&dropped), "{dropped} of {SPANS}");
    let backend = Backend::grpc_at(address).await;
    arrives(&backend, dropped + 1..=SPANS).await;
    assert_eq!(spanmill.sample("spanmill_exporter_items_total", &labels).await, dropped);
    spanmill.stop();
}

// What waits for a destination that has got another name, or is gone, is told of at the start, with what to do about it.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_nobody_is_told_of() {
    let (_, setup) = absent().await;
    let directory = Spanmill::start(&setup).stop().directory;
    let stopped = Spanmill::start_in(directory, &Setup { destinations: Vec::new(), ..setup.clone() }).stop();
    let told: Vec<&str> =
        stopped.log.lines().filter(|line| line.contains("this destination is not configured")).collect();
    assert_eq!(told.len(), 2, "{}", stopped.log);
    for path in ["data/forwarded/otlp-backend0", "data/outbox/otlp-backend0"] {
        assert!(told.iter().any(|line| line.contains("destination=otlp/backend0") && line.contains(path)), "{told:?}");
    }
    let log = Spanmill::start_in(stopped.directory, &setup).stop().log;
    assert!(!log.contains("this destination is not configured"), "{log}");
}
