//! LiteLLM, SDK and proxy, `otel` callback. Its other keys are OpenTelemetry's and OpenLLMetry's.

use super::Plain::*;
use super::{Dialect, PLAIN, key, pattern};

pub(super) const DIALECT: Dialect = Dialect {
    name: "litellm",
    title: "LiteLLM",
    scopes: &["litellm"],
    // Below a call; it has `llm.<provider>.*` only, or nothing.
    call_needs_model: true,
    completion_is_chat: true,
    raw_spans: &["raw_gen_ai_request"],
    keys: &[
        key("metadata.usage_object", UsageDetails).and_signal(),
        key("litellm.call_id", CallId).and_signal(),
        pattern("llm.*.usage", UsageObject),
        pattern("llm.*.model", ResponseModel),
        pattern("llm.*.id", ResponseId),
        pattern("llm.*.service_tier", ServiceTier),
        key("gen_ai.cost.total_cost", Cost),
        key("gen_ai.cost.input_cost", InputCost),
        key("gen_ai.cost.output_cost", OutputCost),
        key("hidden_params", CostObject).and_signal(),
        key("metadata.user_api_key_end_user_id", UserId),
        key("metadata.user_api_key_user_id", UserId),
    ],
    source: "BerriAI/litellm litellm/integrations/opentelemetry.py; corpus litellm (1.106), litellm-1.75",
    ..PLAIN
};
