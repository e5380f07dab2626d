//! Page and API over known calls.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod fixture;
mod source;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use aggregate::{ErrorIndex, Unpriced};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use fixture::{END, Fixture, PAGES, value_of};
use genai::ErrorClass;
use http_body_util::BodyExt;
use monitor::{Command, Config, HOUR, HistoryConfig, MINUTE, Monitoring, RELATIVE_ERROR, SECOND};
use serde_json::{Value, json};
use source::{Told, config};
use spanmill_console::{CommandFailure, Console, NotifierState, ServiceHealth, Settings, Source};
use tower::ServiceExt;

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
