//! What Spanmill tells of itself as a whole: its log, its memory, and whether every span is accounted for. Observed when metrics are
//! collected; what the crates do is counted by themselves.

use archive::Position;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use wal::{Level, Log, Lsn, Volume};

use crate::applier::{Progress, SharedPipeline};
use crate::forward;
use crate::recorder::LogRecord;

/// From 50 µs, which a good disk takes, to 10 s, which a broken one does; seconds.
const SYNC_BOUNDARIES: [f64; 16] =
    [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// What is observed.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) log: Log<LogRecord>,
    pub(crate) pipeline: SharedPipeline,
    pub(crate) progress: Progress,
    /// `None` if nothing is archived.
    pub(crate) archived: Option<Position>,
    /// Destinations of what applications sent, by their names.
    pub(crate) forwarded: Vec<(String, forward::Position)>,
}

impl Observed {
    /// Registers all instruments.
    pub(crate) fn register(self, meter: &Meter) {
        let Self { log, pipeline, progress, archived, forwarded } = self;
        let level = |name, description, value: fn(Level) -> u64| {
            let log = log.clone();
            meter
                .u64_observable_gauge(name)
                .with_description(description)
                .with_unit("By")
                .with_callback(move |observer| {
                    let fill = log.fill();
                    observer.observe(value(fill.memory), &[KeyValue::new("in", "memory")]);
                    if let Some(disk) = fill.disk {
                        observer.observe(value(disk), &[KeyValue::new("in", "disk")]);
                    }
                })
                .build()
        };
        level("spanmill.wal.size", "How much of the write-ahead log is taken", |level| level.used);
        level(
            "spanmill.wal.limit",
            "How much of it may be taken: before it is full, requests wait and clients are told to come again",
            |level| level.max,
        );

        let syncs = meter
            .f64_histogram("spanmill.wal.fsync.duration")
            .with_description("How long fdatasync takes for a group of records")
            .with_unit("s")
            .with_boundaries(SYNC_BOUNDARIES.to_vec())
            .build();
        log.observe_syncs(move |took| syncs.record(took.as_secs_f64(), &[]));

        let volume = |name, unit, description, value: fn(Volume) -> u64| {
            let (log, progress) = (log.clone(), progress.clone());
            meter
                .u64_observable_counter(name)
                .with_description(description)
                .with_unit(unit)
                .with_callback(move |observer| {
                    // In this order, as for the cursors.
                    observer.observe(value(progress.volume()), &[KeyValue::new("cursor", "applied")]);
                    observer.observe(value(log.volume()), &[KeyValue::new("cursor", "safe")]);
                })
                .build()
        };
        volume(
            "spanmill.wal.spans",
            "{span}",
            "Spans of requests in the log that are safe, or applied, since the process began; what a start applies again is counted again",
            |volume| volume.items,
        );
        volume(
            "spanmill.wal.bytes",
            "By",
            "Bodies of the requests that hold these spans, inflated: not what the log takes on disk, nor metrics and logs of applications",
            |volume| volume.bytes,
        );

        let cursors = Cursors { progress, archived, forwarded };
        let (behind, its_log) = (cursors.clone(), log.clone());
        meter
            .f64_observable_gauge("spanmill.wal.lag")
            .with_description(
                "How long the first record that is not applied, archived, or handed on to a destination had been in the log when its newest \
                 came; 0 if there is none. At most a second too long, or a thirty-second part",
            )
            .with_unit("s")
            .with_callback(move |observer| {
                behind.each(|lsn, attributes| {
                    if let Some(lag) = its_log.lag(lsn) {
                        observer.observe(lag.as_secs_f64(), attributes);
                    }
                });
            })
            .build();

        meter
            .u64_observable_gauge("spanmill.wal.lsn")
            .with_description("The last record of the log that is safe, applied, archived, or handed on to a destination, with all before it")
            .with_unit("{record}")
            .with_callback(move |observer| {
                cursors.each(|lsn, attributes| observer.observe(lsn, attributes));
                observer.observe(log.last(), &[KeyValue::new("cursor", "safe")]);
            })
            .build();

        let repeating = pipeline.clone();
        meter
            .u64_observable_counter("spanmill.duplicate.bytes")
            .with_description(
                "Spans that clients sent again, as they stand in their requests, since the process began; how many they are, spanmill.spans tells",
            )
            .with_unit("By")
            .with_callback(move |observer| observer.observe(repeating.lock().repeated_bytes(), &[]))
            .build();

        meter
            .i64_observable_gauge("spanmill.conservation.difference")
            .with_description(
                "Spans received beyond those that have an outcome or wait for one: anything but 0 is a fault",
            )
            .with_unit("{span}")
            .with_callback(move |observer| observer.observe(pipeline.lock().unaccounted(), &[]))
            .build();

        meter
            .i64_observable_up_down_counter("process.memory.usage")
            .with_description("Physical memory that the process takes")
            .with_unit("By")
            .with_callback(|observer| {
                if let Some(resident) = resident() {
                    observer.observe(resident, &[]);
                }
            })
            .build();
    }
}

/// Those who follow the log.
#[derive(Debug, Clone)]
struct Cursors {
    progress: Progress,
    archived: Option<Position>,
    forwarded: Vec<(String, forward::Position)>,
}

impl Cursors {
    /// How far each has come, and its attributes. The slowest first, so that none is seen ahead of one that it follows.
    fn each(&self, mut observe: impl FnMut(Lsn, &[KeyValue])) {
        let cursor = |name| KeyValue::new("cursor", name);
        if let Some(archived) = &self.archived {
            observe(self.progress.archived(archived), &[cursor("archived")]);
        }
        for (destination, position) in &self.forwarded {
            observe(position.get(), &[cursor("forwarded"), KeyValue::new("destination", destination.clone())]);
        }
        observe(self.progress.applied(), &[cursor("applied")]);
    }
}

/// Resident bytes of this process; `None` where the system does not tell them as Linux does.
fn resident() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"))?;
    Some(kilobytes.trim().parse::<i64>().ok()? * 1024)
}
