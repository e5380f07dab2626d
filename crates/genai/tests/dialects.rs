//! What the dialects say that no client of the corpus speaks: spans made after their sources.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::build::Built;
use common::{told as facts, told_plainly as plain};
use spanmill_genai::Role;

// The general keys of Claude Code count on its own spans, without the cache, and say nothing on any other.
#[test]
fn claude_code() {
    let keys = [
        ("model", "claude-sonnet-4-5"),
        ("input_tokens", "'100'"),
        ("output_tokens", "20"),
        ("cache_read_tokens", "64"),
        ("cache_creation_tokens", "32"),
        ("ttft_ms", "250"),
        ("stop_reason", "end_turn"),
        ("session.id", "s1"),
    ];
    let with = |extra: &[(&'static str, &'static str)]| plain(&[&keys, extra].concat());
    let counted = "claude_code llm chat anthropic claude-sonnet-4-5-> in=196 read=64 write=32 out=20 reasoning=- finish=stop streamed";
    assert_eq!(with(&[("span.type", "claude_code.llm_request")]), format!("{counted}=250ms in:s1"));
    assert_eq!(
        with(&[("span.type", "llm_request"), ("success", "false")]),
        format!("{counted} error=other/=250ms in:s1")
    );
    let nothing = "otel_genai none   -> in=- read=- write=- out=- reasoning=- finish=";
    assert_eq!(with(&[]), nothing);
    assert_eq!(with(&[("span.type", "web")]), nothing);
    let other = with(&[("gen_ai.operation.name", "chat")]);
    assert!(other.contains("in=- read=- write=- out=- reasoning=- finish="), "{other}");
}

// Some are known by their scope alone, and some by one key.
#[test]
fn signs_of_dialects() {
    let call = [("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4o")];
    for (scope, dialect) in [
        ("agent_framework", "ms_agent_framework"),
        ("Experimental.Microsoft.Extensions.AI", "ms_agent_framework"),
        ("@flue/opentelemetry", "flue"),
    ] {
        assert!(
            facts(scope, "chat", &call).starts_with(&format!("{dialect} llm chat ")),
            "{}",
            facts(scope, "chat", &call)
        );
    }
    for (key, value, dialect) in [
        ("sk.available_functions", "[]", "semantic_kernel"),
        ("gen_ai.thread.run.id", "run_1", "azure_ai_agents"),
        ("gen_ai.span.kind", "LLM", "otel_genai"),
    ] {
        let line = plain(&[&call[..], &[(key, value)]].concat());
        assert!(line.starts_with(&format!("{dialect} llm chat ")), "{line}");
    }
}

// VoltAgent shares the key of the role with Claude Code, and keeps its own counts and semantics.
#[test]
fn voltagent() {
    let span = [
        ("voltagent.operation_id", "o1"),
        ("span.type", "llm"),
        ("gen_ai.request.model", "gpt-4o"),
        ("usage.prompt_tokens", "114"),
        ("usage.completion_tokens", "26"),
    ];
    assert_eq!(plain(&span), "voltagent llm chat openai gpt-4o-> in=114 read=- write=- out=26 reasoning=- finish=");
    assert!(plain(&[("span.type", "llm"), ("usage.prompt_tokens", "5")]).starts_with("otel_genai none "));
}

// A key for what a span is goes before the operation, which may be any word; one that says nothing leaves it to the operation.
#[test]
fn kinds_of_spans() {
    let span =
        [("gen_ai.system", "openai"), ("gen_ai.usage.input_tokens", "100"), ("gen_ai.usage.output_tokens", "20")];
    let of = |extra: &[(&'static str, &'static str)]| plain(&[&span[..], extra].concat());
    let used = "in=100 read=- write=- out=20 reasoning=- finish=";
    let call =
        of(&[("gen_ai.span.kind", "LLM"), ("gen_ai.operation.name", "my crew"), ("gen_ai.request.model", "gpt-4o")]);
    assert_eq!(call, format!("otel_genai_legacy llm chat openai gpt-4o-> {used}"));
    let dify = of(&[("gen_ai.span.kind", "LLM"), ("gen_ai.model_name", "gpt-4o")]);
    assert_eq!(dify, format!("otel_genai_legacy llm chat openai ->gpt-4o {used} weak-model"));
    let model = ("llm.model_name", "gpt-4o");
    assert!(of(&[("fi.span.kind", "AGENT"), model]).starts_with("otel_genai_legacy agent invoke_agent "));
    assert!(of(&[("gen_ai.span.kind", "STEP"), model]).starts_with("otel_genai_legacy chain "));
    let other = of(&[("gen_ai.span.kind", "anything"), ("gen_ai.operation.name", "chat"), model]);
    assert!(other.contains(" llm chat "), "{other}");
}

// What a run of OpenClaw used in all of its calls is no call, although it says so, and stands for none.
#[test]
fn openclaw() {
    let span = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.system", "anthropic"),
        ("gen_ai.request.model", "claude-sonnet-4-5"),
        ("gen_ai.usage.input_tokens", "200"),
        ("gen_ai.usage.output_tokens", "20"),
        ("gen_ai.usage.cache_read.input_tokens", "64"),
    ];
    let of_call = [
        ("openclaw.model_call.usage.reasoning_output_tokens", "5"),
        ("openclaw.model_call.time_to_first_byte_ms", "250"),
    ];
    let used = "anthropic claude-sonnet-4-5-> in=200 read=64 write=- out=20";
    let call = facts("openclaw", "openclaw.model.call", &[&span[..], &of_call].concat());
    assert_eq!(call, format!("openclaw llm chat {used} reasoning=5 finish= streamed=250ms"));
    assert_eq!(
        facts("openclaw", "chat claude-sonnet-4-5", &span),
        format!("openclaw llm chat {used} reasoning=- finish=")
    );
    let run = Built::new("openclaw", "openclaw.model.usage", &span, &[]).facts;
    assert_eq!((run.role, run.usage_is_running_total), (Role::Chain, true));
}

// One key, two units: milliseconds from Strands, seconds from everybody else.
#[test]
fn unit_of_the_first_token() {
    let span = [("gen_ai.operation.name", "chat"), ("gen_ai.server.time_to_first_token", "250")];
    assert!(facts("strands.telemetry.tracer", "chat", &span).ends_with(" streamed=250ms"));
    // Its TypeScript SDK is known by the provider that it poses as.
    let typescript = [&span[..], &[("gen_ai.provider.name", "strands-agents")]].concat();
    assert!(facts("my-service", "chat", &typescript).ends_with(" streamed=250ms"));
    let span = [("gen_ai.operation.name", "chat"), ("gen_ai.server.time_to_first_token", "0.25")];
    assert!(facts("openlit.instrumentation.openai", "chat x", &span).ends_with(" streamed=250ms"));
    let span = [&span[..], &[("gen_ai.request.stream", "false")]].concat();
    assert!(facts("openlit.instrumentation.openai", "chat x", &span).ends_with(" finish="));
}

// Strands on Bedrock leaves cached tokens out, which only the total shows.
#[test]
fn strands_on_bedrock() {
    let span = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "strands-agents"),
        ("gen_ai.request.model", "us.anthropic.claude-sonnet-4-5-v1:0"),
        ("gen_ai.usage.input_tokens", "10"),
        ("gen_ai.usage.output_tokens", "5"),
        ("gen_ai.usage.total_tokens", "79"),
        ("gen_ai.usage.cache_read_input_tokens", "64"),
        ("gen_ai.usage.cache_write_input_tokens", "0"),
    ];
    assert_eq!(
        facts("strands.telemetry.tracer", "chat", &span),
        "strands llm chat aws.bedrock us.anthropic.claude-sonnet-4-5-v1:0-> in=74 read=64 write=0 out=5 reasoning=- finish="
    );
}

// A span without attributes is a call by its name in the scope of OpenLIT only, and never for another word.
#[test]
fn calls_by_name() {
    let none = "in=- read=- write=- out=- reasoning=- finish=";
    let openlit = "openlit.instrumentation.anthropic";
    assert_eq!(
        facts(openlit, "chat claude-sonnet-4-5", &[]),
        format!("openlit llm chat anthropic claude-sonnet-4-5-> {none}")
    );
    assert!(facts("app", "chat claude-sonnet-4-5", &[]).starts_with("otel_genai none "));
    assert!(facts(openlit, "POST", &[]).starts_with("openlit none "));
    assert!(facts(openlit, "execute_tool x", &[]).starts_with("openlit none "));
}

// Pydantic AI's details are the usage where nothing else is, without the cache if Anthropic answered, and never an addend.
#[test]
fn pydantic_ai_details() {
    let wire = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.request.model", "claude-sonnet-4-5"),
        ("gen_ai.usage.details.input_tokens", "198"),
        ("gen_ai.usage.details.output_tokens", "62"),
        ("gen_ai.usage.details.cache_read_input_tokens", "64"),
        ("gen_ai.usage.details.cache_creation_input_tokens", "32"),
    ];
    let counted =
        "pydantic_ai llm chat anthropic claude-sonnet-4-5-> in=294 read=64 write=32 out=62 reasoning=- finish=";
    assert_eq!(facts("pydantic-ai", "chat", &wire), counted);
    let read = [("gen_ai.usage.input_tokens", "294"), ("gen_ai.usage.output_tokens", "62")];
    assert_eq!(facts("pydantic-ai", "chat", &[&wire[..], &read].concat()), counted);
}

// Google ADK 1.x leaves thoughts out of the output, 2.x includes them.
#[test]
fn thoughts_of_google_adk() {
    let span = |reasoning| {
        facts(
            "gcp.vertex.agent",
            "call_llm",
            &[
                ("gen_ai.system", "gcp.vertex.agent"),
                ("gen_ai.request.model", "gemini-2.5-pro"),
                ("gen_ai.usage.input_tokens", "114"),
                ("gen_ai.usage.output_tokens", "26"),
                (reasoning, "11"),
            ],
        )
    };
    let told = "google_adk llm chat gcp.gen_ai gemini-2.5-pro-> in=114 read=- write=-";
    assert_eq!(span("gen_ai.usage.experimental.reasoning_tokens"), format!("{told} out=37 reasoning=11 finish="));
    assert_eq!(span("gen_ai.usage.reasoning.output_tokens"), format!("{told} out=26 reasoning=11 finish="));
}

// Logfire before its own counts: they stand in the captured response, the model in the request; on other spans these are no GenAI.
#[test]
fn logfire() {
    let span = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.system", "openai"),
        ("request_data", r#"{"messages": [], "model": "gpt-4o", "stream": true}"#),
        (
            "response_data",
            r#"{"message": {"content": "x"}, "usage": {"prompt_tokens": 114, "completion_tokens": 26,
            "prompt_tokens_details": {"cached_tokens": 64}}}"#,
        ),
    ];
    assert_eq!(
        facts("logfire.openai", "Chat Completion", &span),
        "logfire llm chat openai gpt-4o-> in=114 read=64 write=- out=26 reasoning=- finish="
    );
    assert!(plain(span.get(2..).unwrap()).starts_with("otel_genai none "));
}

// Everything that Spring AI writes is a text, and `none` is no model.
#[test]
fn spring_ai() {
    let span = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.system", "openai"),
        ("gen_ai.request.model", "gpt-4o"),
        ("gen_ai.response.model", "none"),
        ("gen_ai.usage.input_tokens", "'114'"),
        ("gen_ai.usage.output_tokens", "'26'"),
        ("gen_ai.usage.total_tokens", "'null'"),
        ("gen_ai.response.finish_reasons", r#"["STOP"]"#),
        ("spring.ai.chat.client.conversation.id", "c1"),
    ];
    assert_eq!(
        plain(&span),
        "spring_ai llm chat openai gpt-4o-> in=114 read=- write=- out=26 reasoning=- finish=stop in:c1"
    );
}

// Genkit's name is a model or a tool, by its role; its flows are no calls, whatever their output repeats.
#[test]
fn genkit() {
    let output =
        r#"{"usage": {"inputTokens": 114, "outputTokens": 26, "thoughtsTokens": 11, "cachedContentTokens": 64}}"#;
    let span = |subtype| {
        plain(&[
            ("genkit:type", "action"),
            ("genkit:metadata:subtype", subtype),
            ("genkit:name", "g/m"),
            ("genkit:output", output),
        ])
    };
    assert_eq!(span("model"), "genkit llm chat  g/m-> in=114 read=64 write=- out=26 reasoning=11 finish=");
    assert!(span("tool").starts_with("genkit tool execute_tool ") && span("tool").ends_with(" tool:g/m"));
    assert!(span("flow").starts_with("genkit chain "));
    assert!(plain(&[("genkit:type", "util")]).starts_with("genkit chain "));
}

// Braintrust's counts and model are found in its JSON.
#[test]
fn braintrust() {
    let span = [
        (
            "braintrust.metrics",
            r#"{"prompt_tokens": 114, "completion_tokens": 26, "tokens": 140, "prompt_cached_tokens": 64}"#,
        ),
        ("braintrust.metadata", r#"{"provider": "openai", "model": "gpt-4o"}"#),
    ];
    assert_eq!(plain(&span), "braintrust llm chat openai gpt-4o-> in=114 read=64 write=- out=26 reasoning=- finish=");
}

// What is no request of the client is no call: model servers, cached answers, attempts, steps, product analytics.
#[test]
fn no_calls() {
    let usage =
        [("gen_ai.request.model", "m"), ("gen_ai.usage.prompt_tokens", "7"), ("gen_ai.usage.completion_tokens", "3")];
    let role = |scope, extra: &[(&'static str, &'static str)]| {
        facts(scope, "llm_request", &[&usage, extra].concat()).split(' ').take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(role("app", &[("gen_ai.latency.e2e", "0.5")]), "vllm server");
    assert_eq!(role("vllm.llm_engine", &[]), "vllm server");
    assert_eq!(
        role("com.anthropic.claude-platform", &[("gen_ai.operation.name", "chat")]),
        "anthropic_platform server"
    );
    assert_eq!(role("lmnr.tracer", &[("lmnr.span.type", "CACHED")]), "laminar chain");
    assert_eq!(role("lmnr.tracer", &[("lmnr.span.type", "LLM")]), "laminar llm");
    assert_eq!(
        role("mastra", &[("mastra.span.type", "model_step"), ("gen_ai.operation.name", "model_step")]),
        "mastra chain"
    );
    assert_eq!(
        role("langsmith", &[("langsmith.span.kind", "prompt"), ("gen_ai.operation.name", "chat")]),
        "langsmith chain"
    );
    assert_eq!(role("gemini-cli", &[("gen_ai.operation.name", "user_prompt")]), "gemini_cli chain");
    assert_eq!(role("agentops", &[("agentops.span.kind", "workflow")]), "agentops chain");
    assert!(facts("crewai.telemetry", "Crew Created", &[("crew_id", "x")]).starts_with("crewai_native none "));
}

// Failures that only a dialect's own word tells.
#[test]
fn failures() {
    let failed = |extra| plain(&[("gen_ai.operation.name", "chat"), extra]).contains(" error=");
    assert!(failed(("gen_ai.thread.run.status", "failed")));
    assert!(!failed(("gen_ai.thread.run.status", "completed")));
    assert!(failed(("gen_ai.tool.status", "error")));
    assert!(failed(("lk.function_tool.is_error", "true")));
    assert!(!failed(("lk.function_tool.is_error", "false")));
}

// The total tells whether cached tokens were left out of input; without one, only one of OpenInference's instrumentations does that.
#[test]
fn openinference_of_bedrock() {
    let input = |scope, total| {
        let span = [
            ("openinference.span.kind", "LLM"),
            ("llm.token_count.prompt", "100"),
            ("llm.token_count.completion", "26"),
            ("llm.token_count.total", total),
            ("llm.token_count.prompt_details.cache_read", "64"),
        ];
        facts(scope, "span", &span).split(' ').find_map(|part| part.strip_prefix("in=").map(str::to_owned)).unwrap()
    };
    assert_eq!(input("openinference.instrumentation.bedrock", "190"), "164");
    assert_eq!(input("openinference.instrumentation.bedrock", "126"), "100");
    assert_eq!(input("openinference.instrumentation.bedrock", ""), "100");
    assert_eq!(input("openinference.instrumentation.claude_agent_sdk", "126"), "164");
    assert_eq!(input("openinference.instrumentation.openai", "190"), "164");
    assert_eq!(input("openinference.instrumentation.openai", "126"), "100");
}

// W&B Weave and LiveKit tell the usual facts under other names.
#[test]
fn other_names() {
    let weave = [
        ("weave.operation.name", "chat"),
        ("weave.provider.name", "openai"),
        ("weave.request.model", "gpt-4o"),
        ("weave.usage.input_tokens", "114"),
        ("weave.usage.cache_read.input_tokens", "64"),
        ("weave.usage.output_tokens", "26"),
        ("weave.conversation.id", "c1"),
    ];
    assert_eq!(plain(&weave), "weave llm chat openai gpt-4o-> in=114 read=64 write=- out=26 reasoning=- finish= in:c1");
    let livekit = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt-4o"),
        ("gen_ai.usage.input_tokens", "114"),
        ("gen_ai.usage.output_tokens", "26"),
        ("lk.response.ttft", "0.25"),
        ("lk.agent_name", "a1"),
    ];
    assert_eq!(
        facts("livekit-agents", "llm_request", &livekit),
        "livekit llm chat openai gpt-4o-> in=114 read=- write=- out=26 reasoning=- finish= streamed=250ms agent:a1"
    );
}

// Pydantic AI's agents did not name their operation at first, and repeat the usage of their calls.
#[test]
fn agents_of_pydantic_ai() {
    let usage = [("model_name", "gpt-4o"), ("gen_ai.usage.input_tokens", "10"), ("gen_ai.usage.output_tokens", "5")];
    let span = [&usage[..], &[("agent_name", "a1")]].concat();
    let told = "in=10 read=- write=- out=5 reasoning=- finish= agent:a1";
    assert_eq!(
        facts("pydantic-ai", "agent run", &span),
        format!("pydantic_ai agent invoke_agent openai gpt-4o-> {told}")
    );
    assert!(facts("pydantic-ai", "x", &usage).starts_with("pydantic_ai llm chat "));
    let own_span = [&usage[1..], &[("gen_ai.request.model", "gpt-4o"), ("agent.name", "a1")]].concat();
    assert!(plain(&own_span).starts_with("otel_genai llm chat "), "an application's own span");
}

// Spring AI calls everything but calls a framework's operation: its own kind says which of them are tools.
#[test]
fn tools_of_spring_ai() {
    let span = |kind| {
        plain(&[
            ("gen_ai.operation.name", "framework"),
            ("gen_ai.system", "spring_ai"),
            ("spring.ai.kind", kind),
            ("spring.ai.tool.definition.name", "t1"),
        ])
    };
    assert!(span("tool_call").starts_with("spring_ai tool execute_tool ") && span("tool_call").ends_with(" tool:t1"));
    assert!(span("chat_client").starts_with("spring_ai chain "));
}

// Braintrust says of every span what it is, and writes metrics on all of them: times are no usage.
#[test]
fn types_of_braintrust() {
    let span = |metrics, kind| {
        plain(&[
            ("braintrust.metrics", metrics),
            ("braintrust.metadata", r#"{"model": "gpt-4o"}"#),
            ("braintrust.span_attributes", kind),
        ])
    };
    let used = r#"{"prompt_tokens": 114, "completion_tokens": 26}"#;
    assert!(span(used, r#"{"name": "x", "type": "llm"}"#).starts_with("braintrust llm chat openai gpt-4o-> in=114 "));
    assert!(span(used, r#"{"type": "task"}"#).starts_with("braintrust chain "));
    assert!(span(used, r#"{"type": "tool"}"#).starts_with("braintrust tool "));
    let timed =
        [("braintrust.metrics", r#"{"start": 1.5, "end": 2}"#), ("braintrust.metadata", r#"{"model": "gpt-4o"}"#)];
    assert!(plain(&timed).starts_with("braintrust unrecognised "));
    assert!(plain(&[("braintrust.span_attributes.type", "llm")]).starts_with("braintrust llm "));
}

// TanStack AI calls its loop over calls a chat, too, but counts the rounds there.
#[test]
fn tanstack() {
    let call = [("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4o")];
    assert!(plain(&call).starts_with("otel_genai llm chat "));
    assert!(
        plain(&[&call[..], &[("tanstack.ai.iterations", "2")]].concat()).starts_with("tanstack agent invoke_agent ")
    );
}

// OpenRouter and Sentry write parts of usage behind a further dot.
#[test]
fn openrouter() {
    let span = [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "OpenAI"),
        ("gen_ai.request.model", "openai/gpt-4o"),
        ("gen_ai.usage.input_tokens", "150"),
        ("gen_ai.usage.input_tokens.cached", "10"),
        ("gen_ai.usage.input_tokens.cache_write", "4"),
        ("gen_ai.usage.output_tokens", "50"),
        ("gen_ai.usage.output_tokens.reasoning", "5"),
        ("gen_ai.usage.total_cost", "0.0035"),
        ("gen_ai.response.finish_reason", "stop"),
        ("span.type", "llm"),
    ];
    assert_eq!(
        plain(&span),
        "openrouter llm chat openai openai/gpt-4o-> in=150 read=10 write=4 out=50 reasoning=5 finish=stop cost=0.0035"
    );
}

// Codex names neither operation nor model where it tells what an answer used; spans without that total are no calls.
#[test]
fn codex() {
    let used = [
        ("gen_ai.usage.input_tokens", "300"),
        ("gen_ai.usage.cache_read.input_tokens", "64"),
        ("gen_ai.usage.output_tokens", "40"),
        ("codex.usage.reasoning_output_tokens", "11"),
    ];
    let ended = plain(&[&used[..], &[("codex.usage.total_tokens", "340")]].concat());
    assert_eq!(ended, "codex llm chat  -> in=300 read=64 write=- out=40 reasoning=11 finish=");
    assert!(!plain(&[("codex.turn.token_usage.input_tokens", "300")]).contains("llm"));
}
