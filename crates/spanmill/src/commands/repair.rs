//! `spanmill repair`: makes a damaged log usable again.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::config::{self, Config};
use crate::failure::Failure;

/// Repairs the log in the data directory, and prints what was done and what is lost.
pub(crate) fn run(config: Option<&Path>, directory: Option<PathBuf>) -> Result<(), Failure> {
    let configured = || Ok::<_, Failure>(Config::load(config, &config::process_environment)?.config.storage.directory);
    let report = wal::repair(&directory.map_or_else(configured, Ok)?)?;
    writeln!(std::io::stdout(), "{report}").map_err(Failure::io("printing the result"))
}
