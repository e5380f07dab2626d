//! The corpus: what real clients sent, and the truth about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::Deserialize;
use spanmill_aggregate::Totals;

/// One client of the corpus.
pub struct Client {
    pub name: String,
    /// Its export requests, in the order in which they came.
    pub requests: Vec<Bytes>,
    pub expected: Expected,
    pub upper: Expected,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Expected {
    #[serde(flatten)]
    pub totals: Sums,
    #[serde(default)]
    pub by_model: BTreeMap<String, Sums>,
}

/// Requests, errors and tokens, as `truth.json` has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub requests: u64,
    pub errors: u64,
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub reasoning: u64,
}

impl<'de> Deserialize<'de> for Sums {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let tokens = if value["tokens"].is_object() { &value["tokens"] } else { &value };
        let count = |of: &serde_json::Value, name: &str| of[name].as_u64().unwrap_or(0);
        Ok(Self {
            requests: count(&value, "requests"),
            errors: count(&value, "errors"),
            input: count(tokens, "input"),
            output: count(tokens, "output"),
            cache_read: count(tokens, "cache_read"),
            cache_write: count(tokens, "cache_write"),
            reasoning: count(tokens, "reasoning"),
        })
    }
}

impl From<&Totals> for Sums {
    fn from(totals: &Totals) -> Self {
        Self {
            requests: totals.requests,
            errors: totals.errors,
            input: totals.input(),
            output: totals.output(),
            cache_read: totals.tokens.cache_read,
            cache_write: totals.tokens.cache_write,
            reasoning: totals.tokens.reasoning,
        }
    }
}

impl Sums {
    fn cells(&self) -> [u64; 7] {
        [self.requests, self.errors, self.input, self.output, self.cache_read, self.cache_write, self.reasoning]
    }

    pub fn is_within(&self, least: &Self, most: &Self) -> bool {
        let ranges = self.cells().into_iter().zip(least.cells().into_iter().zip(most.cells()));
        ranges.into_iter().all(|(cell, (least, most))| (least..=most.max(least)).contains(&cell))
    }
}

fn tests(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests").join(folder)
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// All of them.
pub fn clients() -> Vec<Client> {
    clients_in("corpus")
}

/// Set-ups that the corpus lacks. What they should come to is what their server counted, less what no span of theirs tells.
pub fn more_clients() -> Vec<Client> {
    clients_in("clients")
}

fn clients_in(folder: &str) -> Vec<Client> {
    #[derive(Deserialize)]
    struct Truth {
        expected: Expected,
        expected_upper: Expected,
    }
    let read = |folder: PathBuf| {
        let truth: Truth = serde_json::from_slice(&std::fs::read(folder.join("truth.json")).unwrap()).unwrap();
        let is_request = |path: &PathBuf| path.to_string_lossy().ends_with(".traces.binpb");
        Client {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            requests: sorted(&folder)
                .into_iter()
                .filter(is_request)
                .map(|path| std::fs::read(path).unwrap().into())
                .collect(),
            expected: truth.expected,
            upper: truth.expected_upper,
        }
    };
    sorted(&tests(folder)).into_iter().filter(|path| path.is_dir()).map(read).collect()
}
