//! Power that fails: of what is kept beside the log (archive, outboxes, outcomes, places) nothing is left but what was synced, and nothing
//! is lost by that, nor there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::path::Path;

use opentelemetry_proto::tonic::trace::v1::{Span, Status, status::StatusCode};
use prost::Message;
use spanmill_tests::{
    Addresses, Backend, Client, Destination, Fault, Launched, Payload, Power, Row, Setup, Spanmill, Switch,
    complete_files, eventually, rows,
};
use tempfile::TempDir;
use walkdir::WalkDir;

use crate::spans::{call, payload, text};

/// With a destination of everything.
fn setup(address: SocketAddr, backend: &Backend) -> Setup {
    let signals = "traces, metrics, logs";
    let destination = Destination { address, temporality: "delta", signals, ..Destination::grpc(backend) };
    Setup {
        wal: "enabled: true, max_size: 64MiB",
        interval: "1s",
        archive_age: "1s",
        settle_wait: "10ms",
        forward: "enrich: true",
        ..Setup::with(destination)
    }
}

/// Calls that failed, each in a request of about `size` bytes.
fn requests(ids: Range<u64>, size: usize) -> Vec<Payload> {
    let failed = |id| {
        let status = Some(Status { code: StatusCode::Error as i32, message: "rate limit".to_owned() });
        let mut span = Span { status, ..call(id, "gpt-4o") };
        span.attributes.push(text("padding", &"x".repeat(size)));
        payload(vec![span])
    };
    ids.map(failed).collect()
}

/// What is archived, taken away by somebody who reads it elsewhere.
fn take_archived(directory: &Path) -> Vec<Row> {
    let archive = directory.join("archive");
    let found = rows(&archive);
    std::fs::remove_dir_all(archive.join("spans")).unwrap();
    found
}

/// Ends a server that has counted every call once, archived it once (some of it was taken away), and told the destination, with its
/// outcome on its span. There, a request whose answer was lost may have come again, byte for byte. Gives what it leaves.
async fn is_exact(spanmill: Spanmill, calls: u64, mut archived: Vec<Row>, backend: Backend) -> TempDir {
    let counted = spanmill.counted(calls).await;
    assert_eq!((counted.requests, counted.errors), (calls, calls));
    let told = || {
        let mut received = backend.received();
        let mut seen = BTreeSet::new();
        received.metrics.retain(|request| seen.insert(request.encode_to_vec()));
        let errors: BTreeSet<_> = received.error_records().map(|record| record.span_id.clone()).collect();
        (received.totals().requests, errors.len() as u64)
    };
    eventually("everything at the destination", async || {
        let (requests, errors) = told();
        (requests >= calls && errors >= calls).then_some(())
    })
    .await;
    let stopped = spanmill.stop();
    archived.extend(rows(&stopped.archive()));
    let unique: BTreeSet<&str> = archived.iter().map(|row| &*row.span_id).collect();
    assert_eq!((archived.len() as u64, unique.len() as u64), (calls, calls), "archived, and different ones of them");
    assert_eq!(told(), (calls, calls), "at the destination");
    let spans = backend.received().spans();
    let ids: BTreeSet<&[u8]> = spans.iter().map(|span| &*span.span_id).collect();
    assert_eq!(ids.len() as u64, calls, "spans at the destination");
    let outcome = text("spanmill.outcome", "counted");
    assert!(spans.iter().all(|span| span.attributes.contains(&outcome)), "a span without its outcome");
    stopped.directory
}

/// How many files of an archive have their names.
fn names(directory: &TempDir) -> usize {
    let files = WalkDir::new(directory.path().join("archive")).into_iter().filter_map(Result::ok);
    files.filter(|entry| entry.file_type().is_file() && !entry.file_name().as_encoded_bytes().starts_with(b".")).count()
}

/// The files of an archive that a server has completed, to the last one that has no name yet.
fn completed(directory: &TempDir) -> BTreeMap<(u64, u64), Vec<u8>> {
    let archive = directory.path().join("archive");
    if archive.exists() { complete_files(&archive) } else { BTreeMap::new() }
}

fn has_checkpoint(directory: &Path) -> bool {
    let mut names = std::fs::read_dir(directory.join("data")).unwrap().map(|entry| entry.unwrap().file_name());
    names.any(|name| name.to_str().is_some_and(|name| name.starts_with("checkpoint-") && !name.ends_with(".tmp")))
}

// Power fails before any checkpoint and then behind one, while the destination is not there and what is archived is taken away: all that the
// log does not hold any more is where it was put.
#[tokio::test(flavor = "multi_thread")]
async fn what_left_the_log_outlives_a_power_failure() {
    const CALLS: u64 = 5;
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let setup = setup(address, &Backend::grpc().await);
    let Some(clock) = Switch::of(Fault::Clock) else { return };
    let (mut directory, mut archived) = (tempfile::tempdir().unwrap(), Vec::new());
    for is_checkpoint_due in [false, true] {
        let Some(power) = Power::of(directory.path()) else { return };
        let environment = [power.environment(), clock.environment()].concat();
        let spanmill = Spanmill::start_in(directory, &Setup { environment, ..setup.clone() });
        let first = if is_checkpoint_due { CALLS + 1 } else { 1 };
        let mut unsent = requests(first..first + CALLS, 10);
        let last = unsent.split_off(CALLS as usize - 1);
        send(spanmill.addresses, &mut unsent).await;
        spanmill.counted(first + CALLS - 2).await;
        if is_checkpoint_due {
            clock.set(40);
        }
        send(spanmill.addresses, &mut { last }).await;
        spanmill.counted(first + CALLS - 1).await;
        eventually("what the log need not hold any more", async || match is_checkpoint_due {
            false => (spanmill.sample("spanmill_archive_rows", &[]).await == CALLS).then_some(()),
            true => has_checkpoint(spanmill.directory()).then_some(()),
        })
        .await;
        directory = power.cut(spanmill.kill());
        archived.extend(take_archived(directory.path()));
    }
    let spanmill = Spanmill::start_in(directory, &Setup { environment: clock.environment(), ..setup });
    is_exact(spanmill, 2 * CALLS, archived, Backend::grpc_at(address).await).await;
}

/// Sends what is not acknowledged yet, for as long as somebody answers.
async fn send(to: Addresses, unsent: &mut Vec<Payload>) {
    let client = Client::grpc(to);
    while let Some(request) = unsent.last() {
        if client.send(request).await.is_err() {
            return;
        }
        unsent.pop();
    }
}

/// Starts a server that is to die at some step, sends to it, and stops it when it has counted so many calls: what is still held is not archived
/// at a stop. Tells what it has left, and whether it has died.
async fn live(directory: TempDir, setup: &Setup, unsent: &mut Vec<Payload>, calls: u64) -> (TempDir, bool) {
    let spanmill = match Launched::new(directory, setup).listening_or_ended() {
        Ok(spanmill) => spanmill,
        Err(stopped) => return (stopped.killed().directory, true),
    };
    send(spanmill.addresses, unsent).await;
    spanmill.counted_or_ended(calls).await;
    let stopped = spanmill.stopped();
    let has_died = stopped.status.code().is_none();
    assert!(has_died || stopped.status.success(), "{}:\n{}", stopped.status, stopped.log);
    (stopped.directory, has_died)
}

// A server is killed instead of each sync and each rename of its life, from its start to its end, and power fails right then or when another
// one has lived and ended in what it left: whatever step is the last one, what was acknowledged is counted, archived and handed on once. What
// was complete of the archive is so in the end, byte for byte, though those that live on get more and would close files much later.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn killed_at_every_step() {
    const CALLS: u64 = 5;
    const MORE: u64 = 2;
    let mut without_name = 0;
    for step in 1.. {
        let mut is_over = false;
        for another_lives in [false, true] {
            println!(
                "killed at step {step}{}",
                if another_lives { ", and another one lived before power failed" } else { "" }
            );
            let backend = Backend::grpc().await;
            let setup = setup(backend.address, &backend);
            let directory = tempfile::tempdir().unwrap();
            let Some(power) = Power::of(directory.path()) else { return };
            let mut unsent = requests(1..CALLS + 1, 10);
            let mortal = Setup { environment: power.environment_until(step), ..setup.clone() };
            let (mut left, has_died) = live(directory, &mortal, &mut unsent, CALLS).await;
            let complete = completed(&left);
            without_name += complete.len() - names(&left);
            unsent.extend(requests(CALLS + 1..CALLS + MORE + 1, 10));
            let patient = Setup { archive_age: "1h", ..setup };
            if another_lives {
                let immortal = Setup { environment: power.environment(), ..patient.clone() };
                left = live(left, &immortal, &mut unsent, CALLS + MORE).await.0;
            }
            let spanmill = Spanmill::start_in(power.cut(left), &patient);
            send(spanmill.addresses, &mut unsent).await;
            let published = completed(&is_exact(spanmill, CALLS + MORE, Vec::new(), backend).await);
            for (range, bytes) in complete {
                assert!(
                    published.get(&range) == Some(&bytes),
                    "requests {range:?} were one file, and now {:?}",
                    published.keys()
                );
            }
            is_over = !has_died;
        }
        if is_over {
            println!("{} steps, {without_name} times a complete file without a name", step - 1);
            assert!(step > 20 && without_name > 0);
            return;
        }
    }
}
