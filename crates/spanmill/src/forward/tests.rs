//! What a destination gets of the log, and from where on.

use export::{Compression, Destination, Histograms, Profile, Protocol, Retry, Temporality, Tls};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;

use super::*;

fn exporter(max_request_size: usize, outbox: Option<&Path>) -> Exporter {
    let destination = Destination {
        name: "otlp/test".to_owned(),
        endpoint: "http://127.0.0.1:1".to_owned(),
        appends_path: true,
        protocol: Protocol::Grpc,
        headers: Vec::new(),
        tls: Tls::default(),
        retry: Retry::default(),
        compression: Compression::None,
        timeout: Duration::from_secs(1),
        profile: Profile::Default,
        max_request_size,
        temporality: Temporality::Delta,
        histograms: Histograms::Explicit,
        metrics: true,
        logs: true,
        traces: true,
        when_full: WhenFull::Block,
        replaced_metrics: Vec::new(),
    };
    let meter = SdkMeterProvider::default().meter("test");
    Exporter::spawn(destination, &meter, outbox.map(Path::to_owned)).unwrap()
}

/// A log in memory, and what keeps its records there.
fn log() -> (Log<LogRecord>, wal::Reader<LogRecord>) {
    Log::in_memory(wal::Memory::up_to(64 << 20), || 1)
}

fn append(log: &Log<LogRecord>, requests: usize) {
    for _ in 0..requests {
        log.append_blocking(LogRecord::Logs(Bytes::from_static(b"\n\0"))).unwrap();
    }
}

// However small requests are, no more of them go as one than cost little memory.
#[tokio::test]
async fn batches_are_bounded() {
    for (max_request_size, expected) in [(4 << 20, [1024, 1024, 952]), (25_800, [100, 100, 100])] {
        let (log, _reader) = log();
        let exporter = exporter(max_request_size, None);
        let mut forwarding = Forwarding::new(&exporter, &log, None, None).unwrap();
        append(&log, 3_000);
        let mut batches = || {
            let batch = forwarding.next_batch().unwrap();
            (batch.bodies.len(), batch.through)
        };
        let mut through = 0;
        for requests in expected {
            through += requests as Lsn;
            assert_eq!(batches(), (requests, through));
        }
    }
}

// A destination that is new stays so until its place is noted, whatever a start that failed has left of it: it gets none of the old log.
#[tokio::test]
async fn a_start_that_fails_makes_nothing_old() {
    let temporary = tempfile::tempdir().unwrap();
    let (outbox, places) = (temporary.path().join("outbox"), temporary.path().join("places"));
    let (log, _reader) = log();
    append(&log, 5);
    drop(exporter(1_000, Some(&outbox)));
    assert!(outbox.exists() && !is_placed(Some(&places), "otlp/test"));

    let start = || Forwarding::new(&exporter(1_000, Some(&outbox)), &log, Some(places.clone()), None).unwrap();
    assert_eq!(start().position().1.get(), 5);
    append(&log, 2);
    assert!(is_placed(Some(&places), "otlp/test"));
    assert_eq!(start().position().1.get(), 5, "what came since is owed");
}
