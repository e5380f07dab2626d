//! What was acknowledged is counted once and archived once, whatever becomes of the process.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use spanmill_tests::{
    Backend, Client, Destination, Launched, Setup, Spanmill, Totals, complete_files, corpus, death_at, eventually, rows,
};
use tempfile::TempDir;

use crate::load::Load;
use crate::spans::{call, payload, text};

fn durable() -> Setup {
    // As small as it may be: checkpoints are taken often.
    Setup { wal: "enabled: true, max_size: 64MiB", ..Setup::default() }
}

/// The same with a log that is compressed.
fn compressed(setup: &Setup) -> Setup {
    Setup { wal: "enabled: true, max_size: 64MiB, compression: zstd(1)", ..setup.clone() }
}

/// Starts again in what was left.
fn again(directory: TempDir, setup: &Setup) -> Spanmill {
    Spanmill::start_in(directory, setup)
}

// Killed right after its last acknowledgement, a server counts everything on, once, and archives every span once; what clients
// send again after that adds nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_counts_on() {
    let clients = corpus();
    let client = clients.iter().find(|client| client.name == "openinference-old").unwrap();
    let mut spanmill = Spanmill::start(&durable());
    for _ in 0..2 {
        let sender = Client::grpc(spanmill.addresses);
        for payload in &client.payloads {
            sender.send(payload).await.unwrap();
        }
        spanmill = again(spanmill.kill(), &durable());
    }
    let expected = &client.truth.expected;
    let counted = spanmill.counted(expected.requests).await;
    assert_eq!(
        (counted.requests, counted.errors, counted.tokens),
        (expected.requests, expected.errors, expected.tokens)
    );
    // It was counted before this: a clean stop and another start change nothing.
    let stopped = spanmill.stop();
    let spanmill = again(stopped.directory, &durable());
    assert_eq!(spanmill.totals().await.requests, expected.requests);

    let stopped = spanmill.stop();
    let archived = rows(&stopped.archive());
    let unique: BTreeSet<(&str, &str)> = archived.iter().map(|row| (&*row.trace_id, &*row.span_id)).collect();
    assert_eq!(unique.len(), archived.len(), "a span was archived twice");
    assert_eq!(Totals::from_rows(&archived).requests, expected.requests);
}

/// A span of usual size; every tenth is of a tool, which is not a call: only its content tells whether it was sent before.
fn span(id: u64) -> Span {
    let mut noise = fastrand::Rng::with_seed(id);
    let note: String = std::iter::repeat_with(|| noise.alphanumeric()).take(600).collect();
    let mut span = call(id, "gpt-4o");
    if id.is_multiple_of(10) {
        span.attributes = vec![text("gen_ai.operation.name", "execute_tool")];
    }
    span.attributes.push(text("note", &note));
    span
}

/// Where a server dies: at any moment, or at a step of what it does with files that have a word in their path: the first, or up to so many
/// later.
const DEATHS: [Option<(&str, u32)>; 5] = [
    None,
    Some(("/checkpoint-", 4)),
    Some(("/archive/", 8)),
    Some(("/outbox/", 6)),
    // The switch from one segment to the next.
    Some((".wal", 4)),
];

/// How often the server is killed: `SPANMILL_KILLS`, or 20.
fn kills() -> u64 {
    std::env::var("SPANMILL_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(20)
}

// Killed again and again, at any moment and in the middle of a checkpoint, a file of the archive, an export and the switch to another segment of the
// log, while clients send and retry what was not acknowledged, a server ends with every span counted
// once and archived once: nothing lost, nothing twice. Deltas add up to the same, and every span was handed on. A file of the archive that was
// complete at a kill is so in the end, byte for byte, whether or not it had its name.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_twice() {
    const CLIENTS: usize = 4;
    const BATCH: u64 = 50;
    const PACE: Duration = Duration::from_millis(20);
    let (backend, deltas) = (Backend::grpc().await, Backend::grpc().await);
    let with_traces = Destination { temporality: "delta", signals: "traces, metrics", ..Destination::grpc(&deltas) };
    let setup = Setup {
        interval: "1s",
        archive_age: "1s",
        settle_wait: "100ms",
        destinations: vec![Destination::grpc(&backend), with_traces],
        ..durable()
    };
    let with_compression = compressed(&setup);
    let load = Load::new(BATCH, span);
    let mut directory = tempfile::tempdir().unwrap();
    let mut complete = BTreeMap::new();
    let mut died = [0; DEATHS.len()];
    for kill in 0..kills() {
        let mut rng = fastrand::Rng::with_seed(kill);
        let way = kill as usize % DEATHS.len();
        // What one life has compressed the next one reads, and goes on without.
        let setup = if kill % 2 == 0 { &setup } else { &with_compression };
        let environment = DEATHS[way].map(|(word, steps)| death_at(rng.u32(1..=steps), word)).unwrap_or_default();
        let is_mortal = !environment.is_empty();
        let launched = Launched::new(directory, &Setup { environment, ..setup.clone() });
        let (has_died, left) = match launched.listening_or_ended() {
            Err(stopped) => (true, stopped.killed().directory),
            Ok(spanmill) => {
                let mut clients = tokio::spawn(load.start_paced(spanmill.addresses, CLIENTS, PACE).join_all());
                // Not a wait for anything: the moment of the kill, from before the first answer to after some files were published.
                let moment = Duration::from_millis(if is_mortal { 15_000 } else { rng.u64(5..2_500) });
                if let Ok(clients) = tokio::time::timeout(moment, &mut clients).await {
                    clients.unwrap();
                    (true, spanmill.killed())
                } else {
                    let left = spanmill.kill();
                    clients.await.unwrap();
                    (false, left)
                }
            }
        };
        assert!(is_mortal || !has_died, "it has died by itself");
        died[way] += u64::from(has_died || !is_mortal);
        directory = left;
        complete.extend(complete_files(&directory.path().join("archive")));
    }
    println!("{died:?} times killed at {DEATHS:?}");
    assert!(kills() < 20 || died.iter().all(|times| *times > 0));
    let spanmill = again(directory, &setup);
    load.finish(spanmill.addresses).await;
    let sent = load.acknowledged();
    let calls = sent / 10 * 9;
    let counted = spanmill.counted(calls).await;
    assert_eq!((counted.requests, counted.tokens.input, counted.tokens.output), (calls, 10 * calls, 5 * calls));
    let received = eventually("everything at the destination", async || {
        Some(backend.received().totals()).filter(|totals| totals.requests >= calls)
    });
    let received = received.await;
    assert_eq!((received.requests, received.tokens), (counted.requests, counted.tokens));
    let reached = async |labels: &[_]| spanmill.sample("spanmill_wal_lsn", labels).await;
    let last = reached(&[("cursor", "safe")]).await;
    let forwarded = [("cursor", "forwarded"), ("destination", "otlp/backend1")];
    let mut come = 0;
    while come < last {
        // All of it takes as long as it takes; it must not stand still.
        let further =
            eventually("more spans handed on", async || Some(reached(&forwarded).await).filter(|lsn| *lsn > come));
        come = further.await;
    }

    let stopped = spanmill.stop();
    // A delta whose answer was lost came again, byte for byte; a span whose answer was lost may have come again.
    let mut received = deltas.received();
    let (mut seen, requests) = (BTreeSet::new(), received.metrics.len());
    received.metrics.retain(|request| seen.insert(request.encode_to_vec()));
    assert!(requests - received.metrics.len() <= kills() as usize, "more came again than was on its way at a kill");
    let summed = received.totals();
    assert_eq!((summed.requests, summed.tokens), (counted.requests, counted.tokens));
    let handed_on: BTreeSet<Vec<u8>> = received.spans().into_iter().map(|span| span.span_id).collect();
    assert_eq!(handed_on.len() as u64, sent);

    let archived = rows(&stopped.archive());
    let unique: BTreeSet<&str> = archived.iter().map(|row| &*row.span_id).collect();
    assert_eq!((archived.len() as u64, unique.len() as u64), (sent, sent));
    let published = complete_files(&stopped.archive());
    for (range, bytes) in complete {
        assert!(published.get(&range) == Some(&bytes), "another file than requests {range:?}: {:?}", published.keys());
    }
}

// A compressed log takes a part of what was sent, and a killed server counts on from it.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_may_be_compressed() {
    const CALLS: u64 = 100;
    let setup = compressed(&durable());
    let spanmill = Spanmill::start(&setup);
    let prompt = text("gen_ai.input.messages", &"What a span says. ".repeat(5_000));
    let client = Client::grpc(spanmill.addresses);
    for id in 1..=CALLS {
        let mut span = call(id, "gpt-4o");
        span.attributes.push(prompt.clone());
        client.send(&payload(vec![span])).await.unwrap();
    }
    let size = spanmill.sample("spanmill_wal_size", &[("in", "disk")]).await;
    assert!((1_000..9_000_000 / 10).contains(&size), "{size} bytes of 9 MB");
    let spanmill = again(spanmill.kill(), &durable());
    assert_eq!(spanmill.counted(CALLS).await.requests, CALLS);
}
