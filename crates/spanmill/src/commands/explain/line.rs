//! What is told of one span.

use std::borrow::Cow;

use aggregate::{Applied, Outcome, SpanOutcome};
use genai::price::{Call, Prices};
use genai::{Inconsistency, Source, SpanFacts, Usage};

use super::cost::Cost;

/// What is told of one span. Of the texts that a span holds there are names and ids only, no prompt and no answer.
pub(super) struct Line<'a> {
    pub(super) trace_id: String,
    pub(super) span_id: String,
    pub(super) name: Cow<'a, str>,
    pub(super) dialect: &'static str,
    pub(super) role: &'static str,
    pub(super) operation: Cow<'a, str>,
    pub(super) outcome: &'static str,
    pub(super) reason: &'static str,
    /// The span under which its call is counted, if that is another one.
    pub(super) counted_span_id: Option<String>,
    /// Whether other spans told of the call as well: then what follows is what it was counted as, not what this span says alone.
    pub(super) merged: bool,
    pub(super) provider: Cow<'a, str>,
    pub(super) request_model: Cow<'a, str>,
    pub(super) response_model: Cow<'a, str>,
    pub(super) usage: Option<Usage>,
    /// What is wrong with the usage that it tells.
    pub(super) inconsistent: Option<&'static str>,
    pub(super) error: Option<&'static str>,
    /// Of the call that is counted under this span.
    pub(super) cost: Option<Cost>,
    /// Where what this span says was read.
    pub(super) sources: &'a [Source],
}

impl<'a> Line<'a> {
    pub(super) fn new(
        request: &'a Applied,
        facts: &SpanFacts,
        outcome: &'a SpanOutcome,
        sources: &'a [Source],
        prices: &Prices,
    ) -> Self {
        let body = &request.body[..];
        let is_elsewhere = outcome.counted_span_id != [0; 8] && outcome.counted_span_id != facts.span_id;
        let is_genai = outcome.outcome != Outcome::NotGenai;
        let mut line = Self {
            trace_id: hex(&facts.trace_id),
            span_id: hex(&facts.span_id),
            name: facts.name.str(body),
            dialect: if is_genai { facts.dialect.dialect().name } else { "" },
            role: facts.role.name(),
            operation: facts.operation.str(body),
            outcome: outcome.outcome.name(),
            reason: outcome.reason,
            counted_span_id: is_elsewhere.then(|| hex(&outcome.counted_span_id)),
            merged: outcome.merged.is_some(),
            provider: facts.provider.str(body),
            request_model: facts.request_model.str(body),
            response_model: facts.response_model.str(body),
            usage: Some(facts.usage()).filter(Usage::is_reported),
            inconsistent: facts.inconsistency.map(Inconsistency::name),
            error: facts.error.map(|error| error.class.name()),
            cost: None,
            sources,
        };
        if let Some(merged) = &outcome.merged {
            for (name, told) in [
                (&mut line.provider, &merged.provider),
                (&mut line.request_model, &merged.request_model),
                (&mut line.response_model, &merged.response_model),
            ] {
                if let Some(told) = told {
                    *name = String::from_utf8_lossy(told);
                }
            }
            line.usage = merged.usage;
            // A late span adds usage to a call, and keeps the failure that it tells.
            if outcome.outcome == Outcome::Counted {
                line.error = merged.error.map(|class| class.name());
            }
        }
        line.cost = outcome.cost.map(|counted| {
            let call = Call {
                provider: &line.provider,
                request_model: &line.request_model,
                response_model: &line.response_model,
                time_unix_nanos: genai::called_at(facts.start, request.receive_time),
                usage: line.usage.unwrap_or_default(),
                service_tier: &facts.service_tier.str(body),
            };
            Cost::new(&counted, prices.explain(&call), sources)
        });
        line
    }

    /// The model that a call is counted under; `None` if the span is none and names none.
    pub(super) fn model(&self) -> Option<&str> {
        let told = if self.response_model.is_empty() { &self.request_model } else { &self.response_model };
        match told.is_empty() {
            true => self.cost.is_some().then_some("unknown"),
            false => Some(told),
        }
    }
}

pub(super) fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
