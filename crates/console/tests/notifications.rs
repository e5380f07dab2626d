//! What was told of alerts, by the API and on the page.
#![allow(clippy::unwrap_used, clippy::panic)]

mod source;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use monitor::{
    AlertRule, AlertThreshold, Command, Condition, Config, Delivery, DeliveryOutcome, Field, MonitorDefinition, SECOND,
    Side,
};
use serde_json::{Value, json};
use source::{Fed, START, traffic};
use spanmill_console::{Console, Settings, Source};
use tower::ServiceExt;

async fn get(fed: &Fed, path: &str) -> String {
    let router = Console::new(fed.clone(), Settings::default()).router();
    let answer = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn told(fed: &Fed) -> Value {
    serde_json::from_str(&get(fed, "/api/v1/notifications").await).unwrap()
}

// What fires and what is over is told with the notifiers that it waits for and why, until they are through with it; a page says that nobody was
// told of what is muted, and its badge tells of the newest of which somebody was.
#[tokio::test]
async fn notifications_wait_until_notifiers_are_through() {
    let condition = |above| Condition::Field {
        field: Field::TotalRequests,
        side: Side::Above,
        threshold: AlertThreshold::Fixed(above),
    };
    let fed = Fed::new(&Config {
        monitors: vec![
            MonitorDefinition::new("all", Default::default()),
            MonitorDefinition::new("muted", Default::default()),
        ],
        alerts: vec![AlertRule::new("calls", "all", condition(0.0)), AlertRule::new("quiet", "muted", condition(0.0))],
        ..Config::default()
    });
    fed.command(Command::Mute("muted".to_owned(), u64::MAX)).await.unwrap();
    assert_eq!(told(&fed).await, json!([]));
    assert!(get(&fed, "/alerts").await.contains("Nobody was told of anything yet."));

    let end = START + 60 * SECOND;
    traffic(end, 60 * SECOND, 60).iter().for_each(|call| fed.feed(call));
    fed.advance(end);
    let fired = fed.ask(|monitoring| monitoring.incidents().find(|incident| incident.alert == "calls").unwrap().fired);
    let waiting = json!([{ "notifier": "webhook/oncall", "error": "http 500: out of <order>" }]);
    let millis = fired / 1_000_000;
    let expected = |kind, waiting: &Value, deliveries: &Value| {
        json!([{
            "incident": format!("calls@{fired}"), "kind": kind, "at": millis, "alert": "calls", "monitor": "all",
            "severity": "warning", "fired": millis, "resolved": null, "number": 1, "waiting": waiting, "deliveries": deliveries,
        }])
    };
    assert_eq!(told(&fed).await, expected("firing", &waiting, &json!([])));
    let page = get(&fed, "/alerts").await;
    assert!(page.contains("webhook/oncall fails") && page.contains("out of &lt;order&gt;"), "{page}");
    assert!(get(&fed, "/prices").await.contains(&format!("data-told=\"{millis}\" data-what=\"warning: calls\">2<")));

    let notifier = fed.notifiers().remove(0).name;
    let notification = || format!("calls@{fired}#0");
    let (outcome, error) = (DeliveryOutcome::Refused, Some("http 400: <no>".to_owned()));
    let delivery = Delivery { notifier, outcome, at: fired + 7 * SECOND, attempts: 2, error };
    fed.command(Command::Delivered { notification: notification(), delivery }).await.unwrap();
    let refused = json!([{
        "notifier": "webhook/oncall", "outcome": "refused", "at": millis + 7_000, "attempts": 2, "error": "http 400: <no>",
    }]);
    assert_eq!(told(&fed).await, expected("firing", &json!([]), &refused));
    fed.command(Command::Acknowledge(notification())).await.unwrap();
    assert_eq!(told(&fed).await, expected("firing", &json!([]), &refused), "also when it waits no more");
    let page = get(&fed, "/alerts?range=1h").await;
    assert!(page.contains("webhook/oncall refused it") && page.contains("http 400: &lt;no&gt;"), "{page}");

    fed.command(Command::Archive("all".to_owned())).await.unwrap();
    let over = &told(&fed).await[0];
    assert_eq!((&over["kind"], &over["number"], &over["waiting"]), (&json!("resolved"), &json!(2), &waiting));
    assert_eq!(over["at"], over["resolved"]);
}
