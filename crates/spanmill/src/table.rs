//! What was counted, as a table for people and as JSON for programs.

use std::collections::BTreeMap;

use aggregate::{Report, Totals};
use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table, for people.
    Table,
    /// JSON, for programs.
    Json,
}

/// The report as it is printed, with a line break at its end.
pub(crate) fn render(report: &Report, format: Format) -> Result<String, serde_json::Error> {
    match format {
        Format::Table => Ok(table(report)),
        Format::Json => Ok(serde_json::to_string(&JsonReport::from(report))? + "\n"),
    }
}

fn table(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header([
        "service",
        "model",
        "requests",
        "errors",
        "input",
        "cache read",
        "cache write",
        "output",
        "reasoning",
        "p95 s",
        "cost $",
    ]);
    for row in &report.by_service_and_model {
        let p95 = row.p95.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.3}"));
        table.add_row(cells(&row.service, &row.model, &row.totals, p95));
    }
    table.add_row(cells("all", "", &report.totals, String::new()));
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

fn cells(service: &str, model: &str, totals: &Totals, p95: String) -> [String; 11] {
    let count = |number: u64| number.to_string();
    [
        service.to_owned(),
        model.to_owned(),
        count(totals.requests),
        count(totals.errors),
        count(totals.input()),
        count(totals.tokens.cache_read),
        count(totals.tokens.cache_write),
        count(totals.output()),
        count(totals.tokens.reasoning),
        p95,
        cost(totals),
    ]
}

/// The sum of what is known; `+ N unknown` if so many calls have no known cost.
fn cost(totals: &Totals) -> String {
    match totals.without_cost {
        0 => totals.cost.to_string(),
        unknown => format!("{} + {unknown} unknown", totals.cost),
    }
}

#[derive(Debug, Serialize)]
struct JsonReport<'a> {
    requests: u64,
    errors: u64,
    tokens: JsonTokens,
    by_model: BTreeMap<&'a str, JsonModel>,
}

#[derive(Debug, Serialize)]
struct JsonTokens {
    input: u64,
    cache_read: u64,
    cache_write: u64,
    output: u64,
    reasoning: u64,
}

#[derive(Debug, Serialize)]
struct JsonModel {
    requests: u64,
    errors: u64,
    #[serde(flatten)]
    tokens: JsonTokens,
}

impl<'a> From<&'a Report> for JsonReport<'a> {
    fn from(report: &'a Report) -> Self {
        Self {
            requests: report.totals.requests,
            errors: report.totals.errors,
            tokens: JsonTokens::from(&report.totals),
            by_model: report.by_model.iter().map(|(model, totals)| (model.as_str(), JsonModel::from(totals))).collect(),
        }
    }
}

impl From<&Totals> for JsonTokens {
    fn from(totals: &Totals) -> Self {
        Self {
            input: totals.input(),
            cache_read: totals.tokens.cache_read,
            cache_write: totals.tokens.cache_write,
            output: totals.output(),
            reasoning: totals.tokens.reasoning,
        }
    }
}

impl From<&Totals> for JsonModel {
    fn from(totals: &Totals) -> Self {
        Self { requests: totals.requests, errors: totals.errors, tokens: JsonTokens::from(totals) }
    }
}
