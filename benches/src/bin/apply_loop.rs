//! Counts prebuilt requests with distinct ids: the program that `callgrind.sh` and `perf record` look into for counting, the hold
//! included. What comes out is one counted call a span.
#![allow(clippy::print_stdout)]

use aggregate::{Logged, Pipeline, Record, Settings};
use bytes::Bytes;
use clap::Parser;
use genai::Deriver;
use monitor::Monitoring;
use spanmill_benches::payload::{IdSource, Payload, Shape};
use spanmill_benches::process::CpuTime;
use spanmill_benches::settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Count requests with distinct ids; prints what was counted and the CPU time a span")]
struct Arguments {
    #[arg(long, value_enum, default_value = "lean")]
    payload: Shape,
    /// Spans in a request.
    #[arg(long, default_value_t = 500)]
    batch: usize,
    /// Number of requests.
    #[arg(long, default_value_t = 100)]
    requests: usize,
    /// Calls a second of receive time.
    #[arg(long, default_value_t = 5_000)]
    rate: u64,
    /// `derive.settle_memory`, in MiB.
    #[arg(long, default_value_t = 64)]
    memory: usize,
    /// Tell what is counted to a history, as the server does.
    #[arg(long)]
    watch: bool,
    /// Only read and derive, to tell what that is of the whole.
    #[arg(long)]
    derive_only: bool,
}

const SECOND: u64 = 1_000_000_000;
/// 2026-11-22T10:59:00Z in nanoseconds since the Unix epoch.
const RECEIVED: u64 = 1_795_345_140 * SECOND;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let payload = Payload::build(arguments.payload, arguments.batch, 0)?;
    let mut ids = IdSource::new(1);
    let deriver = Deriver::default();
    let mut pipeline =
        Pipeline::new(Settings { watched: arguments.watch, ..settings::pipeline(arguments.memory << 20)? });
    let mut monitoring = Monitoring::new(&monitor::Config::default())?;
    let index = pipeline.index();
    let before = CpuTime::read(std::process::id())?;
    for lsn in 1..=arguments.requests as u64 {
        let receive_time = RECEIVED + lsn * arguments.batch as u64 * SECOND / arguments.rate;
        let mut body = payload.body().to_vec();
        payload.renew(&mut body, &mut ids, receive_time);
        let record = Record::of_traces(&deriver, Bytes::from(body), Some(&index), false)?;
        if let Some(record) = record.filter(|_| !arguments.derive_only) {
            pipeline.apply(Logged { lsn, receive_time, record }, drop);
            if arguments.watch {
                pipeline.counted().for_each(|call| monitoring.record_counted(receive_time, &call));
            }
        }
    }
    let lsn = arguments.requests as u64 + 1;
    pipeline.apply(Logged { lsn, receive_time: u64::MAX / 2, record: Record::Drain }, drop);
    let used = CpuTime::read(std::process::id())?.since(&before);
    let spans = (arguments.requests * arguments.batch) as u128;
    let (calls, early) = (pipeline.report().totals.requests, pipeline.settled_early());
    println!("{calls} calls, {early} of them counted early, {} ns of CPU a span", used.as_nanos() / spans.max(1));
    Ok(())
}
