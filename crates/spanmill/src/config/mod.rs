//! The configuration: one YAML file, every key optional, every key known.
//!
//! A file goes through five steps, and everything that is wrong is reported at once with its line: YAML to a tree
//! (`document`), substitution of `${env:NAME}` and `${file:PATH}` (`substitute`), refusal of what later versions will have
//! (`unsupported`), the tree to types (`decode`), and what types do not say (`validate`). Without a file the defaults hold,
//! and the standard OTLP variables may add a destination (`environment`).
//!
//! It never prints, never opens a listener, and shows no secret.

pub mod access;
pub mod address;
mod decode;
mod document;
mod environment;
pub mod error;
pub mod exporters;
mod named_files;
pub mod notifiers;
pub mod prices;
pub mod receivers;
mod report;
pub mod sections;
mod substitute;
#[cfg(test)]
mod tests;
pub mod units;
mod unsupported;
mod validate;
pub mod watched;

use std::path::Path;

use serde::{Deserialize, Serialize};

use access::{Auth, Tls};
use address::Address;
use error::{ConfigError, Problem};
use exporters::{Exporters, OtlpExporter};
use notifiers::Notifiers;
use receivers::Receivers;
use sections::{Admin, Archive, Derive, Forward, History, Metrics, Storage};

/// Looks up a variable of the environment; `None` if it is not set.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process.
pub fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Everything a user can configure. `Config::default()` is an empty file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How spans come in.
    pub receivers: Receivers,
    /// What is kept on disk.
    pub storage: Storage,
    /// How spans become facts.
    pub derive: Derive,
    /// How facts become metrics.
    pub metrics: Metrics,
    /// Where metrics and error records go.
    pub exporters: Exporters,
    /// How what applications sent is handed on.
    pub forward: Forward,
    /// Where spans go as Parquet; `None` if nowhere.
    pub archive: Option<Archive>,
    /// Health checks and the API.
    pub admin: Admin,
    /// What is kept of what was counted, for page, API and alerts.
    pub history: History,
    /// Calls that are watched together.
    pub monitors: Vec<watched::Monitor>,
    /// When somebody is told.
    pub alerts: Vec<watched::Alert>,
    /// What is promised.
    pub slos: Vec<watched::Slo>,
    /// Who is told of alerts.
    pub notifiers: Notifiers,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            receivers: Receivers::default(),
            storage: Storage::default(),
            derive: Derive::default(),
            metrics: Metrics::default(),
            exporters: Exporters::default(),
            forward: Forward::default(),
            archive: Some(Archive::default()),
            admin: Admin::default(),
            history: History::default(),
            monitors: Vec::new(),
            alerts: Vec::new(),
            slos: Vec::new(),
            notifiers: Notifiers::default(),
        }
    }
}

/// What a file comes to; its problems are told with its name.
fn of_file<T>(
    path: &Path,
    environment: Environment<'_>,
    read: impl FnOnce(&str, &substitute::Sources<'_>) -> Result<T, Vec<Problem>>,
) -> Result<T, ConfigError> {
    let source = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    read(&source, &substitute::Sources { environment, folder })
        .map_err(|problems| problems.into_iter().map(|problem| problem.of_file(path)).collect())
        .map_err(ConfigError::Invalid)
}

/// A configuration that can be used, and what its user should know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What was ignored or is risky, a sentence each.
    pub warnings: Vec<String>,
    /// The files that it names and that cannot be read.
    absent: Vec<Problem>,
}

impl Loaded {
    /// Whether the files are there that it names, for whoever is about to use them.
    ///
    /// # Errors
    /// Those that cannot be read.
    pub fn check_named_files(&self) -> Result<(), ConfigError> {
        if self.absent.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(self.absent.clone())) }
    }
}

impl Config {
    /// Reads a configuration file; without one, the defaults and what the environment says.
    ///
    /// # Errors
    /// The file cannot be read, or everything that is wrong with it (or with the environment).
    pub fn load(path: Option<&Path>, environment: Environment<'_>) -> Result<Loaded, ConfigError> {
        match path {
            Some(path) => Self::load_file(path, environment),
            None => Self::load_environment(environment),
        }
    }

    fn load_file(path: &Path, environment: Environment<'_>) -> Result<Loaded, ConfigError> {
        let (config, absent) = of_file(path, environment, Self::parse)?;
        let absent = absent.into_iter().map(|problem| problem.of_file(path)).collect();

        let mut warnings = config.risks();
        if config.exporters.otlp.is_empty() && environment::names_destination(environment) {
            let file = path.display();
            warnings.push(format!("OTEL_EXPORTER_OTLP_ENDPOINT is ignored: {file} says where to export to"));
        }
        Ok(Loaded { config, warnings, absent })
    }

    fn load_environment(environment: Environment<'_>) -> Result<Loaded, ConfigError> {
        let mut config = Self::default();
        let mut warnings = Vec::new();
        let problems = environment::add_exporters(&mut config, environment, &mut warnings);
        if problems.is_empty() {
            Ok(Loaded { config, warnings, absent: Vec::new() })
        } else {
            Err(ConfigError::Invalid(problems))
        }
    }

    /// Beside the configuration, the files that it names and that cannot be read.
    fn parse(source: &str, sources: &substitute::Sources<'_>) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let mut original = document::Node::parse(source).map_err(|problem| vec![problem])?;
        if matches!(original.value, document::Value::Null) {
            original.value = document::Value::Mapping(Vec::new());
        }
        let mut document = original.clone();
        let mut report = report::Report::new(&original);
        substitute::substitute(&mut document, sources, &mut report);
        unsupported::refuse_unsupported(&mut document, &mut report);
        let mut files = report::Report::new(&original);
        named_files::check(&document, &mut files);
        let config: Self = decode::decode(document, &mut report);
        validate::validate(&config, &mut report);
        let problems = report.into_problems();
        if problems.is_empty() { Ok((config, files.into_problems())) } else { Err(problems) }
    }

    /// What is watched.
    pub(crate) fn watched(&self) -> monitor::Config {
        monitor::Config {
            history: self.history.meant(),
            monitors: self.monitors.iter().map(watched::Monitor::definition).collect(),
            alerts: self.alerts.iter().filter_map(watched::Alert::rule).collect(),
            slos: self.slos.iter().filter_map(watched::Slo::definition).collect(),
            charts: self.monitors.iter().flat_map(watched::Monitor::chart_definitions).collect(),
            drifts: self.monitors.iter().filter_map(watched::Monitor::drift_definition).collect(),
            canaries: self.monitors.iter().flat_map(watched::Monitor::canary_definitions).collect(),
            not_kept: self.not_kept().collect(),
        }
    }

    /// What is not kept of calls.
    fn not_kept(&self) -> impl Iterator<Item = monitor::Attribute> {
        let kept = || self.derive.dimensions.iter().chain(&self.metrics.resource_attributes);
        monitor::Attribute::ALL.into_iter().filter(move |attribute| !kept().any(|kept| kept == attribute.key()))
    }

    /// Whether anything is written on spans that are handed on.
    pub(crate) fn enriches(&self) -> bool {
        let wants_traces = |exporter: &OtlpExporter| exporter.signals.contains(&exporters::Signal::Traces);
        self.forward.enrich && self.exporters.otlp.values().any(wants_traces)
    }

    /// Everything Spanmill listens on.
    fn listeners(&self) -> Vec<Listener<'_>> {
        let otlp = &self.receivers.otlp;
        let receiver = |path, address| Listener::new(path, address, otlp.tls.as_ref(), &otlp.auth);
        let mut listeners = vec![
            receiver(&["receivers", "otlp", "protocols", "grpc", "endpoint"], &otlp.protocols.grpc.endpoint),
            receiver(&["receivers", "otlp", "protocols", "http", "endpoint"], &otlp.protocols.http.endpoint),
        ];
        if let Some(prometheus) = &self.exporters.prometheus {
            let path = &["exporters", "prometheus", "endpoint"];
            listeners.push(Listener::new(path, &prometheus.endpoint, prometheus.tls.as_ref(), &prometheus.auth));
        }
        let Admin { endpoint, tls, auth, .. } = &self.admin;
        listeners.push(Listener::new(&["admin", "endpoint"], endpoint, tls.as_ref(), auth));
        listeners
    }

    /// The listener of this configuration that a destination would reach, if any.
    fn own_listener(&self, exporter: &OtlpExporter) -> Option<Listener<'_>> {
        self.listeners().into_iter().find(|listener| exporter.endpoint.reaches(listener.address))
    }

    /// What is allowed but should be known.
    fn risks(&self) -> Vec<String> {
        let reached = self.listeners().into_iter().filter(|listener| !listener.address.is_loopback());
        let risk = |listener: Listener<'_>| {
            let risk = match (listener.asks_who_calls, listener.is_encrypted) {
                (false, _) => "nothing asks who calls",
                (true, false) => "credentials travel unencrypted",
                (true, true) => return None,
            };
            let (path, address) = (document::KeyPath::of(listener.path), listener.address);
            Some(format!("\"{path}\": {address} can be reached from other machines, and {risk}"))
        };
        reached.filter_map(risk).collect()
    }
}

/// A place where Spanmill listens.
struct Listener<'a> {
    /// The keys that lead to its address.
    path: &'static [&'static str],
    address: &'a Address,
    /// Whether callers must show who they are.
    asks_who_calls: bool,
    is_encrypted: bool,
}

impl<'a> Listener<'a> {
    fn new(path: &'static [&'static str], address: &'a Address, tls: Option<&Tls>, auth: &Auth) -> Self {
        Self { path, address, asks_who_calls: access::asks_who_calls(tls, auth), is_encrypted: tls.is_some() }
    }

    /// Whether other machines reach it and nothing asks who calls.
    fn is_open(&self) -> bool {
        !self.address.is_loopback() && !self.asks_who_calls
    }
}

/// The whole configuration as YAML, secrets masked. Without secrets, reading it gives the same configuration.
///
/// # Errors
/// A path of the configuration is not UTF-8.
pub fn effective_yaml(config: &Config) -> Result<String, serde_saphyr::SerializeError> {
    // A dollar sign means nothing in YAML and stands in no key, so every one of them is part of a value.
    Ok(serde_saphyr::to_string(config)?.replace('$', "$$"))
}
