//! AgentOps SDK.

use super::Plain::*;
use super::{Dialect, PLAIN, Says, general, key, role};
use crate::role::Role;
use crate::usage::CacheSemantics;

pub(super) const DIALECT: Dialect = Dialect {
    name: "agentops",
    title: "AgentOps SDK",
    scopes: &["agentops"],
    // As the provider reports it.
    cache: CacheSemantics::ExcludedByAnthropic,
    keys: &[
        role(
            "agentops.span.kind",
            &[
                ("llm", Says::Operation("chat", Role::Llm)),
                ("agent", Says::Operation("invoke_agent", Role::Agent)),
                ("tool", Says::Operation("execute_tool", Role::Tool)),
            ],
            Role::Chain,
        ),
        key("gen_ai.request.type", RequestType),
        key("gen_ai.usage.total_cost", Cost),
        key("gen_ai.streaming.time_to_first_token", FirstChunkSeconds),
        key("gen_ai.request.streaming", Streaming),
        general("workflow.session_id", ConversationId),
        general("workflow.user_id", UserId),
    ],
    source: "AgentOps-AI/agentops@a855a92 agentops/semconv/*.py",
    ..PLAIN
};
