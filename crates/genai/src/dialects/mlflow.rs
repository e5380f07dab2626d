//! MLflow Tracing, its native spans. Every `mlflow.*` value is JSON in a string.

use super::Plain::*;
use super::{Dialect, EventKey, EventSays, PLAIN, Says, general, key, role, signal};
use crate::role::Role;

pub(super) const DIALECT: Dialect = Dialect {
    name: "mlflow",
    title: "MLflow Tracing",
    scopes: &["mlflow."],
    keys: &[
        role(
            "mlflow.spanType",
            &[
                ("CHAT_MODEL", Says::Operation("chat", Role::Llm)),
                ("LLM", Says::Operation("generate_content", Role::Llm)),
                ("EMBEDDING", Says::Operation("embeddings", Role::Embeddings)),
                ("AGENT", Says::Operation("invoke_agent", Role::Agent)),
                ("TOOL", Says::Operation("execute_tool", Role::Tool)),
                ("RETRIEVER", Says::Operation("retrieval", Role::Chain)),
                ("RERANKER", Says::Operation("rerank", Role::Chain)),
            ],
            Role::Chain,
        ),
        key("mlflow.chat.tokenUsage", InclusiveUsageObject),
        key("mlflow.llm.cost", CostObject),
        key("mlflow.spanOutputs", Answer),
        key("mlflow.llm.provider", Provider),
        key("mlflow.llm.model", EitherModel),
        // The request model, written beside by the autologgers; the only one on spans of failed calls.
        general("model", RequestModel),
        general("invocation_params", ModelInJson),
        key("mlflow.spanInputs", ModelInJson),
        general("stream", Streaming),
        key("mlflow.linkedPrompts", PromptInJson),
        key("mlflow.trace.session", ConversationId),
        key("mlflow.trace.user", UserId),
        signal("mlflow.traceRequestId"),
    ],
    events: &[
        EventKey { name: "mlflow.chunk.item.", says: EventSays::Chunk("mlflow.chunk.value") },
        // LangChain's streams.
        EventKey { name: "new_token", says: EventSays::Chunk("chunk") },
    ],
    source: "mlflow/mlflow mlflow/tracing/constant.py; corpus mlflow-3.1, mlflow-3.17",
    ..PLAIN
};
