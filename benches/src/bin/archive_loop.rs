//! Archives prebuilt requests with distinct ids: the program that `callgrind.sh` and `perf record` look into for the archive. All is
//! read, derived and settled before; what is measured is from the first request handed over to the last file published.
#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aggregate::{Applied, Effect, Logged, Pipeline, Record, Settings};
use archive::{Archive, ArchiveConfig, Include};
use bytes::Bytes;
use clap::Parser;
use genai::Deriver;
use spanmill_benches::payload::{IdSource, Payload, Shape};
use spanmill_benches::process::CpuTime;
use spanmill_benches::settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Archive requests with distinct ids; prints rows, bytes and the CPU time a row")]
struct Arguments {
    #[arg(long, value_enum, default_value = "lean")]
    payload: Shape,
    /// Spans in a request.
    #[arg(long, default_value_t = 500)]
    batch: usize,
    /// Number of requests.
    #[arg(long, default_value_t = 260)]
    requests: usize,
    /// Where the files go; they are left there.
    #[arg(long, default_value = "/dev/shm/spanmill-archive-loop")]
    directory: PathBuf,
    /// Only prepare the requests, to tell what that is of the whole.
    #[arg(long)]
    prepare_only: bool,
}

const SECOND: u64 = 1_000_000_000;
/// 2026-11-22T10:59:00Z in nanoseconds since the Unix epoch.
const RECEIVED: u64 = 1_795_345_140 * SECOND;
/// Different requests; each is sent again with other ids.
const PAYLOADS: u64 = 8;
const SPANS_A_SECOND: u64 = 100_000;
/// Bytes of requests that wait for their calls to be settled, as the server has it.
const PENDING: usize = 128 << 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let requests = prepare(&arguments)?;
    if arguments.prepare_only {
        return Ok(());
    }
    let config = ArchiveConfig {
        directory: arguments.directory,
        include: Include::Genai,
        max_rows: 1_000_000,
        max_age: Duration::from_secs(300),
        max_pending: usize::MAX,
        zstd_level: 1,
        place: None,
        instance: "bench".to_owned(),
    };
    // What an earlier run left would be passed over.
    if config.directory.exists() {
        std::fs::remove_dir_all(&config.directory)?;
    }
    let before = CpuTime::read(std::process::id())?;
    let archive = Archive::start(config, &opentelemetry::global::meter("bench"))?;
    // The thread's time is lost when it ends: it is read before.
    let position = archive.position();
    let last = requests.iter().map(|request| request.lsn).max().unwrap_or(0);
    requests.into_iter().for_each(|request| archive.send(request));
    archive.publish();
    while position.get() < last {
        std::thread::sleep(Duration::from_millis(1));
    }
    let used = CpuTime::read(std::process::id())?.since(&before);
    let totals = archive.finish()?;
    let rows = totals.rows.max(1);
    println!(
        "{} rows, {} bytes a row, {} ns of CPU a row",
        totals.rows,
        totals.bytes / rows,
        used.as_nanos() / u128::from(rows)
    );
    Ok(())
}

fn prepare(arguments: &Arguments) -> Result<Vec<Arc<Applied>>, Box<dyn std::error::Error>> {
    let payloads = (0..PAYLOADS).map(|seed| Payload::build(arguments.payload, arguments.batch, seed));
    let payloads = payloads.collect::<Result<Vec<_>, _>>()?;
    let mut ids = IdSource::new(1);
    let deriver = Deriver::default();
    let mut pipeline = Pipeline::new(Settings { pending: Some(PENDING), ..settings::pipeline(64 << 20)? });
    let index = pipeline.index();
    let mut requests = Vec::new();
    let mut keep = |effect| {
        if let Effect::Applied(applied) = effect {
            requests.push(Arc::new(applied));
        }
    };
    for (lsn, payload) in (1..=arguments.requests as u64).zip(payloads.iter().cycle()) {
        let receive_time = RECEIVED + lsn * arguments.batch as u64 * SECOND / SPANS_A_SECOND;
        let mut body = payload.body().to_vec();
        payload.renew(&mut body, &mut ids, receive_time);
        if let Some(record) = Record::of_traces(&deriver, Bytes::from(body), Some(&index), false)? {
            pipeline.apply(Logged { lsn, receive_time, record }, &mut keep);
        }
    }
    let lsn = arguments.requests as u64 + 1;
    pipeline.apply(Logged { lsn, receive_time: u64::MAX / 2, record: Record::Drain }, &mut keep);
    Ok(requests)
}
