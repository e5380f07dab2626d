//! Google Agent Development Kit. It poses as the provider.

use super::Plain::*;
use super::{Dialect, PLAIN, key, signal};

pub(super) const DIALECT: Dialect = Dialect {
    name: "google_adk",
    title: "Google ADK",
    scopes: &["gcp.vertex.agent"],
    keys: &[
        key("gen_ai.usage.experimental.reasoning_tokens", ReasoningTokensApart), // 1.x
        key("gcp.vertex.agent.session_id", ConversationId),
        key("gcp.vertex.agent.llm_response", Answer).and_signal(),
        signal("gcp.vertex.agent.invocation_id"),
        signal("gcp.vertex.agent.event_id"),
    ],
    source: "google/adk-python@0798a74 src/google/adk/telemetry/tracing.py; corpus google-adk (2.13)",
    ..PLAIN
};
