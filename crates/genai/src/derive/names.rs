//! What a span names: ids, agents, tools, conversations, prompts; and what it says of service and finish.

use super::Derivation;
use super::found::LESS_COMMON_NAMES;
use crate::dialects::Plain;
use crate::facts::SpanFacts;
use crate::role::Role;
use crate::{finish, json, model, tier};

impl Derivation<'_> {
    pub(super) fn names(&self, facts: &mut SpanFacts) {
        facts.finish_reason = finish::reason(self.found.get(Plain::FinishReason), self.body);
        facts.response_id = model::response_id(self.name(Plain::ResponseId), self.body);
        facts.agent_name = self.name(Plain::AgentName);
        facts.conversation_id = self.name(Plain::ConversationId);
        facts.server_address = self.name(Plain::ServerAddress);
        if self.found.has(Plain::ServiceTier) {
            facts.service_tier = tier::canonical(self.name(Plain::ServiceTier), self.body);
        }
        if self.found.has_any(LESS_COMMON_NAMES) {
            self.less_common_names(facts);
        }
        match facts.role {
            Role::Tool if facts.tool_name.is_empty() => {
                let names = [self.text(Plain::NameOfAction), self.text(Plain::EntityName), facts.name];
                facts.tool_name = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
            }
            Role::Agent if facts.agent_name.is_empty() => facts.agent_name = self.text(Plain::EntityName),
            _ => {}
        }
    }

    fn less_common_names(&self, facts: &mut SpanFacts) {
        facts.tool_name = self.name(Plain::ToolName);
        facts.workflow_name = self.name(Plain::WorkflowName);
        facts.user_id = self.name(Plain::UserId);
        facts.prompt_name = self.name(Plain::PromptName);
        facts.prompt_version = self.name(Plain::PromptVersion);
        if self.found.has(Plain::PromptInJson) && facts.prompt_name.is_empty() {
            let prompt = self.text(Plain::PromptInJson);
            facts.prompt_name = json::string(prompt, self.body, b"\"name\"");
            facts.prompt_version = json::scalar(prompt, self.body, b"\"version\"");
        }
        // LiteLLM's own id is none of the provider's.
        if self.found.has(Plain::CallId)
            && self.text(Plain::CallId).bytes(self.body) == facts.response_id.bytes(self.body)
        {
            facts.response_id = otlp::Text::default();
        }
    }
}
