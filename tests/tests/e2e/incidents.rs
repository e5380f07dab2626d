//! Incidents whose times are known: each alert fires and ends within one evaluation step of the time that a look at all calls one by one
//! gives, once, over a `kill -9` while it is pending and another one while it fires; none fires where nothing happens.
//!
//! Eighteen minutes pass in seconds: the wall clock of the process is set forward between requests.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value::DoubleValue;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, status::StatusCode};
use serde_json::Value;
use spanmill_tests::{Client, Fault, Payload, Setup, Spanmill, Switch, eventually, get};

use crate::spans::{attribute, call, text};

/// Everything is evaluated at every multiple of this, in seconds.
const EVALUATION_STEP: f64 = 10.0;
/// Seconds between two requests: the calls of one are counted when the next one comes.
const STEP: u64 = 5;
/// The window of monitors, seconds.
const WINDOW: f64 = 300.0;
/// For how long a condition must hold, seconds.
const LASTS: f64 = 60.0;
const STOP: u64 = 1_080;
/// The second of a minute at which it begins.
const FIRST_SECOND: f64 = 10.0;
/// When the process is killed: while alerts are pending, while they fire, and while a baseline holds.
const KILLS: [u64; 3] = [190, 400, 705];
/// Calls of a service in a request.
const CALLS: u64 = 8;

/// Something that happens to a service of this name.
struct Kind {
    name: &'static str,
    /// When, in seconds since the start.
    happens: Range<u64>,
    /// What its monitor has beside a selector, and what an alert of it waits for; `NAME` is the name of the monitor.
    monitor: &'static str,
    when: &'static str,
}

/// Half of the calls fail; there are none; a slow version is rolled out, and rolled back at once; the first calls after an idle time wait for
/// the model to be loaded; a canary that takes half of the calls is 20 % slower; a dearer model is asked.
const KINDS: [Kind; 6] = [
    Kind { name: "errors", happens: 120..240, monitor: "", when: "field: error_rate, above: 0.2" },
    Kind { name: "silence", happens: 120..540, monitor: "", when: "no_data: true" },
    Kind { name: "rollout", happens: 120..240, monitor: "", when: "field: latency_p90, above: 2" },
    Kind {
        name: "cold",
        happens: 180..330,
        monitor: ", cold_starts: { idle: 20s, factor: 3 }",
        when: "field: cold_start_rate, above: 0.5",
    },
    Kind {
        name: "canary",
        happens: 200..320,
        monitor: ", canaries: [{ name: NAME, versions: response_model, baseline: v1, canary: v2, window: 5m, minimum_requests: 40 }]",
        when: "canary: NAME, verdict: fail",
    },
    Kind { name: "cost", happens: 660..740, monitor: "", when: "field: cost_per_request, above: 1.5, baseline: 30m" },
];

/// Beside each a service to which the same calls come, but nothing happens.
fn names(kind: &Kind) -> [String; 2] {
    [kind.name.to_owned(), format!("quiet {}", kind.name)]
}

fn sections() -> String {
    let list = |line: fn(&Kind) -> String| -> String {
        let lines = KINDS.iter().flat_map(|kind| names(kind).map(|name| line(kind).replace("NAME", &name)));
        lines.collect()
    };
    let monitors = list(|kind| format!("- {{ name: NAME, select: {{ service: NAME }}{} }}\n", kind.monitor));
    let alerts = list(|kind| format!("- {{ name: NAME, monitor: NAME, when: {{ {} }}, for: 1m }}\n", kind.when));
    format!("monitors:\n{monitors}alerts:\n{alerts}")
}

/// What a call told, and when it was counted, in seconds since the Unix epoch. Times are milliseconds.
#[derive(Debug, Clone, Copy)]
struct Told {
    at: f64,
    kind: &'static str,
    is_quiet: bool,
    fails: bool,
    takes: u64,
    waits: u64,
    model: &'static str,
    /// Whether it is the first one after an idle time.
    is_first: bool,
}

/// The calls of a second since the start.
fn calls(second: u64) -> Vec<Told> {
    let of = |kind: &'static Kind, is_quiet: bool| {
        let happens = !is_quiet && kind.happens.contains(&second);
        let usual = Told {
            at: 0.0,
            kind: kind.name,
            is_quiet,
            fails: false,
            takes: 1_000,
            waits: 200,
            model: "gpt-4o",
            is_first: false,
        };
        let call = move |place| match kind.name {
            "errors" => Some(Told { fails: place == 0 || happens && place % 2 == 0, ..usual }),
            "silence" => (!happens).then_some(usual),
            "rollout" => {
                let share = CALLS * second.saturating_sub(kind.happens.start);
                let is_new = happens && place * (kind.happens.end - kind.happens.start) < share;
                Some(Told { takes: if is_new { 3_000 } else { 1_000 }, ..usual })
            }
            // One call twice a minute, and eight at the next request.
            "cold" => {
                let is_first = second.is_multiple_of(30) && place == 0;
                let is_cold = happens && is_first;
                let waits = if is_cold { 2_000 } else { 200 };
                let told = Told { waits, takes: waits + 800, is_first, ..usual };
                (is_first || second % 30 == STEP).then_some(told)
            }
            // The canary is tried next to the quiet service as well.
            "canary" => {
                let is_new = kind.happens.contains(&second) && place % 2 == 0;
                let takes = 800 + 50 * place;
                let takes = if is_new && happens { takes * 12 / 10 } else { takes };
                Some(Told { takes, model: if is_new { "v2" } else { "v1" }, ..usual })
            }
            _ => Some(Told { model: if happens { "gpt-4" } else { "gpt-4o" }, ..usual }),
        };
        (0..CALLS).filter_map(call)
    };
    KINDS.iter().flat_map(|kind| of(kind, false).chain(of(kind, true))).collect()
}

fn payload(calls: &[Told], first_id: u64) -> Payload {
    let resource_spans = (first_id..).zip(calls).map(|(id, told)| {
        let mut span = call(id, told.model);
        span.end_time_unix_nano = span.start_time_unix_nano + told.takes * 1_000_000;
        span.status = told.fails.then(|| Status { code: StatusCode::Error as i32, ..Status::default() });
        span.attributes.push(text("gen_ai.response.model", told.model));
        span.attributes.push(attribute("gen_ai.response.time_to_first_chunk", DoubleValue(told.waits as f64 / 1e3)));
        of_service(&if told.is_quiet { format!("quiet {}", told.kind) } else { told.kind.to_owned() }, span)
    });
    Payload::traces(&ExportTraceServiceRequest { resource_spans: resource_spans.collect() })
}

fn of_service(service: &str, span: Span) -> ResourceSpans {
    ResourceSpans {
        resource: Some(Resource { attributes: vec![text("service.name", service)], ..Resource::default() }),
        scope_spans: vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

/// When the condition of an alert has held for long enough, and when it is over, by the calls themselves.
fn expected(all: &[Told], kind: &str) -> (f64, f64) {
    let all: Vec<&Told> = all.iter().filter(|told| told.kind == kind && !told.is_quiet).collect();
    // What is usual of times to the first token is known from the first whole minute with twenty of them before it.
    let usual_from = (all[19].at / 60.0).ceil() * 60.0;
    let holds = |at: f64| {
        let calls: Vec<&Told> = all.iter().filter(|told| (at - WINDOW..at).contains(&told.at)).copied().collect();
        let share = |calls: &[&Told], is_one: fn(&Told) -> bool| {
            calls.iter().filter(|told| is_one(told)).count() as f64 / calls.len() as f64
        };
        match kind {
            "errors" => share(&calls, |told| told.fails) > 0.2,
            "silence" => calls.is_empty(),
            "rollout" => share(&calls, |told| told.takes > 2_000) > 0.1,
            "cold" => {
                let is_known = |told: &&&Told| told.is_first && told.at >= usual_from;
                let first: Vec<&Told> = calls.iter().filter(is_known).copied().collect();
                share(&first, |told| told.waits > 600) > 0.5
            }
            "canary" => calls.iter().filter(|told| told.model == "v2").count() >= 40,
            // Dollars a million tokens: 10 go in and 5 come out; before, all of them were of the cheaper model.
            _ => {
                let price = |told: &&Told| if told.model == "gpt-4" { 10.0 * 30.0 + 5.0 * 60.0 } else { 75.0 };
                calls.iter().map(price).sum::<f64>() / calls.len() as f64 > 1.5 * 75.0
            }
        }
    };
    // A window that began before the first call is no silence.
    let mut at = ((all[0].at + LASTS) / EVALUATION_STEP).ceil() * EVALUATION_STEP;
    let mut next = |wanted: bool| {
        while holds(at) != wanted {
            at += EVALUATION_STEP;
        }
        at
    };
    (next(true) + LASTS, next(false))
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn seconds(value: &Value) -> f64 {
    value.as_f64().unwrap() / 1e3
}

// Error burst, silence, slow rollout, cold starts, a canary 20 % slower and a cost leap are told in time, once, and with the time to recovery
// that the page shows; beside quiet services, of which none is told.
#[tokio::test(flavor = "multi_thread")]
async fn alerts_fire_and_end_in_time() {
    let Some(clock) = Switch::of(Fault::Clock) else { return };
    let setup = Setup {
        wal: "enabled: true",
        settle_wait: "1s",
        sections: sections(),
        environment: clock.environment(),
        ..Setup::default()
    };
    let begin = std::time::Instant::now();
    let mut spanmill = Spanmill::start(&setup);
    let mut client = Client::grpc(spanmill.addresses);
    let (mut all, mut sent, mut kills) = (Vec::new(), Vec::<Told>::new(), KILLS.into_iter().peekable());
    let mut id = 1;
    // What is usual is known from a whole minute on: none of the calls that this decides of is counted within seconds of one.
    let ahead = (60.0 - now() % 60.0 + FIRST_SECOND) as u64;
    for second in (0..STOP).step_by(STEP as usize) {
        let shift = ahead + second;
        clock.set(shift as i64);
        if kills.next_if(|at| *at <= second).is_some() {
            spanmill = Spanmill::start_in(spanmill.kill(), &setup);
            client = Client::grpc(spanmill.addresses);
        }
        let new = calls(second);
        client.send(&payload(&new, id)).await.unwrap();
        id += new.len() as u64;
        let counted_now = now() + shift as f64;
        all.extend(std::mem::replace(&mut sent, new).into_iter().map(|told| Told { at: counted_now, ..told }));
    }
    let admin = spanmill.addresses.admin;
    let told = eventually("all of it is counted", async || {
        let requests = get(admin, "/api/v1/overview?range=1h").await.json()["totals"]["requests"].as_u64();
        (requests >= Some(all.len() as u64)).then_some(())?;
        Some(get(admin, "/api/v1/alerts").await.json())
    })
    .await;
    println!("{STOP} s took {:?}", begin.elapsed());
    let incidents = told["incidents"].as_array().unwrap();
    let mut fired: Vec<&str> = incidents.iter().map(|incident| incident["alert"].as_str().unwrap()).collect();
    fired.sort_unstable();
    assert_eq!(
        fired,
        ["canary", "cold", "cost", "errors", "rollout", "silence"],
        "each once, and no other: {incidents:#?}"
    );
    let page = get(admin, "/alerts").await.text();
    for Kind { name: alert, .. } in KINDS {
        let incident = incidents.iter().find(|incident| incident["alert"] == alert).unwrap();
        let (fired, resolved) = (seconds(&incident["fired"]), seconds(&incident["resolved"]));
        let (should_fire, should_end) = expected(&all, alert);
        assert!((fired - should_fire).abs() <= EVALUATION_STEP, "{alert} fires {fired} for {should_fire}");
        assert!((resolved - should_end).abs() <= EVALUATION_STEP, "{alert} ends {resolved} for {should_end}");
        assert_eq!((&incident["resolution"], &incident["notifications"]), (&"recovered".into(), &2.into()), "{alert}");
        let found = told["alerts"].as_array().unwrap().iter().find(|told| told["name"] == alert).unwrap();
        let recovery = found["mean_seconds_to_recovery"].as_f64().unwrap();
        assert!((recovery - (resolved - fired)).abs() < 0.001, "{alert}: {recovery} s");
        assert!(page.contains(&format!("<data value=\"{recovery}\">")), "the page shows {recovery} s to recovery");
    }
    spanmill.stop();
}
