//! What the spans of a payload speak of: services, models, errors, words. Data only.

/// A model as one provider serves it.
#[derive(Debug)]
pub struct Model {
    /// `gen_ai.provider.name`.
    pub provider: &'static str,
    /// `gen_ai.operation.name`.
    pub operation: &'static str,
    /// `gen_ai.request.model`.
    pub request: &'static str,
    /// `gen_ai.response.model`.
    pub response: &'static str,
    /// `server.address`.
    pub server: &'static str,
    /// What a response id of this provider begins with.
    pub response_id_prefix: &'static str,
    /// `gen_ai.response.finish_reasons` of a call that went well.
    pub finish_reason: &'static str,
}

/// `gen_ai.operation.name` of an embeddings call: it has no output, no temperature, no finish reason.
pub const EMBEDDINGS: &str = "embeddings";

/// The models, each as often as the others.
pub const MODELS: [Model; 12] = [
    model("openai", "chat", "gpt-4o-mini", "gpt-4o-mini-2024-07-18", "api.openai.com", "chatcmpl-", "stop"),
    model("openai", "chat", "gpt-5.1", "gpt-5.1-2025-11-13", "api.openai.com", "resp_68f1c3a2", "stop"),
    model("openai", "chat", "gpt-4.1", "gpt-4.1-2025-04-14", "api.openai.com", "chatcmpl-", "tool_calls"),
    model("openai", EMBEDDINGS, "text-embedding-3-small", "text-embedding-3-small", "api.openai.com", "emb-", ""),
    model("azure.ai.openai", "chat", "gpt-4o", "gpt-4o-2024-11-20", "eu-prod.openai.azure.com", "chatcmpl-", "stop"),
    model(
        "anthropic",
        "chat",
        "claude-sonnet-4-5",
        "claude-sonnet-4-5-20250929",
        "api.anthropic.com",
        "msg_01",
        "end_turn",
    ),
    model(
        "anthropic",
        "chat",
        "claude-haiku-4-5",
        "claude-haiku-4-5-20251001",
        "api.anthropic.com",
        "msg_01",
        "tool_use",
    ),
    model(
        "aws.bedrock",
        "chat",
        "anthropic.claude-3-7-sonnet-20250219-v1:0",
        "anthropic.claude-3-7-sonnet-20250219-v1:0",
        "bedrock-runtime.eu-central-1.amazonaws.com",
        "msg_bdrk_01",
        "end_turn",
    ),
    model(
        "gcp.gemini",
        "generate_content",
        "gemini-2.5-flash",
        "gemini-2.5-flash",
        "generativelanguage.googleapis.com",
        "",
        "STOP",
    ),
    model(
        "gcp.vertex_ai",
        "generate_content",
        "gemini-2.5-pro",
        "gemini-2.5-pro-002",
        "europe-west4-aiplatform.googleapis.com",
        "",
        "STOP",
    ),
    model("mistral_ai", "chat", "mistral-large-latest", "mistral-large-2411", "api.mistral.ai", "cmpl-", "stop"),
    model("groq", "text_completion", "llama-3.3-70b", "llama-3.3-70b-versatile", "api.groq.com", "cmpl-", "length"),
];

const fn model(
    provider: &'static str,
    operation: &'static str,
    request: &'static str,
    response: &'static str,
    server: &'static str,
    response_id_prefix: &'static str,
    finish_reason: &'static str,
) -> Model {
    Model { provider, operation, request, response, server, response_id_prefix, finish_reason }
}

/// `service.name` and `service.namespace` of the applications.
pub const SERVICES: [(&str, &str); 8] = [
    ("checkout-assistant", "shop"),
    ("product-search", "shop"),
    ("support-bot", "care"),
    ("ticket-triage", "care"),
    ("contract-review", "legal"),
    ("sales-copilot", "crm"),
    ("code-review-agent", "platform"),
    ("report-writer", "analytics"),
];

/// `gen_ai.agent.name`.
pub const AGENTS: [&str; 6] = ["planner", "researcher", "order-lookup", "summarizer", "sql-writer", "critic"];

/// An error as a client library reports it.
#[derive(Debug)]
pub struct Failure {
    /// `error.type` and `exception.type`.
    pub kind: &'static str,
    /// Status message and `exception.message`.
    pub message: &'static str,
}

/// The errors, each as often as the others.
pub const FAILURES: [Failure; 4] = [
    Failure {
        kind: "openai.RateLimitError",
        message: "Error code: 429 - {'error': {'message': 'Rate limit reached for requests', 'type': 'requests'}}",
    },
    Failure { kind: "httpx.ReadTimeout", message: "The read operation timed out" },
    Failure {
        kind: "anthropic.OverloadedError",
        message: "Error code: 529 - {'type': 'error', 'error': {'type': 'overloaded_error', 'message': 'Overloaded'}}",
    },
    Failure { kind: "500", message: "The server had an error while processing your request. Sorry about that!" },
];

/// `exception.stacktrace` of every exception event.
pub const STACKTRACE: &str = "Traceback (most recent call last):\n  File \"/app/llm/client.py\", line 214, in complete\n    \
    response = await self.client.chat.completions.create(**request)\n  File \
    \"/usr/lib/python3.12/site-packages/openai/_base_client.py\", line 1584, in _request\n    raise \
    self._make_status_error_from_response(err.response) from None";

/// Words of the synthetic prompts; some are not ASCII, as people write them.
pub const WORDS: [&str; 32] = [
    "the", "customer", "order", "is", "late", "and", "wants", "a", "refund", "please", "answer", "in", "German", "für",
    "Müller", "search", "results", "show", "three", "matching", "products", "with", "price", "below", "forty", "euros",
    "délai", "of", "delivery", "two", "days", "context:",
];
