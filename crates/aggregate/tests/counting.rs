//! One call, one count: what the corpus' clients sent comes to what their servers answered, whatever the delivery.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeMap;

use aggregate::{SettleSettings, Totals};
use bytes::Bytes;
use common::corpus::{Client, Sums, clients, more_clients};
use common::driver::{Driver, SECOND, settings};
use common::shapes::shapes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};
use prost::Message;
use spanmill_aggregate as aggregate;

/// What requests come to, each received half a second after the one before.
fn count(requests: &[Bytes], merge_unlinked: bool) -> (Totals, BTreeMap<String, Totals>) {
    let mut driver = Driver::new(aggregate::Settings {
        settle: SettleSettings { wait: 300 * SECOND, memory: 64 << 20, merge_unlinked },
        ..settings(usize::MAX)
    });
    for body in requests {
        driver.now += SECOND / 2;
        driver.traces(body);
    }
    driver.drain();
    assert_eq!(driver.outcomes.len() as u64, driver.received);
    let report = driver.pipeline.report();
    // Whoever watches each call comes to the same.
    let of_watched = |totals: &Totals| (Sums::from(totals), totals.cost);
    let [reported, watched] = [&report.by_model, &driver.watched].map(|by_model| {
        by_model.iter().map(|(model, totals)| (model.clone(), of_watched(totals))).collect::<BTreeMap<_, _>>()
    });
    assert_eq!(watched, reported);
    (report.totals, report.by_model)
}

/// Each span of a request as a request of its own.
fn one_by_one(request: &Bytes) -> Vec<Bytes> {
    let mut apart = Vec::new();
    for resource_spans in ExportTraceServiceRequest::decode(request.clone()).unwrap().resource_spans {
        for scope_spans in &resource_spans.scope_spans {
            for span in &scope_spans.spans {
                let scope_spans = vec![opentelemetry_proto::tonic::trace::v1::ScopeSpans {
                    spans: vec![span.clone()],
                    ..scope_spans.clone()
                }];
                let resource_spans = vec![opentelemetry_proto::tonic::trace::v1::ResourceSpans {
                    scope_spans,
                    ..resource_spans.clone()
                }];
                apart.push(ExportTraceServiceRequest { resource_spans }.encode_to_vec().into());
            }
        }
    }
    apart
}

// Set-ups that the corpus lacks come to what their server counted, less what no span of theirs tells (tests/clients).
#[test]
fn more_clients_are_exact() {
    let clients = more_clients();
    assert!(!clients.is_empty());
    for client in clients {
        assert_eq!(Sums::from(&count(&client.requests, true).0), client.expected.totals, "{}", client.name);
    }
}

// What libraries write that neither has comes to what it means, in whatever order its spans arrive.
#[test]
fn shapes_are_exact() {
    let mut wrong = Vec::new();
    for shape in shapes() {
        let request = shape.request();
        let (totals, by_model) = count(std::slice::from_ref(&request), false);
        if Sums::from(&totals) != shape.expected {
            wrong.push(format!("{}: {:?}\n   expected {:?}", shape.name, Sums::from(&totals), shape.expected));
        }
        if shape.model.as_ref().is_some_and(|model| by_model.keys().ne([model])) {
            wrong.push(format!("{}: counted under {:?}", shape.name, by_model.keys()));
        }
        let backwards: Vec<Bytes> = one_by_one(&request).into_iter().rev().collect();
        if count(&backwards, false).0 != totals {
            wrong.push(format!("{}: another total backwards", shape.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// With unlinked duplicates merged, every client comes to its truth in every cell, by model too.
#[test]
fn every_client_is_exact() {
    let mut wrong = Vec::new();
    for client in clients() {
        let (totals, by_model) = count(&client.requests, true);
        let by_model: BTreeMap<String, Sums> = by_model.into_iter().map(|(model, t)| (model, Sums::from(&t))).collect();
        if Sums::from(&totals) != client.expected.totals {
            wrong.push(format!("{}: {:?}\n   expected {:?}", client.name, Sums::from(&totals), client.expected.totals));
        }
        for (model, sums) in &client.expected.by_model {
            if by_model.get(model) != Some(sums) {
                wrong.push(format!("{} {model}: {:?}\n   expected {sums:?}", client.name, by_model.get(model)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// Without, every cell lies between what is expected and what counting every unlinked span would give.
#[test]
fn every_client_is_within_its_range() {
    for client in clients() {
        let sums = Sums::from(&count(&client.requests, false).0);
        let (least, most) = (client.expected.totals, client.upper.totals);
        assert!(sums.is_within(&least, &most), "{}: {sums:?}\n expected {least:?}\n to {most:?}", client.name);
    }
}

fn shuffle<T>(items: &mut [T], rng: &mut TestRng) {
    for last in (1..items.len()).rev() {
        items.swap(last, rng.next_u64() as usize % (last + 1));
    }
}

/// The ways to deliver requests that a test goes through: whatever the way, the totals are the same.
fn deliveries(client: &Client, rng: &mut TestRng) -> Vec<(&'static str, Vec<Bytes>)> {
    let in_order = client.requests.clone();
    let reversed: Vec<Bytes> = in_order.iter().rev().cloned().collect();
    let apart: Vec<Bytes> = in_order.iter().flat_map(one_by_one).collect();
    let apart_reversed: Vec<Bytes> = apart.iter().rev().cloned().collect();
    let mut shuffled = apart.clone();
    shuffle(&mut shuffled, rng);
    // Eight connections, each with its own order, whose requests come as they come.
    let mut connections: Vec<(usize, usize)> = (0..apart.len()).map(|place| (place % 8, place)).collect();
    let mut turns: Vec<usize> = connections.iter().map(|(connection, _)| *connection).collect();
    shuffle(&mut turns, rng);
    connections.sort_unstable();
    let interleaved = turns
        .iter()
        .map(|turn| {
            let next = connections.iter().position(|(connection, _)| connection == turn).unwrap();
            apart[connections.remove(next).1].clone()
        })
        .collect();
    vec![
        ("reversed", reversed),
        ("one by one", apart),
        ("one by one, reversed", apart_reversed),
        ("shuffled", shuffled),
        ("over eight connections", interleaved),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    // Every client comes to the same totals, by model too, whatever the order in which its spans are delivered.
    #[test]
    fn totals_do_not_depend_on_the_delivery(seed in any::<[u8; 32]>(), merge_unlinked in any::<bool>()) {
        let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        for client in clients() {
            let in_order = count(&client.requests, merge_unlinked);
            for (delivery, requests) in deliveries(&client, &mut rng) {
                prop_assert_eq!(count(&requests, merge_unlinked), in_order.clone(), "{}, {}", client.name, delivery);
            }
        }
    }
}
