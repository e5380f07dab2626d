//! `spanmill errors`: what fails, as the running server has grouped it.

use std::path::Path;

use clap::Args;

use super::printing::{json, print, rows, shown, time};
use crate::admin::{ErrorsAnswer, Group, OneRecord};
use crate::admin_client::Server;
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
    #[command(flatten)]
    server: Server,
}

/// Asks the running server, and prints what it says.
pub(crate) fn run(arguments: &Arguments, config: Option<&Path>) -> Result<(), Failure> {
    let path = arguments.group.as_ref().map_or("/api/errors".to_owned(), |group| format!("/api/errors?group={group}"));
    let answer: ErrorsAnswer = arguments.server.client(config)?.get(&path)?;
    match arguments.format {
        Format::Json => print(&json(&answer)?),
        Format::Table => print(&table(&answer)),
    }
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
