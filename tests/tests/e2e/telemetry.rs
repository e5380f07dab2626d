//! What Spanmill tells of itself: every span is on the books of each stage, and who is behind is told by how much.

use std::net::TcpListener;

use bytes::Bytes;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use spanmill_tests::{
    Backend, Client, Compression, Destination, Payload, Setup, Signal, Spanmill, eventually, get, post, sample,
};

use crate::spans::{call, payload};

const TRACES: &str = Signal::Traces.http_path();
const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

/// What the stages tell at one moment.
#[derive(Debug, PartialEq, Eq)]
struct Books {
    accepted: u64,
    safe: u64,
    applied: u64,
    with_outcome: u64,
}

/// A page of `/metrics`.
struct Page(String);

impl Page {
    /// At no moment more is applied than is safe.
    async fn of(spanmill: &Spanmill) -> Self {
        let page = Self(spanmill.metrics().await);
        for counter in ["spanmill_wal_spans", "spanmill_wal_bytes", "spanmill_wal_lsn"] {
            let [safe, applied] = ["safe", "applied"].map(|cursor| page.sum(counter, &[("cursor", cursor)]));
            assert!(applied <= safe, "{counter}: {applied} applied of {safe}");
        }
        page
    }

    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        sample(&self.0, name, labels)
    }

    fn books(&self) -> Books {
        Books {
            accepted: self.sum("spanmill_receiver_spans", &[("outcome", "accepted")]),
            safe: self.sum("spanmill_wal_spans", &[("cursor", "safe")]),
            applied: self.sum("spanmill_wal_spans", &[("cursor", "applied")]),
            with_outcome: self.sum("spanmill_spans_total", &[]),
        }
    }

    /// `None` if it is not told.
    fn lag(&self, cursor: &str) -> Option<f64> {
        let cursor = format!("cursor=\"{cursor}\"");
        let lags = self.0.lines().filter(|line| line.starts_with("spanmill_wal_lag_seconds{"));
        lags.filter(|line| line.contains(&cursor)).find_map(|line| line.rsplit(' ').next()?.parse().ok())
    }

    /// Who is not behind.
    fn are_through(&self, cursors: &[&str]) -> bool {
        cursors.iter().all(|cursor| self.lag(cursor) == Some(0.0))
    }
}

async fn balanced(spanmill: &Spanmill, expected: Books) -> Page {
    eventually(&format!("{expected:?}"), async || {
        let page = Page::of(spanmill).await;
        (page.books() == expected).then_some(page)
    })
    .await
}

/// A request of two spans that are cut off in their first field, the request around them is not.
fn broken() -> Bytes {
    let span: &[u8] = &[0x12, 2, 0x0a, 5];
    let scope = [&[0x12, 8], span, span].concat();
    [&[0x0a, 10], &scope[..]].concat().into()
}

fn other(id: u64) -> Span {
    Span { attributes: Vec::new(), ..call(id, "") }
}

// Whatever was sent, accepted or not, is told once at each stage: spans accepted = safe = applied = with an outcome, and the bytes as well;
// what cannot be read is told by requests alone. A destination that is down is behind by some time, in this process and in the next, until
// it is there again; nobody else is, and an archive that has everything is not for the ticks.
#[tokio::test(flavor = "multi_thread")]
async fn every_stage_tells_the_same() {
    let absent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let more = "retry_on_failure: { initial_interval: 50ms, max_interval: 100ms }";
    let to = Destination { address: absent, signals: "traces", more, ..Destination::grpc(&Backend::grpc().await) };
    let setup = Setup {
        wal: "enabled: true, max_size: 64MiB, compression: zstd(3)",
        settle_wait: "100ms",
        archive_age: "1s",
        derive: "content: drop",
        ..Setup::with(to)
    };
    let spanmill = Spanmill::start(&setup);
    let http = spanmill.addresses.http;
    let send = async |headers: &[(&str, &str)], body: Bytes| post(http, TRACES, headers, body).await.status.as_u16();

    // Over gRPC twice the same, which is a duplicate the second time.
    let three_spans = vec![call(1, "gpt-4o"), call(2, "gpt-4o"), other(3)];
    let three = payload(three_spans.clone());
    let client = Client::grpc(spanmill.addresses);
    client.send(&three).await.unwrap();
    client.send(&three).await.unwrap();
    // Over HTTP, compressed and as JSON; and what has no spans.
    let two = payload(vec![call(4, "gpt-4o"), other(5)]);
    let gzipped = Bytes::from(Compression::Gzip.compress(&two.body));
    assert_eq!(send(&[PROTOBUF, ("content-encoding", "gzip")], gzipped.clone()).await, 200);
    let json = Bytes::from_static(br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a"}]}]}]}"#);
    let json_as_protobuf = [0x0a, 7, 0x12, 5, 0x12, 3, 0x2a, 1, b'a'];
    assert_eq!(send(&[JSON], json.clone()).await, 200);
    client.send(&Payload { signal: Signal::Logs, body: Bytes::new() }).await.unwrap();
    // What is refused: two spans in what can be walked, nobody knows how many in what cannot, or is not read.
    assert_eq!(send(&[PROTOBUF], broken()).await, 400);
    assert_eq!(send(&[PROTOBUF], Bytes::from_static(b"\xff\xff\xff")).await, 400);
    assert_eq!(send(&[("content-type", "text/plain")], two.body.clone()).await, 415);

    let spans = 3 + 3 + 2 + 1;
    let of_all = |accepted| Books { accepted, safe: spans, applied: spans, with_outcome: spans };
    let page = balanced(&spanmill, of_all(spans)).await;
    let of_receiver =
        |what: &str, labels: &[(&str, &str)]| page.sum(&format!("spanmill_receiver_{what}_total"), labels);
    assert_eq!(of_receiver("spans", &[("transport", "grpc"), ("outcome", "accepted")]), 6);
    assert_eq!(of_receiver("spans", &[("outcome", "malformed")]), 2);
    assert_eq!(of_receiver("requests", &[("outcome", "malformed")]), 2);
    assert_eq!(of_receiver("spans", &[]), spans + 2);
    assert!(!page.0.lines().any(|line| line.starts_with("spanmill_receiver_spans") && line.contains("unsupported")));
    let over_grpc = 2 * three.body.len() as u64;
    let over_http = (gzipped.len() + json.len()) as u64;
    assert_eq!(of_receiver("bytes", &[("transport", "grpc"), ("outcome", "accepted")]), over_grpc);
    assert_eq!(of_receiver("bytes", &[("transport", "http"), ("outcome", "accepted")]), over_http);
    assert_eq!(of_receiver("bytes", &[("outcome", "malformed")]), broken().len() as u64 + 3);
    let bodies = over_grpc + (two.body.len() + json_as_protobuf.len()) as u64;
    for cursor in ["safe", "applied"] {
        assert_eq!(page.sum("spanmill_wal_bytes", &[("cursor", cursor)]), bodies, "{cursor}");
    }
    let repeated: usize = three_spans.iter().map(|span| span.encoded_len()).sum();
    assert_eq!(page.sum("spanmill_duplicate_bytes_total", &[]), repeated as u64);
    assert!(page.lag("forwarded").unwrap() > 0.0);
    let page = eventually("all is archived", async || {
        let page = Page::of(&spanmill).await;
        let lsn = |cursor| page.sum("spanmill_wal_lsn", &[("cursor", cursor)]);
        (page.are_through(&["applied", "archived"]) && lsn("archived") == lsn("applied")).then_some(page)
    })
    .await;
    let health = get(spanmill.addresses.admin, "/api/v1/health").await.json();
    assert_eq!(health["unaccounted_spans"], 0);
    assert!(page.lag("forwarded").unwrap() > 0.0);

    // The next process applies all of it again, and has received nothing.
    let spanmill = Spanmill::start_in(spanmill.kill(), &setup);
    let page = balanced(&spanmill, of_all(0)).await;
    assert!(page.lag("forwarded").unwrap() > 0.0, "it is known before anything was read for it");
    let late = Backend::grpc_at(absent).await;
    let page = eventually("nobody is behind", async || {
        let page = Page::of(&spanmill).await;
        page.are_through(&["applied", "archived", "forwarded"]).then_some(page)
    })
    .await;
    let sent = page.sum("spanmill_exporter_bytes_total", &[("signal", "traces"), ("outcome", "sent")]);
    assert_eq!(sent, bodies);
    assert_eq!(late.received().traces.iter().map(|body| body.len() as u64).sum::<u64>(), bodies);
    spanmill.stop();
}
