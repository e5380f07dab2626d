//! OpenLLMetry (Traceloop), three generations. Generation three writes OpenTelemetry's keys.

use super::Plain::*;
use super::{Dialect, EventKey, EventSays, PLAIN, Says, key, role, signal};
use crate::role::Role;
use crate::usage::CacheSemantics;

pub(super) const DIALECT: Dialect = Dialect {
    name: "openllmetry",
    title: "OpenLLMetry (Traceloop)",
    // `opentelemetry.instrumentation.anthropic`, `.langchain` and `.vertexai` are names of OpenTelemetry's as well.
    scopes: &[
        "traceloop.tracer",
        "opentelemetry.instrumentation.openai.v0",
        "opentelemetry.instrumentation.openai.v1",
        "opentelemetry.instrumentation.cohere",
        "opentelemetry.instrumentation.crewai",
        "opentelemetry.instrumentation.google_generativeai",
        "opentelemetry.instrumentation.groq",
        "opentelemetry.instrumentation.mistralai",
        "opentelemetry.instrumentation.ollama",
        "opentelemetry.instrumentation.replicate",
        "opentelemetry.instrumentation.together",
        "opentelemetry.instrumentation.watsonx",
        "@traceloop/instrumentation",
    ],
    // LlamaIndex's models are tasks and workflows as well.
    calls_have_any_role: true,
    keys: &[
        // Of its decorators and of frameworks; a call only if it says so elsewhere.
        role(
            "traceloop.span.kind",
            &[
                ("agent", Says::Operation("invoke_agent", Role::Agent)),
                ("tool", Says::Operation("execute_tool", Role::Tool)),
            ],
            Role::Chain,
        ),
        key("llm.request.type", RequestType).and_signal(),
        key("llm.vendor", ProviderElsewhere),
        key("llm.request.model", RequestModel),
        key("llm.response.model", ResponseModel),
        key("llm.usage.prompt_tokens", InputTokens),
        key("llm.usage.completion_tokens", OutputTokens),
        key("llm.usage.total_tokens", TotalTokens).and_signal(),
        key("llm.usage.cache_read_input_tokens", CacheReadTokens),
        key("llm.usage.cache_creation_input_tokens", CacheWriteTokens),
        key("llm.usage.reasoning_tokens", ReasoningTokens),
        key("gen_ai.is_streaming", Streaming),
        key("llm.is_streaming", Streaming),
        key("gen_ai.response.stop_reason", FinishReason),
        key("gen_ai.completion.0.finish_reason", FinishReason),
        key("llm.response.finish_reason", FinishReason),
        key("llm.response.stop_reason", FinishReason),
        key("llm.completions.0.finish_reason", FinishReason),
        key("traceloop.workflow.name", WorkflowName).and_signal(),
        key("traceloop.association.properties.session_id", ConversationId),
        key("traceloop.association.properties.thread_id", ConversationId),
        key("traceloop.association.properties.chat_id", ConversationId),
        key("traceloop.association.properties.conversation_id", ConversationId),
        key("traceloop.correlation.id", ConversationId), // generation 1
        key("traceloop.association.properties.user_id", UserId),
        key("gen_ai.user", UserId),
        key("llm.user", UserId),
        key("traceloop.prompt.key", PromptName),
        key("traceloop.prompt.version", PromptVersion),
        key("traceloop.prompt.version_name", PromptVersion),
        key("traceloop.prompt.version_hash", PromptVersion),
        key("traceloop.entity.name", EntityName).and_signal(),
        signal("traceloop.entity.path"),
    ],
    events: &[
        EventKey { name: "gen_ai.content.completion.chunk", says: EventSays::FirstChunk },
        EventKey { name: "llm.content.completion.chunk", says: EventSays::FirstChunk },
    ],
    source: "traceloop/openllmetry@93429cf packages/opentelemetry-semantic-conventions-ai; tags 0.10.0, 0.14.0, 0.20.0",
    ..PLAIN
};

/// Its instrumentations that hand on input as the provider counts it; everything else is as above.
pub(super) const AS_PROVIDED: Dialect = Dialect {
    title: "OpenLLMetry, of Bedrock, LlamaIndex, and Anthropic in JavaScript",
    scopes: &[
        "opentelemetry.instrumentation.bedrock",
        "opentelemetry.instrumentation.llamaindex",
        "@traceloop/instrumentation-anthropic",
        "@traceloop/instrumentation-bedrock",
    ],
    cache: CacheSemantics::ExcludedByAnthropic,
    keys: &[],
    events: &[],
    source: "opentelemetry-instrumentation-{bedrock,llamaindex} 0.62.4, @traceloop/instrumentation-anthropic 0.27.0, run against a server that counts",
    ..DIALECT
};
