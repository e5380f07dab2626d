//! The Claude API's own spans of requests. The client's SDK writes OpenTelemetry's keys.

use super::{Dialect, PLAIN};

pub(super) const DIALECT: Dialect = Dialect {
    name: "anthropic_platform",
    title: "Claude API, server side",
    scopes: &["com.anthropic.claude-platform"],
    is_server: true,
    source: "platform.claude.com/docs/en/api/opentelemetry/spans",
    ..PLAIN
};
