//! Far more than the server can take, and half of that for a long time: it stays within its memory, and loses nothing.

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use spanmill_tests::{Backend, Destination, Fault, MemoryCap, PATIENCE, Setup, Spanmill, Switch, get};

use crate::load::Load;
use crate::spans::{call, payload, text};

/// As many seconds as a variable of the environment says, if it does.
fn seconds(variable: &str) -> Option<Duration> {
    std::env::var(variable).ok().and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs)
}

/// Makes requests of calls with a note of so many bytes fast: encodes one, and writes the ids into copies of it.
fn bodies(batch: u64, note: usize) -> impl Fn(Range<u64>) -> Bytes + Send + Sync + 'static {
    // Ids that are nothing else in the body.
    const FIRST: u64 = 0xfeed_f00d_0000_0000;
    let span = |id| {
        let mut noise = fastrand::Rng::with_seed(id);
        let mut span = call(id, "gpt-4o");
        span.attributes
            .push(text("note", &std::iter::repeat_with(|| noise.alphanumeric()).take(note).collect::<String>()));
        span
    };
    let template = payload((FIRST..FIRST + batch).map(span).collect()).body;
    let places: Vec<(usize, u64)> = template
        .windows(8)
        .enumerate()
        .filter_map(|(at, window)| Some((at, u64::from_be_bytes(window.try_into().ok()?).checked_sub(FIRST)?)))
        .filter(|(_, number)| *number < batch)
        .collect();
    assert_eq!(places.len() as u64, 2 * batch, "a trace id and a span id each");
    move |ids| {
        let mut body = template.to_vec();
        for (at, number) in &places {
            body[*at..at + 8].copy_from_slice(&(ids.start + number).to_be_bytes());
        }
        body.into()
    }
}

/// What most calls say beside the usual attributes, and what they say with short prompts and completions, in bytes.
const LEAN: usize = 600;
const HEAVY: usize = 5_000;

/// Gives a server ten times the load that it can take, for as long as the environment says. It lives and answers all the while, refuses with
/// nothing but "come again", and stays below 400 MB, beyond which the kernel kills it where that can be arranged; and everything that it acknowledged
/// is counted and archived once. Gives the figures.
async fn ten_times_the_load(batch: u64, note: usize, mut setup: Setup, slow: Option<Switch>) -> String {
    const MOST: u64 = 400_000_000;
    let cap = MemoryCap::of(MOST);
    setup.before = cap.as_ref().map(MemoryCap::join).unwrap_or_default();
    let spanmill = Spanmill::start(&setup);
    assert!(cap.as_ref().is_none_or(|cap| cap.holds(spanmill.process())));
    if let Some(slow) = &slow {
        slow.set(8_000);
    }
    let load = Load::of_bodies(batch, bodies(batch, note));
    let clients = load.start(spanmill.addresses, 512);
    let least = seconds("SPANMILL_OVERLOAD_SECONDS").unwrap_or(Duration::from_secs(8));
    let begin = Instant::now();
    // A busy machine needs longer to become overloaded.
    let is_ten_times = || load.served() > 0 && load.refused() > 9 * load.served();
    while begin.elapsed() < least || (!is_ten_times() && begin.elapsed() < least + 2 * PATIENCE) {
        assert_eq!(get(spanmill.addresses.admin, "/livez").await.status, 200);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (served, refused, took) = (load.served(), load.refused(), begin.elapsed().as_secs());
    load.end();
    if let Some(slow) = slow {
        slow.off();
    }
    clients.join_all().await;
    load.give_up_refused(spanmill.addresses).await;
    let peak = spanmill.memory("VmHWM") / 1_000_000;
    let figures = format!("{took} s: {served} requests served, {refused} refused, {peak} MB at most");
    assert!(served > 0 && refused > 9 * served, "{served} served, {refused} refused: no overload");
    assert!(peak < MOST / 1_000_000, "{peak} MB");
    load.is_exact(spanmill).await;
    drop(cap);
    figures
}

/// A server with little memory that logs and archives.
fn small() -> Setup {
    Setup {
        receiver: "memory_budget: 128MiB",
        wal: "enabled: true, max_size: 512MiB",
        archive_age: "2s",
        settle_wait: "1s",
        ..Setup::default()
    }
}

// Large spans as fast as they come, on the disk that there is.
#[tokio::test(flavor = "multi_thread")]
async fn ten_times_the_load_of_large_spans() {
    // As docs/deploy.md advises where memory is small.
    let environment = vec![("MIMALLOC_PURGE_DELAY", "20".to_owned())];
    // Requests of 1.3 MB, as every client holds its own.
    println!("{}", ten_times_the_load(256, HEAVY, Setup { environment, ..small() }, None).await);
}

// Usual spans, on a disk so slow that the log is what is overloaded.
#[tokio::test(flavor = "multi_thread")]
async fn ten_times_the_load_of_a_slow_disk() {
    let Some(slow) = Switch::of(Fault::Slow) else { return };
    println!(
        "{}",
        ten_times_the_load(512, LEAN, Setup { environment: slow.environment(), ..small() }, Some(slow)).await
    );
}

// Of two large requests at once, for which the log has no room together, one waits until the other is applied: none is refused.
#[tokio::test(flavor = "multi_thread")]
async fn large_requests_wait_for_room() {
    let receiver = "memory_budget: 128MiB";
    let spanmill = Spanmill::start(&Setup { receiver, settle_wait: "0s", ..Setup::default() });
    // With what is known of them 11 MB, where an eighth of the budget is 17. All of them have room in it, whenever they are archived.
    let load = Load::of_bodies(8_192, bodies(8_192, LEAN));
    let clients = load.start(spanmill.addresses, 2);
    let deadline = Instant::now() + PATIENCE;
    while load.served() < 6 && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    load.end();
    clients.join_all().await;
    assert!(load.served() >= 6);
    assert_eq!(load.refused(), 0);
    assert_eq!(spanmill.counted(load.acknowledged()).await.requests, load.acknowledged());
}

// At half of the load that it can take, with a destination that fails every second time, a server takes no more memory after a long time
// than after a short one, refuses nothing, and its totals are exact everywhere: `SPANMILL_SOAK_SECONDS` says how long.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; SPANMILL_SOAK_SECONDS says how many seconds"]
async fn soak() {
    const CLIENTS: u32 = 8;
    const BATCH: u64 = 500;
    let backend = Backend::failing().await;
    let destination = Destination {
        address: backend.address,
        protocol: "http/protobuf",
        temporality: "cumulative",
        compression: "gzip",
        signals: "metrics, logs",
        more: "",
    };
    let setup = Setup {
        receiver: "memory_budget: 128MiB",
        wal: "enabled: true, max_size: 512MiB",
        // So small that they are full before memory is measured for the first time.
        derive: "duplicate_max_entries: 200000, settle_memory: 16MiB",
        settle_wait: "1s",
        interval: "2s",
        archive_age: "5s",
        destinations: vec![destination],
        ..Setup::default()
    };
    let spanmill = Spanmill::start(&setup);
    let load = Load::of_bodies(BATCH, bodies(BATCH, LEAN));

    let measured = Duration::from_secs(10);
    let clients = load.start(spanmill.addresses, CLIENTS as usize);
    tokio::time::sleep(measured).await;
    load.end();
    clients.join_all().await;
    let every = measured * 2 * CLIENTS / u32::try_from(load.served()).unwrap();
    println!("it takes {} spans/s", load.acknowledged() / measured.as_secs());

    let (refused, acknowledged) = (load.refused(), load.acknowledged());
    let clients = load.start_paced(spanmill.addresses, CLIENTS as usize, every);
    let duration = seconds("SPANMILL_SOAK_SECONDS").unwrap_or(Duration::from_secs(600));
    let mut highest = [0; 4];
    for quarter in &mut highest {
        let end = Instant::now() + duration / 4;
        while Instant::now() < end {
            *quarter = spanmill.memory("VmRSS").max(*quarter);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    load.end();
    clients.join_all().await;
    let rate = (load.acknowledged() - acknowledged) / duration.as_secs().max(1);
    println!(
        "{rate} spans/s for {} s, MB at most by quarter: {:?}",
        duration.as_secs(),
        highest.map(|most| most / 1_000_000)
    );
    assert_eq!(load.refused(), refused, "at half load");
    assert!(highest[3] < highest[1] + highest[1] / 10, "{highest:?}");

    let stopped = load.is_exact(spanmill).await;
    let received = backend.received();
    assert_eq!(received.totals().requests, load.acknowledged());
    println!("{} requests at the destination\n{}", received.metrics.len(), stopped.log.lines().count());
}
