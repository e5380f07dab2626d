//! Pydantic AI, formats 1 to 5.

use super::Plain::*;
use super::{Dialect, PLAIN, general, key, own, signal};

pub(super) const DIALECT: Dialect = Dialect {
    name: "pydantic_ai",
    title: "Pydantic AI",
    scopes: &["pydantic-ai"],
    // Formats 1 and 2.
    agents_only_named: true,
    keys: &[
        // Subsets, told again. Those of a provider stand alone where the library could not read its answer.
        key("gen_ai.usage.details.cache_read_tokens", CacheReadTokens),
        key("gen_ai.usage.details.cache_read_input_tokens", CacheReadTokens),
        key("gen_ai.usage.details.cached_tokens", CacheReadTokens),
        key("gen_ai.usage.details.cache_write_tokens", CacheWriteTokens),
        key("gen_ai.usage.details.cache_creation_input_tokens", CacheWriteTokens),
        key("gen_ai.usage.details.ephemeral_5m_input_tokens", CacheWrite5mTokens),
        key("gen_ai.usage.details.ephemeral_1h_input_tokens", CacheWrite1hTokens),
        key("gen_ai.usage.details.reasoning_tokens", ReasoningTokens),
        key("gen_ai.usage.details.thinking_tokens", ReasoningTokens), // Anthropic
        key("gen_ai.usage.details.thoughts_tokens", ReasoningTokens), // Gemini
        key("gen_ai.usage.details.input_tokens", ProviderInputTokens),
        key("gen_ai.usage.details.prompt_tokens", ProviderInputTokens),
        key("gen_ai.usage.details.output_tokens", ProviderOutputTokens),
        key("gen_ai.usage.details.completion_tokens", ProviderOutputTokens),
        general("operation.cost", Cost),
        own("agent_name", AgentName), // formats 1 and 2
        own("model_name", RequestModel),
        signal("pydantic_ai.all_messages"),
    ],
    source: "pydantic/pydantic-ai@4fda389 pydantic_ai_slim/pydantic_ai/{models/instrumented.py,usage.py}; corpus logfire-pydantic-ai",
    ..PLAIN
};
