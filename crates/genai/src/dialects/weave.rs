//! W&B Weave, its conventions for agents: OpenTelemetry's under another prefix.

use super::Plain::*;
use super::{Dialect, PLAIN, key};

pub(super) const DIALECT: Dialect = Dialect {
    name: "weave",
    title: "W&B Weave",
    keys: &[
        key("weave.operation.name", Operation).and_signal(),
        key("weave.provider.name", Provider),
        key("weave.request.model", RequestModel),
        key("weave.response.model", ResponseModel),
        key("weave.usage.input_tokens", InputTokens),
        key("weave.usage.output_tokens", OutputTokens),
        key("weave.usage.cache_read.input_tokens", CacheReadTokens),
        key("weave.usage.cache_creation.input_tokens", CacheWriteTokens),
        key("weave.usage.reasoning_tokens", ReasoningTokens),
        key("weave.response.finish_reasons", FinishReason),
        key("weave.error.type", ErrorType),
        key("weave.agent.name", AgentName),
        key("weave.tool.name", ToolName),
        key("weave.conversation.id", ConversationId),
    ],
    source: "wandb/weave weave/trace_server/agents/semconv.py",
    ..PLAIN
};
