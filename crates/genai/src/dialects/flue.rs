//! Flue. Model turns have OpenTelemetry's keys.

use super::Plain::*;
use super::{Dialect, PLAIN, key};

pub(super) const DIALECT: Dialect = Dialect {
    name: "flue",
    title: "Flue",
    scopes: &["@flue/opentelemetry"],
    keys: &[key("flue.tool.name", ToolName), key("flue.tool.call_id", ToolCallId), key("flue.task.agent", AgentName)],
    source: "langfuse/langfuse packages/shared/src/server/otel/ObservationTypeMapper.ts",
    ..PLAIN
};
