//! `spanmill dashboards TARGET`: what a backend imports to show what Spanmill counts.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dashboards::Target;

use crate::failure::Failure;

/// What is written, and where to.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// For which backend.
    #[arg(value_enum, value_name = "BACKEND")]
    backend: Backend,
    /// Write the file into this directory, under the name it has in dashboards/ of the repository.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backend {
    /// A dashboard for SigNoz 0.135 or newer: Dashboards > New dashboard > Import JSON.
    Signoz,
    /// A dashboard for Grafana over Prometheus, Mimir or VictoriaMetrics: Dashboards > New > Import.
    Grafana,
    /// Recording and alerting rules for Prometheus: a file of rule_files.
    PrometheusRules,
}

impl Backend {
    const fn target(self) -> Target {
        match self {
            Self::Signoz => Target::SigNoz,
            Self::Grafana => Target::Grafana,
            Self::PrometheusRules => Target::PrometheusRules,
        }
    }
}

/// Prints the file, or writes it and says where it is.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let target = arguments.backend.target();
    let text = target.render()?;
    let Some(directory) = &arguments.out else { return print(&text) };
    let path = directory.join(target.file_name());
    let writing = || format!("writing {}", path.display());
    std::fs::create_dir_all(directory).map_err(Failure::io(writing()))?;
    std::fs::write(&path, text).map_err(Failure::io(writing()))?;
    print(&format!("{}\n", path.display()))
}

fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::io("printing"))
}
