//! Logfire's integrations of LLM clients. What a stream used stands on a second span, `logfire.span_type=log`.

use super::Plain::*;
use super::{Dialect, PLAIN, general, key, own};

pub(super) const DIALECT: Dialect = Dialect {
    name: "logfire",
    title: "Logfire LLM integrations",
    scopes: &["logfire."],
    keys: &[
        key("gen_ai.usage.raw", UsageDetails),
        general("response_data", UsageDetails),
        general("request_data", RequestData),
        key("gen_ai.input.messages", InputMessages),
        // On every span that the Logfire SDK hands on; `log` for one without extent.
        general("logfire.span_type", LogfireSpanType),
        own("duration", StreamSeconds),
    ],
    source: "pydantic/logfire@e484a6b logfire/_internal/integrations/llm_providers/*.py",
    ..PLAIN
};
