//! What was called, as those who called it know it.

use std::collections::HashMap;
use std::path::Path;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value::DoubleValue;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, status::StatusCode};
use serde::Serialize;
use serde_json::Value;
use spanmill_tests::{Call as Told, CorpusClient, Payload, Tokens};

use crate::spans::{attribute, call, number, text};

/// A call, in the form that the script reads. Times are seconds.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    pub service: String,
    pub model: String,
    /// The trace and the span of each span that tells of it.
    pub spans: Vec<[String; 2]>,
    pub tokens: Option<Tokens>,
    /// If it failed, the class of that, and what is left of it where spans do not tell all.
    pub failed: Option<Vec<&'static str>>,
    /// Pico-dollars.
    pub cost: Option<u64>,
    /// What is known of calls that were made here.
    pub made: Option<Made>,
    /// The seconds that its shortest and its longest span take.
    pub lasted: [f64; 2],
    /// Between which times it was received, and between which it was counted, in milliseconds since the Unix epoch.
    pub received: [u64; 2],
    pub counted: [u64; 2],
}

/// What a client of the corpus does not tell.
#[derive(Debug, Clone, Serialize)]
pub struct Made {
    pub duration: f64,
    pub first_token: Option<f64>,
    /// Whether it is the first one after a while, and waits far longer than others for its first token.
    pub is_cold: bool,
    pub error: Option<Failure>,
}

/// A failure: its class, the type and the message that the span tells.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Failure {
    #[serde(skip)]
    class: &'static str,
    kind: &'static str,
    message: &'static str,
}

/// A model, who provides it, and how many calls of a batch go to it.
type Asked = (&'static str, &'static str, u64);

/// What a service does in each batch.
struct Service {
    name: &'static str,
    asks: &'static [Asked],
    /// Every how many calls one fails, and how, in turn; never, if there is nothing.
    fails_each: u64,
    failures: &'static [Failure],
    /// Seconds until the first token, of services that stream.
    first_token: Option<f64>,
    /// Whether two spans tell of the first call of each batch.
    is_told_twice: bool,
    /// In which batches its model is cold.
    cold: &'static [u64],
}

/// By how many tokens the inputs of each batch are longer than those of the first.
const LONGER: [u64; 7] = [0, 30, 10, 20, 15, 90, 40];
/// Seconds that a cold model takes longer for the first token.
const COLD: f64 = 0.5;

/// Of all calls none fail, a sixteenth, and a fifth; the models are not those of the corpus, and one has no price.
const SERVICES: [Service; 3] = [
    Service {
        name: "assistant",
        asks: &[("anthropic", "claude-opus-4-5", 24), ("openai", "gpt-4.1-mini", 16)],
        fails_each: 1,
        failures: &[],
        first_token: Some(0.2),
        is_told_twice: true,
        cold: &[],
    },
    Service {
        name: "search",
        asks: &[("gcp.gemini", "gemini-2.5-flash-lite", 16)],
        fails_each: 16,
        failures: &[Failure { class: "rate_limited", kind: "RateLimitError", message: "too many requests" }],
        first_token: None,
        is_told_twice: false,
        cold: &[],
    },
    Service {
        name: "nightly",
        asks: &[("self-hosted", "nobody-prices-this", 10)],
        fails_each: 5,
        failures: &[
            Failure { class: "timeout", kind: "TimeoutError", message: "the model timed out" },
            Failure { class: "server_error", kind: "InternalServerError", message: "it broke <b>here</b>" },
        ],
        first_token: Some(0.5),
        is_told_twice: false,
        cold: &[3, 5],
    },
];

/// Calls of a batch, and what tells of them. No two calls are alike, and each number of a call is another one.
pub fn batch(number: u64, prices: &Prices) -> (Vec<Call>, Payload) {
    let (mut calls, mut resource_spans) = (Vec::new(), Vec::new());
    let mut id = number * 1_000;
    for service in &SERVICES {
        let mut spans = Vec::new();
        let models = service.asks.iter().flat_map(|asked| (0..asked.2).map(move |_| asked));
        for (place, (provider, model, _)) in (0..).zip(models) {
            id += 1;
            let made = service.make(number, place);
            let is_failed = made.error.is_some();
            let tokens = (!is_failed).then(|| Tokens {
                input: 100 + place + LONGER[number as usize],
                cache_read: 20 + place / 2,
                // Of the models here only Anthropic's have a price for it.
                cache_write: if *provider == "anthropic" { 9 + number } else { 0 },
                output: 50 + place,
                reasoning: 7 + number,
            });
            let mut told = vec![span(id, provider, model, tokens.as_ref(), &made)];
            if place == 0 && service.is_told_twice {
                // Around it.
                let wrapper = Span { span_id: (id + 500).to_be_bytes().to_vec(), ..told[0].clone() };
                told[0].parent_span_id.clone_from(&wrapper.span_id);
                told.push(wrapper);
            }
            calls.push(Call {
                service: service.name.to_owned(),
                model: (*model).to_owned(),
                spans: told.iter().map(|span| [hex(&span.trace_id), hex(&span.span_id)]).collect(),
                tokens,
                failed: made.error.map(|error| vec![error.class]),
                cost: tokens.and_then(|tokens| prices.cost(provider, model, &tokens)),
                made: Some(made),
                lasted: lasted(&told),
                received: [0; 2],
                counted: [0; 2],
            });
            spans.extend(told);
        }
        resource_spans.push(of_service(service.name, spans));
    }
    (calls, Payload::traces(&ExportTraceServiceRequest { resource_spans }))
}

impl Service {
    /// Durations rise with the place in a batch, and from batch to batch.
    fn make(&self, batch: u64, place: u64) -> Made {
        let is_failed = place % self.fails_each == self.fails_each / 2 && !self.failures.is_empty();
        let turn = (place / self.fails_each) as usize;
        let error = is_failed.then(|| self.failures[turn % self.failures.len()]);
        let is_cold = self.cold.contains(&batch);
        let wait = 0.01 * place as f64 + if is_cold { COLD } else { 0.0 };
        let first_token = self.first_token.filter(|_| !is_failed).map(|first| first + wait);
        Made { duration: 1.0 + 0.05 * place as f64 + 0.2 * batch as f64, first_token, is_cold, error }
    }
}

fn span(id: u64, provider: &str, model: &str, tokens: Option<&Tokens>, made: &Made) -> Span {
    let mut span = call(id, model);
    span.end_time_unix_nano = span.start_time_unix_nano + (made.duration * 1e9) as u64;
    span.attributes = vec![
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.provider.name", provider),
        text("gen_ai.request.model", model),
        text("gen_ai.response.model", model),
    ];
    if let Some(&Tokens { input, cache_read, cache_write, output, reasoning }) = tokens {
        let counts = [
            ("input_tokens", input),
            ("cache_read.input_tokens", cache_read),
            ("cache_creation.input_tokens", cache_write),
            ("output_tokens", output),
            ("reasoning.output_tokens", reasoning),
        ];
        span.attributes
            .extend(counts.map(|(name, count)| number(&format!("gen_ai.usage.{name}"), count.try_into().unwrap())));
    }
    let first = made.first_token.map(|first| attribute("gen_ai.response.time_to_first_chunk", DoubleValue(first)));
    span.attributes.extend(first);
    if let Some(Failure { kind, message, .. }) = made.error {
        span.attributes.push(text("error.type", kind));
        span.status = Some(Status { code: StatusCode::Error as i32, message: message.to_owned() });
    }
    span
}

fn of_service(service: &str, spans: Vec<Span>) -> ResourceSpans {
    ResourceSpans {
        resource: Some(Resource { attributes: vec![text("service.name", service)], ..Resource::default() }),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

/// What a client of the corpus called, by its truth.
pub fn of_client(client: &CorpusClient, prices: &Prices) -> Vec<Call> {
    let spans = client.payloads.iter().flat_map(Payload::spans);
    let spans: HashMap<String, Span> = spans.map(|span| (hex(&span.span_id), span)).collect();
    let told = client.truth.calls.iter().filter(|call| !call.span_ids.is_empty());
    let calls = told.map(|call| {
        let provider = match &*call.api {
            "anthropic" => "anthropic",
            "gemini" => "gcp.gemini",
            _ => "openai",
        };
        let model = call.model_key.as_deref().unwrap_or("unknown");
        let told: Vec<Span> = call.span_ids.iter().map(|span| spans[span].clone()).collect();
        Call {
            service: client.name.clone(),
            model: model.to_owned(),
            spans: told.iter().map(|span| [hex(&span.trace_id), hex(&span.span_id)]).collect(),
            tokens: call.reported,
            failed: call.counted_error.then(|| classes(call)),
            cost: call.reported.and_then(|tokens| prices.cost(provider, model, &tokens)),
            made: None,
            lasted: lasted(&told),
            received: [0; 2],
            counted: [0; 2],
        }
    });
    calls.collect()
}

/// The class of a failure, by what the server did; it refused with 400 what was too long.
fn classes(call: &Told) -> Vec<&'static str> {
    match (call.http_status, &*call.outcome) {
        (Some(400), _) => vec!["context_length", "invalid_request"],
        (Some(401), _) => vec!["authentication"],
        (Some(429), _) => vec!["rate_limited"],
        (Some(500), _) => vec!["server_error"],
        (Some(503 | 529), _) | (_, "midstream_error") => vec!["overloaded"],
        (_, "timeout") => vec!["timeout"],
        (_, "connection_error" | "stream_cut") => vec!["connection"],
        other => panic!("a failure of unknown kind: {other:?}"),
    }
}

fn lasted(spans: &[Span]) -> [f64; 2] {
    let seconds = spans.iter().map(|span| (span.end_time_unix_nano - span.start_time_unix_nano) as f64 / 1e9);
    seconds.fold([f64::INFINITY, 0.0], |[least, most], seconds| [least.min(seconds), most.max(seconds)])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The published prices of the catalogue, as they stand there.
pub struct Prices(Value);

impl Prices {
    pub fn published() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/genai/data/genai-prices-v2.json");
        Self(serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
    }

    /// Pico-dollars; `None` without a price.
    fn cost(&self, provider: &str, model: &str, tokens: &Tokens) -> Option<u64> {
        let provider = if provider == "gcp.gemini" { "google" } else { provider };
        let provider = self.0.as_array()?.iter().find(|known| known["id"] == provider)?;
        let found = provider["models"].as_array()?.iter().find(|known| matches(&known["match"], model))?;
        // Dollars a million tokens are as many micro-dollars a token. Below the first tier the base counts.
        let price = |name: &str| {
            let price = &found["prices"][name];
            price.as_f64().or_else(|| price["base"].as_f64()).map(|dollars| (dollars * 1e6).round() as u64)
        };
        let input = price("input_mtok")?;
        let Tokens { input: all, cache_read, cache_write, output, .. } = *tokens;
        let classes = [
            (all - cache_read - cache_write, input),
            (cache_read, price("cache_read_mtok").unwrap_or(input)),
            (cache_write, price("cache_write_mtok").unwrap_or(input)),
            (output, price("output_mtok").unwrap_or_default()),
        ];
        Some(classes.into_iter().map(|(count, pico)| count * pico).sum())
    }
}

fn matches(rule: &Value, model: &str) -> bool {
    let is = |name: &str, test: fn(&str, &str) -> bool| rule[name].as_str().is_some_and(|text| test(model, text));
    let any = rule["or"].as_array().is_some_and(|rules| rules.iter().any(|rule| matches(rule, model)));
    let all = rule["and"].as_array().is_some_and(|rules| rules.iter().all(|rule| matches(rule, model)));
    any || all
        || is("equals", |model, text| model == text)
        || is("starts_with", |model, text| model.starts_with(text))
        || is("ends_with", |model, text| model.ends_with(text))
        || is("contains", |model, text| model.contains(text))
}
