//! Spans that are handed on with what they mean and what became of them.

use std::collections::BTreeMap;
use std::net::TcpListener;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use spanmill_tests::{
    Backend, Client, Destination, ModelTotals, Payload, Setup, Signal, Spanmill, Tokens, corpus, eventually,
};

use super::DURABLE;
use crate::corpus::replayed;
use crate::spans::{call, payload};

const ENRICH: &str = "enrich: true";

/// Spans with the name of their service, in order.
fn spans(body: &[u8]) -> Vec<(String, Span)> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let resources = request.resource_spans.into_iter().map(|resource| {
        let attributes = resource.resource.unwrap_or_default().attributes;
        (text(&attributes, "service.name"), resource.scope_spans)
    });
    resources
        .flat_map(|(service, scopes)| {
            let spans = scopes.into_iter().flat_map(|scope| scope.spans);
            spans.map(move |span| (service.clone(), span))
        })
        .collect()
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    match value(attributes, key) {
        Some(Value::StringValue(text)) => text.clone(),
        None => String::new(),
        other => panic!("{key} is {other:?}"),
    }
}

fn count(attributes: &[KeyValue], key: &str) -> u64 {
    match value(attributes, key) {
        Some(Value::IntValue(count)) => (*count).try_into().unwrap(),
        None => 0,
        other => panic!("{key} is {other:?}"),
    }
}

fn dollars(attributes: &[KeyValue]) -> Option<f64> {
    match value(attributes, "spanmill.cost_usd") {
        Some(Value::DoubleValue(dollars)) => Some(*dollars),
        None => None,
        other => panic!("the cost is {other:?}"),
    }
}

/// What is counted on a span.
fn counted(attributes: &[KeyValue]) -> ModelTotals {
    ModelTotals {
        requests: u64::from(text(attributes, "spanmill.outcome") == "counted"),
        errors: 0,
        tokens: Tokens {
            input: count(attributes, "spanmill.usage.input_tokens"),
            cache_read: count(attributes, "spanmill.usage.cache_read.input_tokens"),
            cache_write: count(attributes, "spanmill.usage.cache_creation.input_tokens"),
            output: count(attributes, "spanmill.usage.output_tokens"),
            reasoning: count(attributes, "spanmill.usage.reasoning.output_tokens"),
        },
    }
}

/// All samples of a counter of dollars on a page of metrics.
fn cost(page: &str) -> f64 {
    let samples = page.lines().filter(|line| line.starts_with("spanmill_cost_total{"));
    samples.map(|line| line.split_once("} ").unwrap().1.split(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

// A destination gets the spans of the whole corpus as they came, with more attributes behind their own: outcomes on all with GenAI
// meaning, and on those that are counted tokens and costs, which add up to the metrics and, client by client, to the truth. With and
// without a log on disk, where a restart lies between spans and their outcomes.
#[tokio::test(flavor = "multi_thread")]
async fn counted_spans_add_up_to_the_metrics() {
    let clients = corpus();
    let payloads = clients.iter().flat_map(|client| &client.payloads);
    let traces: Vec<&Payload> = payloads.filter(|payload| payload.signal == Signal::Traces).collect();
    let sent: Vec<(String, Span)> = traces.iter().flat_map(|payload| spans(&payload.body)).collect();
    for wal in ["enabled: false", DURABLE] {
        let backend = Backend::http().await;
        let setup = Setup { wal, forward: ENRICH, ..Setup::with(Destination::http_with_traces(&backend)) };
        let mut spanmill = Spanmill::start(&setup);
        let client = Client::grpc(spanmill.addresses);
        for payload in &traces {
            client.send(payload).await.unwrap();
        }
        if wal == DURABLE {
            spanmill = Spanmill::start_in(spanmill.stop().directory, &setup);
        }
        spanmill.counted(replayed().requests).await;
        let cost_of_metrics = cost(&spanmill.metrics().await);
        let received = || backend.received().traces.iter().flat_map(|body| spans(body)).collect::<Vec<_>>();
        eventually("all spans", async || (received().len() >= sent.len()).then_some(())).await;
        spanmill.stop();

        let received = received();
        assert_eq!(received.len(), sent.len(), "{wal}");
        let mut by_service: BTreeMap<&str, ModelTotals> = BTreeMap::new();
        let mut dollars_of_spans = 0.0;
        for ((service, sent), (_, received)) in sent.iter().zip(&received) {
            let (theirs, added) = received.attributes.split_at(sent.attributes.len());
            assert_eq!(theirs, sent.attributes, "{wal} {service}");
            assert_eq!(&Span { attributes: sent.attributes.clone(), ..received.clone() }, sent);
            let totals = by_service.entry(service).or_default();
            let its = counted(added);
            totals.requests += its.requests;
            totals.tokens.input += its.tokens.input;
            totals.tokens.output += its.tokens.output;
            totals.tokens.cache_read += its.tokens.cache_read;
            totals.tokens.cache_write += its.tokens.cache_write;
            totals.tokens.reasoning += its.tokens.reasoning;
            let has_outcome = !text(added, "spanmill.outcome").is_empty();
            assert!(has_outcome || added.is_empty(), "{wal} {service}: {added:?}");
            assert!(its.requests == 1 || text(added, "spanmill.outcome") == "late" || dollars(added).is_none());
            dollars_of_spans += dollars(added).unwrap_or_default();
        }
        let all = by_service.values().fold(ModelTotals::default(), |sum, more| ModelTotals {
            requests: sum.requests + more.requests,
            errors: 0,
            tokens: Tokens {
                input: sum.tokens.input + more.tokens.input,
                cache_read: sum.tokens.cache_read + more.tokens.cache_read,
                cache_write: sum.tokens.cache_write + more.tokens.cache_write,
                output: sum.tokens.output + more.tokens.output,
                reasoning: sum.tokens.reasoning + more.tokens.reasoning,
            },
        });
        assert_eq!((all.requests, all.tokens), (replayed().requests, replayed().tokens), "{wal}");
        assert!(
            cost_of_metrics > 0.0 && (dollars_of_spans - cost_of_metrics).abs() < 1e-9,
            "{dollars_of_spans} {cost_of_metrics}"
        );
        for client in &clients {
            let (least, most) = (&client.truth.expected, &client.truth.expected_upper);
            let its = by_service[client.name.as_str()];
            assert!((least.requests..=most.requests).contains(&its.requests), "{wal} {}: {its:?}", client.name);
            if least.tokens == most.tokens {
                assert_eq!(its.tokens, least.tokens, "{wal} {}", client.name);
            }
        }
    }
}

// Spans wait for a destination that is not there, over kills, and come with the outcomes that were theirs: one span of each call is
// counted, however often it comes. Those that were counted before they were to be enriched come too, without outcome.
#[tokio::test(flavor = "multi_thread")]
async fn outcomes_wait_for_the_destination() {
    let absent = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let present = Backend::grpc().await;
    let destination = Destination { address: absent, signals: "traces", ..Destination::grpc(&present) };
    let plain = Setup { wal: DURABLE, settle_wait: "1s", ..Setup::with(destination) };
    let setup = Setup { forward: ENRICH, ..plain.clone() };
    let calls = |ids: std::ops::RangeInclusive<u64>| payload(ids.map(|id| call(id, "gpt-4o")).collect());

    let spanmill = Spanmill::start(&plain);
    Client::grpc(spanmill.addresses).send(&calls(1..=10)).await.unwrap();
    spanmill.counted(10).await;
    let mut spanmill = Spanmill::start_in(spanmill.stop().directory, &setup);
    for kill in 1..=3_u64 {
        let client = Client::grpc(spanmill.addresses);
        client.send(&calls(kill * 100 + 1..=kill * 100 + 10)).await.unwrap();
        spanmill.counted(kill * 20).await;
        // These are not counted yet when the process is killed.
        client.send(&calls(kill * 100 + 51..=kill * 100 + 60)).await.unwrap();
        // A stop leaves a checkpoint behind what the destination has not got: outcomes up to it are not made again.
        let directory = if kill == 2 { spanmill.stop().directory } else { spanmill.kill() };
        spanmill = Spanmill::start_in(directory, &setup);
    }
    spanmill.counted(70).await;
    let late = Backend::grpc_at(absent).await;
    let outcomes = || {
        let mut outcomes: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for span in late.received().spans() {
            let id = u64::from_be_bytes(span.span_id.as_slice().try_into().unwrap());
            outcomes.entry(id).or_default().push(text(&span.attributes, "spanmill.outcome"));
        }
        outcomes
    };
    eventually("every span", async || (outcomes().len() == 70).then_some(())).await;
    let stopped = spanmill.stop();
    for (id, outcomes) in outcomes() {
        let expected = if id <= 10 { "" } else { "counted" };
        assert!(outcomes.iter().all(|outcome| outcome == expected), "{id}: {outcomes:?}\n{}", stopped.log);
    }
    assert!(stopped.log.contains("they go without outcome and cost"), "{}", stopped.log);
}
