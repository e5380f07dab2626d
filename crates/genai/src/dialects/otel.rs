//! OpenTelemetry GenAI semantic conventions: every generation, current keys before deprecated ones.

use super::Plain::*;
use super::{Dialect, EvaluationPart, EventKey, EventSays, PLAIN, evaluation, general, key};
use crate::usage::{CacheSemantics, ReasoningSemantics};

pub(super) const DIALECT: Dialect = Dialect {
    name: "otel_genai",
    title: "OpenTelemetry GenAI semantic conventions, 1.26 to 1.41 and semantic-conventions-genai",
    keys: &[
        key("gen_ai.operation.name", Operation),
        key("gen_ai.provider.name", Provider),
        key("gen_ai.request.model", RequestModel),
        key("gen_ai.response.model", ResponseModel),
        key("gen_ai.response.id", ResponseId),
        key("gen_ai.usage.input_tokens", InputTokens),
        key("gen_ai.usage.output_tokens", OutputTokens),
        key("gen_ai.usage.total_tokens", TotalTokens),
        key("gen_ai.usage.cache_read.input_tokens", CacheReadTokens), // 1.40
        key("gen_ai.usage.cache_read_input_tokens", CacheReadTokens),
        key("gen_ai.usage.cache_write.input_tokens", CacheWriteTokens), // semantic-conventions-genai
        key("gen_ai.usage.cache_creation.input_tokens", CacheWriteTokens), // 1.40
        key("gen_ai.usage.cache_creation_input_tokens", CacheWriteTokens),
        key("gen_ai.usage.cache_write_input_tokens", CacheWriteTokens),
        key("gen_ai.usage.reasoning.output_tokens", ReasoningTokens), // 1.41
        key("gen_ai.usage.reasoning_tokens", ReasoningTokens),
        key("gen_ai.response.time_to_first_chunk", FirstChunkSeconds), // 1.41
        key("gen_ai.client.operation.time_to_first_chunk", FirstChunkSeconds), // a metric's name, used as attribute
        key("gen_ai.request.stream", Streaming),
        key("gen_ai.response.finish_reasons", FinishReason),
        key("gen_ai.tool.name", ToolName),
        key("gen_ai.tool.call.id", ToolCallId),
        key("gen_ai.agent.name", AgentName),
        key("gen_ai.workflow.name", WorkflowName),
        key("gen_ai.conversation.id", ConversationId),
        key("gen_ai.prompt.name", PromptName),
        key("gen_ai.prompt.version", PromptVersion),
        general("session.id", ConversationId),
        general("user.id", UserId),
        general("enduser.id", UserId),
        general("error.type", ErrorType),
        general("error.message", ErrorMessage),
        general("server.address", ServerAddress),
        general("http.response.status_code", HttpStatus),
        general("http.status_code", HttpStatus),
        general("error.code", HttpStatus),
        key("gen_ai.response.status", HttpStatus),
        key("gen_ai.response.status_code", HttpStatus),
        key("openai.response.service_tier", ServiceTier),
        key("gen_ai.response.service_tier", ServiceTier),
        key("openai.request.service_tier", ServiceTier),
        key("gen_ai.request.service_tier", ServiceTier),
        evaluation("gen_ai.evaluation.name", EvaluationPart::Name), // 1.38, of the event below
        evaluation("gen_ai.evaluation.score.value", EvaluationPart::Score),
        evaluation("gen_ai.evaluation.score.label", EvaluationPart::Label),
    ],
    events: &[
        EventKey { name: "exception", says: EventSays::Exception },
        EventKey { name: "gen_ai.client.operation.exception", says: EventSays::Exception }, // 1.41
        // Its attributes are those of the span.
        EventKey { name: "gen_ai.client.inference.operation.details", says: EventSays::Attributes },
        EventKey { name: "gen_ai.evaluation.result", says: EventSays::Evaluation }, // 1.38
    ],
    source: "open-telemetry/semantic-conventions v1.41.1 model/gen-ai; open-telemetry/semantic-conventions-genai",
    ..PLAIN
};

/// Its instrumentation of Bedrock, that hands on a usage without cached tokens; everything else is as above.
pub(super) const BEDROCK: Dialect = Dialect {
    title: "OpenTelemetry GenAI semantic conventions, of Bedrock",
    scopes: &["opentelemetry.instrumentation.genai.bedrock"],
    cache: CacheSemantics::Excluded,
    keys: &[],
    events: &[],
    source: "opentelemetry-instrumentation-genai-bedrock 1.3b0 extractors.py, run against a server that counts",
    ..DIALECT
};

/// What came before `gen_ai.provider.name`. Keys that others write as well: it is the last of the table, so that any other
/// dialect goes before it, and so do their keys.
pub(super) const LEGACY: Dialect = Dialect {
    name: "otel_genai_legacy",
    title: "OpenTelemetry GenAI semantic conventions until 1.36",
    // As the provider reports it.
    cache: CacheSemantics::ExcludedByAnthropic,
    reasoning: ReasoningSemantics::Included,
    keys: &[
        key("gen_ai.system", ProviderElsewhere).and_signal(),
        key("gen_ai.usage.prompt_tokens", InputTokens).and_signal(), // 1.26
        key("gen_ai.usage.completion_tokens", OutputTokens).and_signal(), // 1.26
        // What gateways and SDKs wrote before there were names for it.
        key("gen_ai.usage.cached_input_tokens", CacheReadTokens),
        key("gen_ai.usage.cached_tokens", CacheReadTokens),
        key("gen_ai.usage.cache_read_tokens", CacheReadTokens),
        key("gen_ai.usage.input_tokens_details.cached_tokens", CacheReadTokens),
        key("gen_ai.usage.cache_write_tokens", CacheWriteTokens),
        key("gen_ai.usage.cache_creation_tokens", CacheWriteTokens),
        key("gen_ai.usage.cache_creation.5m_input_tokens", CacheWrite5mTokens),
        key("gen_ai.usage.cache_creation.1h_input_tokens", CacheWrite1hTokens),
        key("gen_ai.usage.output_tokens_details.reasoning_tokens", ReasoningTokens),
        key("gen_ai.usage.reasoning_output_tokens", ReasoningTokens),
        key("gen_ai.usage.thinking_tokens", ReasoningTokens),
        key("gen_ai.usage.thoughts_tokens", ReasoningTokens),
        key("gen_ai.response.finish_reason", FinishReason),
        key("gen_ai.openai.response.service_tier", ServiceTier),
        key("gen_ai.openai.request.service_tier", ServiceTier),
    ],
    events: &[EventKey { name: "gen_ai.choice", says: EventSays::FinishReason }], // 1.28 to 1.36
    source: "open-telemetry/semantic-conventions v1.41.1 model/gen-ai/deprecated; open-telemetry/opentelemetry-python-contrib@466ae4c",
    ..PLAIN
};
