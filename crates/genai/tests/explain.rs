//! Where the facts of spans were read.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::build::Built;
use common::corpus::{bodies, clients};
use spanmill_genai::{Deriver, Role, Source, SpanFacts};

/// One line a span: its id, then each fact with the keys that told it.
fn table(client: &str) -> String {
    let mut table = String::new();
    for body in bodies(client) {
        for (facts, sources) in Deriver::default().explain(&body).unwrap() {
            let id: String = facts.span_id.iter().map(|byte| format!("{byte:02x}")).collect();
            table.push_str(&format!("{id} {}{}\n", facts.role.name(), written(&sources)));
        }
    }
    table
}

fn written(sources: &[Source]) -> String {
    sources.iter().map(|Source { fact, keys }| format!(" {fact}<-{}", keys.join(" + "))).collect()
}

/// What told the facts `wanted` of a span.
fn told(built: &Built, wanted: &[&str]) -> String {
    let (_, mut sources) = Deriver::default().explain(&built.body).unwrap().remove(0);
    sources.retain(|source| wanted.contains(&source.fact));
    written(&sources)
}

// What told the facts of real spans: separate keys, captured answers, usage objects.
#[test]
fn sources_of_real_spans() {
    for client in ["openinference", "mlflow-3.17", "langfuse"] {
        insta::assert_snapshot!(client, table(client));
    }
}

// Explaining changes nothing, and every fact of every real span has a key that the span, an event of it or the table has.
#[test]
fn every_fact_has_a_source() {
    let deriver = Deriver::default();
    for client in clients() {
        for body in bodies(&client) {
            let (facts, sources): (Vec<SpanFacts>, Vec<Vec<Source>>) =
                deriver.explain(&body).unwrap().into_iter().unzip();
            assert_eq!(facts, deriver.derive(&body).unwrap(), "{client}");
            for (facts, sources) in facts.iter().zip(&sources) {
                assert_eq!(facts.role == Role::None, !sources.iter().any(|source| source.fact == "role"));
                for Source { fact, keys } in sources {
                    let is_named = !keys.is_empty() && keys.iter().all(|key| !key.is_empty());
                    assert!(is_named, "{client} {fact} {keys:?}");
                }
            }
        }
    }
}

const CALL: [(&str, &str); 3] =
    [("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "openai"), ("gen_ai.request.model", "gpt-4o")];

fn call(scope: &str, more: &[(&'static str, &'static str)]) -> Built {
    Built::new(scope, "span", &[&CALL[..], more].concat(), &[])
}

// Of two keys that tell the same, the one that counts is named, also where both say the same number.
#[test]
fn the_winner_is_named() {
    let twice = call("app", &[("gen_ai.usage.prompt_tokens", "5"), ("gen_ai.usage.input_tokens", "5")]);
    assert_eq!(told(&twice, &["input"]), " input<-gen_ai.usage.input_tokens");
    let object = call(
        "app",
        &[("langfuse.observation.usage_details", r#"{"input": 5, "output": 3}"#), ("gen_ai.usage.input_tokens", "5")],
    );
    let of_object = " input<-langfuse.observation.usage_details output<-langfuse.observation.usage_details";
    assert_eq!(told(&object, &["input", "output"]), of_object);
}

// What says which conventions a span follows: a framework that poses as the provider, and the newer of two keys for it.
#[test]
fn the_provider_tells_the_dialect() {
    let dialect = |attributes: &[(&'static str, &'static str)]| {
        let built = Built::new("app", "span", attributes, &[]);
        format!("{}{}", built.facts.dialect.dialect().name, told(&built, &["dialect"]))
    };
    assert_eq!(dialect(&[("gen_ai.system", "strands-agents")]), "strands dialect<-gen_ai.system");
    assert_eq!(dialect(&[("gen_ai.system", "openai")]), "otel_genai_legacy dialect<-gen_ai.system");
    let both = [("gen_ai.system", "openai"), ("gen_ai.provider.name", "openai")];
    assert_eq!(dialect(&both), "otel_genai dialect<-gen_ai.provider.name");
}

// What adds up to a count is named in full.
#[test]
fn parts_are_named() {
    let parts = [
        ("gen_ai.usage.input_tokens", "10"),
        ("gen_ai.usage.cache_read_input_tokens", "64"),
        ("gen_ai.usage.output_tokens", "3"),
    ];
    let added = told(&call("app", &parts), &["input", "cache_read"]);
    assert_eq!(added, " input<-gen_ai.usage.input_tokens cache_read<-gen_ai.usage.cache_read_input_tokens");
    // More cached tokens than input: they were left out of it, as Anthropic does and OpenAI does not.
    let claude = [&parts[..], &[("gen_ai.provider.name", "anthropic"), ("gen_ai.operation.name", "chat")]].concat();
    let claude = Built::new("app", "span", &claude, &[]);
    assert_eq!(claude.facts.usage().input, Some(74));
    assert_eq!(told(&claude, &["input"]), " input<-gen_ai.usage.input_tokens + gen_ai.usage.cache_read_input_tokens");
}

// What is no attribute of the span is named as such, and a key that is one of a pattern as it really is.
#[test]
fn other_places_are_named() {
    let bare = Built::new("openlit.otel.tracing", "chat claude-sonnet-4-5", &[], &[]);
    assert_eq!(
        told(&bare, &["dialect", "role", "request_model", "provider"]),
        " dialect<-scope role<-span name + scope provider<-span name request_model<-span name"
    );
    let raw = Built::new("litellm", "raw_gen_ai_request", &[("llm.openai.model", "gpt-4o")], &[]);
    assert_eq!(told(&raw, &["response_model"]), " response_model<-llm.openai.model");
    let events = Built::new(
        "app",
        "span",
        &[("gen_ai.system", "openai"), ("gen_ai.operation.name", "chat")],
        &[
            ("gen_ai.choice", &[("finish_reason", "stop")]),
            ("gen_ai.client.inference.operation.details", &[("gen_ai.response.model", "gpt-4o-2024-08-06")]),
            ("exception", &[("exception.type", "openai.RateLimitError")]),
        ],
    );
    assert_eq!(
        told(&events, &["response_model", "finish_reason", "error"]),
        " response_model<-event gen_ai.client.inference.operation.details gen_ai.response.model \
         error<-event exception finish_reason<-event gen_ai.choice finish_reason"
    );
}
