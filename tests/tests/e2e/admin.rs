//! Health and the error records on the admin port.

use serde_json::Value;
use spanmill_tests::{Client, Setup, Spanmill, corpus, eventually, get, get_with, run};

use crate::spans::{call, payload};

// A server that runs says that it lives and is ready; other paths are not found.
#[tokio::test(flavor = "multi_thread")]
async fn health() {
    let spanmill = Spanmill::start(&Setup::default());
    for path in ["/livez", "/readyz"] {
        let answer = get(spanmill.addresses.admin, path).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "ok\n"), "{path}");
    }
    assert_eq!(get(spanmill.addresses.admin, "/api/nothing").await.status, 404);
    let none = get(spanmill.addresses.admin, "/api/errors").await;
    assert_eq!(none.json(), serde_json::json!({ "groups": [] }));
    spanmill.stop();
}

// On this machine, without credentials, nobody asks under a name that others can give to this machine; health is told to everybody.
#[tokio::test(flavor = "multi_thread")]
async fn other_names_are_refused() {
    let spanmill = Spanmill::start(&Setup::default());
    for (path, host, status) in [
        ("/api/v1/errors", "evil.example:13133", 403),
        ("/api/errors", "evil.example", 403),
        ("/", "evil.example", 403),
        ("/livez", "spanmill.example", 200),
        ("/api/v1/errors", "localhost:13133", 200),
    ] {
        let answer = get_with(spanmill.addresses.admin, path, &[("host", host)]).await;
        assert_eq!(answer.status, status, "{path} of {host}: {}", answer.text());
    }
    spanmill.stop();
}

// The server tells of its log and its memory: how full, how far, how fast.
#[tokio::test(flavor = "multi_thread")]
async fn own_metrics() {
    let setup = Setup { wal: "enabled: true, max_size: 64MiB", archive_age: "1s", ..Setup::default() };
    let spanmill = Spanmill::start(&setup);
    let client = Client::grpc(spanmill.addresses);
    for id in 1..=10 {
        client.send(&payload(vec![call(id, "gpt-4o")])).await.unwrap();
    }
    spanmill.counted(10).await;
    let size = spanmill.sample("spanmill_wal_size", &[("in", "disk")]).await;
    assert!((1_000..100_000).contains(&size), "{size}");
    let limit = spanmill.sample("spanmill_wal_limit", &[("in", "disk")]).await;
    assert!((60 << 20..=64 << 20).contains(&limit), "{limit}");
    let limit = spanmill.sample("spanmill_wal_limit", &[("in", "memory")]).await;
    assert_eq!(limit, 64 << 20, "an eighth of the memory budget");
    for cursor in ["safe", "applied"] {
        assert!(spanmill.sample("spanmill_wal_lsn", &[("cursor", cursor)]).await >= 10, "{cursor}");
    }
    let syncs = spanmill.sample("spanmill_wal_fsync_duration_seconds_count", &[]).await;
    assert!((1..1_000).contains(&syncs), "{syncs}");
    let told = spanmill.sample("process_memory_usage_bytes", &[]).await;
    assert!((told / 2..=told * 2).contains(&spanmill.memory("VmRSS")), "{told}");
    eventually("everything is archived", async || {
        (spanmill.sample("spanmill_wal_lsn", &[("cursor", "archived")]).await >= 10).then_some(())
    })
    .await;
    spanmill.stop();
}

// Every failure of a real client is in a group, the groups add up, and a group lists records that lead to spans.
#[tokio::test(flavor = "multi_thread")]
async fn errors_are_grouped_and_lead_to_spans() {
    let spanmill = Spanmill::start(&Setup::default());
    let sender = Client::grpc(spanmill.addresses);
    let clients = corpus();
    let client = clients.iter().find(|client| client.name == "otel-openai-v2").unwrap();
    for payload in &client.payloads {
        sender.send(payload).await.unwrap();
    }
    spanmill.counted(client.truth.expected.requests).await;

    let admin = spanmill.addresses.admin;
    let all = get(admin, "/api/errors").await.json();
    let groups = all["groups"].as_array().unwrap();
    let counts: u64 = groups.iter().map(|group| group["count"].as_u64().unwrap()).sum();
    assert_eq!(counts, client.truth.expected.errors);
    let span_ids = client.truth.llm_spans();
    for group in groups {
        let name = group["group"].as_str().unwrap();
        let one = get(admin, &format!("/api/errors?group={name}")).await.json();
        assert_eq!(one["groups"], Value::Array(vec![group.clone()]));
        let records = one["records"].as_array().unwrap();
        assert_eq!(records.len() as u64, group["count"].as_u64().unwrap());
        for record in records {
            assert_eq!(record["group"], name);
            assert!(span_ids.contains(record["span_id"].as_str().unwrap()), "{record}");
        }
    }
    spanmill.stop();
}

// A group that is not there is 404, a group or a parameter that cannot be is 400.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_groups_are_not_found() {
    let spanmill = Spanmill::start(&Setup::default());
    let admin = spanmill.addresses.admin;
    assert_eq!(get(admin, "/api/errors?group=0123456789abcdef").await.status, 404);
    assert_eq!(get(admin, "/api/errors?group=xyz").await.status, 400);
    assert_eq!(get(admin, "/api/errors?grup=0123456789abcdef").await.status, 400);
    spanmill.stop();
}

// `spanmill errors` lists the groups that the running server has, and of one group its failed calls with their trace ids.
#[tokio::test(flavor = "multi_thread")]
async fn errors_are_listed_by_the_command_line() {
    let spanmill = Spanmill::start(&Setup::default());
    let sender = Client::grpc(spanmill.addresses);
    let clients = corpus();
    let client = clients.iter().find(|client| client.name == "otel-openai-v2").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("spanmill.yaml");
    std::fs::write(&config, format!("admin: {{ endpoint: {} }}\n", spanmill.addresses.admin)).unwrap();
    let errors = |more: &[&str]| {
        let arguments = [&["--config", config.to_str().unwrap(), "errors"], more].concat();
        let output = run(&arguments);
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    assert_eq!(errors(&[]), (true, "no call has failed\n".to_owned()));

    for payload in &client.payloads {
        sender.send(payload).await.unwrap();
    }
    spanmill.counted(client.truth.expected.requests).await;
    let (_, json) = errors(&["--format", "json"]);
    let answer: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(answer, get(spanmill.addresses.admin, "/api/errors").await.json());
    let (_, table) = errors(&[]);
    for group in answer["groups"].as_array().unwrap() {
        let name = group["group"].as_str().unwrap();
        let line = table.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("no {name} in {table}"));
        assert!(line.contains(group["class"].as_str().unwrap()), "{line}");
        let (_, records) = errors(&["--group", name]);
        let trace = group["trace_ids"][0].as_str().unwrap();
        assert!(records.contains(trace), "no {trace} in {records}");
    }
    let (is_success, said) = errors(&["--group", "0123456789abcdef"]);
    assert!(!is_success && said.contains("404"), "{said}");
    spanmill.stop();
}
