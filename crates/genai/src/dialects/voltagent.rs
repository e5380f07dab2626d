//! VoltAgent. Roles stand in `span.type`, see [`super::claude_code`]; `entity.type` is inherited and says nothing.

use super::Plain::*;
use super::{Dialect, PLAIN, key, own, signal};

pub(super) const DIALECT: Dialect = Dialect {
    name: "voltagent",
    title: "VoltAgent",
    keys: &[
        key("voltagent.conversation_id", ConversationId).and_signal(),
        signal("voltagent.operation_id"),
        key("llm.model", RequestModel),
        key("llm.usage.cached_tokens", CacheReadTokens),
        own("usage.prompt_tokens", InputTokens),
        own("usage.completion_tokens", OutputTokens),
        own("usage.total_tokens", TotalTokens),
    ],
    source: "mlflow/mlflow@33a5d30 mlflow/tracing/otel/translation/voltagent.py",
    ..PLAIN
};
