//! How many bytes met with which outcome: of encoded messages, before they are compressed.

use super::*;

fn length(request: &impl prost::Message) -> u64 {
    request.encoded_len() as u64
}

// A message that is refused counts as failed, one of which a part is refused as sent, and one of which all is refused as failed.
#[tokio::test]
async fn sent_and_failed() {
    for protocol in PROTOCOLS {
        let server = Server::start(protocol).await;
        server.answer_next([Answer::Refused, Answer::Partial(2), Answer::Partial(5), Answer::Ok]);
        let gzipped = Destination { compression: Compression::Gzip, ..destination(&server.endpoint, protocol) };
        let exporter = start(gzipped, impatient());
        let sizes = [5, 6, 5, 3];
        sizes.iter().for_each(|records| assert!(exporter.offer(0, logs(1, *records))));
        let stats = exporter.stats();
        exporter.shutdown(PATIENCE).await;
        let [refused, in_part, wholly, taken] = sizes.map(|records| length(&logs_request(1, records)));
        let logs = stats.of(Signal::Logs);
        assert_eq!(logs.sent.read(), Amount { items: 4 + 3, bytes: in_part + taken }, "{protocol:?}");
        assert_eq!(logs.failed.read(), Amount { items: 5 + 2 + 5, bytes: refused + wholly }, "{protocol:?}");
    }
}

// What is never answered for is dropped, or superseded by what is newer; of a request in pieces it is what was not sent yet.
#[tokio::test]
async fn dropped_and_superseded() {
    let patient =
        || Limits { backoff: every(Duration::from_secs(3600), Duration::from_secs(3600)), ..Limits::default() };
    let down = destination(&format!("http://{}", server::unused_address()), Protocol::Grpc);
    let exporter = start(Destination { temporality: Temporality::Cumulative, ..down }, patient());
    let stats = exporter.stats();
    let metrics_stats = stats.of(Signal::Metrics);
    exporter.offer(0, metrics(1));
    eventually("the first attempt", || stats.counts(Signal::Metrics).retries == 1).await;
    (2..=4).for_each(|value| assert!(exporter.offer(0, metrics(value))));
    exporter.offer(0, logs(1, 4));
    exporter.shutdown(Duration::from_millis(50)).await;
    let one = length(&metrics_request(&[1]));
    // The end of the pause shows that there is a newer one.
    assert_eq!(metrics_stats.superseded.read(), Amount { items: 3, bytes: 3 * one });
    assert_eq!(metrics_stats.dropped.read(), Amount { items: 1, bytes: one });
    assert_eq!(stats.of(Signal::Logs).dropped.read(), Amount { items: 4, bytes: length(&logs_request(1, 4)) });

    let server = Server::start(Protocol::Grpc).await;
    server.answer_next([Answer::Ok, Answer::Busy, Answer::Busy, Answer::Busy]);
    let small = Destination { max_request_size: 500, ..destination(&server.endpoint, Protocol::Grpc) };
    let exporter = start(small, patient());
    let stats = exporter.stats();
    exporter.offer(0, logs(0, 100));
    eventually("the second attempt", || stats.counts(Signal::Logs).retries == 1).await;
    exporter.shutdown(Duration::from_millis(50)).await;
    let (sent, dropped) = (stats.of(Signal::Logs).sent.read(), stats.of(Signal::Logs).dropped.read());
    assert_eq!(sent.bytes, server.received()[0].body.len() as u64);
    assert_eq!(sent.items + dropped.items, 100);
    let (whole, rest) = (length(&logs_request(0, 100)), length(&logs_request(0, dropped.items)));
    assert!((rest - 10..=rest + 10).contains(&dropped.bytes), "{dropped:?} of {whole} bytes, {rest} expected");
}
