//! `spanmill dashboards TARGET`: what a backend imports to show what Spanmill counts.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use dashboards::Target;

use crate::config::sections::Semconv;
use crate::config::{self, Config};
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
    /// metrics.semconv of the Spanmill whose metrics are shown; without it, that of the configuration.
    #[arg(long, value_enum, value_name = "NAMES")]
    semconv: Option<Semconv>,
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

impl Arguments {
    /// What is said here, else in the configuration, else the default.
    fn semconv(&self, config: Option<&Path>) -> Result<Semconv, Failure> {
        match (self.semconv, config) {
            (Some(semconv), _) => Ok(semconv),
            (None, Some(_)) => Ok(Config::load(config, &config::process_environment)?.config.metrics.semconv),
            (None, None) => Ok(Semconv::default()),
        }
    }
}

const fn meant(semconv: Semconv) -> dashboards::Semconv {
    match semconv {
        Semconv::V1_41 => dashboards::Semconv::V1_41,
        Semconv::Next => dashboards::Semconv::Next,
    }
}

/// Prints the file, or writes it and says where it is.
pub(crate) fn run(arguments: &Arguments, config: Option<&Path>) -> Result<(), Failure> {
    let target = arguments.backend.target();
    let text = target.render(meant(arguments.semconv(config)?))?;
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    // A dashboard asks for metrics of calls by names that a Spanmill with the same setting tells them by.
    #[test]
    fn dashboards_ask_for_what_is_told() {
        for names in [Semconv::V1_41, Semconv::Next] {
            let told = names.meant().metric_names();
            let dashboard = Target::SigNoz.render(meant(names)).unwrap();
            let asked = dashboard.lines().filter_map(|line| line.trim().strip_prefix(r#""metricName": ""#));
            let asked = asked.map(|name| name.trim_end_matches([',', '"']));
            let asked: BTreeSet<&str> =
                asked.map(|name| name.trim_end_matches(".bucket").trim_end_matches(".count")).collect();
            assert!(asked.len() > 8, "{asked:?}");
            // What Spanmill tells of itself has one name, and that it is told is for the tests that evaluate the panels.
            for name in asked.into_iter().filter(|name| name.starts_with("gen_ai.")) {
                assert!(told.contains(&name), "{names:?}: nobody tells {name}");
            }
            let as_label = |name: &str| name.replace('.', "_");
            let is_told = |name: &str| told.iter().any(|known| name.starts_with(&as_label(known)));
            for target in [Target::Grafana, Target::PrometheusRules] {
                let text = target.render(meant(names)).unwrap();
                let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let asked: BTreeSet<&str> = words.filter(|word| word.starts_with("gen_ai_client_")).collect();
                assert!(!asked.is_empty() && asked.iter().all(|name| is_told(name)), "{names:?}: {asked:?}");
            }
        }
    }
}
