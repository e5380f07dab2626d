//! The page of the running server in a browser: every panel shows what happened.

mod happened;

use std::time::{SystemTime, UNIX_EPOCH};

use happened::{Call, Prices};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;
use spanmill_tests::{Chromium, Client, Fault, Setup, Spanmill, Switch, corpus, eventually, get};

use crate::spans;

/// Batches of calls before the page is opened.
const BATCHES: u64 = 6;
/// Seconds between them, seconds after which the calls of one are counted, and seconds after which what was counted has been judged.
const BETWEEN: i64 = 50;
const SETTLED: i64 = 10;
const EVALUATED: i64 = 20;

const SECTIONS: &str = "monitors:
- { name: assistant, select: { service: assistant }, window: 15m, health: llm,
    charts: [{ name: inputs, field: input_tokens, step: 1m, learning: 4, minimum_requests: 20 }],
    drift: { window: 4m, reference: 20m, minimum_requests: 20 },
    canaries: [{ name: models, versions: response_model, baseline: claude-opus-4-5, canary: gpt-4.1-mini, window: 15m, minimum_requests: 10 }] }
- { name: search, select: { service: search }, window: 15m, health: llm }
- { name: nightly, select: { service: nightly }, window: 15m, health: llm, cold_starts: { idle: 30s, factor: 1.5 } }
- { name: silent, select: { service: nobody }, window: 15m, health: llm }
alerts:
- { name: nightly fails, monitor: nightly, when: { field: error_rate, above: 0.15 }, severity: critical }
- { name: search fails, monitor: search, when: { field: error_rate, above: 0.15 }, severity: critical }
slos:
- { name: nightly works, monitor: nightly, objective: availability, target: 0.7, period: 7d }
notifiers:
  webhook/nobody: { url: \"http://127.0.0.1:1/\" }
";

/// A running server whose clock can be set forward, and all that happened so far.
struct World {
    clock: Switch,
    /// By how many seconds its clock is ahead.
    ahead: i64,
    spanmill: Spanmill,
    client: Client,
    prices: Prices,
    calls: Vec<Call>,
    spans: usize,
}

impl World {
    fn begin(clock: Switch) -> Self {
        let setup = Setup {
            admin: "trace_link: \"/trace/{trace_id}?spanId={span_id}\"",
            wal: "max_size: 256MiB",
            derive: "merge_unlinked_duplicates: true, duplicate_window: 25m, prices: { supplied_cost: ignore }",
            // Longer than a slow machine takes for the requests of a client.
            settle_wait: "8s",
            sections: SECTIONS.to_owned(),
            environment: clock.environment(),
            ..Setup::default()
        };
        clock.set(0);
        let spanmill = Spanmill::start(&setup);
        let client = Client::grpc(spanmill.addresses);
        Self { clock, ahead: 0, spanmill, client, prices: Prices::published(), calls: Vec::new(), spans: 0 }
    }

    /// Sets the clock of the server forward.
    fn pass(&mut self, seconds: i64) {
        self.ahead += seconds;
        self.clock.set(self.ahead);
    }

    /// What its clock says, in milliseconds since the Unix epoch.
    fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        (now as u64).checked_add_signed(self.ahead * 1_000).unwrap()
    }

    /// Waits until calls are counted that were sent since `sent`.
    async fn counted(&mut self, calls: Vec<Call>, sent: u64) {
        let received = [sent, self.now()];
        self.pass(SETTLED);
        let all = self.calls.len() + calls.len();
        assert_eq!(self.spanmill.counted(all as u64).await.requests, all as u64);
        let counted = [sent, self.now()];
        self.calls.extend(calls.into_iter().map(|call| Call { received, counted, ..call }));
    }

    async fn send_batch(&mut self, number: u64) {
        self.pass(BETWEEN);
        let sent = self.now();
        let (calls, payload) = happened::batch(number, &self.prices);
        self.client.send(&payload).await.unwrap();
        self.spans += payload.spans().len();
        self.counted(calls, sent).await;
    }

    async fn send_corpus(&mut self) {
        self.pass(BETWEEN);
        let sent = self.now();
        let mut calls = Vec::new();
        for client in corpus() {
            for payload in &client.payloads {
                self.client.send(payload).await.unwrap();
                self.spans += payload.spans().len();
            }
            calls.extend(happened::of_client(&client, &self.prices));
        }
        self.counted(calls, sent).await;
    }

    /// Lets everything be judged that was counted. Something must come for that: a span that is no call.
    async fn evaluate(&mut self) {
        self.pass(EVALUATED);
        let span =
            Span { attributes: Vec::new(), name: "GET /".to_owned(), ..spans::call(u64::MAX - self.spans as u64, "") };
        self.client.send(&spans::payload(vec![span])).await.unwrap();
        self.spans += 1;
        let all = self.calls.len();
        eventually("all is judged", async || {
            let told = get(self.spanmill.addresses.admin, "/api/v1/overview?range=15m").await.json();
            (told["totals"]["requests"] == all).then_some(())
        })
        .await;
    }

    /// What the script is told.
    fn told(&self) -> String {
        let files = std::fs::read_dir(self.spanmill.directory().join("data")).unwrap().map(|file| file.unwrap());
        let segments = files.filter(|file| file.path().extension().is_some_and(|extension| extension == "wal"));
        let log: u64 = segments.map(|segment| segment.metadata().unwrap().len()).sum();
        json!({ "calls": self.calls, "spans": self.spans, "log": log }).to_string()
    }
}

// The panels that tests/console/panels.mjs reads show the numbers of the corpus' ledger and of the calls that are made here, also of those that are made while it is
// open; percentiles within their stated error, costs by the published prices.
#[tokio::test(flavor = "multi_thread")]
async fn panels_show_what_happened() {
    let Some(chromium) = Chromium::get() else { return };
    let Some(clock) = Switch::of(Fault::Clock) else { return };
    let mut world = World::begin(clock);
    for number in 0..BATCHES {
        world.send_batch(number).await;
    }
    world.send_corpus().await;
    world.evaluate().await;

    let address = format!("http://{}", world.spanmill.addresses.admin);
    let answer = async |what: &str| {
        if what == "more" {
            world.send_batch(BATCHES).await;
            world.evaluate().await;
        }
        world.told()
    };
    chromium.run("panels.mjs", &address, answer).await;
    world.spanmill.stop();
}
