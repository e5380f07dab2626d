//! `derive.prices`: where prices come from, and reading them.

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use genai::price::{Catalogue, OverrideFile, Overrides, PriceError, Prices};
use serde::{Deserialize, Serialize};

use super::decode;
use super::document::{Node, Position, Value};
use super::error::{ConfigError, Problem};
use super::report::Report;
use super::units::serde_as_text;

/// `derive.prices`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PriceSources {
    /// What models cost.
    pub catalogue: CatalogueSource,
    /// Files of the user's own prices, which go before the catalogue; relative paths start at the working directory.
    pub overrides: Vec<PathBuf>,
    /// What becomes of a cost that the instrumentation tells.
    pub supplied_cost: SuppliedCost,
}

/// `derive.prices.catalogue`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CatalogueSource {
    /// The one that is built in.
    #[default]
    Builtin,
    /// A file in the genai-prices v2 format.
    File(PathBuf),
}

serde_as_text!(CatalogueSource);

impl FromStr for CatalogueSource {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "builtin" { Self::Builtin } else { Self::File(text.into()) })
    }
}

impl fmt::Display for CatalogueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Builtin => f.write_str("builtin"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// `derive.prices.supplied_cost`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SuppliedCost {
    /// It is the cost of the call.
    #[default]
    Honour,
    /// It is as if it were not told.
    Ignore,
}

impl PriceSources {
    /// Reads all prices.
    ///
    /// # Errors
    /// A file cannot be read, or what is wrong with it, with its line.
    pub fn load(&self) -> Result<Prices, ConfigError> {
        let catalogue = match &self.catalogue {
            CatalogueSource::Builtin => Catalogue::builtin().map_err(|error| invalid(&error, Path::new("builtin")))?,
            CatalogueSource::File(path) => Catalogue::parse(&read(path)?).map_err(|error| invalid(&error, path))?,
        };
        let mut overrides = Overrides::default();
        for path in &self.overrides {
            overrides.push(&path.display().to_string(), override_file(path)?);
        }
        Ok(Prices::new(catalogue, overrides))
    }

    /// All prices, and whether they go behind what the instrumentation tells.
    ///
    /// # Errors
    /// As [`PriceSources::load`].
    pub fn pricing(&self) -> Result<aggregate::Pricing, ConfigError> {
        let honour_supplied = self.supplied_cost == SuppliedCost::Honour;
        Ok(aggregate::Pricing { prices: Arc::new(self.load()?), honour_supplied })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })
}

fn invalid(error: &PriceError, path: &Path) -> ConfigError {
    let (line, column) = error.position();
    let position = Position { line: line as u64, column: column as u64 };
    ConfigError::Invalid(vec![Problem::at(position, error.to_string()).of_file(path)])
}

/// Reads a file of overrides, and reports everything that is wrong with it.
fn override_file(path: &Path) -> Result<OverrideFile, ConfigError> {
    let source = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse_overrides(&source)
        .map_err(|problems| ConfigError::Invalid(problems.into_iter().map(|problem| problem.of_file(path)).collect()))
}

fn parse_overrides(source: &str) -> Result<OverrideFile, Vec<Problem>> {
    let mut document = Node::parse(source).map_err(|problem| vec![problem])?;
    if matches!(document.value, Value::Null) {
        document.value = Value::Mapping(Vec::new());
    }
    let mut report = Report::new(&document);
    let file = decode::decode(document.clone(), &mut report);
    let problems = report.into_problems();
    if problems.is_empty() { Ok(file) } else { Err(problems) }
}
