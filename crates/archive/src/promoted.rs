//! Which attributes stand in columns of their own, so that the maps need not repeat them.

use aggregate::SpanOutcome;
use genai::SpanFacts;
use otlp::{KeyValue, Value};

const OPERATION: &[u8] = b"gen_ai.operation.name";
const PROVIDER: &[u8] = b"gen_ai.provider.name";
const STREAM: &[u8] = b"gen_ai.request.stream";
/// Keys of other texts that have a column: of several keys of one column only one, so that each can be told from the column.
const TEXTS: [&[u8]; 12] = [
    b"gen_ai.request.model",
    b"gen_ai.response.model",
    b"gen_ai.response.id",
    b"gen_ai.agent.name",
    b"gen_ai.tool.name",
    b"gen_ai.workflow.name",
    b"gen_ai.conversation.id",
    b"gen_ai.prompt.name",
    b"gen_ai.prompt.version",
    b"server.address",
    b"error.type",
    b"user.id",
];
/// Keys of counts that have a column.
const COUNTS: [&[u8]; 5] = [
    b"gen_ai.usage.input_tokens",
    b"gen_ai.usage.output_tokens",
    b"gen_ai.usage.cache_read.input_tokens",
    b"gen_ai.usage.cache_creation.input_tokens",
    b"gen_ai.usage.reasoning.output_tokens",
];

/// A column that holds the value of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promoted {
    Operation,
    Provider,
    Stream,
    /// Place in [`TEXTS`].
    Text(u8),
    /// Place in [`COUNTS`].
    Count(u8),
}

impl Promoted {
    /// The column of a key, if it has one.
    pub(crate) fn of(key: &[u8]) -> Option<Self> {
        let place = |keys: &[&[u8]]| (0..).zip(keys).find(|(_, name)| **name == key).map(|(place, _)| place);
        match key {
            OPERATION => Some(Self::Operation),
            PROVIDER => Some(Self::Provider),
            STREAM => Some(Self::Stream),
            _ => place(&TEXTS).map(Self::Text).or_else(|| place(&COUNTS).map(Self::Count)),
        }
    }

    /// Whether the column holds this very value of a span.
    ///
    /// The key alone does not tell: a value can be replaced by a better one (tokens by canonical ones), be found meaningless, or
    /// stand on a span without GenAI meaning, whose facts are empty. An attribute is left out of the map only if the column holds its
    /// value, so nothing is lost. Where columns hold what several spans told together, what this one told stays in the map.
    #[inline]
    pub(crate) fn holds(self, value: Value, facts: &SpanFacts, outcome: &SpanOutcome, body: &[u8]) -> bool {
        let is_merged = outcome.merged.is_some();
        match (self, value) {
            // Empty is null in a column.
            (_, Value::String(text)) if text.is_empty() => false,
            (Self::Operation, Value::String(text)) => facts.operation.bytes(body) == text.bytes(body),
            (Self::Provider, Value::String(text)) => !is_merged && facts.provider.bytes(body) == text.bytes(body),
            (Self::Stream, Value::Bool(flag)) => facts.streaming == Some(flag),
            (Self::Text(place), Value::String(text)) => {
                let column = match place {
                    0 | 1 if is_merged => return false,
                    0 => facts.request_model,
                    1 => facts.response_model,
                    2 => facts.response_id,
                    3 => facts.agent_name,
                    4 => facts.tool_name,
                    5 => facts.workflow_name,
                    6 => facts.conversation_id,
                    7 => facts.prompt_name,
                    8 => facts.prompt_version,
                    9 => facts.server_address,
                    10 => facts.error.map(|error| error.kind).unwrap_or_default(),
                    _ => facts.user_id,
                };
                column == text
            }
            (Self::Count(place), Value::Int(number)) if !is_merged => {
                let usage = facts.usage();
                let column = match place {
                    0 => usage.input,
                    1 => usage.output,
                    2 => usage.cache_read,
                    3 => usage.cache_write,
                    _ => usage.reasoning,
                };
                column.map(i64::from) == Some(number)
            }
            _ => false,
        }
    }
}

/// Whether an attribute of a resource stands in the column `service_name`.
pub(crate) fn is_service(facts: &SpanFacts, body: &[u8], attribute: &KeyValue) -> bool {
    attribute.key.bytes(body) == b"service.name"
        && matches!(attribute.value, Value::String(text) if text == facts.service && !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    // The keys are those that the table of dialects knows as promoted: a misspelt one would never be found.
    #[test]
    fn keys_are_promoted() {
        for key in [OPERATION, PROVIDER, STREAM].into_iter().chain(TEXTS).chain(COUNTS) {
            let is_known =
                genai::dialects::all().flat_map(|dialect| dialect.keys).any(|known| known.name.as_bytes() == key);
            assert!(is_known, "{}", String::from_utf8_lossy(key));
        }
    }
}
