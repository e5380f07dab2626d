//! Operations: what `gen_ai.operation.name` and its relatives say, and the role that follows from it.
//!
//! Source: semconv 1.41, semantic-conventions-genai, and what clients really write (reference/counting.md section 1).

use std::sync::LazyLock;

use otlp::Text;

use crate::facts::Label;
use crate::lookup::Lookup;
use crate::role::Role;

/// Spelling in lower case, canonical operation, role.
const OPERATIONS: &[(&str, &str, Role)] = &[
    ("chat", "chat", Role::Llm),
    ("embeddings", "embeddings", Role::Embeddings),
    ("execute_tool", "execute_tool", Role::Tool),
    ("invoke_agent", "invoke_agent", Role::Agent),
    ("generate_content", "generate_content", Role::Llm),
    ("text_completion", "text_completion", Role::Llm),
    ("completion", "text_completion", Role::Llm),
    ("acompletion", "chat", Role::Llm),
    ("response", "chat", Role::Llm),
    ("responses", "chat", Role::Llm),
    ("aresponses", "chat", Role::Llm),
    ("generate", "chat", Role::Llm),
    ("chat.completions", "chat", Role::Llm),
    ("text.completions", "text_completion", Role::Llm),
    // Semantic Kernel, Python until 1.37
    ("chat.streaming_completions", "chat", Role::Llm),
    ("text.streaming_completions", "text_completion", Role::Llm),
    // LiteLLM: its call types, asynchronous ones with an `a` before
    ("atext_completion", "text_completion", Role::Llm),
    ("anthropic_messages", "chat", Role::Llm),
    ("aanthropic_messages", "chat", Role::Llm),
    ("agenerate_content", "generate_content", Role::Llm),
    ("generate_content_stream", "generate_content", Role::Llm),
    ("agenerate_content_stream", "generate_content", Role::Llm),
    ("llm_passthrough_route", "chat", Role::Llm),
    ("allm_passthrough_route", "chat", Role::Llm),
    // OpenTelemetry eBPF instrumentation: the `object` or `type` of the answer
    ("chat.completion", "chat", Role::Llm),
    ("message", "chat", Role::Llm),
    ("messages", "chat", Role::Llm),
    ("generate_text", "chat", Role::Llm), // Sentry
    ("llm_call", "chat", Role::Llm),
    ("call_llm", "chat", Role::Llm), // any-agent
    // By hand, as public repositories do
    ("chat_completion", "chat", Role::Llm),
    ("chat_completions", "chat", Role::Llm),
    ("generation", "chat", Role::Llm),
    ("inference", "chat", Role::Llm),
    ("llm_request", "chat", Role::Llm),
    ("embedding", "embeddings", Role::Embeddings),
    ("aembedding", "embeddings", Role::Embeddings),
    ("embed", "embeddings", Role::Embeddings),
    ("embed_content", "embeddings", Role::Embeddings),
    ("create_agent", "create_agent", Role::Agent),
    ("agent_step", "agent_step", Role::Agent),
    ("agent_call", "invoke_agent", Role::Agent),
    ("execute_event_loop_cycle", "agent_step", Role::Agent),
    // VeADK; Splunk's instrumentation of LangChain
    ("agent", "invoke_agent", Role::Agent),
    ("tool", "execute_tool", Role::Tool),
    ("workflow", "invoke_workflow", Role::Chain),
    ("task", "execute_task", Role::Chain),
    ("tool_call", "execute_tool", Role::Tool),
    ("invoke_workflow", "invoke_workflow", Role::Chain),
    ("execute_task", "execute_task", Role::Chain),
    ("orchestrate_tools", "orchestrate_tools", Role::Chain),
    ("chain", "chain", Role::Chain),
    ("framework", "chain", Role::Chain),
    ("retrieval", "retrieval", Role::Chain),
    ("vector_db_retrieve", "retrieval", Role::Chain),
    ("rerank", "rerank", Role::Chain),
    ("image", "image", Role::Chain),
    ("audio", "audio", Role::Chain),
    ("speech_to_text", "speech_to_text", Role::Chain),
    ("stt", "speech_to_text", Role::Chain),
    ("text_to_speech", "text_to_speech", Role::Chain),
    ("tts", "text_to_speech", Role::Chain),
    ("vectordb", "vectordb", Role::Chain),
    ("realtime", "realtime", Role::Chain),
    ("create_memory", "create_memory", Role::Chain),
    ("search_memory", "search_memory", Role::Chain),
    ("update_memory", "update_memory", Role::Chain),
    ("upsert_memory", "upsert_memory", Role::Chain),
    ("delete_memory", "delete_memory", Role::Chain),
    ("create_memory_store", "create_memory_store", Role::Chain),
    ("delete_memory_store", "delete_memory_store", Role::Chain),
    ("plan", "plan", Role::Chain),
    ("fetch_response", "fetch_response", Role::Chain),
    ("create_thread", "create_thread", Role::Chain),
    ("create_message", "create_message", Role::Chain),
    ("list_messages", "list_messages", Role::Chain),
    ("start_thread_run", "start_thread_run", Role::Chain),
    ("get_thread_run", "get_thread_run", Role::Chain),
    ("process_thread_run", "invoke_agent", Role::Agent),
    ("submit_tool_outputs", "submit_tool_outputs", Role::Chain),
    ("model_step", "model_step", Role::Chain),
    ("model_chunk", "model_chunk", Role::Chain),
    ("user_prompt", "user_prompt", Role::Chain),
    ("system_prompt", "system_prompt", Role::Chain),
    ("schedule_tool_calls", "schedule_tool_calls", Role::Chain),
];

/// The canonical operation and the role that follows; one that nobody knows stays as it is and is unrecognised.
pub(crate) fn canonical(text: Text, body: &[u8]) -> (Label, Role) {
    let raw = text.bytes(body);
    match SPELLINGS.find_ignoring_case(raw) {
        Some((operation, role)) => (Label::Known(operation), *role),
        None => (Label::Raw(text), Role::Unrecognised),
    }
}

/// The operation that is the first word of a span's name.
pub(crate) fn of_name(name: Text, body: &[u8]) -> (Label, Role) {
    let bytes = name.bytes(body);
    let length = bytes.iter().position(|b| *b == b' ').unwrap_or(bytes.len());
    canonical(name.part(0, length as u32), body)
}

static SPELLINGS: LazyLock<Lookup<(&str, Role)>> = LazyLock::new(|| {
    Lookup::new(OPERATIONS.iter().map(|(spelling, operation, role)| (*spelling, (*operation, *role))))
});

/// The operation of a role, for spans that tell their role otherwise.
pub(crate) const fn of_role(role: Role) -> Label {
    match role {
        Role::Llm => Label::Known(&"chat"),
        Role::Embeddings => Label::Known(&"embeddings"),
        Role::Agent => Label::Known(&"invoke_agent"),
        Role::Tool => Label::Known(&"execute_tool"),
        _ => Label::None,
    }
}
