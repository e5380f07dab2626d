//! What leaves with an error record and is kept no longer: where it comes from, and what else its span says.

use std::sync::Arc;

use genai::SpanFacts;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use otlp::Text;
use otlp::metrics::{boolean, double, int, text, texts};
use prost::Message;

use super::{MAX_NAME, cut};

/// Largest `Resource` message that is kept, in bytes: of larger ones `service.name` must do.
const MAX_RESOURCE: usize = 4096;

/// Facts that are texts, by the attribute that tells them.
type TextFact = (&'static str, fn(&SpanFacts) -> Text);
const TEXTS: [TextFact; 9] = [
    ("gen_ai.response.id", |facts| facts.response_id),
    ("gen_ai.agent.name", |facts| facts.agent_name),
    ("gen_ai.workflow.name", |facts| facts.workflow_name),
    ("gen_ai.conversation.id", |facts| facts.conversation_id),
    ("gen_ai.prompt.name", |facts| facts.prompt_name),
    ("gen_ai.prompt.version", |facts| facts.prompt_version),
    ("server.address", |facts| facts.server_address),
    ("user.id", |facts| facts.user_id),
    ("otel.scope.name", |facts| facts.scope_name),
];

/// The rest of an error record.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Details {
    /// The `Resource` message of the span; empty if it is too large.
    pub(crate) resource: Arc<[u8]>,
    /// What the record does not say by itself.
    pub(crate) attributes: Vec<KeyValue>,
    /// Memory of the attributes, in bytes.
    attribute_bytes: usize,
}

impl Details {
    pub(crate) fn new(resource: Arc<[u8]>, attributes: Vec<KeyValue>) -> Self {
        let bytes = |attribute: &KeyValue| size_of::<KeyValue>() + attribute.encoded_len();
        let attribute_bytes = attributes.iter().map(bytes).sum();
        Self { resource, attributes, attribute_bytes }
    }

    pub(super) fn of(body: &[u8], facts: &SpanFacts) -> Self {
        let resource = Some(facts.resource.bytes(body)).filter(|resource| resource.len() <= MAX_RESOURCE);
        let told = TEXTS.iter().map(|(name, fact)| (name, fact(facts))).filter(|(_, value)| !value.is_empty());
        let mut attributes: Vec<KeyValue> =
            told.map(|(name, value)| text(name, cut(&value.str(body), MAX_NAME))).collect();
        let usage = facts.usage;
        let counts = [
            ("gen_ai.usage.input_tokens", usage.input),
            ("gen_ai.usage.output_tokens", usage.output),
            ("gen_ai.usage.cache_read.input_tokens", usage.cache_read),
            ("gen_ai.usage.cache_creation.input_tokens", usage.cache_write),
            ("gen_ai.usage.reasoning.output_tokens", usage.reasoning),
        ];
        attributes.extend(counts.into_iter().filter_map(|(name, count)| Some(int(name, count?.into()))));
        let finish_reason = cut(&facts.finish_reason.str(body), MAX_NAME);
        if !finish_reason.is_empty() {
            attributes.push(texts("gen_ai.response.finish_reasons", [finish_reason]));
        }
        attributes.extend(facts.streaming.map(|streaming| boolean("gen_ai.request.stream", streaming)));
        let first_chunk = facts.time_to_first_chunk.map(crate::call::seconds);
        attributes.extend(first_chunk.map(|seconds| double("gen_ai.response.time_to_first_chunk", seconds)));
        Self::new(resource.unwrap_or_default().into(), attributes)
    }

    /// Memory behind it, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.resource.len() + self.attribute_bytes
    }
}
