//! OpenInference: Arize Phoenix and AX; also Agno, BeeAI, smolagents, Envoy AI Gateway.

use super::Plain::*;
use super::{Dialect, EvaluationPart, EventKey, EventSays, PLAIN, Says, evaluation, general, key, role};
use crate::role::Role;
use crate::usage::CacheSemantics;

pub(super) const DIALECT: Dialect = Dialect {
    name: "openinference",
    title: "OpenInference",
    scopes: &["openinference.instrumentation", "@arizeai/openinference"],
    helpers: &["._prepare_chat_with_tools"], // LlamaIndex
    keys: &[
        role(
            "openinference.span.kind",
            &[
                ("LLM", Says::Operation("chat", Role::Llm)),
                ("EMBEDDING", Says::Operation("embeddings", Role::Embeddings)),
                ("AGENT", Says::Operation("invoke_agent", Role::Agent)),
                ("TOOL", Says::Operation("execute_tool", Role::Tool)),
                ("RETRIEVER", Says::Operation("retrieval", Role::Chain)),
                ("RERANKER", Says::Operation("rerank", Role::Chain)),
            ],
            Role::Chain,
        ),
        key("llm.provider", Provider),
        key("llm.system", ProviderElsewhere),
        key("llm.request.model_name", RequestModel),
        key("llm.response.model_name", ResponseModel),
        key("llm.model_name", EitherModel),
        key("embedding.model_name", EitherModel),
        key("reranker.model_name", EitherModel),
        key("llm.invocation_parameters", ModelInJson),
        key("embedding.invocation_parameters", ModelInJson),
        general("input.value", ModelInJson),
        general("output.value", Answer),
        key("llm.token_count.prompt", InputTokens),
        key("llm.token_count.completion", OutputTokens),
        key("llm.token_count.total", TotalTokens),
        key("llm.token_count.prompt_details.cache_read", CacheReadTokens),
        key("llm.token_count.prompt_details.cache_write", CacheWriteTokens),
        key("llm.token_count.prompt_details.cache_creation", CacheWriteTokens),
        key("llm.token_count.completion_details.reasoning", ReasoningTokens),
        key("llm.cost.total", Cost),
        key("llm.cost.prompt", InputCost),
        key("llm.cost.completion", OutputCost),
        key("time_to_first_token_ms", FirstChunkMillis), // realtime
        key("llm.finish_reason", FinishReason),
        general("tool.name", ToolName),
        general("agent.name", AgentName),
        key("graph.node.name", AgentName),
        key("graph.node.id", AgentName),
        key("prompt.id", PromptName),
        key("llm.prompt_template.version", PromptVersion),
        evaluation("evaluations.*.evaluation.name", EvaluationPart::Name),
        evaluation("evaluations.*.evaluation.score", EvaluationPart::Score),
        evaluation("evaluations.*.evaluation.label", EvaluationPart::Label),
        evaluation("annotations.*.annotation.name", EvaluationPart::Name),
        evaluation("annotations.*.annotation.score", EvaluationPart::Score),
        evaluation("annotations.*.annotation.label", EvaluationPart::Label),
        evaluation("trace.evaluations.*.evaluation.name", EvaluationPart::Name),
        evaluation("trace.evaluations.*.evaluation.score", EvaluationPart::Score),
        evaluation("trace.evaluations.*.evaluation.label", EvaluationPart::Label),
        evaluation("trace.annotations.*.annotation.name", EvaluationPart::Name),
        evaluation("trace.annotations.*.annotation.score", EvaluationPart::Score),
        evaluation("trace.annotations.*.annotation.label", EvaluationPart::Label),
        evaluation("session.evaluations.*.evaluation.name", EvaluationPart::Name),
        evaluation("session.evaluations.*.evaluation.score", EvaluationPart::Score),
        evaluation("session.evaluations.*.evaluation.label", EvaluationPart::Label),
        evaluation("session.annotations.*.annotation.name", EvaluationPart::Name),
        evaluation("session.annotations.*.annotation.score", EvaluationPart::Score),
        evaluation("session.annotations.*.annotation.label", EvaluationPart::Label),
    ],
    events: &[EventKey { name: "First Token Stream Event", says: EventSays::FirstChunk }],
    source: "Arize-ai/openinference@1fe497f python/openinference-semantic-conventions, spec/*.md",
    ..PLAIN
};

/// Its instrumentation of the Claude Agent SDK, that hands on a usage without cached tokens, also in the total.
pub(super) const WITHOUT_CACHE: Dialect = Dialect {
    title: "OpenInference, of the Claude Agent SDK",
    scopes: &["openinference.instrumentation.claude_agent_sdk"],
    cache: CacheSemantics::Excluded,
    keys: &[],
    events: &[],
    source: "Arize-ai/openinference@06d8eed openinference-instrumentation-claude-agent-sdk _wrappers.py",
    ..DIALECT
};

/// Its instrumentation of Bedrock: Converse once left cached tokens out of input, but not of the total.
pub(super) const BEDROCK: Dialect = Dialect {
    title: "OpenInference, of Bedrock",
    scopes: &["openinference.instrumentation.bedrock"],
    cache: CacheSemantics::IncludedByTotal,
    keys: &[],
    events: &[],
    source: "openinference-instrumentation-bedrock 0.1.61, run against a server that counts",
    ..DIALECT
};

/// Its instrumentations of agents that count on from one run of an agent to the next.
pub(super) const RUNNING_TOTALS: Dialect = Dialect {
    title: "OpenInference, of smolagents and Strands",
    scopes: &["openinference.instrumentation.smolagents", "openinference.instrumentation.strands_agents"],
    has_running_totals: true,
    keys: &[],
    events: &[],
    ..DIALECT
};
