//! Pipecat.

use super::Plain::*;
use super::{Dialect, PLAIN, general, own};

pub(super) const DIALECT: Dialect = Dialect {
    name: "pipecat",
    title: "Pipecat",
    scopes: &["pipecat"],
    keys: &[
        own("metrics.ttfb", FirstChunkSeconds),
        general("conversation.id", ConversationId),
        own("user_id", UserId),
        own("tool.function_name", ToolName),
    ],
    source: "pipecat-ai/pipecat@acead05 src/pipecat/utils/tracing/{service_attributes,service_decorators}.py",
    ..PLAIN
};
