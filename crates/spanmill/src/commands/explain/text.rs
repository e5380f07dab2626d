//! Spans as lines for people: what became of it, what was counted, what it costs, where it was read.

use std::borrow::Cow;
use std::fmt::Write;

use aggregate::Report;
use genai::{Source, Usage};

use super::cost::Cost;
use super::evaluation::EvaluationLine;
use super::line::Line;

/// Longer texts are cut, in characters: these are names.
const LONGEST: usize = 128;
/// Digits of a trace id that are enough to tell traces apart by eye.
const SHORT_ID: usize = 8;

/// The line of a span.
pub(super) fn span(line: &Line<'_>, full_ids: bool) -> String {
    let trace = if full_ids { &line.trace_id } else { line.trace_id.get(..SHORT_ID).unwrap_or_default() };
    let mut text = format!("{trace}/{} {}", line.span_id, quoted(&line.name));
    if !line.dialect.is_empty() {
        push(&mut text, format_args!(" {}", line.dialect));
    }
    push(&mut text, format_args!(" {} {}({})", line.role, line.outcome, line.reason));
    if let Some(counted) = &line.counted_span_id {
        push(&mut text, format_args!(" under {counted}"));
    }
    if line.merged {
        text.push_str(" merged");
    }
    if let Some(model) = line.model() {
        push(&mut text, format_args!(" model={}", quoted(model)));
    }
    if let Some(usage) = &line.usage {
        text.push_str(&tokens(usage));
    }
    if let Some(reason) = line.inconsistent {
        push(&mut text, format_args!(" inconsistent={reason}"));
    }
    if let Some(error) = line.error {
        push(&mut text, format_args!(" error={error}"));
    }
    if let Some(cost) = &line.cost {
        text.push_str(&price(cost));
    }
    for source in line.sources {
        text.push_str(&read_from(source));
    }
    text
}

/// The line of an evaluation.
pub(super) fn evaluation(line: &EvaluationLine, full_ids: bool) -> String {
    let trace = if full_ids { &line.trace_id } else { line.trace_id.get(..SHORT_ID).unwrap_or_default() };
    let mut text = format!("{trace}/{} evaluation {}({})", line.span_id, line.outcome, line.told_by);
    push(&mut text, format_args!(" name={}", quoted(&line.name)));
    if let Some(score) = line.score {
        push(&mut text, format_args!(" score={score}"));
    }
    if !line.label.is_empty() {
        push(&mut text, format_args!(" label={}", quoted(&line.label)));
    }
    for source in &line.sources {
        text.push_str(&read_from(source));
    }
    text
}

/// The last line: the totals that `replay` prints, and how many evaluations were counted.
pub(super) fn total(spans: usize, evaluations: usize, report: &Report) -> String {
    let totals = &report.totals;
    let mut text = format!(
        "total spans={spans} calls={} errors={} input={} cache_read={} cache_write={} output={} reasoning={} cost=${}",
        totals.requests,
        totals.errors,
        totals.input(),
        totals.tokens.cache_read,
        totals.tokens.cache_write,
        totals.output(),
        totals.tokens.reasoning,
        totals.cost,
    );
    if evaluations > 0 {
        push(&mut text, format_args!(" evaluations={evaluations}"));
    }
    if totals.without_cost > 0 {
        push(&mut text, format_args!(" calls_without_cost={}", totals.without_cost));
    }
    text
}

/// Input and output, and the disjoint classes that they consist of where there is more than one. What is written to a cache for an
/// hour has a price of its own.
fn tokens(usage: &Usage) -> String {
    let classes = usage.classes();
    let parts_of = |whole: Option<u32>, parts: &[(&str, u64)]| {
        let Some(whole) = whole else { return "-".to_owned() };
        let told: Vec<String> =
            parts.iter().filter(|(_, count)| *count > 0).map(|(class, count)| format!("{class}={count}")).collect();
        let is_one_plain = told.len() <= 1 && parts.first().is_some_and(|(_, rest)| *rest == u64::from(whole));
        if is_one_plain { whole.to_string() } else { format!("{whole}({})", told.join(" ")) }
    };
    let input = [
        ("input_uncached", classes.input_uncached),
        ("cache_read", classes.cache_read),
        ("cache_write", classes.cache_write),
    ];
    let output = [("output_visible", classes.output_visible), ("reasoning", classes.reasoning)];
    let kept = usage.cache_write_1h.filter(|count| *count > 0);
    let kept = kept.map_or_else(String::new, |count| format!(" cache_write_1h={count}"));
    format!(" input={} output={}{kept}", parts_of(usage.input, &input), parts_of(usage.output, &output))
}

fn price(cost: &Cost) -> String {
    let amount = cost.amount.as_deref().map_or(Cow::Borrowed("none"), |amount| format!("${amount}").into());
    let version = cost.version.as_deref().map_or_else(String::new, |version| format!("; {version}"));
    format!(" cost={amount} ({}: {}{version})", cost.coverage, printable(&cost.rule))
}

fn read_from(source: &Source) -> String {
    let keys: Vec<Cow<'_, str>> = source.keys.iter().map(|key| quoted(key)).collect();
    format!(" {}<-{}", source.fact, keys.join("+"))
}

/// A name; in quotes if it is empty or is not one word. What would move the cursor of a terminal is escaped.
fn quoted(text: &str) -> Cow<'_, str> {
    let is_word = |c: char| !(c.is_whitespace() || c.is_control() || c == '"');
    if !text.is_empty() && text.chars().all(is_word) && text.chars().nth(LONGEST).is_none() {
        return Cow::Borrowed(text);
    }
    let mut cut: String = text.chars().take(LONGEST).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    Cow::Owned(format!("{cut:?}"))
}

/// A sentence with what would move the cursor of a terminal escaped: models stand in it.
fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) { text.escape_debug().to_string().into() } else { text.into() }
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(more);
}

#[cfg(test)]
mod tests {
    use super::*;

    // Names are one word, or in quotes; nothing reaches the terminal as a control character, and nothing is endless.
    #[test]
    fn names_are_safe_to_print() {
        assert_eq!(quoted("gpt-4o"), "gpt-4o");
        assert_eq!(quoted(""), "\"\"");
        assert_eq!(quoted("chat gpt-4o"), "\"chat gpt-4o\"");
        assert_eq!(quoted("a\u{1b}[2J\n"), "\"a\\u{1b}[2J\\n\"");
        assert_eq!(quoted(&"x".repeat(1000)).chars().count(), LONGEST + 3);
        assert_eq!(printable("model \u{1b}[2J"), "model \\u{1b}[2J");
    }

    // Classes are told where there is more than one, and what was not told is not zero.
    #[test]
    fn classes_are_told() {
        let plain = Usage { input: Some(5), output: Some(0), ..Usage::default() };
        assert_eq!(tokens(&plain), " input=5 output=0");
        let parts = Usage { input: Some(114), cache_read: Some(64), ..Usage::default() };
        assert_eq!(tokens(&parts), " input=114(input_uncached=50 cache_read=64) output=-");
        let reasoned = Usage { output: Some(4), reasoning: Some(4), ..Usage::default() };
        assert_eq!(tokens(&reasoned), " input=- output=4(reasoning=4)");
        let written = Usage { input: Some(9), cache_write: Some(9), cache_write_1h: Some(5), ..Usage::default() };
        assert_eq!(tokens(&written), " input=9(cache_write=9) output=- cache_write_1h=5");
    }
}
