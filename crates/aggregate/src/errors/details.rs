//! What leaves with an error record and is kept no longer: where it comes from, and what else its span says.

use std::collections::HashSet;
use std::sync::Arc;

use genai::SpanFacts;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use otlp::Text;
use otlp::metrics::{boolean, double, int, text, texts};
use prost::Message;

use super::texts::{MAX_NAME, short};
use crate::checkpoint::messages::ErrorFacts;

/// Largest `Resource` message that is kept, in bytes: of larger ones `service.name` must do.
const MAX_RESOURCE: usize = 4096;

/// Facts that are texts, by the attribute that tells them. Checkpoints hold them in this order: what is new goes to the end.
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
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Details {
    /// The `Resource` message of the span; empty if it is too large.
    pub(crate) resource: Arc<[u8]>,
    /// What the record does not say by itself, encoded: there may be many records before they leave.
    pub(crate) facts: Box<[u8]>,
}

impl Details {
    pub(crate) fn of(body: &[u8], facts: &SpanFacts) -> Self {
        let resource = Some(facts.resource.bytes(body)).filter(|resource| resource.len() <= MAX_RESOURCE);
        let count = |count: Option<u32>| count.map(u64::from);
        let usage = facts.usage();
        let facts = ErrorFacts {
            texts: TEXTS.iter().map(|(_, fact)| short(fact(facts).bytes(body), MAX_NAME).into_owned()).collect(),
            finish_reason: short(facts.finish_reason.bytes(body), MAX_NAME).into_owned(),
            input_tokens: count(usage.input),
            output_tokens: count(usage.output),
            cache_read_tokens: count(usage.cache_read),
            cache_write_tokens: count(usage.cache_write),
            reasoning_tokens: count(usage.reasoning),
            streaming: facts.streaming,
            time_to_first_chunk: facts.time_to_first_chunk(),
        };
        Self { resource: resource.unwrap_or_default().into(), facts: facts.encode_to_vec().into() }
    }

    /// Memory that the details of a span take, in bytes, about.
    pub(crate) fn charge(facts: &SpanFacts) -> usize {
        let resource = Some(facts.resource.len() as usize).filter(|length| *length <= MAX_RESOURCE).unwrap_or_default();
        let texts: usize = TEXTS.iter().map(|(_, fact)| (fact(facts).len() as usize).min(MAX_NAME)).sum();
        // Tags, lengths and counts.
        const AROUND: usize = 64;
        size_of::<Self>() + AROUND + resource + texts
    }

    /// What the record does not say by itself, as it is exported.
    pub(crate) fn attributes(&self) -> Vec<KeyValue> {
        // What was encoded here can be decoded; of a checkpoint, its hash tells.
        let told = ErrorFacts::decode(&*self.facts).unwrap_or_default();
        let counts = [
            ("gen_ai.usage.input_tokens", told.input_tokens),
            ("gen_ai.usage.output_tokens", told.output_tokens),
            ("gen_ai.usage.cache_read.input_tokens", told.cache_read_tokens),
            ("gen_ai.usage.cache_creation.input_tokens", told.cache_write_tokens),
            ("gen_ai.usage.reasoning.output_tokens", told.reasoning_tokens),
        ];
        let texts_told = TEXTS.iter().zip(told.texts).filter(|(_, value)| !value.is_empty());
        let mut attributes: Vec<KeyValue> = texts_told.map(|((name, _), value)| text(name, value)).collect();
        attributes.extend(counts.into_iter().filter_map(|(key, count)| Some(int(key, count?.cast_signed()))));
        if !told.finish_reason.is_empty() {
            attributes.push(texts("gen_ai.response.finish_reasons", [told.finish_reason]));
        }
        attributes.extend(told.streaming.map(|streaming| boolean("gen_ai.request.stream", streaming)));
        let first_chunk = told.time_to_first_chunk.map(crate::call::seconds);
        attributes.extend(first_chunk.map(|seconds| double("gen_ai.response.time_to_first_chunk", seconds)));
        attributes
    }

    /// Memory behind it, in bytes; that of the resource as if nobody shared it.
    pub(super) fn bytes(&self) -> usize {
        self.resource.len() + self.facts.len()
    }
}

/// Resources that records had lately. Many failures come from few of them, which then share their memory.
#[derive(Debug, Default)]
pub(super) struct Resources(HashSet<Arc<[u8]>>);

/// Resources that are known at most: then they are forgotten, and found again.
const MOST_RESOURCES: usize = 256;

impl Resources {
    /// Puts the same resource that another record has in the place of this one.
    pub(super) fn share(&mut self, resource: &mut Arc<[u8]>) {
        let Self(known) = self;
        if let Some(same) = known.get(resource) {
            *resource = Arc::clone(same);
            return;
        }
        if known.len() == MOST_RESOURCES {
            known.clear();
        }
        known.insert(Arc::clone(resource));
    }
}
