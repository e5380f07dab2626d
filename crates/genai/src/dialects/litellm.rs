//! LiteLLM, SDK and proxy, `otel` callback. Its other keys are OpenTelemetry's and OpenLLMetry's.

use super::Plain::*;
use super::{Dialect, PLAIN, key, signal};

pub(super) const DIALECT: Dialect = Dialect {
    name: "litellm",
    title: "LiteLLM",
    scopes: &["litellm"],
    // `raw_gen_ai_request` below a call has `llm.<provider>.*` only.
    call_needs_model: true,
    keys: &[
        key("metadata.usage_object", UsageDetails).and_signal(),
        signal("litellm.call_id"),
        signal("hidden_params"),
        key("metadata.user_api_key_end_user_id", UserId),
        key("metadata.user_api_key_user_id", UserId),
    ],
    source: "BerriAI/litellm litellm/integrations/opentelemetry.py; corpus litellm (1.106), litellm-1.75",
    ..PLAIN
};
