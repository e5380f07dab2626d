//! What disks, clocks and operators do to a server: it says so, acknowledges nothing that it cannot keep, and loses nothing that it
//! has acknowledged.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use spanmill_tests::{
    Backend, Client, Destination, Disk, Fault, Launched, ProcessSignal, Received, Setup, Spanmill, Switch, eventually,
    get, otlp, rows, run,
};
use tonic::transport::Channel;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::load::Load;
use crate::spans::{call, payload};

fn durable() -> Setup {
    Setup { wal: "enabled: true, max_size: 64MiB", ..Setup::default() }
}

fn gpt(id: u64) -> Span {
    call(id, "gpt-4o")
}

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
        client.send(&payload(ids.map(gpt).collect())).await.unwrap();
    }
    let mut directory = spanmill.kill();
    for signal in [ProcessSignal::TERM, ProcessSignal::INT] {
        let launched = Launched::new(directory, &setup);
        let admin = launched.admin().await;
        let replaying = eventually("the log is replayed", async || {
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
    assert_eq!(rows(&stopped.archive()).len() as u64, BATCHES * BATCH);
}

// A second process on the same data directory ends with a word about it, and the first serves on as if nothing had been.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_process() {
    let first = Spanmill::start(&durable());
    let data = Some(first.directory().join("data"));
    let load = Load::new(10, gpt);
    let clients = load.start(first.addresses, 2);
    for _ in 0..3 {
        let second = Launched::new(tempfile::tempdir().unwrap(), &Setup { data: data.clone(), ..durable() });
        let failed = second.ended().failed();
        assert_eq!(failed.status.code(), Some(74));
        assert!(failed.log.contains("is in use by another process"), "{}", failed.log);
    }
    load.end();
    clients.join_all().await;
    assert_eq!(load.refused(), 0);
    load.is_exact(first).await;
}

// A data directory that cannot be written to is named, with the reason, and nothing is served.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_directory() {
    let Some(disk) = Disk::of(1) else { return };
    disk.make_read_only();
    let setup = Setup { data: Some(disk.path().join("data")), ..durable() };
    let launched = Launched::new(tempfile::tempdir().unwrap(), &setup);
    let failed = launched.ended().failed();
    assert_eq!(failed.status.code(), Some(74));
    let said = failed.log.lines().last().unwrap();
    assert!(said.starts_with("spanmill: creating ") && said.contains("Read-only file system"), "{said}");
    assert!(said.contains(disk.path().to_str().unwrap()), "{said}");
}

/// What `grpc.health.v1` says of the whole server.
async fn is_serving(spanmill: &Spanmill) -> bool {
    let channel = Channel::from_shared(format!("http://{}", spanmill.addresses.grpc)).unwrap().connect().await.unwrap();
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await.unwrap().into_inner();
    answer.status == ServingStatus::Serving as i32
}

// On a full disk clients are told to come again, readiness says why, and nothing that was acknowledged is lost, not even by a kill;
// when there is room again, the server goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk() {
    let Some(disk) = Disk::of(40) else { return };
    let setup = Setup { data: Some(disk.path().join("data")), ..durable() };
    let mut spanmill = Spanmill::start(&setup);
    let load = Load::new(100, gpt);
    disk.fill();
    for is_killed in [true, false] {
        let refused = load.refused();
        let clients = load.start(spanmill.addresses, 4);
        eventually("clients are refused", async || (load.refused() >= refused + 4).then_some(())).await;
        eventually("readiness says so", async || {
            get(spanmill.addresses.admin, "/readyz").await.text().contains("of the log is taken").then_some(())
        })
        .await;
        eventually("grpc.health.v1 says so", async || (!is_serving(&spanmill).await).then_some(())).await;
        assert_eq!(get(spanmill.addresses.admin, "/livez").await.status, 200);
        if is_killed {
            spanmill = Spanmill::start_in(spanmill.kill(), &setup);
        } else {
            disk.make_room();
            let acknowledged = load.acknowledged();
            eventually("clients are served", async || (load.acknowledged() > acknowledged + 1_000).then_some(())).await;
            load.end();
        }
        clients.join_all().await;
    }
    load.finish(spanmill.addresses).await;
    load.is_exact(spanmill).await;
}

/// What is done while a disk is full.
#[derive(Clone, Copy)]
enum Then {
    Nothing,
    Kill,
    Stop,
}

// While the archive's disk is full, readiness says so and what comes is acknowledged all the same, as the log has room; when there is
// room again the archive goes on by itself, and whatever is done meanwhile - nothing, a kill, a stop - every span is archived once.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_the_archive() {
    let setup = Setup { archive_age: "1s", settle_wait: "100ms", ..durable() };
    for then in [Then::Nothing, Then::Kill, Then::Stop] {
        let Some(disk) = Disk::of(4) else { return };
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(disk.path(), directory.path().join("archive")).unwrap();
        let spanmill = Spanmill::start_in(directory, &setup);
        let load = Load::new(100, gpt);
        let clients = load.start(spanmill.addresses, 2);
        eventually("something is archived", async || {
            (spanmill.sample("spanmill_archive_files", &[]).await > 0).then_some(())
        })
        .await;
        disk.fill();
        eventually("readiness says so", async || {
            let answer = get(spanmill.addresses.admin, "/readyz").await;
            (answer.status == 503 && answer.text().contains("the disk of the archive is full")).then_some(())
        })
        .await;
        let acknowledged = load.acknowledged();
        eventually("clients are served", async || (load.acknowledged() > acknowledged + 1_000).then_some(())).await;
        load.end();
        clients.join_all().await;
        eventually("grpc.health.v1 says so", async || (!is_serving(&spanmill).await).then_some(())).await;
        let left = match then {
            Then::Nothing => Err(spanmill),
            Then::Kill => Ok(spanmill.kill()),
            Then::Stop => {
                spanmill.terminate();
                let stopped = spanmill.failed();
                assert_eq!(stopped.status.code(), Some(74), "{}", stopped.log);
                assert!(stopped.log.contains("No space left on device"), "{}", stopped.log);
                Ok(stopped.directory)
            }
        };
        disk.make_room();
        let spanmill = left.map_or_else(|running| running, |directory| Spanmill::start_in(directory, &setup));
        load.finish(spanmill.addresses).await;
        eventually("the server is ready", async || {
            (get(spanmill.addresses.admin, "/readyz").await.status == 200).then_some(())
        })
        .await;
        eventually("grpc.health.v1 says so", async || is_serving(&spanmill).await.then_some(())).await;
        load.is_exact(spanmill).await;
    }
}

// An archive that fails says so; what comes is acknowledged all the same, and the next start archives it, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_archive() {
    let setup = Setup { archive_age: "1s", settle_wait: "100ms", ..durable() };
    let directory = tempfile::tempdir().unwrap();
    let in_the_way = directory.path().join("archive/spans");
    let spanmill = Spanmill::start_in(directory, &setup);
    std::fs::remove_dir_all(&in_the_way).unwrap();
    std::fs::write(&in_the_way, "").unwrap();
    let load = Load::new(100, gpt);
    let clients = load.start(spanmill.addresses, 2);
    eventually("readiness says so", async || {
        let answer = get(spanmill.addresses.admin, "/readyz").await;
        (answer.status == 503 && answer.text().contains("archived by the next start")).then_some(())
    })
    .await;
    let acknowledged = load.acknowledged();
    eventually("clients are served", async || (load.acknowledged() > acknowledged + 1_000).then_some(())).await;
    load.end();
    clients.join_all().await;
    let directory = spanmill.kill();
    std::fs::remove_file(in_the_way).unwrap();
    let spanmill = Spanmill::start_in(directory, &setup);
    load.finish(spanmill.addresses).await;
    load.is_exact(spanmill).await;
}

// A disk that fails ends the server: nothing more is acknowledged, and it says what happened. All that was acknowledged is there at the
// next start, once; what was not is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_disk() {
    for (fault, action) in [(Fault::Sync, "syncing"), (Fault::Write, "writing")] {
        let Some(switch) = Switch::of(fault) else { return };
        let setup = Setup { environment: switch.environment(), ..durable() };
        let spanmill = Spanmill::start(&setup);
        let (addresses, load) = (spanmill.addresses, Load::new(10, gpt));
        let clients = load.start(addresses, 4);
        eventually("something is acknowledged", async || (load.acknowledged() > 100).then_some(())).await;
        switch.on();
        let failed = spanmill.failed();
        assert_eq!(failed.status.code(), Some(70));
        let said = failed.log.lines().last().unwrap();
        let expected = format!("spanmill: the log has failed and takes no more records: {action} ");
        assert!(said.starts_with(&expected) && said.contains("Input/output error"), "{said}");
        clients.join_all().await;
        assert!(load.refused() > 0, "whoever waited for an answer got one");

        switch.off();
        let spanmill = Spanmill::start_in(failed.directory, &setup);
        let found = load.acknowledged();
        assert!(spanmill.counted(found).await.requests >= found);
        load.finish(spanmill.addresses).await;
        load.is_exact(spanmill).await;
    }
}

// A log that fails ends the server also while the applier waits for room on another disk, and for ever if need be.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_disk_beside_a_full_one() {
    let (Some(switch), Some(full)) = (Switch::of(Fault::Sync), Disk::of(1)) else { return };
    let backend = Backend::grpc().await;
    let destination = Destination { signals: "traces", ..Destination::grpc(&backend) };
    let wal = durable().wal;
    let setup = Setup {
        wal,
        environment: switch.environment(),
        forward: "enrich: true",
        settle_wait: "10ms",
        ..Setup::with(destination)
    };
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("data")).unwrap();
    std::os::unix::fs::symlink(full.path(), directory.path().join("data/outcomes")).unwrap();
    let spanmill = Spanmill::start_in(directory, &setup);
    let load = Load::new(10, gpt);
    let clients = load.start(spanmill.addresses, 4);
    eventually("something is acknowledged", async || (load.acknowledged() > 100).then_some(())).await;
    full.fill();
    eventually("the applier waits", async || {
        let spans = async |cursor| spanmill.sample("spanmill_wal_spans", &[("cursor", cursor)]).await;
        let applied = spans("applied").await;
        let (before, safe) = (load.acknowledged(), spans("safe").await);
        eventually("more comes", async || (load.acknowledged() > before + 200).then_some(())).await;
        (spans("applied").await == applied && safe > applied).then_some(())
    })
    .await;
    switch.on();
    let failed = spanmill.failed();
    assert_eq!(failed.status.code(), Some(70), "{}", failed.log);
    assert!(failed.log.lines().last().unwrap().starts_with("spanmill: the log has failed"), "{}", failed.log);
    clients.join_all().await;
}

// A disk that fails while the server stops is told of as at any other time: what was being done last is not on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_at_the_end() {
    let Some(switch) = Switch::of(Fault::Sync) else { return };
    let spanmill = Spanmill::start(&Setup { environment: switch.environment(), ..durable() });
    switch.on();
    spanmill.terminate();
    let failed = spanmill.failed();
    assert_eq!(failed.status.code(), Some(70), "{}", failed.log);
    assert!(failed.log.lines().last().unwrap().starts_with("spanmill: the log has failed"), "{}", failed.log);
}

// A log that the disk does not give back ends the start: it says so, and nothing is served. When the disk is well again, all is counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_read_at_the_start() {
    let Some(switch) = Switch::of(Fault::Read) else { return };
    let setup = Setup { environment: switch.environment(), ..durable() };
    let spanmill = Spanmill::start(&setup);
    Client::grpc(spanmill.addresses).send(&payload((1..=10).map(gpt).collect())).await.unwrap();
    let directory = spanmill.kill();
    switch.on();
    let refused = Launched::new(directory, &setup).ended().failed();
    assert_eq!(refused.status.code(), Some(74), "{}", refused.log);
    let said = refused.log.lines().last().unwrap();
    assert!(said.contains("reading ") && said.contains(".wal: Input/output error"), "{said}");
    switch.off();
    let spanmill = Spanmill::start_in(refused.directory, &setup);
    assert_eq!(spanmill.counted(10).await.requests, 10);
}

// A log that the disk does not give back for a while keeps nobody from being served and counted; who is to get what is in it gets all of it
// when the disk is well again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the disk is asked again after five seconds"]
async fn a_log_that_cannot_be_read_for_a_while() {
    let Some(switch) = Switch::of(Fault::Read) else { return };
    let backend = Backend::grpc().await;
    let destination = Destination { signals: "traces", ..Destination::grpc(&backend) };
    let setup = Setup { destinations: vec![destination], environment: switch.environment(), ..durable() };
    let spanmill = Spanmill::start(&setup);
    switch.on();
    let client = Client::grpc(spanmill.addresses);
    for id in 1..=100 {
        client.send(&payload(vec![gpt(id)])).await.unwrap();
    }
    assert_eq!(spanmill.counted(100).await.requests, 100);
    eventually("the failure is told", async || {
        spanmill.log().contains("what is to be handed on cannot be read").then_some(())
    })
    .await;
    assert!(backend.received().traces.is_empty());
    switch.off();
    eventually("all is handed on", async || (backend.received().spans().len() == 100).then_some(())).await;
    let labels = [("destination", "otlp/backend0")];
    assert_eq!(spanmill.sample("spanmill_exporter_unreadable_total", &labels).await, 0);
    spanmill.stop();
}

// A log that is damaged in the middle is not read past silently: the start is refused with what to do, and the command that it names does
// it. Then what is left is counted, and what is lost can be sent again.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log() {
    const BATCHES: u64 = 40;
    const BATCH: u64 = 50;
    let spanmill = Spanmill::start(&durable());
    let batch = |number: u64| payload((number * BATCH + 1..=(number + 1) * BATCH).map(gpt).collect());
    let send = async |spanmill: &Spanmill| {
        let client = Client::grpc(spanmill.addresses);
        for number in 0..BATCHES {
            client.send(&batch(number)).await.unwrap();
        }
    };
    send(&spanmill).await;
    let directory = spanmill.kill();
    let data = directory.path().join("data");
    let segment = data.join("segment-00000.wal");
    let mut bytes = std::fs::read(&segment).unwrap();
    // Some span in the middle.
    let middle = BATCHES * BATCH / 2;
    let at = bytes.windows(8).position(|window| window == middle.to_be_bytes()).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();

    let refused = Launched::new(directory, &durable()).ended().failed();
    assert_eq!(refused.status.code(), Some(74));
    let said = refused.log.lines().last().unwrap();
    let command = format!("spanmill repair {}", data.display());
    assert!(said.contains(" is damaged at byte ") && said.contains(&command), "{said}");

    let repaired = run(&["repair", data.to_str().unwrap()]);
    let report = String::from_utf8_lossy(&repaired.stdout).into_owned();
    assert!(repaired.status.success(), "{}", String::from_utf8_lossy(&repaired.stderr));
    assert!(report.contains("put aside as they were, in ") && report.contains("lost: records "), "{report}");
    let again = run(&["repair", data.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&again.stdout).starts_with("nothing was damaged"));

    let spanmill = Spanmill::start_in(refused.directory, &durable());
    let left = (BATCHES - 1) * BATCH;
    assert_eq!(spanmill.counted(left).await.requests, left, "one request is lost");
    send(&spanmill).await;
    let all = BATCHES * BATCH;
    assert_eq!(spanmill.counted(all).await.requests, all);
    assert_eq!(rows(&spanmill.stop().archive()).len() as u64, all);
}

// A log that ends before what is archived (an older copy of the data, a log that was lost) is not gone on with silently: what comes next would
// be taken for what is archived. As another instance it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_behind_the_archive() {
    let spanmill = Spanmill::start(&durable());
    let client = Client::grpc(spanmill.addresses);
    client.send(&payload((1..=10).map(gpt).collect())).await.unwrap();
    spanmill.counted(10).await;
    let directory = spanmill.stop();
    assert_eq!(rows(&directory.archive()).len(), 10);
    let directory = directory.directory;
    let data = directory.path().join("data");
    for entry in std::fs::read_dir(&data).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".wal") || name.contains("checkpoint") {
            std::fs::remove_file(entry.path()).unwrap();
        }
    }
    let refused = Launched::new(directory, &durable()).ended().failed();
    assert_eq!(refused.status.code(), Some(65), "{}", refused.log);
    let instance = data.join("instance-id");
    let said = refused.log.lines().last().unwrap();
    assert!(
        said.contains("the archive has requests up to record ") && said.contains(instance.to_str().unwrap()),
        "{said}"
    );

    std::fs::remove_file(instance).unwrap();
    let spanmill = Spanmill::start_in(refused.directory, &durable());
    let client = Client::grpc(spanmill.addresses);
    client.send(&payload((11..=15).map(gpt).collect())).await.unwrap();
    spanmill.counted(5).await;
    assert_eq!(rows(&spanmill.stop().archive()).len(), 15);
}

/// The counters of calls as they came to a destination, with their times: by request, start and time in nanoseconds and all values.
fn counters(received: &Received) -> Vec<(u64, u64, u64)> {
    let told = |request: &ExportMetricsServiceRequest| {
        let resources = request.resource_metrics.iter();
        let mut metrics = resources.flat_map(|resource| &resource.scope_metrics).flat_map(|scope| &scope.metrics);
        let metric = metrics.find(|metric| metric.name == "spanmill.requests")?;
        let Some(metric::Data::Sum(sum)) = &metric.data else { panic!("no sum: {metric:?}") };
        let point = sum.data_points.first().unwrap();
        Some((point.start_time_unix_nano, point.time_unix_nano, otlp(std::slice::from_ref(request)).requests))
    };
    received.metrics.iter().filter_map(told).collect()
}

// A wall clock that steps back, twice and by an hour each, while the server runs and while it does not: time goes on for it, so calls are
// counted as soon as ever, counters and receive times never go back, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_steps_back() {
    let Some(switch) = Switch::of(Fault::Clock) else { return };
    let backend = Backend::grpc().await;
    let setup = Setup {
        interval: "1s",
        settle_wait: "500ms",
        destinations: vec![Destination::grpc(&backend)],
        environment: switch.environment(),
        ..durable()
    };
    let mut spanmill = Spanmill::start(&setup);
    let mut sent = 0;
    for hours in [0, 1, 2] {
        switch.set(-3_600 * hours);
        if hours == 2 {
            spanmill = Spanmill::start_in(spanmill.stop().directory, &setup);
        }
        let client = Client::grpc(spanmill.addresses);
        for _ in 0..10 {
            sent += 1;
            client.send(&payload(vec![gpt(sent)])).await.unwrap();
        }
        assert_eq!(spanmill.counted(sent).await.requests, sent);
        eventually("the destination has it", async || (backend.received().totals().requests == sent).then_some(()))
            .await;
    }
    let told = counters(&backend.received());
    assert!(told.len() > 3, "{told:?}");
    for pair in told.windows(2) {
        let [(start, time, requests), (next_start, next_time, next_requests)] = pair else { unreachable!() };
        assert_eq!(start, next_start, "no counter starts anew");
        assert!(time < next_time && requests <= next_requests, "{told:?}");
    }
    let mut archived = rows(&spanmill.stop().archive());
    assert_eq!(archived.len() as u64, sent);
    archived.sort_by(|one, other| one.span_id.cmp(&other.span_id));
    assert!(archived.is_sorted_by_key(|row| row.receive_time));
    let passed = archived.last().unwrap().receive_time - archived[0].receive_time;
    assert!(passed < 120_000_000_000, "{passed} ns");
}
