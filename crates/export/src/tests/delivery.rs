//! What arrives at a destination, and in which form.

use super::*;

// Metrics and logs arrive whole over both protocols and with every compression, with our headers and our name; answers may be compressed.
#[tokio::test]
async fn delivers_in_every_form() {
    for protocol in PROTOCOLS {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let server = Server::start(protocol).await;
            let exporter = start(Destination { compression, ..destination(&server.endpoint, protocol) }, impatient());
            exporter.offer(0, metrics(7));
            exporter.offer(0, logs(100, 3));
            let stats = exporter.stats();
            exporter.shutdown(PATIENCE).await;

            let received = server.received();
            let bodies: Vec<_> = received.iter().map(|request| request.body.clone()).collect();
            let expected = [metrics_request(&[7]).encode_to_vec(), logs_request(100, 3).encode_to_vec()];
            assert_eq!(bodies, expected, "{protocol:?} {compression:?}");
            for Received { headers, .. } in &received {
                assert_eq!(headers["x-key"], "s3cret");
                let agent = headers["user-agent"].to_str().unwrap();
                assert!(agent.starts_with(concat!("OTel-OTLP-Exporter-Spanmill/", env!("CARGO_PKG_VERSION"))));
                let encoding_header = if protocol == Protocol::Grpc { "grpc-encoding" } else { "content-encoding" };
                let encoding = headers.get(encoding_header).map(|value| value.to_str().unwrap());
                let expected = match compression {
                    Compression::Gzip => Some("gzip"),
                    Compression::Zstd => Some("zstd"),
                    Compression::None => None,
                };
                assert_eq!(encoding, expected, "{protocol:?}");
                if protocol == Protocol::Grpc {
                    let accepted = headers["grpc-accept-encoding"].to_str().unwrap();
                    assert!(accepted.contains("gzip") && accepted.contains("zstd"), "{accepted}");
                }
            }
            assert_eq!(stats.counts(Signal::Metrics), Counts { sent: 1, ..Counts::default() });
            assert_eq!(stats.counts(Signal::Logs), Counts { sent: 3, ..Counts::default() });
        }
    }
}

// A path in an HTTP endpoint is a base, with or without a slash at its end.
#[tokio::test]
async fn http_paths() {
    for base in ["/api/v1/otlp", "/api/v1/otlp/"] {
        let server = Server::start(Protocol::HttpProtobuf).await;
        let exporter = start(destination(&format!("{}{base}", server.endpoint), Protocol::HttpProtobuf), impatient());
        exporter.offer(0, metrics(1));
        exporter.offer(0, logs(1, 1));
        exporter.shutdown(PATIENCE).await;
        let paths: Vec<_> = server.received().into_iter().map(|request| request.path).collect();
        assert_eq!(paths, ["/api/v1/otlp/v1/metrics", "/api/v1/otlp/v1/logs"]);
    }
}

// An endpoint that is to be used as it is stays so; without a path it is `/`.
#[tokio::test]
async fn exact_http_paths() {
    for (path, expected) in [("/ingest", "/ingest"), ("/ingest/", "/ingest/"), ("/v1/logs", "/v1/logs"), ("", "/")] {
        let server = Server::start(Protocol::HttpProtobuf).await;
        let to = destination(&format!("{}{path}", server.endpoint), Protocol::HttpProtobuf);
        let exporter = start(Destination { appends_path: false, ..to }, impatient());
        exporter.offer(0, logs(1, 1));
        exporter.shutdown(PATIENCE).await;
        let paths: Vec<_> = server.received().into_iter().map(|request| request.path).collect();
        assert_eq!(paths, [expected]);
    }
}

// A refusal costs one request and is not repeated; a partial success is counted and not repeated.
#[tokio::test]
async fn refusals_are_final() {
    for protocol in PROTOCOLS {
        let server = Server::start(protocol).await;
        server.answer_next([Answer::Refused, Answer::Partial(2)]);
        let exporter = start(destination(&server.endpoint, protocol), impatient());
        exporter.offer(0, logs(1, 5));
        exporter.offer(0, logs(6, 5));
        let stats = exporter.stats();
        exporter.shutdown(PATIENCE).await;
        assert_eq!(server.received().len(), 2);
        assert_eq!(stats.counts(Signal::Logs), Counts { sent: 3, failed: 7, ..Counts::default() }, "{protocol:?}");
    }
}

// An answer that is too long to be read is the answer of a destination that has the request: it is not sent again.
#[tokio::test]
async fn long_answers_are_answers() {
    for protocol in PROTOCOLS {
        let server = Server::start(protocol).await;
        server.answer_next([Answer::Novel]);
        let exporter = start(destination(&server.endpoint, protocol), impatient());
        exporter.offer(0, logs(1, 5));
        let stats = exporter.stats();
        exporter.shutdown(PATIENCE).await;
        assert_eq!(server.received().len(), 1);
        assert_eq!(stats.counts(Signal::Logs), Counts { sent: 5, ..Counts::default() }, "{protocol:?}");
    }
}

// Whoever has said that all is well has the request, also if the rest of the answer never comes: it is not sent again.
#[tokio::test]
async fn a_success_is_one_from_its_first_line() {
    let server = Server::start(Protocol::HttpProtobuf).await;
    server.answer_next([Answer::Stall]);
    let timeout = Duration::from_millis(200);
    let exporter = start(Destination { timeout, ..destination(&server.endpoint, Protocol::HttpProtobuf) }, impatient());
    exporter.offer(0, logs(1, 5));
    let stats = exporter.stats();
    exporter.shutdown(PATIENCE).await;
    assert_eq!(server.received().len(), 1);
    assert_eq!(stats.counts(Signal::Logs), Counts { sent: 5, ..Counts::default() });
}

// Large requests arrive in pieces within the limit that together hold every item once, in order.
#[tokio::test]
async fn large_requests_are_split() {
    const MAX: usize = 500;
    for protocol in PROTOCOLS {
        let server = Server::start(protocol).await;
        server.answer_next([Answer::Ok, Answer::Busy]);
        let exporter =
            start(Destination { max_request_size: MAX, ..destination(&server.endpoint, protocol) }, impatient());
        let values: Vec<i64> = (0..100).collect();
        exporter.offer(0, Outgoing::Metrics(Arc::new(metrics_request(&values))));
        exporter.offer(0, logs(0, 100));
        let stats = exporter.stats();
        exporter.shutdown(PATIENCE).await;

        let mut received = server.received();
        assert!(received.iter().all(|request| request.body.len() <= MAX));
        received.remove(1);
        let metric_values: Vec<i64> = received.iter().flat_map(|request| request.metric_values()).collect();
        assert_eq!(metric_values, values, "{protocol:?}");
        let log_times: Vec<u64> = received.iter().flat_map(|request| request.log_times()).collect();
        assert_eq!(log_times, (0..100).collect::<Vec<_>>(), "{protocol:?}");
        assert_eq!(stats.counts(Signal::Metrics).sent, 100);
        assert_eq!(stats.counts(Signal::Logs).sent, 100);
    }
}

// A destination that takes less than it is told to get smaller pieces, each item once and in order; what is alone, still too
// large and without a text that can be cut is refused for good, not sent for ever.
#[tokio::test]
async fn requests_that_are_too_large_are_halved() {
    for protocol in PROTOCOLS {
        let server = Server::start_limited(protocol, "127.0.0.1:0".parse().unwrap(), 100).await;
        let exporter = start(destination(&server.endpoint, protocol), impatient());
        let values: Vec<i64> = (0..50).collect();
        exporter.offer(0, Outgoing::Metrics(Arc::new(metrics_request(&values))));
        let mut large = logs_request(0, 3);
        large.resource_logs[0].scope_logs[0].log_records[1].event_name = "x".repeat(200);
        exporter.offer(0, Outgoing::Logs(Arc::new(large)));
        let stats = exporter.stats();
        exporter.shutdown(PATIENCE).await;

        let received = server.received();
        let metric_values: Vec<i64> = received.iter().flat_map(|request| request.metric_values()).collect();
        assert_eq!(metric_values, values, "{protocol:?}");
        let log_times: Vec<u64> = received.iter().flat_map(|request| request.log_times()).collect();
        assert_eq!(log_times, [0, 2]);
        assert_eq!(stats.counts(Signal::Metrics), Counts { sent: 50, ..Counts::default() });
        assert_eq!(stats.counts(Signal::Logs), Counts { sent: 2, failed: 1, ..Counts::default() });
    }
}

// A destination that finds everything too large is not stormed with ever smaller pieces: the pauses between them grow.
#[tokio::test]
async fn pieces_that_are_refused_are_not_hurried() {
    let server = Server::start_limited(Protocol::HttpProtobuf, "127.0.0.1:0".parse().unwrap(), 1).await;
    let hour = Duration::from_secs(3600);
    let slow = Limits { backoff: every(hour, hour), ..Limits::default() };
    let exporter = start(destination(&server.endpoint, Protocol::HttpProtobuf), slow);
    exporter.offer(0, logs(0, 100));
    let stats = exporter.stats();
    exporter.shutdown(Duration::from_millis(300)).await;
    assert_eq!(stats.counts(Signal::Logs), Counts { dropped: 100, ..Counts::default() });
}

// A signal that the destination does not take is not even queued.
#[tokio::test]
async fn unwanted_signals_are_ignored() {
    let server = Server::start(Protocol::Grpc).await;
    let only_logs = Destination { metrics: false, ..destination(&server.endpoint, Protocol::Grpc) };
    let exporter = start(only_logs, impatient());
    exporter.offer(0, metrics(1));
    exporter.offer(0, logs(1, 1));
    exporter.shutdown(PATIENCE).await;
    assert_eq!(server.received().len(), 1);
}
