//! What would use memory up: bombs, and more models than there can be. Memory stays flat and totals stay right.

use spanmill_tests::{
    Backend, Client, Compression, Destination, Setup, Signal, Totals, grpc_call, grpc_frame, post, rows,
};
use tonic::Code;

use crate::bad_input::Target;
use crate::spans::{call, payload};

const MIB: u64 = 1 << 20;

// A few KiB that inflate beyond the limit are refused as too large, and cost no more than the limit while they are.
#[tokio::test(flavor = "multi_thread")]
async fn bombs() {
    let mut target = Target::start(&Setup::default());
    let addresses = target.spanmill.addresses;
    let zeros = vec![0; (64 << 20) + 1];
    for compression in [Compression::Gzip, Compression::Zstd] {
        let bomb = compression.compress(&zeros);
        assert!(bomb.len() < 100_000, "{compression:?}: {} bytes", bomb.len());
        let encoding = compression.name().unwrap();
        let headers = [("content-type", "application/x-protobuf"), ("content-encoding", encoding)];
        let answer = post(addresses.http, Signal::Traces.http_path(), &headers, bomb.clone()).await;
        assert_eq!(answer.status, 413, "{compression:?}");
        let frame = grpc_frame(true, &bomb);
        let answer = grpc_call(addresses.grpc, Signal::Traces.grpc_path(), &[("grpc-encoding", encoding)], frame).await;
        assert_eq!(answer.grpc_code(), Code::ResourceExhausted, "{compression:?}");
        target.still_works().await;
    }
    let peak = target.spanmill.memory("VmHWM") / MIB;
    // 30 of it are the indexes of calls and retries, which lie in large pages from the first span on.
    assert!(peak < 290, "{peak} MiB");
    let held = target.spanmill.sample("spanmill_receiver_memory", &[]).await;
    assert!(held < MIB, "{held} bytes are held of what was refused");
    target.spanmill.stop();
}

// 100,000 distinct models end in the overflow series: every total is still right, and more of them cost next to nothing.
#[tokio::test(flavor = "multi_thread")]
async fn more_models_than_series() {
    const WAVES: [u64; 2] = [100_000, 30_000];
    const BATCH: u64 = 1_000;
    let backend = Backend::grpc().await;
    // What is held is asked for, and not what the allocator keeps for later.
    let environment = vec![("MIMALLOC_PURGE_DELAY", "20".to_owned())];
    let target = Target::start(&Setup { environment, ..Setup::with(Destination::grpc(&backend)) });
    let client = Client::grpc(target.spanmill.addresses);
    let mut sent = 0;
    let mut peaks = Vec::new();
    for wave in WAVES {
        let end = sent + wave;
        while sent < end {
            let ids = sent + 1..=sent + BATCH;
            client.send(&payload(ids.map(|id| call(id, &format!("model-{id}"))).collect())).await.unwrap();
            sent += BATCH;
        }
        let memory = target.spanmill.memory("VmRSS") / MIB;
        assert!(memory < 400, "{memory} MiB after {sent} models");
        let counted = target.spanmill.counted(sent).await;
        assert_eq!((counted.requests, counted.errors), (sent, 0));
        assert_eq!((counted.tokens.input, counted.tokens.output), (10 * sent, 5 * sent));
        assert!(counted.by_model.len() <= 10_001, "{} series", counted.by_model.len());
        peaks.push(target.spanmill.memory("VmHWM") / MIB);
    }
    // Most of this is the page of /metrics: 137 MiB with 10,000 series.
    // A page more or less may be made at once.
    assert!(peaks[0] < 800 && peaks[1] < peaks[0] + 150, "{peaks:?} MiB");

    let stopped = target.spanmill.stop();
    let archived = Totals::from_rows(&rows(&stopped.archive()));
    let received = backend.received().totals();
    assert_eq!(archived.requests, sent);
    assert_eq!((received.requests, received.tokens), (archived.requests, archived.tokens));
}
