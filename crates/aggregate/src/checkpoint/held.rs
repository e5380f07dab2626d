//! A held span: a call in the settle window, or another span that may stand for one.

use std::collections::HashMap;

use genai::price::PriceRef;
use genai::{ErrorClass, Role, SplitReport};
use nonmax::NonMaxU64;

use super::codes::{REPORT_PARTS, code, named, required};
use super::plain::{amount, money, trace_halves, usage, usage_message, valid_ids};
use super::{RestoreError, Restoring, check, errors, messages};
use crate::family::Families;
use crate::pending::Pending;
use crate::pipeline::Pipeline;
use crate::settle::{Held, Place, Rare, State, Taken};

/// What is so of a held span.
mod flag {
    pub(super) const EMBEDDINGS: u32 = 1;
    pub(super) const WEAK_RESPONSE_MODEL: u32 = 1 << 1;
    pub(super) const COUNTED: u32 = 1 << 2;
    pub(super) const COUNTED_ALONE: u32 = 1 << 3;
    pub(super) const COUNTED_WITH_USAGE: u32 = 1 << 4;
    pub(super) const COUNTED_WITH_COST: u32 = 1 << 5;
    pub(super) const CHILD_TAKEN: u32 = 1 << 6;
    pub(super) const PARENT_TAKEN: u32 = 1 << 7;
    pub(super) const HALF_TAKEN: u32 = 1 << 8;
    pub(super) const CHAIN: u32 = 1 << 9;
    pub(super) const UNRECOGNISED: u32 = 1 << 10;
}

/// What held spans refer to, as the checkpoint has it.
pub(super) struct References<'a> {
    pending: &'a Pending,
    /// The first names by which each price was found.
    prices: HashMap<PriceRef, u32>,
}

impl<'a> References<'a> {
    pub(super) fn new(pipeline: &'a Pipeline) -> Self {
        let mut prices = HashMap::new();
        for (place, (_, price)) in (0..).zip(pipeline.series.known_prices().iter()) {
            if let Some(price) = price {
                prices.entry(price).or_insert(place);
            }
        }
        Self { pending: &pipeline.pending, prices }
    }

    fn place(&self, place: Place) -> Option<messages::Place> {
        let request = self.pending.offset(place.request)?;
        Some(messages::Place { request, position: place.position })
    }

    pub(super) fn held(&self, held: &Held) -> messages::Held {
        let [trace_high, trace_low] = trace_halves(held.trace_id);
        let [request_family, response_family] = held.families.hashes();
        messages::Held {
            trace_high,
            trace_low,
            span: u64::from_be_bytes(held.span_id),
            parent: u64::from_be_bytes(held.parent_span_id),
            start: held.start,
            end: held.end,
            receive_time: held.receive_time,
            series: held.series,
            service: held.service,
            scope: held.scope,
            name: held.name,
            response: held.response,
            request_family,
            response_family,
            usage: Some(usage_message(held.usage())),
            time_to_first_chunk: held.time_to_first_chunk(),
            error_class: held.error.map_or(0, |class| code(&ErrorClass::ALL, class)),
            flags: flags(held),
            counted_span: u64::from_be_bytes(held.counted_span_id()),
            trace_size: u32::from(held.trace_size),
            place: held.place().and_then(|place| self.place(place)),
            rare: held.rare.as_deref().map(|rare| Box::new(self.rare(rare))),
        }
    }

    fn rare(&self, rare: &Rare) -> messages::Rare {
        messages::Rare {
            heap: rare.heap,
            error: rare.error.as_deref().map(errors::message),
            split: rare.split.map(|split| messages::Split {
                part: code(REPORT_PARTS, split.part),
                request: split.request,
                stream_duration: split.stream_duration,
            }),
            supplied_cost: rare.supplied_cost.map(money),
            service_tier: rare.service_tier.clone().into(),
            price: rare.price.and_then(|price| self.prices.get(&price).copied()),
            repetitions: rare.repetitions.iter().filter_map(|place| self.place(*place)).collect(),
        }
    }
}

fn flags(held: &Held) -> u32 {
    let (counted, alone, with_usage, with_cost) = match held.state {
        State::Waiting(_) => (false, false, false, false),
        State::Counted { alone, with_usage, with_cost, .. } => (true, alone, with_usage, with_cost),
    };
    let all = [
        (held.role == Role::Embeddings, flag::EMBEDDINGS),
        (held.role == Role::Chain, flag::CHAIN),
        (held.role == Role::Unrecognised, flag::UNRECOGNISED),
        (held.response_model_is_weak, flag::WEAK_RESPONSE_MODEL),
        (counted, flag::COUNTED),
        (alone, flag::COUNTED_ALONE),
        (with_usage, flag::COUNTED_WITH_USAGE),
        (with_cost, flag::COUNTED_WITH_COST),
        (held.taken.child, flag::CHILD_TAKEN),
        (held.taken.parent, flag::PARENT_TAKEN),
        (held.taken.half, flag::HALF_TAKEN),
    ];
    all.into_iter().filter(|(is_so, _)| *is_so).map(|(_, flag)| flag).sum()
}

/// The role of a held span: `usual` if no flag says otherwise.
fn role(is: impl Fn(u32) -> bool, usual: Role) -> Role {
    let flagged =
        [(flag::EMBEDDINGS, Role::Embeddings), (flag::CHAIN, Role::Chain), (flag::UNRECOGNISED, Role::Unrecognised)];
    flagged.into_iter().find(|(flag, _)| is(*flag)).map_or(usual, |(_, role)| role)
}

fn counted(is: impl Fn(u32) -> bool, counted_span: u64) -> State {
    State::Counted {
        counted_span_id: counted_span.to_be_bytes(),
        alone: is(flag::COUNTED_ALONE),
        with_usage: is(flag::COUNTED_WITH_USAGE),
        with_cost: is(flag::COUNTED_WITH_COST),
    }
}

impl Restoring<'_> {
    /// A span as it was held, but for its links. Its role is the `usual` one where it stands, if it does not tell another.
    pub(super) fn held_span(&mut self, told: messages::Held, usual: Role) -> Result<Held, RestoreError> {
        let (trace_id, span_id) = valid_ids([told.trace_high, told.trace_low], told.span)?;
        check(told.receive_time <= self.head.now, "receive_time", "later than now")?;
        let trace_size = u8::try_from(told.trace_size).unwrap_or(0);
        check(trace_size > 0, "trace_size", "not from 1 to 255")?;
        let is = |flag| told.flags & flag != 0;
        Ok(Held {
            trace_id,
            span_id,
            parent_span_id: told.parent.to_be_bytes(),
            start: told.start,
            end: told.end,
            receive_time: told.receive_time,
            series: self.number_of_calls(told.series)?,
            service: told.service,
            scope: told.scope,
            name: told.name,
            response: told.response,
            families: Families::of_hashes([told.request_family, told.response_family]),
            taken: Taken { child: is(flag::CHILD_TAKEN), parent: is(flag::PARENT_TAKEN), half: is(flag::HALF_TAKEN) },
            usage: told.usage.map(usage).unwrap_or_default().into(),
            time_to_first_chunk: told.time_to_first_chunk.and_then(NonMaxU64::new),
            error: named(&ErrorClass::ALL, told.error_class, "error_class")?,
            role: role(is, usual),
            response_model_is_weak: is(flag::WEAK_RESPONSE_MODEL),
            state: if is(flag::COUNTED) {
                counted(is, told.counted_span)
            } else {
                State::Waiting(self.place(told.place)?)
            },
            trace_size,
            rare: told.rare.map(|rare| self.rare(*rare)).transpose()?.map(Box::new),
            ..Held::BLANK
        })
    }

    fn rare(&mut self, told: messages::Rare) -> Result<Rare, RestoreError> {
        let price = |place: u32| self.prices.get(place as usize).copied();
        let price =
            told.price.map(|place| price(place).ok_or_else(|| RestoreError::invalid("rare.price", "of no names")));
        Ok(Rare {
            heap: told.heap,
            price: price.transpose()?.flatten(),
            error: told.error.map(errors::record).transpose()?.map(Box::new),
            split: told.split.map(split).transpose()?,
            supplied_cost: told.supplied_cost.map(amount),
            service_tier: told.service_tier.into(),
            repetitions: self.repetitions(told.repetitions)?,
        })
    }

    fn repetitions(&mut self, told: Vec<messages::Place>) -> Result<Vec<Place>, RestoreError> {
        let places: Vec<Place> = told.into_iter().map(|told| self.place(Some(told))).collect::<Result<_, _>>()?;
        Ok(places.into_iter().filter(|place| *place != Place::NOWHERE).collect())
    }
}

fn split(told: messages::Split) -> Result<SplitReport, RestoreError> {
    let part = required(REPORT_PARTS, told.part, "rare.split.part")?;
    Ok(SplitReport { part, request: told.request, stream_duration: told.stream_duration })
}
