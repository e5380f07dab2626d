//! Calls below calls, tools and agents: what a review found to be counted wrongly, as small as it gets, in every order of delivery.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use aggregate::Record;
use common::driver::{Driver, SECOND, settings};
use common::orders::{Sums, counted, sums};
use common::spans::{Made, agent, call, other, request};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use spanmill_aggregate as aggregate;

const APPLICATION_PROFILE: &str = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123";
const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";

fn check(cases: &[(&str, Vec<Made>, Sums)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(name, spans, expected)| (name, counted(&settings(100), spans), expected))
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

// Two libraries in one trace report two calls if a tool or an agent stands between them, or if they start apart without telling
// the same usage.
#[test]
fn two_libraries_that_report_two_calls() {
    let outer = call(1, "framework").during(0, 5000);
    let judge = call(3, "sdk").under(2).during(100, 2900);
    let between = |made: Made| made.under(1).during(50, 3000);
    let chain = || between(other(2).with("gen_ai.operation.name", "chain"));
    let apart = |id: u8, scope, from, to| call(id, scope).under(9).during(from, to);
    check(&[
        ("below a tool", vec![outer.clone().using(500, 50), between(tool(2)), judge.clone()], (2, 0, 500, 50)),
        (
            "the outer one without usage",
            vec![outer.clone(), between(tool(2)), judge.clone().using(50, 5)],
            (2, 0, 50, 5),
        ),
        ("below an agent", vec![outer.clone(), between(agent(2)), judge.clone().using(50, 5)], (2, 0, 50, 5)),
        (
            "below a tool, equal usage",
            vec![outer.clone().using(50, 5), between(tool(2)), judge.clone().using(50, 5)],
            (2, 0, 100, 10),
        ),
        ("below a chain", vec![outer.clone(), chain(), judge.clone().using(50, 5)], (1, 0, 50, 5)),
        (
            "below a chain below a tool",
            vec![outer, between(tool(2)), chain_below(4, 2), judge.under(4).using(50, 5)],
            (2, 0, 50, 5),
        ),
        ("starts apart", vec![apart(1, "framework", 0, 9000), apart(2, "sdk", 3000, 4000).using(50, 5)], (2, 0, 50, 5)),
        ("starts near", vec![apart(1, "framework", 0, 9000), apart(2, "sdk", 200, 4000).using(50, 5)], (1, 0, 50, 5)),
        (
            "starts apart, equal usage",
            vec![apart(1, "framework", 0, 9000).using(50, 5), apart(2, "sdk", 3000, 4000).using(50, 5)],
            (1, 0, 50, 5),
        ),
    ]);
}

fn chain_below(id: u8, parent: u8) -> Made {
    other(id).with("gen_ai.operation.name", "chain").under(parent).during(60, 2950)
}

// Embeddings below an agent do not stand for what it tells to have been put out; calls of models do.
#[test]
fn embeddings_below_an_agent() {
    let below = |made: Made| vec![agent(1).using(100, 20), tool(2).under(1), made.under(2)];
    let without_output = vec![agent(1).using(7, 0), embeddings(2).under(1).using(7, 0)];
    check(&[
        ("embeddings", below(embeddings(3).using(7, 0)), (2, 0, 107, 20)),
        ("a call", below(call(3, "sdk").using(100, 20)), (1, 0, 100, 20)),
        ("an agent without output", without_output, (1, 0, 7, 0)),
    ]);
}

// An agent beside the call whose response it names tells of that one again; one that names another response, or none, does not.
#[test]
fn agents_beside_their_calls() {
    let root = || other(1).with("gen_ai.operation.name", "invoke_workflow");
    let beside = |agent: Made| {
        let call = answered(call(2, "sdk").under(1).using(100, 20), "chatcmpl-a");
        vec![root(), call, agent.under(1).using(100, 20)]
    };
    check(&[
        ("the same response", beside(answered(agent(3), "chatcmpl-a")), (1, 0, 100, 20)),
        ("another response", beside(answered(agent(3), "chatcmpl-b")), (2, 0, 200, 40)),
        ("no response", beside(agent(3)), (2, 0, 200, 40)),
    ]);
}

// So it is where they come after their agent was counted.
#[test]
fn late_embeddings_below_an_agent() {
    for (agent, expected) in [(agent(1).using(100, 20), (2, 0, 107, 20)), (agent(1).using(7, 0), (1, 0, 7, 0))] {
        let mut driver = Driver::new(settings(100));
        driver.traces(&request(&[agent]));
        driver.now += 10 * SECOND;
        driver.apply(Record::Tick);
        driver.traces(&request(&[embeddings(2).under(1).using(7, 0)]));
        driver.drain();
        assert_eq!(sums(&driver), expected);
    }
}

// Of agents below each other without a call, the outermost counts that tells at least what those below it do together.
#[test]
fn agents_below_agents() {
    let outer = |input, output| agent(1).during(0, 9000).using(input, output);
    let inner = |id, input, output| agent(id).under(2).using(input, output);
    let with_inner = |outer: Made| vec![outer, tool(2).under(1), inner(3, 100, 20)];
    let with_two = |outer: Made| vec![outer, tool(2).under(1), inner(3, 100, 20), inner(4, 150, 30)];
    let deep = vec![outer(300, 60), agent(2).under(1).using(200, 40), agent(3).under(2).using(150, 30)];
    let aside = vec![outer(300, 60), inner(2, 100, 20).under(1), call(3, "sdk").under(1).using(5, 1)];
    check(&[
        ("one below", with_inner(outer(300, 60)), (1, 0, 300, 60)),
        ("one below that tells the same", with_inner(outer(100, 20)), (1, 0, 100, 20)),
        ("one below that tells more", with_inner(outer(90, 20)), (1, 0, 100, 20)),
        ("two below", with_two(outer(300, 60)), (1, 0, 300, 60)),
        ("two below that tell more", with_two(outer(200, 60)), (2, 0, 250, 50)),
        ("three deep", deep, (1, 0, 300, 60)),
        ("a call below the outer one only", aside, (2, 0, 105, 21)),
    ]);
}

// A wrapper and what it wraps are one call, whatever Bedrock's and Azure's names for its model are.
#[test]
fn names_of_deployments() {
    let outer = |model| of_model(call(1, "framework"), model);
    let inner = |model| of_model(call(2, "sdk").under(1).during(10, 960), model);
    let wrapped = |outer: Made, inner: Made| vec![outer.using(100, 20), inner.using(100, 20)];
    let region = wrapped(outer("jp.anthropic.claude-sonnet-4-5-20250929-v1:0"), inner("claude-sonnet-4-5-20250929"));
    let both_failed = |inner: Made| vec![outer("gpt-4o").failed(), inner.failed()];
    let told = |made: Made| made.with("gen_ai.response.model", "gpt-4o-mini");
    check(&[
        ("a region of Bedrock", region, (1, 0, 100, 20)),
        ("an application's profile", wrapped(outer(APPLICATION_PROFILE), inner(CLAUDE)), (1, 0, 100, 20)),
        ("a deployment that failed", both_failed(inner("prod-chat")), (1, 1, 0, 0)),
        ("a model that failed within a while", both_failed(inner("prod-chat").during(10, 500)), (2, 2, 0, 0)),
        ("a model that answered", both_failed(told(inner("prod-chat"))), (2, 2, 0, 0)),
        ("a deployment that did not fail", wrapped(outer("gpt-4o"), inner("prod-chat")), (2, 0, 200, 40)),
    ]);
}
