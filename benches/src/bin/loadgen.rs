//! Drives one OTLP server and reports what it acknowledged and what that cost it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::hash::{BuildHasher, RandomState};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use spanmill_benches::client::{Compression, Protocol};
use spanmill_benches::load::{Counts, Latency, Load, Plan, Until};
use spanmill_benches::payload::Shape;
use spanmill_benches::process::{CpuTime, peak_memory};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "OTLP load generator: prebuilt bodies, new trace, span and response ids at every send")]
struct Arguments {
    /// Host and port of the server.
    #[arg(long, default_value = "127.0.0.1:4317")]
    address: String,
    #[arg(long, value_enum, default_value = "grpc")]
    protocol: Protocol,
    /// gzip compresses every body anew, as its ids are new: the generator is then the slower side.
    #[arg(long, value_enum, default_value = "none")]
    compression: Compression,
    /// 6 is what SDKs use.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=9))]
    gzip_level: u32,
    #[arg(long, value_enum, default_value = "lean")]
    payload: Shape,
    /// Spans in a request.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: u32,
    /// Calls in flight.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=4096))]
    concurrency: u32,
    /// Connections that gRPC calls share; HTTP/1.1 has one for every call in flight.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    connections: u32,
    /// Seconds to send for, unless --spans is given; at most an hour.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Number of spans to send instead.
    #[arg(long)]
    spans: Option<u64>,
    /// Seconds of sending before anything is counted.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Seconds without load before each reading of the CPU time, so that work put off (archive files) is in it.
    #[arg(long, default_value_t = 0.2)]
    settle: f64,
    /// Process id of the server: reports its CPU time and peak memory.
    #[arg(long)]
    pid: Option<u32>,
    /// Threads of the generator.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Where the ids begin; random unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(serde::Serialize)]
struct Report {
    plan: Plan,
    #[serde(flatten)]
    counts: Counts,
    spans_per_second: f64,
    bytes_per_span: f64,
    latency_milliseconds: Latency,
    server: Option<ServerReport>,
}

#[derive(serde::Serialize)]
struct ServerReport {
    cpu_seconds: f64,
    cpu_seconds_per_million_spans: f64,
    peak_memory_bytes: u64,
}

const LONGEST_RUN: f64 = 3600.0;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadgen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let threads = arguments.threads.max(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    let report = runtime.block_on(measure(&arguments))?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    Ok(())
}

async fn measure(arguments: &Arguments) -> Result<Report, Box<dyn std::error::Error>> {
    let plan = Plan {
        address: arguments.address.clone(),
        protocol: arguments.protocol,
        compression: arguments.compression,
        gzip_level: arguments.gzip_level,
        shape: arguments.payload,
        batch: arguments.batch as usize,
        concurrency: arguments.concurrency as usize,
        connections: arguments.connections as usize,
        seed: arguments.seed.unwrap_or_else(|| RandomState::new().hash_one(std::process::id())),
    };
    let settle = seconds(arguments.settle)?;
    let until = match arguments.spans {
        Some(spans) => Until::Spans(spans),
        None => Until::Elapsed(seconds(arguments.seconds)?),
    };

    let mut load = Load::prepare(&plan).await?;
    load.run(Until::Elapsed(seconds(arguments.warm_up)?)).await?;
    tokio::time::sleep(settle).await;
    let before = arguments.pid.map(CpuTime::read).transpose()?;
    let mut counts = load.run(until).await?;
    tokio::time::sleep(settle).await;

    let spans = counts.acknowledged.max(1) as f64;
    let server = match (arguments.pid, before) {
        (Some(pid), Some(before)) => {
            let cpu_seconds = CpuTime::read(pid)?.since(&before).as_secs_f64();
            let cpu_seconds_per_million_spans = cpu_seconds / spans * 1e6;
            Some(ServerReport { cpu_seconds, cpu_seconds_per_million_spans, peak_memory_bytes: peak_memory(pid)? })
        }
        _ => None,
    };
    let spans_per_second = counts.acknowledged as f64 / counts.seconds;
    let bytes_per_span = counts.bytes as f64 / spans;
    let latency_milliseconds = counts.latency();
    Ok(Report { plan, counts, spans_per_second, bytes_per_span, latency_milliseconds, server })
}

fn seconds(number: f64) -> Result<Duration, std::time::TryFromFloatSecsError> {
    Duration::try_from_secs_f64(number.min(LONGEST_RUN))
}

fn print(report: &Report) {
    let Report { counts, .. } = report;
    println!("acknowledged    {} spans in {} requests", counts.acknowledged, counts.requests);
    println!("refused         {} spans", counts.refused);
    for (reason, requests) in &counts.refusals {
        println!("                {requests} requests: {reason}");
    }
    println!("wall            {:.2} s, {:.0} spans/s", counts.seconds, report.spans_per_second);
    let Latency { p50, p99, max } = report.latency_milliseconds;
    println!("acknowledgement {p50:.2} ms p50, {p99:.2} ms p99, {max:.2} ms at most");
    println!("body            {:.0} bytes a span before compression", report.bytes_per_span);
    let Some(server) = &report.server else { return };
    println!(
        "server CPU      {:.3} s, {:.3} s per million acknowledged spans",
        server.cpu_seconds, server.cpu_seconds_per_million_spans
    );
    println!("server memory   {:.1} MB at its peak", server.peak_memory_bytes as f64 / 1e6);
}
