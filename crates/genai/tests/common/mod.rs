//! What the facts of a span look like in a test.
#![allow(missing_docs, dead_code)]

pub(crate) mod build;
pub(crate) mod corpus;

use std::fmt::Write;

use build::Built;

use spanmill_genai::SpanFacts;

/// The facts of a span that goldens hold, in one line.
pub(crate) fn line(body: &[u8], facts: &SpanFacts) -> String {
    let mut line = String::new();
    let count = |told: Option<u32>| told.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let usage = facts.usage();
    let id: String = facts.span_id.iter().map(|byte| format!("{byte:02x}")).collect();
    write!(
        line,
        "{id} {} {} {} {} {}->{} in={} read={} write={} out={} reasoning={} finish={}",
        facts.dialect.dialect().name,
        facts.role.name(),
        facts.operation.str(body),
        facts.provider.str(body),
        facts.request_model.str(body),
        facts.response_model.str(body),
        count(usage.input),
        count(usage.cache_read),
        count(usage.cache_write),
        count(usage.output),
        count(usage.reasoning),
        facts.finish_reason.str(body),
    )
    .unwrap();
    if facts.nanos_to_first_chunk.is_some() {
        line.push_str(" streamed");
    }
    if facts.response_model_is_weak {
        line.push_str(" weak-model");
    }
    if let Some(tokens) = usage.cache_write_1h.filter(|tokens| *tokens > 0) {
        write!(line, " write-1h={tokens}").unwrap();
    }
    if let Some(cost) = facts.supplied_cost() {
        write!(line, " cost={cost}").unwrap();
    }
    if !facts.service_tier.is_none() {
        write!(line, " tier={}", facts.service_tier.str(body)).unwrap();
    }
    if facts.usage_is_running_total {
        line.push_str(" running-total");
    }
    if let Some(flaw) = facts.inconsistency {
        write!(line, " flaw={}", flaw.name()).unwrap();
    }
    if !facts.response_id.is_empty() {
        write!(line, " id={}", facts.response_id.str(body)).unwrap();
    }
    if let Some(error) = facts.error {
        write!(line, " error={}/{}", error.class.name(), error.kind.str(body)).unwrap();
    }
    line
}

/// The facts of a span of one second with these attributes, its time to the first chunk in milliseconds at the end.
pub(crate) fn told(scope: &str, name: &str, attributes: &[(&str, &str)]) -> String {
    let Built { body, facts } = Built::new(scope, name, attributes, &[]);
    let mut all = line(&body, &facts).split_once(' ').unwrap().1.to_owned();
    if let Some(nanos) = facts.time_to_first_chunk() {
        all = format!("{all}={}ms", nanos / 1_000_000);
    }
    for (what, text) in [("tool", facts.tool_name), ("agent", facts.agent_name), ("in", facts.conversation_id)] {
        if !text.is_empty() {
            all = format!("{all} {what}:{}", text.str(&body));
        }
    }
    all
}

/// As [`told`], in a scope that says nothing.
pub(crate) fn told_plainly(attributes: &[(&str, &str)]) -> String {
    told("app", "span", attributes)
}
