//! LangSmith SDK, OTel export. Its operations are no guide: prompt templates say `chat`, retrievers `embeddings`.

use super::Plain::*;
use super::{Dialect, PLAIN, Says, key, role, signal};
use crate::role::Role;

pub(super) const DIALECT: Dialect = Dialect {
    name: "langsmith",
    title: "LangSmith SDK (OTel export)",
    scopes: &["langsmith"],
    keys: &[
        role(
            "langsmith.span.kind",
            &[
                ("llm", Says::Operation("chat", Role::Llm)),
                ("embedding", Says::Operation("embeddings", Role::Embeddings)),
                ("tool", Says::Operation("execute_tool", Role::Tool)),
                ("retriever", Says::Operation("retrieval", Role::Chain)),
            ],
            Role::Chain,
        ),
        key("langsmith.metadata.ls_provider", ProviderElsewhere),
        key("langsmith.metadata.ls_model_name", RequestModel),
        key("gen_ai.completion", Answer),
        // Python `repr` of dicts.
        key("gen_ai.usage.input_token_details", InputDetails),
        key("gen_ai.usage.output_token_details", OutputDetails),
        key("langsmith.metadata.usage_metadata", UsageDetails),
        key("langsmith.usage_metadata", UsageDetails), // JavaScript
        key("langsmith.request.streaming", Streaming),
        // `langsmith.trace.session_name` and `.session_id` are the project.
        key("langsmith.metadata.session_id", ConversationId),
        key("langsmith.metadata.thread_id", ConversationId),
        key("langsmith.metadata.conversation_id", ConversationId),
        key("langsmith.metadata.user_id", UserId),
        signal("langsmith.trace.name"),
    ],
    source: "langchain-ai/langsmith-sdk@bc8dd67 python/langsmith/_internal/otel/_otel_exporter.py; corpus langsmith-otel",
    ..PLAIN
};
