//! Ways to say nothing: they are no facts, and stand in the way of none.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::build::Built;
use common::line;

const NOTHING: [&str; 7] = ["", "none", "None", "null", "unknown", "undefined", "kv:{}"];

/// The facts of a call with these attributes behind those of every call, without its dialect.
fn call(attributes: &[(&str, &str)]) -> String {
    let common = [("gen_ai.operation.name", "chat"), ("gen_ai.usage.output_tokens", "26")];
    let Built { body, facts } = Built::new("app", "span", &[&common[..], attributes].concat(), &[]);
    let names = [facts.conversation_id, facts.agent_name, facts.user_id, facts.tool_name, facts.response_id];
    let names: Vec<_> = names.iter().map(|name| name.str(&body).into_owned()).collect();
    format!("{} {:?} {}", line(&body, &facts).splitn(3, ' ').last().unwrap(), facts.streaming, names.join("|"))
}

// What stands first and says nothing gives way to what says something, in either order; the first that says something wins.
#[test]
fn nothing_gives_way() {
    for (first, second, good) in [
        ("gen_ai.request.model", "llm.request.model", "gpt-4o"),
        ("gen_ai.response.model", "llm.response.model", "gpt-4o-2024-08-06"),
        ("gen_ai.provider.name", "llm.provider", "openai"),
        ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "114"),
        ("gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens", "5"),
        ("gen_ai.conversation.id", "session.id", "s1"),
        ("gen_ai.agent.name", "graph.node.name", "a1"),
        ("user.id", "enduser.id", "u1"),
        ("gen_ai.request.stream", "llm.is_streaming", "true"),
        ("gen_ai.response.finish_reasons", "gen_ai.response.finish_reason", "stop"),
        ("error.type", "gen_ai.framework.error.type", "RateLimitError"),
        ("gen_ai.tool.name", "tool.name", "t1"),
    ] {
        let expected = call(&[(second, good)]);
        let better = call(&[(first, good)]);
        assert_ne!(expected, call(&[]), "{second}");
        for nothing in NOTHING {
            assert_eq!(call(&[(first, nothing), (second, good)]), expected, "{first} {nothing:?}");
            assert_eq!(call(&[(second, good), (first, nothing)]), expected, "{first} {nothing:?}");
            assert_eq!(call(&[(first, good), (second, nothing)]), better, "{second} {nothing:?}");
        }
    }
    let two = [("gen_ai.usage.prompt_tokens", "7"), ("gen_ai.usage.input_tokens", "5")];
    assert!(call(&two).contains(" in=5 "));
}

// Where nothing better stands, it is as if the key were not there.
#[test]
fn nothing_is_no_fact() {
    let plain = call(&[("gen_ai.provider.name", "openai")]);
    for key in [
        "gen_ai.request.model",
        "gen_ai.response.model",
        "gen_ai.response.id",
        "gen_ai.usage.input_tokens",
        "gen_ai.conversation.id",
        "gen_ai.agent.name",
        "user.id",
        "gen_ai.tool.name",
        "error.type",
    ] {
        for nothing in NOTHING {
            assert_eq!(call(&[("gen_ai.provider.name", "openai"), (key, nothing)]), plain, "{key} {nothing:?}");
        }
    }
}

// An operation that says nothing leaves the role to what else tells it.
#[test]
fn an_operation_may_say_nothing() {
    let span = [("gen_ai.operation.name", "none"), ("llm.request.type", "chat"), ("gen_ai.request.model", "gpt-4o")];
    let Built { body, facts } = Built::new("app", "span", &span, &[]);
    assert!(line(&body, &facts).contains(" llm chat openai gpt-4o-> "), "{}", line(&body, &facts));
}
