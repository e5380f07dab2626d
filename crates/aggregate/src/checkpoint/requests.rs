//! Requests that wait for outcomes. Their bodies stay in the log.

use genai::ErrorClass;
use prost::Message as _;

use super::codes::{code, named, required};
use super::messages::{self, tag};
use super::plain::{amount, money, usage, usage_message};
use super::wire::{self, Writer};
use super::{RestoreError, Restoring, check};
use crate::enriched::Outcomes;
use crate::outcome::{Merged, Outcome, REASONS, SpanOutcome};
use crate::pending::{Pending, Request};
use crate::pricing::{Coverage, SOURCES, SpanCost};
use crate::record::Applied;
use crate::settle::Place;

pub(super) fn write(writer: &mut Writer<'_>, pending: &Pending) {
    pending.iter().for_each(|request| writer.element(tag::REQUEST, &message(request)));
}

fn message(request: &Request) -> messages::Request {
    let outcomes = (0..).zip(&request.applied.outcomes);
    let decided = outcomes.filter(|(_, outcome)| **outcome != SpanOutcome::UNDECIDED);
    messages::Request {
        lsn: request.applied.lsn,
        receive_time: request.applied.receive_time,
        decided: decided.map(|(position, outcome)| decided_message(position, outcome)).collect(),
        price_version: request.applied.price_version.to_string(),
    }
}

fn decided_message(position: u32, outcome: &SpanOutcome) -> messages::Decided {
    messages::Decided {
        position,
        outcome: code(&Outcome::ALL, outcome.outcome),
        reason: code(REASONS, outcome.reason),
        counted_span: u64::from_be_bytes(outcome.counted_span_id),
        cost: outcome.cost.map(|cost| messages::SpanCost {
            amount: cost.amount.map(money),
            source: code(SOURCES, cost.source),
            coverage: code(&Coverage::ALL, cost.coverage),
        }),
        merged: outcome.merged.as_deref().map(merged_message),
    }
}

fn merged_message(merged: &Merged) -> messages::Merged {
    let name = |name: &Option<Box<[u8]>>| name.as_deref().map(<[u8]>::to_vec);
    messages::Merged {
        usage: merged.usage.map(usage_message),
        error_class: merged.error.map_or(0, |class| code(&ErrorClass::ALL, class)),
        provider: name(&merged.provider),
        request_model: name(&merged.request_model),
        response_model: name(&merged.response_model),
    }
}

impl Outcomes {
    /// The outcomes of a request as bytes, for [`Outcomes::decode`]. Spans without GenAI meaning have none worth the room.
    pub fn encode(applied: &Applied) -> Vec<u8> {
        let outcomes = (0..).zip(&applied.outcomes);
        let decided = outcomes.filter(|(_, outcome)| outcome.outcome != Outcome::NotGenai);
        messages::Outcomes {
            decided: decided.map(|(position, outcome)| decided_message(position, outcome)).collect(),
            price_version: applied.price_version.to_string(),
        }
        .encode_to_vec()
    }

    /// What [`Outcomes::encode`] was given.
    ///
    /// # Errors
    /// They are damaged, or a later version wrote them.
    pub fn decode(bytes: &[u8]) -> Result<Self, RestoreError> {
        let messages::Outcomes { decided, price_version } = wire::message(bytes, "outcomes")?;
        let spans = decided.into_iter().map(|decided| Ok((decided.position, outcome(decided)?)));
        Ok(Self { spans: spans.collect::<Result<_, RestoreError>>()?, price_version })
    }
}

impl Restoring<'_> {
    pub(super) fn request(&mut self, told: messages::Request) -> Result<(), RestoreError> {
        let lsn = told.lsn;
        check(told.receive_time <= self.head.now, "receive_time", "later than now")?;
        // Nobody wants it any more.
        if !self.pipeline.pending.is_wanted() {
            return Ok(());
        }
        let (body, facts) = (self.bodies)(lsn).ok_or(RestoreError::MissingBody { lsn })?;
        let pending = &mut self.pipeline.pending;
        let request = pending.begin(lsn, told.receive_time, &body, facts.len());
        pending.priced_by(&told.price_version);
        pending.complete(facts);
        for decided in told.decided {
            let place = Place { request, position: decided.position };
            check(pending.is_undecided(place), "decided.position", "of no span, or told twice")?;
            pending.decide(place, outcome(decided)?);
            check(!pending.is_undecided(place), "decided.reason", "missing")?;
        }
        Ok(())
    }

    /// Where a span waits for its outcome; that must be told once.
    pub(super) fn place(&mut self, told: Option<messages::Place>) -> Result<Place, RestoreError> {
        let Some(told) = told.filter(|_| self.pipeline.pending.is_wanted()) else { return Ok(Place::NOWHERE) };
        let place = Place { request: told.request, position: told.position };
        check(self.pipeline.pending.is_undecided(place), "place", "no span waits there")?;
        check(self.claims.insert((place.request, place.position)), "place", "told twice")?;
        Ok(place)
    }
}

fn outcome(told: messages::Decided) -> Result<SpanOutcome, RestoreError> {
    let cost = told.cost.map(span_cost).transpose()?;
    let merged = told.merged.map(merged).transpose()?;
    Ok(SpanOutcome {
        outcome: required(&Outcome::ALL, told.outcome, "decided.outcome")?,
        reason: named(REASONS, told.reason, "decided.reason")?.unwrap_or_default(),
        counted_span_id: told.counted_span.to_be_bytes(),
        cost,
        merged: merged.map(Box::new),
    })
}

fn span_cost(told: messages::SpanCost) -> Result<SpanCost, RestoreError> {
    Ok(SpanCost {
        amount: told.amount.map(amount),
        source: named(SOURCES, told.source, "decided.cost.source")?.unwrap_or_default(),
        coverage: required(&Coverage::ALL, told.coverage, "decided.cost.coverage")?,
    })
}

fn merged(told: messages::Merged) -> Result<Merged, RestoreError> {
    Ok(Merged {
        usage: told.usage.map(usage),
        error: named(&ErrorClass::ALL, told.error_class, "decided.merged.error_class")?,
        provider: told.provider.map(Into::into),
        request_model: told.request_model.map(Into::into),
        response_model: told.response_model.map(Into::into),
    })
}
