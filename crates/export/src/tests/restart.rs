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

// What the disk refuses to read for a moment is sent when it does not; what it refuses for longer is counted, and left for the next process.
#[tokio::test]
async fn what_cannot_be_read_is_not_lost() {
    let temporary = tempfile::tempdir().unwrap();
    let server = Server::start(Protocol::Grpc).await;
    let nowhere = destination(&format!("http://{}", server::unused_address()), Protocol::Grpc);
    let exporter = start_in(temporary.path(), nowhere);
    assert!(exporter.offer(1, metrics(1)) && exporter.offer(2, logs(1, 3)));
    eventually("an attempt", || counts(&exporter, Signal::Metrics).retries >= 1).await;
    drop(exporter);
    let mut files: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let aside = tempfile::tempdir().unwrap();
    let away = |file: &Path| aside.path().join(file.file_name().unwrap());
    // A directory of that name is found at the start, and cannot be read.
    for file in &files {
        std::fs::rename(file, away(file)).unwrap();
        std::fs::create_dir(file).unwrap();
    }
    let back = |file: &Path| {
        std::fs::remove_dir(file).unwrap();
        std::fs::rename(away(file), file).unwrap();
    };

    let to = || destination(&server.endpoint, Protocol::Grpc);
    let meter = SdkMeterProvider::default().meter("test");
    let limits = Limits { read_again: Duration::from_millis(300), ..impatient() };
    let exporter = Exporter::spawn_with(to(), &meter, Some(temporary.path().to_owned()), limits).unwrap();
    eventually("a read that fails", || counts(&exporter, Signal::Metrics).retries == 1).await;
    back(&files[0]);
    eventually("a request is given up", || counts(&exporter, Signal::Logs).dropped == 3).await;
    assert_eq!(counts(&exporter, Signal::Metrics).sent, 1);
    exporter.shutdown(PATIENCE).await;
    back(&files[1]);

    let exporter = start_in(temporary.path(), to());
    eventually("the next process sends it", || counts(&exporter, Signal::Logs).sent == 3).await;
    assert_eq!(server.received().len(), 2);
}

// Of a request that is sent in pieces, a process that comes after a kill sends none that was answered for.
#[tokio::test]
async fn answered_pieces_are_not_sent_again() {
    for protocol in PROTOCOLS {
        let temporary = tempfile::tempdir().unwrap();
        let server = Server::start(protocol).await;
        server.answer_next([Answer::Ok, Answer::Refused, Answer::Silence]);
        let whole = metrics_request(&(1..=8).collect::<Vec<_>>());
        let max_request_size = whole.encoded_len() / 2;
        let to = || Destination { timeout: PATIENCE, max_request_size, ..destination(&server.endpoint, protocol) };
        let exporter = start_in(temporary.path(), to());
        assert!(exporter.offer(3, Outgoing::Metrics(Arc::new(whole))) && exporter.offer(4, metrics(9)));
        eventually("two pieces answered for, one on its way", || server.received().len() == 3).await;
        drop(exporter);

        let exporter = start_in(temporary.path(), to());
        let stats = exporter.stats();
        exporter.shutdown(PATIENCE).await;
        let values: Vec<_> = server.received().iter().map(Received::metric_values).collect();
        let (answered, again) = (values[..2].concat(), values[3..].concat());
        assert_eq!([answered.clone(), again].concat(), (1..=9).collect::<Vec<_>>(), "{protocol:?}: {values:?}");
        assert_eq!(stats.counts(Signal::Metrics).sent, 9 - answered.len() as u64, "{protocol:?}");
    }
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

// A shutdown waits no longer than it is given for a destination that takes requests and never answers, and drops nothing that is
// stored, not even what was on its way: the next process sends all of it.
#[tokio::test]
async fn a_shutdown_keeps_what_is_stored() {
    let temporary = tempfile::tempdir().unwrap();
    let server = Server::start(Protocol::Grpc).await;
    server.answer_next([Answer::Silence]);
    let to = || Destination { timeout: PATIENCE, ..destination(&server.endpoint, Protocol::Grpc) };
    let exporter = start_in(temporary.path(), to());
    assert!(exporter.offer(1, logs(1, 3)) && exporter.offer(2, logs(4, 2)) && exporter.offer(3, metrics(1)));
    eventually("a request on its way", || server.received().len() == 1).await;
    let stats = exporter.stats();
    let begun = std::time::Instant::now();
    exporter.shutdown(Duration::from_millis(200)).await;
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    assert_eq!(stats.counts(Signal::Logs), Counts::default());
    assert_eq!(stats.counts(Signal::Metrics), Counts::default());

    let exporter = start_in(temporary.path(), to());
    let stats = exporter.stats();
    exporter.shutdown(PATIENCE).await;
    assert_eq!((stats.counts(Signal::Logs).sent, stats.counts(Signal::Metrics).sent), (5, 1));
    let bodies: Vec<_> = server.received().into_iter().skip(1).map(|request| request.body).collect();
    let expected =
        [logs_request(1, 3).encode_to_vec(), logs_request(4, 2).encode_to_vec(), metrics_request(&[1]).encode_to_vec()];
    assert_eq!(bodies, expected);
}

// What the disk does not take is waited for: until it does, or until the end, and then neither it nor anything behind it is taken for
// safe. Nothing of it is counted as dropped, as the next process makes it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_nothing_is_waited_for() {
    let temporary = tempfile::tempdir().unwrap();
    let address = server::unused_address();
    // One each: what was stored before its directory went is lost, and may be counted so.
    let start = |name: &str| {
        let directory = temporary.path().join(name);
        let exporter = start_in(&directory, destination(&format!("http://{address}"), Protocol::Grpc));
        std::fs::remove_dir_all(&directory).unwrap();
        (directory, Arc::new(exporter))
    };
    let offer = |exporter: &Arc<Exporter>| {
        let exporter = Arc::clone(exporter);
        std::thread::spawn(move || exporter.offer(1, logs(1, 3)))
    };
    let (directory, exporter) = start("for-a-while");
    let offering = offer(&exporter);
    std::fs::create_dir_all(&directory).unwrap();
    assert!(offering.join().unwrap());

    let (directory, exporter) = start("to-the-end");
    let offering = offer(&exporter);
    exporter.stop_waiting();
    assert!(!offering.join().unwrap());
    std::fs::create_dir_all(&directory).unwrap();
    assert!(!exporter.offer(2, logs(4, 1)), "what is behind it would hide it from the next process");
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
    assert_eq!(counts(&exporter, Signal::Logs).dropped, 0);
}
