//! Ids that real clients send.

use super::*;

// Every spelling of a model that providers, gateways and libraries use leads to its price.
#[test]
fn spellings_of_real_models() {
    let prices = builtin();
    for (provider, model, expected) in [
        ("openai", "gpt-4o", "openai gpt-4o"),
        ("openai", "GPT-4o-2024-08-06", "openai gpt-4o"),
        ("openai", "gpt-4o-20240806", "openai gpt-4o"),
        ("openai", "openai/gpt-4o-mini", "openai gpt-4o-mini"),
        ("openai", "o3-mini-2025-01-31", "openai o3-mini"),
        ("openai", "ft:gpt-4o-2024-08-06:org::id", "openai ft:gpt-4o"),
        ("openai", "ft:gpt-4o:org::id", "openai ft:gpt-4o"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:org::id", "openai ft:gpt-4o-mini"),
        ("openai", "text-embedding-3-small", "openai text-embedding-3-small"),
        ("azure.ai.openai", "gpt-4o", "openai gpt-4o"),
        ("azure.ai.openai", "gpt-4.1-2025-04-14", "openai gpt-4.1"),
        ("azure.ai.inference", "phi-4", "azure phi-4"),
        ("", "azure/gpt-4o", "openai gpt-4o"),
        ("az.ai.openai", "o3", "azure o3-2025-04-16"),
        ("langchain", "gpt-4o", "openai gpt-4o"),
        ("anthropic", "claude-sonnet-4-5", "anthropic claude-sonnet-4-5"),
        ("anthropic", "claude-haiku-4-5-20251001", "anthropic claude-haiku-4-5"),
        ("anthropic", "claude-3-7-sonnet-latest", "anthropic claude-3-7-sonnet-latest"),
        (
            "aws.bedrock",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "aws regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            "aws.bedrock",
            "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "aws global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            "",
            "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "aws regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        ("aws.bedrock", "anthropic.claude-v2:1", "anthropic claude-2"),
        (
            "aws.bedrock",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0",
            "aws amazon.nova-lite-v1:0",
        ),
        ("gcp.gemini", "models/gemini-2.5-flash", "google gemini-2.5-flash"),
        ("gcp.gen_ai", "gemini-2.5-flash-001", "google gemini-2.5-flash"),
        ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-pro", "google gemini-2.5-pro"),
        ("gcp.vertex_ai", "claude-3-5-sonnet@20240620", "google claude-3-5-sonnet"),
        ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", "google claude-4-sonnet"),
        ("", "vertex_ai/gemini-2.5-pro-001", "google gemini-2.5-pro"),
        ("openrouter", "anthropic/claude-3.5-haiku", "openrouter anthropic/claude-3.5-haiku"),
        ("", "openrouter/anthropic/claude-3.5-haiku", "openrouter anthropic/claude-3.5-haiku"),
        ("openrouter", "anthropic/claude-3.7-sonnet:thinking", "openrouter anthropic/claude-3.7-sonnet"),
        ("groq", "deepseek-r1-distill-llama-70b", "groq deepseek-r1-distill-llama-70b"),
        ("litellm", "anthropic/claude-sonnet-4-5", "anthropic claude-sonnet-4-5"),
        ("litellm", "gpt-4o-mini", "openai gpt-4o-mini"),
        ("openai", "deepseek-chat", "deepseek deepseek-chat"),
        ("openai", "openai/anthropic/claude-sonnet-4-5", "anthropic claude-sonnet-4-5"),
        ("portkey", "claude-sonnet-4-5", "anthropic claude-sonnet-4-5"),
        ("azure", "claude-sonnet-4-5", "anthropic claude-sonnet-4-5"),
        ("", "us.deepseek.r1-v1:0", "aws deepseek.r1-v1:0"),
        ("x_ai", "grok-4.3-20260101", "x-ai grok-4.3"),
        ("mistral_ai", "mistral-large-latest", "mistral mistral-large"),
        ("https://api.openai.com/v1", "gpt-4o", "openai gpt-4o"),
        ("", "claude-opus-4-1-20250805", "anthropic claude-opus-4-1"),
    ] {
        assert_eq!(rule(&prices, provider, model, "").as_deref(), Some(expected), "{provider} {model}");
        // The response model stands for itself too.
        assert_eq!(rule(&prices, provider, "", model).as_deref(), Some(expected), "{provider} {model}");
    }
}

// What nobody has a price for has none; software at home least of all, and no reseller takes what the vendor does. What is another
// product than the name in its id does not cost what that one does.
#[test]
fn unknown_models_have_no_price() {
    let prices = builtin();
    for (provider, model) in [
        ("openai", "my-own-model"),
        ("", ""),
        ("openai", "gpt-99-turbo"),
        ("ollama", "deepseek-r1"),
        ("", "ollama/mistral"),
        ("vllm", "gpt-4o"),
        ("", "unknown"),
        ("aws.bedrock", "cohere.command-r-plus-v1:0"),
        ("", "cohere.command-r-plus-v1:0"),
        ("azure.ai.inference", "deepseek-r1"),
        ("azure.ai.inference", "DeepSeek-V3-0324"),
        ("azure.ai.openai", "grok-3"),
        ("", "azure_ai/deepseek-r1"),
        ("groq", "deepseek-chat"),
        ("", "groq/deepseek-chat"),
        ("siliconflow", "deepseek-reasoner"),
        ("sambanova", "DeepSeek-R1"),
        ("deepinfra", "deepseek-r1"),
        ("fireworks", "deepseek-r1"),
        ("TogetherAI", "deepseek-r1"),
        ("snowflake", "claude-3-5-sonnet"),
        ("databricks", "claude-sonnet-4"),
        ("github", "mistral-large"),
        ("ibm.watsonx.ai", "mistralai/mistral-large"),
        ("some-reseller", "anthropic/claude-sonnet-4-5"),
        ("openai", "ft:gpt-4.1-2025-04-14:org::id"),
        ("openai", "ft:gpt-4.1-mini-2025-04-14:org::id"),
        ("openai", "ft:gpt-4.1-nano-2025-04-14:org::id"),
        ("openai", "ft:o4-mini-2025-04-16:org::7"),
        ("azure.ai.openai", "ft:o4-mini-2025-04-16:org::7"),
        ("openai", "ft:davinci-002:org::id"),
        ("", "deepseek/deepseek-r1:free"),
        ("openai", "deepseek/deepseek-r1:free"),
        ("", "openrouter/deepseek/deepseek-chat-v3-0324:free"),
        ("openai", "google/gemini-2.0-flash-exp:free"),
        ("openrouter", "google/gemini-2.0-flash-exp:free"),
        ("openai", "deepseek-r1:8b"),
        ("", "deepseek-r1:8b"),
        ("", "mistral:7b"),
        ("openai", "mistral-small:24b"),
        ("openai", "deepseek-r1-distill-qwen-32b"),
    ] {
        assert_eq!(rule(&prices, provider, model, ""), None, "{provider} {model}");
    }
}

// The response model goes before the request model, except where the request tells Bedrock's inference profile.
#[test]
fn the_response_model_goes_first() {
    let prices = builtin();
    let rule = |provider, request, response| rule(&prices, provider, request, response).unwrap();
    assert_eq!(rule("openai", "gpt-4o", "gpt-4o-mini-2024-07-18"), "openai gpt-4o-mini");
    assert_eq!(rule("openai", "gpt-4o", "who-knows"), "openai gpt-4o");
    assert_eq!(rule("azure.ai.openai", "my-deployment", "gpt-4o-2024-08-06"), "openai gpt-4o");
    let profile = "global.anthropic.claude-sonnet-4-5-20250929-v1:0";
    assert_eq!(rule("aws.bedrock", profile, "claude-sonnet-4-5-20250929"), format!("aws {profile}"));
}

// A call costs what held at its own time, to the second at which a price changes.
#[test]
fn prices_hold_at_the_time_of_the_call() {
    let prices = builtin();
    let usage = Usage { input: Some(1_000_000), output: Some(0), ..Usage::default() };
    let dollars = |provider, model, time| {
        let reference = prices.find(provider, model, "").unwrap();
        prices.cost(reference, at(time), &usage, "").unwrap().total().to_string()
    };
    assert_eq!(dollars("openai", "o3", "2025-06-09T23:59:59Z"), "10");
    assert_eq!(dollars("openai", "o3", "2025-06-10T00:00:00Z"), "2");
    let night = dollars("deepseek", "deepseek-chat", "2025-06-10T00:29:59Z");
    let day = dollars("deepseek", "deepseek-chat", "2025-06-10T00:30:00Z");
    assert!(night != day, "{night} {day}");
}

// An explanation gives the same cost, and names rule, price and sum.
#[test]
fn explanations() {
    let prices = builtin();
    let usage = Usage { input: Some(250_000), cache_read: Some(200_000), output: Some(1_000), ..Usage::default() };
    let call = Call {
        provider: "portkey",
        request_model: "anthropic/claude-sonnet-4-5-20250929",
        time_unix_nanos: at("2026-02-01T00:00:00Z"),
        usage,
        ..Call::default()
    };
    let explanation = prices.explain(&call);
    let reference = prices.find(call.provider, call.request_model, "").unwrap();
    assert_eq!(explanation.cost, prices.cost(reference, call.time_unix_nanos, &usage, ""));
    insta::assert_snapshot!(explanation);
}
