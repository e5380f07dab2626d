//! `spanmill replay PATH...`: count what stands in files, without a server.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::counting::Counting;
use crate::config::{self, Config};
use crate::failure::Failure;
use crate::table::{self, Format};

/// Reads the files and prints what they come to.
pub(crate) fn run(config: Option<&Path>, paths: &[PathBuf], format: Format) -> Result<(), Failure> {
    let config = Config::load(config, &config::process_environment)?.config;
    let report = Counting::new(&config, None)?.count(paths, drop)?;
    let rendered = table::render(&report, format).map_err(|error| Failure::Demo(error.to_string()))?;
    std::io::stdout().write_all(rendered.as_bytes()).map_err(Failure::io("printing the result"))
}
