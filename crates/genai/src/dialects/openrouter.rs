//! OpenRouter's own traces (Broadcast), and Sentry's SDKs. They write OpenTelemetry's keys, but for parts of usage and cost.

use super::Plain::*;
use super::{Dialect, PLAIN, key};

pub(super) const DIALECT: Dialect = Dialect {
    name: "openrouter",
    title: "OpenRouter Broadcast, Sentry SDKs",
    scopes: &["openrouter"],
    keys: &[
        key("gen_ai.usage.input_tokens.cached", CacheReadTokens).and_signal(),
        key("gen_ai.usage.input_tokens.cache_write", CacheWriteTokens).and_signal(),
        key("gen_ai.usage.output_tokens.reasoning", ReasoningTokens),
    ],
    source: "openrouter.ai/docs/guides/features/broadcast/otel-collector; getsentry/sentry-python sentry_sdk/consts.py",
    ..PLAIN
};
