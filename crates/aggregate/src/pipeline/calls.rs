//! From spans to counted calls: what the pipeline does with the spans of a request, and when their time has come.

use bytes::Bytes;
use genai::{Label, Money, Role, SpanFacts, Usage};

use super::Pipeline;
use crate::call::Call;
use crate::errors::{Details, ErrorRecord};
use crate::fetch::{AHEAD, fetch_facts};
use crate::histogram::Origin;
use crate::key::Kind;
use crate::outcome::{ADDS_USAGE, INVALID_DURATION, Merged as MergedSpan, Outcome, SpanOutcome, reason_of};
use crate::pricing::{CallCost, Priceable, Pricing};
use crate::series::SeriesTable;
use crate::settle::{Context, DecidedAgent, Held, Member, Merged, Offered, Place, Relation, Seq, State};
use crate::tally::Counted;

impl Pipeline {
    /// Takes the spans of a request, which waits under its number for their outcomes.
    pub(super) fn spans(&mut self, body: &Bytes, facts: &[SpanFacts], receive_time: u64, request: u64) {
        let is_repeated = self.duplicates.receive(self.contents.request, self.now);
        let mut has_others = false;
        (0..AHEAD).for_each(|position| self.approach(facts, position));
        for (position, span) in (0..).zip(facts) {
            self.approach(facts, position + AHEAD);
            let place = Place { request, position };
            let fingerprint = self.contents.span(position).fingerprint;
            if is_repeated || (fingerprint != 0 && self.duplicates.receive(fingerprint, self.now)) {
                self.repeated_bytes += u64::from(span.span.len());
                self.decide(place, SpanOutcome::REPEATED);
                continue;
            }
            if let Some(outcome) = self.span(body, span, receive_time, place) {
                self.decide(place, outcome);
            }
            has_others |= span.role == Role::None;
        }
        if has_others {
            self.pass_others(facts);
        }
    }

    /// Fetches what the span at a position needs, if there is one.
    #[inline]
    fn approach(&self, facts: &[SpanFacts], position: u32) {
        facts.get((position + AHEAD) as usize).into_iter().for_each(fetch_facts);
        let Some(span) = facts.get(position as usize) else { return };
        let content = self.contents.span(position);
        self.duplicates.approach(content.fingerprint);
        if span.role.is_call() {
            self.settle.approach(span.trace_id, content.response);
        }
    }

    fn note(&mut self, outcome: &SpanOutcome) {
        self.open_tally.add(Counted::Span(outcome.outcome, outcome.reason), 1);
    }

    fn note_settled_early(&mut self) {
        self.open_tally.add(Counted::SettledEarly, 1);
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
            self.note_settled_early();
            self.decided(agent);
        }
        let stand_in = self.stand_in(body, facts, receive_time, place);
        let waits = stand_in.is_some();
        self.settle.pass(facts, stand_in);
        (!waits).then_some(outcome)
    }

    /// Holds a call span until the others of its call can have come.
    fn call_span(&mut self, body: &Bytes, facts: &SpanFacts, receive_time: u64, place: Place) -> Option<SpanOutcome> {
        while let Some(oldest) = self.settle.make_room(self.now) {
            self.settle_early(oldest);
        }
        let series = self.series.number(body, facts).unwrap_or_default();
        let context = self.context(body, facts, receive_time, place, series);
        let offered = self.settle.offer(body, facts, context);
        let Offered::Repeats(repeated) = offered else {
            if offered == Offered::SameIds {
                self.open_tally.add(Counted::IdConflict, 1);
            }
            if let Some(inconsistency) = facts.inconsistency {
                self.open_tally.add(Counted::Inconsistent(inconsistency), 1);
            }
            return None;
        };
        self.repeated_bytes += u64::from(facts.span.len());
        let keeps_requests = self.settings.pending.is_some();
        let original = self.settle.get(repeated)?;
        if original.is_waiting() && keeps_requests {
            self.settle.repeated(repeated, place);
            return None;
        }
        Some(SpanOutcome { counted_span_id: original.counted_span_id(), ..SpanOutcome::REPEATED })
    }

    /// What is counted for a span that is no call, if it turns out to stand for one.
    fn stand_in(&mut self, body: &Bytes, facts: &SpanFacts, receive_time: u64, place: Place) -> Option<Box<Held>> {
        if facts.usage_is_running_total || !facts.usage().is_reported() || !may_stand_for_a_call(facts) {
            return None;
        }
        let series = self.series.number_of_kind(Kind::Call, body, facts)?;
        let context = self.context(body, facts, receive_time, place, series);
        let mut stand_in = Box::new(Held::BLANK);
        stand_in.fill(body, facts, context);
        Some(stand_in)
    }

    fn context(&mut self, body: &Bytes, facts: &SpanFacts, receive_time: u64, place: Place, series: u32) -> Context {
        let price = if SeriesTable::is_rest(series) {
            self.series.other_price(body, facts, &self.settings.pricing.prices)
        } else {
            None
        };
        let families = self.series.families(series, body, facts);
        let content = self.contents.span(place.position);
        let error = facts.error.and_then(|_| self.error_record(body, facts, receive_time, place));
        Context { receive_time, place, series, price, families, content, error }
    }

    /// The record of a failure. Its details are for destinations: without any, nobody wants them.
    fn error_record(
        &mut self,
        body: &Bytes,
        facts: &SpanFacts,
        receive_time: u64,
        place: Place,
    ) -> Option<Box<ErrorRecord>> {
        let failure = self.contents.failure(body, facts, place.position)?;
        let details = self.settings.error_logs.then(|| Box::new(Details::of(body, facts)));
        Some(Box::new(ErrorRecord::new(facts, failure, receive_time, details)))
    }

    /// Spans without GenAI meaning can stand between an agent and its calls. Which traces have such is known when the rest of the
    /// request is.
    fn pass_others(&mut self, facts: &[SpanFacts]) {
        for span in facts.iter().filter(|span| span.role == Role::None && span.has_valid_ids()) {
            if self.settle.knows_trace(span.trace_id) {
                if let Some(agent) = self.settle.make_room_for_lineage() {
                    self.note_settled_early();
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
    pub(super) fn settle_until(&mut self, until: u64) {
        while let Some(first) = self.settle.due(until) {
            self.settle_calls(first, until);
        }
        while let Some(agent) = self.settle.due_agent(until) {
            self.decided(agent);
        }
    }

    /// Counts the oldest call that waits, before its time; tells whether there was one.
    pub(super) fn settle_oldest(&mut self) -> bool {
        if let Some(first) = self.settle.due(u64::MAX) {
            self.settle_early(first);
            return true;
        }
        let Some(agent) = self.settle.due_agent(u64::MAX) else { return false };
        self.note_settled_early();
        self.decided(agent);
        true
    }

    /// Counts the call of a span that waits, before its time.
    fn settle_early(&mut self, first: Seq) {
        self.note_settled_early();
        self.settle_calls(first, 0);
    }

    /// Counts the call of a span that waits, and of what was found with it the calls that were received at `until` or before.
    fn settle_calls(&mut self, first: Seq, until: u64) {
        if self.settle.is_alone(first) {
            return self.count(&[(first, None)]);
        }
        let mut group = std::mem::take(&mut self.group);
        self.settle.gather(&mut group, first);
        while self.settle.take_next(&mut group, until) {
            match group.late_for {
                Some(counted) => self.late(&group.members, counted),
                None => self.count(&group.members),
            }
            self.settle.note_taken(&group);
        }
        self.group = group;
    }

    /// Counts a call that its spans report together.
    fn count(&mut self, members: &[Member]) {
        let Some(merged) = self.settle.merge(members) else { return };
        if let Some(agent) = members.iter().find_map(|(seq, _)| self.settle.counted_agent_above(*seq)) {
            let state = State::Counted { counted_span_id: agent, alone: false, with_usage: true, with_cost: true };
            return self.close(members, state, None, |_| SpanOutcome::new(Outcome::Late, Role::Agent.name(), agent));
        }
        let Some(counted) = self.settle.get(merged.counted) else { return };
        let (origin, counted_span_id) = (counted.origin(), counted.span_id);
        let reason = if merged.duration.is_none() { INVALID_DURATION } else { counted.role.name() };
        let series = self.series_of(members, counted.series);
        let call = Call {
            origin,
            duration: merged.duration,
            time_to_first_chunk: merged.time_to_first_chunk,
            usage: merged.usage,
            cost: self.cost(members, series, &merged),
            error: merged.error.map(|(class, _)| class),
        };
        if let Some(open) = self.series.open(series) {
            open.count(&call);
        }
        self.note_counted(series, &call, false);
        if let Some((class, seq)) = merged.error
            && let Some(record) = self.settle.get_mut(seq).and_then(|held| held.rare.as_mut()?.error.take())
        {
            self.errors.add(ErrorRecord { class, ..*record });
        }
        let told_by_several = (members.len() > 1).then(|| self.merged_span(series, &call));
        let state = State::Counted {
            counted_span_id,
            alone: members.len() == 1,
            with_usage: call.usage.is_some(),
            with_cost: call.cost.is_known(),
        };
        self.close(members, state, Some(series), |(seq, relation)| match relation {
            _ if seq == merged.counted => SpanOutcome {
                cost: Some(call.cost.of_span()),
                merged: told_by_several.clone(),
                ..SpanOutcome::new(Outcome::Counted, reason, counted_span_id)
            },
            relation => SpanOutcome::new(Outcome::Duplicate, relation.map_or("", Relation::name), counted_span_id),
        });
    }

    /// The series of a call that is counted under a span of the series `counted`.
    fn series_of(&mut self, members: &[Member], counted: u32) -> u32 {
        let [_, _, ..] = members else { return counted };
        let members: Vec<(u32, bool)> = members
            .iter()
            .filter_map(|(seq, _)| self.settle.get(*seq))
            .map(|held| (held.series, held.response_model_is_weak))
            .collect();
        self.series.number_of_call(counted, &members).unwrap_or(counted)
    }

    /// What a call costs whose models are those of a series.
    fn cost(&mut self, members: &[Member], series: u32, merged: &Merged) -> CallCost {
        let Some(counted) = self.settle.get(merged.counted) else { return CallCost::NOTHING };
        let tiers = members.iter().filter_map(|(seq, _)| self.settle.get(*seq)).map(Held::service_tier);
        let service_tier =
            std::iter::once(counted.service_tier()).chain(tiers).find(|tier| !tier.is_empty()).unwrap_or_default();
        let told = Told { usage: merged.usage, supplied: merged.supplied_cost, service_tier };
        cost(&mut self.series, &self.settings.pricing, series, counted, &told)
    }

    /// What stands in the archive for a call that several spans report.
    fn merged_span(&self, series: u32, call: &Call) -> Box<MergedSpan> {
        // The series for the rest names nothing: then the row keeps what its span says.
        let name = |dimension| {
            let is_rest = SeriesTable::is_rest(series);
            (!is_rest).then(|| self.series.common(series, dimension).unwrap_or_default().into())
        };
        Box::new(MergedSpan {
            usage: call.usage,
            error: call.error,
            provider: name("gen_ai.provider.name"),
            request_model: name("gen_ai.request.model"),
            response_model: name("gen_ai.response.model"),
        })
    }

    /// Takes spans of a call that was counted before they came: they add usage, where none was counted.
    fn late(&mut self, members: &[Member], counted: Seq) {
        let merged = self.settle.merge(members);
        let Some(before) = self.settle.get_mut(counted) else { return };
        let (series, origin) = (before.series, before.origin());
        let State::Counted { counted_span_id, with_usage, with_cost, .. } = before.state else { return };
        let missing = merged.filter(|merged| merged.usage.is_some() && !with_usage);
        let cost = missing.map(|merged| self.cost(members, series, &merged)).filter(|_| !with_cost);
        let added = missing.map(|merged| Call {
            origin,
            duration: None,
            time_to_first_chunk: None,
            usage: merged.usage,
            cost: cost.unwrap_or(CallCost::NOTHING),
            error: None,
        });
        if let Some(Call { usage: Some(usage), cost, .. }) = &added
            && let Some(open) = self.series.open(series)
        {
            open.use_tokens(*usage, &origin);
            open.costs.add(cost);
        }
        if let Some(added) = added {
            self.note_counted(series, &added, true);
        }
        let state = State::Counted {
            counted_span_id,
            alone: false,
            with_usage: with_usage || added.is_some(),
            with_cost: with_cost || cost.is_some_and(|cost| cost.is_known()),
        };
        if let Some(before) = self.settle.get_mut(counted) {
            before.state = state;
        }
        let told = added.map(|added| self.merged_span(series, &added));
        let adds = missing.map(|merged| merged.counted);
        self.close(members, state, Some(series), |(seq, relation)| match relation {
            _ if adds == Some(seq) => SpanOutcome {
                cost: cost.map(|cost| cost.of_span()),
                merged: told.clone(),
                ..SpanOutcome::new(Outcome::Late, ADDS_USAGE, counted_span_id)
            },
            relation => SpanOutcome::new(Outcome::Late, relation.map_or("", Relation::name), counted_span_id),
        });
    }

    /// Gives every span of a call its outcome.
    fn close(
        &mut self,
        members: &[Member],
        state: State,
        series: Option<u32>,
        outcome: impl Fn((Seq, Option<Relation>)) -> SpanOutcome,
    ) {
        for &(seq, relation) in members {
            let outcome = outcome((seq, relation));
            if outcome.is_not_counted_again() {
                self.note_saved(seq);
            }
            let Some(held) = self.settle.get(seq) else { continue };
            let Some(place) = held.place() else { continue };
            let series = series.unwrap_or(held.series);
            let repetitions = self.settle.settled(seq, state, series);
            let counted_span_id = outcome.counted_span_id;
            self.decide(place, outcome);
            for place in repetitions {
                self.decide(place, SpanOutcome { counted_span_id, ..SpanOutcome::REPEATED });
            }
        }
    }

    /// Notes what a span would have added that is not counted for itself.
    fn note_saved(&mut self, seq: Seq) {
        let Some(held) = self.settle.get(seq) else { return };
        let usage = held.has_usage().then(|| held.usage());
        let told = Told { usage, supplied: held.supplied_cost(), service_tier: held.service_tier() };
        let cost = cost(&mut self.series, &self.settings.pricing, held.series, held, &told);
        self.saved.spans += 1;
        self.saved.cost += cost.of_span().amount.unwrap_or(Money::ZERO);
    }

    /// Counts a span that stands for a call, or not.
    fn decided(&mut self, agent: DecidedAgent) {
        let DecidedAgent { mut held, is_call } = agent;
        let place = held.place().unwrap_or(Place::NOWHERE);
        if !is_call {
            return self.decide(place, SpanOutcome::not_counted(held.role));
        }
        let usage = Some(held.usage());
        let told = Told { usage, supplied: held.supplied_cost(), service_tier: held.service_tier() };
        let cost = cost(&mut self.series, &self.settings.pricing, held.series, &held, &told);
        let call = Call {
            origin: held.origin(),
            duration: held.duration(),
            time_to_first_chunk: held.time_to_first_chunk(),
            usage,
            cost,
            error: held.error,
        };
        if let Some(open) = self.series.open(held.series) {
            open.count(&call);
        }
        self.note_counted(held.series, &call, false);
        if let Some(record) = held.rare.as_mut().and_then(|rare| rare.error.take()) {
            self.errors.add(*record);
        }
        let outcome = SpanOutcome::new(Outcome::Counted, reason_of(held.role), held.span_id);
        self.decide(place, SpanOutcome { cost: Some(cost.of_span()), ..outcome });
    }

    fn decide(&mut self, place: Place, outcome: SpanOutcome) {
        self.note(&outcome);
        self.pending.decide(place, outcome);
    }
}

/// Whether a span that is no call is of a kind that some libraries write in place of one: an agent, or structure that names a model
/// and no purpose of its own.
fn may_stand_for_a_call(facts: &SpanFacts) -> bool {
    let names_model = !(facts.request_model.is_empty() && facts.response_model.is_empty());
    match (facts.role, facts.operation) {
        (Role::Agent, _) => true,
        (Role::Chain, Label::None | Label::Known(&("chain" | "invoke_workflow" | "execute_task"))) => names_model,
        (Role::Unrecognised, _) => names_model && facts.tool_name.is_empty(),
        _ => false,
    }
}

/// What of a call its cost depends on, beside the span under which it is counted.
struct Told<'a> {
    usage: Option<Usage>,
    supplied: Option<Money>,
    service_tier: &'a str,
}

/// What a call costs that is counted under a span, in a series.
fn cost(series: &mut SeriesTable, pricing: &Pricing, number: u32, counted: &Held, told: &Told<'_>) -> CallCost {
    let price = match told.usage {
        None => None,
        Some(_) if SeriesTable::is_rest(number) => counted.price(),
        Some(_) => series.price(number, &pricing.prices),
    };
    pricing.cost(&Priceable {
        price,
        time: counted.called_at(),
        usage: told.usage,
        has_output: !counted.is_embeddings(),
        supplied: told.supplied,
        service_tier: told.service_tier,
    })
}
