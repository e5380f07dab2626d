//! Azure AI Inference and Agents SDKs. A failed run may say so in its status only.

use super::Plain::*;
use super::{Dialect, PLAIN, key, signal};

pub(super) const DIALECT: Dialect = Dialect {
    name: "azure_ai_agents",
    title: "Azure AI Inference and Agents SDKs",
    keys: &[
        key("gen_ai.thread.id", ConversationId).and_signal(),
        key("gen_ai.thread.run.status", Outcome).and_signal(),
        signal("gen_ai.thread.run.id"),
    ],
    source: "open-telemetry/semantic-conventions v1.41.1 docs/gen-ai/azure-ai-inference.md; azure-sdk tests",
    ..PLAIN
};
