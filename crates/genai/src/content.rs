//! Which attributes hold prompts, completions, and what tools are given and give: by all dialects, and in doubt yes.
//!
//! Source: the sources of the dialects (`dialects/`), and what real clients sent (tests/corpus). Not content: definitions of
//! tools, parameters of models, ids, names, and the metadata that an application attaches.

use std::sync::LazyLock;

use crate::lookup::Lookup;

/// Attributes of spans, events and log records.
const KEYS: &[&str] = &[
    // OpenTelemetry, all generations
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.retrieval.documents",
    "gen_ai.retrieval.query.text",
    "gen_ai.memory.query.text",
    "gen_ai.memory.records",
    "gen_ai.evaluation.explanation",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.event.content",
    // OpenInference
    "input.value",
    "output.value",
    "llm.function_call",
    "llm.prompt_template.template",
    "llm.prompt_template.variables",
    "embedding.text",
    "reranker.query",
    "tool_call.function.arguments",
    // OpenLLMetry, AgentOps
    "traceloop.entity.input",
    "traceloop.entity.output",
    "agentops.entity.input",
    "agentops.entity.output",
    "tool.result",
    // MLflow
    "mlflow.spanInputs",
    "mlflow.spanOutputs",
    "mlflow.traceInputs",
    "mlflow.traceOutputs",
    "mlflow.chat.messages",
    "mlflow.chunk.value",
    // Vercel AI SDK
    "ai.prompt",
    "ai.prompt.messages",
    "ai.response.text",
    "ai.response.object",
    "ai.response.reasoning",
    "ai.response.toolCalls",
    "ai.response.files",
    "ai.result.text",
    "ai.result.object",
    "ai.result.toolCalls",
    "ai.toolCall.args",
    "ai.toolCall.result",
    "ai.value",
    "ai.values",
    "ai.embedding",
    "ai.embeddings",
    "ai.documents",
    // Langfuse, LangSmith
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langfuse.trace.input",
    "langfuse.trace.output",
    "chunk",
    // Pydantic AI, Logfire
    "pydantic_ai.all_messages",
    "all_messages",
    "all_messages_events",
    "events",
    "final_result",
    "tool_arguments",
    "tool_response",
    "request_data",
    "response_data",
    // LiteLLM
    "llm.openai.input",
    "llm.openai.prompt",
    // OpenLIT
    "gen_ai.content.prompt",
    "gen_ai.content.completion",
    "gen_ai.content.reasoning",
    "gen_ai.content.revised_prompt",
    // Spring AI
    "spring.ai.chat.client.system.text",
    "spring.ai.chat.client.user.text",
    "spring.ai.tool.call.arguments",
    "spring.ai.tool.call.result",
    "db.vector.query.content",
    "db.vector.query.response.documents",
    // Google ADK, Genkit, Gemini CLI
    "gcp.vertex.agent.llm_request",
    "gcp.vertex.agent.llm_response",
    "gcp.vertex.agent.tool_call_args",
    "gcp.vertex.agent.tool_response",
    "gcp.vertex.agent.data",
    "genkit:input",
    "genkit:output",
    "request_text",
    "response_text",
    // Claude Code
    "user_prompt",
    "system_prompt",
    "new_context",
    "response.model_output",
    "tool_input",
    "tool_output",
    // Mastra, LiveKit, Pipecat, Laminar, VoltAgent, Braintrust, Weave, CrewAI
    "mastra.instructions",
    "lk.input_text",
    "lk.user_input",
    "lk.user_transcript",
    "lk.instructions",
    "lk.chat_ctx",
    "lk.response.text",
    "lk.response.function_calls",
    "lk.function_tool.arguments",
    "lk.function_tool.output",
    "transcript",
    "text",
    "lmnr.span.input",
    "lmnr.span.output",
    "agent.messages",
    "llm.messages",
    "braintrust.input",
    "braintrust.input_json",
    "braintrust.output",
    "braintrust.output_json",
    "braintrust.expected",
    "crew_inputs",
    "crew_tasks",
    "formatted_description",
    "formatted_expected_output",
    "task_output",
    // several
    "input",
    "inputs",
    "output",
    "outputs",
    "prompt",
    "prompts",
    "completion",
    "completions",
    "messages",
];

/// What keys of content begin with that go on with the number of a message, and how they may end without being content.
const BEGINNINGS: &[&str] = &[
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "llm.prompts.",
    "llm.completions.",
    "llm.choices.",
    "llm.input_messages.",
    "llm.output_messages.",
    "embedding.embeddings.",
    "retrieval.documents.",
    "reranker.input_documents.",
    "reranker.output_documents.",
];
const STRUCTURE: &[&str] = &["finish_reason", "id", "mime_type", "name", "role", "score", "type", "version"];

/// Keys with the name of a provider or an operation in the place of `*`.
const PATTERNS: &[(&str, &[&str])] = &[
    ("llm.", &[".messages", ".content", ".system", ".choices"]), // LiteLLM
    ("mastra.", &[".input", ".output"]),
];

/// Attributes that are content in an event that is a message.
const OF_MESSAGES: &[&str] =
    &["arguments", "body", "content", "event_body", "message", "reasoning_content", "tool_calls"];
/// Events of OpenTelemetry that are no messages.
const NO_MESSAGES: &[&str] = &["gen_ai.evaluation.result", "gen_ai.client.operation.exception"];

/// Whether an attribute is content; `event` is the name of the event or log record that it stands in, and what has no `key` is
/// the body of a record.
pub(crate) fn is_content(event: Option<&[u8]>, key: Option<&[u8]>) -> bool {
    static KNOWN: LazyLock<Lookup<()>> = LazyLock::new(|| Lookup::new(KEYS.iter().map(|key| (*key, ()))));
    let is_message = event.is_some_and(is_message);
    key.map_or(is_message, |key| {
        KNOWN.find(key).is_some()
            || is_of_message(key)
            || is_of_pattern(key)
            || is_message && OF_MESSAGES.iter().any(|name| key == name.as_bytes())
    })
}

fn is_of_message(key: &[u8]) -> bool {
    let last = key.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    BEGINNINGS.iter().any(|start| key.starts_with(start.as_bytes()))
        && !STRUCTURE.iter().any(|name| last == name.as_bytes())
}

fn is_of_pattern(key: &[u8]) -> bool {
    PATTERNS.iter().any(|(start, ends)| {
        let rest = key.strip_prefix(start.as_bytes());
        let between = rest.and_then(|rest| ends.iter().find_map(|end| rest.strip_suffix(end.as_bytes())));
        between.is_some_and(|between| !between.is_empty() && !between.contains(&b'.'))
    })
}

fn is_message(event: &[u8]) -> bool {
    event.starts_with(b"gen_ai.") && !NO_MESSAGES.iter().any(|name| event == name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Content of every form of key is recognised, and what counting reads beside it is not content.
    #[test]
    fn content_and_what_stands_beside_it() {
        let user = Some("gen_ai.user.message");
        for (event, key) in [
            (None, "gen_ai.input.messages"),
            (None, "gen_ai.prompt"),
            (None, "gen_ai.prompt.0.content"),
            (None, "gen_ai.completion.12.tool_calls.0.arguments"),
            (None, "llm.input_messages.0.message.contents.1.message_content.text"),
            (None, "retrieval.documents.3.document.content"),
            (None, "llm.openai.messages"),
            (None, "input"),
            (Some("new_token"), "chunk"),
            (user, "content"),
            (Some("gen_ai.choice"), "message"),
        ] {
            assert!(is_content(event.map(str::as_bytes), Some(key.as_bytes())), "{key}");
        }
        for (event, key) in [
            (None, "gen_ai.prompt.name"),
            (None, "gen_ai.prompt.version"),
            (None, "gen_ai.prompt.0.role"),
            (None, "gen_ai.completion.0.finish_reason"),
            (None, "gen_ai.completion.0.tool_calls.0.name"),
            (None, "gen_ai.usage.input_tokens"),
            (None, "gen_ai.request.model"),
            (None, "llm.model_name"),
            (None, "llm.token_count.prompt"),
            (None, "llm.prompt_template.version"),
            (None, "llm.a.b.messages"),
            (None, "content"),
            (user, ""),
            (Some("exception"), "message"),
            (Some("gen_ai.choice"), "finish_reason"),
            (Some("gen_ai.evaluation.result"), "body"),
        ] {
            assert!(!is_content(event.map(str::as_bytes), Some(key.as_bytes())), "{key}");
        }
        assert!(is_content(user.map(str::as_bytes), None), "the body of a message");
        assert!(!is_content(None, None) && !is_content(Some(b"request.done"), None), "another body");
    }

    // What is redacted tells nothing that is counted, but for captured requests and answers as a whole.
    #[test]
    fn no_figure_is_content() {
        use crate::dialects::{Fact, Plain, all};
        for key in all().flat_map(|dialect| dialect.keys) {
            let (Fact::Plain(fact) | Fact::Own(fact)) = key.fact else { continue };
            let is_captured = matches!(
                fact,
                Plain::Answer | Plain::ModelInJson | Plain::RequestData | Plain::InputMessages | Plain::UsageDetails
            );
            let name = key.name.replace('*', "x");
            assert!(is_captured || !is_content(None, Some(name.as_bytes())), "{name}: {fact:?}");
        }
    }
}
