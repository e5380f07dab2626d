//! Facts that few spans of the corpus, or none, tell: spans made after the sources of their dialects.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::build::{Attributes, Built};
use spanmill_genai::{ErrorClass, Inconsistency, Money, ReportPart, Role, Usage};

const CALL: [(&str, &str); 3] =
    [("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "openai"), ("gen_ai.request.model", "gpt-4o")];

fn span(scope: &str, attributes: &[(&'static str, &'static str)]) -> Built {
    Built::new(scope, "span", attributes, &[])
}

/// A call of no particular dialect, with more attributes.
fn call(more: &[(&'static str, &'static str)]) -> Built {
    span("app", &[&CALL[..], more].concat())
}

impl Built {
    fn model(&self) -> &str {
        std::str::from_utf8(self.facts.model(&self.body)).unwrap()
    }
}

// The two spans of a stream under Logfire carry one hash of their request, other requests another one, and the second one
// says how long the stream took.
#[test]
fn logfire_splits_streams() {
    let request = |content: &'static str, more: &[(&'static str, &'static str)]| {
        let asked = [
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.system", "openai"),
            ("request_data", r#"{"model":"gpt-4o"}"#),
            ("gen_ai.request.model", "gpt-4o"),
            ("gen_ai.response.model", "gpt-4o"),
            ("gen_ai.input.messages", content),
        ];
        span("logfire.openai", &[&asked[..], more].concat())
    };
    let first = request("[1]", &[("logfire.span_type", "span")]);
    let second =
        request("[1]", &[("logfire.span_type", "log"), ("duration", "1.5"), ("gen_ai.usage.input_tokens", "5")]);
    let (begin, end) = (first.facts.split.unwrap(), second.facts.split.unwrap());
    assert_eq!((begin.part, begin.stream_duration), (ReportPart::Request, None));
    assert_eq!((end.part, end.stream_duration), (ReportPart::StreamEnd, Some(1_500_000_000)));
    assert_eq!(begin.request, end.request);
    assert_ne!(begin.request, request("[2]", &[("logfire.span_type", "span")]).facts.split.unwrap().request);
    // Stable: it may be written down.
    assert_eq!(begin.request, 17_386_167_514_922_537_911);
    assert!(first.facts.response_model_is_weak && second.facts.role == Role::Llm);
    // The same keys on the span of an agent framework that Logfire hands on split nothing.
    assert_eq!(span("pydantic-ai", &[CALL[0], CALL[2], ("request_data", "{}")]).facts.split, None);
}

// A response model is weak if it may be the request's; what an answer says is not.
#[test]
fn weak_models() {
    let weak = |built: Built| (built.facts.response_model_is_weak, built.model().to_owned());
    assert_eq!(weak(call(&[("gen_ai.response.model", "gpt-4o")])), (false, "gpt-4o".into()));
    let same = [("gen_ai.response.model", "gpt-4o"), ("logfire.span_type", "span")];
    assert_eq!(weak(call(&same)), (true, "gpt-4o".into()));
    let other = [("gen_ai.response.model", "gpt-4o-2024-08-06"), ("logfire.span_type", "span")];
    assert_eq!(weak(call(&other)), (false, "gpt-4o-2024-08-06".into()));
    let either = [("openinference.span.kind", "LLM"), ("llm.model_name", "gpt-4o"), ("llm.token_count.prompt", "5")];
    assert_eq!(weak(span("x", &either)), (true, "gpt-4o".into()));
    let answered = ("output.value", r#"{"id": "chatcmpl-17", "model": "gpt-4o-2024-08-06"}"#);
    let built = span("x", &[&either[..], &[answered]].concat());
    assert_eq!(built.facts.response_id.str(&built.body), "chatcmpl-17");
    // Though nothing else is open.
    let all = [
        ("gen_ai.response.id", "chatcmpl-17"),
        ("gen_ai.usage.output_tokens", "1"),
        ("gen_ai.usage.cache_read.input_tokens", "0"),
        ("gen_ai.usage.cache_write.input_tokens", "0"),
        ("gen_ai.usage.reasoning.output_tokens", "0"),
    ];
    assert_eq!(weak(span("x", &[&either[..], &all, &[answered]].concat())), (false, "gpt-4o-2024-08-06".into()));
    assert_eq!(built.facts.request_model.str(&built.body), "gpt-4o");
    assert_eq!(weak(built), (false, "gpt-4o-2024-08-06".into()));
}

// What went over the wire below a LiteLLM call is no call and tells what the provider said, whatever the provider is called.
#[test]
fn raw_responses_of_litellm() {
    let raw = |scope, provider: &str| {
        let key = |what: &str| format!("llm.{provider}.{what}");
        let usage = r#"{"input_tokens": 198, "cache_read_input_tokens": 64, "cache_creation_input_tokens": 32, "output_tokens": 62}"#;
        let (usage_key, model_key, id_key) = (key("usage"), key("model"), key("id"));
        let attributes = [(usage_key.as_str(), usage), (&model_key, "claude-sonnet-4-5"), (&id_key, "msg_0001")];
        Built::new(scope, "raw_gen_ai_request", &attributes, &[])
    };
    for provider in ["anthropic", "some_provider"] {
        let built = raw("litellm", provider);
        assert_eq!(built.facts.role, Role::RawResponse);
        assert_eq!((built.facts.usage().input, built.facts.usage().cache_read), (Some(294), Some(64)));
        assert_eq!(
            (built.model(), built.facts.response_id.str(&built.body).as_ref()),
            ("claude-sonnet-4-5", "msg_0001")
        );
    }
    assert_eq!(raw("litellm", "a.b").facts.usage(), Usage::default());
    assert_eq!(raw("app", "anthropic").facts.role, Role::None);
    // Without anything on it, too.
    assert_eq!(Built::new("litellm", "raw_gen_ai_request", &[], &[]).facts.role, Role::RawResponse);
    // LiteLLM's own id of a call is no answer's.
    let own = [("litellm.call_id", "c869d39a"), ("gen_ai.response.id", "c869d39a")];
    assert!(call(&own).facts.response_id.is_empty());
}

// Ids of LangChain runs are no ids of answers.
#[test]
fn ids_of_runs() {
    for (id, is_kept) in [
        ("run-17", false),
        ("lc_run--17", false),
        ("lc_run-17", false),
        ("resp_17", true),
        ("running", true),
        ("__fake_id__", false),
    ] {
        assert_eq!(call(&[("gen_ai.response.id", id)]).facts.response_id.is_empty(), !is_kept, "{id}");
    }
}

// Every dialect's key of a cost gives the exact amount; parts give a total only where they are all there is.
#[test]
fn supplied_costs() {
    let cost = |key, written| call(&[(key, written)]).facts.supplied_cost().map(Money::pico);
    for key in [
        "gen_ai.usage.cost",
        "gen_ai.usage.total_cost",
        "gen_ai.token.cost.total",
        "llm.cost.total",
        "operation.cost",
        "gen_ai.cost.total_cost",
    ] {
        for written in ["0.0002607", "'0.0002607'"] {
            assert_eq!(cost(key, written), Some(260_700_000), "{key}");
        }
        for none in ["-0.1", "NaN", "'nan'", "0.0"] {
            assert_eq!(cost(key, none), None, "{key} {none}");
        }
    }
    assert_eq!(
        cost("langfuse.observation.cost_details", r#"{"input": 0.5, "output": 1, "total": 1.25}"#),
        Some(1_250_000_000_000)
    );
    assert_eq!(cost("mlflow.llm.cost", r#"{"input_cost": 0.5, "output_cost": 1}"#), Some(1_500_000_000_000));
    assert_eq!(cost("hidden_params", r#"{"api_base": "x", "response_cost": 8.115e-05}"#), Some(81_150_000));
    for (input, output) in
        [("llm.cost.prompt", "llm.cost.completion"), ("gen_ai.usage.input_cost", "gen_ai.usage.output_cost")]
    {
        assert_eq!(
            call(&[(input, "0.1"), (output, "0.2")]).facts.supplied_cost().map(Money::pico),
            Some(300_000_000_000)
        );
        assert_eq!(cost(input, "0.1"), None);
    }
    assert_eq!(call(&[("gen_ai.usage.cost", "5")]).facts.usage(), Usage::default(), "costs are no tokens");
}

// The service tier is known by one name, whoever wrote it; the answer's goes before the one that was asked for.
#[test]
fn service_tiers() {
    let tier = |more: &[(&'static str, &'static str)]| {
        let built = call(more);
        built.facts.service_tier.str(&built.body).into_owned()
    };
    assert_eq!(tier(&[("openai.request.service_tier", "auto"), ("openai.response.service_tier", "flex")]), "flex");
    assert_eq!(tier(&[("gen_ai.request.service_tier", "auto")]), "");
    assert_eq!(tier(&[("gen_ai.openai.response.service_tier", "priority")]), "priority");
    assert_eq!(tier(&[("anthropic.response.service_tier", "standard")]), "default");
    assert_eq!(tier(&[("anthropic.response.service_tier", "batch")]), "batch");
    assert_eq!(tier(&[("gen_ai.response.service_tier", "x17")]), "x17");
}

// A usage that can't be is named, and what is left of it stays within its wholes.
#[test]
fn inconsistent_usage() {
    let flaw = |more: &[(&'static str, &'static str)]| {
        let usual = [("gen_ai.usage.input_tokens", "100"), ("gen_ai.usage.output_tokens", "20")];
        let facts = call(&[&usual[..], more].concat()).facts;
        (facts.inconsistency, facts.usage().cache_read, facts.usage().reasoning)
    };
    assert_eq!(flaw(&[]), (None, None, None));
    for bad in ["-1", "NaN", "1e30", "2000000000"] {
        assert_eq!(
            flaw(&[("gen_ai.usage.cache_read.input_tokens", bad)]).0,
            Some(Inconsistency::InvalidCount),
            "{bad}"
        );
    }
    let excess = Some(Inconsistency::CacheExceedsInput);
    assert_eq!(flaw(&[("gen_ai.usage.cache_read.input_tokens", "101")]), (excess, Some(100), None));
    let excess = Some(Inconsistency::ReasoningExceedsOutput);
    assert_eq!(flaw(&[("gen_ai.usage.reasoning.output_tokens", "21")]), (excess, None, Some(20)));
    assert_eq!(flaw(&[("gen_ai.usage.total_tokens", "120")]).0, None);
    assert_eq!(flaw(&[("gen_ai.usage.total_tokens", "121")]).0, Some(Inconsistency::TotalMismatch));
    // Not every provider includes what is cached.
    let claude = [
        ("gen_ai.request.model", "claude-x"),
        ("gen_ai.usage.input_tokens", "10"),
        ("gen_ai.usage.cache_read.input_tokens", "64"),
    ];
    let facts = span("app", &[&CALL[..1], &claude].concat()).facts;
    assert_eq!((facts.usage().input, facts.inconsistency), (Some(74), None));
}

// Usage comes as an object of structured values, too.
#[test]
fn structured_usage() {
    let usage = r#"kv:{"input_tokens": 114, "output_tokens": 26.0, "total_tokens": 140, "cache_read_input_tokens": 64,
        "output_tokens_details": {"reasoning_tokens": 11}}"#;
    let facts = span("mlflow.x", &[("mlflow.spanType", "LLM"), ("mlflow.chat.tokenUsage", usage)]).facts;
    let Usage { input, cache_read, output, reasoning, .. } = facts.usage();
    assert_eq!([input, cache_read, output, reasoning], [Some(114), Some(64), Some(26), Some(11)]);
}

// Writes to a cache that are kept for an hour are told apart, and stand for the whole where it is not told.
#[test]
fn cache_writes_by_age() {
    let by_age = [
        ("gen_ai.usage.input_tokens", "100"),
        ("anthropic.usage.cache_creation.ephemeral_5m_input_tokens", "20"),
        ("anthropic.usage.cache_creation.ephemeral_1h_input_tokens", "12"),
    ];
    let usage = call(&by_age).facts.usage();
    assert_eq!((usage.cache_write, usage.cache_write_1h), (Some(32), Some(12)));
    let usage = call(&[&by_age[..], &[("gen_ai.usage.cache_write.input_tokens", "33")]].concat()).facts.usage();
    assert_eq!((usage.cache_write, usage.cache_write_1h), (Some(33), Some(12)));
}

// What events tell counts where no attribute does: finish reasons, details of the operation, exceptions.
#[test]
fn events() {
    let with = |more: &[(&'static str, &'static str)], events: &[(&str, Attributes<'_>)]| {
        Built::new("app", "span", &[&CALL[..], more].concat(), events)
    };
    let finish = |built: Built| built.facts.finish_reason.str(&built.body).into_owned();
    let choice: (&str, Attributes<'_>) = ("gen_ai.choice", &[("finish_reason", "tool_use"), ("message", "x")]);
    let details: (&str, Attributes<'_>) = (
        "gen_ai.client.inference.operation.details",
        &[("gen_ai.response.finish_reasons", r#"["length"]"#), ("gen_ai.usage.input_tokens", "9")],
    );
    assert_eq!(finish(with(&[], &[choice])), "tool_calls");
    assert_eq!(with(&[], &[details]).facts.usage().input, Some(9));
    assert_eq!(finish(with(&[], &[details])), "length");
    assert_eq!(finish(with(&[("gen_ai.response.finish_reasons", r#"["stop"]"#)], &[details, choice])), "stop");
    for (name, message, fails) in [
        ("exception", "boom", true),
        ("gen_ai.client.operation.exception", "boom", true),
        ("exception", "GeneratorExit()", false),
        ("exception", "asyncio.CancelledError", false),
        ("gen_ai.choice", "boom", false),
    ] {
        let exception: (&str, Attributes<'_>) =
            (name, &[("exception.type", "Exception"), ("exception.message", message)]);
        assert_eq!(with(&[], &[exception]).facts.error.is_some(), fails, "{name} {message}");
        let used = [("gen_ai.usage.output_tokens", "5")];
        assert!(with(&used, &[exception]).facts.error.is_none(), "what has usage went well");
    }
}

// A failure is classed by its HTTP status, whatever key and type it comes in.
#[test]
fn http_statuses() {
    let class = |more: &[(&'static str, &'static str)]| call(more).facts.error.map(|error| error.class);
    for key in ["http.response.status_code", "http.status_code", "error.code", "gen_ai.response.status", "error.type"] {
        for written in ["429", "'429'"] {
            assert_eq!(class(&[(key, written)]), Some(ErrorClass::RateLimited), "{key} {written}");
        }
    }
    assert_eq!(class(&[("error.code", "'503'"), ("error.type", "_OTHER")]), Some(ErrorClass::Overloaded));
    assert_eq!(class(&[("http.response.status_code", "200")]), None);
    assert_eq!(class(&[("error.type", "none")]), None);
    assert_eq!(class(&[("error.type", "x"), ("error.category", "timeout")]), Some(ErrorClass::Timeout));
}

// A framework that poses as provider is none: another key, the server or the model tells who it is.
#[test]
fn frameworks_are_no_providers() {
    let provider = |more: &[(&'static str, &'static str)]| {
        let built = span("app", &[&[("gen_ai.operation.name", "chat")], more].concat());
        built.facts.provider.str(&built.body).into_owned()
    };
    assert_eq!(provider(&[("gen_ai.provider.name", "langchain"), ("gen_ai.system", "openai")]), "openai");
    assert_eq!(
        provider(&[
            ("gen_ai.provider.name", "crewai"),
            ("server.address", "api.groq.com"),
            ("gen_ai.request.model", "gpt-oss")
        ]),
        "groq"
    );
    assert_eq!(
        provider(&[("gen_ai.system", "strands-agents"), ("gen_ai.request.model", "us.anthropic.claude-x")]),
        "aws.bedrock"
    );
    assert_eq!(provider(&[("gen_ai.request.model", "openrouter/anthropic/claude-x")]), "openrouter");
    assert_eq!(provider(&[("gen_ai.request.model", "mistralai/codestral")]), "mistral_ai");
    assert_eq!(provider(&[("gen_ai.system", "OpenAI")]), "openai");
    assert_eq!(provider(&[("gen_ai.system", "Acme")]), "Acme");
}

// Agents that count on from one run to the next say so; calls of the same dialect do not.
#[test]
fn running_totals() {
    let is_running = |scope, operation| {
        span(scope, &[("gen_ai.operation.name", operation), ("gen_ai.usage.input_tokens", "5")])
            .facts
            .usage_is_running_total
    };
    assert!(is_running("strands.telemetry.tracer", "invoke_agent"));
    assert!(!is_running("strands.telemetry.tracer", "chat"));
    assert!(!is_running("app", "invoke_agent"));
    let agent = [("openinference.span.kind", "AGENT"), ("llm.token_count.prompt", "5")];
    assert!(span("openinference.instrumentation.smolagents", &agent).facts.usage_is_running_total);
    assert!(!span("openinference.instrumentation.agno", &agent).facts.usage_is_running_total);
}

// Prompts are named in JSON by some.
#[test]
fn prompts() {
    for (key, json) in [
        ("mlflow.linkedPrompts", r#"[{"name": "greet", "version": "3"}]"#),
        ("ai.telemetry.metadata.langfusePrompt", r#"{"name":"greet","version":3}"#),
    ] {
        let built = call(&[(key, json)]);
        let names =
            [built.facts.prompt_name, built.facts.prompt_version].map(|text| text.str(&built.body).into_owned());
        assert_eq!(names, ["greet", "3"], "{key}");
    }
}

// Whether a stream was asked for stands in the request, in the kind of call, or in a flag.
#[test]
fn streaming() {
    let streaming = |more: &[(&'static str, &'static str)]| call(more).facts.streaming;
    assert_eq!(streaming(&[("llm.invocation_parameters", r#"{"model": "m", "stream": true}"#)]), Some(true));
    assert_eq!(streaming(&[("llm.invocation_parameters", r#"{"model": "m", "stream": null}"#)]), None);
    assert_eq!(streaming(&[("ai.operationId", "ai.streamText.doStream")]), Some(true));
    assert_eq!(streaming(&[("ai.operationId", "ai.generateText.doGenerate")]), None);
    assert_eq!(streaming(&[("llm.is_streaming", "False")]), Some(false));
    let first = call(&[("braintrust.metrics", r#"{"prompt_tokens": 5, "time_to_first_token": 0.25}"#)]);
    assert_eq!(first.facts.time_to_first_chunk(), Some(250_000_000));
}

// Tools and agents that only OpenLLMetry's decorators name.
#[test]
fn decorated_entities() {
    let names = |kind| {
        let built = span("traceloop.tracer", &[("traceloop.span.kind", kind), ("traceloop.entity.name", "x")]);
        [built.facts.tool_name, built.facts.agent_name].map(|text| text.str(&built.body).into_owned())
    };
    assert_eq!(names("tool"), ["x", ""]);
    assert_eq!(names("agent"), ["", "x"]);
    assert_eq!(names("workflow"), ["", ""]);
}

// A scope is known by its whole name, not by how it begins.
#[test]
fn scopes_are_whole_names() {
    let dialect = |scope| span(scope, &CALL).facts.dialect.dialect().name;
    assert_eq!(dialect("ai"), "vercel_ai_sdk");
    assert_eq!(dialect("airflow"), "otel_genai");
    assert_eq!(dialect("gen_ai"), "vercel_ai_sdk_7");
    assert_eq!(dialect("opentelemetry.instrumentation.openai.v1"), "openllmetry");
    assert_eq!(dialect("opentelemetry.instrumentation.openai_v2"), "otel_genai");
}
