//! What open pages cost.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client as Http;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::trace::v1::{Status, status::StatusCode};
use spanmill_tests::{Client, Setup, Spanmill, eventually, get};
use tokio::task::JoinSet;

use crate::spans::{call, payload, text};

/// Open pages, each of which looks at something else: those that there are once, and filters of the others.
const PAGES: usize = 50;
const LOOKS: [&str; 8] = [
    "/?range=15m",
    "/?range=1h",
    "/?range=24h",
    "/monitors",
    "/alerts",
    "/health",
    "/monitors/all",
    "/monitors/model-7",
];
const FILTERED: [&str; 4] = ["/?range=1h", "/errors?range=15m", "/prices?range=24h", "/?range=7d"];

fn looks() -> Vec<String> {
    let filtered = (0..).flat_map(|model| FILTERED.map(|path| format!("{path}&model=model-{model}")));
    LOOKS.map(str::to_owned).into_iter().chain(filtered).take(PAGES).collect()
}

/// What is watched: all calls, which make the most, and those of a few models, each with what a monitor's page can show.
const SECTIONS: &str = "monitors:
- { name: all, window: 1h, charts: [{ name: all, field: latency_p50, step: 1m, learning: 5 }], drift: { window: 1m, reference: 1h } }
- { name: model-7, select: { model: model-7 } }
- { name: model-8, select: { model: model-8 } }
alerts:
- { name: failing, monitor: all, when: { field: error_rate, above: 0.5 } }
- { name: silent, monitor: model-7, when: { no_data: true } }
slos:
- { name: works, monitor: all, objective: availability, target: 0.99 }
";
/// Series: two for each model, one of calls that end and one of calls that fail, of which the history has a group in common.
const MODELS: u64 = 10_000;
/// For how long it is measured.
const TIME: Duration = Duration::from_secs(60);

/// A page that is open: it loads what it looks at again whenever it is told that there is something new. Tells how often it did.
async fn open(admin: SocketAddr, path: String, until: Instant) -> usize {
    let http = Http::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
    let uri = |path: &str| format!("http://{admin}{path}").parse::<http::Uri>().unwrap();
    let mut events = http.get(uri("/api/v1/events")).await.unwrap().into_body();
    let mut loaded = 0;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout_at(until.into(), events.frame()).await {
        let is_new = frame.data_ref().is_some_and(|data| data.starts_with(b"event: evaluated"));
        if is_new {
            let request = http::Request::get(uri(&path)).header("accept-encoding", "gzip");
            let answer = http.request(request.body(Empty::new()).unwrap()).await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.into_body().collect().await.unwrap();
            loaded += 1;
        }
    }
    loaded
}

/// Sends a call to each model every few seconds, so that every step of the history has something. Of five, one fails: each time another.
async fn send(client: &Client, sent: u64) {
    for begin in (0..MODELS).step_by(1_000) {
        let spans = (begin..begin + 1_000).map(|model| {
            let mut span = call(sent + 1 + model, &format!("model-{model}"));
            if (model + sent / MODELS).is_multiple_of(5) {
                span.attributes.push(text("error.type", "timeout"));
                span.status = Some(Status { code: StatusCode::Error as i32, message: "it took too long".to_owned() });
            }
            span
        });
        client.send(&payload(spans.collect())).await.unwrap();
    }
}

// Fifty open pages at 10,000 series cost under 5 % of a core and 100 MB. It measures a release build that `SPANMILL_BINARY` names.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes, and measures what SPANMILL_BINARY names"]
async fn fifty_open_pages() {
    let spanmill = Spanmill::start(&Setup {
        settle_wait: "1s",
        interval: "30s",
        sections: SECTIONS.to_owned(),
        ..Setup::default()
    });
    let (client, admin) = (Client::grpc(spanmill.addresses), spanmill.addresses.admin);
    let mut sent = 0;
    let mut measure = async |pages: usize| {
        let until = Instant::now() + TIME;
        let mut open_pages = JoinSet::new();
        looks().into_iter().take(pages).for_each(|path| drop(open_pages.spawn(open(admin, path, until))));
        let (begin, from) = (spanmill.cpu(), Instant::now());
        let mut most = 0;
        while Instant::now() < until {
            send(&client, sent).await;
            sent += MODELS;
            most = most.max(spanmill.memory("VmRSS"));
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        let cost = (spanmill.cpu() - begin).as_secs_f64() / from.elapsed().as_secs_f64();
        let loaded: usize = open_pages.join_all().await.into_iter().sum();
        println!("{pages} pages, loaded {loaded} times: {:.2} % of a core, {} MB", cost * 100.0, most >> 20);
        (cost, most)
    };
    measure(0).await;
    for path in looks() {
        let page = get(admin, &path).await.text();
        assert!(
            !page.contains("No calls in this time") && page.contains("<data value"),
            "{path} shows traffic: {page}"
        );
    }
    for monitor in ["all", "model-7"] {
        let told = get(admin, &format!("/api/v1/monitors/{monitor}")).await.json();
        assert!(told["monitor"]["snapshot"]["requests"].as_u64() > Some(0), "{told}");
    }
    let without = measure(0).await;
    let with = measure(PAGES).await;
    let again = measure(0).await;
    let health = get(admin, "/api/v1/health").await.json();
    println!("{} groups of the history, {} bytes", health["history_groups"], health["history_bytes"]);
    eventually("all is counted", async || (spanmill.totals().await.requests == sent).then_some(())).await;
    assert!(with.0 - (without.0 + again.0) / 2.0 < 0.05, "{with:?} instead of {without:?} and {again:?}");
    assert!(with.1 < without.1 + (100 << 20), "{with:?} instead of {without:?}");
    spanmill.stop();
}
