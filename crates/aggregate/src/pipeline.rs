//! Applies the records of the log in their order. All state of what was counted is in here.

use std::sync::Arc;

use bytes::Bytes;
use genai::{Role, SpanFacts};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use otlp::metrics::AggregationTemporality;

use crate::call::Call;
use crate::collect::{Collector, Interval, OutcomeCounts, Window, error_logs};
use crate::errors::{ErrorIndex, ErrorRecord};
use crate::family::Families;
use crate::histogram::Origin;
use crate::index::SeriesIndex;
use crate::key::{Kind, Layout};
use crate::outcome::{Outcome, SpanOutcome};
use crate::pending::Pending;
use crate::record::{Applied, Logged, Record};
use crate::report::Report;
use crate::series::SeriesTable;
use crate::settle::{Context, DecidedAgent, Group, Held, Place, Relation, Seq, Settle, SettleSettings, State};

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
    /// How the spans of a call are gathered.
    pub settle: SettleSettings,
    /// Bytes of requests that may wait for the outcomes of their spans, before the oldest calls are counted early; `None` if
    /// nobody wants [`Effect::Applied`].
    pub pending: Option<usize>,
}

/// Why a span is a duplicate that its client sent again.
const REPEATED: &str = "repeated";

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
    pending: Pending,
    series: SeriesTable,
    errors: ErrorIndex,
    /// Outcomes of closed intervals.
    outcomes: OutcomeCounts,
    /// Outcomes of the open interval.
    open_outcomes: OutcomeCounts,
    /// The call that is being counted.
    group: Group,
    /// Calls that were counted before their time, because there was no room for more.
    settled_early: u64,
    start: u64,
    /// Receive time of the newest record.
    now: u64,
}

impl Pipeline {
    /// A pipeline that has applied nothing.
    pub fn new(settings: Settings) -> Self {
        Self {
            settle: Settle::new(settings.settle),
            pending: Pending::new(settings.pending),
            series: SeriesTable::new(settings.layout.clone(), settings.cardinality_limit),
            errors: ErrorIndex::new(settings.error_records),
            outcomes: OutcomeCounts::new(),
            open_outcomes: OutcomeCounts::new(),
            group: Group::default(),
            settled_early: 0,
            start: 0,
            now: 0,
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
        self.now = self.now.max(receive_time);
        if self.start == 0 {
            self.start = receive_time;
        }
        self.series.begin(receive_time);
        if let Some(until) = self.settle.due_at(self.now) {
            self.settle_until(until);
        }
        match record {
            Record::Traces { body, facts } => {
                let (outcomes, undecided) = self.spans(&body, &facts, receive_time);
                self.pending.push(lsn, receive_time, (body, facts), outcomes, undecided);
                while self.pending.is_over_limit() && self.settle_oldest() {}
            }
            Record::ExportInterval => emit(Effect::Interval(self.close_interval())),
            Record::Drain => self.settle_until(u64::MAX),
            // Its time is all that it brings.
            Record::Tick => {}
        }
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
        self.settled_early
    }

    /// The outcomes of the spans of a request, and how many of them are not decided yet.
    fn spans(&mut self, body: &Bytes, facts: &[SpanFacts], receive_time: u64) -> (Vec<SpanOutcome>, usize) {
        let request = self.pending.next_number();
        let mut outcomes = Vec::new();
        if self.settings.pending.is_some() {
            outcomes.reserve_exact(facts.len());
        }
        let mut undecided = 0;
        let mut has_others = false;
        for (position, span) in (0..).zip(facts) {
            let place = Place { request, position };
            let outcome = self.span(body, span, receive_time, place);
            match outcome {
                Some(outcome) => self.note(outcome),
                None => undecided += 1,
            }
            has_others |= span.role == Role::None;
            if self.settings.pending.is_some() {
                outcomes.push(outcome.unwrap_or(SpanOutcome::UNDECIDED));
            }
        }
        if has_others {
            self.pass_others(facts);
        }
        (outcomes, undecided)
    }

    fn note(&mut self, outcome: SpanOutcome) {
        *self.open_outcomes.entry((outcome.outcome, outcome.reason)).or_default() += 1;
    }

    /// The outcome of a span; `None` if it waits for the others of its call.
    fn span(&mut self, body: &Bytes, facts: &SpanFacts, receive_time: u64, place: Place) -> Option<SpanOutcome> {
        let Some(outcome) = SpanOutcome::of_non_call(facts) else {
            return self.call_span(body, facts, receive_time, place);
        };
        self.measure(body, facts, receive_time);
        if outcome.outcome == Outcome::Malformed || facts.role == Role::None {
            return Some(outcome);
        }
        if let Some(agent) = self.settle.make_room_for_lineage() {
            self.settled_early += 1;
            self.decided(agent);
        }
        let agent = self.agent(body, facts, receive_time, place);
        let waits = agent.is_some();
        self.settle.pass(facts, agent);
        (!waits).then_some(outcome)
    }

    fn call_span(&mut self, body: &Bytes, facts: &SpanFacts, receive_time: u64, place: Place) -> Option<SpanOutcome> {
        while let Some(oldest) = self.settle.make_room(self.now) {
            self.settled_early += 1;
            self.settle_call(oldest);
        }
        let series = self.series.number(body, facts).unwrap_or_default();
        let repeated = self.settle.offer(Held::new(body, facts, Context { receive_time, place, series }))?;
        let original = self.settle.get_mut(repeated)?;
        if original.is_waiting() {
            original.rare.get_or_insert_default().repetitions.push(place);
            return None;
        }
        Some(SpanOutcome::of_call(Outcome::Duplicate, REPEATED, original.counted_span_id))
    }

    /// What is counted for an agent, if it turns out to stand for a call.
    fn agent(&mut self, body: &Bytes, facts: &SpanFacts, receive_time: u64, place: Place) -> Option<Box<Held>> {
        if facts.role != Role::Agent || facts.usage_is_running_total || !facts.usage.is_reported() {
            return None;
        }
        let series = self.series.number_of_kind(Kind::Call, body, facts)?;
        Some(Box::new(Held::new(body, facts, Context { receive_time, place, series })))
    }

    /// Spans without GenAI meaning can stand between an agent and its calls. Which traces have such is known when the rest of the
    /// request is.
    fn pass_others(&mut self, facts: &[SpanFacts]) {
        for span in facts.iter().filter(|span| span.role == Role::None && span.has_valid_ids()) {
            if self.settle.knows_trace(span.trace_id) {
                if let Some(agent) = self.settle.make_room_for_lineage() {
                    self.settled_early += 1;
                    self.decided(agent);
                }
                self.settle.pass(span, None);
            }
        }
    }

    /// Measures how long an agent or a tool took.
    fn measure(&mut self, body: &Bytes, facts: &SpanFacts, receive_time: u64) {
        let (Some(kind), Some(duration)) = (Kind::of_role(facts.role), facts.duration()) else { return };
        if !facts.has_valid_ids() {
            return;
        }
        let number = self.series.number(body, facts);
        let Some(open) = number.and_then(|number| self.series.open(number)) else { return };
        let origin = Origin::of_span(facts, receive_time);
        open.measure(kind, facts.error.map(|error| error.class), duration, &origin);
    }

    /// Counts what was received at `until` or before.
    fn settle_until(&mut self, until: u64) {
        while let Some(first) = self.settle.due(until) {
            self.settle_call(first);
        }
        while let Some(agent) = self.settle.due_agent(until) {
            self.decided(agent);
        }
    }

    /// Counts the oldest call that waits, before its time; tells whether there was one.
    fn settle_oldest(&mut self) -> bool {
        if let Some(first) = self.settle.due(u64::MAX) {
            self.settled_early += 1;
            self.settle_call(first);
            return true;
        }
        let Some(agent) = self.settle.due_agent(u64::MAX) else { return false };
        self.settled_early += 1;
        self.decided(agent);
        true
    }

    /// Gathers the spans of the call of a span that waits, and counts it.
    fn settle_call(&mut self, first: Seq) {
        let mut group = std::mem::take(&mut self.group);
        let series = &self.series;
        let families = |number: u32| series.get(number).map_or(Families::default(), |series| series.families);
        self.settle.gather(&mut group, first, &families);
        match group.late_for {
            Some(counted) => self.late(&group, counted),
            None => self.count(&group),
        }
        self.group = group;
    }

    /// Counts a call that its spans report together.
    fn count(&mut self, group: &Group) {
        let Some(merged) = self.settle.merge(group) else { return };
        let agent = group.members.iter().find_map(|(seq, _)| self.settle.counted_agent_above(*seq));
        if let Some(agent) = agent {
            let state = State::Counted { alone: false, with_usage: true };
            return self.close(group, state, None, |_| SpanOutcome::of_call(Outcome::Late, "agent", agent));
        }
        let members: Vec<(u32, bool)> = match group.members.as_slice() {
            [_] => Vec::new(),
            members => members
                .iter()
                .filter_map(|(seq, _)| self.settle.get(*seq))
                .map(|held| (held.series, held.response_model_is_weak))
                .collect(),
        };
        let Some(counted) = self.settle.get(merged.counted) else { return };
        let counted_span_id = counted.span_id;
        let role = if counted.is_embeddings { Role::Embeddings } else { Role::Llm };
        let reason = if merged.duration.is_none() { "invalid_duration" } else { role.name() };
        let call = Call {
            origin: counted.origin(),
            duration: merged.duration,
            time_to_first_chunk: merged.time_to_first_chunk,
            usage: merged.usage,
            error: merged.error.map(|(class, _)| class),
        };
        let series = self.series.number_of_call(counted.series, &members).unwrap_or(counted.series);
        if let Some(open) = self.series.open(series) {
            open.count(&call);
        }
        if let Some((class, seq)) = merged.error
            && let Some(record) = self.settle.get_mut(seq).and_then(|held| held.rare.as_mut()?.error.take())
        {
            self.errors.add(ErrorRecord { class, ..record });
        }
        let state = State::Counted { alone: group.members.len() == 1, with_usage: call.usage.is_some() };
        self.close(group, state, Some(series), |(seq, relation)| match relation {
            _ if seq == merged.counted => SpanOutcome::of_call(Outcome::Counted, reason, counted_span_id),
            relation => SpanOutcome::of_call(Outcome::Duplicate, relation.map_or("", Relation::name), counted_span_id),
        });
    }

    /// Takes spans of a call that was counted before they came: they add usage, where none was counted.
    fn late(&mut self, group: &Group, counted: Seq) {
        let usage = self.settle.merge(group).and_then(|merged| merged.usage);
        let Some(before) = self.settle.get_mut(counted) else { return };
        let (series, counted_span_id, origin) = (before.series, before.counted_span_id, before.origin());
        let had_usage = matches!(before.state, State::Counted { with_usage: true, .. });
        let with_usage = had_usage || usage.is_some();
        before.state = State::Counted { alone: false, with_usage };
        if let Some(usage) = usage.filter(|_| !had_usage)
            && let Some(open) = self.series.open(series)
        {
            open.use_tokens(usage, &origin);
        }
        let state = State::Counted { alone: false, with_usage };
        self.close(group, state, Some(series), |(_, relation)| {
            SpanOutcome::of_call(Outcome::Late, relation.map_or("", Relation::name), counted_span_id)
        });
    }

    /// Gives every span of a call its outcome.
    fn close(
        &mut self,
        group: &Group,
        state: State,
        series: Option<u32>,
        outcome: impl Fn((Seq, Option<Relation>)) -> SpanOutcome,
    ) {
        for &(seq, relation) in &group.members {
            let outcome = outcome((seq, relation));
            let Some(held) = self.settle.get_mut(seq) else { continue };
            let place = held.place;
            let series = series.unwrap_or(held.series);
            let repetitions = held.forget_rare();
            self.settle.settled(seq, state, series, outcome.counted_span_id);
            self.decide(place, outcome);
            for place in repetitions {
                self.decide(place, SpanOutcome::of_call(Outcome::Duplicate, REPEATED, outcome.counted_span_id));
            }
        }
    }

    /// Counts an agent that stands for a call, or not.
    fn decided(&mut self, agent: DecidedAgent) {
        let DecidedAgent { mut held, is_call } = agent;
        if !is_call {
            let outcome = SpanOutcome::of_call(Outcome::NotACall, Role::Agent.name(), [0; 8]);
            return self.decide(held.place, outcome);
        }
        let call = Call {
            origin: held.origin(),
            duration: held.duration(),
            time_to_first_chunk: held.time_to_first_chunk,
            usage: Some(held.usage),
            error: held.error,
        };
        if let Some(open) = self.series.open(held.series) {
            open.count(&call);
        }
        if let Some(record) = held.rare.as_mut().and_then(|rare| rare.error.take()) {
            self.errors.add(record);
        }
        self.decide(held.place, SpanOutcome::of_call(Outcome::Counted, Role::Agent.name(), held.span_id));
    }

    fn decide(&mut self, place: Place, outcome: SpanOutcome) {
        self.note(outcome);
        self.pending.decide(place, outcome);
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
