//! Finish reasons, normalised (reference/dialects.md 4.8).

use std::sync::LazyLock;

use otlp::{Text, Value, value};

use crate::coerce;
use crate::facts::Label;
use crate::lookup::Lookup;

/// Spelling in lower case, canonical reason.
const REASONS: &[(&str, &str)] = &[
    ("stop", "stop"),
    ("end_turn", "stop"),
    ("stop_sequence", "stop"),
    ("completed", "stop"),
    ("complete", "stop"), // Cohere
    ("eos", "stop"),
    ("eos_token", "stop"),
    ("length", "length"),
    ("max_tokens", "length"),
    ("max_output_tokens", "length"),
    ("model_context_window_exceeded", "length"),
    ("tool_calls", "tool_calls"),
    ("tool_call", "tool_calls"),
    ("tool-calls", "tool_calls"),
    ("tool_use", "tool_calls"),
    ("function_call", "tool_calls"),
    // .NET's names
    ("toolcalls", "tool_calls"),
    ("functioncall", "tool_calls"),
    ("contentfilter", "content_filter"),
    ("content_filter", "content_filter"),
    ("content-filter", "content_filter"),
    ("safety", "content_filter"),
    ("recitation", "content_filter"),
    ("blocklist", "content_filter"),
    ("prohibited_content", "content_filter"),
    ("refusal", "content_filter"),
    ("content_filtered", "content_filter"), // Bedrock
    ("guardrail_intervened", "content_filter"),
    ("spii", "content_filter"),
    ("error", "error"),
    ("unknown", "unknown"),
    ("other", "unknown"),
];

static SPELLINGS: LazyLock<Lookup<&str>> = LazyLock::new(|| Lookup::new(REASONS.iter().copied()));

/// The reason of the first choice: a text, an array of texts, such an array written as JSON or with commas only, or a member of
/// Python's `FinishReason`.
pub(crate) fn reason(found: Value, body: &[u8]) -> Label {
    let first = match found {
        Value::Array(list) => value::first_item(body, list),
        other => other,
    };
    let mut text = coerce::text(first, body);
    let bytes = text.bytes(body);
    if bytes.first() == Some(&b'[') {
        let begin = bytes.iter().position(|b| b.is_ascii_alphanumeric()).unwrap_or(bytes.len());
        let rest = bytes.get(begin..).unwrap_or_default();
        let length =
            rest.iter().position(|b| !(b.is_ascii_alphanumeric() || *b == b'_' || *b == b'-')).unwrap_or(rest.len());
        text = text.part(begin as u32, (begin + length) as u32);
    }
    if text.is_empty() {
        return Label::None;
    }
    match SPELLINGS.find_ignoring_case(text.bytes(body)) {
        Some(reason) => Label::Known(reason),
        None => in_longer_text(text, body),
    }
}

/// The reason in `stop,stop` or `FinishReason.STOP`.
#[cold]
fn in_longer_text(text: Text, body: &[u8]) -> Label {
    let bytes = text.bytes(body);
    let end = memchr::memchr(b',', bytes).unwrap_or(bytes.len());
    let first = bytes.get(..end).unwrap_or_default();
    let word = memchr::memrchr(b'.', first).and_then(|dot| first.get(dot + 1..)).unwrap_or(first);
    match SPELLINGS.find_ignoring_case(word) {
        Some(reason) => Label::Known(reason),
        None => Label::Raw(text),
    }
}
