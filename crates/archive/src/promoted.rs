//! Which attributes of a span stand in columns of their own, so that the map of the others need not repeat them.

use genai::SpanFacts;
use otlp::{Text, Value};

/// The values of one span that stand in columns as they were sent.
///
/// A key alone does not tell: a value can be replaced by a better one (tokens by canonical ones), be found meaningless, or
/// stand on a span without GenAI meaning, whose facts are empty. An attribute is left out of the map only if its key has a
/// column and the column holds its very value, so nothing is lost.
#[derive(Debug)]
pub(crate) struct Promoted {
    texts: [Text; 10],
    counts: [Option<i64>; 2],
}

impl Promoted {
    pub(crate) fn of(facts: &SpanFacts) -> Self {
        Self {
            texts: [
                facts.request_model,
                facts.response_model,
                facts.response_id,
                facts.agent_name,
                facts.tool_name,
                facts.workflow_name,
                facts.conversation_id,
                facts.prompt_name,
                facts.prompt_version,
                facts.server_address,
            ],
            counts: [facts.usage.input.map(i64::from), facts.usage.output.map(i64::from)],
        }
    }

    /// Whether an attribute stands in a column. The value is looked for first, as that costs less than to compare keys.
    #[inline]
    pub(crate) fn holds(&self, key: &[u8], value: Value) -> bool {
        let is_found = match value {
            Value::String(text) => self.texts.contains(&text),
            Value::Int(number) => self.counts.contains(&Some(number)),
            _ => false,
        };
        is_found && genai::dialects::is_promoted(key)
    }
}
