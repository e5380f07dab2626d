//! What is counted is what happened, as truth.json tells it.

use std::collections::BTreeSet;

use spanmill_tests::{Client, CorpusClient, Setup, Spanmill, Totals, corpus, rows, run};

fn replay(client: &CorpusClient) -> Totals {
    let output = run(&["replay", "--format", "json", client.directory.to_str().unwrap()]);
    assert!(output.status.success(), "{}: {}", client.name, String::from_utf8_lossy(&output.stderr));
    Totals::from_json(&output.stdout)
}

/// Counts a client's files as a server would that merges what nothing links.
fn replay_merging_unlinked(client: &CorpusClient) -> Totals {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("spanmill.yaml");
    std::fs::write(&config, "derive: { merge_unlinked_duplicates: true }\n").unwrap();
    let paths = [config.to_str().unwrap(), client.directory.to_str().unwrap()];
    let output = run(&["replay", "--config", paths[0], "--format", "json", paths[1]]);
    assert!(output.status.success(), "{}: {}", client.name, String::from_utf8_lossy(&output.stderr));
    Totals::from_json(&output.stdout)
}

// With unlinked duplicates merged, requests, errors and tokens of every client, in sum and of each model, are exactly what its
// ledger says.
#[test]
fn every_client_is_exact() {
    for client in corpus() {
        assert_eq!(replay_merging_unlinked(&client), client.truth.expected, "{}", client.name);
    }
}

// As it is by default, a client without ambiguous calls is exact, and every other lies between what is expected and what counting
// each unlinked span would give.
#[test]
fn every_client_is_within_its_range() {
    let mut exact = 0;
    for client in corpus() {
        let counted = replay(&client);
        let (least, most) = (&client.truth.expected, &client.truth.expected_upper);
        exact += usize::from(counted == *least);
        let ranges = [
            (counted.requests, least.requests, most.requests),
            (counted.errors, least.errors, most.errors),
            (counted.tokens.input, least.tokens.input, most.tokens.input),
            (counted.tokens.cache_read, least.tokens.cache_read, most.tokens.cache_read),
            (counted.tokens.cache_write, least.tokens.cache_write, most.tokens.cache_write),
            (counted.tokens.output, least.tokens.output, most.tokens.output),
            (counted.tokens.reasoning, least.tokens.reasoning, most.tokens.reasoning),
        ];
        let is_within = ranges.iter().all(|(counted, least, most)| (least..=most).contains(&counted));
        assert!(is_within, "{}: {counted:?}\nexpected {least:?}\nto {most:?}", client.name);
    }
    assert!(exact >= 19, "{exact} clients are exact");
}

// No agent, chain, tool or HTTP span is counted: the archive names each span that was.
#[tokio::test(flavor = "multi_thread")]
async fn only_llm_spans_are_counted() {
    let spanmill = Spanmill::start(&Setup::default());
    let sender = Client::grpc(spanmill.addresses);
    let clients = corpus();
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
