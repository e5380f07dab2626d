//! Facts that stand in the captured answer only. It is read last, and only if the fields leave something open.

use otlp::Value;
use otlp::trace::{EVENT_ATTRIBUTES, attributes};

use super::Derivation;
use crate::answer::{Answer, Name};
use crate::dialects::Plain;
use crate::facts::{Label, SpanFacts};
use crate::role::Role;
use crate::usage::Usage;
use crate::{finish, tier};

impl Derivation<'_> {
    #[cold]
    pub(super) fn complete_from_answer(&self, facts: &mut SpanFacts, usage: &mut Usage) {
        if !(facts.role.is_call() || facts.role == Role::RawResponse) || !is_open(facts, usage) {
            return;
        }
        let mut answer = Answer::new(self.body, usage.is_reported());
        if let Value::String(text) = self.found.get(Plain::Answer) {
            answer.read(text);
        }
        for chunk in self.found.chunks.ends() {
            if answer.is_complete() {
                break;
            }
            let part = attributes(self.body, chunk.message, EVENT_ATTRIBUTES)
                .find(|attribute| attribute.key.bytes(self.body) == chunk.key.as_bytes());
            if let Some(Value::String(text)) = part.map(|part| part.value) {
                answer.read(text);
            }
        }
        self.take(facts, usage, &answer);
    }

    fn take(&self, facts: &mut SpanFacts, usage: &mut Usage, answer: &Answer<'_>) {
        let output = usage.output;
        let is_same = !usage.is_reported()
            || output.unwrap_or(0) == answer.usage.output.unwrap_or(0)
            || (output.is_some() && output == answer.usage.output_without_reasoning());
        if is_same {
            usage.complete(&answer.usage);
            facts.inconsistency = facts.inconsistency.or(answer.flaw);
        }
        let model = answer.name(Name::Model);
        if !model.is_empty() && (facts.response_model.is_empty() || facts.response_model_is_weak) {
            // What may be either, and is not what answered, was asked for.
            if facts.request_model.is_empty() && facts.response_model.bytes(self.body) != model.bytes(self.body) {
                facts.request_model = facts.response_model;
            }
            facts.response_model = model;
            facts.response_model_is_weak = false;
            if facts.provider.is_none() {
                facts.provider = self.provider(facts);
            }
        }
        if facts.response_id.is_empty() {
            facts.response_id = answer.response_id();
        }
        if facts.service_tier.is_none() {
            facts.service_tier = tier::canonical(answer.name(Name::ServiceTier), self.body);
        }
        if facts.finish_reason == Label::None {
            facts.finish_reason = finish::reason(Value::String(answer.name(Name::FinishReason)), self.body);
        }
    }
}

/// Whether something is missing that an answer tells.
fn is_open(facts: &SpanFacts, usage: &Usage) -> bool {
    let Usage { input, cache_read, cache_write, output, reasoning, .. } = *usage;
    facts.response_model.is_empty()
        || facts.response_model_is_weak
        || facts.response_id.is_empty()
        || [input, cache_read, cache_write, output, reasoning].contains(&None)
}
