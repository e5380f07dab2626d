//! What types alone do not say: ranges, and values that must fit each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use monitor::Attribute;
use transport::Secret;

use super::access::{Auth, Tls};
use super::document::KeyPath;
use super::exporters::{ClientTls, OtlpExporter, Protocol, RetryOnFailure};
use super::notifiers::{MailTls, Notifiers, Retry};
use super::report::Report;
use super::sections::{Content, Zstd};
use super::units::{ByteSize, format_duration};
use super::watched::Good;
use super::{Config, Listener};

/// Prompts can be guessed, and so could a short key, by whoever has both a prompt and its hash.
const MIN_HASH_KEY: usize = 16;

/// Reports every value that cannot stand, alone or beside the others.
pub(super) fn validate(config: &Config, report: &mut Report<'_>) {
    listeners(config, report);
    let otlp = &config.receivers.otlp;
    access(otlp.tls.as_ref(), &otlp.auth, &["receivers", "otlp"], report);
    access(config.admin.tls.as_ref(), &config.admin.auth, &["admin"], report);
    if let Some(prometheus) = &config.exporters.prometheus {
        access(prometheus.tls.as_ref(), &prometheus.auth, &["exporters", "prometheus"], report);
    }
    trace_link(config, report);
    limits(config, report);
    names(config, report);
    watched(config, report);
    notifiers(config, report);
    for (name, exporter) in &config.exporters.otlp {
        otlp_exporter(config, name, exporter, report);
    }
}

/// Notifiers that can tell somebody.
fn notifiers(config: &Config, report: &mut Report<'_>) {
    let section = KeyPath::of(&["notifiers"]);
    let Notifiers { webhook, alertmanager, email } = &config.notifiers;
    for (name, it) in webhook {
        let path = section.join(&format!("webhook/{name}"));
        headers(&it.headers, &path, report);
        if it.secret.as_ref().is_some_and(|secret| secret.expose().is_empty()) {
            report.refuse_value(&path.join("secret"), "expected a key to sign with");
        }
        attempts(it.timeout, &it.retry_on_failure, &path, report);
    }
    for (name, it) in alertmanager {
        let path = section.join(&format!("alertmanager/{name}"));
        headers(&it.headers, &path, report);
        if it.resend_interval < Duration::from_secs(1) {
            report.refuse_value(&path.join("resend_interval"), "expected at least 1s");
        }
        attempts(it.timeout, &it.retry_on_failure, &path, report);
    }
    for (name, it) in email {
        let path = section.join(&format!("email/{name}"));
        if it.tls == MailTls::None && !it.server.is_loopback() {
            report
                .refuse_value(&path.join("tls"), "mail to other machines is encrypted: expected starttls or implicit");
        }
        if it.username.is_some() != it.password.is_some() {
            let (there, missing) =
                if it.username.is_some() { ("username", "password") } else { ("password", "username") };
            report.refuse(&path.join(there), format!("\"{path}.{there}\": \"{missing}\" is missing"));
        }
        if !notify::Email::is_mailbox(&it.from) {
            report.refuse_value(&path.join("from"), "expected an address such as spanmill@example.com");
        }
        if it.to.is_empty() || !it.to.iter().all(|to| notify::Email::is_mailbox(to)) {
            report.refuse_value(&path.join("to"), "expected addresses such as oncall@example.com");
        }
        attempts(it.timeout, &it.retry_on_failure, &path, report);
    }
}

fn attempts(timeout: Duration, retry: &Retry, path: &KeyPath, report: &mut Report<'_>) {
    if timeout.is_zero() {
        report.refuse_value(&path.join("timeout"), "expected at least 1ms");
    }
    pauses(retry.initial_interval, retry.max_interval, &path.join("retry_on_failure"), report);
}

/// Pauses that begin, and grow.
fn pauses(initial_interval: Duration, max_interval: Duration, retry: &KeyPath, report: &mut Report<'_>) {
    if initial_interval.is_zero() {
        report.refuse_value(&retry.join("initial_interval"), "expected at least 1ms");
    }
    if max_interval < initial_interval {
        let least = format_duration(initial_interval);
        report.refuse_value(&retry.join("max_interval"), &format!("expected at least initial_interval, {least}"));
    }
}

/// Headers that can be sent.
fn headers(headers: &BTreeMap<String, Secret>, path: &KeyPath, report: &mut Report<'_>) {
    for (header, value) in headers {
        if let Err(message) = check_header(header, value.expose()) {
            // What was found is not said: it may be a secret.
            report.refuse(&path.join("headers").join(header), format!("\"{path}.headers.{header}\": {message}"));
        }
    }
}

/// What is watched fits together, and can be told apart by what is kept of calls.
fn watched(config: &Config, report: &mut Report<'_>) {
    for (index, monitor) in config.monitors.iter().enumerate() {
        let path = KeyPath::of(&["monitors"]).join(&format!("[{index}]"));
        let versions = monitor.canaries.iter().filter_map(|canary| canary.versions.0.attribute());
        let read: Vec<Attribute> = monitor.select.attributes().chain(versions).collect();
        for attribute in config.not_kept().filter(|attribute| read.contains(attribute)) {
            report.refuse(&path, format!("\"{path}\": {}", attribute.wanted()));
        }
    }
    for (index, slo) in config.slos.iter().enumerate().filter(|(_, slo)| slo.meaning().is_none()) {
        let path = KeyPath::of(&["slos"]).join(&format!("[{index}]"));
        let wanted = match slo.objective {
            Good::Availability => "availability has no \"within\"",
            Good::Latency | Good::TimeToFirstToken => "\"within\" is missing",
        };
        report.refuse(&path, format!("\"{path}\": {wanted}"));
    }
    if let Err(error) = config.watched().check() {
        let section = KeyPath::of(&[error.section]);
        // What stands in a monitor, or is made of an objective, has no section of its own.
        let section = if report.is_in_file(&section) { section } else { KeyPath::of(&["monitors"]) };
        let is_meant = |name: &String| *name == error.name;
        // Of two with the same name it is the later one.
        let index = match error.section {
            "monitors" => config.monitors.iter().rposition(|it| is_meant(&it.name)),
            "alerts" => config.alerts.iter().rposition(|it| is_meant(&it.name)),
            "slos" => config.slos.iter().rposition(|it| is_meant(&it.name)),
            _ => None,
        };
        let path = index.map_or_else(|| section.clone(), |index| section.join(&format!("[{index}]")));
        report.refuse(&path, error.to_string());
    }
}

fn listeners(config: &Config, report: &mut Report<'_>) {
    let listeners = config.listeners();
    for (index, listener) in listeners.iter().enumerate() {
        let address = listener.address;
        let path = KeyPath::of(listener.path);
        if listener.is_open() && !config.receivers.otlp.insecure {
            let wanted = "listening beyond loopback without auth is refused unless receivers.otlp.insecure is true";
            report.refuse_value(&path, wanted);
        }
        for &Listener { path: other_path, address: other, .. } in &listeners[..index] {
            let other_path = KeyPath::of(other_path);
            if !address.overlaps(other) || report.is_refused(&other_path) {
                continue;
            }
            // One of the two may be a default: what the file says is what is refused.
            let (refused, stays, taken) = match report.is_in_file(&path) {
                true => (&path, &other_path, other),
                false => (&other_path, &path, address),
            };
            report.refuse_value(refused, &format!("\"{stays}\" already listens on {taken}"));
        }
    }
}

/// Whether the page can link to a trace.
fn trace_link(config: &Config, report: &mut Report<'_>) {
    let Some(link) = config.admin.trace_link.as_deref().filter(|link| !link.is_empty()) else { return };
    if !console::is_of_the_web(link) || !link.contains("{trace_id}") {
        let wanted = "expected an address with {trace_id}, such as https://signoz.example/trace/{trace_id}";
        report.refuse_value(&KeyPath::of(&["admin", "trace_link"]), wanted);
    }
}

/// Tokens that can be sent, and files that have a name.
fn access(tls: Option<&Tls>, auth: &Auth, section: &[&str], report: &mut Report<'_>) {
    let section = KeyPath::of(section);
    if let Some(Tls { cert_file, key_file, client_ca_file }) = tls {
        let files =
            [("cert_file", Some(cert_file)), ("key_file", Some(key_file)), ("client_ca_file", client_ca_file.as_ref())];
        for (key, _) in files.iter().filter(|(_, file)| file.is_some_and(|file| file.as_os_str().is_empty())) {
            report.refuse_value(&section.join("tls").join(key), "expected a file");
        }
    }
    let path = section.join("auth");
    match auth {
        Auth::None => {}
        Auth::BearerTokens(tokens) => {
            let path = path.join("bearer_tokens");
            if tokens.is_empty() {
                report.refuse_value(&path, "expected at least one token");
            }
            for (index, token) in tokens.iter().enumerate() {
                let is_token = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
                if !is_token(token.expose()) {
                    let element = path.join(&format!("[{index}]"));
                    // What was found is not said: it is a secret.
                    report.refuse(
                        &element,
                        format!("\"{element}\": expected a token of printable ASCII, without spaces"),
                    );
                }
            }
        }
        Auth::BearerTokensFile(file) | Auth::BasicFile(file) => {
            if file.as_os_str().is_empty() {
                report.refuse_value(&path, "expected a file");
            }
        }
    }
}

/// Whole numbers and durations that must not be too small.
fn limits(config: &Config, report: &mut Report<'_>) {
    let receiver = &config.receivers.otlp;
    let (grpc, http) = (&receiver.protocols.grpc, &receiver.protocols.http);
    let mut at_least = |ok: bool, path: &[&str], least: &str| {
        if !ok {
            report.refuse_value(&KeyPath::of(path), &format!("expected at least {least}"));
        }
    };
    let second = Duration::from_secs(1);

    let grpc_size = ["receivers", "otlp", "protocols", "grpc", "max_recv_msg_size"];
    at_least(grpc.max_recv_msg_size.bytes() > 0, &grpc_size, "1");
    let http_size = ["receivers", "otlp", "protocols", "http", "max_request_body_size"];
    at_least(http.max_request_body_size.bytes() > 0, &http_size, "1");
    // A request larger than the whole budget would be pushed back for ever.
    let largest = grpc.max_recv_msg_size.max(http.max_request_body_size);
    let budget = ["receivers", "otlp", "memory_budget"];
    at_least(
        receiver.memory_budget >= largest,
        &budget,
        &format!("what max_recv_msg_size and max_request_body_size allow, {largest}"),
    );

    let wal_size = ["storage", "wal", "max_size"];
    at_least(config.storage.wal.max_size >= ByteSize::mebibytes(64), &wal_size, "64MiB");
    at_least(config.derive.duplicate_max_entries != Some(0), &["derive", "duplicate_max_entries"], "1");
    let key_length = config.derive.content_hash_key.as_ref().map_or(0, |key| key.expose().len());
    let has_key = config.derive.content != Content::Hash || key_length >= MIN_HASH_KEY;
    at_least(has_key, &["derive", "content_hash_key"], &format!("{MIN_HASH_KEY} characters to hash with"));
    at_least(config.derive.max_label_length > 0, &["derive", "max_label_length"], "1");
    let settle_memory = ["derive", "settle_memory"];
    let is_enough = config.derive.settle_memory.is_none_or(|memory| memory >= ByteSize::mebibytes(1));
    at_least(is_enough, &settle_memory, "1MiB");
    at_least(config.metrics.interval >= second, &["metrics", "interval"], "1s");
    at_least(config.metrics.statistics_interval >= second, &["metrics", "statistics_interval"], "1s");
    let cardinality = ["metrics", "aggregation_cardinality_limit"];
    at_least(config.metrics.aggregation_cardinality_limit > 0, &cardinality, "1");
    at_least(config.history.memory >= ByteSize::mebibytes(16), &["history", "memory"], "16MiB");
    if let Some(archive) = &config.archive {
        at_least(archive.max_rows > 0, &["archive", "max_rows"], "1");
        at_least(archive.max_age >= second, &["archive", "max_age"], "1s");
    }
    // It is done while the client waits, by a thread that serves others as well.
    if config.storage.wal.compression.is_some_and(|Zstd(level)| level > 3) {
        report.refuse_value(&KeyPath::of(&["storage", "wal", "compression"]), "expected at most zstd(3)");
    }
}

/// Texts that must not be empty, and lists that must not say a thing twice.
/// Attributes that some metrics have by themselves: as dimensions they would stand there twice.
const TAKEN: &[&str] = &[
    "class",
    "collector.instance.id",
    "error.type",
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.token.type",
    "otel.metric.overflow",
    "outcome",
    "reason",
];

fn names(config: &Config, report: &mut Report<'_>) {
    let mut directories = vec![(["storage", "directory"], &config.storage.directory)];
    directories.extend(config.archive.as_ref().map(|archive| (["archive", "directory"], &archive.directory)));
    for (path, directory) in directories {
        if directory.as_os_str().is_empty() {
            report.refuse_value(&KeyPath::of(&path), "expected a directory");
        }
    }
    let dimensions = KeyPath::of(&["derive", "dimensions"]);
    for (index, dimension) in config.derive.dimensions.iter().enumerate() {
        if TAKEN.contains(&dimension.as_str()) {
            report.refuse_value(
                &dimensions.join(&format!("[{index}]")),
                "expected an attribute that metrics do not have anyway",
            );
        }
    }
    for (path, attributes) in [
        (["derive", "dimensions"], &config.derive.dimensions),
        (["metrics", "resource_attributes"], &config.metrics.resource_attributes),
    ] {
        let path = KeyPath::of(&path);
        let mut seen = BTreeSet::new();
        for (index, attribute) in attributes.iter().enumerate() {
            if attribute.is_empty() || !seen.insert(attribute) {
                let element = path.join(&format!("[{index}]"));
                report.refuse_value(&element, "expected an attribute name that is not in the list yet");
            }
        }
    }
}

fn otlp_exporter(config: &Config, name: &str, exporter: &OtlpExporter, report: &mut Report<'_>) {
    let path = KeyPath::of(&["exporters", &format!("otlp/{name}")]);
    let endpoint = path.join("endpoint");
    if let Some(Listener { path: listener, address, .. }) = config.own_listener(exporter)
        && !report.is_refused(&KeyPath::of(listener))
    {
        let listener = KeyPath::of(listener);
        report.refuse_value(&endpoint, &format!("is Spanmill's own listener \"{listener}\" ({address})"));
    }
    if exporter.protocol == Protocol::Grpc && exporter.endpoint.has_path() {
        report.refuse_value(&endpoint, "expected no path, for the protocol is grpc");
    }
    if exporter.protocol == Protocol::Grpc && !exporter.append_path {
        report.refuse_value(&path.join("append_path"), "expected true, for the protocol is grpc");
    }

    client_tls(exporter, &path.join("tls"), report);

    let mut signals = exporter.signals.clone();
    signals.dedup();
    if signals.is_empty() || signals.len() < exporter.signals.len() {
        report.refuse_value(&path.join("signals"), "expected metrics, logs or traces, one at least and each once");
    }
    if exporter.max_request_size.bytes() == 0 {
        report.refuse_value(&path.join("max_request_size"), "expected at least 1");
    }
    if exporter.timeout.is_zero() {
        report.refuse_value(&path.join("timeout"), "expected at least 1ms");
    }
    let retry = path.join("retry_on_failure");
    let RetryOnFailure { initial_interval, max_interval, .. } = exporter.retry_on_failure;
    pauses(initial_interval, max_interval, &retry, report);
    headers(&exporter.headers, &path, report);
}

/// Files that have a name and belong together, for a connection that is encrypted.
fn client_tls(exporter: &OtlpExporter, path: &KeyPath, report: &mut Report<'_>) {
    let Some(ClientTls { ca_file, cert_file, key_file }) = &exporter.tls else { return };
    if !exporter.endpoint.is_encrypted() {
        report.refuse(path, format!("\"{path}\": the endpoint is not https://"));
    }
    for (key, file) in [("ca_file", ca_file), ("cert_file", cert_file), ("key_file", key_file)] {
        if file.as_ref().is_some_and(|file| file.as_os_str().is_empty()) {
            report.refuse_value(&path.join(key), "expected a file");
        }
    }
    for (one, other, is_alone) in [
        ("cert_file", "key_file", cert_file.is_some() && key_file.is_none()),
        ("key_file", "cert_file", key_file.is_some() && cert_file.is_none()),
    ] {
        if is_alone && !report.is_refused(&path.join(other)) {
            report.refuse(&path.join(one), format!("\"{path}.{one}\": \"{other}\" is missing"));
        }
    }
}

/// Whether a header can be sent, over HTTP and as gRPC metadata.
pub(super) fn check_header(name: &str, value: &str) -> Result<(), &'static str> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(in_name) {
        return Err("expected a header name of letters, digits, - _ and .");
    }
    if !value.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return Err("expected a header value of printable ASCII characters");
    }
    Ok(())
}
