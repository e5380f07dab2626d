//! Appends to the log from many threads, and, in turns with it, plainly to a file with fdatasync: what the log makes of the disk.
//!
//! `wal_loop DIRECTORY [THREADS] [BYTES] [SECONDS]`: a directory on the disk to measure, 32 threads, records of 65,536 bytes, 3
//! seconds a round.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use wal::{AppendError, Directory, Log, Record, Settings, Start};

const ROUNDS: usize = 3;

#[derive(Clone)]
struct Blob(Bytes);

impl Record for Blob {
    fn kind(&self) -> u8 {
        1
    }
    fn payload(&self) -> Bytes {
        self.0.clone()
    }
    fn size(&self) -> usize {
        self.0.len()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("which directory?")?);
    let mut number = |usual: usize| arguments.next().map_or(Ok(usual), |text| text.parse());
    let (threads, bytes, seconds) = (number(32)?, number(65_536)?, number(3)?);
    let span = Duration::from_secs(seconds as u64);
    let mut seed = 1_u64;
    let payload: Bytes = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 56) as u8
    })
    .take(bytes)
    .collect();
    for _ in 0..ROUNDS {
        log(&directory.join("wal_loop"), threads, &payload, span)?;
        plain(&directory, 1, &payload, span)?;
        plain(&directory, threads, &payload, span)?;
    }
    Ok(())
}

fn report(what: &str, records: usize, bytes: usize, took: Duration, latencies: &mut [Duration]) {
    latencies.sort_unstable();
    let at = |percent: usize| latencies.get(latencies.len() * percent / 100).copied().unwrap_or_default();
    let rate = records as f64 / took.as_secs_f64();
    let megabytes = rate * bytes as f64 / 1e6;
    println!("{what:<32} {rate:>9.0} records/s {megabytes:>7.0} MB/s  p50 {:>9.2?}  p99 {:>9.2?}", at(50), at(99));
}

/// Every thread waits for each of its records.
fn log(path: &Path, threads: usize, payload: &Bytes, span: Duration) -> Result<(), Box<dyn Error>> {
    let directory = Directory::open(path)?;
    let settings = Settings { max_size: 1 << 30, segment_size: None, memory_limit: 256 << 20, compression: None };
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let (log, mut reader) = Log::open(&directory, &settings, Start::default(), now, |_, bytes| Ok(Blob(bytes)))?;
    let cursor = log.cursor();
    let applier = std::thread::spawn(move || {
        while let Some(entry) = reader.next() {
            cursor.advance(entry.lsn);
        }
    });
    // Once through all segments: later they are there.
    std::thread::scope(|scope| {
        let log = &log;
        (0..threads).for_each(|_| {
            let each = (1_usize << 30) / payload.len().max(1) / threads.max(1);
            scope.spawn(move || (0..each).try_for_each(|_| wait(log, payload)));
        });
    });
    let started = Instant::now();
    let mut latencies: Vec<Duration> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut latencies = Vec::new();
                    while started.elapsed() < span {
                        let asked = Instant::now();
                        if wait(&log, payload).is_err() {
                            break;
                        }
                        latencies.push(asked.elapsed());
                    }
                    latencies
                })
            })
            .collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    let took = started.elapsed();
    report(&format!("log, {threads} threads"), latencies.len(), payload.len(), took, &mut latencies);
    drop(log);
    applier.join().map_err(|_| "the reader panicked")?;
    drop(directory);
    fs::remove_dir_all(path)?;
    Ok(())
}

/// Appends once there is room.
fn wait(log: &Log<Blob>, payload: &Bytes) -> Result<(), AppendError> {
    loop {
        match log.append_blocking(Blob(payload.clone())) {
            Err(AppendError::Full) => std::thread::yield_now(),
            result => return result.map(drop),
        }
    }
}

/// What the disk does by itself: `group` records a write, and a fdatasync behind each.
fn plain(directory: &Path, group: usize, payload: &Bytes, span: Duration) -> Result<(), Box<dyn Error>> {
    let path = directory.join("wal_loop_plain");
    let mut file = File::create(&path)?;
    let buffer = payload.repeat(group);
    let started = Instant::now();
    let mut latencies = Vec::new();
    while started.elapsed() < span {
        let asked = Instant::now();
        file.write_all(&buffer)?;
        file.sync_data()?;
        latencies.push(asked.elapsed());
    }
    let took = started.elapsed();
    let what = format!("plain append, {group} a fdatasync");
    report(&what, latencies.len() * group, payload.len(), took, &mut latencies);
    fs::remove_file(&path)?;
    Ok(())
}
