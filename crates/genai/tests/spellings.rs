//! Ways to tell the usual facts that no client of the corpus uses, whatever the dialect.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::{build::Built, line, told as facts, told_plainly as plain};

/// Its finish reason.
fn finish(word: &str) -> String {
    let told = plain(&[("gen_ai.operation.name", "chat"), ("gen_ai.response.finish_reason", word)]);
    told.split_once(" finish=").unwrap().1.to_owned()
}

// Speech is told with models and providers as well, and is no call.
#[test]
fn speech_is_no_call() {
    let model = [("gen_ai.provider.name", "cartesia"), ("gen_ai.request.model", "sonic-2")];
    let told = |scope, name, extra| facts(scope, name, &[&model[..], &[extra]].concat());
    assert!(told("livekit-agents", "tts_request", ("lk.tts.label", "x")).starts_with("livekit chain "));
    assert!(told("livekit-agents", "tts_request", ("lk.tts_metrics", "{}")).starts_with("livekit chain "));
    for operation in ["tts", "stt"] {
        assert!(told("pipecat", operation, ("gen_ai.operation.name", operation)).starts_with("pipecat chain "));
    }
}

// AgentOps and Spring AI hand on what the provider reports: Anthropic leaves cached tokens out.
#[test]
fn counts_as_the_provider_reports_them() {
    let span = |provider, signal| {
        plain(&[
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.system", provider),
            ("gen_ai.request.model", "m"),
            ("gen_ai.usage.prompt_tokens", "198"),
            ("gen_ai.usage.completion_tokens", "62"),
            ("gen_ai.usage.cache_read_input_tokens", "64"),
            signal,
        ])
    };
    for signal in [("agentops.span.kind", "llm"), ("spring.ai.tool.call.id", "x")] {
        assert!(span("anthropic", signal).contains(" in=262 read=64 "), "{signal:?}");
        assert!(span("openai", signal).contains(" in=198 read=64 "), "{signal:?}");
    }
}

// A call that failed, of a library that writes neither operation nor provider (Quarkus), is one; a model alone is none.
#[test]
fn failed_calls_of_few_words() {
    let model = [("gen_ai.request.model", "gpt-4o")];
    assert!(plain(&model).starts_with("otel_genai unrecognised "));
    let failed = [("exception.type", "dev.langchain4j.exception.RateLimitException")];
    let Built { body, facts } = Built::new("app", "completion gpt-4o", &model, &[("exception", &failed)]);
    assert!(line(&body, &facts).contains(" llm chat openai gpt-4o-> "), "{}", line(&body, &facts));
    assert_eq!(facts.error.map(|error| error.class.name()), Some("rate_limited"));
}

// A span with keys of the conventions that nobody knows yet is one to be told of, and no other span is.
#[test]
fn keys_of_tomorrow() {
    assert!(plain(&[("gen_ai.tomorrow", "x")]).starts_with("otel_genai unrecognised "));
    assert!(
        plain(&[("gen_ai.data_source.id", "x"), ("db.system", "pinecone")]).starts_with("otel_genai unrecognised ")
    );
    assert!(plain(&[("gen_ais.tomorrow", "x")]).contains(" none "));
}

// Thoughts that Gemini counts beside its output belong to it: the total says so, or the answer that was captured.
#[test]
fn thoughts_beside_the_output() {
    let genkit = |total| {
        let output = format!(
            r#"{{"usage": {{"inputTokens": 114, "outputTokens": 26, "thoughtsTokens": 11, "totalTokens": {total}}}}}"#
        );
        plain(&[
            ("genkit:metadata:subtype", "model"),
            ("genkit:name", "googleai/gemini-2.5-flash"),
            ("genkit:output", &output),
        ])
    };
    let told = "genkit llm chat gcp.gemini googleai/gemini-2.5-flash-> in=114 read=- write=-";
    assert_eq!(genkit(151), format!("{told} out=37 reasoning=11 finish="));
    assert_eq!(genkit(140), format!("{told} out=26 reasoning=11 finish="));
    let counts = |total| {
        plain(&[
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.usage.input_tokens", "114"),
            ("gen_ai.usage.output_tokens", "26"),
            ("gen_ai.usage.reasoning_tokens", "11"),
            ("gen_ai.usage.total_tokens", total),
        ])
    };
    assert!(counts("151").contains(" out=37 reasoning=11 ") && counts("140").contains(" out=26 reasoning=11 "));
    let adk = [
        ("gen_ai.system", "gcp.vertex.agent"),
        ("gen_ai.request.model", "gemini-2.5-pro"),
        ("gen_ai.usage.input_tokens", "114"),
        ("gen_ai.usage.output_tokens", "26"),
        (
            "gcp.vertex.agent.llm_response",
            r#"{"content": {"role": "model"}, "usage_metadata": {"cached_content_token_count": 64, "candidates_token_count": 26,
            "prompt_token_count": 114, "thoughts_token_count": 11, "total_token_count": 151}}"#,
        ),
    ];
    assert_eq!(
        facts("gcp.vertex.agent", "call_llm", &adk),
        "google_adk llm chat gcp.gen_ai gemini-2.5-pro-> in=114 read=64 write=- out=37 reasoning=11 finish="
    );
}

// Finish reasons as .NET, Python's enumerations and lists of several choices spell them; an unknown one stays as it is.
#[test]
fn finish_reasons() {
    for (told, expected) in [
        ("ToolCalls", "tool_calls"),
        ("FinishReason.STOP", "stop"),
        ("FinishReason.MAX_TOKENS", "length"),
        ("stop,length", "stop"),
        ("[STOP]", "stop"),
        ("COMPLETE", "stop"),
        ("guardrail_intervened", "content_filter"),
        ("tired.of,it", "tired.of,it"),
    ] {
        assert_eq!(finish(told), expected, "{told}");
    }
}

// Where the status says little, the exception is asked what class of failure it is.
#[test]
fn the_message_that_says_more() {
    let call = [("gen_ai.operation.name", "chat")];
    let failed = [("exception.type", "ModelHTTPError"), ("exception.message", "status_code: 429, model_name: gpt-4o")];
    let class = |events: &[(&str, &[(&str, &str)])]| {
        let facts = Built::failed("ModelHTTPError", "pydantic-ai", "chat", &call, events).facts;
        facts.error.map(|error| error.class.name())
    };
    assert_eq!(class(&[]), Some("other"));
    assert_eq!(class(&[("exception", &failed)]), Some("rate_limited"));
}
