//! What disks, clocks and operators do to a server: it says so, acknowledges nothing that it cannot keep, and loses nothing that it
//! has acknowledged.

use spanmill_tests::{Client, Launched, ProcessSignal, Setup, Spanmill, get};

use crate::spans::{call, payload};

// While a server applies what an earlier one left, it says that it lives and is not ready, and why; told to stop then, it ends well
// and leaves everything to the next one.
#[tokio::test(flavor = "multi_thread")]
async fn health_is_answered_during_recovery() {
    const BATCHES: u64 = 100;
    const BATCH: u64 = 200;
    // So large that no checkpoint is taken: all of it is to be applied again.
    let setup = Setup { wal: "enabled: true, max_size: 4GiB", ..Setup::default() };
    let spanmill = Spanmill::start(&setup);
    let client = Client::grpc(spanmill.addresses);
    for batch in 0..BATCHES {
        let ids = batch * BATCH + 1..=(batch + 1) * BATCH;
        client.send(&payload(ids.map(|id| call(id, "gpt-4o")).collect())).await.unwrap();
    }
    let mut directory = spanmill.kill();
    for signal in [ProcessSignal::TERM, ProcessSignal::INT] {
        let launched = Launched::new(directory, &setup);
        let admin = launched.admin().await;
        let replaying = spanmill_tests::eventually("the log is replayed", async || {
            let answer = get(admin, "/readyz").await;
            assert_eq!(answer.status, 503, "{}", answer.text());
            Some(answer.text()).filter(|text| text.contains("replayed"))
        });
        let said = replaying.await;
        assert!(said.starts_with("starting: the log is replayed, record "), "{said}");
        assert_eq!(get(admin, "/livez").await.status, 200);
        assert_eq!(get(admin, "/api/errors").await.status, 503);
        launched.signal(signal);
        let stopped = launched.ended().succeeded();
        assert!(!stopped.log.contains("panicked"), "{}", stopped.log);
        directory = stopped.directory;
    }
    let spanmill = Spanmill::start_in(directory, &setup);
    assert_eq!(get(spanmill.addresses.admin, "/readyz").await.status, 200);
    assert_eq!(spanmill.counted(BATCHES * BATCH).await.requests, BATCHES * BATCH);
    let stopped = spanmill.stop();
    assert_eq!(spanmill_tests::rows(&stopped.archive()).len() as u64, BATCHES * BATCH);
}
