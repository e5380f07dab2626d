//! Claude Code and the spans of its Agent SDK. Its keys are so general that they mean something on its own spans only.

use super::Plain::*;
use super::{Dialect, PLAIN, Says, own, role_if};
use crate::role::Role;
use crate::usage::CacheSemantics;

pub(super) const DIALECT: Dialect = Dialect {
    name: "claude_code",
    title: "Claude Code, Claude Agent SDK",
    scopes: &["com.anthropic.claude_code"],
    cache: CacheSemantics::Excluded,
    keys: &[
        role_if(
            "span.type",
            &[
                ("claude_code.llm_request", Says::Operation("chat", Role::Llm)),
                ("claude_code.tool", Says::Operation("execute_tool", Role::Tool)),
                ("claude_code.interaction", Says::Operation("invoke_agent", Role::Agent)),
                ("llm_request", Says::Operation("chat", Role::Llm)),
                ("interaction", Says::Operation("invoke_agent", Role::Agent)),
                ("tool", Says::Operation("execute_tool", Role::Tool)),
                // VoltAgent
                ("llm", Says::Shared("chat", Role::Llm)),
                ("agent", Says::Shared("invoke_agent", Role::Agent)),
                ("memory", Says::Shared("memory", Role::Chain)),
            ],
        ),
        own("input_tokens", InputTokens),
        own("output_tokens", OutputTokens),
        own("cache_read_tokens", CacheReadTokens),
        own("cache_creation_tokens", CacheWriteTokens),
        own("ttft_ms", FirstChunkMillis),
        own("stop_reason", FinishReason),
        own("success", Success),
        own("error", ErrorMessage),
        own("status_code", HttpStatus),
        own("tool_name", ToolName),
        own("tool_use_id", ToolCallId),
    ],
    source: "mlflow/mlflow mlflow/tracing/otel/translation/claude_code.py; code.claude.com/docs/en/monitoring-usage",
    ..PLAIN
};
