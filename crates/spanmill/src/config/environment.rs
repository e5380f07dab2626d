//! The standard variables of an OTLP exporter, `OTEL_EXPORTER_OTLP_*`: without a file they make a destination.
//!
//! Rules: OpenTelemetry specification, protocol/exporter.md. A variable of one signal (`..._METRICS_ENDPOINT`) goes before
//! the general one; an empty one is not set; a value that is not known is ignored with a warning.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as ValueError;

use super::address::HttpUrl;
use super::document::KeyPath;
use super::error::Problem;
use super::exporters::{OtlpExporter, Protocol, Signal};
use super::secret::Secret;
use super::validate::check_header;
use super::{Config, Environment, Listener};

/// Signals, their part of a variable's name, and the path of their endpoint over HTTP.
const SIGNALS: [(Signal, &str, &str); 2] =
    [(Signal::Metrics, "METRICS", "/v1/metrics"), (Signal::Logs, "LOGS", "/v1/logs")];

/// Whether the environment names a destination.
pub(super) fn names_destination(environment: Environment<'_>) -> bool {
    SIGNALS.iter().any(|(_, signal, _)| Variable::find(environment, signal, "ENDPOINT").is_some())
}

/// Adds the destination of the environment: `otlp/env`, or `otlp/env-metrics` and `otlp/env-logs` where they differ. One
/// that is Spanmill itself is left out with a warning.
pub(super) fn add_exporters(
    config: &mut Config,
    environment: Environment<'_>,
    warnings: &mut Vec<String>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut found: Vec<(&str, OtlpExporter)> = Vec::new();
    for (signal, name, path) in SIGNALS {
        let Some(endpoint) = Variable::find(environment, name, "ENDPOINT") else {
            continue;
        };
        match exporter(environment, name, path, &endpoint, warnings) {
            Ok(exporter) => match config.own_listener(&exporter) {
                Some(Listener { path: listener, address, .. }) => {
                    let listener = KeyPath::of(listener);
                    warnings.push(format!(
                        "{} is ignored: {} is Spanmill's own listener \"{listener}\" ({address})",
                        endpoint.name, endpoint.value
                    ));
                }
                None => found.push((name, OtlpExporter { signals: vec![signal], ..exporter })),
            },
            Err(message) => problems.push(Problem::in_environment(message)),
        }
    }
    // What both signals have in common is said once.
    problems.dedup();
    let mut said = std::collections::BTreeSet::new();
    warnings.retain(|warning| said.insert(warning.clone()));

    let merged = match found.as_slice() {
        [(_, metrics), (_, logs)] => {
            let both = OtlpExporter { signals: Signal::all(), ..metrics.clone() };
            (OtlpExporter { signals: Signal::all(), ..logs.clone() } == both).then_some(both)
        }
        [(_, only)] => Some(only.clone()),
        _ => None,
    };
    match merged {
        Some(exporter) => config.exporters.otlp.extend([("env".to_owned(), exporter)]),
        None => config
            .exporters
            .otlp
            .extend(found.into_iter().map(|(name, exporter)| (format!("env-{}", name.to_lowercase()), exporter))),
    }
    problems
}

/// A variable that is set.
struct Variable {
    name: String,
    value: String,
    /// Whether it is the variable of one signal.
    of_signal: bool,
}

impl Variable {
    fn find(environment: Environment<'_>, signal: &str, setting: &str) -> Option<Self> {
        let names = [
            (format!("OTEL_EXPORTER_OTLP_{signal}_{setting}"), true),
            (format!("OTEL_EXPORTER_OTLP_{setting}"), false),
        ];
        names.into_iter().find_map(|(name, of_signal)| {
            let value = environment(&name)?.trim().to_owned();
            (!value.is_empty()).then_some(Self { name, value, of_signal })
        })
    }

    /// The value as one of the words a type knows; otherwise a warning.
    fn word<T: for<'de> Deserialize<'de>>(&self, warnings: &mut Vec<String>) -> Option<T> {
        let word = self.value.to_lowercase();
        let known: Result<T, ValueError> = T::deserialize(word.as_str().into_deserializer());
        if known.is_err() {
            warnings.push(format!("{} is ignored: \"{}\" is not supported", self.name, self.value));
        }
        known.ok()
    }
}

fn exporter(
    environment: Environment<'_>,
    signal: &str,
    path: &str,
    endpoint: &Variable,
    warnings: &mut Vec<String>,
) -> Result<OtlpExporter, String> {
    let find = |setting| Variable::find(environment, signal, setting);

    let protocol = find("PROTOCOL").and_then(|variable| variable.word(warnings)).unwrap_or(Protocol::HttpProtobuf);
    let mut exporter = OtlpExporter::new(endpoint_url(endpoint, protocol, path)?);
    exporter.protocol = protocol;
    if let Some(variable) = find("HEADERS") {
        exporter.headers = headers(&variable)?;
    }
    if let Some(compression) = find("COMPRESSION").and_then(|variable| variable.word(warnings)) {
        exporter.compression = compression;
    }
    if let Some(variable) = find("TIMEOUT") {
        match variable.value.parse() {
            Ok(milliseconds) if milliseconds > 0 => {
                exporter.timeout = std::time::Duration::from_millis(milliseconds);
            }
            _ => warnings
                .push(format!("{} is ignored: \"{}\" is not a number of milliseconds", variable.name, variable.value)),
        }
    }
    if let Some(temporality) =
        find("TEMPORALITY_PREFERENCE").filter(|_| signal == "METRICS").and_then(|variable| variable.word(warnings))
    {
        exporter.temporality = Some(temporality);
    }
    Ok(exporter)
}

/// The endpoint of one signal is used as it is, so the path that the exporter appends is taken off first.
fn endpoint_url(variable: &Variable, protocol: Protocol, path: &str) -> Result<HttpUrl, String> {
    let refuse = |wanted: &str| format!("{}: {wanted}", variable.name);
    let mut text = variable.value.clone();
    match protocol {
        // gRPC clients take HOST:PORT as well.
        Protocol::Grpc if !text.contains("://") => text.insert_str(0, "http://"),
        Protocol::HttpProtobuf if variable.of_signal => {
            let base = text.trim_end_matches('/').strip_suffix(path);
            text = base.ok_or_else(|| refuse(&format!("expected a URL that ends in {path}")))?.to_owned();
        }
        Protocol::Grpc | Protocol::HttpProtobuf => {}
    }
    let url: HttpUrl = text.parse().map_err(|error: super::address::InvalidHttpUrl| refuse(&error.to_string()))?;
    if protocol == Protocol::Grpc && url.has_path() {
        return Err(refuse("expected no path, for the protocol is grpc"));
    }
    Ok(url)
}

/// Headers in the format of W3C Baggage, `key=value,key=value`, values percent-encoded. Messages never show a value.
fn headers(variable: &Variable) -> Result<BTreeMap<String, Secret>, String> {
    let mut headers = BTreeMap::new();
    for member in variable.value.split(',').map(str::trim).filter(|member| !member.is_empty()) {
        let refuse = |wanted: &str| format!("{}: {wanted}", variable.name);
        let (name, value) = member.split_once('=').ok_or_else(|| refuse("expected KEY=VALUE,KEY=VALUE"))?;
        let (name, value) = (name.trim(), value.trim());
        let value = percent_decode_str(value)
            .decode_utf8()
            .map_err(|_| refuse(&format!("the value of \"{name}\" is not UTF-8")))?;
        check_header(name, &value).map_err(|wanted| refuse(&format!("\"{name}\": {wanted}")))?;
        headers.insert(name.to_owned(), Secret::new(value));
    }
    Ok(headers)
}
