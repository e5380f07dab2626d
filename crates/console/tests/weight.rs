//! What pages weigh, with as much on them as there may be.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod fixture;
mod source;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use fixture::{END, Fixture, PAGES, value_of};
use genai::ErrorClass;
use http_body_util::BodyExt;
use monitor::HOUR;
use serde_json::json;
use source::{config, traffic};
use tower::ServiceExt;

const ASSETS: [&str; 3] = ["/assets/console.css", "/assets/console.js", "/assets/icon.svg"];

async fn weight_of_assets(fixture: &Fixture) -> usize {
    let mut weight = 0;
    for path in ASSETS {
        weight += fixture.page(path).await.len();
    }
    weight
}

// A page with all that it loads stays under 100 KB, also of a busy day, and under 30 KB as it is sent.
// What it loads is kept by browsers.
#[tokio::test]
async fn pages_are_light() {
    let fixture = Fixture::new();
    let sent = async |path: &str| {
        let request = Request::get(path).header("accept-encoding", "br, gzip").body(Body::empty()).unwrap();
        let answer = fixture.router.clone().oneshot(request).await.unwrap();
        assert_eq!(
            (answer.status(), &answer.headers()["content-encoding"]),
            (StatusCode::OK, &"gzip".parse().unwrap())
        );
        answer.into_body().collect().await.unwrap().to_bytes().len()
    };
    let (mut plain, mut packed) = (0, 0);
    let page = fixture.page("/").await;
    for path in ASSETS {
        let (_, headers, asset) = fixture.get(path).await;
        assert!(page.contains(&format!("{path}?v=")), "the page loads {path}");
        plain += asset.len();
        packed += sent(path).await;
        let request = Request::get(path).header("if-none-match", &headers["etag"]).body(Body::empty()).unwrap();
        assert_eq!(fixture.send(request).await.0, StatusCode::NOT_MODIFIED);
    }
    for path in PAGES.into_iter().chain(["/?range=24h", "/?range=15m", "/errors?range=30d"]) {
        let sizes = (fixture.page(path).await.len() + plain, sent(path).await + packed);
        println!("{path}: {} bytes, {} compressed", sizes.0, sizes.1);
        assert!(sizes.0 < 100_000 && sizes.1 < 30_000, "{path}: {sizes:?}");
    }
}

// It stays so with two hundred services, providers and models: filters take texts then, and what they can be is asked for apart.
#[tokio::test]
async fn pages_of_many_values_are_light() {
    let name = |kind: &str, number: u64| -> &'static str { format!("{kind}-with-a-name-{number:03}").leak() };
    let mut told = traffic(END, 2 * HOUR, 20);
    for call in &mut told {
        // Some have most of the calls.
        let number = if call.number % 2 == 0 { call.number / 2 % 200 } else { call.number / 2 % 10 };
        [call.service, call.provider, call.model] = ["service", "provider", "model"].map(|kind| name(kind, number));
    }
    let fixture = Fixture::fed(&config(), told);
    let (assets, mut heaviest) = (weight_of_assets(&fixture).await, 0);
    for path in ["/", "/?range=15m", "/errors", "/prices", "/?service=service-with-a-name-007"] {
        let page = fixture.page(path).await;
        println!("{path}: {} bytes", page.len() + assets);
        heaviest = heaviest.max(page.len() + assets);
        for of in ["service", "provider", "model"] {
            assert!(page.contains(&format!("<input type=\"search\" name=\"{of}\"")), "{path}: {of}");
        }
        assert!(page.contains("<select name=\"environment\""), "{path}: there are few of them");
    }
    assert!(heaviest < 100_000, "{heaviest}");
    let page = fixture.page("/?service=service-with-a-name-007").await;
    assert!(page.contains("name=\"service\" value=\"service-with-a-name-007\""));
    let told = fixture.json("/api/v1/values").await;
    for of in ["service", "provider", "model"] {
        let expected: Vec<&str> = (0..200).map(|number| name(of, number)).collect();
        assert_eq!(told[of], json!(expected));
    }
}

// It stays so where failures have much to say, each something else: what is shown of it is cut, and the API has all.
#[tokio::test]
async fn pages_of_long_messages_are_light() {
    let mut told = traffic(END, 2 * HOUR, 20);
    for (number, call) in told.iter_mut().enumerate().filter(|(number, _)| number % 4 == 0) {
        let word =
            ["a", "b", "c", "d"].map(|letter| letter.repeat(1 + number % 7)).join(&"-".repeat(1 + number / 4 % 40));
        let message = format!("{word} ").repeat(1_024).chars().take(1_024).collect::<String>();
        call.error = Some((ErrorClass::ServerError, message.leak()));
    }
    let fixture = Fixture::fed(&config(), told);
    let assets = weight_of_assets(&fixture).await;
    for path in ["/errors", "/errors?range=6h", "/"] {
        let size = fixture.page(path).await.len() + assets;
        println!("{path}: {size} bytes");
        assert!(size < 100_000, "{path}: {size}");
    }
    assert!(fixture.page("/errors").await.contains("the largest 30 of"));
    let records = fixture.json("/api/v1/errors?range=6h").await;
    let listed = records["records"].as_array().unwrap();
    assert!(listed.iter().any(|record| record["message"].as_str().unwrap().len() == 1_024));
}

// It stays so with as many alerts as there may be, and what fires is shown before others.
#[tokio::test]
async fn pages_of_many_alerts_are_light() {
    let mut config = config();
    let errors = |share| {
        let threshold = monitor::AlertThreshold::Fixed(share);
        monitor::Condition::Field { field: monitor::Field::ErrorRate, side: monitor::Side::Above, threshold }
    };
    let rule = |number: usize| {
        let name = format!("alert with a name that says what it is about {number}");
        monitor::AlertRule::new(&name, "everything", errors(if number.is_multiple_of(20) { 0.0 } else { 0.9 }))
    };
    config.alerts.extend((config.alerts.len()..monitor::MOST_ALERTS).map(rule));
    let fixture = Fixture::of(&config);
    let assets = weight_of_assets(&fixture).await;
    let page = fixture.page("/alerts").await;
    println!("/alerts: {} bytes", page.len() + assets);
    assert!(page.len() + assets < 100_000, "{}", page.len() + assets);
    let rules = page.split_once("id=\"rules\"").unwrap().1.split_once("</table>").unwrap().0;
    assert_eq!(rules.matches(">firing<").count() as f64, value_of(&page, "firing"));
}

// It stays so with as many monitors as there may be, and what fires or is worst is shown before others.
#[tokio::test]
async fn pages_of_many_monitors_are_light() {
    let mut config = config();
    let named = |number: usize| format!("monitor with a name that says what it is about {number}");
    let last = named(monitor::MOST_MONITORS - 1);
    config.monitors.extend(
        (config.monitors.len()..monitor::MOST_MONITORS)
            .map(|number| monitor::MonitorDefinition::new(&named(number), monitor::Selector::default())),
    );
    let threshold = monitor::AlertThreshold::Fixed(0.0);
    let (field, side) = (monitor::Field::ErrorRate, monitor::Side::Above);
    let condition = monitor::Condition::Field { field, side, threshold };
    config.alerts.push(monitor::AlertRule::new("last", &last, condition));
    let fixture = Fixture::of(&config);
    let assets = weight_of_assets(&fixture).await;
    let page = fixture.page("/monitors").await;
    println!("/monitors: {} bytes", page.len() + assets);
    assert!(page.len() + assets < 100_000, "{}", page.len() + assets);
    assert!(page.contains(&last) && page.contains("The worst 60 of 100"));
}
