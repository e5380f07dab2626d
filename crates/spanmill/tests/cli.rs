//! The command line: what it takes, what it prints, and how it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "cli/documented.rs"]
mod documented;
#[path = "cli/explain.rs"]
mod explain;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::Value;
use tempfile::TempDir;

fn spanmill(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spanmill"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("OTEL_")) {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    assert!(output.status.success(), "{}\n{}", output.status, stderr(output));
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// Whether a command failed with `code`, and said all of `words` in one line.
#[track_caller]
fn assert_fails(output: &Output, code: i32, words: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    let is_told = said.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(is_told, "no line with {words:?} in:\n{said}");
}

fn corpus(client: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus").join(client)
}

fn expected(client: &str) -> Value {
    let truth: Value = serde_json::from_slice(&std::fs::read(corpus(client).join("truth.json")).unwrap()).unwrap();
    truth["expected"].clone()
}

fn file(directory: &TempDir, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The seven counts of the last line of a table, which sums up; however the table is drawn.
fn sums(table: &str) -> Vec<&str> {
    let words = |line| str::split(line, |c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let sums = table.lines().find(|line| words(line).next() == Some("all"));
    words(sums.unwrap_or_else(|| panic!("no line of sums in:\n{table}"))).skip(1).take(7).collect()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

// Nothing to configure is a configuration, and what it comes to is one as well.
#[test]
fn check_config_prints_what_is_in_effect() {
    let directory = tempfile::tempdir().unwrap();
    let empty = spanmill(&["check-config", &file(&directory, "empty.yaml", "")]);
    let effective = stdout(&empty);
    assert!(effective.contains("127.0.0.1:4317"), "{effective}");
    let again = spanmill(&["check-config", &file(&directory, "effective.yaml", effective)]);
    assert_eq!(stdout(&again), effective);
}

// The annotated configuration that ships says nothing but the defaults.
#[test]
fn the_shipped_configuration_is_the_defaults() {
    let directory = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/spanmill.yaml");
    let shipped = spanmill(&["check-config", shipped.to_str().unwrap()]);
    let empty = spanmill(&["check-config", &file(&directory, "empty.yaml", "")]);
    assert_eq!(stdout(&shipped), stdout(&empty));
}

// An unknown key, a bad value and what is not supported yet are refused with exit code 64, their line and their key.
#[test]
fn check_config_says_where_a_file_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let cases = [
        ("metrics:\n  intervall: 30s\n", "2", "intervall"),
        ("metrics:\n  semconv: \"1.41\"\n  interval: soon\n", "3", "interval"),
        ("\nstorage:\n\n  when_full: drop_oldest\n", "4", "storage.when_full"),
    ];
    for (content, line, key) in cases {
        let path = file(&directory, "bad.yaml", content);
        let output = spanmill(&["check-config", &path]);
        assert_fails(&output, 64, &[&format!("{path}:{line}"), key]);
        assert!(output.stdout.is_empty());
    }
}

// A secret is never printed.
#[test]
fn check_config_masks_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let content = "exporters:\n  otlp/x: { endpoint: \"http://127.0.0.1:1\", headers: { key: hunter2 } }\n";
    let output = spanmill(&["check-config", &file(&directory, "secret.yaml", content)]);
    assert!(stdout(&output).contains("otlp/x"));
    assert!(!stdout(&output).contains("hunter2"));
}

// A configuration that is missing or wrong does not serve.
#[test]
fn serving_with_a_bad_configuration_fails() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "bad.yaml", "receiver: {}\n");
    assert_fails(&spanmill(&["--config", &path]), 64, &[&format!("{path}:1"), "receiver"]);
    assert_fails(&spanmill(&["--config", "/does/not/exist.yaml"]), 64, &["/does/not/exist.yaml"]);
}

// A port that is taken is told, and leaves no half a server.
#[test]
fn a_taken_port_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let archive = directory.path().join("archive");
    let content = format!(
        "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: \"127.0.0.1:0\" }}, http: {{ endpoint: \"{address}\" }} }} }} }}\n\
         admin: {{ endpoint: \"127.0.0.1:0\" }}\nexporters: {{}}\narchive: {{ directory: {} }}\n",
        archive.display(),
    );
    let output = spanmill(&["--config", &file(&directory, "taken.yaml", content)]);
    assert_fails(&output, 71, &[&address, "OTLP/HTTP"]);
    assert!(output.stdout.is_empty());
    assert!(!archive.exists());
}

// A file that is not there is told with the key that names it, and what may be a secret in the wrong place is not shown.
#[test]
fn files_that_are_not_there_are_named_by_key() {
    let directory = TempDir::new().unwrap();
    let wrong = |config: &str, words: &[&str]| {
        let file = file(&directory, "c.yaml", config);
        for arguments in [vec!["check-config", &file], vec!["--config", &file]] {
            let output = spanmill(&arguments);
            assert_fails(&output, 64, words);
            assert!(!stderr(&output).contains("hush"), "{}", stderr(&output));
        }
    };
    wrong(
        "exporters:\n  otlp/a: { endpoint: \"https://localhost:1\", tls: { ca_file: nowhere.pem } }",
        &["c.yaml:2:", "exporters.otlp/a.tls.ca_file", "No such file", "nowhere.pem"],
    );
    // A token where the name of a file belongs is not shown.
    wrong(
        "admin:\n  auth: { bearer_tokens_file: hush }",
        &["c.yaml:2:", "admin.auth.bearer_tokens_file", "No such file"],
    );
    // Nor is a key in place of its file, nor are user and password of a URL, nor what tells a webhook who calls.
    wrong("admin:\n  tls: { cert_file: nowhere, key_file: \"hush\\nhush\" }", &["admin.tls.key_file", "several lines"]);
    for address in ["http://me:hush@backend:4317", "me:hush@backend", "http://me:hu/hush@backend"] {
        let config = format!("exporters: {{ otlp/a: {{ endpoint: \"{address}\" }} }}");
        wrong(&config, &["exporters.otlp/a.endpoint", "***@backend"]);
    }
    wrong("notifiers: { webhook/a: { url: \"https://hooks.example.com/a?sig=hush\" } }", &["notifiers.webhook/a.url"]);
    // Keys of the user's own name no files.
    let own = "notifiers: { alertmanager/a: { url: \"http://localhost:1\", labels: { rules_file: llm.yaml } } }";
    stdout(&spanmill(&["check-config", &file(&directory, "c.yaml", own)]));
}

// Whoever does not want to read what is printed is told so, without a panic.
#[test]
fn nobody_reads_what_is_printed() {
    let directory = TempDir::new().unwrap();
    let config = file(&directory, "c.yaml", "");
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_spanmill"));
    let output = command.args(["check-config", &config]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_fails(&output, 74, &["printing the result", "No space left"]);
}

// What is no data directory is not repaired, nor made into one.
#[test]
fn repair_of_a_wrong_directory() {
    let directory = TempDir::new().unwrap();
    let nowhere = directory.path().join("nowhere");
    assert_fails(&spanmill(&["repair", nowhere.to_str().unwrap()]), 74, &["listing", "nowhere", "No such file"]);
    assert!(!nowhere.exists());
    file(&directory, "notes.txt", "");
    let output = spanmill(&["repair", directory.path().to_str().unwrap()]);
    assert_fails(&output, 74, &["no data directory of Spanmill"]);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

// What the command line does not know it refuses, and says so.
#[test]
fn unknown_flags_are_refused() {
    assert_fails(&spanmill(&["--wal"]), 2, &["--wal"]);
    assert_fails(&spanmill(&["serv"]), 2, &["serv"]);
    assert_fails(&spanmill(&["replay"]), 2, &["PATH"]);
}

// A path that is not there is exit code 66, with its name.
#[test]
fn replay_of_a_missing_path() {
    assert_fails(&spanmill(&["replay", "/does/not/exist"]), 66, &["/does/not/exist"]);
}

// Bad data is exit code 65, with the file, and the line or what is wrong inside; nothing is printed as a result.
#[test]
fn replay_of_malformed_files() {
    let directory = tempfile::tempdir().unwrap();
    let payload = std::fs::read(corpus("otel-openai-v2").join("01.traces.binpb")).unwrap();
    let cut = file(&directory, "cut.traces.binpb", &payload[..payload.len() / 2]);
    let lines = file(&directory, "lines.jsonl", "{\"resourceSpans\":[]}\n{\"resourceSpans\":[{\"scopeSpans\":7}]}\n");
    let pretty = file(&directory, "pretty.json", "{\n  \"resourceSpans\": []\n}\n");
    let foreign = file(&directory, "notes.txt", "hello");
    for (path, words) in [
        (&cut, vec![cut.as_str(), "resource_spans"]),
        (&lines, vec!["lines.jsonl:2", "scopeSpans"]),
        (&pretty, vec!["pretty.json:1", "takes one line"]),
        (&foreign, vec!["notes.txt"]),
    ] {
        let output = spanmill(&["replay", "--format", "json", path]);
        assert_fails(&output, 65, &words);
        assert!(output.stdout.is_empty());
    }
}

// Scripts read this: exactly these keys, on every level.
#[test]
fn replay_json_has_exactly_its_keys() {
    let output = spanmill(&["replay", "--format", "json", corpus("anthropic-sdk-native").to_str().unwrap()]);
    let report: Value = serde_json::from_str(stdout(&output)).unwrap();
    let tokens = ["input", "cache_read", "cache_write", "output", "reasoning"];
    assert_eq!(keys(&report), BTreeSet::from(["requests", "errors", "tokens", "by_model"]));
    assert_eq!(keys(&report["tokens"]), BTreeSet::from(tokens));
    let models = report["by_model"].as_object().unwrap();
    assert!(!models.is_empty());
    for model in models.values() {
        assert_eq!(keys(model), BTreeSet::from_iter(tokens.into_iter().chain(["requests", "errors"])));
    }
    assert_eq!(report, expected("anthropic-sdk-native"));
}

// Nothing in, nothing counted: still a result, and a word on it, for the path may be wrong.
#[test]
fn replay_of_an_empty_directory() {
    let directory = tempfile::tempdir().unwrap();
    let output = spanmill(&["replay", "--format", "json", directory.path().to_str().unwrap()]);
    let report: Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(report["requests"], 0);
    assert_eq!(report["by_model"], serde_json::json!({}));
    assert!(stderr(&output).contains("no spans in"), "{}", stderr(&output));
    file(&directory, "notes.json", "{}");
    let output = spanmill(&["replay", directory.path().to_str().unwrap()]);
    assert!(stderr(&output).contains("passed over") && stderr(&output).contains("notes.json"), "{}", stderr(&output));
}

// The table for people names every service and model, and ends with the sum of all.
#[test]
fn replay_prints_a_table() {
    let output = spanmill(&["replay", corpus("otel-openai-v2").to_str().unwrap()]);
    let table = stdout(&output);
    assert_eq!(sums(table), ["29", "12", "2377", "0", "0", "672", "0"]);
    assert!(table.contains("gpt-4o-mini-2024-07-18"), "{table}");
    assert!(stderr(&output).is_empty(), "no progress bar without a terminal");
}

// The lines that the Collector's file exporter writes count as the protobuf does that they stand for.
#[test]
fn replay_of_json_lines() {
    let directory = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for number in 1..=3 {
        let payload = std::fs::read(corpus("otel-openai-v2").join(format!("0{number}.traces.binpb"))).unwrap();
        let request = ExportTraceServiceRequest::decode(payload.as_slice()).unwrap();
        lines += &(serde_json::to_string(&request).unwrap() + "\n");
    }
    // The exporter writes all signals into one file if it is told to.
    lines += "{\"resourceMetrics\":[]}\n\n{\"resourceLogs\":[]}\n";
    let output = spanmill(&["replay", "--format", "json", &file(&directory, "traces.jsonl", lines)]);
    let report: Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(report, expected("otel-openai-v2"));
}

// The demonstration takes no configuration, as its calls are made up: it says so instead of leaving it unread.
#[test]
fn demo_refuses_a_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let config = file(&directory, "spanmill.yaml", "metrics: { interval: 5s }");
    assert_fails(&spanmill(&["demo", "--once", "--config", &config]), 64, &["demo takes no --config", "serves"]);
}

// Dashboards ask for the names that the configuration chooses, unless the command line says others; a file is checked once.
#[test]
fn dashboards_ask_for_what_is_configured() {
    let directory = tempfile::tempdir().unwrap();
    let config = file(&directory, "spanmill.yaml", "metrics: { semconv: next }");
    let said = |more: &[&str]| stdout(&spanmill(&[&["dashboards", "grafana"][..], more].concat())).to_owned();
    let (first, next) = (said(&[]), said(&["--semconv", "next"]));
    assert_ne!(first, next);
    assert_eq!(said(&["--config", &config]), next);
    assert_eq!(said(&["--config", &config, "--semconv", "1.41"]), first);
    assert_fails(&spanmill(&["check-config", &config, "--config", &config]), 2, &["cannot be used with"]);
}

// The demonstration needs nothing, ends well, shows what its payloads come to, and leaves nothing behind.
#[test]
fn demo_shows_what_was_counted() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_spanmill"));
    let output = command
        .args(["demo", "--once"])
        .env("TMPDIR", temporary.path())
        .current_dir(temporary.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let shown = stdout(&output);
    let clients = [
        "anthropic-sdk-native",
        "otel-openai-v2",
        "openinference-old",
        "openai-agents-oinf",
        "openllmetry-0.40",
        "vercel-ai-sdk-7-legacy",
    ];
    let sum = |pointer: &str| -> u64 {
        clients.iter().map(|client| expected(client).pointer(pointer).and_then(Value::as_u64).unwrap()).sum()
    };
    let expected: Vec<String> = [
        "/requests",
        "/errors",
        "/tokens/input",
        "/tokens/cache_read",
        "/tokens/cache_write",
        "/tokens/output",
        "/tokens/reasoning",
    ]
    .map(|pointer| sum(pointer).to_string())
    .into();
    assert_eq!(sums(shown), expected, "{shown}");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "the directory is removed");
}

// A price is found as the command says, the sum is exact, and what is wrong with prices is a wrong configuration.
#[test]
fn prices_are_explained() {
    let usage = ["--input", "1000000", "--cache-read", "250000", "--output", "1"];
    let output = spanmill(&[&["prices", "openai/gpt-4o-2024-08-06", "--at", "2026-01-31"], usage.as_slice()].concat());
    let said = stdout(&output);
    for line in [
        "provider openai, model gpt-4o, by equals \"gpt-4o-2024-08-06\"",
        "input                 750000 x $2.5 / 1000000 = $1.875",
        "cache read            250000 x $1.25 / 1000000 = $0.3125",
        "output                     1 x $10 / 1000000 = $0.00001",
        "cost: $2.18751",
        "price version: genai-prices@47df840a",
    ] {
        assert!(said.lines().any(|said| said.trim() == line), "no {line:?} in:\n{said}");
    }
    let unknown = spanmill(&["prices", "no-such-model", "--input", "5"]);
    assert!(stdout(&unknown).contains("cost: unknown, no price was found"), "{}", stdout(&unknown));

    let directory = TempDir::new().unwrap();
    let overrides =
        file(&directory, "prices.yaml", "prices:\n  - match: \"*gpt-4o*\"\n    input: 0.1\n    batch_factor: 0.5\n");
    let config = file(&directory, "spanmill.yaml", format!("derive: {{ prices: {{ overrides: [{overrides:?}] }} }}"));
    let batch = spanmill(&["prices", "azure/gpt-4o", "--input", "3", "--tier", "batch", "--config", &config]);
    assert!(stdout(&batch).contains("cost: $0.00000015\n"), "{}", stdout(&batch));
    assert!(stdout(&batch).contains(&format!("override 1 of {overrides}, holds always")), "{}", stdout(&batch));

    file(&directory, "prices.yaml", "prices:\n  - match: a\n    input: -1\n");
    for command in [&["prices", "a", "--config", &config][..], &["check-config", &config]] {
        assert_fails(&spanmill(command), 64, &["prices.yaml:3:5:", "expected a price that is not negative"]);
    }
    assert_fails(&spanmill(&["prices", "a", "--at", "tomorrow"]), 2, &["expected a date or a time"]);
}

// The allocator keeps what came free for as long as src/allocator.c says, or else the environment.
#[cfg(all(unix, feature = "mimalloc"))]
#[test]
fn the_allocator_has_its_settings() {
    let option = |environment: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spanmill"));
        command.arg("--version").env_remove("MIMALLOC_PURGE_DELAY").env("MIMALLOC_VERBOSE", "1");
        let output = command.envs(environment.iter().copied()).output().unwrap();
        let told = stderr(&output).lines().find_map(|line| line.split_once("option 'purge_delay': "));
        told.map(|(_, value)| value.trim().to_owned())
    };
    assert_eq!(option(&[]).as_deref(), Some("10000"));
    assert_eq!(option(&[("MIMALLOC_PURGE_DELAY", "20")]).as_deref(), Some("20"));
}
