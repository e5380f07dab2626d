//! Applies the records of the log in their order. All state of what was counted is in here.

use std::sync::Arc;

use bytes::Bytes;
use genai::SpanFacts;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use otlp::metrics::AggregationTemporality;

use crate::call::Call;
use crate::collect::{Collector, Interval, OutcomeCounts, Window, error_logs};
use crate::errors::{ErrorIndex, ErrorRecord};
use crate::histogram::Origin;
use crate::index::SeriesIndex;
use crate::key::{Kind, Layout};
use crate::outcome::SpanOutcome;
use crate::record::{Applied, Logged, Record};
use crate::report::Report;
use crate::series::SeriesTable;
use crate::settle::Settle;

/// What a pipeline is made with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The attributes of series.
    pub layout: Layout,
    /// How many series there may be, beside the one for the rest.
    pub cardinality_limit: usize,
    /// How many error records are kept.
    pub error_records: usize,
    /// `collector.instance.id`.
    pub instance_id: String,
    /// Whether closed intervals come as delta.
    pub delta: bool,
    /// Whether closed intervals come as cumulative.
    pub cumulative: bool,
    /// Whether closed intervals bring the failures as logs.
    pub error_logs: bool,
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
    settings: Settings,
    settle: Settle,
    series: SeriesTable,
    errors: ErrorIndex,
    /// Outcomes of closed intervals.
    outcomes: OutcomeCounts,
    /// Outcomes of the open interval.
    open_outcomes: OutcomeCounts,
    start: u64,
    /// Receive time of the newest record.
    now: u64,
}

impl Pipeline {
    /// A pipeline that has applied nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            settle: Settle,
            series: SeriesTable::new(settings.layout.clone(), settings.cardinality_limit),
            errors: ErrorIndex::new(settings.error_records),
            outcomes: OutcomeCounts::new(),
            open_outcomes: OutcomeCounts::new(),
            start: 0,
            now: 0,
            settings,
        }
    }

    /// Where handlers look series up.
    pub fn index(&self) -> Arc<SeriesIndex> {
        self.series.index()
    }

    /// Applies the next record of the log; `emit` is called with what comes of it.
    pub fn apply(&mut self, logged: Logged, mut emit: impl FnMut(Effect)) {
        let Logged { lsn, receive_time, record } = logged;
        self.now = self.now.max(receive_time);
        if self.start == 0 {
            self.start = receive_time;
        }
        match record {
            Record::Traces { body, facts } => {
                let outcomes = self.spans(&body, &facts, receive_time);
                emit(Effect::Applied(Applied { lsn, receive_time, body, facts, outcomes }));
            }
            Record::ExportInterval => emit(Effect::Interval(self.close_interval())),
            // Nothing is held yet that these could end.
            Record::Tick | Record::Drain => {}
        }
    }

    fn spans(&mut self, body: &Bytes, facts: &[SpanFacts], receive_time: u64) -> Vec<SpanOutcome> {
        self.series.begin(receive_time);
        let mut outcomes = Vec::with_capacity(facts.len());
        for span in facts {
            let outcome = self.span(body, span, receive_time);
            *self.open_outcomes.entry((outcome.outcome, outcome.reason)).or_default() += 1;
            outcomes.push(outcome);
        }
        outcomes
    }

    fn span(&mut self, body: &Bytes, facts: &SpanFacts, receive_time: u64) -> SpanOutcome {
        if let Some(outcome) = SpanOutcome::of_non_call(facts) {
            self.measure(body, facts, receive_time);
            return outcome;
        }
        let Some(number) = self.series.number(body, facts) else { return SpanOutcome::counted(facts) };
        let series = &mut self.series;
        self.settle.offer(Call::of_span(number, facts, receive_time), |call| {
            if let Some(series) = series.get_mut(call.series) {
                series.open().count(call);
            }
        });
        if let Some(error) = facts.error {
            self.errors.add(ErrorRecord::new(body, facts, error, receive_time));
        }
        SpanOutcome::counted(facts)
    }

    /// Measures how long an agent or a tool took.
    fn measure(&mut self, body: &Bytes, facts: &SpanFacts, receive_time: u64) {
        let (Some(kind), Some(duration)) = (Kind::of_role(facts.role), facts.duration()) else { return };
        if !facts.has_valid_ids() {
            return;
        }
        let Some(series) = self.series.number(body, facts).and_then(|number| self.series.get_mut(number)) else {
            return;
        };
        let origin = Origin::of_span(facts, receive_time);
        series.open().measure(kind, facts.error.map(|error| error.class), duration, &origin);
    }

    fn close_interval(&mut self) -> Interval {
        let delta = if self.settings.delta { self.delta() } else { None };
        self.series.close(self.now);
        for (outcome, count) in std::mem::take(&mut self.open_outcomes) {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        let cumulative = if self.settings.cumulative { self.snapshot() } else { None };
        let new_errors = self.errors.take_new();
        let errors = if self.settings.error_logs { error_logs(new_errors, &self.settings.instance_id) } else { None };
        Interval { delta: delta.map(Arc::new), cumulative: cumulative.map(Arc::new), errors: errors.map(Arc::new) }
    }

    fn delta(&self) -> Option<ExportMetricsServiceRequest> {
        let start = self.series.interval_start();
        let window = Window { temporality: AggregationTemporality::Delta, start, end: self.now };
        let mut collector = Collector::new(self.series.layout(), window);
        for series in self.series.iter() {
            if let Some(open) = &series.open {
                collector.series(series, open);
            }
        }
        collector.outcomes(&self.open_outcomes, start);
        collector.finish(&self.settings.instance_id)
    }

    /// All that was ever measured, the open interval included, as cumulative metrics; `None` if nothing was.
    pub fn snapshot(&self) -> Option<ExportMetricsServiceRequest> {
        let window = Window { temporality: AggregationTemporality::Cumulative, start: self.start, end: self.now };
        let mut collector = Collector::new(self.series.layout(), window);
        for series in self.series.iter() {
            match series.open {
                Some(_) => collector.series(series, &series.all()),
                None => collector.series(series, &series.total),
            }
        }
        let mut outcomes = self.outcomes.clone();
        for (outcome, count) in &self.open_outcomes {
            *outcomes.entry(*outcome).or_default() += count;
        }
        collector.outcomes(&outcomes, self.start);
        collector.finish(&self.settings.instance_id)
    }

    /// What was counted.
    pub fn report(&self) -> Report {
        Report::of(self.series.layout(), self.series.iter())
    }

    /// The error records.
    pub fn errors(&self) -> &ErrorIndex {
        &self.errors
    }
}
