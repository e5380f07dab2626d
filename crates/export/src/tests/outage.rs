//! What happens while a destination is busy, silent or not there, and when Spanmill ends meanwhile.

use super::*;

// A destination that is busy for a while gets everything, in order and once.
#[tokio::test]
async fn transient_failures_are_retried_in_order() {
    for protocol in PROTOCOLS {
        let server = Server::start(protocol).await;
        server.answer_next([Answer::Busy, Answer::Busy, Answer::Ok, Answer::Busy]);
        let exporter = start(destination(&server.endpoint, protocol), impatient());
        (1..=3).for_each(|value| assert!(exporter.offer(0, metrics(value))));
        let stats = exporter.stats();
        exporter.shutdown(PATIENCE).await;
        let order: Vec<_> = server.received().iter().map(|request| request.metric_values()).collect();
        assert_eq!(order, [[1], [1], [1], [2], [2], [3]], "{protocol:?}");
        assert_eq!(stats.counts(Signal::Metrics), Counts { sent: 3, retries: 3, ..Counts::default() });
    }
}

// A destination that says when to come again is not asked any sooner.
#[tokio::test]
async fn busy_destinations_are_given_their_time() {
    for protocol in PROTOCOLS {
        let server = Server::start(protocol).await;
        server.answer_next([Answer::BusyFor(1)]);
        let exporter = start(destination(&server.endpoint, protocol), impatient());
        let start = std::time::Instant::now();
        exporter.offer(0, metrics(1));
        eventually("delivery", || counts(&exporter, Signal::Metrics).sent == 1).await;
        assert!(start.elapsed() >= Duration::from_secs(1), "{protocol:?} {:?}", start.elapsed());
        assert_eq!(server.received().len(), 2);
    }
}

// A request that may not be tried for ever is given up and counted, and the next one is delivered when the destination is back.
#[tokio::test]
async fn requests_are_given_up() {
    let address = server::unused_address();
    let retry = Retry {
        initial_interval: Duration::from_millis(5),
        max_interval: Duration::from_millis(5),
        max_elapsed_time: Some(Duration::from_millis(100)),
    };
    let down = destination(&format!("http://{address}"), Protocol::Grpc);
    let exporter = start(down, Limits { backoff: Backoff::new(retry), ..Limits::default() });
    exporter.offer(0, logs(1, 3));
    eventually("the first is given up", || counts(&exporter, Signal::Logs).dropped == 3).await;
    assert!(counts(&exporter, Signal::Logs).retries >= 2);
    let server = Server::start_at(Protocol::Grpc, address).await;
    exporter.offer(0, logs(4, 2));
    eventually("the second is delivered", || counts(&exporter, Signal::Logs).sent == 2).await;
    assert_eq!(server.received()[0].log_times(), [4, 5]);
}

// A destination that cuts every connection in the middle of a request gets it when it is well again.
#[tokio::test]
async fn broken_connections_are_made_anew() {
    for protocol in PROTOCOLS {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cutter = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                connection.readable().await.unwrap();
            }
        });
        let exporter = start(destination(&format!("http://{address}"), protocol), impatient());
        exporter.offer(0, logs(1, 2));
        eventually("cut connections", || counts(&exporter, Signal::Logs).retries >= 3).await;
        cutter.abort();
        let server = Server::start_at(protocol, address).await;
        eventually("delivery", || counts(&exporter, Signal::Logs).sent == 2).await;
        assert_eq!(server.received().len(), 1, "{protocol:?}");
    }
}

// Started before its destination, the exporter delivers once it is there; and again after the destination was gone.
#[tokio::test]
async fn survives_an_absent_destination() {
    for protocol in PROTOCOLS {
        let address = server::unused_address();
        let exporter = start(destination(&format!("http://{address}"), protocol), impatient());
        exporter.offer(0, metrics(1));
        eventually("retries", || counts(&exporter, Signal::Metrics).retries >= 2).await;

        let server = Server::start_at(protocol, address).await;
        eventually("first delivery", || counts(&exporter, Signal::Metrics).sent == 1).await;
        drop(server);

        let retries = counts(&exporter, Signal::Metrics).retries;
        exporter.offer(0, metrics(2));
        eventually("more retries", || counts(&exporter, Signal::Metrics).retries > retries).await;
        let server = Server::start_at(protocol, address).await;
        eventually("second delivery", || counts(&exporter, Signal::Metrics).sent == 2).await;
        assert_eq!(server.received()[0].metric_values(), [2]);
    }
}

// A destination that takes requests and never answers is given up on in time and tried again.
#[tokio::test]
async fn silence_is_a_failure() {
    for protocol in PROTOCOLS {
        let server = Server::start(protocol).await;
        server.answer_next([Answer::Silence]);
        let timeout = Duration::from_millis(300);
        let exporter = start(Destination { timeout, ..destination(&server.endpoint, protocol) }, impatient());
        exporter.offer(0, metrics(1));
        eventually("delivery", || counts(&exporter, Signal::Metrics).sent == 1).await;
        assert!(counts(&exporter, Signal::Metrics).retries >= 1);
    }
}

// While a destination is down, the newest cumulative request takes the place of older ones, and they are not sent later.
#[tokio::test]
async fn cumulative_requests_do_not_pile_up() {
    for protocol in PROTOCOLS {
        let address = server::unused_address();
        let cumulative =
            Destination { temporality: Temporality::Cumulative, ..destination(&format!("http://{address}"), protocol) };
        let exporter = start(cumulative, impatient());
        exporter.offer(0, metrics(1));
        eventually("retries", || counts(&exporter, Signal::Metrics).retries >= 1).await;
        (2..=5).for_each(|value| assert!(exporter.offer(0, metrics(value))));
        eventually("superseded", || counts(&exporter, Signal::Metrics).superseded == 4).await;

        let server = Server::start_at(protocol, address).await;
        eventually("delivery", || counts(&exporter, Signal::Metrics).sent == 1).await;
        exporter.shutdown(PATIENCE).await;
        let values: Vec<_> = server.received().iter().map(|request| request.metric_values()).collect();
        assert_eq!(values, [[5]]);
    }
}

// Delta requests beyond the bound of the queue become one, and every item is delivered; logs beyond it are dropped, oldest first, and every
// item is accounted for.
#[tokio::test]
async fn queue_is_bounded() {
    let address = server::unused_address();
    let capacity = Capacity { bytes: usize::MAX, requests: 3, stored: usize::MAX };
    let exporter =
        start(destination(&format!("http://{address}"), Protocol::HttpProtobuf), Limits { capacity, ..impatient() });
    exporter.offer(0, metrics(1));
    eventually("the first is under way", || counts(&exporter, Signal::Metrics).retries >= 1).await;
    (2..=9).for_each(|value| assert!(exporter.offer(0, metrics(value))));
    (10..=14).for_each(|record| assert!(exporter.offer(0, logs(record, 1))));
    assert_eq!((counts(&exporter, Signal::Metrics).dropped, counts(&exporter, Signal::Logs).dropped), (0, 5));

    let server = Server::start_at(Protocol::HttpProtobuf, address).await;
    eventually("delivery", || counts(&exporter, Signal::Metrics).sent == 4).await;
    let values: Vec<_> = server.received().iter().map(|request| request.metric_values()).collect();
    assert_eq!(values, [[1], [2], [3], [4 + 5 + 6 + 7 + 8 + 9]]);
}

// With `when_full: block` nobody who offers logs waits for a destination, not even beyond the bound of the queue: it tells that it is full,
// until there is room, and nothing is dropped.
#[tokio::test]
async fn a_full_queue_blocks_nobody() {
    let address = server::unused_address();
    let capacity = Capacity { bytes: usize::MAX, requests: 2, stored: usize::MAX };
    let blocking =
        Destination { when_full: WhenFull::Block, ..destination(&format!("http://{address}"), Protocol::HttpProtobuf) };
    let exporter = start(blocking, Limits { capacity, ..impatient() });
    exporter.offer(0, logs(1, 1));
    eventually("the first is under way", || counts(&exporter, Signal::Logs).retries >= 1).await;
    assert!(!exporter.backlog().is_full());
    (2..=20).for_each(|record| assert!(exporter.offer(0, logs(record, 1))));
    assert!(exporter.backlog().is_full());

    let server = Server::start_at(Protocol::HttpProtobuf, address).await;
    eventually("delivery", || counts(&exporter, Signal::Logs).sent == 20).await;
    assert!(!exporter.backlog().is_full());
    assert_eq!((server.received().len(), counts(&exporter, Signal::Logs).dropped), (20, 0));
}

// A shutdown does not wait for a destination that is down beyond its deadline, even in a long pause, and counts what is
// left; one without a deadline, a dropped exporter, ends its task.
#[tokio::test]
async fn shutdown_keeps_its_deadline() {
    let patient =
        || Limits { backoff: every(Duration::from_secs(3600), Duration::from_secs(3600)), ..Limits::default() };
    let down = || destination(&format!("http://{}", server::unused_address()), Protocol::Grpc);
    let exporter = start(down(), patient());
    let stats = exporter.stats();
    exporter.offer(0, metrics(1));
    exporter.offer(0, logs(1, 4));
    eventually("the first attempt", || stats.counts(Signal::Metrics).retries == 1).await;
    tokio::time::timeout(PATIENCE, exporter.shutdown(Duration::from_millis(200))).await.unwrap();
    assert_eq!(stats.counts(Signal::Metrics), Counts { dropped: 1, retries: 2, ..Counts::default() });
    assert_eq!(stats.counts(Signal::Logs), Counts { dropped: 4, ..Counts::default() });

    let abandoned = start(down(), patient());
    let abandoned_stats = abandoned.stats();
    abandoned.offer(0, logs(1, 2));
    drop(abandoned);
    eventually("the task ends", || abandoned_stats.counts(Signal::Logs).dropped == 2).await;
}

// The beginning of a shutdown ends a long pause, so what waits is delivered if the destination is back.
#[tokio::test]
async fn shutdown_tries_once_more() {
    let server = Server::start(Protocol::Grpc).await;
    server.answer_next([Answer::Busy]);
    let backoff = every(Duration::from_secs(3600), Duration::from_secs(3600));
    let exporter = start(destination(&server.endpoint, Protocol::Grpc), Limits { backoff, ..Limits::default() });
    let stats = exporter.stats();
    exporter.offer(0, metrics(1));
    eventually("the first attempt", || stats.counts(Signal::Metrics).retries == 1).await;
    exporter.shutdown(PATIENCE).await;
    assert_eq!(stats.counts(Signal::Metrics).sent, 1);
}
