//! `spanmill errors`: what fails, as the running server has grouped it.

use std::io::Write;
use std::path::Path;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};

use crate::admin::{ErrorsAnswer, Group, OneRecord};
use crate::admin_client;
use crate::config::{self, Config};
use crate::failure::Failure;
use crate::table::Format;

/// What is listed, and how.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// List the failed calls of one group, the newest first.
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    /// How to print the result.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Asks the running server, and prints what it says.
pub(crate) fn run(arguments: &Arguments, config: Option<&Path>) -> Result<(), Failure> {
    let config = Config::load(config, &config::process_environment)?.config;
    let path = arguments.group.as_ref().map_or("/api/errors".to_owned(), |group| format!("/api/errors?group={group}"));
    let answer: ErrorsAnswer = admin_client::get(&config.admin, &path)?;
    let text = match arguments.format {
        Format::Json => serde_json::to_string(&answer).map_err(|error| Failure::Broken(error.to_string()))? + "\n",
        Format::Table => table(&answer),
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::io("printing the result"))
}

fn table(answer: &ErrorsAnswer) -> String {
    if answer.groups.is_empty() {
        return "no call has failed\n".to_owned();
    }
    let groups = rows(
        ["group", "class", "type", "count", "last seen", "message"],
        answer.groups.iter().map(|group| {
            let Group { group, class, kind, message, count, last_seen_unix_nano, .. } = group;
            [
                group.clone(),
                class.to_string(),
                shown(kind),
                count.to_string(),
                time(*last_seen_unix_nano),
                shown(message),
            ]
        }),
    );
    let Some(records) = &answer.records else { return groups };
    let records = rows(
        ["time", "trace id", "span id", "service", "model", "span", "message"],
        records.iter().map(|record| {
            let OneRecord { time_unix_nano, trace_id, span_id, service, request_model, span_name, message, .. } =
                record;
            let texts = [service, request_model, span_name, message].map(|text| shown(text));
            let [service, model, span, message] = texts;
            [time(*time_unix_nano), trace_id.clone(), span_id.clone(), service, model, span, message]
        }),
    );
    format!("{groups}\n{records}")
}

fn rows<const COLUMNS: usize>(header: [&str; COLUMNS], rows: impl Iterator<Item = [String; COLUMNS]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table.add_rows(rows);
    format!("{table}\n")
}

/// Longest text in a cell, in characters: the whole text stands in the JSON.
const LONGEST: usize = 120;

/// Text of a span on a terminal: one line, without what a terminal would obey.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// A time in UTC, to the second.
fn time(unix_nanos: u64) -> String {
    let second = i64::try_from(unix_nanos / 1_000_000_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(second).map_or_else(|_| unix_nanos.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    // What an application wrote into a message neither moves the cursor nor fills the screen.
    #[test]
    fn messages_are_harmless() {
        assert_eq!(shown("a\u{1b}[2J\nb"), "a [2J b");
        assert_eq!(shown(&"x".repeat(500)).chars().count(), LONGEST + 1);
    }

    // Times are told in UTC.
    #[test]
    fn times() {
        assert_eq!(time(1_700_000_000_123_456_789), "2023-11-14T22:13:20Z");
    }
}
