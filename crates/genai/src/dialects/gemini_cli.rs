//! Gemini CLI. Its output leaves thoughts out and does not tell them.

use super::Plain::*;
use super::{Dialect, PLAIN, key};

pub(super) const DIALECT: Dialect = Dialect {
    name: "gemini_cli",
    title: "Gemini CLI",
    scopes: &["gemini-cli"],
    keys: &[key("gen_ai.tool.call_id", ToolCallId)],
    source: "google-gemini/gemini-cli@5411f11 packages/core/src/telemetry/{constants.ts,trace.ts}, core/loggingContentGenerator.ts",
    ..PLAIN
};
