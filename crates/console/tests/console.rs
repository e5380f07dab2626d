//! Page and API over known calls.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod source;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use aggregate::{ErrorIndex, Unpriced};
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use genai::ErrorClass;
use http_body_util::BodyExt;
use monitor::{Attribute, Command, Config, HOUR, HistoryConfig, MINUTE, Monitoring, RELATIVE_ERROR, SECOND};
use serde_json::{Value, json};
use source::{Fed, START, Told, config, traffic};
use spanmill_console::{CommandFailure, Console, NotifierState, ServiceHealth, Settings, Source};
use tower::ServiceExt;

/// The newest time told: in the midst of a step.
const END: u64 = START + 3 * HOUR + 17 * SECOND;
const PAGES: [&str; 7] = ["/", "/errors", "/monitors", "/monitors/gpt-4o", "/alerts", "/prices", "/health"];

struct Fixture {
    router: Router,
    fed: Fed,
    told: Vec<Told>,
}

impl Fixture {
    fn new() -> Self {
        Self::of(&config())
    }

    fn of(config: &Config) -> Self {
        Self::fed(config, traffic(END, 2 * HOUR, 20))
    }

    fn fed(config: &Config, told: Vec<Told>) -> Self {
        let fed = Fed::new(config);
        told.iter().for_each(|call| fed.feed(call));
        fed.advance(END);
        let settings = Settings { trace_link: Some("https://signoz.example/trace/{trace_id}?spanId={span_id}".into()) };
        Self { router: Console::new(fed.clone(), settings).router(), fed, told }
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, String) {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> (StatusCode, HeaderMap, String) {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn page(&self, path: &str) -> String {
        let (status, _, page) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {page}");
        page
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.page(path).await).unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> (StatusCode, String) {
        let request = Request::post(path).header("content-type", "application/json").body(Body::from(body.to_string()));
        let (status, _, body) = self.send(request.unwrap()).await;
        (status, body)
    }

    async fn put(&self, path: &str, body: &Value) -> (StatusCode, String) {
        let request = Request::put(path).header("content-type", "application/json").body(Body::from(body.to_string()));
        let (status, _, body) = self.send(request.unwrap()).await;
        (status, body)
    }

    async fn delete(&self, path: &str) -> StatusCode {
        self.send(Request::delete(path).body(Body::empty()).unwrap()).await.0
    }

    /// The calls that were counted from a time on and that are wanted.
    fn since(&self, from: u64, is_wanted: impl Fn(&Told) -> bool) -> Vec<&Told> {
        self.told.iter().filter(|call| call.at >= from && is_wanted(call)).collect()
    }
}

fn input(call: &Told) -> u64 {
    call.tokens.map_or(0, |tokens| tokens.input_uncached + tokens.cache_read + tokens.cache_write)
}

fn output(call: &Told) -> u64 {
    call.tokens.map_or(0, |tokens| tokens.output_visible + tokens.reasoning)
}

/// Failed calls by class.
fn by_class(calls: &[&Told]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for (class, _) in calls.iter().filter_map(|call| call.error) {
        *counts.entry(class.name()).or_default() += 1;
    }
    counts
}

fn dollars(calls: &[&Told]) -> f64 {
    calls.iter().filter_map(|call| call.cost).sum::<genai::Money>().dollars()
}

/// The nearest rank of sorted values, in seconds.
fn quantile(mut nanos: Vec<u64>, share: f64) -> f64 {
    nanos.sort_unstable();
    nanos[((share * nanos.len() as f64).ceil() as usize).max(1) - 1] as f64 / SECOND as f64
}

fn assert_near(told: f64, exact: f64, what: &str) {
    assert!((told - exact).abs() <= exact.abs() * (RELATIVE_ERROR + 1e-9), "{what}: {told} for {exact}");
}

/// The first number that stands in an element with an id.
fn value_of(page: &str, id: &str) -> f64 {
    let behind = page.split_once(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("no {id}")).1;
    let value = behind.split_once("<data value=\"").unwrap().1.split_once('"').unwrap().0;
    value.parse().unwrap()
}

/// The rows of the table of a chart: what stands in their cells, the time left out.
fn table_of(page: &str, id: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let behind = page.split_once(&format!("id=\"{id}\"")).unwrap().1;
    let table = behind.split_once("<table>").unwrap().1.split_once("</table>").unwrap().0;
    let cells = |row: &str, tag: &str| -> Vec<String> {
        let tag = format!("<{tag}");
        row.split(&tag)
            .skip(1)
            .map(|cell| cell.split_once('>').unwrap().1.split('<').next().unwrap().to_owned())
            .collect()
    };
    let (head, body) = table.split_once("<tbody>").unwrap();
    let names = cells(head, "th ").into_iter().skip(1).collect();
    (names, body.split("<tr>").skip(1).map(|row| cells(row, "td")).collect())
}

// Every number of the overview, of API and page, is that of the calls themselves, for every time and filter.
#[tokio::test]
async fn the_overview_is_that_of_the_calls() {
    let fixture = Fixture::new();
    for (query, accepts) in [
        ("range=15m", (|_| true) as fn(&Told) -> bool),
        ("range=1h", |_| true),
        ("range=6h", |_| true),
        ("range=1h&service=search", |call| call.service == "search"),
        ("range=1h&provider=openai&model=gpt-4o", |call| call.model == "gpt-4o"),
        ("range=1h&environment=staging", |call| call.service == "batch"),
        ("range=1h&model=%3Cscript%3Ealert(1)%3C%2Fscript%3E", |call| call.model.starts_with('<')),
    ] {
        let told = fixture.json(&format!("/api/v1/overview?{query}")).await;
        let calls = fixture.since(told["from"].as_u64().unwrap() * 1_000_000, accepts);
        assert!(calls.len() > 5, "{query}");
        let totals = &told["totals"];
        let failed = calls.iter().filter(|call| call.error.is_some()).count();
        assert_eq!(
            (totals["requests"].as_u64(), totals["failed"].as_u64()),
            (Some(calls.len() as u64), Some(failed as u64)),
            "{query}"
        );
        let figure = |name: &str| totals["figures"][name].as_f64().unwrap_or_else(|| panic!("{query}: no {name}"));
        assert_eq!(figure("input_tokens"), calls.iter().map(|call| input(call)).sum::<u64>() as f64);
        assert_eq!(figure("output_tokens"), calls.iter().map(|call| output(call)).sum::<u64>() as f64);
        assert_eq!(figure("error_rate"), failed as f64 / calls.len() as f64);
        let durations = || calls.iter().map(|call| call.duration).collect::<Vec<_>>();
        assert_near(figure("latency_p95"), quantile(durations(), 0.95), "p95");
        let waits: Vec<u64> = calls.iter().filter_map(|call| call.first_token).collect();
        assert_near(figure("time_to_first_token_p50"), quantile(waits, 0.5), "ttft");
        let seconds = (END as f64 - told["from"].as_f64().unwrap() * 1e6) / 1e9;
        assert!((figure("request_rate") - calls.len() as f64 / seconds).abs() < 1e-9);
        if calls.iter().any(|call| call.cost.is_some()) {
            assert!((figure("cost") - dollars(&calls)).abs() < 1e-9);
        } else {
            assert_eq!(totals["figures"]["cost"], Value::Null, "unknown is not zero");
        }
        assert_eq!(totals["failed_by_class"], json!(by_class(&calls)));
        for (list, name_of) in [("services", (|call| call.service) as fn(&Told) -> &str), ("models", |call| call.model)]
        {
            let mut expected = BTreeMap::<&str, u64>::new();
            calls.iter().for_each(|call| *expected.entry(name_of(call)).or_default() += 1);
            let listed = told[list].as_array().unwrap().iter();
            let listed: BTreeMap<&str, u64> = listed
                .map(|one| (one["name"].as_str().unwrap(), one["totals"]["requests"].as_u64().unwrap()))
                .collect();
            assert_eq!(listed, expected, "{query} {list}");
        }
        let step = told["step_seconds"].as_u64().unwrap() * SECOND;
        for one in told["steps"].as_array().unwrap() {
            let begin = one["at"].as_u64().unwrap() * 1_000_000;
            let is_in = |call: &&Told| (begin..begin + step).contains(&call.at);
            let of_step: Vec<&Told> = calls.iter().copied().filter(is_in).collect();
            assert_eq!(one["figures"]["total_requests"].as_f64(), Some(of_step.len() as f64));
            assert_eq!(one["failed_by_class"], json!(by_class(&of_step)), "{query}");
        }

        let page = fixture.page(&format!("/?{query}")).await;
        assert_eq!(value_of(&page, "total-requests"), calls.len() as f64);
        assert_eq!(value_of(&page, "error-rate"), figure("error_rate"));
        assert_eq!(value_of(&page, "total-tokens"), figure("tokens"));
        for (panel, field) in [
            ("latency-p95", "latency_p95"),
            ("first-token", "time_to_first_token_p95"),
            ("token-rate", "tokens_per_second"),
            ("cache-share", "cache_share"),
        ] {
            assert_eq!(value_of(&page, panel), figure(field), "{query}: {panel}");
        }
        let mut by_model = BTreeMap::<&str, (u64, u64, u64)>::new();
        for call in &calls {
            let (requests, tokens, tokens_in) = by_model.entry(call.model).or_default();
            (*requests, *tokens, *tokens_in) =
                (*requests + 1, *tokens + input(call) + output(call), *tokens_in + input(call));
        }
        let most_requests = by_model.values().map(|(requests, ..)| *requests).max().unwrap();
        assert_eq!(value_of(&page, "models"), most_requests as f64);
        let (_, _, tokens_in) = by_model.values().max_by_key(|(_, tokens, _)| *tokens).unwrap();
        assert_eq!(value_of(&page, "model-tokens"), *tokens_in as f64);
        let (names, rows) = table_of(&page, "requests");
        for (number, name) in names.iter().enumerate() {
            let cells = rows.iter().filter_map(|row| row[number].parse::<usize>().ok());
            let expected = calls.iter().filter(|call| name == "all" || call.service == name).count();
            assert_eq!(cells.sum::<usize>(), expected, "{query}: {name}");
        }
    }
}

// A series has the field of each step, by the dimension that was asked for.
#[tokio::test]
async fn series_are_those_of_the_calls() {
    let fixture = Fixture::new();
    let told = fixture.json("/api/v1/series?range=1h&field=tokens&group_by=model&step=300").await;
    assert_eq!((told["step_seconds"].as_u64(), told["unit"].as_str()), (Some(300), Some("{token}")));
    let series = told["series"].as_array().unwrap();
    assert_eq!(series.len(), 6);
    for one in series {
        for point in one["points"].as_array().unwrap() {
            let begin = point[0].as_u64().unwrap() * 1_000_000;
            let is_in = |call: &&Told| (begin..begin + 5 * MINUTE).contains(&call.at) && one["name"] == call.model;
            let tokens: u64 = fixture.told.iter().filter(is_in).map(|call| input(call) + output(call)).sum();
            assert_eq!(point[1].as_f64().unwrap_or_default(), tokens as f64);
        }
    }
    // So many as are wanted, those with the most requests, and the others together.
    let told = fixture.json("/api/v1/series?range=1h&group_by=model&limit=2").await;
    let mut counts = BTreeMap::<&str, u64>::new();
    let calls = fixture.since(told["from"].as_u64().unwrap() * 1_000_000, |_| true);
    calls.iter().for_each(|call| *counts.entry(call.model).or_default() += 1);
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let others = counts.split_off(2).into_iter().map(|(_, count)| count).sum();
    let listed = told["series"].as_array().unwrap().iter();
    let listed = listed.map(|one| (one["name"].as_str().unwrap(), one["total"].as_f64().unwrap() as u64));
    assert_eq!(listed.collect::<Vec<_>>(), [counts, vec![("_OTHER", others)]].concat());
}

// Groups and records of errors are those of the failed calls that are wanted, and each record leads to its trace.
#[tokio::test]
async fn errors_are_those_of_the_calls() {
    let fixture = Fixture::new();
    let told = fixture.json("/api/v1/errors?provider=openai&class=rate_limited&limit=1000").await;
    let is_wanted = |call: &&Told| {
        call.provider == "openai" && call.error.is_some_and(|(class, _)| class == ErrorClass::RateLimited)
    };
    let wanted: Vec<&Told> = fixture.told.iter().filter(is_wanted).collect();
    let records = told["records"].as_array().unwrap();
    assert_eq!(records.len(), wanted.len());
    assert_eq!(told["groups"][0]["wanted"].as_u64(), Some(wanted.len() as u64));
    for (record, call) in records.iter().zip(wanted.iter().rev()) {
        let id = format!("{:032x}", u128::from_be_bytes(call.trace_id()));
        assert_eq!((record["trace_id"].as_str(), record["at"].as_u64()), (Some(&*id), Some(call.at / 1_000_000)));
    }
    let newest = wanted.last().unwrap();
    let page = fixture.page("/errors?range=6h&class=rate_limited&provider=openai").await;
    let id = format!("{:032x}", u128::from_be_bytes(newest.trace_id()));
    assert!(page.contains(&format!("href=\"https://signoz.example/trace/{id}?spanId={:016x}\"", newest.number)));
    assert!(page.contains(&format!(" of {}", wanted.len())));
}

// Of a time, errors are those of its calls: each group with as many records as failed then, in the steps in which they did.
#[tokio::test]
async fn errors_are_those_of_the_time() {
    let fixture = Fixture::new();
    let (hour, end) = (3_600_000, END / 1_000_000);
    for query in [
        String::new(),
        "range=15m".to_owned(),
        "range=1h&step=60".to_owned(),
        format!("from={}&to={}&step=600", end - 3 * hour / 2, end - hour / 2),
        "range=1h&class=timeout&operation=chat".to_owned(),
        "range=1h&operation=embeddings".to_owned(),
    ] {
        let told = fixture.json(&format!("/api/v1/errors?limit=1000&{query}")).await;
        let [from, to] = ["from", "to"].map(|end| told[end].as_u64().unwrap() * 1_000_000);
        let step = told["step_seconds"].as_u64().unwrap() * SECOND;
        let is_class = |call: &Told| {
            !query.contains("timeout") || call.error.is_some_and(|(class, _)| class == ErrorClass::Timeout)
        };
        let is_wanted = |call: &&Told| call.error.is_some() && is_class(call) && !query.contains("embeddings");
        let wanted: Vec<&Told> =
            fixture.told.iter().filter(|call| (from..to).contains(&call.at)).filter(is_wanted).collect();
        assert_eq!(wanted.is_empty(), query.contains("embeddings"));
        assert!(from % step == 0 && to % step == 0, "{query}");
        if query.is_empty() {
            assert_eq!(
                wanted.len(),
                fixture.told.iter().filter(|call| call.error.is_some()).count(),
                "all that is kept"
            );
        }
        let times: Vec<u64> =
            told["records"].as_array().unwrap().iter().map(|one| one["at"].as_u64().unwrap()).collect();
        assert!(times.iter().copied().eq(wanted.iter().rev().map(|call| call.at / 1_000_000)), "{query}");
        let mut groups = BTreeMap::<&str, BTreeMap<u64, u64>>::new();
        for call in &wanted {
            let trend = groups.entry(call.error.unwrap().0.name()).or_default();
            *trend.entry(call.at / step * step / 1_000_000).or_default() += 1;
        }
        let listed = told["groups"].as_array().unwrap();
        assert_eq!(listed.len(), groups.len(), "{query}");
        for group in listed {
            let trend = &groups[group["class"].as_str().unwrap()];
            assert_eq!(group["wanted"].as_u64().unwrap(), trend.values().sum::<u64>());
            assert_eq!(group["trend"], json!(trend.iter().collect::<Vec<_>>()), "{query}");
        }
    }
}

// What a monitor counted in a time is what its calls add up to, in all and in each step, and their latencies are distributed as told.
#[tokio::test]
async fn a_monitor_over_time_is_that_of_its_calls() {
    let fixture = Fixture::new();
    let is_of = |call: &&Told| call.model.starts_with("gpt-4o");
    for (query, least) in
        [("range=15m", 10), ("range=1h&step=60", 60), ("range=6h", 60), ("range=24h&step=3600", 3_600)]
    {
        let told = fixture.json(&format!("/api/v1/monitors/gpt-4o/series?{query}")).await;
        let [from, to] = ["from", "to"].map(|end| told[end].as_u64().unwrap() * 1_000_000);
        let step = told["step_seconds"].as_u64().unwrap() * SECOND;
        assert!(step >= least * SECOND && to > END);
        let calls: Vec<&Told> =
            fixture.told.iter().filter(is_of).filter(|call| (from..to).contains(&call.at)).collect();
        let totals = &told["totals"];
        assert_eq!((&totals["requests"], &totals["failed_by_class"]), (&json!(calls.len()), &json!(by_class(&calls))));
        let durations: Vec<u64> = calls.iter().map(|call| call.duration).collect();
        assert_near(totals["figures"]["latency_p99"].as_f64().unwrap(), quantile(durations, 0.99), "p99");
        let mut steps = BTreeMap::<u64, Vec<&Told>>::new();
        calls.iter().for_each(|call| steps.entry(call.at / step * step / 1_000_000).or_default().push(call));
        let listed = told["steps"].as_array().unwrap();
        assert_eq!(listed.len(), steps.len(), "{query}");
        for (one, (begin, calls)) in listed.iter().zip(steps) {
            let figure = |name: &str| one["figures"][name].as_f64().unwrap_or_default();
            assert_eq!((&one["at"], &one["failed_by_class"]), (&json!(begin), &json!(by_class(&calls))));
            assert_eq!(figure("total_requests"), calls.len() as f64);
            assert_eq!(figure("input_tokens"), calls.iter().map(|call| input(call)).sum::<u64>() as f64);
            assert!((figure("cost") - dollars(&calls)).abs() < 1e-9);
            assert_near(figure("latency_p50"), quantile(calls.iter().map(|call| call.duration).collect(), 0.5), "p50");
        }
    }
    type Quantity = fn(&Told) -> Option<f64>;
    let seconds = |nanos: u64| nanos as f64 / SECOND as f64;
    let quantities: [(&str, &str, Quantity); 4] = [
        ("", "s", |call| Some(call.duration as f64 / 1e9)),
        ("&of=time_to_first_token", "s", |call| call.first_token.map(|wait| wait as f64 / 1e9)),
        ("&of=input_tokens", "{token}", |call| call.tokens.map(|_| input(call) as f64)),
        ("&of=output_tokens", "{token}", |call| call.tokens.map(|_| output(call) as f64)),
    ];
    for (query, unit, of) in quantities {
        let told = fixture.json(&format!("/api/v1/monitors/gpt-4o/distribution?range=1h{query}")).await;
        let from = told["from"].as_u64().unwrap() * 1_000_000;
        assert!(seconds(END - from) - 3_600.0 < 10.0 && told["unit"] == unit);
        let calls = fixture.told.iter().filter(is_of).filter(|call| call.at >= from);
        let mut exact: Vec<f64> = calls.filter_map(of).collect();
        exact.sort_unstable_by(f64::total_cmp);
        assert_eq!(told["count"], exact.len(), "{query}");
        let values = told["values"].as_array().unwrap().iter();
        let each = values.flat_map(|about| {
            std::iter::repeat_n(about["value"].as_f64().unwrap(), about["count"].as_u64().unwrap() as usize)
        });
        let each: Vec<f64> = each.collect();
        assert_eq!(each.len(), exact.len());
        each.iter().zip(exact).for_each(|(told, exact)| assert_near(*told, exact, query));
    }
    for (path, status) in [
        ("/api/v1/monitors/nope/series", 404),
        ("/api/v1/monitors/nope/distribution", 404),
        ("/api/v1/monitors/gpt-4o/series?step=9", 400),
        ("/api/v1/monitors/gpt-4o/series?service=search", 400),
        ("/api/v1/monitors/gpt-4o/distribution?of=colour", 400),
    ] {
        assert_eq!(fixture.get(path).await.0.as_u16(), status, "{path}");
    }
}

// Whoever looks at one environment sees no errors of another, on the page and through the API.
#[tokio::test]
async fn errors_are_those_of_the_environment() {
    let fixture = Fixture::new();
    let is_wanted = |call: &&Told| call.environment() == "staging" && call.error.is_some();
    let wanted: Vec<&Told> = fixture.told.iter().filter(is_wanted).collect();
    let told = fixture.json("/api/v1/errors?environment=staging&limit=1000").await;
    assert_eq!(told["records"].as_array().unwrap().len(), wanted.len());
    assert!(told["records"].as_array().unwrap().iter().all(|record| record["environment"] == "staging"));
    let page = fixture.page("/errors?range=6h&environment=staging").await;
    assert!(page.contains(&format!(" of {}", wanted.len())));
    let newest_elsewhere = fixture.told.iter().rfind(|call| call.environment() == "production" && call.error.is_some());
    let id = format!("{:032x}", u128::from_be_bytes(newest_elsewhere.unwrap().trace_id()));
    assert!(fixture.page("/?range=6h").await.contains(&id));
    assert!(!fixture.page("/?range=6h&environment=staging").await.contains(&id));
}

// The incident that was fed is seen: the alert fired while it was, and recovered.
#[tokio::test]
async fn the_incident_is_told() {
    let fixture = Fixture::new();
    let told = fixture.json("/api/v1/alerts?monitor=gpt-4o").await;
    let incident = told["incidents"].as_array().unwrap().iter().find(|one| one["alert"] == "gpt-4o fails").unwrap();
    let fired = incident["fired"].as_u64().unwrap() * 1_000_000;
    assert!((END - 40 * MINUTE..END - 30 * MINUTE).contains(&fired));
    assert_eq!((incident["resolution"].as_str(), incident["severity"].as_str()), (Some("recovered"), Some("critical")));
    assert!(fixture.page("/alerts").await.contains("gpt-4o fails"));
    let slos = fixture.json("/api/v1/slos").await;
    let is_of = |call: &&Told| call.model.starts_with("gpt-4o");
    assert_eq!(slos[0]["total"].as_u64(), Some(fixture.told.iter().filter(is_of).count() as u64));
    let burn_down = slos[0]["burn_down"].as_array().unwrap();
    assert!(burn_down.is_sorted_by_key(|point| point["at"].as_u64().unwrap()));
    assert_eq!(burn_down.last().unwrap()["left"], slos[0]["left"]);
    let canary = fixture.json("/api/v1/monitors/gpt-4o/canaries").await;
    let of_version =
        |version: &str| fixture.told.iter().filter(is_of).filter(|call| call.version == version).count() as u64;
    assert_eq!(canary[0]["baseline_requests"].as_u64(), Some(of_version("1.0")));
    assert_eq!(canary[0]["canary_requests"].as_u64(), Some(of_version("2.0")));
}

// What clients say does no harm, and pages load and run nothing but what comes from here.
#[tokio::test]
async fn pages_are_safe() {
    let fixture = Fixture::new();
    for path in PAGES.into_iter().chain(["/?service=%22%3E%3Cimg%20src%3Dx%3E", "/nope%3Cb%3E", "/monitors/%3Cb%3E"]) {
        let (_, headers, page) = fixture.get(path).await;
        if page.is_empty() {
            continue;
        }
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self'") && !policy.contains("unsafe"), "{path}");
        assert!(headers["x-content-type-options"] == "nosniff" && headers["x-frame-options"] == "DENY");
        for bad in [
            "<script>alert",
            "<img src=x",
            "<b>",
            " style=",
            "<style",
            "onclick=",
            "javascript:",
            "src=\"http",
            "url(http",
        ] {
            let is_allowed = bad == "<b>" && path == "/"; // the tooltip of a zoom is in bold
            assert!(is_allowed || !page.contains(bad), "{path} has {bad}");
        }
        assert_eq!(page.matches("<script").count(), 1, "{path}");
    }
    assert!(fixture.page("/").await.contains("&lt;script&gt;alert(1)"));
}

/// A Spanmill that starts: it can be asked nothing yet.
struct Starting;

impl Source for Starting {
    fn monitoring(&self, _: &mut dyn FnMut(&Monitoring)) {}

    fn errors(&self, _: &mut dyn FnMut(&ErrorIndex)) {}

    fn unpriced(&self) -> Vec<Unpriced> {
        Vec::new()
    }

    fn health(&self) -> ServiceHealth {
        ServiceHealth { not_ready: Some("replaying the log".into()), ..ServiceHealth::default() }
    }

    fn notifiers(&self) -> Vec<NotifierState> {
        Vec::new()
    }

    fn is_stopping(&self) -> bool {
        false
    }

    fn command(&self, _: Command) -> Pin<Box<dyn Future<Output = Result<(), CommandFailure>> + Send + '_>> {
        Box::pin(async { Err(CommandFailure::Unavailable("replaying the log".into())) })
    }
}

// Where there is no page, or nothing to see yet, a page says why; what is not there yet the browser asks for again.
#[tokio::test]
async fn pages_say_why_there_is_nothing() {
    let router = Console::new(Starting, Settings::default()).router();
    for (path, status, said, is_asked_again) in
        [("/nothing", 404, "there is no page /nothing", false), ("/alerts", 503, "replaying the log", true)]
    {
        let answer = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        assert_eq!((parts.status.as_u16(), parts.headers.contains_key("refresh")), (status, is_asked_again), "{path}");
        assert!(parts.headers.contains_key("content-security-policy"), "{path}");
        let page = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        assert!(page.contains(said) && page.contains("To the overview"), "{page}");
    }
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
    for path in ["/assets/console.css", "/assets/console.js", "/assets/icon.svg"] {
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
    let (mut assets, mut heaviest) = (0, 0);
    for path in ["/assets/console.css", "/assets/console.js", "/assets/icon.svg"] {
        assets += fixture.page(path).await.len();
    }
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
    let mut assets = 0;
    for path in ["/assets/console.css", "/assets/console.js", "/assets/icon.svg"] {
        assets += fixture.page(path).await.len();
    }
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
    let mut assets = 0;
    for path in ["/assets/console.css", "/assets/console.js", "/assets/icon.svg"] {
        assets += fixture.page(path).await.len();
    }
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
    let mut assets = 0;
    for path in ["/assets/console.css", "/assets/console.js", "/assets/icon.svg"] {
        assets += fixture.page(path).await.len();
    }
    let page = fixture.page("/monitors").await;
    println!("/monitors: {} bytes", page.len() + assets);
    assert!(page.len() + assets < 100_000, "{}", page.len() + assets);
    assert!(page.contains(&last) && page.contains("The worst 60 of 100"));
}

// A time that is told by halves is as long as the range says; one that is too short or too long, and steps that are too many, are made
// to fit, and the answer says so.
#[tokio::test]
async fn times_are_made_to_fit() {
    let fixture = Fixture::new();
    let (hour, day, end) = (3_600_000, 86_400_000, END / 1_000_000);
    for (query, from, to) in [
        (format!("from={}", end - 2 * hour), end - 2 * hour, end - hour),
        (format!("to={}&range=6h", end - hour), end - 7 * hour, end - hour),
        (format!("from={}&to={}", end - hour, end - 2 * hour), end - hour, end - hour + 60_000),
        (format!("from=1&to={end}&range=15m"), end - 31 * day, end),
    ] {
        let told = fixture.json(&format!("/api/v1/overview?{query}")).await;
        let step = told["step_seconds"].as_u64().unwrap() * 1_000;
        assert_eq!(told["from"].as_u64(), Some(from / step * step), "{query}");
        assert!((to..=to + step).contains(&told["to"].as_u64().unwrap()), "{query}: {}", told["to"]);
    }
    let told = fixture.json("/api/v1/overview?range=30d&step=10").await;
    assert!(told["step_seconds"].as_u64().unwrap() * 1_500 >= 30 * 86_400);
}

// Where there is no memory for all of the history, every page and answer that is about more says from when on it knows all, and nothing of
// what was before; where there is, none does.
#[tokio::test]
async fn what_is_cut_is_told() {
    let whole = Fixture::new();
    let health = whole.json("/api/v1/health").await;
    let kept: Vec<(u64, u64)> = [(10, 3_600), (60, 86_400), (900, 30 * 86_400)].into();
    for (reach, (step, kept)) in health["history"].as_array().unwrap().iter().zip(kept) {
        let since = END / 1_000_000 / (step * 1_000) * (step * 1_000) - kept * 1_000;
        let expected = json!({ "step_seconds": step, "kept_seconds": kept, "since": since, "is_cut": false });
        assert_eq!(*reach, expected);
    }
    assert_eq!(health["monitors"], health["history"], "monitors keep theirs as long");
    for path in ["/api/v1/overview?range=30d", "/api/v1/series?range=24h", "/api/v1/monitors/gpt-4o/series?range=30d"] {
        let told = whole.json(path).await;
        assert_eq!(told["known_from"], told["from"], "{path}");
    }
    assert!(!whole.page("/?range=30d").await.contains("id=\"cut\""));

    let history = HistoryConfig { memory: 40_000, ..HistoryConfig::default() };
    let cut = Fixture::of(&Config { history, ..config() });
    let health = cut.json("/api/v1/health").await;
    assert_eq!(health["history_limit_bytes"], 40_000);
    let longest = &health["history"][2];
    assert_eq!((&longest["step_seconds"], &longest["is_cut"]), (&json!(900), &json!(true)));
    let told = cut.json("/api/v1/overview?range=6h").await;
    let known_from = told["known_from"].as_u64().unwrap();
    assert!(known_from > told["from"].as_u64().unwrap() && longest["since"] == known_from, "{known_from}");
    let monitor = cut.json("/api/v1/monitors/gpt-4o/series?range=6h").await;
    assert!(monitor["known_from"].as_u64() > monitor["from"].as_u64(), "monitors have as little memory");
    let counted = cut.since(known_from * 1_000_000, |_| true).len();
    assert_eq!(told["totals"]["requests"], counted, "what is known is known exactly");
    assert!(counted < cut.told.len());
    for (path, is_cut) in [
        ("/?range=6h", true),
        ("/errors?range=6h", true),
        ("/prices?range=6h", true),
        ("/monitors/gpt-4o?range=6h", true),
        ("/?range=15m", false),
        ("/monitors/gpt-4o?range=15m", false),
    ] {
        let page = cut.page(path).await;
        assert_eq!(page.contains("id=\"cut\""), is_cut, "{path}");
        assert_eq!(page.contains(">Why<"), is_cut, "{path}");
    }
    // What a monitor's page shows of it is what the API tells.
    let shown = table_of(&cut.page("/monitors/gpt-4o?range=6h").await, "volume").1;
    assert_eq!(shown.iter().filter(|row| !row[0].is_empty()).count(), monitor["steps"].as_array().unwrap().len());
    // More than is ever kept is no lack of memory.
    let zoom = format!("?from={}&to={}", END / 1_000_000 - 31 * 86_400_000, END / 1_000_000);
    for path in ["/", "/monitors/gpt-4o"] {
        let page = whole.page(&format!("{path}{zoom}")).await;
        assert!(page.contains("id=\"cut\"") && !page.contains(">Why<"), "{path}");
    }
    // Nor is what came before a monitor was made, or while it is archived.
    whole.post("/api/v1/monitors", &json!({ "name": "own", "selector": {} })).await;
    assert!(whole.page("/monitors/own?range=1h").await.contains("Its calls are counted since"));
    whole.post("/api/v1/monitors/own/archive", &json!({})).await;
    assert!(whole.page("/monitors/own?range=1h").await.contains("its calls are not counted"));
    let page = cut.page("/health").await;
    assert!(page.contains("history.memory") && !whole.page("/health").await.contains("history.memory"));
}

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
    assert_eq!((&told["thresholds"], &told["selector"]["model"]), (&new["thresholds"], &json!("claude*")));
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

// The page shows who is told, and what failed, as it was said and no mark-up of it.
#[tokio::test]
async fn notifiers_are_shown() {
    let fixture = Fixture::new();
    let page = fixture.page("/alerts").await;
    for expected in ["webhook/oncall", "<data value=\"7\">", "http 500: out of &lt;order&gt;"] {
        assert!(page.contains(expected), "no {expected}");
    }
    let told = &fixture.json("/api/v1/notifiers").await[0];
    assert_eq!((&told["failed_attempts"], &told["given_up"]), (&json!(7), &json!(2)));
}

// A series is left out of a chart by its legend, and nothing else changes.
#[tokio::test]
async fn series_are_hidden() {
    let fixture = Fixture::new();
    let (all, _) = table_of(&fixture.page("/").await, "requests");
    let page = fixture.page("/?hide=requests.search").await;
    let (shown, rows) = table_of(&page, "requests");
    let expected: Vec<String> = all.iter().filter(|name| *name != "search").cloned().collect();
    assert_eq!(shown, expected);
    let count = fixture.since(END - HOUR - END % MINUTE, |call| call.service == shown[0]).len();
    assert_eq!(rows.iter().filter_map(|row| row[0].parse::<usize>().ok()).sum::<usize>(), count);
    assert_eq!(table_of(&page, "tokens").0, table_of(&fixture.page("/").await, "tokens").0);
}

// Every resource that the description names is there.
#[tokio::test]
async fn what_is_described_is_there() {
    let fixture = Fixture::new();
    let description = fixture.json("/api/v1/openapi.json").await;
    assert_eq!(description, serde_json::from_str::<Value>(&spanmill_console::openapi()).unwrap());
    for (path, methods) in description["paths"].as_object().unwrap() {
        let name = match path.split('/').nth(3) {
            Some("alerts") => "gpt-4o%20fails",
            Some("slos") => "available",
            _ => "gpt-4o",
        };
        let path = path.replace("{name}", name);
        for method in methods.as_object().unwrap().keys().filter(|_| path != "/api/v1/events") {
            let method: Method = method.to_uppercase().parse().unwrap();
            let request = Request::builder().method(method).uri(&path).body(Body::empty()).unwrap();
            let (status, _, body) = fixture.send(request).await;
            assert!(!matches!(status.as_u16(), 404 | 405 | 500), "{path}: {status} {body}");
        }
    }
}

// Open pages are told of every evaluation step, so many of them and no more, and until the server stops.
#[tokio::test]
async fn pages_are_told_of_what_is_new() {
    let fixture = Fixture::new();
    let open = || fixture.router.clone().oneshot(Request::get("/api/v1/events").body(Body::empty()).unwrap());
    let mut first = open().await.unwrap().into_body();
    let mut others = Vec::new();
    for _ in 1..100 {
        let answer = open().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        others.push(answer);
    }
    assert_eq!(open().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(others);
    assert_eq!(open().await.unwrap().status(), StatusCode::OK, "who leaves makes room");
    let wait = Duration::from_secs(20);
    let mut next = async || match tokio::time::timeout(wait, first.frame()).await.unwrap() {
        Some(frame) => String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap(),
        None => String::new(),
    };
    let begin = loop {
        let event = next().await;
        if !event.contains("data: 0") {
            break event;
        }
    };
    assert!(begin.starts_with("event: evaluated"), "{begin}");
    fixture.fed.advance(END + 10 * SECOND);
    let event = next().await;
    assert!(event.starts_with("event: evaluated") && event != begin);
    fixture.fed.stop();
    assert_eq!(next().await, "", "the stream ends");
}
