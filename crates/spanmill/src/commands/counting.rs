//! Counting what stands in files: the pipeline that serves, without a server.

use std::path::PathBuf;
use std::sync::Arc;

use aggregate::{
    Applied, DuplicateSettings, Effect, Forms, Layout, Logged, Pipeline, Record, Report, Semconv, Settings,
    SettleSettings,
};
use bytes::Bytes;
use genai::price::Prices;
use genai::{DeriveError, Evaluation, Redactor};
use indicatif::{ProgressBar, ProgressStyle};
use receive::{Replay, Request, Signal};

use super::printing;
use crate::clock::unix_nanos;
use crate::config::Config;
use crate::failure::Failure;
use crate::recorder::Recorder;

/// Memory for calls whose spans are gathered: some four million.
const MEMORY: usize = 1 << 30;

/// What came of a request.
pub(super) enum Told {
    /// Its spans have their outcomes.
    Spans(Applied),
    /// It tells evaluations.
    Evaluations {
        /// The protobuf body.
        body: Bytes,
        /// At least one.
        evaluations: Vec<Evaluation>,
    },
}

/// The same pipeline that serves, driven by files: one receive time for all, then a drain.
pub(super) struct Counting {
    redactor: Redactor,
    recorder: Recorder,
    pipeline: Pipeline,
    prices: Arc<Prices>,
    lsn: aggregate::Lsn,
    receive_time: u64,
}

impl Counting {
    /// Has counted nothing yet. `pending` is as in [`Settings::pending`].
    pub(super) fn new(config: &Config, pending: Option<usize>) -> Result<Self, Failure> {
        let budget = config.receivers.otlp.memory_budget;
        let settle = config.derive.settle(budget);
        let pricing = config.derive.prices.pricing()?;
        let prices = Arc::clone(&pricing.prices);
        let settings = Settings {
            layout: Layout {
                resource_attributes: vec!["service.name".to_owned()],
                dimensions: Vec::new(),
                max_label_length: 256,
            },
            semconv: Semconv::default(),
            // What is counted here is printed and forgotten: no series needs to make room for others.
            cardinality_limit: usize::MAX,
            error_records: 1,
            instance_id: String::new(),
            delta: Forms::default(),
            cumulative: Forms::default(),
            error_logs: false,
            // Everything is received at once, so all of it is held until the end: files may take more room than a server has.
            duplicates: DuplicateSettings { max_entries: usize::MAX, ..config.derive.duplicates(budget) },
            settle: SettleSettings { memory: settle.memory.max(MEMORY), ..settle },
            pending,
            pricing,
            redactor: config.derive.redactor(),
            watched: false,
        };
        let pipeline = Pipeline::new(settings);
        let redactor = config.derive.redactor();
        Ok(Self { redactor, recorder: Recorder::default(), pipeline, prices, lsn: 0, receive_time: unix_nanos() })
    }

    /// The prices that hold.
    pub(super) fn prices(&self) -> Arc<Prices> {
        Arc::clone(&self.prices)
    }

    /// Counts what stands in the files, and gives what it comes to. `tell` gets every request with the outcomes of its spans, in their
    /// order, if they were asked for, and what is evaluated, as it is counted.
    pub(super) fn count(mut self, paths: &[PathBuf], mut tell: impl FnMut(Told)) -> Result<Report, Failure> {
        let mut replay = Replay::open(paths)?;
        let progress = progress_bar(replay.total_bytes());
        while let Some(entry) = replay.next() {
            let entry = entry?;
            self.entry(entry, &mut tell)?;
            progress.set_position(replay.position());
        }
        progress.finish_and_clear();
        self.apply(Record::Drain, &mut tell);
        if self.pipeline.received() == 0 {
            note_nothing(paths, replay.skipped());
        }
        Ok(self.pipeline.report())
    }

    fn entry(&mut self, entry: receive::Entry, tell: &mut impl FnMut(Told)) -> Result<(), Failure> {
        let record = self.record(entry.request).map_err(|source| Failure::Malformed { place: entry.place, source })?;
        if let Some(record) = record {
            if let Record::Traces { body, evaluations, .. } | Record::Logs { body, evaluations } = &record
                && !evaluations.is_empty()
            {
                tell(Told::Evaluations { body: body.clone(), evaluations: evaluations.clone() });
            }
            self.apply(record, tell);
        }
        Ok(())
    }

    /// What the log of a server would hold of a request; nothing of most that are no traces.
    fn record(&self, request: Request) -> Result<Option<Record>, DeriveError> {
        let body = request.body;
        Ok(match request.signal {
            Signal::Traces => self.recorder.traces(self.redactor.traces(&body)?.map_or(body, Bytes::from), None)?,
            Signal::Logs => self.recorder.logs(self.redactor.logs(&body)?.map_or(body, Bytes::from))?,
            Signal::Metrics => None,
        })
    }

    fn apply(&mut self, record: Record, tell: &mut impl FnMut(Told)) {
        self.lsn += 1;
        self.pipeline.apply(Logged { lsn: self.lsn, receive_time: self.receive_time, record }, |effect| {
            if let Effect::Applied(request) = effect {
                tell(Told::Spans(request));
            }
        });
    }
}

/// Nothing is what may be there, and may be a wrong path.
fn note_nothing(paths: &[PathBuf], skipped: &[PathBuf]) {
    let list = |paths: &[PathBuf]| {
        let names: Vec<String> = paths.iter().take(5).map(|path| path.display().to_string()).collect();
        let more = if paths.len() > 5 { format!(" and {} more", paths.len() - 5) } else { String::new() };
        names.join(", ") + &more
    };
    printing::note(&format!("no spans in {}: they are looked for in *.binpb, *.json and *.jsonl", list(paths)));
    if !skipped.is_empty() {
        printing::note(&format!("passed over, for it does not begin as OTLP does: {}", list(skipped)));
    }
}

/// A bar on a terminal; nothing elsewhere.
fn progress_bar(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {binary_bytes}/{binary_total_bytes} {eta}");
    ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
