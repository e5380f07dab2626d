//! Anthropic: the spans of its SDKs, in OpenTelemetry's keys and some of their own, and those of the Claude API itself.

use super::Plain::*;
use super::{Dialect, PLAIN, key};

pub(super) const DIALECT: Dialect = Dialect {
    name: "anthropic_platform",
    title: "Claude API, server side",
    scopes: &["com.anthropic.claude-platform"],
    is_server: true,
    source: "platform.claude.com/docs/en/api/opentelemetry/spans",
    ..PLAIN
};

/// What the client says. (A signal would lead instrumentations astray that add their keys to the SDK's spans.)
pub(super) const SDK: Dialect = Dialect {
    name: "anthropic_sdk",
    title: "Anthropic SDKs",
    scopes: &["com.anthropic.sdk"],
    keys: &[
        key("anthropic.usage.cache_creation.ephemeral_5m_input_tokens", CacheWrite5mTokens),
        key("anthropic.usage.cache_creation.ephemeral_1h_input_tokens", CacheWrite1hTokens),
        key("anthropic.message.stop_reason", FinishReason),
        key("anthropic.response.service_tier", ServiceTier),
        key("anthropic.request.service_tier", ServiceTier),
    ],
    source: "platform.claude.com/docs/en/api/opentelemetry/spans; corpus anthropic-sdk-native",
    ..PLAIN
};
