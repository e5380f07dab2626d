//! Incidents whose times are known: each alert fires and ends within one evaluation step of the time that a look at all calls one by one
//! gives, once, over a `kill -9` while it is pending and another one while it fires; none fires where nothing happens.
//!
//! Ten minutes pass in a second or two: the wall clock of the process is set forward between requests.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, status::StatusCode};
use serde_json::Value;
use spanmill_tests::{Client, Fault, Payload, Setup, Spanmill, Switch, eventually, get};

use crate::spans::{call, text};

/// Everything is evaluated at every multiple of this, in seconds.
const EVALUATION_STEP: f64 = 10.0;
/// Seconds between two requests: the calls of one are counted when the next one comes.
const STEP: u64 = 5;
/// The window of monitors, seconds.
const WINDOW: f64 = 300.0;
/// For how long a condition must hold, seconds.
const LASTS: f64 = 60.0;
/// Seconds since the start: half of the calls fail; there are none; a slow version is rolled out, and rolled back at once.
const BURST: Range<u64> = 120..240;
const SILENCE: Range<u64> = 120..540;
const ROLLOUT: Range<u64> = 120..240;
const STOP: u64 = 620;
/// When the process is killed: while alerts are pending, and while they fire.
const KILLS: [u64; 2] = [190, 400];
/// Calls of a service in a request.
const CALLS: u64 = 8;

const SECTIONS: &str = "monitors:
- { name: errors, select: { service: errors } }
- { name: silence, select: { service: silence } }
- { name: rollout, select: { service: rollout } }
- { name: quiet, select: { service: quiet } }
alerts:
- { name: errors, monitor: errors, when: { field: error_rate, above: 0.2 }, for: 1m }
- { name: silence, monitor: silence, when: { no_data: true }, for: 1m }
- { name: rollout, monitor: rollout, when: { field: latency_p90, above: 2 }, for: 1m }
- { name: quiet errors, monitor: quiet, when: { field: error_rate, above: 0.2 }, for: 1m }
- { name: quiet silence, monitor: quiet, when: { no_data: true }, for: 1m }
- { name: quiet rollout, monitor: quiet, when: { field: latency_p90, above: 2 }, for: 1m }
";

/// What a call told, and when it was counted, in seconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
struct Told {
    at: f64,
    service: &'static str,
    fails: bool,
    seconds: u64,
}

/// The calls of a second since the start.
fn calls(second: u64) -> Vec<Told> {
    let told = |service, fails, seconds| Told { at: 0.0, service, fails, seconds };
    let share = |place: u64| ROLLOUT.contains(&second) && place * 120 < CALLS * (second - ROLLOUT.start);
    let all = (0..CALLS).flat_map(|place| {
        [
            Some(told("errors", BURST.contains(&second) && place % 2 == 0, 1)),
            (!SILENCE.contains(&second)).then(|| told("silence", false, 1)),
            Some(told("rollout", false, if share(place) { 3 } else { 1 })),
            Some(told("quiet", place == 0, 1)),
        ]
    });
    all.flatten().collect()
}

fn payload(calls: &[Told], first_id: u64) -> Payload {
    let resource_spans = (first_id..).zip(calls).map(|(id, told)| {
        let mut span = call(id, "gpt-4o");
        span.end_time_unix_nano = span.start_time_unix_nano + told.seconds * 1_000_000_000;
        span.status = told.fails.then(|| Status { code: StatusCode::Error as i32, ..Status::default() });
        of_service(told.service, span)
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
fn expected(all: &[Told], alert: &str) -> (f64, f64) {
    let holds = |at: f64| {
        let in_window = |told: &&Told| told.service == alert && (at - WINDOW..at).contains(&told.at);
        let calls: Vec<&Told> = all.iter().filter(in_window).collect();
        let share =
            |is_one: fn(&Told) -> bool| calls.iter().filter(|told| is_one(told)).count() as f64 / calls.len() as f64;
        match alert {
            "errors" => share(|told| told.fails) > 0.2,
            "silence" => calls.is_empty(),
            _ => share(|told| told.seconds > 2) > 0.1,
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

// Error burst, silence and slow rollout are told in time, once, and with the time to recovery that the page shows.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes seconds"]
async fn alerts_fire_and_end_in_time() {
    let Some(clock) = Switch::of(Fault::Clock) else { return };
    let setup = Setup {
        wal: "enabled: true",
        settle_wait: "1s",
        sections: SECTIONS.to_owned(),
        environment: clock.environment(),
        ..Setup::default()
    };
    let begin = std::time::Instant::now();
    let mut spanmill = Spanmill::start(&setup);
    let mut client = Client::grpc(spanmill.addresses);
    let (mut all, mut sent, mut kills) = (Vec::new(), Vec::<Told>::new(), KILLS.into_iter().peekable());
    let mut id = 1;
    for second in (0..STOP).step_by(STEP as usize) {
        clock.set(second as i64);
        if kills.next_if(|at| *at <= second).is_some() {
            spanmill = Spanmill::start_in(spanmill.kill(), &setup);
            client = Client::grpc(spanmill.addresses);
        }
        let new = calls(second);
        client.send(&payload(&new, id)).await.unwrap();
        id += new.len() as u64;
        let counted_now = now() + second as f64;
        all.extend(std::mem::replace(&mut sent, new).into_iter().map(|told| Told { at: counted_now, ..told }));
    }
    let admin = spanmill.addresses.admin;
    let told = eventually("all of it is counted", async || {
        let requests = get(admin, "/api/v1/overview?range=15m").await.json()["totals"]["requests"].as_u64();
        (requests >= Some(all.len() as u64)).then_some(())?;
        Some(get(admin, "/api/v1/alerts").await.json())
    })
    .await;
    println!("{STOP} s took {:?}", begin.elapsed());
    let incidents = told["incidents"].as_array().unwrap();
    assert_eq!(incidents.len(), 3, "each alert fires once, and no other: {incidents:#?}");
    let page = get(admin, "/alerts").await.text();
    for alert in ["errors", "silence", "rollout"] {
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
