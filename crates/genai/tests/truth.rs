//! Every single span of the corpus against the truth about its call.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::collections::{HashMap, HashSet};

use common::corpus::{bodies, clients, truth};
use serde_json::Value;
use spanmill_genai::{Deriver, ErrorClass, SpanFacts, Usage};

/// What a span says, without the body that its texts stand in.
struct Said {
    facts: SpanFacts,
    model: String,
    response_id: String,
    told: String,
}

fn said(client: &str) -> HashMap<String, Said> {
    let deriver = Deriver::default();
    let mut said = HashMap::new();
    for body in bodies(client) {
        for facts in deriver.derive(&body).unwrap() {
            let id = facts.span_id.iter().map(|byte| format!("{byte:02x}")).collect();
            let model = String::from_utf8_lossy(facts.model(&body)).into_owned();
            let response_id = facts.response_id.str(&body).into_owned();
            said.insert(id, Said { facts, model, response_id, told: common::line(&body, &facts) });
        }
    }
    said
}

fn rows(truth: &Value) -> &[Value] {
    truth["calls"].as_array().unwrap()
}

fn ids(row: &Value) -> Vec<&str> {
    row["span_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect()
}

/// The five kinds; nothing if the usage is no report.
fn kinds(usage: &Usage) -> Option<[u64; 5]> {
    let Usage { input, cache_read, cache_write, output, reasoning, .. } = *usage;
    usage
        .is_reported()
        .then(|| [input, cache_read, cache_write, output, reasoning].map(|kind| kind.unwrap_or(0).into()))
}

fn reported(row: &Value) -> Option<[u64; 5]> {
    let reported = row["reported"].as_object()?;
    Some(["input", "cache_read", "cache_write", "output", "reasoning"].map(|kind| reported[kind].as_u64().unwrap()))
}

// A call that one span describes is told by it completely: role, the five kinds of tokens, failure, model.
#[test]
fn spans_that_stand_alone() {
    let (mut rows_seen, mut wrong) = (0, Vec::new());
    for client in clients() {
        let (truth, said) = (truth(&client), said(&client));
        for row in rows(&truth) {
            let &[id] = ids(row).as_slice() else { continue };
            rows_seen += 1;
            let Said { facts, model, told, .. } = &said[id];
            let mut differs = Vec::new();
            if !facts.role.is_call() {
                differs.push("role".to_owned());
            }
            if kinds(&facts.usage()) != reported(row) {
                differs.push(format!("usage, expected {:?}", reported(row)));
            }
            if facts.error.is_some() != row["counted_error"].as_bool().unwrap() {
                differs.push(format!("error, expected {}", row["counted_error"]));
            }
            if Some(model.as_str()) != row["model_key"].as_str() {
                differs.push(format!("model, expected {}", row["model_key"]));
            }
            if facts.inconsistency.is_some() {
                differs.push(format!("{:?}", facts.inconsistency));
            }
            if !differs.is_empty() {
                wrong.push(format!("{client} call {}: {}\n    {told}", row["id"], differs.join("; ")));
            }
        }
    }
    assert!(rows_seen > 700, "{rows_seen} rows");
    assert!(wrong.is_empty(), "{} of {rows_seen} rows differ\n{}", wrong.len(), wrong.join("\n"));
}

// Of a call that several spans describe, each is a call, and one of them reports all that is reported, or all together do.
#[test]
fn spans_that_share_a_call() {
    let mut wrong = Vec::new();
    for client in clients() {
        let (truth, said) = (truth(&client), said(&client));
        for row in rows(&truth) {
            let ids = ids(row);
            if ids.len() < 2 {
                continue;
            }
            let spans: Vec<&Said> = ids.iter().map(|id| &said[*id]).collect();
            let mut differs = Vec::new();
            if !spans.iter().all(|span| span.facts.role.is_call()) {
                differs.push("role".to_owned());
            }
            if let Some(reported) = reported(row) {
                let has_all = spans.iter().any(|span| kinds(&span.facts.usage()) == Some(reported));
                let mut together = [0; 5];
                for kinds in spans.iter().filter_map(|span| kinds(&span.facts.usage())) {
                    for (most, kind) in together.iter_mut().zip(kinds) {
                        *most = kind.max(*most);
                    }
                }
                if !has_all && together != reported {
                    differs.push(format!("usage, expected {reported:?}"));
                }
            } else if spans.iter().all(|span| span.facts.usage().is_reported()) {
                differs.push("usage, expected none".to_owned());
            }
            let fails = spans.iter().any(|span| span.facts.error.is_some());
            if fails != row["counted_error"].as_bool().unwrap() {
                differs.push(format!("error, expected {}", row["counted_error"]));
            }
            if !spans.iter().any(|span| Some(span.model.as_str()) == row["model_key"].as_str()) {
                differs.push(format!("model, expected {}", row["model_key"]));
            }
            if !differs.is_empty() {
                let told: Vec<&str> = spans.iter().map(|span| span.told.as_str()).collect();
                wrong.push(format!("{client} call {}: {}\n    {}", row["id"], differs.join("; "), told.join("\n    ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{} rows differ\n{}", wrong.len(), wrong.join("\n"));
}

// Whatever describes no call of the truth is no call: agents, chains, tools, prompts, raw responses, HTTP.
#[test]
fn nothing_else_is_a_call() {
    let mut wrong = Vec::new();
    for client in clients() {
        let truth = truth(&client);
        let calls: HashSet<&str> = rows(&truth).iter().flat_map(ids).collect();
        for (id, said) in said(&client) {
            if said.facts.role.is_call() && !calls.contains(id.as_str()) {
                wrong.push(format!("{client}: {}", said.told));
            }
        }
    }
    assert!(wrong.is_empty(), "{} spans\n{}", wrong.len(), wrong.join("\n"));
}

// An id of an answer is that of one call: it may link spans across traces, so it must never stand on two calls.
#[test]
fn ids_of_answers_are_of_one_call() {
    for client in clients() {
        let (truth, said) = (truth(&client), said(&client));
        let mut calls: HashMap<&str, &Value> = HashMap::new();
        for row in rows(&truth) {
            for id in ids(row).into_iter().map(|id| said[id].response_id.as_str()).filter(|id| !id.is_empty()) {
                let first = calls.entry(id).or_insert(&row["id"]);
                assert_eq!(*first, &row["id"], "{client}: {id}");
            }
        }
    }
}

/// Classes that a person would give to what the server did.
fn plausible(row: &Value) -> &'static [ErrorClass] {
    match (row["outcome"].as_str().unwrap(), row["http_status"].as_u64()) {
        ("timeout", _) => &[ErrorClass::Timeout],
        ("connection_error", _) => &[ErrorClass::Connection],
        ("stream_cut", _) => &[ErrorClass::Connection],
        ("http_error", Some(400)) => {
            &[ErrorClass::ContextLength, ErrorClass::ContentFilter, ErrorClass::InvalidRequest]
        }
        ("http_error", Some(401)) => &[ErrorClass::Authentication],
        ("http_error", Some(403)) => &[ErrorClass::Permission],
        ("http_error", Some(404)) => &[ErrorClass::NotFound],
        ("http_error", Some(429)) => &[ErrorClass::RateLimited],
        ("http_error", Some(500)) => &[ErrorClass::ServerError],
        ("http_error", Some(503 | 529)) => &[ErrorClass::Overloaded],
        ("midstream_error", _) => &[ErrorClass::Overloaded, ErrorClass::ServerError],
        _ => &ErrorClass::ALL,
    }
}

// Every failure has the class that fits what happened on the server.
#[test]
fn classes_of_failures() {
    let (mut failures, mut wrong) = (0, Vec::new());
    for client in clients() {
        let (truth, said) = (truth(&client), said(&client));
        for row in rows(&truth) {
            for id in ids(row) {
                let Some(error) = said[id].facts.error else { continue };
                // LiteLLM 1.75 says that a call failed and nothing else.
                if error.kind.is_empty() && error.message.is_empty() {
                    continue;
                }
                failures += 1;
                if !plausible(row).contains(&error.class) {
                    wrong.push(format!(
                        "{client} call {} {} {}: {}",
                        row["id"], row["outcome"], row["http_status"], said[id].told
                    ));
                }
            }
        }
    }
    assert!(failures > 200, "{failures} failures");
    assert!(wrong.is_empty(), "{} of {failures} failures\n{}", wrong.len(), wrong.join("\n"));
}
