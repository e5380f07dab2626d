//! What a span describes: its role, its models, its provider.

use otlp::Text;

use super::Derivation;
use crate::dialects::{Plain, Says};
use crate::facts::{Label, SpanFacts, Status};
use crate::role::Role;
use crate::{json, model, operation, provider, usage};

impl Derivation<'_> {
    pub(super) fn models(&self, facts: &mut SpanFacts) {
        facts.request_model = self.name(Plain::RequestModel);
        facts.response_model = self.name(Plain::ResponseModel);
        if facts.response_model.is_empty() && self.found.has(Plain::EitherModel) {
            facts.response_model = self.name(Plain::EitherModel);
            facts.response_model_is_weak = !facts.response_model.is_empty();
        }
        // The Logfire SDK writes the model that was asked for where none is known to have answered.
        if self.found.has(Plain::LogfireSpanType) && !facts.response_model.is_empty() {
            let (asked, answered) = (facts.request_model.bytes(self.body), facts.response_model.bytes(self.body));
            facts.response_model_is_weak |= asked == answered;
        }
    }

    /// The role and the operation; the rules of reference/counting.md section 1, first hit wins.
    pub(super) fn role(&self, facts: &SpanFacts) -> (Role, Label) {
        let has_model = !(facts.request_model.is_empty() && facts.response_model.is_empty());
        let dialect = facts.dialect.dialect();
        if dialect.is_server {
            return (Role::Server, Label::None);
        }
        let name = facts.name.bytes(self.body);
        if dialect.helpers.iter().any(|ending| name.ends_with(ending.as_bytes())) {
            return (Role::Chain, operation::of_role(Role::Chain));
        }
        if let Some(found) = self.found.role
            && !(dialect.calls_have_any_role && self.says_call())
        {
            let value = found.value.bytes(self.body);
            let says = found.values.iter().find(|(name, _)| name.as_bytes() == value).map(|(_, says)| says);
            let role = match says {
                Some(Says::Operation(name, role) | Says::Shared(name, role)) => return (*role, Label::Known(name)),
                Some(Says::Is(role)) => *role,
                Some(Says::CallIfModel) if has_model => Role::Llm,
                Some(Says::CallIfModel) => Role::Chain,
                None => found.otherwise,
            };
            return (role, operation::of_role(role));
        }
        if dialect.call_needs_model && (facts.request_model.is_empty() || self.is_raw(facts)) {
            return (Role::RawResponse, Label::None);
        }
        let told = self.name(Plain::Operation);
        if !told.is_empty() {
            let (label, role) = operation::canonical(told, self.body);
            if role == Role::Unrecognised {
                return self.requested(facts).unwrap_or((role, label));
            }
            return (role, label);
        }
        if let Some(requested) = self.requested(facts) {
            return requested;
        }
        if self.found.has(Plain::ToolName) || self.found.has(Plain::ToolCallId) {
            return (Role::Tool, operation::of_role(Role::Tool));
        }
        if dialect.is_named_by_call {
            let (label, role) = operation::of_name(facts.name, self.body);
            if role != Role::Unrecognised {
                return (role, label);
            }
        }
        if dialect.agents_only_named && self.found.has(Plain::AgentName) {
            return (Role::Agent, operation::of_role(Role::Agent));
        }
        if self.looks_like_call(facts, has_model) {
            return (Role::Llm, operation::of_role(Role::Llm));
        }
        (Role::Unrecognised, Label::None)
    }

    /// The call that a request type tells of.
    fn requested(&self, facts: &SpanFacts) -> Option<(Role, Label)> {
        if !self.found.has(Plain::RequestType) {
            return None;
        }
        let (label, role) = operation::canonical(self.text(Plain::RequestType), self.body);
        let is_chat = facts.dialect.dialect().completion_is_chat && label == Label::Known(&"text_completion");
        role.is_call().then_some((role, if is_chat { Label::Known(&"chat") } else { label }))
    }

    /// Whether the operation is one of a call.
    #[cold]
    fn says_call(&self) -> bool {
        [Plain::Operation, Plain::RequestType]
            .into_iter()
            .any(|plain| self.found.has(plain) && operation::canonical(self.text(plain), self.body).1.is_call())
    }

    /// Whether a span that does not say what it is names a model, and who serves it, or what was used, or that it failed.
    #[cold]
    fn looks_like_call(&self, facts: &SpanFacts, has_model: bool) -> bool {
        // Braintrust writes start and end there as well, on all of its spans.
        let has_usage_object = usage::object(self.found.get(Plain::UsageObject), self.body).is_some();
        let names_model = has_model || (has_usage_object && self.found.has(Plain::ModelInJson));
        names_model
            && (has_usage_object
                || self.found.has(Plain::InputTokens)
                || self.found.has(Plain::OutputTokens)
                || self.found.has(Plain::Provider)
                || self.found.has(Plain::ProviderElsewhere)
                || facts.status == Status::Error
                || self.found.exception.is_some())
    }

    /// Whether a span that shows no sign of GenAI is called as its dialect calls calls (OpenLIT's failed Anthropic calls
    /// have no attributes at all), or what is below them.
    pub(super) fn is_known_by_name(&self, facts: &SpanFacts) -> bool {
        let dialect = facts.dialect.dialect();
        (dialect.is_named_by_call && operation::of_name(facts.name, self.body).1.is_call()) || self.is_raw(facts)
    }

    fn is_raw(&self, facts: &SpanFacts) -> bool {
        let name = facts.name.bytes(self.body);
        facts.dialect.dialect().raw_spans.iter().any(|raw| raw.as_bytes() == name)
    }

    /// The request model of a call that names none where models are named.
    #[cold]
    pub(super) fn request_model_elsewhere(&self, facts: &SpanFacts) -> Text {
        let has_none = facts.response_model.is_empty();
        let action = self.text(Plain::NameOfAction);
        if has_none && !action.is_empty() {
            return action;
        }
        for plain in [Plain::ModelInJson, Plain::RequestData] {
            let inside = json::string(self.text(plain), self.body, b"\"model\"");
            if !inside.is_empty() {
                return inside;
            }
        }
        let is_in_name = has_none && facts.dialect.dialect().is_named_by_call;
        if is_in_name { model::in_name(facts.name, self.body) } else { Text::default() }
    }

    /// The provider: what is told, unless it is a framework that poses as one; else what the server, then what the model speaks of.
    pub(super) fn provider(&self, facts: &SpanFacts) -> Label {
        let told = provider::canonical(self.text(Plain::Provider), self.body);
        if told.is_none() { self.provider_elsewhere(facts) } else { told }
    }

    fn provider_elsewhere(&self, facts: &SpanFacts) -> Label {
        let told = provider::canonical(self.text(Plain::ProviderElsewhere), self.body);
        if !told.is_none() {
            return told;
        }
        // Braintrust
        let inside = json::string(self.text(Plain::ModelInJson), self.body, b"\"provider\"");
        if let known @ Label::Known(_) = provider::canonical(inside, self.body) {
            return known;
        }
        let server = provider::of_server(self.text(Plain::ServerAddress).bytes(self.body));
        if !server.is_none() {
            return server;
        }
        let model = if facts.request_model.is_empty() { facts.response_model } else { facts.request_model };
        provider::of_model(model, self.body)
    }

    /// A model of which is not told whether it was asked for or answered was asked for, if nothing answered.
    #[cold]
    pub(super) fn nothing_answered(&self, facts: &mut SpanFacts) {
        if !facts.response_model_is_weak || facts.usage().is_reported() {
            return;
        }
        let (asked, answered) = (facts.request_model.bytes(self.body), facts.response_model.bytes(self.body));
        if asked.is_empty() || asked == answered {
            facts.request_model = std::mem::take(&mut facts.response_model);
            facts.response_model_is_weak = false;
        }
    }
}
