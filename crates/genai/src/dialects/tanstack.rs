//! TanStack AI's OpenTelemetry middleware. It writes OpenTelemetry's keys; the span around its calls says `chat` as they do, and sums
//! them up.

use super::{Dialect, PLAIN, role};
use crate::role::Role;

pub(super) const DIALECT: Dialect = Dialect {
    name: "tanstack",
    title: "TanStack AI",
    keys: &[role("tanstack.ai.iterations", &[], Role::Agent)],
    source: "tanstack.com/ai/latest/docs/advanced/otel; TanStack/ai packages/ai/src/middlewares/otel.ts",
    ..PLAIN
};
