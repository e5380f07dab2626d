//! Laminar. `CACHED` spans repeat an answer that no model gave.

use super::Plain::*;
use super::{Dialect, PLAIN, Says, key, role};
use crate::role::Role;

pub(super) const DIALECT: Dialect = Dialect {
    name: "laminar",
    title: "Laminar",
    scopes: &["lmnr.tracer"],
    keys: &[
        role(
            "lmnr.span.type",
            &[("LLM", Says::Operation("chat", Role::Llm)), ("TOOL", Says::Operation("execute_tool", Role::Tool))],
            Role::Chain,
        ),
        key("gen_ai.usage.input_cost", InputCost),
        key("gen_ai.usage.output_cost", OutputCost),
        key("lmnr.association.properties.session_id", ConversationId),
        key("lmnr.association.properties.user_id", UserId),
    ],
    source: "lmnr-ai/lmnr-python@67dea39 src/lmnr/opentelemetry_lib/tracing/attributes.py",
    ..PLAIN
};
