//! Mastra's OTel exporter. It writes OpenTelemetry's keys.

use super::Plain::*;
use super::{Dialect, PLAIN, general, key, signal};

pub(super) const DIALECT: Dialect = Dialect {
    name: "mastra",
    title: "Mastra",
    keys: &[
        signal("mastra.span.type"),
        key("mastra.completion_start_time", FirstChunkAt),
        general("error.category", ErrorCategory),
    ],
    source: "mastra-ai/mastra@087c72f observability/otel-exporter/src/gen-ai-semantics.ts",
    ..PLAIN
};
