//! Microsoft Agent Framework and Microsoft.Extensions.AI. They write OpenTelemetry's keys.

use super::Plain::*;
use super::{Dialect, PLAIN, general};

pub(super) const DIALECT: Dialect = Dialect {
    name: "ms_agent_framework",
    title: "Microsoft Agent Framework, Microsoft.Extensions.AI",
    scopes: &["agent_framework", "Experimental.Microsoft.Extensions.AI", "Experimental.Microsoft.Agents.AI"],
    keys: &[general("workflow.name", WorkflowName)],
    source: "microsoft/agent-framework@5eb3eb7 python/packages/core/agent_framework/observability.py; dotnet/extensions@5862342 src/Libraries/Microsoft.Extensions.AI",
    ..PLAIN
};
