//! `spanmill explain`: what it tells of spans, and that it tells what is counted.

use std::collections::BTreeMap;
use std::io::Write;

use super::*;

fn spanmill_reading(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spanmill"));
    let mut child =
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn payload(client: &str, file: &str) -> Vec<u8> {
    std::fs::read(corpus(client).join(file)).unwrap()
}

fn json_line(payload: &[u8]) -> String {
    serde_json::to_string(&ExportTraceServiceRequest::decode(payload).unwrap()).unwrap() + "\n"
}

/// The objects of spans, and the one that sums up.
fn objects(output: &Output) -> (Vec<Value>, Value) {
    let mut lines: Vec<Value> = stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let total = lines.pop().unwrap()["total"].take();
    (lines, total)
}

/// A request of one span, as JSON, with these attributes.
fn one_span(attributes: &[(&str, &str)]) -> String {
    let pair = |(key, value): &(&str, &str)| serde_json::json!({ "key": key, "value": { "stringValue": value } });
    let span = serde_json::json!({
        "traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708", "name": "chat \u{1b}[2J",
        "startTimeUnixNano": "1769860800000000000", "endTimeUnixNano": "1769860801000000000",
        "attributes": attributes.iter().map(pair).collect::<Vec<_>>(),
    });
    serde_json::json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] }).to_string()
}

// Usage that contradicts itself is said to, and how.
#[test]
fn contradictions_are_told() {
    let span = one_span(&[
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.usage.input_tokens", "10"),
        ("gen_ai.usage.output_tokens", "1"),
        ("gen_ai.usage.reasoning.output_tokens", "2"),
    ]);
    let text = spanmill_reading(&["explain", "-"], span.as_bytes());
    assert!(stdout(&text).contains(" inconsistent=reasoning_exceeds_output "), "{}", stdout(&text));
    let (spans, _) = objects(&spanmill_reading(&["explain", "--format", "json", "-"], span.as_bytes()));
    assert_eq!(spans[0]["inconsistent"], "reasoning_exceeds_output");
}

// Of every span a line says what it is, what became of it, what was counted, what it costs by which rule, and which attributes
// told it; the last one sums up.
#[test]
fn every_span_is_a_line() {
    let output = spanmill(&["explain", corpus("otel-genai-1.3b0-langchain").to_str().unwrap()]);
    let lines: Vec<&str> = stdout(&output).lines().collect();
    for words in [
        &[
            "counted(llm) model=gpt-4o-2024-08-06 input=114(input_uncached=50 cache_read=64) output=26 cost=$0.000465 (priced: ",
        ][..],
        &["(priced: provider openai, model gpt-4o, by equals \"gpt-4o-2024-08-06\"; genai-prices@47df840a) dialect<-"],
        &[
            "counted(llm) merged model=claude-sonnet-4-5 ",
            " cost=$",
            " cache_write_1h<-anthropic.usage.cache_creation.",
        ],
        &["duplicate(wrapper) under a2f6b18e90b527ef ", " error=overloaded ", " error<-error.type"],
        &["duplicate(response_id) under ", " input<-gen_ai.usage.input_tokens "],
        &["\"execute_tool get_weather\" otel_genai tool not_a_call(tool) ", " tool<-gen_ai.tool.name"],
        &["model=gpt-4o-mini error=rate_limited cost=none (usage_missing: no usage was told)"],
    ] {
        let is_told = lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(is_told, "no {words:?} in:\n{}", lines.join("\n"));
    }
    let spans = lines.len() - 1;
    assert!(lines.last().unwrap().starts_with(&format!("total spans={spans} calls=")));
}

// Protobuf and JSON lines, from a file or from standard input, are the same spans.
#[test]
fn standard_input_is_told_by_its_first_byte() {
    let directory = tempfile::tempdir().unwrap();
    let payload = payload("openinference", "01.traces.binpb");
    let lines = json_line(&payload);
    let of_file = spanmill(&["explain", corpus("openinference").join("01.traces.binpb").to_str().unwrap()]);
    assert!(stdout(&of_file).contains(" input<-llm.token_count.prompt "), "{}", stdout(&of_file));
    for other in [
        spanmill_reading(&["explain", "-"], &payload),
        spanmill_reading(&["explain", "-"], lines.as_bytes()),
        spanmill(&["explain", &file(&directory, "spans.jsonl", &lines)]),
    ] {
        assert_eq!(stdout(&other), stdout(&of_file));
    }
    assert_eq!(stdout(&spanmill_reading(&["explain", "-"], b"")).lines().count(), 1, "nothing is a sum of nothing");
}

// What is malformed is exit code 65 with its place, what is missing 66; nothing is printed as a result.
#[test]
fn malformed_input() {
    let payload = payload("otel-openai-v2", "01.traces.binpb");
    let cut = &payload[..payload.len() / 2];
    let second = json_line(&payload) + "{\"resourceSpans\":[{\"scopeSpans\":7}]}\n";
    for (input, words) in [
        (cut, ["standard input", "resource_spans"]),
        (second.as_bytes(), ["standard input:2", "scopeSpans"]),
        (b"{\"spans\":[]}", ["standard input:1", "resourceSpans"]),
    ] {
        let output = spanmill_reading(&["explain", "-"], input);
        assert_fails(&output, 65, &words);
        assert!(output.stdout.is_empty());
    }
    assert_fails(&spanmill(&["explain", "/does/not/exist"]), 66, &["/does/not/exist"]);
    assert_fails(&spanmill(&["explain"]), 2, &["FILE"]);
}

/// Dollars in pico-dollars.
fn pico(amount: &str) -> i128 {
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    format!("{whole}{part:0<12}").parse().unwrap()
}

// What the lines of all real clients say adds up to what `replay` counts: requests, errors and tokens, by model, and cost. Each
// cost at catalogue prices is the one that its rule gives.
#[test]
fn lines_add_up_to_what_is_counted() {
    for entry in std::fs::read_dir(corpus("")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let folder = folder.to_str().unwrap();
        let counted: Value = serde_json::from_str(stdout(&spanmill(&["replay", "--format", "json", folder]))).unwrap();
        let (spans, total) = objects(&spanmill(&["explain", "--format", "json", folder]));
        assert_eq!(total["spans"], spans.len(), "{folder}");

        let mut by_model: BTreeMap<String, BTreeMap<&str, u64>> = BTreeMap::new();
        let mut cost = 0;
        for span in spans.iter().filter(|span| span["outcome"] == "counted") {
            let sums = by_model.entry(span["model"].as_str().unwrap().to_owned()).or_default();
            *sums.entry("requests").or_default() += 1;
            *sums.entry("errors").or_default() += u64::from(span["error"].is_string());
            let class = |name: &str| span["tokens"][name].as_u64().unwrap_or(0);
            let (read, write, reasoning) = (class("cache_read"), class("cache_write"), class("reasoning"));
            for (name, count) in [
                ("input", class("input_uncached") + read + write),
                ("cache_read", read),
                ("cache_write", write),
                ("output", class("output_visible") + reasoning),
                ("reasoning", reasoning),
            ] {
                *sums.entry(name).or_default() += count;
            }
            cost += span["cost"]["amount"].as_str().map_or(0, pico);
            let is_priced = span["cost"]["coverage"] == "priced";
            let rule = span["cost"]["rule"].as_str().unwrap();
            assert!(!is_priced || rule.starts_with("provider "), "{folder} {span}");
        }
        assert_eq!(serde_json::to_value(&by_model).unwrap(), counted["by_model"], "{folder}");
        assert_eq!((&total["requests"], &total["errors"]), (&counted["requests"], &counted["errors"]), "{folder}");
        assert_eq!(pico(total["cost"].as_str().unwrap()), cost, "{folder}");
    }
}

// What was sent and what was answered is never printed, and what would move the cursor neither.
#[test]
fn no_prompt_is_printed() {
    let answer = r#"{"id":"chatcmpl-12345","model":"gpt-4o-2024-08-06","choices":[{"message":{"content":"hunter2"}}],
        "usage":{"prompt_tokens":5,"completion_tokens":3}}"#;
    let input = one_span(&[
        ("openinference.span.kind", "LLM"),
        ("llm.system", "openai"),
        ("input.value", r#"{"model":"gpt-4o","messages":[{"content":"hunter2"}]}"#),
        ("output.value", answer),
        ("gen_ai.input.messages", "hunter2"),
        ("gen_ai.output.messages", "hunter2"),
    ]);
    for format in ["text", "json"] {
        let output = spanmill_reading(&["explain", "--format", format, "-"], input.as_bytes());
        let said = stdout(&output);
        for word in ["gpt-4o-2024-08-06", "output.value", "input.value"] {
            assert!(said.contains(word), "no {word} in {said}");
        }
        assert!(!said.contains("hunter2") && !said.contains('\u{1b}'), "{said}");
    }
}

// What the configuration says of counting and of prices holds here, too.
#[test]
fn the_configuration_holds() {
    let directory = tempfile::tempdir().unwrap();
    let overrides = file(&directory, "prices.yaml", "prices:\n  - match: \"gpt-4o*\"\n    input: 2\n    output: 2\n");
    let content = format!("derive: {{ merge_unlinked_duplicates: true, prices: {{ overrides: [{overrides:?}] }} }}");
    let config = file(&directory, "spanmill.yaml", content);
    let client = corpus("openllmetry");
    let arguments = ["explain", "--full", client.to_str().unwrap()];
    let output = spanmill(&[&arguments[..], &["--config", &config]].concat());
    let (said, without) = (stdout(&output), spanmill(&arguments));
    assert!(
        said.contains(&format!("(priced: override 1 of {overrides}, holds always; genai-prices@47df840a+overrides#"))
    );
    assert!(said.contains(" duplicate(unlinked) under ") && !stdout(&without).contains("unlinked"));
    assert!(said.lines().all(|line| line.starts_with("total ") || line.find('/') == Some(32)), "{said}");
}

// Each evaluation is a line as well: what it says of which span, where it was read, and that one which is told twice counts once.
#[test]
fn every_evaluation_is_a_line() {
    let pair = |key: &str, value: Value| serde_json::json!({ "key": key, "value": value });
    let text = |key: &str, value: &str| pair(key, serde_json::json!({ "stringValue": value }));
    let number = |key: &str, value: f64| pair(key, serde_json::json!({ "doubleValue": value }));
    let told = serde_json::json!([
        text("gen_ai.evaluation.name", "relevance"),
        number("gen_ai.evaluation.score.value", 0.75),
        text("gen_ai.evaluation.score.label", "pass"),
        text("gen_ai.evaluation.explanation", "a secret"),
    ]);
    let ids = serde_json::json!({ "traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708" });
    let mut span = serde_json::json!({
        "name": "chat", "startTimeUnixNano": "1769860800000000000", "endTimeUnixNano": "1769860801000000000",
        "events": [{ "name": "gen_ai.evaluation.result", "timeUnixNano": "1769860800500000000", "attributes": told }],
        "attributes": [
            number("evaluations.0.evaluation.score", 0.25), text("evaluations.0.evaluation.name", "tone"),
            number("evaluations.1.evaluation.score", 0.25), text("evaluations.1.evaluation.name", "length"),
        ],
    });
    let mut record = serde_json::json!({
        "eventName": "gen_ai.evaluation.result", "timeUnixNano": "1769860800600000000", "attributes": told,
    });
    for message in [&mut span, &mut record] {
        message.as_object_mut().unwrap().extend(ids.as_object().unwrap().clone());
    }
    let lines = [
        serde_json::json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span] }] }] }),
        serde_json::json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [record] }] }] }),
    ];
    let input = lines.map(|line| line.to_string() + "\n").concat();
    let output = spanmill_reading(&["explain", "-"], input.as_bytes());
    let lines: Vec<&str> = stdout(&output).lines().skip(1).collect();
    let of = "01020304/0102030405060708 evaluation";
    let listed = |number, name| {
        let list = format!("evaluations.{number}.evaluation");
        format!("{of} counted(attributes) name={name} score=0.25 evaluation<-{list}.name score<-{list}.score")
    };
    let keys = ["name", "score.value", "score.label"].map(|key| format!("gen_ai.evaluation.{key}"));
    let [name, score, label] = &keys;
    let [in_name, in_score, in_label] = keys.each_ref().map(|key| format!("\"event gen_ai.evaluation.result {key}\""));
    let result = "name=relevance score=0.75 label=pass";
    assert_eq!(
        lines[..4],
        [
            &format!("{of} counted(event) {result} evaluation<-{in_name} score<-{in_score} label<-{in_label}"),
            &listed(0, "tone"),
            &listed(1, "length"),
            &format!("{of} repeated(log) {result} evaluation<-{name} score<-{score} label<-{label}"),
        ]
    );
    assert!(lines[4].contains(" evaluations=3"), "{}", lines[4]);
    let output = spanmill_reading(&["explain", "-", "--format", "json"], input.as_bytes());
    let (objects, total) = objects(&output);
    let repeated = objects.last().unwrap();
    assert_eq!(
        (&repeated["outcome"], &repeated["told_by"], &total["evaluations"]),
        (&"repeated".into(), &"log".into(), &3.into())
    );
    assert_eq!(repeated["sources"]["score"], serde_json::json!([score]));
    assert!(!stdout(&output).contains("secret"));
}
