//! Calls below calls, tools and agents: what a review found to be counted wrongly, as small as it gets, in every order of delivery.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use aggregate::{Record, Settings, SettleSettings};
use common::driver::{Driver, SECOND, settings};
use common::orders::{Sums, counted, sums};
use common::spans::{Made, agent, call, other, request};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use spanmill_aggregate as aggregate;

const APPLICATION_PROFILE: &str = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123";
const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

fn check(cases: &[(&str, Vec<Made>, Sums)]) {
    // Made hundreds of times: what is allocated for many spans would be most of the work.
    let settle = SettleSettings { memory: 1 << 20, ..settings(100).settle };
    let small = Settings { settle, ..settings(100) };
    let wrong: Vec<String> = cases
        .iter()
        .map(|(name, spans, expected)| (name, counted(&small, spans), expected))
        .filter(|(_, sums, expected)| sums != *expected)
        .map(|(name, sums, expected)| format!("{name}: {sums:?} in place of {expected:?}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A span of a tool.
fn tool(id: u8) -> Made {
    other(id).with("gen_ai.operation.name", "execute_tool").with("gen_ai.tool.name", "judge")
}

fn embeddings(id: u8) -> Made {
    call(id, "sdk").with("gen_ai.operation.name", "embeddings").with("gen_ai.request.model", "text-embedding-3-small")
}

fn answered(made: Made, id: &str) -> Made {
    made.with("gen_ai.response.id", id)
}

fn of_model(made: Made, model: &str) -> Made {
    made.with("gen_ai.request.model", model)
}

// A child of another library is a call of its own if the provider's ids and all that was used differ. An id that a library
// invents, or an output that it counts otherwise, makes none.
#[test]
fn a_judge_directly_below_a_call() {
    let outer = answered(call(1, "framework").using(500, 50), "chatcmpl-a");
    let inner = |id, input, output| answered(call(2, "sdk").under(1).during(600, 900).using(input, output), id);
    let cached = |mut made: Made| {
        made.set("gen_ai.usage.cache_read.input_tokens", Value::IntValue(64));
        made
    };
    check(&[
        ("ids and usage differ", vec![outer.clone(), inner("chatcmpl-b", 50, 5)], (2, 0, 550, 55)),
        ("an invented id", vec![outer.clone(), inner("msg_b", 500, 50)], (1, 0, 500, 50)),
        ("an invented id, an output that is one off", vec![outer.clone(), inner("msg_b", 500, 49)], (1, 0, 500, 49)),
        (
            "an invented id, cached input left out",
            vec![outer.clone(), cached(inner("msg_b", 436, 49))],
            (1, 0, 436, 49),
        ),
        ("invented usage", vec![outer, inner("chatcmpl-a", 50, 5)], (1, 0, 50, 5)),
    ]);
}
