//! The corpus: what 25 real clients sent, and what they truly did (tests/corpus/README.md).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde::Deserialize;

use crate::{Tokens, Totals};

/// What a payload carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
    /// Logs.
    Logs,
}

impl Signal {
    /// Its path in OTLP/HTTP.
    pub const fn http_path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
        }
    }

    /// Its method in OTLP/gRPC.
    pub const fn grpc_path(self) -> &'static str {
        match self {
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }
}

/// One export request, as protobuf.
#[derive(Debug, Clone)]
pub struct Payload {
    /// What it carries.
    pub signal: Signal,
    /// The request.
    pub body: Bytes,
}

impl Payload {
    /// A traces request.
    pub fn traces(request: &ExportTraceServiceRequest) -> Self {
        Self { signal: Signal::Traces, body: request.encode_to_vec().into() }
    }

    /// Its spans; none if it carries something else.
    pub fn spans(&self) -> Vec<Span> {
        if self.signal != Signal::Traces {
            return Vec::new();
        }
        let request = ExportTraceServiceRequest::decode(self.body.clone()).expect("a traces request");
        let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

/// One client: its requests, and the truth about its calls. Each client has a service name of its own: some were recorded twice, so that
/// they tell of the same calls, which would be one call each if they came from one service.
#[derive(Debug)]
pub struct CorpusClient {
    /// Folder in the corpus.
    pub name: String,
    /// Its folder.
    pub directory: PathBuf,
    /// Its requests, in the order in which they arrived.
    pub payloads: Vec<Payload>,
    /// `truth.json`.
    pub truth: Truth,
}

/// `truth.json`, as far as the tests read it.
#[derive(Debug, Deserialize)]
pub struct Truth {
    /// What happened.
    pub calls: Vec<Call>,
    /// What should be derived.
    pub expected: Totals,
    /// What counting every span of an ambiguous call would give.
    pub expected_upper: Totals,
}

impl Truth {
    /// All LLM spans.
    pub fn llm_spans(&self) -> BTreeSet<&str> {
        self.calls.iter().flat_map(|call| &call.span_ids).map(String::as_str).collect()
    }
}

/// One call.
#[derive(Debug, Deserialize)]
pub struct Call {
    /// Which API was asked: chat, responses, embeddings, anthropic or gemini.
    pub api: String,
    /// The LLM spans that describe it, the preferred one first; without any it cannot be derived.
    #[serde(default)]
    pub span_ids: Vec<String>,
    /// The model under which it counts.
    pub model_key: Option<String>,
    /// What a perfect reader derives from its spans.
    pub reported: Option<Tokens>,
    /// What the server answered.
    pub http_status: Option<u16>,
    /// How it went: `ok`, `http_error`, `timeout`, `connection_error` and others.
    pub outcome: String,
    /// Whether it is one of the errors.
    #[serde(default)]
    pub counted_error: bool,
}

/// tests/corpus.
pub fn corpus_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// Every client of the corpus, by name.
pub fn corpus() -> Vec<CorpusClient> {
    let clients: Vec<_> = entries(&corpus_directory()).into_iter().filter(|path| path.is_dir()).map(client).collect();
    assert_eq!(clients.len(), 25, "the corpus has 25 clients");
    clients
}

fn client(directory: PathBuf) -> CorpusClient {
    let name = directory.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
    let payloads = entries(&directory).iter().filter_map(|path| payload(path, &name)).collect();
    let truth = std::fs::read(directory.join("truth.json")).expect("truth.json");
    let truth = serde_json::from_slice(&truth).expect("truth.json as its README says");
    CorpusClient { name, directory, payloads, truth }
}

fn payload(path: &Path, service: &str) -> Option<Payload> {
    let name = path.file_name()?.to_str()?;
    let signal = match name.strip_suffix(".binpb")?.rsplit_once('.')?.1 {
        "traces" => Signal::Traces,
        "metrics" => Signal::Metrics,
        "logs" => Signal::Logs,
        other => panic!("payload of unknown kind {other}"),
    };
    let body = std::fs::read(path).expect("a readable payload");
    let body = if signal == Signal::Traces { of_service(&body, service) } else { body.into() };
    Some(Payload { signal, body })
}

/// The same spans, from a service of this name.
fn of_service(body: &[u8], service: &str) -> Bytes {
    let mut request = ExportTraceServiceRequest::decode(body).expect("a traces request");
    for resource in request.resource_spans.iter_mut().map(|spans| spans.resource.get_or_insert_default()) {
        resource.attributes.retain(|attribute| attribute.key != "service.name");
        let value = any_value::Value::StringValue(service.to_owned());
        let value = Some(AnyValue { value: Some(value) });
        resource.attributes.push(KeyValue { key: "service.name".to_owned(), value, ..KeyValue::default() });
    }
    request.encode_to_vec().into()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let listing = std::fs::read_dir(directory).expect("a readable directory");
    let mut paths: Vec<_> = listing.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}
