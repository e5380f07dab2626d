//! Spans with what they mean, and what became of them, written on them.
//!
//! | attribute | on which spans |
//! |---|---|
//! | `gen_ai.*`, by the names of OTel GenAI semconv 1.41 | with GenAI meaning, where the span has not the key |
//! | `spanmill.outcome`, `spanmill.outcome_reason` | with GenAI meaning |
//! | `spanmill.counted_span_id` | whose call is counted under another span |
//! | `spanmill.usage.*`, `spanmill.provider.name`, `spanmill.request.model`, `spanmill.response.model` | that are counted |
//! | `spanmill.cost_usd`, `spanmill.cost_source`, `spanmill.price_coverage`, `spanmill.price_version` | that are counted |
//!
//! What a client wrote stays: of `gen_ai.usage.input_tokens`, for one, not every library means the same. What was counted has names of
//! its own, stands on the spans only under which it was counted, and so adds up to the metrics.

use std::fmt::Write as _;

use genai::{Role, SpanFacts, Usage};
use otlp::WireError;
use otlp::rewrite::{Added, add_to_spans};

use crate::outcome::SpanOutcome;

/// What became of the spans of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcomes {
    /// By the place of a span in the request, in order. Of spans without GenAI meaning nothing need be told.
    pub spans: Vec<(u32, SpanOutcome)>,
    /// Which prices held.
    pub price_version: String,
}

/// Keys of what a span means, of the span itself and of what was counted under it.
struct Keys {
    provider: &'static str,
    request_model: &'static str,
    response_model: &'static str,
    /// In the order of [`counts`].
    usage: [&'static str; 5],
}

const SEMCONV: Keys = Keys {
    provider: "gen_ai.provider.name",
    request_model: "gen_ai.request.model",
    response_model: "gen_ai.response.model",
    usage: [
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.reasoning.output_tokens",
    ],
};

const COUNTED: Keys = Keys {
    provider: "spanmill.provider.name",
    request_model: "spanmill.request.model",
    response_model: "spanmill.response.model",
    usage: [
        "spanmill.usage.input_tokens",
        "spanmill.usage.output_tokens",
        "spanmill.usage.cache_read.input_tokens",
        "spanmill.usage.cache_creation.input_tokens",
        "spanmill.usage.reasoning.output_tokens",
    ],
};

fn counts(usage: Usage) -> [Option<u32>; 5] {
    let Usage { input, output, cache_read, cache_write, reasoning, .. } = usage;
    [input, output, cache_read, cache_write, reasoning]
}

/// A traces request with what its spans mean written on them, and what became of them if that is known; `None` if none of them has
/// GenAI meaning. `facts` are those of its spans, in order. Nothing that a span has is changed, and the same comes of the same.
///
/// # Errors
/// The body is not one that the facts can be of: it cannot be read.
pub fn enriched(body: &[u8], facts: &[SpanFacts], outcomes: Option<&Outcomes>) -> Result<Option<Vec<u8>>, WireError> {
    if facts.iter().all(|facts| facts.role == Role::None) {
        return Ok(None);
    }
    let mut told = outcomes.map(|outcomes| outcomes.spans.iter().peekable());
    let price_version = outcomes.map_or("", |outcomes| &outcomes.price_version);
    let mut spans = (0..).zip(facts);
    add_to_spans(body, |added| {
        let Some((position, facts)) = spans.next() else { return };
        let told = told.as_mut().and_then(|told| told.next_if(|(place, _)| *place == position));
        if facts.role == Role::None {
            return;
        }
        text(added, "gen_ai.operation.name", facts.operation.bytes(body));
        match told {
            None => add_meaning(added, &SEMCONV, facts, &SpanOutcome::UNDECIDED, body),
            Some((_, outcome)) => {
                add_meaning(added, &SEMCONV, facts, outcome, body);
                add_outcome(added, facts, outcome);
                if outcome.is_counted() {
                    add_meaning(added, &COUNTED, facts, outcome, body);
                    add_cost(added, outcome, price_version);
                }
            }
        }
    })
}

fn add_meaning(added: &mut Added<'_>, keys: &Keys, facts: &SpanFacts, outcome: &SpanOutcome, body: &[u8]) {
    text(added, keys.provider, outcome.provider(facts, body));
    text(added, keys.request_model, outcome.request_model(facts, body));
    text(added, keys.response_model, outcome.response_model(facts, body));
    let usage = outcome.usage(facts);
    if !usage.is_reported() {
        return;
    }
    for (key, count) in keys.usage.into_iter().zip(counts(usage)) {
        if let Some(count) = count {
            added.int(key, count.into());
        }
    }
}

fn add_outcome(added: &mut Added<'_>, facts: &SpanFacts, outcome: &SpanOutcome) {
    added.text("spanmill.outcome", outcome.outcome.name().as_bytes());
    text(added, "spanmill.outcome_reason", outcome.reason.as_bytes());
    if outcome.counted_span_id != [0; 8] && outcome.counted_span_id != facts.span_id {
        let id = outcome.counted_span_id.iter().fold(String::with_capacity(16), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        });
        added.text("spanmill.counted_span_id", id.as_bytes());
    }
}

fn add_cost(added: &mut Added<'_>, outcome: &SpanOutcome, price_version: &str) {
    let Some(cost) = outcome.cost else { return };
    if let Some(amount) = cost.amount {
        added.double("spanmill.cost_usd", amount.dollars());
    }
    text(added, "spanmill.cost_source", cost.source.as_bytes());
    text(added, "spanmill.price_coverage", cost.coverage.name().as_bytes());
    text(added, "spanmill.price_version", price_version.as_bytes());
}

/// What was not told is not written.
fn text(added: &mut Added<'_>, key: &'static str, text: &[u8]) {
    if !text.is_empty() {
        added.text(key, text);
    }
}
