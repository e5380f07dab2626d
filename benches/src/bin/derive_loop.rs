//! Reads one body again and again with one decoder: the program that `callgrind.sh` and `perf record` look into.
#![allow(clippy::print_stdout)]

use clap::Parser;
use spanmill_benches::decoder::Decoder;
use spanmill_benches::payload::{Payload, Shape};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Read one payload again and again; prints the number of spans read")]
struct Arguments {
    #[arg(long, value_enum, default_value = "derive")]
    decoder: Decoder,
    #[arg(long, value_enum, default_value = "lean")]
    payload: Shape,
    /// Spans in the request.
    #[arg(long, default_value_t = 500)]
    batch: usize,
    /// How often the request is read.
    #[arg(long, default_value_t = 1)]
    iterations: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let payload = Payload::build(arguments.payload, arguments.batch, 0)?;
    let mut spans = 0;
    for _ in 0..arguments.iterations {
        spans += arguments.decoder.read(std::hint::black_box(payload.body()))?;
    }
    println!("{spans}");
    Ok(())
}
