//! How commands that ask the running server print what it says.

use std::io::Write;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::failure::Failure;

/// Writes to standard output.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(text.as_bytes()).map_err(Failure::io("printing the result"))
}

/// Says something beside the result, to standard error. If that is closed, nobody wants to know.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// One line of JSON.
pub(super) fn json(answer: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string(answer).map_err(|error| Failure::Broken(error.to_string()))?;
    Ok(text + "\n")
}

/// A table with a header.
pub(super) fn rows<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header);
    table.add_rows(rows);
    format!("{table}\n")
}

/// Longest text in a cell, in characters: the whole text stands in the JSON.
const LONGEST: usize = 120;

/// Text that somebody else wrote, on a terminal: one line, without what a terminal would obey.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// A time in UTC, to the second.
pub(super) fn time(unix_nanos: u64) -> String {
    let second = i64::try_from(unix_nanos / 1_000_000_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(second).map_or_else(|_| unix_nanos.to_string(), |time| time.to_string())
}

/// The same of milliseconds, as the API tells times.
pub(super) fn time_of_millis(unix_millis: u64) -> String {
    time(unix_millis.saturating_mul(1_000_000))
}

/// A number with four digits that say something; a dash if it is not known.
pub(super) fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    let digits = if value == 0.0 { 0 } else { (3 - value.abs().log10().floor() as i32).clamp(0, 9) as usize };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
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

    // Numbers are short, and what is not known is no zero.
    #[test]
    fn numbers() {
        let told = [None, Some(0.0), Some(0.05), Some(12.345_67), Some(1_234_567.8), Some(0.000_012_3)];
        assert_eq!(told.map(number), ["-", "0", "0.05", "12.35", "1234568", "0.0000123"]);
    }
}
