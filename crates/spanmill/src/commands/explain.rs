//! `spanmill explain PATH...`: what every span was counted as and why, where its facts were read, and what it costs; and the
//! same of evaluations.

mod cost;
mod evaluation;
mod json;
mod line;
mod text;

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use aggregate::{Applied, Report};
use clap::{Args, ValueEnum};
use genai::Deriver;
use genai::price::Prices;

use self::evaluation::Evaluations;
use self::line::Line;
use super::counting::{Counting, Told};
use crate::config::{self, Config};
use crate::failure::Failure;

/// What is explained, and how.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Files (*.binpb, *.json, *.jsonl), or directories that hold them; - for standard input, protobuf or JSON lines.
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// How to print the lines.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print trace ids in full: 32 digits instead of the first 8. (JSON always does.)
    #[arg(long)]
    full: bool,
}

/// How spans are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line a span, then one for each evaluation, and one that sums up.
    Text,
    /// A JSON object for each of them, the one that sums up under "total".
    Json,
}

/// Counts what stands in the files as `replay` does, then tells of each span. Nothing is printed before all of it was read: what
/// comes of a span may be decided by the last one.
pub(crate) fn run(arguments: &Arguments, config: Option<&Path>) -> Result<(), Failure> {
    let config = Config::load(config, &config::process_environment)?.config;
    let counting = Counting::new(&config, Some(usize::MAX))?;
    let prices = counting.prices();
    let mut requests = Vec::new();
    let mut evaluations = Evaluations::default();
    let report = counting.count(&arguments.paths, |told| match told {
        Told::Spans(applied) => requests.push(applied),
        Told::Evaluations { body, evaluations: told } => evaluations.add(&body, &told),
    })?;
    let mut out = BufWriter::new(io::stdout().lock());
    match print(&mut out, arguments, &requests, &evaluations, &prices, &report)? {
        // Whoever reads has seen enough, as `head` has.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(Failure::io("printing the result")),
    }
}

fn print(
    out: &mut impl Write,
    arguments: &Arguments,
    requests: &[Applied],
    evaluations: &Evaluations,
    prices: &Prices,
    report: &Report,
) -> Result<io::Result<()>, Failure> {
    let deriver = Deriver::default();
    for request in requests {
        let explained =
            deriver.explain(&request.body).map_err(|_| Failure::Broken("spans cannot be read again".to_owned()))?;
        for ((facts, sources), outcome) in explained.iter().zip(&request.outcomes) {
            let line = Line::new(request, facts, outcome, sources, prices);
            let printed = match arguments.format {
                Format::Text => writeln!(out, "{}", text::span(&line, arguments.full)),
                Format::Json => json::span(out, &line),
            };
            if printed.is_err() {
                return Ok(printed);
            }
        }
    }
    for line in &evaluations.lines {
        let printed = match arguments.format {
            Format::Text => writeln!(out, "{}", text::evaluation(line, arguments.full)),
            Format::Json => json::evaluation(out, line),
        };
        if printed.is_err() {
            return Ok(printed);
        }
    }
    let spans = requests.iter().map(|request| request.facts.len()).sum();
    let printed = match arguments.format {
        Format::Text => writeln!(out, "{}", text::total(spans, evaluations.counted(), report)),
        Format::Json => json::total(out, spans, evaluations.counted(), report),
    };
    Ok(printed.and_then(|()| out.flush()))
}
