//! What is wrong with a configuration, where, and what is allowed instead.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::document::Position;

/// A configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The content is wrong: every problem found, in the order of the file, one a line.
    #[error("{}", Lines(.0))]
    Invalid(Vec<Problem>),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    file: Option<PathBuf>,
    position: Option<Position>,
    message: String,
}

impl Problem {
    /// Something wrong at a place in the file being read.
    pub(super) fn at(position: Position, message: impl Into<String>) -> Self {
        Self { file: None, position: Some(position), message: message.into() }
    }

    /// Something wrong outside any file: an environment variable.
    pub(super) fn in_environment(message: impl Into<String>) -> Self {
        Self { file: None, position: None, message: message.into() }
    }

    /// The same problem, naming its file.
    pub(super) fn of_file(self, file: &Path) -> Self {
        Self { file: Some(file.to_owned()), ..self }
    }

    pub(super) fn position(&self) -> Option<Position> {
        self.position
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
        }
        if let Some(Position { line, column }) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        if self.file.is_some() || self.position.is_some() {
            f.write_str(" ")?;
        }
        f.write_str(&self.message)
    }
}

struct Lines<'a>(&'a [Problem]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}
