//! `exporters`: where metrics and error records go. The section lists all of them: `{}` is none; left out, it is
//! Prometheus alone.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use transport::Secret;

use super::access::{Auth, Tls};
use super::address::{Address, HttpUrl};
use super::units::{ByteSize, duration};

/// `exporters`.
#[derive(Debug, Clone, PartialEq)]
pub struct Exporters {
    /// The scrape endpoint, if any.
    pub prometheus: Option<PrometheusExporter>,
    /// The OTLP destinations by the NAME of their `otlp/NAME`.
    pub otlp: BTreeMap<String, OtlpExporter>,
}

impl Default for Exporters {
    fn default() -> Self {
        Self { prometheus: Some(PrometheusExporter::default()), otlp: BTreeMap::new() }
    }
}

/// `exporters.prometheus`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrometheusExporter {
    /// Where `/metrics` is served.
    pub endpoint: Address,
    /// How connections are encrypted; `None` if not.
    pub tls: Option<Tls>,
    /// What scrapers must show.
    pub auth: Auth,
}

impl Default for PrometheusExporter {
    fn default() -> Self {
        Self { endpoint: Address::loopback(9464), tls: None, auth: Auth::None }
    }
}

/// `exporters.otlp/NAME`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpExporter {
    /// The destination.
    pub endpoint: HttpUrl,
    /// Whether `/v1/metrics` and so on are appended to it, with `http/protobuf`; otherwise it is used as it is.
    #[serde(default = "OtlpExporter::default_append_path")]
    pub append_path: bool,
    /// How it is spoken to.
    #[serde(default)]
    pub protocol: Protocol,
    /// What it gets.
    #[serde(default = "Signal::usual")]
    pub signals: Vec<Signal>,
    /// What is sent with every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How an `https://` endpoint is trusted, and what it is shown.
    #[serde(default)]
    pub tls: Option<ClientTls>,
    /// How requests are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// What kind of backend it is.
    #[serde(default)]
    pub profile: Profile,
    /// What metric points tell; if it is not said, what the profile says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temporality: Option<Temporality>,
    /// How distributions are sent.
    #[serde(default)]
    pub histograms: Histograms,
    /// The largest request, before compression.
    #[serde(default = "OtlpExporter::default_max_request_size")]
    pub max_request_size: ByteSize,
    /// How long one request may take.
    #[serde(default = "OtlpExporter::default_timeout", with = "duration")]
    pub timeout: Duration,
    /// When a request that failed is tried again.
    #[serde(default)]
    pub retry_on_failure: RetryOnFailure,
    /// What happens when it is behind and there is no room to wait.
    #[serde(default)]
    pub when_full: WhenFull,
}

impl OtlpExporter {
    /// A destination with the defaults.
    pub fn new(endpoint: HttpUrl) -> Self {
        Self {
            endpoint,
            append_path: Self::default_append_path(),
            protocol: Protocol::default(),
            signals: Signal::usual(),
            headers: BTreeMap::new(),
            tls: None,
            compression: Compression::default(),
            profile: Profile::default(),
            temporality: None,
            histograms: Histograms::default(),
            max_request_size: Self::default_max_request_size(),
            timeout: Self::default_timeout(),
            when_full: WhenFull::default(),
            retry_on_failure: RetryOnFailure::default(),
        }
    }

    /// What metric points tell.
    pub fn temporality(&self) -> Temporality {
        self.temporality.unwrap_or(match self.profile {
            Profile::Signoz => Temporality::Delta,
            Profile::Default | Profile::Prometheus => Temporality::Cumulative,
        })
    }

    fn default_append_path() -> bool {
        true
    }

    fn default_max_request_size() -> ByteSize {
        ByteSize::mebibytes(4)
    }

    fn default_timeout() -> Duration {
        Duration::from_secs(10)
    }
}

/// `exporters.otlp/NAME.tls`: PEM files, read again for every connection. Paths start at the working directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientTls {
    /// Authorities that are trusted, in place of the operating system's.
    pub ca_file: Option<PathBuf>,
    /// A certificate of our own, for destinations that ask for one.
    pub cert_file: Option<PathBuf>,
    /// Its private key.
    pub key_file: Option<PathBuf>,
}

/// `exporters.otlp/NAME.protocol`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// OTLP/gRPC.
    #[default]
    #[serde(rename = "grpc")]
    Grpc,
    /// OTLP/HTTP with protobuf bodies.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
}

/// `exporters.otlp/NAME.signals`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// The metrics, derived ones and those of applications.
    Metrics,
    /// The error records, and the logs of applications.
    Logs,
    /// The traces of applications.
    Traces,
}

impl Signal {
    /// What a destination gets if nothing is said.
    pub fn usual() -> Vec<Self> {
        vec![Self::Metrics, Self::Logs]
    }
}

/// `exporters.otlp/NAME.when_full`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// Those who send are asked to come again.
    #[default]
    Block,
    /// What waits longest is dropped, and counted.
    DropOldest,
}

/// `exporters.otlp/NAME.compression`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// RFC 1952.
    #[default]
    Gzip,
    /// RFC 8878.
    Zstd,
    /// As it is.
    None,
}

/// `exporters.otlp/NAME.profile`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// OTLP as it is specified.
    #[default]
    Default,
    /// Delta, told within its window; both names of the environment.
    Signoz,
    /// Cumulative, with the attributes of the resource on every point.
    Prometheus,
}

/// `exporters.otlp/NAME.temporality`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Temporality {
    /// Points tell everything since the start.
    Cumulative,
    /// Points tell what came since the point before.
    Delta,
}

/// `exporters.otlp/NAME.histograms`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Histograms {
    /// Fixed bucket bounds.
    #[default]
    Explicit,
    /// Bounds that follow from what was measured: powers of a base that gets smaller the closer it lies together.
    Exponential,
}

/// `exporters.otlp/NAME.retry_on_failure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryOnFailure {
    /// The pause after the first failure; it doubles with each further one.
    #[serde(with = "duration")]
    pub initial_interval: Duration,
    /// The longest pause.
    #[serde(with = "duration")]
    pub max_interval: Duration,
    /// How long a request is tried before it is given up; 0 is for ever.
    #[serde(with = "duration")]
    pub max_elapsed_time: Duration,
}

impl Default for RetryOnFailure {
    fn default() -> Self {
        Self {
            initial_interval: Duration::from_secs(1),
            max_interval: Duration::from_secs(30),
            max_elapsed_time: Duration::ZERO,
        }
    }
}

/// A key of `exporters`.
enum ExporterKey {
    Prometheus,
    Otlp(String),
}

impl<'de> Deserialize<'de> for ExporterKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        if key == "prometheus" {
            return Ok(Self::Prometheus);
        }
        match key.strip_prefix("otlp/") {
            Some(name) if is_name(name) => Ok(Self::Otlp(name.to_owned())),
            _ => Err(de::Error::unknown_field(&key, &["prometheus", "otlp/NAME"])),
        }
    }
}

/// Names of destinations become labels of metrics and parts of messages.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !text.is_empty() && text.chars().all(allowed)
}

impl<'de> Deserialize<'de> for Exporters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ExportersVisitor;

        impl<'de> Visitor<'de> for ExportersVisitor {
            type Value = Exporters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Exporters, A::Error> {
                let mut exporters = Exporters { prometheus: None, otlp: BTreeMap::new() };
                while let Some(key) = access.next_key()? {
                    match key {
                        ExporterKey::Prometheus => exporters.prometheus = Some(access.next_value()?),
                        ExporterKey::Otlp(name) => {
                            exporters.otlp.insert(name, access.next_value()?);
                        }
                    }
                }
                Ok(exporters)
            }
        }

        deserializer.deserialize_map(ExportersVisitor)
    }
}

impl Serialize for Exporters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(prometheus) = &self.prometheus {
            map.serialize_entry("prometheus", prometheus)?;
        }
        for (name, exporter) in &self.otlp {
            map.serialize_entry(&format!("otlp/{name}"), exporter)?;
        }
        map.end()
    }
}
