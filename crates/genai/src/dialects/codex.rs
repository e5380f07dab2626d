//! OpenAI Codex CLI. The span that tells what an answer used names neither operation nor model.

use super::Plain::*;
use super::{Dialect, PLAIN, key, role};
use crate::role::Role;

pub(super) const DIALECT: Dialect = Dialect {
    name: "codex",
    title: "OpenAI Codex CLI",
    keys: &[
        // Only an answer that ended has it. Sums of turns have keys of their own, which are not read.
        role("codex.usage.total_tokens", &[], Role::Llm),
        key("codex.usage.reasoning_output_tokens", ReasoningTokens),
    ],
    source: "openai/codex codex-rs/core/src/session/turn.rs, otel/src/events/session_telemetry.rs",
    ..PLAIN
};
