//! What is done through the API, and what is refused.
#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;
mod source;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use fixture::{END, Fixture};
use monitor::{Attribute, Config, MINUTE, SECOND};
use serde_json::{Value, json};
use source::{Told, config};

// What is wrong is refused with a status that fits and a problem that says what it is.
#[tokio::test]
async fn wrong_requests_are_problems() {
    let fixture = Fixture::new();
    let long = "x".repeat(300);
    let post = |path: &str, kind: &str, body: &str| {
        Request::post(path).header("content-type", kind).body(Body::from(body.to_owned())).unwrap()
    };
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let json = "application/json";
    let monitors = "/api/v1/monitors";
    for (request, expected) in [
        (get("/api/v1/overview?what=1"), 400),
        (get("/api/v1/overview?range=2h"), 400),
        (get("/api/v1/overview?range=1h&range=6h"), 400),
        (get("/api/v1/overview?from=0&to=18446744073709551615"), 400),
        (get("/api/v1/overview?step=0"), 400),
        (get(&format!("/api/v1/overview?service={long}")), 400),
        (get(&format!("/api/v1/overview?service={}", "x".repeat(9_000))), 414),
        (get("/api/v1/series?field=nothing"), 400),
        (get("/api/v1/series?field=cost&group_by=trace"), 400),
        (get("/api/v1/series?field=cost&limit=0"), 400),
        (get("/api/v1/errors?group=xyz"), 400),
        (get("/api/v1/errors?group=%2B1"), 400),
        (get("/api/v1/errors?class=bad"), 400),
        (get("/api/v1/errors?limit=1001"), 400),
        (get("/api/v1/alerts?limit=0"), 400),
        (get("/api/v1/monitors?x=1"), 400),
        (get("/api/v1/monitors/nope"), 404),
        (get("/api/v1/monitors/nope/drift"), 404),
        (get("/api/v1/nope"), 404),
        (Request::delete(monitors).body(Body::empty()).unwrap(), 405),
        (post(monitors, "text/plain", "{\"name\":\"a\"}"), 415),
        (post(monitors, json, "{"), 422),
        (post(monitors, json, "{\"name\":\"\"}"), 422),
        (post(monitors, json, "{\"name\":\"a\",\"window\":\"2m\"}"), 422),
        (post(monitors, json, "{\"name\":\"a\",\"preset\":\"x\"}"), 422),
        (post(monitors, json, "{\"name\":\"a\",\"colour\":1}"), 422),
        (post(monitors, json, "{\"name\":\"a\",\"thresholds\":[{\"field\":\"x\",\"warning\":1,\"critical\":2}]}"), 422),
        (
            post(monitors, json, "{\"name\":\"a\",\"thresholds\":[{\"field\":\"cost\",\"warning\":3,\"critical\":2}]}"),
            422,
        ),
        (post(monitors, json, &json!({ "name": "gpt-4o" }).to_string()), 409),
        (post(monitors, json, &json!({ "name": "a", "selector": { "model": long } }).to_string()), 422),
        (post(monitors, json, &json!({ "name": "a", "minimum_requests": 1_000_000_001 }).to_string()), 422),
        (post(monitors, json, &" ".repeat(70_000)), 413),
        (post("/api/v1/monitors/nope/pause", json, "{}"), 404),
        (post("/api/v1/monitors/gpt-4o/remove", json, "{}"), 409),
        (post("/api/v1/monitors/gpt-4o/mute", json, "{\"minutes\":44641}"), 422),
    ] {
        let what = format!("{} {}", request.method(), request.uri());
        let (status, headers, body) = fixture.send(request).await;
        assert_eq!(status.as_u16(), expected, "{what}: {body}");
        assert_eq!(headers["content-type"], "application/problem+json", "{what}");
        let problem: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(problem["status"], expected);
        assert!(!problem["detail"].as_str().unwrap().is_empty() && !problem["title"].as_str().unwrap().is_empty());
    }
}

// Only this origin can do something, and only with JSON.
#[tokio::test]
async fn other_origins_are_refused() {
    let fixture = Fixture::new();
    for (name, value) in
        [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")]
    {
        let request = Request::post("/api/v1/monitors/gpt-4o/pause").header("host", "here").header(name, value);
        let request = request.header("content-type", "application/json").body(Body::from("{}")).unwrap();
        assert_eq!(fixture.send(request).await.0, StatusCode::FORBIDDEN, "{name}: {value}");
    }
    assert_eq!(fixture.json("/api/v1/monitors/gpt-4o").await["monitor"]["state"], "active");
}

// A monitor is created, paused, watched again, muted, archived and removed, and every page shows it at once.
#[tokio::test]
async fn monitors_are_worked_with() {
    let fixture = Fixture::new();
    let new = json!({ "name": "new / one", "selector": { "model": "claude*" }, "window": "1h", "preset": "llm" });
    let before = fixture.page("/monitors").await;
    let (status, created) = fixture.post("/api/v1/monitors", &new).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    let created: Value = serde_json::from_str(&created).unwrap();
    assert_eq!(
        (&created["window"], &created["configured"], &created["state"]),
        (&json!("1h"), &json!(false), &json!("active"))
    );
    assert!(!before.contains("new / one") && fixture.page("/monitors").await.contains("new / one"));
    let path = "/api/v1/monitors/new%20%2F%20one";
    for (deed, body, field, expected) in [
        ("pause", json!({}), "state", json!("paused")),
        ("activate", json!({}), "state", json!("active")),
        ("mute", json!({ "minutes": 5 }), "muted_until", json!((END + 5 * MINUTE) / 1_000_000)),
        ("mute", json!({ "minutes": 0 }), "muted_until", Value::Null),
        ("archive", json!({}), "state", json!("archived")),
    ] {
        let (status, body) = fixture.post(&format!("{path}/{deed}"), &body).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{deed}: {body}");
        assert_eq!(fixture.json(path).await["monitor"][field], expected, "{deed}");
    }
    assert!(!fixture.page("/monitors").await.contains("new / one"), "archived monitors are hidden");
    assert!(fixture.page("/monitors?archived=1").await.contains("new / one"));
    assert!(fixture.page("/monitors/new%20%2F%20one").await.contains("Restore"));
    assert_eq!(fixture.post(&format!("{path}/remove"), &json!({})).await.0, StatusCode::NO_CONTENT);
    assert_eq!(fixture.get(path).await.0, StatusCode::NOT_FOUND);
}

// A monitor that the API made is defined anew, and keeps what it counted if it selects as before; one of the configuration is not.
#[tokio::test]
async fn monitors_are_defined_anew() {
    let fixture = Fixture::new();
    let mut new = json!({ "name": "new", "selector": { "model": "claude*" }, "window": "15m" });
    assert_eq!(fixture.post("/api/v1/monitors", &new).await.0, StatusCode::CREATED);
    let call = |number: u64| Told { at: END + number * SECOND, number: 1_000_000 + number, ..fixture.told[0].clone() };
    (0..5).for_each(|number| fixture.fed.feed(&Told { model: "claude-sonnet-4-5", ..call(number) }));
    fixture.fed.advance(END + 20 * SECOND);
    let requests = async || {
        let told = fixture.json("/api/v1/monitors/new/series?range=15m").await;
        told["totals"]["requests"].as_u64().unwrap()
    };
    assert_eq!(requests().await, 5);
    new["window"] = json!("6h");
    new["name"] = json!("the name of the address goes first");
    new["thresholds"] = json!([{ "field": "error_rate", "warning": 0.1, "critical": 0.2 }]);
    let (status, told) = fixture.put("/api/v1/monitors/new", &new).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((status, &told["name"], &told["window"]), (StatusCode::OK, &json!("new"), &json!("6h")));
    // The preset's threshold of another field stays.
    let thresholds = told["thresholds"].as_array().unwrap();
    assert_eq!((&thresholds[0], &thresholds[1]["field"]), (&new["thresholds"][0], &json!("latency_p99")));
    assert_eq!((thresholds.len(), &told["selector"]["model"]), (2, &json!("claude*")));
    assert_eq!(requests().await, 5, "the same calls are meant");
    new["selector"] = json!({ "model": "gpt*" });
    assert_eq!(fixture.put("/api/v1/monitors/new", &new).await.0, StatusCode::OK);
    assert_eq!(requests().await, 0, "others are");
    assert_eq!(fixture.json("/api/v1/monitors/new").await["monitor"]["selector"]["model"], "gpt*");
    for (path, status) in [("/api/v1/monitors/gpt-4o", 409), ("/api/v1/monitors/nobody", 404)] {
        assert_eq!(fixture.put(path, &new).await.0.as_u16(), status, "{path}");
    }
    new["window"] = json!("2m");
    assert_eq!(fixture.put("/api/v1/monitors/new", &new).await.0.as_u16(), 422);
}

// A monitor that asks for what is not kept of calls would wait for ever: it is refused, the problem names field, attribute and setting, and
// the page's form does not offer it. What is kept can be asked for.
#[tokio::test]
async fn monitors_ask_for_what_is_kept() {
    let not_kept = vec![Attribute::Environment, Attribute::ServiceVersion, Attribute::ServerAddress];
    let fixture = Fixture::of(&Config { not_kept, ..config() });
    for (field, attribute) in [
        ("environment", "deployment.environment.name"),
        ("service_version", "service.version"),
        ("server_address", "server.address"),
    ] {
        let new = json!({ "name": "new", "selector": { "service": "search", field: "*" } });
        let (status, problem) = fixture.post("/api/v1/monitors", &new).await;
        let problem: Value = serde_json::from_str(&problem).unwrap();
        assert_eq!((status.as_u16(), &problem["field"]), (422, &json!(format!("selector.{field}"))));
        let wanted = format!("{attribute} must stand in derive.dimensions or metrics.resource_attributes for that");
        assert_eq!(problem["detail"], wanted);
        assert_eq!(fixture.put("/api/v1/monitors/new", &new).await.0.as_u16(), 422, "{field}");
    }
    let page = fixture.page("/monitors").await;
    let offered = |page: &str, field: &str| page.contains(&format!("name=\"selector.{field}\""));
    assert!(offered(&page, "service") && !offered(&page, "environment") && !offered(&page, "server_address"));
    assert!(page.contains("<input disabled placeholder=\"server.address is not kept\">"));
    let page = Fixture::new().page("/monitors").await;
    assert!(offered(&page, "environment") && offered(&page, "server_address") && !page.contains("is not kept"));
    let new = json!({ "name": "new", "selector": { "service": "search", "provider": "*" } });
    assert_eq!(fixture.post("/api/v1/monitors", &new).await.0, StatusCode::CREATED);
}

// Alerts and objectives are defined, defined anew and forgotten; what is wrong is refused, and the problem names the field.
#[tokio::test]
async fn alerts_and_objectives_are_defined() {
    let fixture = Fixture::new();
    let when = json!({ "kind": "baseline", "field": "time_to_first_token_p95", "side": "above", "factor": 2.0, "length_seconds": 3600 });
    let alert = json!({ "name": "slow / start", "monitor": "claude", "when": when, "for_seconds": 300, "minimum_requests": 5, "severity": "critical", "repeat_seconds": 3600 });
    let slo = json!({ "name": "quick / start", "monitor": "claude", "objective": { "kind": "time_to_first_token", "within_seconds": 1.5 },
        "target": 0.9, "period": "7d", "burn_alerts": [{ "factor": 2.0, "window_seconds": 3600, "severity": "info" }], "minimum_requests": 3 });
    for (path, name, whole, field, other) in [
        ("/api/v1/alerts", "slow%20%2F%20start", &alert, "for_seconds", json!(60)),
        ("/api/v1/slos", "quick%20%2F%20start", &slo, "target", json!(0.5)),
    ] {
        let one = format!("{path}/{name}");
        let (status, created) = fixture.post(path, whole).await;
        assert_eq!(status, StatusCode::CREATED, "{created}");
        let told = fixture.json(&one).await;
        assert_eq!((&told["definition"], &told["configured"]), (whole, &json!(false)));
        assert_eq!(fixture.post(path, whole).await.0, StatusCode::CONFLICT);
        let mut changed = whole.clone();
        changed[field] = other;
        assert_eq!(fixture.put(&one, &changed).await.0, StatusCode::OK);
        assert_eq!(fixture.json(&one).await["definition"], changed);
        assert_eq!(fixture.delete(&one).await, StatusCode::NO_CONTENT);
        assert_eq!(fixture.delete(&one).await, StatusCode::NOT_FOUND);
        assert_eq!(fixture.put(&one, whole).await.0, StatusCode::NOT_FOUND);
    }
    let alerts = fixture.json("/api/v1/alerts").await["alerts"].as_array().unwrap().len();
    assert_eq!(alerts, 4 + 2 * 3, "burn alerts come and go with their objective");

    for (path, whole, field, wrong, expected) in [
        ("/api/v1/alerts", &alert, "name", json!(""), "name"),
        ("/api/v1/alerts", &alert, "monitor", json!("x"), "monitor"),
        ("/api/v1/alerts", &alert, "severity", json!("bad"), "severity"),
        ("/api/v1/alerts", &alert, "repeat_seconds", json!(0), "repeat_seconds"),
        ("/api/v1/alerts", &alert, "when", json!({ "kind": "chart", "chart": "x", "rules": ["trend"] }), "when.chart"),
        ("/api/v1/alerts", &alert, "when", json!({ "kind": "no such" }), "when"),
        ("/api/v1/alerts", &alert, "when", json!(["no_data"]), "when"),
        ("/api/v1/slos", &slo, "burn_alerts", json!([[2.0, 3600]]), "burn_alerts[0]"),
        ("/api/v1/slos", &slo, "target", json!(1), "target"),
        ("/api/v1/slos", &slo, "monitor", json!("x"), "monitor"),
        (
            "/api/v1/slos",
            &slo,
            "objective",
            json!({ "kind": "latency", "within_seconds": 0 }),
            "objective.within_seconds",
        ),
        ("/api/v1/slos", &slo, "burn_alerts", json!([{ "factor": 0, "window_seconds": 3600 }]), "burn_alerts"),
    ] {
        let mut changed = whole.clone();
        changed[field] = wrong;
        let (status, problem) = fixture.post(path, &changed).await;
        assert!(status.is_client_error(), "{field}: {status}");
        assert_eq!(serde_json::from_str::<Value>(&problem).unwrap()["field"], expected, "{problem}");
    }
    for configured in ["/api/v1/alerts/gpt-4o%20fails", "/api/v1/slos/available"] {
        assert_eq!(fixture.delete(configured).await, StatusCode::CONFLICT, "the configuration defines it");
    }
    assert_eq!(fixture.delete("/api/v1/alerts/available%20burns%206x").await, StatusCode::NOT_FOUND);
}
