//! AWS Strands Agents. It poses as the provider; the sums on its agents and cycles are never calls.

use super::Plain::*;
use super::{Dialect, PLAIN, Unit, key, own, signal};
use crate::usage::CacheSemantics;

pub(super) const DIALECT: Dialect = Dialect {
    name: "strands",
    title: "AWS Strands Agents",
    // The TypeScript SDK calls its scope as the service is called.
    scopes: &["strands.telemetry.tracer", "strands-agents"],
    poses_as_provider: &["strands-agents"],
    // Bedrock Converse leaves cached tokens out, the other models include them.
    cache: CacheSemantics::ByTotal,
    first_chunk_unit: Unit::Milliseconds,
    // What an agent used in all its invocations, unless it is configured otherwise.
    has_running_totals: true,
    keys: &[
        signal("event_loop.cycle_id"),
        signal("gen_ai.event.start_time"),
        key("gen_ai.tool.status", Outcome),
        own("tool.status", Outcome), // until 1.11
    ],
    source: "strands-agents/sdk-python@1232230 src/strands/telemetry/tracer.py; corpus strands-agents",
    ..PLAIN
};
