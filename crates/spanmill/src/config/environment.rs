//! The standard variables of an OTLP exporter, `OTEL_EXPORTER_OTLP_*`: without a file they make a destination.
//!
//! Rules: OpenTelemetry specification, protocol/exporter.md and metrics/sdk_exporters/otlp.md. A variable of one signal
//! (`..._METRICS_ENDPOINT`) goes before the general one; an empty one is not set; a value that is not known is ignored with a
//! warning. Not supported: `http/json`, and endpoints with a query. Traces are handed on only where their own variable says so: the
//! general one has always meant metrics and error records here.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as ValueError;
use transport::Secret;

use super::address::HttpUrl;
use super::document::KeyPath;
use super::error::Problem;
use super::exporters::{ClientTls, Histograms, OtlpExporter, Protocol, Signal, Temporality};
use super::validate::check_header;
use super::{Config, Environment, Listener};

/// Signals, their part of a variable's name, and the path of their endpoint over HTTP.
const SIGNALS: [(Signal, &str, &str); 3] = [
    (Signal::Metrics, "METRICS", "/v1/metrics"),
    (Signal::Logs, "LOGS", "/v1/logs"),
    (Signal::Traces, "TRACES", "/v1/traces"),
];

/// Whether the environment names a destination.
pub(super) fn names_destination(environment: Environment<'_>) -> bool {
    SIGNALS.iter().any(|(signal, name, _)| endpoint_of(*signal, name, environment).is_some())
}

fn endpoint_of(signal: Signal, name: &str, environment: Environment<'_>) -> Option<Variable> {
    let endpoint = Variable::find(environment, name, "ENDPOINT");
    endpoint.filter(|variable| signal != Signal::Traces || variable.of_signal)
}

/// Adds the destination of the environment: `otlp/env`, or `otlp/env-metrics`, `otlp/env-logs` and `otlp/env-traces` where they
/// differ. One that is Spanmill itself is left out with a warning.
pub(super) fn add_exporters(
    config: &mut Config,
    environment: Environment<'_>,
    warnings: &mut Vec<String>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    // Each under the name of its first signal.
    let mut found: Vec<(&str, OtlpExporter)> = Vec::new();
    for (signal, name, path) in SIGNALS {
        let Some(endpoint) = endpoint_of(signal, name, environment) else {
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
                None => {
                    let is_same = |known: &OtlpExporter| {
                        OtlpExporter { signals: known.signals.clone(), ..exporter.clone() } == *known
                    };
                    match found.iter_mut().find(|(_, known)| is_same(known)) {
                        Some((_, known)) => known.signals.push(signal),
                        None => found.push((name, OtlpExporter { signals: vec![signal], ..exporter })),
                    }
                }
            },
            Err(message) => problems.push(Problem::in_environment(message)),
        }
    }
    // What signals have in common is said once.
    problems.dedup();
    let mut said = std::collections::BTreeSet::new();
    warnings.retain(|warning| said.insert(warning.clone()));

    let is_only = found.len() == 1;
    let named = found.into_iter().map(|(name, exporter)| match is_only || exporter.signals.len() > 1 {
        true => ("env".to_owned(), exporter),
        false => (format!("env-{}", name.to_lowercase()), exporter),
    });
    config.exporters.otlp.extend(named);
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
        let of_signal = Self::set(environment, &format!("OTEL_EXPORTER_OTLP_{signal}_{setting}"));
        let of_signal = of_signal.map(|variable| Self { of_signal: true, ..variable });
        of_signal.or_else(|| Self::set(environment, &format!("OTEL_EXPORTER_OTLP_{setting}")))
    }

    fn set(environment: Environment<'_>, name: &str) -> Option<Self> {
        let value = environment(name)?.trim().to_owned();
        (!value.is_empty()).then(|| Self { name: name.to_owned(), value, of_signal: false })
    }

    /// The specification knows no other word for yes, and takes all others for no.
    fn is_true(&self, warnings: &mut Vec<String>) -> bool {
        let word = self.value.to_lowercase();
        if !["true", "false"].contains(&word.as_str()) {
            warnings.push(self.ignored());
        }
        word == "true"
    }

    fn ignored(&self) -> String {
        format!("{} is ignored: \"{}\" is not supported", self.name, self.value)
    }

    /// The value as one of the words a type knows; otherwise a warning.
    fn word<T: for<'de> Deserialize<'de>>(&self, warnings: &mut Vec<String>) -> Option<T> {
        let word = self.value.to_lowercase();
        let known: Result<T, ValueError> = T::deserialize(word.as_str().into_deserializer());
        if known.is_err() {
            warnings.push(self.ignored());
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
    let find = |setting: &str| Variable::find(environment, signal, setting);

    let protocol = find("PROTOCOL").and_then(|variable| variable.word(warnings)).unwrap_or(Protocol::HttpProtobuf);
    let insecure = find("INSECURE").is_some_and(|variable| variable.is_true(warnings));
    let (url, append_path) = endpoint_url(endpoint, protocol, path, insecure)?;
    let mut exporter = OtlpExporter::new(url);
    exporter.append_path = append_path;
    exporter.protocol = protocol;
    exporter.tls = client_tls(find, exporter.endpoint.is_encrypted(), warnings)?;
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
    // Of the metrics, whichever signal is asked for: so one destination of both stays one.
    let preferred = Variable::set(environment, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE");
    exporter.temporality = preferred.and_then(|preference| match preference.value.to_lowercase().as_str() {
        // Low memory is delta for counters and histograms, and that is what is counted here.
        "lowmemory" => Some(Temporality::Delta),
        _ => preference.word(warnings),
    });
    let histograms = Variable::set(environment, "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION");
    if let Some(variable) = histograms {
        match variable.value.as_str() {
            "explicit_bucket_histogram" => exporter.histograms = Histograms::Explicit,
            "base2_exponential_bucket_histogram" => exporter.histograms = Histograms::Exponential,
            _ => warnings.push(variable.ignored()),
        }
    }
    Ok(exporter)
}

/// Files for an encrypted connection. Without one they are for nothing, which is said.
fn client_tls(
    find: impl Fn(&str) -> Option<Variable>,
    is_encrypted: bool,
    warnings: &mut Vec<String>,
) -> Result<Option<ClientTls>, String> {
    let files = ["CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY"].map(find);
    if !is_encrypted {
        let unused = files.iter().flatten();
        warnings.extend(unused.map(|variable| format!("{} is ignored: the endpoint is not https://", variable.name)));
        return Ok(None);
    }
    match &files {
        [None, None, None] => return Ok(None),
        [_, Some(alone), None] => return Err(format!("{}: its key is missing", alone.name)),
        [_, None, Some(alone)] => return Err(format!("{}: its certificate is missing", alone.name)),
        _ => {}
    }
    let [ca_file, cert_file, key_file] = files.map(|file| file.map(|variable| variable.value.into()));
    Ok(Some(ClientTls { ca_file, cert_file, key_file }))
}

/// The endpoint, and whether the path of a signal is appended to it. That of one signal is used as it is; where it ends in the path of the
/// signal, that is taken off, for so it may be the destination of the others too.
fn endpoint_url(
    variable: &Variable,
    protocol: Protocol,
    path: &str,
    insecure: bool,
) -> Result<(HttpUrl, bool), String> {
    let refuse = |wanted: &str| format!("{}: {wanted}", variable.name);
    let mut text = variable.value.clone();
    let mut append_path = true;
    match protocol {
        // gRPC clients take HOST:PORT as well, and encrypt unless they are told not to.
        Protocol::Grpc if !text.contains("://") => {
            text.insert_str(0, if insecure { "http://" } else { "https://" });
        }
        Protocol::HttpProtobuf if variable.of_signal => {
            match text.strip_suffix(path).filter(|base| !base.ends_with('/')) {
                Some(base) => text = base.to_owned(),
                None => append_path = false,
            }
        }
        Protocol::Grpc | Protocol::HttpProtobuf => {}
    }
    if append_path {
        // With the slash at its end it is the same destination.
        text.truncate(text.trim_end_matches('/').len());
    }
    let url: HttpUrl = text.parse().map_err(|error: super::address::InvalidHttpUrl| refuse(&error.to_string()))?;
    if protocol == Protocol::Grpc && url.has_path() {
        return Err(refuse("expected no path, for the protocol is grpc"));
    }
    Ok((url, append_path))
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
