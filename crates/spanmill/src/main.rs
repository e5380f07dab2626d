//! The `spanmill` command: reads the command line, runs one command, prints what went wrong. Nothing else prints errors.

mod admin;
mod admin_client;
mod answering;
mod applier;
mod checkpointer;
mod clock;
mod commands;
mod config;
mod console;
mod failure;
mod files;
mod forward;
mod gauges;
mod ingest;
mod listeners;
mod notifying;
mod outcomes;
mod receiving;
mod recorder;
mod server;
mod statistics;
mod storage;
mod stored;
mod table;
mod telemetry;
mod watching;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;
use crate::table::Format;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An OpenTelemetry collector stage for GenAI traffic: one call, one count.
///
/// Without a command it serves: OTLP in on 127.0.0.1:4317 (gRPC) and :4318 (HTTP), metrics on :9464, an archive in
/// ./spanmill-data.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Cli {
    /// Configuration file (YAML); without one the defaults hold.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve from a temporary directory, send the bundled real payloads to it, and show what they come to.
    Demo {
        /// Exit after the table instead of serving on.
        #[arg(long)]
        once: bool,
    },
    /// Count what stands in files: protobuf requests (*.binpb) and OTLP JSON lines (*.json, *.jsonl).
    Replay {
        /// Files, or directories that hold them; - for standard input.
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// How to print the result.
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
    },
    /// Tell of every span what it was counted as and why, which attributes each fact was read from, and its price.
    Explain(commands::explain::Arguments),
    /// Tell what a call to a model costs: how its price is found, and the sum line by line.
    Prices(commands::prices::Arguments),
    /// Write dashboards or rules for a backend: to standard output, or into a directory.
    Dashboards(commands::dashboards::Arguments),
    /// List what fails, grouped by what it says: asks the running server.
    Errors(commands::errors::Arguments),
    /// List what is monitored and how it does, show one monitor, or do something to it: asks the running server.
    Monitors(commands::monitors::Arguments),
    /// List alerts and what came of them, or mute them: asks the running server.
    Alerts(commands::alerts::Arguments),
    /// Cut what is damaged off the log of a server that refuses to start, keeping a copy of it, and tell what is lost.
    Repair {
        /// Its data directory; without one, that of the configuration.
        #[arg(value_name = "DIRECTORY")]
        directory: Option<PathBuf>,
    },
    /// Say what is wrong with a configuration file, or print the configuration that it comes to, secrets masked.
    CheckConfig {
        /// The configuration file.
        #[arg(value_name = "FILE", conflicts_with = "config")]
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        None => commands::serve::run(cli.config.as_deref()),
        Some(Command::Demo { once }) => commands::demo::run(cli.config.as_deref(), once),
        Some(Command::Replay { paths, format }) => commands::replay::run(cli.config.as_deref(), &paths, format),
        Some(Command::Explain(arguments)) => commands::explain::run(&arguments, cli.config.as_deref()),
        Some(Command::Prices(arguments)) => commands::prices::run(&arguments, cli.config.as_deref()),
        Some(Command::Repair { directory }) => commands::repair::run(cli.config.as_deref(), directory),
        Some(Command::Dashboards(arguments)) => commands::dashboards::run(&arguments, cli.config.as_deref()),
        Some(Command::Errors(arguments)) => commands::errors::run(&arguments, cli.config.as_deref()),
        Some(Command::Monitors(arguments)) => commands::monitors::run(&arguments, cli.config.as_deref()),
        Some(Command::Alerts(arguments)) => commands::alerts::run(&arguments, cli.config.as_deref()),
        Some(Command::CheckConfig { file }) => commands::check_config::run(&file),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

fn report(failure: &Failure) -> ExitCode {
    // If it is closed, the exit code says what there is to say.
    let _ = writeln!(std::io::stderr(), "spanmill: {failure}");
    ExitCode::from(failure.exit_code())
}
