//! Which attributes stand in columns of their own, so that the maps need not repeat them.

use aggregate::SpanOutcome;
use genai::{SpanFacts, Usage};
use otlp::{KeyValue, Text, Value};

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

/// The values of one span that stand in columns.
///
/// A key alone does not tell: a value can be replaced by a better one (tokens by canonical ones), be found meaningless, or
/// stand on a span without GenAI meaning, whose facts are empty. An attribute is left out of the map only if its key has a
/// column and the column holds its very value, so nothing is lost.
#[derive(Debug)]
pub(crate) struct Promoted<'a> {
    operation: &'a [u8],
    provider: &'a [u8],
    streaming: Option<bool>,
    /// In the order of [`TEXTS`].
    texts: [Text; 12],
    /// In the order of [`COUNTS`].
    counts: [Option<i64>; 5],
}

impl<'a> Promoted<'a> {
    pub(crate) fn of(facts: &SpanFacts, outcome: &SpanOutcome, body: &'a [u8]) -> Self {
        // Where columns hold what several spans told together, what this one told stays in the map.
        let is_merged = outcome.merged.is_some();
        let usage = if is_merged { Usage::default() } else { facts.usage };
        let counts = [usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning];
        let own = |text: Text| if is_merged { Text::default() } else { text };
        Self {
            operation: facts.operation.bytes(body),
            provider: if is_merged { b"" } else { facts.provider.bytes(body) },
            streaming: facts.streaming,
            texts: [
                own(facts.request_model),
                own(facts.response_model),
                facts.response_id,
                facts.agent_name,
                facts.tool_name,
                facts.workflow_name,
                facts.conversation_id,
                facts.prompt_name,
                facts.prompt_version,
                facts.server_address,
                facts.error.map(|error| error.kind).unwrap_or_default(),
                facts.user_id,
            ],
            counts: counts.map(|count| count.map(i64::from)),
        }
    }

    /// Whether an attribute stands in a column. Values are compared before keys: that costs less, and most differ.
    #[inline]
    pub(crate) fn holds(&self, body: &[u8], key: &[u8], value: Value) -> bool {
        match value {
            // Empty is null in a column.
            Value::String(text) if text.is_empty() => false,
            Value::String(text) => {
                self.texts.iter().zip(TEXTS).any(|(&column, name)| column == text && name == key)
                    || key == OPERATION && self.operation == text.bytes(body)
                    || key == PROVIDER && self.provider == text.bytes(body)
            }
            Value::Int(number) => {
                self.counts.iter().zip(COUNTS).any(|(&column, name)| column == Some(number) && name == key)
            }
            Value::Bool(flag) => key == STREAM && self.streaming == Some(flag),
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
