//! OpenLIT SDK, Python and TypeScript.

use super::Plain::*;
use super::{Dialect, PLAIN, key};
use crate::usage::CacheSemantics;

pub(super) const DIALECT: Dialect = Dialect {
    name: "openlit",
    title: "OpenLIT SDK",
    scopes: &["openlit.", "@openlit/instrumentation"],
    cache: CacheSemantics::ExcludedByAnthropic,
    // Failed calls of its Anthropic instrumentation have no attributes.
    is_named_by_call: true,
    keys: &[
        // Strands writes milliseconds here.
        key("gen_ai.server.time_to_first_token", FirstChunkInUnit),
        key("gen_ai.server.ttft", FirstChunkSeconds),
        key("gen_ai.token.usage.input", InputTokens),
        key("gen_ai.token.usage.output", OutputTokens),
        key("gen_ai.client.token.usage", TotalTokens), // a metric's name, used as attribute
        key("gen_ai.usage.prompt_tokens_details.cached_tokens", CacheReadTokens),
        key("gen_ai.usage.prompt_tokens_details.cache_creation_tokens", CacheWriteTokens),
        key("gen_ai.usage.completion_tokens_details.reasoning_tokens", ReasoningTokens),
        key("gen_ai.usage.cost", Cost),
        key("gen_ai.token.cost.total", Cost),
        key("gen_ai.request.is_stream", Streaming), // until 1.3x
        key("gen_ai.framework.error.type", ErrorType),
        key("gen_ai.agent.role", AgentName),
        key("gen_ai.agent.session_id", ConversationId),
        key("gen_ai.request.user", UserId),
    ],
    source: "openlit/openlit@ad20b7b sdk/python/src/openlit/semcov/__init__.py, instrumentation/anthropic/utils.py; corpus openlit",
    ..PLAIN
};

/// Its instrumentations of libraries that count cached tokens in, whoever the provider is, and one that does so itself; everything
/// else is as above.
pub(super) const WITH_CACHE: Dialect = Dialect {
    title: "OpenLIT SDK, of LiteLLM, LangChain and the Claude Agent SDK",
    scopes: &[
        "openlit.instrumentation.litellm",
        "openlit.instrumentation.langchain",
        "openlit.instrumentation.claude_agent_sdk",
        "@openlit/instrumentation-langchain",
        "@openlit/instrumentation-claude-agent-sdk",
    ],
    cache: CacheSemantics::Included,
    keys: &[],
    events: &[],
    source: "openlit 1.45.0 (PyPI) and 1.15.0 (npm): instrumentation/{litellm,langchain,claude_agent_sdk}",
    ..DIALECT
};
