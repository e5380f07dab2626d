//! The guards of counting once, on spans that the corpus lacks. Each test delivers its spans in every order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use aggregate::{Outcome, Record, Settings, SettleSettings};
use common::driver::{Driver, SECOND, settings};
use common::orders::{counted, sums};
use common::spans::{Made, agent, call, other, request};
use opentelemetry_proto::tonic::common::v1::any_value;
use spanmill_aggregate as aggregate;

fn with_unlinked() -> Settings {
    let settle = SettleSettings { merge_unlinked: true, ..settings(100).settle };
    Settings { settle, ..settings(100) }
}

// A wrapper and what it wraps are one call, also three deep; the innermost usage counts.
#[test]
fn wrappers_are_one_call() {
    let inner = call(3, "sdk").under(2).during(20, 900).using(100, 10);
    let wrapper = call(2, "framework").under(1).during(10, 950).using(100, 11);
    let outer = call(1, "gateway").during(0, 1000);
    assert_eq!(counted(&settings(100), &[inner, wrapper, outer]), (1, 0, 100, 10));
}

// A call under a call of another model, or of the same library with other usage, is a call of its own.
#[test]
fn unrelated_calls_below_a_call_count() {
    let outer = call(1, "sdk").using(100, 10);
    let other_model = call(2, "sdk2").under(1).during(10, 900).using(100, 10).with("gen_ai.request.model", "o3-mini");
    assert_eq!(counted(&settings(100), &[outer.clone(), other_model]), (2, 0, 200, 20));
    let other_usage = call(2, "sdk").under(1).during(10, 900).using(70, 7);
    assert_eq!(counted(&settings(100), &[outer.clone(), other_usage]), (2, 0, 170, 17));
    let embeddings = call(2, "sdk2").under(1).during(10, 900).with("gen_ai.operation.name", "embeddings").using(100, 0);
    assert_eq!(counted(&settings(100), &[outer.clone(), embeddings]), (2, 0, 200, 10));
    let afterwards = call(2, "sdk2").under(1).during(1100, 1200).using(100, 10);
    assert_eq!(counted(&settings(100), &[outer, afterwards]), (2, 0, 200, 20));
}

// One endpoint's answer is an embedding to one library and a completion to the other: the same usage makes it one call.
#[test]
fn an_embedding_may_be_taken_for_a_completion() {
    let outer = call(1, "http").with("gen_ai.operation.name", "text_completion").using(100, 0);
    let inner = call(2, "sdk").under(1).with("gen_ai.operation.name", "embeddings").using(100, 0);
    assert_eq!(counted(&settings(100), &[outer.clone(), inner.clone()]), (1, 0, 100, 0));
    assert_eq!(counted(&settings(100), &[outer, inner.using(99, 0)]), (2, 0, 199, 0));
}

// Of two calls under one wrapper one is the wrapper's: the one that tells the same usage, else the one that went alike.
#[test]
fn a_wrapper_wraps_one_call() {
    let wrapper = call(1, "framework").using(100, 10);
    let failed = call(2, "sdk").under(1).during(10, 300).failed();
    let retried = call(3, "sdk").under(1).during(400, 990).using(100, 10);
    assert_eq!(counted(&settings(100), &[wrapper.clone(), failed, retried]), (2, 1, 100, 10));
    let mut with_cache = call(2, "sdk").under(1).during(0, 900).using(164, 10);
    with_cache.set("gen_ai.usage.cache_read.input_tokens", any_value::Value::IntValue(64));
    let failed_later = call(3, "framework").under(1).during(910, 990).failed();
    assert_eq!(counted(&settings(100), &[wrapper.clone(), with_cache, failed_later]), (2, 1, 164, 10));
    let first = call(2, "sdk").under(1).during(10, 300).using(40, 4);
    let second = call(3, "sdk").under(1).during(400, 990).using(60, 6);
    assert_eq!(counted(&settings(100), &[wrapper, first, second]), (2, 0, 100, 10));
}

// A failed call is one error, whatever the wrapper of it invents.
#[test]
fn a_failure_is_one_error_without_usage() {
    let inner = call(2, "sdk").under(1).during(10, 900).failed();
    let wrapper = call(1, "framework").using(12, 34).failed();
    assert_eq!(counted(&settings(100), &[inner, wrapper]), (1, 1, 0, 0));
}

// Two libraries in one trace are one call; parallel calls that are equal in all but their spans stay as many as they are.
#[test]
fn two_libraries_in_one_trace() {
    let pair = |id: u8, from: u64| {
        [
            call(id, "framework").under(9).during(from, from + 500).using(100, 10),
            call(id + 1, "sdk").under(9).during(from + 1, from + 499).using(100, 10),
        ]
    };
    assert_eq!(counted(&settings(100), &pair(1, 0)), (1, 0, 100, 10));
    let parallel: Vec<Made> = [pair(1, 0), pair(3, 3)].concat();
    assert_eq!(counted(&settings(100), &parallel), (2, 0, 200, 20));
    let one_library = [call(1, "sdk").under(9).using(100, 10), call(2, "sdk").under(9).using(100, 10)];
    assert_eq!(counted(&settings(100), &one_library), (2, 0, 200, 20));
}

// The provider's id links spans across traces, and only within a service.
#[test]
fn a_response_id_links_traces() {
    let framework = call(1, "framework").during(0, 900).using(100, 11).with("gen_ai.response.id", "msg_1");
    let sdk = call(2, "sdk").trace(2).during(5, 890).using(100, 10).with("gen_ai.response.id", "msg_1");
    assert_eq!(counted(&settings(100), &[framework.clone(), sdk]), (1, 0, 100, 10));
    let another = call(2, "sdk").trace(2).during(5, 890).using(100, 10).with("gen_ai.response.id", "msg_2");
    assert_eq!(counted(&settings(100), &[framework, another]), (2, 0, 200, 21));
}

// What nothing links is merged only where that is asked for, and only if the inner span has lost its context.
#[test]
fn unlinked_spans_are_merged_if_asked() {
    let framework = call(1, "framework").under(9).during(0, 900).using(100, 10);
    let sdk = call(2, "sdk").trace(2).during(5, 890).using(100, 10);
    assert_eq!(counted(&settings(100), &[framework.clone(), sdk.clone()]), (2, 0, 200, 20));
    assert_eq!(counted(&with_unlinked(), &[framework.clone(), sdk.clone()]), (1, 0, 100, 10));
    assert_eq!(counted(&with_unlinked(), &[framework.clone(), sdk.clone().under(8)]), (2, 0, 200, 20));
    assert_eq!(counted(&with_unlinked(), &[framework.clone(), sdk.clone().using(100, 9)]), (2, 0, 200, 19));
    let without_input = framework.clone().using(0, 10);
    assert_eq!(counted(&with_unlinked(), &[without_input, sdk.clone()]), (1, 0, 100, 10), "zero input tells nothing");
    let without_usage = [call(1, "framework"), call(2, "sdk").trace(2).during(5, 890)];
    assert_eq!(counted(&with_unlinked(), &without_usage), (2, 0, 0, 0), "two successes without usage");
}

// A client that sends a span again has made one call; equal ids alone prove nothing.
#[test]
fn a_repeated_span_is_one_call() {
    let span = call(1, "sdk").using(100, 10);
    assert_eq!(counted(&settings(100), &[span.clone(), span.clone(), span.clone()]), (1, 0, 100, 10));
    assert_eq!(counted(&settings(100), &[span.clone(), span.during(2000, 3000)]), (2, 0, 200, 20));
}

// An agent's usage counts if no call stands below it, and only then; of nested agents one counts.
#[test]
fn an_agent_counts_for_calls_that_nobody_reports() {
    let outer = agent(1).using(100, 10);
    assert_eq!(counted(&settings(100), std::slice::from_ref(&outer)), (1, 0, 100, 10));
    let inner = agent(2).under(1).using(60, 6);
    assert_eq!(counted(&settings(100), &[outer.clone(), inner]), (1, 0, 100, 10));
    let through_others = [outer.clone(), other(2).under(1), other(3).under(2), call(4, "sdk").under(3)];
    assert_eq!(counted(&settings(100), &through_others), (1, 0, 0, 0), "the call has no usage, and is there");
    let aside = [agent(1).under(9).using(100, 10), call(2, "sdk").under(9).using(5, 1)];
    assert_eq!(counted(&settings(100), &aside), (2, 0, 105, 11));
    let unknown_parent = [agent(1).using(100, 10), call(2, "sdk").under(7).using(5, 1)];
    assert_eq!(counted(&settings(100), &unknown_parent), (1, 0, 5, 1), "it may well stand below the agent");
}

// A span that comes after its call was counted adds usage only where none was counted, and no request.
#[test]
fn late_spans_add_only_usage_that_is_missing() {
    let late = |first: Made, second: Made| {
        let mut driver = Driver::new(settings(100));
        driver.traces(&request(&[first]));
        driver.now += 11 * SECOND;
        driver.traces(&request(&[second]));
        driver.now += 11 * SECOND;
        driver.apply(Record::Tick);
        assert_eq!(driver.outcomes.len(), 2);
        (sums(&driver), driver.outcomes[1].outcome)
    };
    let sdk = call(2, "sdk").under(1).during(10, 900);
    let wrapper = call(1, "framework");
    assert_eq!(late(sdk.clone().using(100, 10), wrapper.clone().using(100, 12)), ((1, 0, 100, 10), Outcome::Late));
    assert_eq!(late(sdk.clone(), wrapper.clone().using(100, 12)), ((1, 0, 100, 12), Outcome::Late));
    assert_eq!(late(wrapper, sdk.clone().using(100, 10)), ((1, 0, 100, 10), Outcome::Late));
    assert_eq!(late(sdk.clone(), sdk), ((1, 0, 0, 0), Outcome::Duplicate));
    let counted_agent = late(agent(1).using(100, 10), call(2, "sdk").under(1).using(100, 10));
    assert_eq!(counted_agent, ((1, 0, 100, 10), Outcome::Late));
}

// Calls wait just as long as they are told to, and what is held says so.
#[test]
fn calls_are_held_for_their_time() {
    let mut driver = Driver::new(settings(100));
    driver.traces(&request(&[call(1, "sdk").using(100, 10)]));
    driver.now += 10 * SECOND - 1;
    driver.apply(Record::Tick);
    assert_eq!((sums(&driver).0, driver.outcomes.len(), driver.pipeline.is_waiting()), (0, 0, true));
    driver.now += 1;
    driver.apply(Record::Tick);
    assert_eq!((sums(&driver).0, driver.outcomes.len(), driver.pipeline.is_waiting()), (1, 1, false));
}

// Memory for what is held has a bound: beyond it the oldest are counted early, and all of them once.
#[test]
fn too_many_calls_are_counted_early() {
    let settle = SettleSettings { memory: 1 << 20, ..settings(100).settle };
    let mut driver = Driver::new(Settings { settle, ..settings(100) });
    for number in 0..40_u8 {
        let spans: Vec<Made> =
            (1..=250_u8).map(|id| call(id, "sdk").trace(number + 1).under(251).using(10, 1)).collect();
        driver.traces(&request(&spans));
    }
    let early = driver.pipeline.settled_early();
    assert!(early > 0 && early < 10_000, "{early}");
    assert_eq!(sums(&driver).0, early);
    driver.drain();
    assert_eq!(sums(&driver), (10_000, 0, 100_000, 10_000));
    assert_eq!(driver.outcomes.len(), 10_000);
}

// Requests that wait for outcomes have a bound as well, and leave in the order in which they came.
#[test]
fn requests_wait_within_a_bound() {
    let mut driver = Driver::new(Settings { pending: Some(10_000), ..settings(100) });
    for id in 1..=100 {
        driver.traces(&request(&[call(id, "sdk").trace(id).using(10, 1)]));
    }
    let decided = driver.outcomes.len();
    assert!((50..100).contains(&decided), "{decided}");
    driver.drain();
    let ids: Vec<u8> = driver.outcomes.iter().map(|outcome| outcome.counted_span_id[0]).collect();
    assert_eq!(ids, (1..=100).collect::<Vec<u8>>());
}

// What merged spans would have added is known: their own cost, whatever the call is counted with; what was sent again and what counts is
// not among it.
#[test]
fn what_merging_saves() {
    let inner = call(3, "sdk").under(2).during(20, 900).using(100, 10);
    let wrapper = call(2, "framework").under(1).during(10, 950).using(300, 30).with("gen_ai.provider.name", "openai");
    let cost_of = |spans: &[Made]| {
        let mut driver = Driver::new(settings(100));
        driver.traces(&request(spans));
        driver.traces(&request(spans));
        driver.drain();
        (driver.pipeline.report().totals.cost, driver.pipeline.saved())
    };
    let (alone, nothing) = cost_of(std::slice::from_ref(&inner));
    let (dear, _) = cost_of(std::slice::from_ref(&wrapper));
    let (counted, saved) = cost_of(&[inner, wrapper.clone(), call(1, "gateway").during(0, 1000)]);
    assert_eq!((nothing.spans, nothing.cost), (0, genai::Money::ZERO));
    assert_eq!((counted, dear.pico()), (alone, 3 * alone.pico()));
    assert_eq!((saved.spans, saved.cost), (2, dear), "the gateway's span tells no usage");
}
