//! Spring AI, by Micrometer. Every value is a text, `none` where there is none.

use super::Plain::*;
use super::{Dialect, PLAIN, Says, key, role, signal};
use crate::role::Role;
use crate::usage::CacheSemantics;

pub(super) const DIALECT: Dialect = Dialect {
    name: "spring_ai",
    title: "Spring AI",
    cache: CacheSemantics::ExcludedByAnthropic,
    keys: &[
        role("spring.ai.kind", &[("tool_call", Says::Operation("execute_tool", Role::Tool))], Role::Chain),
        key("spring.ai.chat.client.stream", Streaming).and_signal(),
        key("spring.ai.chat.client.conversation.id", ConversationId).and_signal(),
        key("spring.ai.tool.definition.name", ToolName).and_signal(),
        key("spring.ai.tool.call.id", ToolCallId).and_signal(),
        signal("spring.ai.advisor.name"),
    ],
    source: "spring-projects/spring-ai@fd3fd6e spring-ai-commons/src/main/java/org/springframework/ai/observation/conventions/*.java",
    ..PLAIN
};
