//! Vercel AI SDK, `experimental_telemetry` of versions 3 to 6 and the legacy integration of 7. (Version 7's own writes
//! OpenTelemetry's keys.)

use super::Plain::*;
use super::{Dialect, EventKey, EventSays, PLAIN, Says, key, own, role};
use crate::role::Role;
use crate::usage::CacheSemantics;

pub(super) const DIALECT: Dialect = Dialect {
    name: "vercel_ai_sdk",
    title: "Vercel AI SDK (experimental_telemetry)",
    scopes: &["ai"],
    // Until version 5, Anthropic's input leaves cached tokens out; version 6 tells details, see `derive`.
    cache: CacheSemantics::ExcludedByAnthropic,
    keys: &[
        // The outer spans repeat the sum of all steps: only `.do*` is a call.
        role(
            "ai.operationId",
            &[
                ("ai.generateText.doGenerate", Says::Operation("chat", Role::Llm)),
                ("ai.streamText.doStream", Says::Operation("chat", Role::Llm)),
                ("ai.generateObject.doGenerate", Says::Operation("chat", Role::Llm)),
                ("ai.streamObject.doStream", Says::Operation("chat", Role::Llm)),
                ("ai.embed.doEmbed", Says::Operation("embeddings", Role::Embeddings)),
                ("ai.embedMany.doEmbed", Says::Operation("embeddings", Role::Embeddings)),
                ("ai.toolCall", Says::Operation("execute_tool", Role::Tool)),
                ("ai.rerank", Says::Operation("rerank", Role::Chain)),
                ("ai.rerank.doRerank", Says::Operation("rerank", Role::Chain)),
            ],
            Role::Agent,
        ),
        key("ai.model.provider", ProviderElsewhere),
        key("ai.model.id", RequestModel),
        key("ai.response.model", ResponseModel),
        key("ai.response.id", ResponseId),
        key("ai.usage.inputTokens", InputTokens),
        key("ai.usage.promptTokens", InputTokens),
        key("ai.usage.tokens", InputTokens),
        key("ai.usage.outputTokens", OutputTokens),
        key("ai.usage.completionTokens", OutputTokens),
        key("ai.usage.totalTokens", TotalTokens),
        key("ai.usage.cachedInputTokens", CacheReadTokens),
        key("ai.usage.inputTokenDetails.cacheReadTokens", CacheReadTokens),
        key("ai.usage.inputTokenDetails.cacheWriteTokens", CacheWriteTokens),
        key("ai.usage.inputTokenDetails.noCacheTokens", UncachedInputTokens),
        key("ai.usage.reasoningTokens", ReasoningTokens),
        key("ai.usage.outputTokenDetails.reasoningTokens", ReasoningTokens),
        key("ai.response.providerMetadata", ProviderMetadata),
        key("ai.response.msToFirstChunk", FirstChunkMillis),
        key("ai.stream.msToFirstChunk", FirstChunkMillis),
        key("ai.response.finishReason", FinishReason),
        key("ai.finishReason", FinishReason),
        key("gen_ai.finishReason", FinishReason), // until version 4
        key("ai.toolCall.name", ToolName),
        key("ai.toolCall.id", ToolCallId),
        key("ai.telemetry.functionId", AgentName),
        own("resource.name", AgentName), // the same
        key("ai.telemetry.metadata.sessionId", ConversationId),
        key("ai.telemetry.metadata.userId", UserId),
        key("ai.telemetry.metadata.langfusePrompt", PromptInJson),
    ],
    events: &[EventKey { name: "ai.stream.firstChunk", says: EventSays::FirstChunk }],
    source: "vercel/ai tags 3.4.0 to 6.0.0, ed857f5 packages/otel/src/legacy-open-telemetry; corpus vercel-ai-sdk-5, -7-legacy",
    ..PLAIN
};

/// Version 7. Everything it writes is OpenTelemetry's, but for a detail of usage and the names of its steps.
pub(super) const VERSION_7: Dialect = Dialect {
    name: "vercel_ai_sdk_7",
    title: "Vercel AI SDK 7 (@ai-sdk/otel)",
    scopes: &["gen_ai"],
    source: "vercel/ai@ed857f5 packages/otel/src/{open-telemetry,gen-ai-format-messages,supplemental-attributes}.ts; corpus vercel-ai-sdk-7",
    ..PLAIN
};
