//! What is counted is what happened, as truth.json tells it.

use std::collections::BTreeSet;

use spanmill_tests::{Client, CorpusClient, Setup, Spanmill, Totals, corpus, rows, run};

/// Clients whose every number must be right.
const EXACT: &[&str] = &[
    "anthropic-sdk-native",
    "openai-agents-oinf",
    "openinference-old",
    "openllmetry-0.40",
    "otel-openai-v2",
    "vercel-ai-sdk-7-legacy",
];

/// Clients of other dialects, which have their turn in the next step.
const LATER: &[&str] = &["google-adk", "langsmith-otel", "logfire-pydantic-ai", "openlit", "strands-agents"];

fn replay(client: &CorpusClient) -> Totals {
    let output = run(&["replay", "--format", "json", client.directory.to_str().unwrap()]);
    assert!(output.status.success(), "{}: {}", client.name, String::from_utf8_lossy(&output.stderr));
    Totals::from_json(&output.stdout)
}

// Requests, errors and tokens, in sum and of each model, are exactly what the client's ledger says.
#[test]
fn exact_clients_are_exact_in_every_cell() {
    let clients: Vec<_> = corpus().into_iter().filter(|client| EXACT.contains(&client.name.as_str())).collect();
    assert_eq!(clients.len(), EXACT.len());
    for client in clients {
        assert_eq!(replay(&client), client.truth.expected, "{}", client.name);
    }
}

// Of every dialect that is supported, at most the LLM spans are counted.
#[test]
fn no_more_requests_than_llm_spans() {
    for client in corpus().iter().filter(|client| !LATER.contains(&client.name.as_str())) {
        let counted = replay(client).requests;
        let llm_spans = client.truth.llm_spans().len() as u64;
        assert!(counted <= llm_spans, "{}: {counted} requests of {llm_spans} LLM spans", client.name);
        assert!(counted > 0, "{}", client.name);
    }
}

// No agent, chain, tool or HTTP span is counted: the archive names each span that was.
#[tokio::test(flavor = "multi_thread")]
async fn only_llm_spans_are_counted() {
    let spanmill = Spanmill::start(&Setup::default());
    let sender = Client::grpc(spanmill.addresses);
    let clients: Vec<_> = corpus().into_iter().filter(|client| !LATER.contains(&client.name.as_str())).collect();
    for payload in clients.iter().flat_map(|client| &client.payloads) {
        sender.send(payload).await.unwrap();
    }
    let rows = rows(&spanmill.stop().archive());
    let llm_spans: BTreeSet<_> = clients.iter().flat_map(|client| client.truth.llm_spans()).collect();
    let wrong: Vec<_> = rows
        .iter()
        .filter(|row| row.is_counted() && !llm_spans.contains(row.span_id.as_str()))
        .map(|row| format!("{} {:?} of {:?}, {}", row.span_id, row.span_name, row.service, row.reason))
        .collect();
    assert!(wrong.is_empty(), "counted, but no LLM spans:\n{}", wrong.join("\n"));
}
