//! A source for tests and for the example: what is watched, fed with calls at known times.
#![allow(dead_code, clippy::unwrap_used, missing_docs, reason = "tests and the example use different parts")]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use aggregate::{ErrorIndex, ErrorRecord, ErrorText, Unpriced};
use genai::{ErrorClass, Money, TokenClasses};
use monitor::*;
use spanmill_console::{ArchiveState, CommandFailure, Cursor, NotifierState, Saved, ServiceHealth, Source};

pub const START: u64 = 1_790_000_000 * SECOND;
const MILLISECOND: u64 = SECOND / 1_000;

/// A call that was told.
#[derive(Debug, Clone)]
pub struct Told {
    pub at: u64,
    pub number: u64,
    pub service: &'static str,
    pub provider: &'static str,
    pub model: &'static str,
    pub version: &'static str,
    pub error: Option<(ErrorClass, &'static str)>,
    pub duration: u64,
    pub first_token: Option<u64>,
    pub tokens: Option<TokenClasses>,
    pub cost: Option<Money>,
}

impl Told {
    pub fn call(&self) -> Call<'static> {
        let tokens = self.tokens;
        let input = tokens.map(|tokens| tokens.input_uncached + tokens.cache_read + tokens.cache_write);
        let output = tokens.map(|tokens| tokens.output_visible + tokens.reasoning);
        let per_token = |wait: u64| (self.duration.saturating_sub(wait)) / output.unwrap_or(1).max(1);
        Call {
            service: self.service,
            environment: self.environment(),
            provider: self.provider,
            request_model: self.model,
            response_model: self.model,
            operation: "chat",
            service_version: self.version,
            server_address: "api.example.com",
            trace_id: self.trace_id(),
            span_id: self.number.to_be_bytes(),
            error: self.error.map(|(class, _)| class),
            duration: Some(self.duration),
            time_to_first_token: self.first_token,
            time_per_output_token: self.first_token.map(per_token),
            input_tokens: input,
            output_tokens: output,
            tokens,
            cost: self.cost,
            ..Call::default()
        }
    }

    pub fn environment(&self) -> &'static str {
        if self.service == "batch" { "staging" } else { "production" }
    }

    pub fn trace_id(&self) -> [u8; 16] {
        (u128::from(self.number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) | 1).to_be_bytes()
    }

    fn record(&self) -> Option<ErrorRecord> {
        let (class, message) = self.error?;
        let mut record = ErrorRecord::of(class);
        (record.time, record.receive_time, record.duration) = (self.at, self.at, Some(self.duration));
        (record.trace_id, record.span_id) = (self.trace_id(), self.number.to_be_bytes());
        // Long messages are each of a group of their own.
        let own = message
            .get(..1_000)
            .map_or(0, |long| long.bytes().fold(1_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())));
        record.fingerprint = 0xabc0 + class as u64 + (own >> 8 << 8);
        let kind = format!("{}Error", self.provider);
        let texts = [
            (ErrorText::Service, self.service),
            (ErrorText::Environment, self.environment()),
            (ErrorText::Operation, "chat"),
            (ErrorText::Provider, self.provider),
            (ErrorText::RequestModel, self.model),
            (ErrorText::Kind, &kind),
            (ErrorText::Message, message),
        ];
        Some(texts.into_iter().fold(record, |record, (which, text)| record.with(which, text)))
    }
}

const SERVICES: [&str; 4] = ["support-bot", "search", "code-review", "batch"];
const MODELS: [(&str, &str); 6] = [
    ("anthropic", "claude-sonnet-4-5"),
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("gcp.gemini", "gemini-2.5-pro"),
    ("mistral_ai", "mistral-large"),
    ("self-hosted", "<script>alert(1)</script>"),
];
const FAILURES: [(ErrorClass, &str); 4] = [
    (ErrorClass::RateLimited, "429 too many requests: retry after 12 s"),
    (ErrorClass::Timeout, "request timed out after 60 s"),
    (ErrorClass::ContextLength, "prompt is too long: 212044 tokens > 200000 maximum"),
    (ErrorClass::Overloaded, "the model is overloaded <b>now</b>"),
];

/// Numbers that look random, the same every time.
#[derive(Debug, Clone)]
pub struct Lots(u64);

impl Lots {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// The call with a number, at a time: mostly well, with an incident in the 40 to 30 minutes before `end`.
pub fn told(lots: &mut Lots, number: u64, at: u64, end: u64) -> Told {
    let model = (lots.below(36) as f64).sqrt() as usize;
    let (provider, model) = MODELS[5 - model.min(5)];
    let service = SERVICES[(lots.below(16) as f64).sqrt() as usize];
    let is_incident =
        (end.saturating_sub(40 * MINUTE)..end.saturating_sub(30 * MINUTE)).contains(&at) && provider == "openai";
    let fails = lots.below(100) < if is_incident { 35 } else { 2 };
    let error = fails.then(|| FAILURES[if is_incident { 0 } else { lots.below(4) as usize }]);
    let version = if lots.below(5) == 0 { "2.0" } else { "1.0" };
    let slow = if version == "2.0" { 125 } else { 100 };
    let duration = (400 + lots.below(60) * lots.below(60)) * MILLISECOND * slow / 100 * if is_incident { 3 } else { 1 };
    let has_usage = !fails && lots.below(50) > 0;
    let input = 200 + lots.below(80) * lots.below(80);
    let cached = input * lots.below(60) / 100;
    let tokens = has_usage.then(|| TokenClasses {
        input_uncached: input - cached,
        cache_read: cached,
        cache_write: 0,
        output_visible: 40 + lots.below(600),
        reasoning: if model.starts_with("gemini") { lots.below(400) } else { 0 },
    });
    let is_priced = provider != "self-hosted";
    let cost = tokens.filter(|_| is_priced).map(|tokens| {
        Money::from_pico(
            i128::from(
                tokens.input_uncached * 3 + tokens.cache_read / 3 + (tokens.output_visible + tokens.reasoning) * 15,
            ) * 1_000_000,
        )
    });
    let first_token = (!fails && lots.below(3) > 0).then(|| duration / 5 + lots.below(300) * MILLISECOND);
    Told { at, number, service, provider, model, version, error, duration, first_token, tokens, cost }
}

/// The same call without names and messages that mean harm: for pictures.
pub fn presentable(call: Told) -> Told {
    let model = if call.model.starts_with('<') { "llama-3.3-70b" } else { call.model };
    let harmless = |message: &'static str| if message.contains('<') { "the model is overloaded" } else { message };
    Told { model, error: call.error.map(|(class, message)| (class, harmless(message))), ..call }
}

/// Calls of the time before `end`, about so many a minute, more by day than by night.
pub fn traffic(end: u64, length: u64, per_minute: u64) -> Vec<Told> {
    let mut lots = Lots::new(7);
    let mut all = Vec::new();
    let mut at = end - length;
    while at < end {
        let hour = (at / HOUR % 24) as f64;
        let share = 0.45 + 0.55 * (1.0 - (hour - 14.0).abs() / 12.0);
        at += (lots.below(2 * MINUTE / per_minute) as f64 / share) as u64 + 1;
        if at < end {
            all.push(told(&mut lots, all.len() as u64 + 1, at, end));
        }
    }
    all
}

/// Something of everything that can be configured.
pub fn config() -> Config {
    let selector = |model: &str| Selector { model: Some(model.into()), ..Selector::default() };
    let llm = |name: &str, selector| MonitorDefinition {
        health: HealthRules::llm(),
        ..MonitorDefinition::new(name, selector)
    };
    let day = MonitorDefinition { window: Window::Day, ..llm("everything", Selector::default()) };
    let bot = Selector { service: Some("support-bot".into()), ..Selector::default() };
    let field = |field, threshold| Condition::Field { field, side: Side::Above, threshold };
    Config {
        monitors: vec![
            llm("gpt-4o", selector("gpt-4o*")),
            llm("claude", selector("claude*")),
            llm("support-bot", bot),
            MonitorDefinition::new("fast mistral", selector("mistral*")),
            llm("nothing", selector("no-such-model")),
            day,
        ],
        alerts: vec![
            AlertRule {
                lasts: MINUTE,
                severity: Severity::Critical,
                minimum_requests: 10,
                ..AlertRule::new("gpt-4o fails", "gpt-4o", field(Field::ErrorRate, AlertThreshold::Fixed(0.15)))
            },
            AlertRule::new("mistral is slow", "fast mistral", field(Field::LatencyP99, AlertThreshold::Fixed(2.0))),
            AlertRule::new(
                "claude slower than usual",
                "claude",
                field(Field::TimeToFirstTokenP95, AlertThreshold::Baseline { factor: 2.0, length: HOUR }),
            ),
            AlertRule { lasts: 5 * MINUTE, ..AlertRule::new("bot is silent", "support-bot", Condition::NoData) },
        ],
        slos: vec![
            SloDefinition {
                period: Period::Week,
                ..SloDefinition::new("available", "gpt-4o", Objective::Availability, 0.95)
            },
            SloDefinition::new("quick", "claude", Objective::Latency(3 * SECOND), 0.95),
        ],
        charts: vec![ChartDefinition {
            learning: 60,
            minimum_requests: 5,
            ..ChartDefinition::new("latency", "gpt-4o", Field::LatencyP50)
        }],
        drifts: vec![DriftDefinition { reference: 12 * HOUR, ..DriftDefinition::new("gpt-4o") }],
        canaries: vec![CanaryDefinition {
            window: 6 * HOUR,
            ..CanaryDefinition::new("2.0 against 1.0", "gpt-4o", "1.0", "2.0")
        }],
        ..Config::default()
    }
}

struct State {
    monitoring: Monitoring,
    errors: ErrorIndex,
    spans: u64,
}

/// What is watched.
#[derive(Clone)]
pub struct Fed {
    state: Arc<Mutex<State>>,
    stopping: Arc<AtomicBool>,
}

impl Fed {
    pub fn new(config: &Config) -> Self {
        let (monitoring, errors) = (Monitoring::new(config).unwrap(), ErrorIndex::new(10_000));
        Self { state: Arc::new(Mutex::new(State { monitoring, errors, spans: 0 })), stopping: Arc::default() }
    }

    /// Counts a call.
    pub fn feed(&self, told: &Told) {
        let mut state = self.state.lock().unwrap();
        state.spans += 1;
        state.monitoring.record(told.at, &told.call());
        if let Some(record) = told.record() {
            state.errors.add(record);
        }
    }

    /// Tells the time.
    pub fn advance(&self, now: u64) {
        self.state.lock().unwrap().monitoring.advance(now);
    }

    /// Lets streams of events end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub fn ask<T>(&self, ask: impl FnOnce(&Monitoring) -> T) -> T {
        ask(&self.state.lock().unwrap().monitoring)
    }
}

impl Source for Fed {
    fn monitoring(&self, ask: &mut dyn FnMut(&Monitoring)) {
        ask(&self.state.lock().unwrap().monitoring);
    }

    fn errors(&self, ask: &mut dyn FnMut(&ErrorIndex)) {
        ask(&self.state.lock().unwrap().errors);
    }

    fn unpriced(&self) -> Vec<Unpriced> {
        let (provider, model) = MODELS[5];
        vec![Unpriced {
            provider: provider.into(),
            request_model: model.into(),
            response_model: model.into(),
            calls: 1_234,
        }]
    }

    fn health(&self) -> ServiceHealth {
        let spans = self.state.lock().unwrap().spans;
        ServiceHealth {
            version: env!("CARGO_PKG_VERSION"),
            received: Some(spans * 2 + 12),
            outcomes: vec![("counted", spans), ("duplicate", spans / 2), ("not_a_call", spans - spans / 2)],
            waiting: Some(12),
            unaccounted: Some(0),
            cursors: vec![
                Cursor { name: "applier".into(), records: 3 },
                Cursor { name: "archive".into(), records: 40 },
                Cursor { name: "otlp/collector".into(), records: 0 },
            ],
            log: Some((120 << 20, 4 << 30)),
            duplicate_window: Some(30 * SECOND),
            settled_early: Some(0),
            saved: Some(Saved { spans: spans / 2, cost: Some(spans as f64 / 100.0) }),
            archive: ArchiveState::Working,
            ..ServiceHealth::default()
        }
    }

    fn notifiers(&self) -> Vec<NotifierState> {
        let last_error = Some((START / 1_000_000, "http 500: out of <order>".to_owned()));
        let broken = NotifierState { failed_attempts: 7, given_up: 2, last_error, ..NotifierState::default() };
        vec![NotifierState { name: "webhook/oncall".into(), ..broken }]
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn command(&self, command: Command) -> Pin<Box<dyn Future<Output = Result<(), CommandFailure>> + Send + '_>> {
        let mut state = self.state.lock().unwrap();
        let now = state.monitoring.now();
        let done = state.monitoring.apply(now, command).map_err(CommandFailure::Refused);
        Box::pin(std::future::ready(done))
    }
}
