//! The dashboards that are kept in dashboards/: their forms, and what the SigNoz one shows of the corpus.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde_json::Value;
use spanmill_tests::{
    Backend, Client, Destination, ModelTotals, Payload, Python, Setup, SigNoz, Spanmill, Tokens, Totals, corpus,
    eventually, promtool,
};

use crate::corpus::replayed;
use crate::spans::{attribute, call, number, payload, request, text};

/// dashboards/ of the repository.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards")
}

/// A dashboard of it.
pub fn dashboard(file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(directory().join(file)).unwrap()).unwrap()
}

// SigNoz' schema and Grafana's SDK take the dashboards and lose nothing of them, a PromQL parser takes every query and rule.
#[test]
fn dashboards_are_valid() {
    let Some(python) = Python::get() else { return };
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/signoz-v6-dashboard.schema.json");
    let output = python.run("dashboards.py", &[directory().to_str().unwrap(), schema.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let checked: BTreeMap<String, u32> = serde_json::from_slice(&output.stdout).unwrap();
    let least = [("signoz_panels", 39), ("grafana_queries", 43), ("rules", 20)];
    assert!(least.iter().all(|(what, count)| checked[*what] >= *count), "{checked:?}");
}

// Prometheus takes the rules, and the alerts fire when tests/rules says that they do.
#[test]
fn rules_fire_when_they_should() {
    let Some(promtool) = promtool() else { return };
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/spanmill.test.yaml");
    for (command, file) in [("check", directory().join("spanmill.rules.yaml")), ("test", tests)] {
        let output = Command::new(&promtool).args([command, "rules"]).arg(file).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    }
}

/// Panels that show nothing of what is sent, and why.
const EMPTY: &[(&str, &str)] =
    &[("settled-early", "no call is counted early while there is memory; a test of its own takes that")];
/// Panels that may show 0 when all is well.
const ZERO: &[&str] = &["receiver-memory", "exporter-queue", "retries", "log-fill", "conservation"];

/// The corpus, and what no client of it does: a service that names its environment, calls a model that no price is known for, and tells of
/// more reasoning than output.
pub fn sent() -> Vec<Payload> {
    let more = |id: u64, model: &str, attributes: Vec<_>| {
        let mut span = call(id, model);
        span.attributes.extend(attributes);
        span
    };
    let other = |id: u64, operation: &str, name: &str, kind: &str| {
        let attributes =
            vec![text("gen_ai.operation.name", operation), text(name, kind), text("error.type", "timeout")];
        Span { attributes, ..failed(id) }
    };
    let mut request = request(vec![
        more(
            1,
            "gpt-4o",
            vec![
                number("gen_ai.usage.cache_read.input_tokens", 4),
                attribute("gen_ai.request.stream", any_value::Value::BoolValue(true)),
                attribute("gen_ai.response.time_to_first_chunk", any_value::Value::DoubleValue(0.2)),
            ],
        ),
        failed(2),
        more(3, "gpt-4o", vec![number("gen_ai.usage.reasoning.output_tokens", 9)]),
        call(4, "unpriced"),
        other(5, "invoke_agent", "gen_ai.agent.name", "planner"),
        other(6, "execute_tool", "gen_ai.tool.name", "search"),
    ]);
    let resource = request.resource_spans[0].resource.as_mut().unwrap();
    resource.attributes.push(text("deployment.environment.name", "production"));
    let corpus = corpus().into_iter().flat_map(|client| client.payloads);
    corpus.chain([Payload::traces(&request)]).collect()
}

/// What of [`sent`] is left when each variable of a dashboard is set to one value.
pub const CHOSEN: &[(&str, &str)] =
    &[("service", "test"), ("environment", "production"), ("provider", "openai"), ("model", "gpt-4o")];

/// What [`CHOSEN`] leaves.
pub fn chosen() -> ModelTotals {
    ModelTotals {
        requests: 3,
        errors: 1,
        tokens: Tokens { input: 30, cache_read: 4, cache_write: 0, output: 15, reasoning: 5 },
    }
}

/// All of it.
pub fn expected() -> Totals {
    let unpriced = ModelTotals { requests: 1, errors: 0, tokens: Tokens { input: 10, output: 5, ..Tokens::default() } };
    replayed().and("gpt-4o", &chosen()).and("unpriced", &unpriced)
}

// Every panel of the SigNoz dashboard shows something of what is sent when SigNoz' rules are applied to the points that were exported, the
// numbers are the truth, and the variables select what they say, of the error records as well.
#[tokio::test(flavor = "multi_thread")]
async fn signoz_shows_the_truth() {
    let backend = Backend::grpc().await;
    let destination = Destination { temporality: "", more: "profile: signoz", ..Destination::grpc(&backend) };
    let spanmill = Spanmill::start(&Setup { interval: "1s", archive_age: "1s", ..Setup::with(destination) });
    let sender = Client::grpc(spanmill.addresses);
    for payload in sent() {
        sender.send(&payload).await.unwrap();
    }
    let expected = expected();
    spanmill.counted(expected.requests).await;
    eventually("rows are archived", async || {
        (spanmill.sample("spanmill_archive_rows_total", &[]).await > 0).then_some(())
    })
    .await;
    let page = spanmill.metrics().await;
    spanmill.stop();

    let stored = SigNoz::store(&backend.received());
    let dashboard = dashboard("spanmill.signoz.json");
    let panels = dashboard["spec"]["panels"].as_object().unwrap();
    let graphs = || panels.iter().filter(|(_, panel)| panel["spec"]["plugin"]["kind"] != "signoz/ListPanel");
    let is_shown = |name: &str, groups: &BTreeMap<Vec<String>, Vec<f64>>| {
        groups.values().flatten().any(|value| ZERO.contains(&name) || *value > 0.0)
    };
    let mut shown = BTreeMap::new();
    for (name, panel) in graphs() {
        let groups = stored.panel(panel, &[]);
        let is_empty = EMPTY.iter().any(|(empty, _)| empty == name);
        assert_eq!(is_shown(name, &groups), !is_empty, "{name}: {groups:?}");
        shown.insert(name.as_str(), groups);
    }

    let number = |name: &str| shown[name].values().flatten().sum::<f64>();
    let (requests, errors, tokens) = (expected.requests as f64, expected.errors as f64, expected.tokens);
    assert_eq!(number("input-tokens"), tokens.input as f64);
    assert_eq!(number("output-tokens"), tokens.output as f64);
    assert_eq!(number("requests"), requests);
    assert_eq!(number("error-rate"), errors / requests);
    assert_eq!(number("cache-hit-share"), tokens.cache_read as f64 / tokens.input as f64);
    for course in ["requests-over-time", "model-distribution", "price-coverage"] {
        assert_eq!(number(course), requests, "{course}");
    }
    for course in ["token-usage-over-time", "token-distribution", "token-classes"] {
        assert_eq!(number(course), (tokens.input + tokens.output) as f64, "{course}");
    }
    assert_eq!(number("errors-by-class"), errors);
    let costs = page.lines().filter(|line| line.starts_with("spanmill_cost_total{"));
    let cost: f64 = costs.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum();
    for panel in ["cost", "cost-by-model", "cost-by-service"] {
        assert!((number(panel) - cost).abs() < 1e-9 && cost > 0.0, "{panel}: {} of {cost}", number(panel));
    }

    let one = |name: &str| stored.panel(&panels[name], CHOSEN).values().flatten().sum::<f64>();
    for (name, panel) in graphs() {
        let groups = stored.panel(panel, CHOSEN);
        // the model that is chosen has a price
        let is_empty = name == "unpriced-models" || EMPTY.iter().any(|(empty, _)| empty == name);
        assert_eq!(is_shown(name, &groups), !is_empty, "{name} of {CHOSEN:?}: {groups:?}");
    }
    let ModelTotals { requests, errors, tokens } = chosen();
    let numbers = ["requests", "errors-by-class", "input-tokens", "output-tokens"].map(one);
    assert_eq!(numbers, [requests, errors, tokens.input, tokens.output].map(|number| number as f64), "{CHOSEN:?}");

    // The list asks for log records, and shows what each of them has.
    let list = &panels["error-records"];
    let listed = stored.list(list, &[]);
    assert_eq!(listed.len() as u64, expected.errors);
    let fields = list["spec"]["plugin"]["spec"]["selectFields"].as_array().unwrap();
    for field in fields.iter().filter(|field| field["fieldContext"] == "attribute") {
        let name = field["name"].as_str().unwrap();
        assert!(listed.iter().any(|record| record.contains_key(name)), "no record has {name}");
    }
    assert_eq!(stored.list(list, CHOSEN).len() as u64, errors, "{CHOSEN:?}");

    // Each variable offers the value, and each selects.
    for variable in dashboard["spec"]["variables"].as_array().unwrap() {
        let name = variable["spec"]["name"].as_str().unwrap();
        let (_, value) = CHOSEN.iter().find(|(chosen, _)| *chosen == name).unwrap();
        let values = stored.values(variable["spec"]["plugin"]["spec"]["name"].as_str().unwrap());
        assert!(values.contains(value), "{name}: {values:?}");
        assert!(stored.list(list, &[(name, "another")]).is_empty(), "{name} does not select among error records");
        assert!(
            stored.panel(&panels["requests"], &[(name, "another")]).is_empty(),
            "{name} does not select among calls"
        );
    }
}

/// A call that fails, with the tokens of one that does not.
fn failed(id: u64) -> Span {
    let mut span = call(id, "gpt-4o");
    span.attributes.push(text("error.type", "timeout"));
    Span { status: Some(Status { code: 2, ..Status::default() }), ..span }
}

/// What SigNoz shows of a backend: requests, tokens in and out, and errors.
fn shown(backend: &Backend) -> [f64; 4] {
    let stored = SigNoz::store(&backend.received());
    let dashboard = dashboard("spanmill.signoz.json");
    ["requests", "input-tokens", "output-tokens", "errors-by-class"]
        .map(|panel| stored.panel(&dashboard["spec"]["panels"][panel], &[]).values().flatten().sum())
}

// A service that lives for a minute or less shows whole in SigNoz by delta points, and not at all by cumulative ones; a service that
// comes again, and a Spanmill that does, lose nothing and double nothing.
#[tokio::test(flavor = "multi_thread")]
async fn short_lives_are_seen_in_signoz() {
    let (delta, cumulative) = (Backend::grpc().await, Backend::grpc().await);
    let destinations = [("delta", &delta), ("cumulative", &cumulative)]
        .map(|(temporality, backend)| Destination { temporality, ..Destination::grpc(backend) });
    let setup = Setup { destinations: destinations.to_vec(), interval: "1s", ..Setup::default() };

    let spanmill = Spanmill::start(&setup);
    let sender = Client::grpc(spanmill.addresses);
    sender.send(&payload(vec![call(1, "gpt-4o"), failed(2), call(3, "gpt-4o")])).await.unwrap();
    spanmill.counted(3).await;
    eventually("the first life is exported", async || (delta.received().totals().requests == 3).then_some(())).await;
    let [requests, ..] = shown(&cumulative);
    assert!(requests < 3.0, "cumulative: the first sample of a series is lost, so that of {requests} none may be seen");
    assert_eq!(shown(&delta), [3.0, 30.0, 15.0, 1.0]);

    sender.send(&payload((4..=5).map(|id| call(id, "gpt-4o")).collect())).await.unwrap();
    spanmill.counted(5).await;
    let directory = spanmill.stop().directory;
    assert_eq!(shown(&delta), [5.0, 50.0, 25.0, 1.0], "the service came again");

    let again = Spanmill::start_in(directory, &setup);
    let sender = Client::grpc(again.addresses);
    sender.send(&payload((6..=9).map(failed).collect())).await.unwrap();
    again.counted(4).await;
    again.stop();
    assert_eq!(shown(&delta), [9.0, 90.0, 45.0, 5.0], "Spanmill came again");
}

// Calls that are counted early for want of memory are counted once, and the panel that nothing else fills says how many they are.
#[tokio::test(flavor = "multi_thread")]
async fn calls_counted_early_are_seen_in_signoz() {
    const CALLS: u64 = 8_000;
    let backend = Backend::grpc().await;
    let destination = Destination { temporality: "", more: "profile: signoz", ..Destination::grpc(&backend) };
    let setup = Setup { interval: "1s", settle_wait: "60s", derive: "settle_memory: 1MiB", ..Setup::with(destination) };
    let spanmill = Spanmill::start(&setup);
    let sender = Client::grpc(spanmill.addresses);
    for first in (1..=CALLS).step_by(2_000) {
        sender.send(&payload((first..first + 2_000).map(|id| call(id, "gpt-4o")).collect())).await.unwrap();
    }
    spanmill.counted(1).await;
    let early = spanmill.sample("spanmill_settle_early_total", &[]).await;
    spanmill.stop();
    let panel = &dashboard("spanmill.signoz.json")["spec"]["panels"]["settled-early"];
    let told = SigNoz::store(&backend.received()).panel(panel, &[]).values().flatten().sum::<f64>();
    assert!(early > 0 && told >= early as f64 && told < CALLS as f64, "{told} counted early, {early} when asked");
    assert_eq!(shown(&backend)[0], CALLS as f64);
}
