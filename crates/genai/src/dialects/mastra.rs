//! Mastra's OTel exporter. It writes OpenTelemetry's keys.

use super::Plain::*;
use super::{Dialect, PLAIN, Says, general, key, role};
use crate::role::Role;

pub(super) const DIALECT: Dialect = Dialect {
    name: "mastra",
    title: "Mastra",
    // The status was OK once.
    fails_by_finish_reason: true,
    keys: &[
        // Its operations had names of their own once. A generation is a call; of its steps nothing is told in later versions.
        role(
            "mastra.span.type",
            &[
                ("model_generation", Says::Operation("chat", Role::Llm)),
                ("rag_embedding", Says::Operation("embeddings", Role::Embeddings)),
                ("agent_run", Says::Operation("invoke_agent", Role::Agent)),
                ("tool_call", Says::Operation("execute_tool", Role::Tool)),
                ("mcp_tool_call", Says::Operation("execute_tool", Role::Tool)),
                ("provider_tool_call", Says::Operation("execute_tool", Role::Tool)),
                ("workflow_run", Says::Operation("invoke_workflow", Role::Chain)),
            ],
            Role::Chain,
        ),
        key("mastra.completion_start_time", FirstChunkAt),
        general("error.category", ErrorCategory),
    ],
    source: "mastra-ai/mastra@087c72f observability/otel-exporter/src/gen-ai-semantics.ts; @mastra/otel-exporter 0.3.3",
    ..PLAIN
};
