//! What is wrong with prices, and where.

use thiserror::Error;

use super::decimal::InvalidPrice;

/// A price catalogue cannot be used.
#[derive(Debug, Error)]
pub enum PriceError {
    /// It is not JSON, or no list of providers.
    #[error("not a price catalogue in the genai-prices v2 format: {}", without_place(.0))]
    Format(#[source] serde_json::Error),
    /// A part of a provider or a model is not what it should be.
    #[error("{place}: {fault}")]
    Entry {
        /// Line and column of that part.
        position: (usize, usize),
        /// Provider, model and key.
        place: String,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// What is wrong with one entry of a catalogue.
#[derive(Debug, Error)]
pub enum Fault {
    /// A value has another form than the format says.
    #[error("{}", without_place(.0))]
    Shape(#[from] serde_json::Error),
    /// A price cannot be read exactly.
    #[error("{0}")]
    Price(#[from] InvalidPrice),
    /// A regular expression cannot be compiled.
    #[error("invalid regular expression {pattern:?}: {reason}")]
    Regex {
        /// The expression.
        pattern: String,
        /// Why not.
        reason: String,
    },
    /// A constraint is of a kind that this version does not know: its price might be taken when it must not.
    #[error("unknown constraint, expected start_date, or start_time and end_time")]
    Constraint,
    /// Not a date.
    #[error("expected a date such as 2026-01-31, found {0:?}")]
    Date(String),
    /// Not a time of day.
    #[error("expected a time of day such as 16:30:00Z, found {0:?}")]
    Time(String),
    /// A list of conditional prices without any.
    #[error("expected at least one price")]
    Empty,
    /// A fallback that is in no list.
    #[error("unknown provider {0:?}")]
    Provider(String),
    /// A variant without a condition would hold for every call.
    #[error("expected a condition under \"when\"")]
    Unconditional,
}

impl PriceError {
    /// Line and column in the catalogue, from 1; column 0 is before a line's first character.
    pub fn position(&self) -> (usize, usize) {
        match self {
            Self::Format(error) => (error.line(), error.column()),
            Self::Entry { position, .. } => *position,
        }
    }
}

/// An error without its place, which is told otherwise (and would be that in a part of the file).
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}
