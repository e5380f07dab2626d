//! CPU time per span of every way to read a request.
//!
//! Time is the thread's CPU time, not the clock on the wall: the machine may be busy with other work. Each iteration reads
//! the next of several bodies, about 8,000 spans in all, so that neither the cache nor the branch predictor knows them.
#![allow(missing_docs)] // criterion's macros write functions without any

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use spanmill_benches::decoder::Decoder;
use spanmill_benches::payload::{BuildError, Payload, Shape};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SPANS: usize = 8_000;
const BATCHES: [usize; 3] = [20, 512, 1000];

fn decode(criterion: &mut Criterion) {
    for (shape, name) in [(Shape::Lean, "lean"), (Shape::Heavy, "heavy")] {
        for decoder in Decoder::ALL {
            let mut group = criterion.benchmark_group(format!("{}/{name}", decoder.name()));
            group.sampling_mode(SamplingMode::Flat);
            for batch in BATCHES {
                let Ok(payloads) = payloads(shape, batch) else {
                    return;
                };
                group.throughput(Throughput::Elements(batch as u64));
                group.bench_with_input(BenchmarkId::from_parameter(batch), &payloads, |bencher, payloads| {
                    bencher.iter_custom(|iterations| {
                        let before = thread_cpu_time();
                        for payload in payloads.iter().cycle().take(iterations as usize) {
                            // The body was read in a test; an error here would show as an absurd time.
                            drop(std::hint::black_box(decoder.read(payload.body())));
                        }
                        thread_cpu_time().saturating_sub(before)
                    });
                });
            }
            group.finish();
        }
    }
}

fn payloads(shape: Shape, batch: usize) -> Result<Vec<Payload>, BuildError> {
    (0..SPANS / batch).map(|seed| Payload::build(shape, batch, seed as u64)).collect()
}

fn thread_cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    targets = decode
}
criterion_main!(benches);
