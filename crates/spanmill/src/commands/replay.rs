//! `spanmill replay PATH...`: count what stands in files, without a server.

use std::io::Write;
use std::path::{Path, PathBuf};

use aggregate::{Layout, Logged, Pipeline, Record, Settings, SettleSettings};
use genai::{DeriveError, Derived, Deriver};
use indicatif::{ProgressBar, ProgressStyle};
use receive::{Replay, Request, Signal};

use crate::config::{self, Config};
use crate::failure::Failure;
use crate::server::unix_nanos;
use crate::table::{self, Format};

/// Memory for calls whose spans are gathered: some four million.
const MEMORY: usize = 1 << 30;

/// Reads the files and prints what they come to.
pub(crate) fn run(config: Option<&Path>, paths: &[PathBuf], format: Format) -> Result<(), Failure> {
    let config = Config::load(config, &config::process_environment)?.config;
    let mut counting = Counting::new(&config)?;
    let mut replay = Replay::open(paths)?;
    let progress = progress_bar(replay.total_bytes());
    while let Some(entry) = replay.next() {
        let entry = entry?;
        counting.count(entry)?;
        progress.set_position(replay.position());
    }
    progress.finish_and_clear();
    let report = counting.finish();
    let rendered = table::render(&report, format).map_err(|error| Failure::Demo(error.to_string()))?;
    std::io::stdout().write_all(rendered.as_bytes()).map_err(Failure::io("printing the result"))
}

/// The same pipeline that serves, driven by files: one receive time for all, then a drain.
struct Counting {
    deriver: Deriver,
    pipeline: Pipeline,
    lsn: aggregate::Lsn,
    receive_time: u64,
}

impl Counting {
    fn new(config: &Config) -> Result<Self, Failure> {
        let settle = config.derive.settle();
        let settings = Settings {
            layout: Layout {
                resource_attributes: vec!["service.name".to_owned()],
                dimensions: Vec::new(),
                max_label_length: 256,
            },
            // What is counted here is printed and forgotten: no series needs to make room for others.
            cardinality_limit: usize::MAX,
            error_records: 1,
            instance_id: String::new(),
            delta: false,
            cumulative: false,
            error_logs: false,
            // Everything is received at once, so all of it is held until the end: files may take more room than a server has.
            settle: SettleSettings { memory: settle.memory.max(MEMORY), ..settle },
            pending: None,
            pricing: config.derive.prices.pricing()?,
        };
        let pipeline = Pipeline::new(settings);
        Ok(Self { deriver: Deriver::default(), pipeline, lsn: 0, receive_time: unix_nanos() })
    }

    fn count(&mut self, entry: receive::Entry) -> Result<(), Failure> {
        let record = self.record(entry.request).map_err(|source| Failure::Malformed { place: entry.place, source })?;
        if let Some(record) = record {
            self.apply(record);
        }
        Ok(())
    }

    /// What the log of a server would hold of a request; nothing of most that are no traces.
    fn record(&self, request: Request) -> Result<Option<Record>, DeriveError> {
        let body = request.body;
        Ok(match request.signal {
            Signal::Traces => {
                let Derived { spans: facts, evaluations } = self.deriver.derive_traces(&body)?;
                Some(Record::Traces { body, facts, evaluations })
            }
            Signal::Logs => {
                let evaluations = self.deriver.derive_logs(&body)?;
                (!evaluations.is_empty()).then_some(Record::Logs { body, evaluations })
            }
            Signal::Metrics => None,
        })
    }

    fn finish(mut self) -> aggregate::Report {
        self.apply(Record::Drain);
        self.pipeline.report()
    }

    fn apply(&mut self, record: Record) {
        self.lsn += 1;
        self.pipeline.apply(Logged { lsn: self.lsn, receive_time: self.receive_time, record }, drop);
    }
}

/// A bar on a terminal; nothing elsewhere.
fn progress_bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {binary_bytes}/{binary_total_bytes} {eta}");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
