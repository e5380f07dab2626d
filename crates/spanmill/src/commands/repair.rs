//! `spanmill repair`: makes a damaged log usable again.

use std::io::Write;
use std::path::Path;

use crate::config::{self, Config};
use crate::failure::Failure;

/// Repairs the log in the data directory, and prints what was done and what is lost.
pub(crate) fn run(config: Option<&Path>) -> Result<(), Failure> {
    let config = Config::load(config, &config::process_environment)?.config;
    let report = wal::repair(&config.storage.directory)?;
    writeln!(std::io::stdout(), "{report}").map_err(Failure::io("printing the result"))
}
