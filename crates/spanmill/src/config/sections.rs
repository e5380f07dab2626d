//! The sections of one concept each: `storage`, `derive`, `metrics`, `history`, `archive`, `admin`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use transport::Secret;

use super::access::{Auth, Tls};
use super::address::Address;
use super::prices::PriceSources;
use super::units::{ByteSize, duration, serde_as_text};

/// `storage`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// Where Spanmill keeps what outlives the process.
    pub directory: PathBuf,
    /// The write-ahead log.
    pub wal: Wal,
}

impl Default for Storage {
    fn default() -> Self {
        Self { directory: PathBuf::from("./spanmill-data"), wal: Wal::default() }
    }
}

/// `storage.wal`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wal {
    /// Whether requests are on disk before they are acknowledged.
    pub enabled: bool,
    /// What its files may take.
    pub max_size: ByteSize,
    /// How requests are compressed; `None` if they stand there as they came.
    pub compression: Option<Zstd>,
}

impl Default for Wal {
    fn default() -> Self {
        Self { enabled: true, max_size: ByteSize::mebibytes(4096), compression: None }
    }
}

/// `forward`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Forward {
    /// Whether what spans mean, and what became of them, is written on those that are handed on.
    pub enrich: bool,
    /// Whether metrics of applications are handed on although a destination gets derived ones of the same names.
    pub keep_client_metrics: bool,
}

/// `derive`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Derive {
    /// Attributes of spans that become attributes of metric points, beside the common ones.
    pub dimensions: Vec<String>,
    /// Longer values are cut, in bytes.
    pub max_label_length: usize,
    /// What becomes of prompts and completions, before anything else.
    pub content: Content,
    /// With what they are hashed.
    pub content_hash_key: Option<Secret>,
    /// How long what a client sends again is recognised.
    #[serde(with = "duration")]
    pub duplicate_window: Duration,
    /// How many requests and spans are remembered for that at most; `None` for what [`Derive::duplicates`] makes of the budget.
    pub duplicate_max_entries: Option<usize>,
    /// How long the spans of one call are gathered before it is counted.
    #[serde(with = "duration")]
    pub settle_wait: Duration,
    /// Memory for calls whose spans are gathered; beyond it the oldest are counted early. `None` for an eighth of the budget.
    pub settle_memory: Option<ByteSize>,
    /// Whether spans in different traces are one call if only their times and usage say so.
    pub merge_unlinked_duplicates: bool,
    /// What calls cost.
    pub prices: PriceSources,
}

impl Default for Derive {
    fn default() -> Self {
        Self {
            dimensions: Vec::new(),
            max_label_length: 256,
            content: Content::Keep,
            content_hash_key: None,
            duplicate_window: Duration::from_secs(30 * 60),
            duplicate_max_entries: None,
            settle_wait: Duration::from_secs(10),
            settle_memory: None,
            merge_unlinked_duplicates: false,
            prices: PriceSources::default(),
        }
    }
}

/// `derive.content`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// They stay.
    #[default]
    Keep,
    /// Empty texts stand in their place.
    Drop,
    /// Keyed hashes stand in their place.
    Hash,
}

impl Derive {
    /// What takes content out of requests. A hash without a key is refused by validation; it would be a drop.
    pub fn redactor(&self) -> genai::Redactor {
        match (self.content, &self.content_hash_key) {
            (Content::Keep, _) => genai::Redactor::Keep,
            (Content::Hash, Some(key)) => genai::Redactor::hash(key.expose().as_bytes()),
            (Content::Drop, _) | (Content::Hash, None) => genai::Redactor::Drop,
        }
    }

    /// How retries are recognised, beside a budget for requests: 2,000,000 entries beside the default of 512 MiB.
    pub fn duplicates(&self, budget: ByteSize) -> aggregate::DuplicateSettings {
        const ENTRIES_A_MEBIBYTE: usize = 3_907;
        let usual = (budget.as_usize() >> 20) * ENTRIES_A_MEBIBYTE;
        aggregate::DuplicateSettings {
            window: u64::try_from(self.duplicate_window.as_nanos()).unwrap_or(u64::MAX),
            max_entries: self.duplicate_max_entries.unwrap_or(usual.max(1)),
        }
    }

    /// How calls are held, beside a budget for requests.
    pub fn settle(&self, budget: ByteSize) -> aggregate::SettleSettings {
        aggregate::SettleSettings {
            wait: u64::try_from(self.settle_wait.as_nanos()).unwrap_or(u64::MAX),
            memory: self.settle_memory.map_or(budget.as_usize() / 8, ByteSize::as_usize),
            merge_unlinked: self.merge_unlinked_duplicates,
        }
    }
}

/// `metrics`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Whose names the metrics have.
    pub semconv: Semconv,
    /// How often an interval is closed and sent.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// How old statistics of what is watched may be.
    #[serde(with = "duration")]
    pub statistics_interval: Duration,
    /// Resource attributes of spans that are kept on metrics.
    pub resource_attributes: Vec<String>,
    /// Series groups held at once; what comes beyond goes to the overflow group.
    pub aggregation_cardinality_limit: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        let kept = ["service.name", "service.namespace", "deployment.environment.name"];
        Self {
            semconv: Semconv::default(),
            interval: Duration::from_secs(30),
            statistics_interval: Duration::from_secs(10),
            resource_attributes: kept.map(str::to_owned).to_vec(),
            aggregation_cardinality_limit: 10_000,
        }
    }
}

/// `metrics.semconv`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Semconv {
    /// OpenTelemetry GenAI semantic conventions 1.41.
    #[default]
    #[serde(rename = "1.41")]
    #[value(name = "1.41")]
    V1_41,
    /// Their successor, as far as it is known.
    #[serde(rename = "next")]
    Next,
}

impl Semconv {
    /// The same for those who count.
    pub fn meant(self) -> aggregate::Semconv {
        match self {
            Self::V1_41 => aggregate::Semconv::V1_41,
            Self::Next => aggregate::Semconv::Next,
        }
    }
}

/// `history`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct History {
    /// What it may take in memory.
    pub memory: ByteSize,
}

impl Default for History {
    fn default() -> Self {
        Self { memory: ByteSize::mebibytes(128) }
    }
}

impl History {
    /// The same for those who watch.
    pub fn meant(&self) -> monitor::HistoryConfig {
        monitor::HistoryConfig { memory: self.memory.as_usize(), ..monitor::HistoryConfig::default() }
    }
}

/// `archive`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Archive {
    /// The directory above `spans/`.
    pub directory: PathBuf,
    /// Which spans are archived.
    pub include: Include,
    /// A file is closed at this many rows.
    pub max_rows: usize,
    /// A file is closed at this age.
    #[serde(with = "duration")]
    pub max_age: Duration,
    /// How columns are compressed.
    pub compression: Zstd,
}

impl Default for Archive {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("./spanmill-data/archive"),
            include: Include::default(),
            max_rows: 1_000_000,
            max_age: Duration::from_secs(300),
            compression: Zstd(1),
        }
    }
}

/// `archive.include`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Include {
    /// Spans with GenAI meaning.
    #[default]
    Genai,
    /// Every span.
    All,
}

/// A compression, written `zstd(LEVEL)`: its level, of 1 to 19.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zstd(pub u8);

serde_as_text!(Zstd);

/// A text is not a compression.
#[derive(Debug, Error)]
#[error("expected zstd(LEVEL) with a level of 1 to 19")]
pub struct InvalidZstd;

impl FromStr for Zstd {
    type Err = InvalidZstd;

    fn from_str(text: &str) -> Result<Self, InvalidZstd> {
        text.strip_prefix("zstd(")
            .and_then(|rest| rest.strip_suffix(')'))
            .and_then(|level| level.parse().ok())
            .filter(|level| (1..=19).contains(level))
            .map(Self)
            .ok_or(InvalidZstd)
    }
}

impl fmt::Display for Zstd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(level) = self;
        write!(f, "zstd({level})")
    }
}

/// `admin`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// Where health checks and the API are served.
    pub endpoint: Address,
    /// How connections are encrypted; `None` if not.
    pub tls: Option<Tls>,
    /// What callers of page and API must show; health checks are for everybody.
    pub auth: Auth,
    /// Where the page leads to for a trace: an address with `{trace_id}`, and `{span_id}`; `None` to show ids only.
    pub trace_link: Option<String>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { endpoint: Address::loopback(13133), tls: None, auth: Auth::None, trace_link: None }
    }
}
