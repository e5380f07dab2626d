//! Braintrust. Counts and model stand in JSON; the .NET SDK writes them flat.

use super::Plain::*;
use super::{Dialect, EvaluationPart, PLAIN, Says, evaluation, key, role};
use crate::role::Role;

const TYPES: &[(&str, Says)] =
    &[("llm", Says::Operation("chat", Role::Llm)), ("tool", Says::Operation("execute_tool", Role::Tool))];

pub(super) const DIALECT: Dialect = Dialect {
    name: "braintrust",
    title: "Braintrust",
    keys: &[
        // JSON with it under `type`; some write the type flat.
        role("braintrust.span_attributes", TYPES, Role::Chain),
        role("braintrust.span_attributes.type", TYPES, Role::Chain),
        key("braintrust.metrics", UsageObject).and_signal(),
        key("braintrust.metadata", ModelInJson).and_signal(),
        key("braintrust.metrics.prompt_tokens", InputTokens).and_signal(),
        key("braintrust.metrics.completion_tokens", OutputTokens),
        key("braintrust.metrics.prompt_cached_tokens", CacheReadTokens),
        key("braintrust.metrics.time_to_first_token", FirstChunkSeconds),
        evaluation("braintrust.scores", EvaluationPart::Scores),
    ],
    source: "braintrust SDKs for Java, Ruby, .NET and Go, as excerpted in reference/dialects.md",
    ..PLAIN
};
