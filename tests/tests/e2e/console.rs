//! Page and API of the running server.

use opentelemetry_proto::tonic::trace::v1::{Status, status::StatusCode};
use serde_json::{Value, json};
use spanmill_tests::{Client, Python, Setup, Signal, Spanmill, corpus, eventually, get, post, run};

use crate::corpus::replayed;
use crate::spans::{call, payload, text};

const JSON: (&str, &str) = ("content-type", "application/json");

// What the clients of the corpus sent is what the API says and the page shows: in all, and by model.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_what_the_corpus_comes_to() {
    let spanmill = Spanmill::start(&Setup::default());
    let client = Client::grpc(spanmill.addresses);
    for payload in corpus().iter().flat_map(|client| &client.payloads).filter(|one| one.signal == Signal::Traces) {
        client.send(payload).await.unwrap();
    }
    let (truth, admin) = (replayed(), spanmill.addresses.admin);
    let told = eventually("everything is watched", async || {
        let told = get(admin, "/api/v1/overview?range=15m").await.json();
        (told["totals"]["requests"] == truth.requests).then_some(told)
    })
    .await;
    let totals = &told["totals"];
    assert_eq!(totals["failed"], truth.errors);
    let figure = |name: &str| totals["figures"][name].as_f64().unwrap();
    assert_eq!(
        (figure("input_tokens"), figure("output_tokens")),
        (truth.tokens.input as f64, truth.tokens.output as f64)
    );
    for model in told["models"].as_array().unwrap().iter().filter(|model| model["name"] != "_OTHER") {
        let expected = &truth.by_model[model["name"].as_str().unwrap()];
        assert_eq!(model["totals"]["requests"], expected.requests, "{}", model["name"]);
        assert_eq!(model["totals"]["failed"], expected.errors, "{}", model["name"]);
    }
    eventually("the page shows it", async || {
        let page = get(admin, "/?range=15m").await.text();
        let requests = format!("<data value=\"{}\">", truth.requests);
        let failed = format!("<data value=\"{}\">", truth.errors);
        (page.contains(&requests) && page.contains(&failed)).then_some(())
    })
    .await;
    assert_eq!(get(admin, "/api/v1/health").await.json()["unaccounted_spans"], 0);
    spanmill.stop();
}

// What is done to a monitor is done when that is answered, and stays so after `kill -9`.
#[tokio::test(flavor = "multi_thread")]
async fn commands_outlive_the_process() {
    let setup = Setup { wal: "enabled: true", ..Setup::default() };
    let spanmill = Spanmill::start(&setup);
    Client::grpc(spanmill.addresses).send(&payload(vec![call(1, "gpt-4o")])).await.unwrap();
    let admin = spanmill.addresses.admin;
    let created = post(admin, "/api/v1/monitors", &[JSON], json!({ "name": "mine" }).to_string()).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let again = post(admin, "/api/v1/monitors", &[JSON], json!({ "name": "mine" }).to_string()).await;
    assert_eq!((again.status.as_u16(), &again.json()["status"]), (409, &json!(409)));
    let when = json!({ "kind": "field", "field": "error_rate", "side": "above", "threshold": 0.5 });
    let alert = json!({ "name": "errors", "monitor": "mine", "when": when, "severity": "critical" });
    let objective =
        json!({ "name": "good", "monitor": "mine", "objective": { "kind": "availability" }, "target": 0.99 });
    for (path, body) in [("/api/v1/alerts", alert), ("/api/v1/slos", objective)] {
        let created = post(admin, path, &[JSON], body.to_string()).await;
        assert_eq!(created.status, 201, "{}", created.text());
    }
    let defined = async |admin| {
        let [alerts, slos] = [get(admin, "/api/v1/alerts").await.json(), get(admin, "/api/v1/slos").await.json()];
        let names =
            |told: &Value| told.as_array().unwrap().iter().map(|one| one["definition"].clone()).collect::<Vec<_>>();
        (names(&alerts["alerts"]), names(&slos))
    };
    let before = defined(admin).await;
    assert_eq!((before.0.len(), before.1.len()), (4, 1), "burn alerts come with an objective");
    assert_eq!(post(admin, "/api/v1/monitors/mine/pause", &[JSON], "{}").await.status, 204);
    let spanmill = Spanmill::start_in(spanmill.kill(), &setup);
    let monitors: Value = get(spanmill.addresses.admin, "/api/v1/monitors").await.json();
    assert_eq!((&monitors[0]["name"], &monitors[0]["state"]), (&json!("mine"), &json!("paused")));
    assert_eq!(defined(spanmill.addresses.admin).await, before);
    spanmill.stop();
}

// `spanmill monitors` and `spanmill alerts` create, list, show, pause, resume, archive and mute what the running server has, and
// say what it refuses.
#[tokio::test(flavor = "multi_thread")]
async fn monitors_are_kept_from_the_command_line() {
    let sections = "monitors: [{ name: chat, select: { model: gpt-4o } }]\n\
        alerts: [{ name: errors, monitor: chat, when: { field: error_rate, above: 0.5 } }]\n";
    let spanmill = Spanmill::start(&Setup { sections: sections.to_owned(), ..Setup::default() });
    Client::grpc(spanmill.addresses).send(&payload(vec![call(1, "gpt-4o")])).await.unwrap();
    let config = spanmill.directory().join("client.yaml");
    std::fs::write(&config, format!("admin: {{ endpoint: {} }}\n", spanmill.addresses.admin)).unwrap();
    let said = |arguments: &[&str]| {
        let output = run(&[&["--config", config.to_str().unwrap()], arguments].concat());
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let done = |arguments: &[&str]| {
        let (is_success, text) = said(arguments);
        assert!(is_success, "{arguments:?}: {text}");
        text
    };
    let json = |arguments: &[&str]| -> Value { serde_json::from_str(&done(arguments)).unwrap() };

    done(&["monitors", "create", "über all", "--service", "check*", "--window", "1h", "--preset", "llm"]);
    let admin = spanmill.addresses.admin;
    // An evaluation may come between the two.
    let listed = eventually("the command says what the API says", async || {
        let told: Value = get(admin, "/api/v1/monitors").await.json();
        (json(&["monitors", "--format", "json"]) == told).then_some(told)
    })
    .await;
    assert_eq!((&listed[1]["window"], &listed[1]["selector"]["service"]), (&json!("1h"), &json!("check*")));
    let table = done(&["monitors", "list"]);
    assert!(table.contains("chat") && table.contains("über all"), "{table}");

    for (what, state) in [("pause", "paused"), ("resume", "active"), ("archive", "archived")] {
        done(&["monitors", what, "über all"]);
        assert_eq!(json(&["monitors", "show", "über all", "--format", "json"])["monitor"]["state"], state);
    }
    done(&["monitors", "remove", "über all"]);
    // The first evaluation may come before the call is counted.
    let shown = eventually("the call is in a snapshot", async || {
        let text = done(&["monitors", "show", "chat"]);
        ["total_requests", "ordinary"].iter().all(|expected| text.contains(expected)).then_some(text)
    })
    .await;
    for expected in ["model=gpt-4o", "configured", "error_rate above 0.5"] {
        assert!(shown.contains(expected), "no {expected} in {shown}");
    }

    done(&["alerts", "mute", "chat", "--for", "2h"]);
    assert!(done(&["monitors", "show", "chat"]).contains("muted until"));
    done(&["alerts", "unmute", "chat"]);
    assert!(!done(&["monitors", "show", "chat"]).contains("muted until"));
    eventually("the command says what the API says", async || {
        let told: Value = get(admin, "/api/v1/alerts").await.json();
        (json(&["alerts", "--format", "json"]) == told).then_some(())
    })
    .await;
    assert!(done(&["alerts", "list", "--monitor", "chat"]).contains("inactive"));

    for (arguments, expected) in [
        (&["monitors", "pause", "nothing"][..], "404 Not Found: there is no monitor"),
        (&["monitors", "remove", "chat"], "409 Conflict: the monitor \"chat\" stands in the configuration"),
        (&["monitors", "create", "x", "--window", "2m"], "422"),
        (&["monitors", "create", "x", "--server-address", "api*"], "server.address must stand in derive.dimensions or"),
        (&["alerts", "mute", "chat", "--for", "30s"], "whole minutes"),
    ] {
        let (is_success, text) = said(arguments);
        assert!(!is_success && text.contains(expected), "{arguments:?}: {text}");
    }
    spanmill.stop();
}

// `/metrics` tells how many services, models, prompt versions and agents there were, and how monitors, alerts and objectives stand.
#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_metrics() {
    let sections = "monitors: [{ name: chat, minimum_requests: 1 }, { name: silent, select: { model: none } }]
alerts: [{ name: errors, monitor: chat, when: { field: error_rate, above: 0.4 }, severity: critical }]
slos: [{ name: good, monitor: chat, target: 0.5 }]
";
    let setup = Setup { sections: sections.to_owned(), settle_wait: "100ms", ..Setup::default() };
    let spanmill = Spanmill::start(&setup);
    let spans = (1..=4u64).map(|id| {
        let mut span = call(id, if id == 1 { "gpt-4o" } else { "gpt-4o-mini" });
        let named = [("gen_ai.agent.name", id % 2), ("gen_ai.prompt.name", 0), ("gen_ai.prompt.version", id % 3)];
        span.attributes.extend(named.map(|(key, number)| text(key, &number.to_string())));
        span.status = (id == 1).then(|| Status { code: StatusCode::Error as i32, ..Status::default() });
        span
    });
    Client::grpc(spanmill.addresses).send(&payload(spans.collect())).await.unwrap();
    let version = ("version", env!("CARGO_PKG_VERSION"));
    eventually("the calls are evaluated", async || {
        let healthy = spanmill.sample("spanmill_monitors", &[("health", "critical"), version]).await;
        (healthy == 1).then_some(())
    })
    .await;
    for (name, label, expected) in [
        ("spanmill_seen", ("of", "service"), 1),
        ("spanmill_seen", ("of", "model"), 2),
        ("spanmill_seen", ("of", "prompt_version"), 3),
        ("spanmill_seen", ("of", "agent"), 2),
        ("spanmill_monitors", ("health", "no_data"), 1),
        ("spanmill_monitors", ("health", "healthy"), 0),
        ("spanmill_alerts_firing", ("severity", "critical"), 0),
    ] {
        assert_eq!(spanmill.sample(name, &[label, version]).await, expected, "{name} {label:?}");
    }
    let page = spanmill.metrics().await;
    for (step, kept) in [("10s", 3_600.0), ("60s", 86_400.0), ("900s", 2_592_000.0)] {
        let is_it = |line: &&str| {
            line.starts_with("spanmill_history_reach_seconds{") && line.contains(&format!("step=\"{step}\""))
        };
        let reach: f64 = page.lines().find(is_it).unwrap().rsplit_once(' ').unwrap().1.parse().unwrap();
        let step: f64 = step.trim_end_matches('s').parse().unwrap();
        assert!((kept..kept + step).contains(&reach), "{step}: {reach}");
    }
    let left = page.lines().find(|line| line.starts_with("spanmill_slo_budget_left_ratio{")).unwrap();
    assert!(left.contains("slo=\"good\"") && left.ends_with(" 0.5"), "{left}");
    spanmill.stop();
}

// Statistics are as old as `metrics.statistics_interval` allows, and no older.
#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_looked_up_when_they_are_too_old() {
    for (interval, is_new) in [("1h, statistics_interval: 1h", false), ("1h, statistics_interval: 1s", true)] {
        let spanmill = Spanmill::start(&Setup { interval, settle_wait: "100ms", ..Setup::default() });
        let models = async || spanmill.sample("spanmill_seen", &[("of", "model")]).await;
        assert_eq!(models().await, 0, "they are looked up");
        Client::grpc(spanmill.addresses).send(&payload(vec![call(1, "gpt-4o")])).await.unwrap();
        spanmill.counted(1).await;
        eventually("the call is watched", async || {
            let told = get(spanmill.addresses.admin, "/api/v1/overview").await.json();
            (told["totals"]["requests"] == 1).then_some(())
        })
        .await;
        match is_new {
            true => eventually("they are looked up again", async || (models().await == 1).then_some(())).await,
            false => assert_eq!(models().await, 0, "they are not old enough"),
        }
        spanmill.stop();
    }
}

// Whatever can be asked by its description, the API answers as that says: schemathesis finds nothing. The stream of events is left
// out, as it has no end.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_is_as_described() {
    let Some(python) = Python::get() else { return };
    let sections = "monitors: [{ name: chat, select: { model: gpt-4o } }]
alerts: [{ name: errors, monitor: chat, when: { field: error_rate, above: 0.5 } }]
slos: [{ name: good, monitor: chat, target: 0.9 }]
";
    // What monitors can ask for is kept.
    let derive = "dimensions: [service.version, server.address]";
    let spanmill = Spanmill::start(&Setup { sections: sections.to_owned(), derive, ..Setup::default() });
    Client::grpc(spanmill.addresses).send(&payload(vec![call(1, "gpt-4o")])).await.unwrap();
    let admin = spanmill.addresses.admin;
    // Few, for the gate's sake.
    let asked = |name, usual: &str| std::env::var(name).unwrap_or(usual.to_owned());
    let (phases, examples) =
        (asked("SPANMILL_API_PHASES", "coverage,fuzzing,stateful"), asked("SPANMILL_API_EXAMPLES", "2"));
    let mut schemathesis = python.tool("st");
    schemathesis.current_dir(spanmill.directory()).args(["run", &format!("http://{admin}/api/v1/openapi.json")]);
    schemathesis.args(["--checks", "all", "--exclude-path", "/api/v1/events", "--phases", &phases]);
    schemathesis.args(["--max-examples", &examples, "--seed", "1", "--no-color", "--continue-on-failure"]);
    let output = tokio::task::spawn_blocking(move || schemathesis.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("passed"), "{said}");
    spanmill.stop();
}
