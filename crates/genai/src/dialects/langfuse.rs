//! Langfuse SDK, version 3 and later.

use super::Plain::*;
use super::{Dialect, PLAIN, Says, key, role, signal};
use crate::role::Role;

pub(super) const DIALECT: Dialect = Dialect {
    name: "langfuse",
    title: "Langfuse SDK v3+",
    scopes: &["langfuse-sdk"],
    keys: &[
        role(
            "langfuse.observation.type",
            &[
                ("generation", Says::Operation("chat", Role::Llm)),
                ("embedding", Says::Operation("embeddings", Role::Embeddings)),
                ("agent", Says::Operation("invoke_agent", Role::Agent)),
                ("tool", Says::Operation("execute_tool", Role::Tool)),
                ("span", Says::CallIfModel),
            ],
            Role::Chain,
        ),
        // By shape: the OpenAI wrapper writes the provider's object, the LangChain handler disjoint buckets.
        key("langfuse.observation.usage_details", UsageObject),
        key("langfuse.observation.cost_details", CostObject),
        key("langfuse.observation.model.name", EitherModel),
        key("langfuse.observation.completion_start_time", FirstChunkAt),
        key("langfuse.observation.level", Outcome),
        key("langfuse.observation.status_message", ErrorMessage),
        key("langfuse.observation.metadata.finish_reason", FinishReason),
        key("langfuse.observation.prompt.name", PromptName),
        key("langfuse.observation.prompt.version", PromptVersion),
        key("langfuse.prompt.name", PromptName),
        key("langfuse.prompt.version", PromptVersion),
        key("langfuse.session.id", ConversationId),
        key("langfuse.user.id", UserId),
        signal("langfuse.observation.input"),
        signal("langfuse.observation.output"),
        signal("langfuse.trace.name"),
    ],
    source: "langfuse/langfuse-python@c3c6a09 langfuse/_client/attributes.py; corpus spans b2013e1fe1e91fec, af52ff6660f975b7",
    ..PLAIN
};
