//! Applies the records of the log in their order. All state of what was counted is in here.

mod calls;
mod evaluations;

use std::collections::BTreeMap;
use std::sync::Arc;

use genai::Redactor;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use otlp::metrics::AggregationTemporality;

use crate::collect::{Collector, Forms, Histograms, Interval, Window, error_logs};
use crate::contents::Contents;
use crate::descriptions::Semconv;
use crate::duplicates::{DuplicateSettings, Duplicates};
use crate::errors::ErrorIndex;
use crate::evaluated::Evaluated;
use crate::index::SeriesIndex;
use crate::key::Layout;
use crate::outcome::Outcome;
use crate::pending::Pending;
use crate::pricing::Pricing;
use crate::record::{Applied, Logged, Record};
use crate::report::{Report, Saved, Unpriced};
use crate::series::SeriesTable;
use crate::settle::{Group, Settle, SettleSettings};
use crate::tally::{Counted, Tally};
use crate::watched::Noted;

/// What a pipeline is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The attributes of series.
    pub layout: Layout,
    /// Whose names the metrics have.
    pub semconv: Semconv,
    /// How many series there may be, beside the one for the rest.
    pub cardinality_limit: usize,
    /// How many error records are kept.
    pub error_records: usize,
    /// `collector.instance.id`.
    pub instance_id: String,
    /// Whether closed intervals come as delta, and with which histograms.
    pub delta: Forms<bool>,
    /// Whether closed intervals come as cumulative, and with which histograms.
    pub cumulative: Forms<bool>,
    /// Whether closed intervals bring the failures as logs.
    pub error_logs: bool,
    /// How long what clients send again is recognised.
    pub duplicates: DuplicateSettings,
    /// How the spans of a call are gathered.
    pub settle: SettleSettings,
    /// Bytes of requests that may wait for the outcomes of their spans, before the oldest calls are counted early; `None` if
    /// nobody wants [`Effect::Applied`].
    pub pending: Option<usize>,
    /// What calls cost.
    pub pricing: Pricing,
    /// What the requests have passed before they came: what is told in content alone is counted only where content is kept.
    pub redactor: Redactor,
    /// Whether anybody wants [`Pipeline::counted`].
    pub watched: bool,
}

impl Settings {
    /// Whether anybody wants exponential histograms.
    pub(crate) fn has_exponential(&self) -> bool {
        self.delta.exponential || self.cumulative.exponential
    }
}

/// What applying a record brought about.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Spans have their outcomes.
    Applied(Applied),
    /// An interval was closed.
    Interval(Interval),
}

/// The counting itself: a function of the records applied, whatever runs it.
#[derive(Debug)]
pub struct Pipeline {
    pub(crate) settings: Settings,
    pub(crate) duplicates: Duplicates,
    pub(crate) settle: Settle,
    pub(crate) pending: Pending,
    pub(crate) series: SeriesTable,
    pub(crate) errors: ErrorIndex,
    pub(crate) evaluated: Evaluated,
    /// What was counted in closed intervals.
    pub(crate) tally: Tally,
    /// What was counted in the open interval.
    pub(crate) open_tally: Tally,
    pub(crate) saved: Saved,
    /// What the last record made count.
    pub(crate) counted: Vec<Noted>,
    /// The call that is being counted.
    group: Group,
    /// Of the request that is being applied.
    contents: Contents,
    pub(crate) start: u64,
    /// Receive time of the newest record.
    pub(crate) now: u64,
    /// Spans that were received, of those that `tally` and `settle` tell of.
    pub(crate) received: u64,
    /// See [`Pipeline::repeated_bytes`].
    repeated_bytes: u64,
}

impl Pipeline {
    /// A pipeline that has applied nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            duplicates: Duplicates::new(settings.duplicates),
            settle: Settle::new(settings.settle),
            pending: Pending::new(settings.pending, settings.pricing.prices.version()),
            series: SeriesTable::new(settings.layout.clone(), settings.cardinality_limit, settings.has_exponential()),
            errors: ErrorIndex::new(settings.error_records),
            evaluated: Evaluated::default(),
            tally: Tally::default(),
            open_tally: Tally::default(),
            saved: Saved::default(),
            counted: Vec::new(),
            group: Group::default(),
            contents: Contents::default(),
            start: 0,
            now: 0,
            received: 0,
            repeated_bytes: 0,
            settings,
        }
    }

    /// Where handlers look series up.
    pub fn index(&self) -> Arc<SeriesIndex> {
        self.series.index()
    }

    /// Applies the next record of the log; `emit` is called with what comes of it, requests in the order of the log.
    pub fn apply(&mut self, logged: Logged, mut emit: impl FnMut(Effect)) {
        let Logged { lsn, receive_time, record } = logged;
        self.forget_counted();
        self.now = self.now.max(receive_time);
        if self.start == 0 {
            self.start = receive_time;
        }
        self.series.begin(receive_time);
        if let Some(until) = self.settle.due_at(self.now) {
            self.settle_until(until);
        }
        match record {
            Record::Traces { body, facts, evaluations, contents } => {
                self.received += facts.len() as u64;
                self.contents = contents;
                self.evaluations(&body, &evaluations, receive_time);
                let request = self.pending.begin(lsn, receive_time, &body, facts.len());
                self.spans(&body, &facts, receive_time, request);
                self.contents = Contents::default();
                self.pending.complete(facts);
                self.emit_decided(&mut emit);
                while self.pending.is_over_limit() && self.settle_oldest() {
                    self.emit_decided(&mut emit);
                }
            }
            Record::Logs { body, evaluations } => self.evaluations(&body, &evaluations, receive_time),
            Record::ExportInterval => emit(Effect::Interval(self.close_interval())),
            Record::Drain => self.settle_until(u64::MAX),
            // Its time is all that it brings.
            Record::Tick => {}
        }
        self.emit_decided(&mut emit);
    }

    fn emit_decided(&mut self, emit: &mut impl FnMut(Effect)) {
        while let Some(applied) = self.pending.pop_decided() {
            emit(Effect::Applied(applied));
        }
    }

    /// Whether anything waits for time to pass: then the log must tell it, with a [`Record::Tick`] if with nothing else.
    pub fn is_waiting(&self) -> bool {
        self.settle.is_waiting()
    }

    /// How many calls were counted before their time, because there was no room to hold more.
    pub fn settled_early(&self) -> u64 {
        self.tally.get(Counted::SettledEarly) + self.open_tally.get(Counted::SettledEarly)
    }

    /// How many spans were received beyond those that have an outcome or wait for one: always 0, or there is a fault in the counting.
    /// What a checkpoint tells is taken to be right.
    pub fn unaccounted(&self) -> i64 {
        self.received.wrapping_sub(self.accounted()).cast_signed()
    }

    /// Spans that were received.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Spans that wait for their outcome.
    pub fn waiting(&self) -> u64 {
        self.settle.waiting() as u64
    }

    /// How many spans have each outcome, those that none has left out.
    pub fn outcomes(&self) -> BTreeMap<Outcome, u64> {
        let mut outcomes = BTreeMap::new();
        for (what, count) in self.tally.sorted().into_iter().chain(self.open_tally.sorted()) {
            if let Counted::Span(outcome, _) = what {
                *outcomes.entry(outcome).or_default() += count;
            }
        }
        outcomes
    }

    /// Spans that have an outcome or wait for one.
    pub(crate) fn accounted(&self) -> u64 {
        self.tally.spans() + self.open_tally.spans() + self.settle.waiting() as u64
    }

    /// Bytes of the spans that their clients sent again, as they stand in the requests; of those that this pipeline applied.
    pub fn repeated_bytes(&self) -> u64 {
        self.repeated_bytes
    }

    /// Nanoseconds within which every retry of a client is recognised.
    pub fn duplicate_window(&self) -> u64 {
        self.duplicates.effective_window(self.now)
    }

    fn close_interval(&mut self) -> Interval {
        let delta =
            self.settings.delta.map(|form, is_wanted| if is_wanted { self.delta(form).map(Arc::new) } else { None });
        self.series.close(self.now);
        self.tally.merge(&std::mem::take(&mut self.open_tally));
        let cumulative = self
            .settings
            .cumulative
            .map(|form, is_wanted| if is_wanted { self.cumulative(form).map(Arc::new) } else { None });
        let new_errors = self.errors.take_new();
        let errors = if self.settings.error_logs { error_logs(&new_errors, &self.settings.instance_id) } else { None };
        Interval { delta, cumulative, errors: errors.map(Arc::new) }
    }

    fn delta(&self, histograms: Histograms) -> Option<ExportMetricsServiceRequest> {
        let start = self.series.interval_start();
        let window = Window { temporality: AggregationTemporality::Delta, histograms, start, end: self.now };
        let mut collector = Collector::new(self.series.layout(), self.settings.semconv, window);
        for series in self.series.iter() {
            if let Some(open) = &series.open {
                collector.series(series, open);
            }
        }
        collector.tally(&self.open_tally, start);
        collector.finish(&self.settings.instance_id)
    }

    /// All that was ever measured, the open interval included, as cumulative metrics with explicit histograms; `None` if nothing was.
    pub fn snapshot(&self) -> Option<ExportMetricsServiceRequest> {
        self.cumulative(Histograms::Explicit)
    }

    fn cumulative(&self, histograms: Histograms) -> Option<ExportMetricsServiceRequest> {
        let temporality = AggregationTemporality::Cumulative;
        let window = Window { temporality, histograms, start: self.start, end: self.now };
        let mut collector = Collector::new(self.series.layout(), self.settings.semconv, window);
        for series in self.series.iter() {
            match series.open {
                Some(_) => collector.series(series, &series.all()),
                None => collector.series(series, &series.total),
            }
        }
        let mut tally = self.tally.clone();
        tally.merge(&self.open_tally);
        collector.tally(&tally, self.start);
        collector.finish(&self.settings.instance_id)
    }

    /// What was counted.
    pub fn report(&self) -> Report {
        Report::of(self.series.layout(), self.series.iter())
    }

    /// The models that calls were made to and that have no price, the most called first.
    pub fn unpriced(&self) -> Vec<Unpriced> {
        Unpriced::of(self.series.layout(), self.series.iter())
    }

    /// What merging the spans of calls saved from being counted again.
    pub fn saved(&self) -> Saved {
        self.saved
    }

    /// The error records.
    pub fn errors(&self) -> &ErrorIndex {
        &self.errors
    }
}
