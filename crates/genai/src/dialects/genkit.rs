//! Firebase Genkit. Usage stands in the captured output.

use super::Plain::*;
use super::{Dialect, PLAIN, Says, key, role};
use crate::role::Role;

pub(super) const DIALECT: Dialect = Dialect {
    name: "genkit",
    title: "Firebase Genkit",
    scopes: &["genkit-tracer"],
    keys: &[
        role(
            "genkit:metadata:subtype",
            &[
                ("model", Says::Operation("chat", Role::Llm)),
                ("background-model", Says::Operation("chat", Role::Llm)),
                ("embedder", Says::Operation("embeddings", Role::Embeddings)),
                ("tool", Says::Operation("execute_tool", Role::Tool)),
                ("tool.v2", Says::Operation("execute_tool", Role::Tool)),
                ("retriever", Says::Operation("retrieval", Role::Chain)),
            ],
            Role::Chain,
        ),
        role("genkit:type", &[], Role::Chain),
        key("genkit:name", NameOfAction),
        key("genkit:output", Answer),
        key("genkit:state", Outcome),
        key("genkit:sessionId", ConversationId),
        key("genkit:metadata:sessionId", ConversationId),
    ],
    source: "genkit-ai/genkit@846fb0c js/core/src/tracing/instrumentation.ts, js/ai/src/model-types.ts",
    ..PLAIN
};
