//! Finish reasons, normalised (reference/dialects.md 4.8).

use std::sync::LazyLock;

use otlp::{Value, value};

use crate::coerce;
use crate::facts::Label;
use crate::lookup::Lookup;

/// Spelling in lower case, canonical reason.
const REASONS: &[(&str, &str)] = &[
    ("stop", "stop"),
    ("end_turn", "stop"),
    ("stop_sequence", "stop"),
    ("completed", "stop"),
    ("length", "length"),
    ("max_tokens", "length"),
    ("max_output_tokens", "length"),
    ("tool_calls", "tool_calls"),
    ("tool_call", "tool_calls"),
    ("tool-calls", "tool_calls"),
    ("tool_use", "tool_calls"),
    ("function_call", "tool_calls"),
    ("content_filter", "content_filter"),
    ("content-filter", "content_filter"),
    ("safety", "content_filter"),
    ("recitation", "content_filter"),
    ("blocklist", "content_filter"),
    ("prohibited_content", "content_filter"),
    ("refusal", "content_filter"),
    ("error", "error"),
    ("unknown", "unknown"),
    ("other", "unknown"),
];

static SPELLINGS: LazyLock<Lookup<&str>> = LazyLock::new(|| Lookup::new(REASONS.iter().copied()));

/// The reason of the first choice: a text, an array of texts, or such an array written as JSON.
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
    let raw = text.bytes(body);
    if raw.is_empty() {
        return Label::None;
    }
    match SPELLINGS.find_ignoring_case(raw) {
        Some(reason) => Label::Known(reason),
        None => Label::Raw(text),
    }
}
