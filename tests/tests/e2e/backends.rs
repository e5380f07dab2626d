//! Prometheus, Alertmanager and VictoriaMetrics: what they store of the corpus, and what the dashboard and the rules make of it. And
//! Collectors, before and behind Spanmill; and Arize Phoenix, which gets the traces.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use spanmill_tests::{
    Addresses, Alertmanager, Backend, Chosen, Client, Collector, Destination, ModelTotals, Payload, Phoenix, PromQl,
    Prometheus, Row, Setup, Spanmill, StoredSpan, VictoriaMetrics, corpus, eventually, rows, sample,
};

use crate::corpus::replayed;
use crate::dashboards::{CHOSEN, chosen, dashboard, directory, expected, sent};
use crate::histograms::{percentile, true_durations};

/// Panels that show nothing of what is sent, and why.
const EMPTY: &[(&str, &str)] = &[("Calls counted early", "no call is counted early while there is memory")];
/// Panels that show nothing of [`CHOSEN`], and why.
const EMPTY_WHEN_CHOSEN: &[(&str, &str)] =
    &[EMPTY[0], ("Calls without a price, by model", "the model that is chosen has a price")];
/// Panels that may show 0 when all is well.
const ZERO: &[&str] = &[
    "Request bytes held",
    "Waiting for destinations",
    "Attempts that failed and are repeated",
    "How full the log is",
    "Spans that are not accounted for",
];
const DURATION: &str = "gen_ai_client_operation_duration_seconds_bucket";

/// The queries of the Grafana dashboard by the titles of their panels, as Grafana would ask them.
fn queries(chosen: &Chosen<'_>) -> Vec<(String, String)> {
    let dashboard = dashboard("spanmill.grafana.json");
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| {
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(|target| (panel["title"].as_str().unwrap(), target["expr"].as_str().unwrap()))
    });
    targets.map(|(title, expression)| (title.to_owned(), asked(expression, chosen))).collect()
}

/// Over an hour in one step, all of every variable that is not set to a value.
fn asked(expression: &str, chosen: &Chosen<'_>) -> String {
    let mut asked = expression.to_owned();
    for (variable, value) in
        [("$__range_ms", "3600000"), ("$__interval_ms", "3600000"), ("$__range", "1h"), ("$__interval", "1h")]
    {
        asked = asked.replace(variable, value);
    }
    for (name, _) in CHOSEN {
        let value = chosen.iter().find(|(chosen, _)| chosen == name).map_or(".*", |(_, value)| value);
        asked = asked.replace(&format!("${name}"), value);
    }
    assert!(!asked.contains('$'), "{asked}");
    asked
}

/// Every query of the dashboard has data, but those of panels that are expected to show nothing. What each panel shows, added up.
async fn numbers(backend: PromQl, chosen: &Chosen<'_>, empty: &[(&str, &str)]) -> BTreeMap<String, f64> {
    let mut numbers: BTreeMap<String, f64> = BTreeMap::new();
    for (title, query) in queries(chosen) {
        let ask = async || {
            let vector = backend.query(&query).await;
            let is_shown = vector.iter().any(|element| element.value > 0.0)
                || ZERO.contains(&title.as_str()) && !vector.is_empty();
            is_shown.then_some(vector)
        };
        let vector = match empty.iter().find(|(empty, _)| *empty == title) {
            Some((_, reason)) => {
                assert_eq!(ask().await, None, "{title} shows something, though {reason}");
                continue;
            }
            // a scrape may have failed on a machine that is busy: then there is nothing for a moment
            None => eventually(&format!("{title}: {query}"), ask).await,
        };
        *numbers.entry(title).or_default() += vector.iter().map(|element| element.value).sum::<f64>();
    }
    numbers
}

/// Each variable offers the value that is chosen, and what it is set to is all that is shown.
async fn assert_variables_select(backend: PromQl) {
    let dashboard = dashboard("spanmill.grafana.json");
    let mut offered = BTreeSet::new();
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        let Some(query) = variable["query"]["query"].as_str() else { continue };
        let call = query.strip_prefix("label_values(").and_then(|query| query.strip_suffix(')')).unwrap();
        let (metric, label) = call.split_once(", ").unwrap();
        // this is how Grafana asks for them
        let values = backend.ask(&format!("/api/v1/label/{label}/values?match%5B%5D={metric}"), &[]).await;
        let (chosen, value) = CHOSEN.iter().find(|(chosen, _)| *chosen == name).unwrap();
        assert!(values.as_array().unwrap().iter().any(|offered| offered == value), "{query}: {values}");
        offered.insert(*chosen);
        let another = [(name, "another")];
        let (title, query) = queries(&another).into_iter().find(|(title, _)| title == "Requests").unwrap();
        assert_eq!(backend.query(&query).await, [], "{title} of another {name}");
    }
    assert_eq!(offered.len(), CHOSEN.len(), "{offered:?}");

    let numbers = numbers(backend, CHOSEN, EMPTY_WHEN_CHOSEN).await;
    let ModelTotals { requests, errors, tokens } = chosen();
    for (title, truth) in [
        ("Requests", requests as f64),
        ("Error rate", errors as f64 / requests as f64),
        ("Input tokens", tokens.input as f64),
        ("Output tokens", tokens.output as f64),
    ] {
        assert!((numbers[title] - truth).abs() < 1e-9, "{title} of {CHOSEN:?}: {} of {truth}", numbers[title]);
    }
}

/// Every query of the dashboard has data, and the numbers are the truth.
async fn assert_dashboard_is_true(backend: PromQl) {
    let expected = expected();
    let numbers = numbers(backend, &[], EMPTY).await;
    let (requests, errors, tokens) = (expected.requests as f64, expected.errors as f64, expected.tokens);
    let all_tokens = (tokens.input + tokens.output) as f64;
    for (title, truth) in [
        ("Input tokens", tokens.input as f64),
        ("Output tokens", tokens.output as f64),
        ("Requests", requests),
        ("Error rate", errors / requests),
        ("Cache hit share", tokens.cache_read as f64 / tokens.input as f64),
        ("Token usage by service", all_tokens),
        ("Requests by service", requests),
        ("Requests by model", requests),
        ("Tokens by model", all_tokens),
        ("Tokens by class", all_tokens),
        ("Price coverage", requests),
        ("Errors by class", errors),
    ] {
        assert!((numbers[title] - truth).abs() < 1e-9, "{title}: {} of {truth}", numbers[title]);
    }
    assert_variables_select(backend).await;
}

/// The p95 of each service that PromQL gives lies in the bucket in which the true one lies.
async fn assert_p95_is_true(backend: PromQl, rows: &[Row]) {
    let durations = true_durations(rows);
    let bounds = backend.query(&format!("count by (le) (last_over_time({DURATION}[1h]))")).await;
    let mut bounds: Vec<f64> = bounds.iter().map(|element| element.label("le").parse().unwrap()).collect();
    bounds.sort_by(f64::total_cmp);
    let (_, query) = queries(&[]).into_iter().find(|(title, _)| title == "Request duration, p95 by service").unwrap();
    let told = backend.query(&query).await;
    assert_eq!(told.len(), durations.len());
    for element in told {
        let truth = percentile(&durations[element.label("service_name")], 0.95);
        let bucket = bounds.partition_point(|bound| *bound < truth);
        let range = (if bucket == 0 { 0.0 } else { bounds[bucket - 1] })..=bounds[bucket];
        assert!(range.contains(&element.value), "{:?}: {} is not in {range:?}", element.labels, element.value);
    }
}

async fn send_corpus(addresses: Addresses) {
    send(addresses, corpus().into_iter().flat_map(|client| client.payloads)).await;
}

async fn send(addresses: Addresses, payloads: impl IntoIterator<Item = Payload>) {
    let sender = Client::grpc(addresses);
    for payload in payloads {
        sender.send(&payload).await.unwrap();
    }
}

/// The rules, evaluated as often as the server evaluates by default.
fn rules() -> String {
    let rules = std::fs::read_to_string(directory().join("spanmill.rules.yaml")).unwrap();
    rules.lines().filter(|line| !line.starts_with("  interval: ")).map(|line| format!("{line}\n")).collect()
}

// A Prometheus that scrapes Spanmill stores the truth; every query of the Grafana dashboard and of its variables finds it there, exemplars lead to spans,
// every rule is evaluated, and the alert on errors reaches Alertmanager.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_tells_the_truth() {
    let destination = Backend::grpc().await;
    let setup = Setup { interval: "5s", archive_age: "1s", ..Setup::with(Destination::grpc(&destination)) };
    let spanmill = Spanmill::start(&setup);
    let alertmanager = Alertmanager::start().await;
    let page = spanmill.addresses.prometheus;
    let Some(prometheus) = Prometheus::start(page, &rules(), alertmanager.as_ref()).await else { return };
    let promql = prometheus.promql();
    eventually("a scrape", async || promql.value("spanmill_receiver_memory_bytes").await).await;
    send(spanmill.addresses, sent()).await;
    let expected = expected();
    eventually("all is scraped", async || {
        let requests = promql.value("sum(spanmill_requests_total)").await.unwrap_or_default();
        let rows = promql.value("spanmill_archive_rows_total > 0").await;
        (requests == expected.requests as f64).then_some(rows?)
    })
    .await;
    assert_eq!(promql.totals().await, expected);
    assert_dashboard_is_true(promql).await;

    let spans = sent().into_iter().flat_map(|payload| payload.spans());
    let traces: BTreeSet<String> = spans.map(|span| hex(&span.trace_id)).collect();
    let exemplars = promql.exemplars(&format!("{DURATION}{{error_type!=\"\"}}")).await;
    assert!(!exemplars.is_empty());
    assert!(exemplars.iter().all(|exemplar| traces.contains(&exemplar["trace_id"])), "{exemplars:?}");

    let recorded = assert_rules_are_evaluated(promql).await;
    for name in recorded {
        eventually(&name, async || promql.query(&name).await.iter().any(|element| element.value > 0.0).then_some(()))
            .await;
    }
    if let Some(alertmanager) = alertmanager {
        eventually("the alert on errors", async || {
            alertmanager.alerts().await.contains(&"GenAIErrorBudgetBurnsFast".to_owned()).then_some(())
        })
        .await;
    }
    let stopped = spanmill.stop();
    assert_p95_is_true(promql, &rows(&stopped.archive())).await;
}

/// All rules have been evaluated without an error. The names of those that record.
async fn assert_rules_are_evaluated(promql: PromQl) -> Vec<String> {
    let rules = eventually("every rule is evaluated", async || {
        let data = promql.ask("/api/v1/rules", &[]).await;
        let groups = data["groups"].as_array().unwrap().iter();
        let rules: Vec<Value> = groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect();
        let failed: Vec<_> = rules.iter().filter(|rule| rule["health"] == "err").collect();
        assert!(failed.is_empty(), "{failed:?}");
        rules.iter().all(|rule| rule["health"] == "ok").then_some(rules)
    })
    .await;
    assert!(rules.len() > 20, "{} rules", rules.len());
    let recording = rules.iter().filter(|rule| rule["type"] == "recording");
    recording.map(|rule| rule["name"].as_str().unwrap().to_owned()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// A VictoriaMetrics that gets cumulative points over OTLP, under Prometheus' names, stores the truth, and every query of the Grafana
// dashboard finds it there.
#[tokio::test(flavor = "multi_thread")]
async fn victoria_metrics_tells_the_truth() {
    let Some(victoria_metrics) = VictoriaMetrics::start().await else { return };
    let endpoint = victoria_metrics.endpoint();
    let exporters = format!("otlp/vm: {{ endpoint: \"{endpoint}\", protocol: http/protobuf, signals: [metrics] }}");
    let spanmill = Spanmill::start(&Setup { exporters, interval: "3s", archive_age: "1s", ..Setup::default() });
    send(spanmill.addresses, sent()).await;
    let expected = expected();
    let promql = victoria_metrics.promql();
    eventually("all is stored", async || {
        let requests = promql.value("sum(spanmill_requests_total)").await.unwrap_or_default();
        let rows = promql.value("spanmill_archive_rows_total > 0").await;
        (requests == expected.requests as f64).then_some(rows?)
    })
    .await;
    assert_eq!(promql.totals().await, expected);
    assert_dashboard_is_true(promql).await;
    let stopped = spanmill.stop();
    assert_p95_is_true(promql, &rows(&stopped.archive())).await;
}

// A VictoriaMetrics that gets exponential histograms has every measurement, and its p95 of each service lies near the true one.
#[tokio::test(flavor = "multi_thread")]
async fn victoria_metrics_takes_exponential_histograms() {
    let Some(victoria_metrics) = VictoriaMetrics::start().await else { return };
    let endpoint = victoria_metrics.endpoint();
    let exporters = format!(
        "otlp/vm: {{ endpoint: \"{endpoint}\", protocol: http/protobuf, signals: [metrics], histograms: exponential }}"
    );
    // one interval: where a scale changes, VictoriaMetrics keeps the buckets of before
    let spanmill = Spanmill::start(&Setup { exporters, ..Setup::default() });
    send_corpus(spanmill.addresses).await;
    spanmill.counted(replayed().requests).await;
    let durations = true_durations(&rows(&spanmill.stop().archive()));
    let promql = victoria_metrics.promql();
    let count = "sum(last_over_time(gen_ai_client_operation_duration_seconds_count[1h]))";
    eventually("every measurement is stored", async || {
        promql.value(count).await.filter(|count| *count == replayed().requests as f64)
    })
    .await;
    let buckets = format!("sum by (service_name, vmrange) (last_over_time({DURATION}[1h]))");
    let told = promql.query(&format!("histogram_quantile(0.95, {buckets})")).await;
    assert_eq!(told.len(), durations.len());
    for element in told {
        let truth = percentile(&durations[element.label("service_name")], 0.95);
        assert!((element.value - truth).abs() <= 0.05 * truth, "{:?}: {} for {truth}", element.labels, element.value);
    }
}

// Between two Collectors, the one that applications send to and the one that sends on, Spanmill counts the truth, and every span comes through
// once.
#[tokio::test(flavor = "multi_thread")]
async fn between_collectors_the_truth_is_counted() {
    let backend = Backend::grpc().await;
    let Some(behind) = Collector::start(backend.address).await else { return };
    let signals = "traces, metrics, logs";
    let destination = Destination { address: behind.address(), signals, ..Destination::grpc(&backend) };
    let spanmill = Spanmill::start(&Setup { interval: "3s", ..Setup::with(destination) });
    let before = Collector::start(spanmill.addresses.grpc).await.unwrap();
    send_corpus(Addresses { grpc: before.address(), ..spanmill.addresses }).await;
    let expected = replayed();
    let spans = corpus().into_iter().flat_map(|client| client.payloads).flat_map(|payload| payload.spans());
    let mut sent: Vec<_> = spans.map(|span| (span.trace_id, span.span_id)).collect();
    eventually("all has come through", async || {
        let received = backend.received();
        let is_complete = received.totals().requests == expected.requests
            && received.error_records().count() as u64 == expected.errors
            && received.spans().len() >= sent.len();
        is_complete.then_some(())
    })
    .await;
    assert_eq!(backend.received().totals(), *expected);
    let mut came: Vec<_> = backend.received().spans().into_iter().map(|span| (span.trace_id, span.span_id)).collect();
    sent.sort_unstable();
    came.sort_unstable();
    assert!(came == sent, "{} spans came of {}", came.len(), sent.len());
    spanmill.stop();
}

// Arize Phoenix, behind Spanmill, stores every span that the applications of the corpus sent, and each once.
#[tokio::test(flavor = "multi_thread")]
async fn phoenix_stores_every_span() {
    let Some(phoenix) = Phoenix::running() else { return };
    let backend = Backend::grpc().await;
    let traces = Destination { protocol: "http/protobuf", signals: "traces", ..Destination::grpc(&backend) };
    let spanmill = Spanmill::start(&Setup::with(Destination { address: phoenix.address, ..traces }));
    send_corpus(spanmill.addresses).await;
    let spans = corpus().into_iter().flat_map(|client| client.payloads).flat_map(|payload| payload.spans());
    let sent: BTreeSet<StoredSpan> = spans.map(|span| (hex(&span.trace_id), hex(&span.span_id))).collect();
    let mut stored = Vec::new();
    // it takes its time after it has answered
    while stored.len() < sent.len() {
        let more = async || Some(phoenix.spans().await).filter(|spans| spans.len() > stored.len());
        stored = eventually("more spans are stored", more).await;
    }
    let page = spanmill.metrics().await;
    spanmill.stop();
    assert_eq!(stored.len(), sent.len());
    let stored: BTreeSet<StoredSpan> = stored.into_iter().collect();
    assert!(stored == sent, "missing: {:?}", sent.difference(&stored).collect::<Vec<_>>());
    let traces: BTreeSet<&String> = stored.iter().map(|(trace, _)| trace).collect();
    let handed_on = [("destination", "otlp/backend0"), ("signal", "traces"), ("outcome", "sent")];
    println!(
        "{} spans of {} traces, {} handed on",
        stored.len(),
        traces.len(),
        sample(&page, "spanmill_exporter_items_total", &handed_on)
    );
}
