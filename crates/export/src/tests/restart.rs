//! What waits outlives the process.

use std::path::Path;

use super::*;

fn start_in(directory: &Path, destination: Destination) -> Exporter {
    let meter = SdkMeterProvider::default().meter("test");
    Exporter::spawn_with(destination, &meter, Some(directory.to_owned()), impatient()).unwrap()
}

// What was not answered for when the process ended is sent by the next one, byte for byte, once; and what the log makes again of the
// records up to there is not sent again.
#[tokio::test]
async fn unanswered_requests_are_sent_by_the_next_process() {
    let temporary = tempfile::tempdir().unwrap();
    let address = server::unused_address();
    let to = || destination(&format!("http://{address}"), Protocol::Grpc);
    let exporter = start_in(temporary.path(), to());
    assert!(exporter.offer(3, metrics(30)) && exporter.offer(3, logs(1, 2)) && exporter.offer(7, metrics(70)));
    eventually("an attempt", || counts(&exporter, Signal::Metrics).retries >= 1).await;
    // A killed process does no more than this.
    drop(exporter);

    let server = Server::start_at(Protocol::Grpc, address).await;
    let exporter = start_in(temporary.path(), to());
    assert!(exporter.offer(3, metrics(30)) && exporter.offer(3, logs(1, 2)) && exporter.offer(7, metrics(70)));
    exporter.offer(9, metrics(90));
    let stats = exporter.stats();
    exporter.shutdown(PATIENCE).await;
    let bodies: Vec<_> = server.received().into_iter().map(|request| request.body).collect();
    let expected = [
        metrics_request(&[30]).encode_to_vec(),
        logs_request(1, 2).encode_to_vec(),
        metrics_request(&[70]).encode_to_vec(),
        metrics_request(&[90]).encode_to_vec(),
    ];
    assert_eq!(bodies, expected);
    assert_eq!(stats.counts(Signal::Metrics), Counts { sent: 3, ..Counts::default() });

    let exporter = start_in(temporary.path(), to());
    assert!(exporter.offer(9, metrics(90)) && exporter.offer(10, metrics(100)));
    exporter.shutdown(PATIENCE).await;
    assert_eq!(server.received().last().unwrap().metric_values(), [100]);
    assert_eq!(server.received().len(), 5);
}

// Merged intervals outlive the process too; a shutdown without an answer drops nothing.
#[tokio::test]
async fn merged_intervals_are_kept() {
    let temporary = tempfile::tempdir().unwrap();
    let address = server::unused_address();
    let to = || destination(&format!("http://{address}"), Protocol::Grpc);
    let meter = SdkMeterProvider::default().meter("test");
    let limits = Limits { intervals: 2, ..impatient() };
    let exporter = Exporter::spawn_with(to(), &meter, Some(temporary.path().to_owned()), limits).unwrap();
    exporter.offer(1, metrics(1));
    eventually("an attempt", || counts(&exporter, Signal::Metrics).retries >= 1).await;
    (2..=6).for_each(|lsn| assert!(exporter.offer(lsn, metrics(lsn as i64))));
    let stats = exporter.stats();
    exporter.shutdown(Duration::from_millis(50)).await;
    assert_eq!(stats.counts(Signal::Metrics).dropped, 0);

    let server = Server::start_at(Protocol::Grpc, address).await;
    start_in(temporary.path(), to()).shutdown(PATIENCE).await;
    let values: Vec<_> = server.received().iter().map(|request| request.metric_values()).collect();
    assert_eq!(values, [[1], [2], [3 + 4 + 5 + 6]]);
}
