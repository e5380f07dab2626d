//! LiveKit Agents. Only `llm_request` is a call; attempts and nodes have no usage.

use super::Plain::*;
use super::{Dialect, PLAIN, general, key, role};
use crate::role::Role;

pub(super) const DIALECT: Dialect = Dialect {
    name: "livekit",
    title: "LiveKit Agents",
    scopes: &["livekit-agents"],
    keys: &[
        // Speech names its model as well, and is no call.
        role("lk.tts.label", &[], Role::Chain),
        role("lk.tts_metrics", &[], Role::Chain),
        key("gen_ai.usage.input_cached_tokens", CacheReadTokens), // realtime
        key("lk.response.ttft", FirstChunkSeconds),
        key("lk.llm_metrics", FirstChunkInJson),
        key("lk.function_tool.name", ToolName),
        key("lk.function_tool.is_error", Failed),
        general("lk.agent_name", AgentName),
        general("lk.agent_label", AgentName),
        general("lk.job_id", ConversationId),
        general("lk.room_name", ConversationId),
        general("lk.pii.room_name", ConversationId),
    ],
    source: "livekit/agents@da6af86 livekit-agents/livekit/agents/telemetry/trace_types.py, llm/llm.py",
    ..PLAIN
};
