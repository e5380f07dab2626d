//! Cases that a review of counting once found, each of them wrong before.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use aggregate::{Outcome, Settings, SettleSettings};
use common::driver::{Driver, SECOND, START, settings};
use common::spans::{MS, Made, agent, call, request};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use prost::Message;
use spanmill_aggregate as aggregate;

type Sums = (u64, u64, u64, u64);

fn sums(driver: &Driver) -> Sums {
    let totals = driver.pipeline.report().totals;
    (totals.requests, totals.errors, totals.input(), totals.output())
}

fn id(mut made: Made, id: u32) -> Made {
    made.span.span_id = u64::from(id).to_be_bytes().to_vec();
    made
}

fn under(mut made: Made, id: u32) -> Made {
    made.span.parent_span_id = u64::from(id).to_be_bytes().to_vec();
    made
}

fn double(mut made: Made, key: &str, value: f64) -> Made {
    let value = Some(AnyValue { value: Some(any_value::Value::DoubleValue(value)) });
    made.span.attributes.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
    made
}

fn of_service(body: &bytes::Bytes, service: &str) -> bytes::Bytes {
    let mut request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let value = Some(AnyValue { value: Some(any_value::Value::StringValue(service.to_owned())) });
    request.resource_spans[0].resource.as_mut().unwrap().attributes[0].value = value;
    request.encode_to_vec().into()
}

fn each(spans: &[Made]) -> Driver {
    let mut driver = Driver::new(settings(100));
    spans.iter().for_each(|span| driver.traces(&request(std::slice::from_ref(span))));
    driver.drain();
    driver
}

// A request of more calls than may be held is counted and leaves with all of its outcomes.
#[test]
fn a_request_larger_than_the_memory_is_applied() {
    let settle = SettleSettings { memory: 1 << 20, ..settings(100).settle };
    let mut driver = Driver::new(Settings { settle, ..settings(100) });
    let spans: Vec<Made> = (1..=6000).map(|n| id(call(1, "sdk").using(10, 1), n)).collect();
    driver.traces(&request(&spans));
    driver.drain();
    assert_eq!((sums(&driver).0, driver.outcomes.len()), (6000, 6000));
}

// The same of agents.
#[test]
fn a_request_of_more_agents_than_may_be_held_is_applied() {
    let settle = SettleSettings { memory: 1 << 20, ..settings(100).settle };
    let mut driver = Driver::new(Settings { settle, ..settings(100) });
    let spans: Vec<Made> = (1..=6000).map(|n| id(agent(1).trace((n % 250) as u8 + 1).using(10, 1), n)).collect();
    driver.traces(&request(&spans));
    driver.drain();
    assert_eq!(driver.outcomes.len(), 6000);
}

// Over the bound for waiting requests the oldest calls go, and no more of them than must.
#[test]
fn over_the_bound_the_oldest_go_first() {
    let mut driver = Driver::new(Settings { pending: Some(20_000), ..settings(100) });
    let mut most = 0;
    for n in 1..=100 {
        let before = driver.pipeline.settled_early();
        driver.traces(&request(&[call(n, "sdk").trace(n).using(10, 1)]));
        most = most.max(driver.pipeline.settled_early() - before);
    }
    assert!(most <= 2, "{most} calls were counted early at once");
}

// A wrapper that shares an id with its second attempt leaves the first one alone.
#[test]
fn a_wrapper_with_the_id_of_its_second_attempt() {
    let p = call(1, "framework").during(0, 1000).using(100, 10).with("gen_ai.response.id", "r2");
    let c1 = call(2, "sdk").under(1).during(10, 300).failed();
    let c2 = call(3, "sdk").under(1).during(400, 990).using(100, 10).with("gen_ai.response.id", "r2");
    assert_eq!(sums(&each(&[p.clone(), c1.clone(), c2.clone()])), (2, 1, 100, 10), "parent first");
    assert_eq!(sums(&each(&[c2, p, c1])), (2, 1, 100, 10), "second attempt first");
}

// Ids that a server gives again (Ollama has 999) link nothing that does not happen at the same time.
#[test]
fn response_ids_that_repeat() {
    let mut driver = Driver::new(settings(100));
    for n in 0..20_u8 {
        let from = u64::from(n) * 60_000;
        let made = call(n + 1, "sdk").trace(n + 1).during(from, from + 1000).using(100 + i64::from(n), 10);
        driver.now = START + (from + 1000) * MS;
        driver.traces(&request(&[made.with("gen_ai.response.id", "chatcmpl-42")]));
    }
    driver.drain();
    assert_eq!(sums(&driver).0, 20);
}

// A gateway's span below its client's is the same call, although it is of another service.
#[test]
fn a_gateway_below_its_client() {
    let mut driver = Driver::new(settings(100));
    driver.traces(&of_service(&request(&[call(1, "sdk").using(100, 10).with("gen_ai.response.id", "x")]), "app"));
    driver.traces(&of_service(
        &request(&[call(2, "litellm").under(1).during(10, 900).using(100, 10).with("gen_ai.response.id", "x")]),
        "proxy",
    ));
    driver.drain();
    assert_eq!(sums(&driver), (1, 0, 100, 10));
}

// However many streams ask the same, each request finds its own end.
#[test]
fn many_streams_that_ask_the_same() {
    let mut driver = Driver::new(settings(100));
    for n in 0..200_u32 {
        let from = u64::from(n) * 1000;
        let trace = (n + 1) as u8;
        let base = |made: Made| {
            made.trace(trace).with("request_data", "{\"model\":\"gpt-4o\"}").named("Chat Completion with gpt-4o")
        };
        let req =
            base(id(call(1, "logfire.openai"), 2 * n + 1)).during(from, from + 100).with("logfire.span_type", "span");
        let log = base(id(call(1, "logfire.openai"), 2 * n + 2))
            .during(from + 600, from + 600)
            .with("logfire.span_type", "log");
        let log = double(log, "duration", 0.5).using(100, 10);
        driver.now = START + (from + 700) * MS;
        driver.traces(&request(&[req, log]));
    }
    driver.drain();
    assert_eq!(sums(&driver), (200, 0, 20_000, 2_000));
}

// A wrapper that comes late is late, also if its call was told by two spans.
#[test]
fn a_late_wrapper_of_a_call_told_by_two() {
    let mut driver = Driver::new(settings(100));
    let inner = call(3, "sdk").under(2).during(20, 900).using(100, 10);
    let middle = call(2, "framework").under(1).during(10, 950).using(100, 11);
    driver.traces(&request(&[inner, middle]));
    driver.now += 11 * SECOND;
    driver.traces(&request(&[call(1, "gateway").during(0, 1000).using(100, 12)]));
    driver.drain();
    assert_eq!(sums(&driver), (1, 0, 100, 10));
    assert_eq!(driver.outcomes[2].outcome, Outcome::Late);
}

// Models tell calls apart also where there is no room for their series.
#[test]
fn models_tell_calls_apart_over_the_limit() {
    let mut driver = Driver::new(settings(1));
    for n in 10..14_u8 {
        driver.traces(&request(&[call(n, "sdk").trace(n).with("gen_ai.request.model", &format!("model-x{n}x"))]));
    }
    let outer = call(1, "sdk").using(100, 10);
    let inner = call(2, "sdk2").under(1).during(10, 900).using(100, 10).with("gen_ai.request.model", "o3-mini");
    driver.traces(&request(&[outer, inner]));
    driver.drain();
    assert_eq!(sums(&driver), (6, 0, 200, 20));
}

// A merged call without a series of its own keeps the names that its span tells.
#[test]
fn names_of_merged_calls_over_the_limit() {
    let mut driver = Driver::new(settings(1));
    for n in 10..14_u8 {
        driver.traces(&request(&[call(n, "sdk").trace(n).with("gen_ai.request.model", &format!("model-x{n}x"))]));
    }
    let outer = call(1, "framework").using(100, 10);
    let inner = call(2, "sdk").under(1).during(10, 900).using(100, 10);
    driver.traces(&request(&[outer, inner]));
    driver.drain();
    let counted: Vec<_> = driver.outcomes.iter().filter_map(|outcome| outcome.merged.as_ref()).collect();
    assert_eq!(counted[0].request_model, None, "the span tells it");
}

// What a wrapper invents for a failed call costs nothing.
#[test]
fn the_invented_cost_of_a_failed_call() {
    let inner = call(2, "sdk").under(1).during(10, 900).failed();
    let wrapper = double(call(1, "framework").using(12, 34).failed(), "gen_ai.usage.cost", 0.5);
    let driver = each(&[inner, wrapper]);
    assert_eq!((sums(&driver), driver.pipeline.report().totals.cost.pico()), ((1, 1, 0, 0), 0));
}

// A wrapper and its call find each other in a large trace, whatever came first.
#[test]
fn a_wrapper_far_from_its_child() {
    let n = 600_u32;
    let parents: Vec<Made> = (1..=n)
        .map(|i| id(call(1, "framework").during(u64::from(i) * 2000, u64::from(i) * 2000 + 1000).using(100, 99), i))
        .collect();
    let children: Vec<Made> = (1..=n)
        .map(|i| {
            let from = u64::from(i) * 2000;
            under(id(call(1, "sdk").during(from + 5, from + 990).using(100, 10), 10_000 + i), i)
        })
        .collect();
    let count = |spans: &[&[Made]]| {
        let mut driver = Driver::new(settings(100));
        spans.iter().for_each(|spans| driver.traces(&request(spans)));
        driver.drain();
        sums(&driver)
    };
    assert_eq!(count(&[&children, &parents]), (600, 0, 60_000, 6_000), "children first");
    assert_eq!(count(&[&parents, &children]), (600, 0, 60_000, 6_000), "parents first");
}

// Agents whose parents nobody sent do not rule each other out.
#[test]
fn two_agents_under_parents_that_nobody_sent() {
    let agents = [agent(1).under(8).during(0, 1000).using(100, 10), agent(2).under(9).during(2000, 3000).using(50, 5)];
    assert_eq!(sums(&each(&agents)), (2, 0, 150, 15));
}

// Usage that comes after a supplied cost costs nothing more.
#[test]
fn late_usage_after_a_supplied_cost() {
    let mut driver = Driver::new(settings(100));
    driver.traces(&request(&[double(call(1, "framework"), "gen_ai.usage.cost", 0.5)]));
    driver.now += 11 * SECOND;
    driver.traces(&request(&[call(2, "sdk").under(1).during(10, 900).using(1000, 100)]));
    driver.drain();
    assert_eq!(driver.pipeline.report().totals.cost.pico(), 500_000_000_000);
}

// A supplied cost that comes late is on the metrics.
#[test]
fn a_late_supplied_cost_is_exported() {
    let mut driver = Driver::new(settings(100));
    driver.traces(&request(&[call(1, "framework")]));
    driver.now += 11 * SECOND;
    driver.traces(&request(&[double(
        call(2, "sdk").under(1).during(10, 900).using(1000, 100),
        "gen_ai.usage.cost",
        0.5,
    )]));
    driver.drain();
    let metrics = driver.pipeline.snapshot().unwrap();
    let has_cost = metrics
        .resource_metrics
        .iter()
        .flat_map(|r| &r.scope_metrics)
        .flat_map(|s| &s.metrics)
        .any(|m| m.name == "spanmill.cost");
    let row: i128 = driver.outcomes.iter().filter_map(|o| o.cost?.amount).map(|a| a.pico()).sum();
    assert_eq!((row, has_cost), (500_000_000_000, true));
}

// Of two late spans of one call one adds its usage.
#[test]
fn two_late_spans_with_the_same_id() {
    for (x, y) in [(1, 2), (2, 1)] {
        let mut driver = Driver::new(settings(100));
        let r = |made: Made| made.with("gen_ai.response.id", "r");
        driver.traces(&request(&[r(call(x, "framework")), r(call(y, "sdk").trace(2))]));
        for (n, scope) in [(3, "a"), (4, "b"), (5, "c"), (6, "d")] {
            driver.now += 11 * SECOND;
            driver.traces(&request(&[r(call(n, scope).trace(10 - n).using(100, 10))]));
        }
        driver.drain();
        assert_eq!(sums(&driver), (1, 0, 100, 10));
    }
}

// A service tier counts whichever span tells it.
#[test]
fn a_tier_told_by_the_wrapper() {
    let cost = |spans: &[Made]| each(spans).pipeline.report().totals.cost.pico();
    let tier = |made: Made| made.with("gen_ai.openai.response.service_tier", "batch");
    let sdk = call(2, "sdk").under(1).during(10, 900).using(1000, 100);
    let wrapper = call(1, "framework").using(1000, 100);
    assert_eq!(cost(&[sdk.clone(), tier(wrapper)]), cost(&[tier(sdk)]));
}
