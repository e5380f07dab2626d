//! OpenClaw. Beside its calls stands what a run used in all of them, as a call of its own.

use super::Plain::*;
use super::{Dialect, PLAIN, key};

pub(super) const DIALECT: Dialect = Dialect {
    name: "openclaw",
    title: "OpenClaw",
    scopes: &["openclaw"],
    helpers: &["openclaw.model.usage"],
    has_running_totals: true,
    keys: &[
        key("openclaw.model_call.usage.reasoning_output_tokens", ReasoningTokens),
        key("openclaw.model_call.time_to_first_byte_ms", FirstChunkMillis),
    ],
    source: "openclaw/openclaw@00dcb4a extensions/diagnostics-otel/src/service-recorders-usage.ts, service-genai-attributes.ts",
    ..PLAIN
};
