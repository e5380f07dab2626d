//! Spans as JSON lines for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use aggregate::Report;
use genai::{Source, TokenClasses};
use serde::Serialize;

use super::evaluation::EvaluationLine;
use super::line::Line;

#[derive(Serialize)]
struct JsonSpan<'a> {
    trace_id: &'a str,
    span_id: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    dialect: &'a str,
    role: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    operation: &'a str,
    outcome: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    counted_span_id: Option<&'a str>,
    merged: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    provider: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    request_model: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    response_model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<JsonTokens>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inconsistent: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<JsonCost<'a>>,
    sources: BTreeMap<&'a str, &'a [String]>,
}

/// The five disjoint classes, and the part of one that has a price of its own.
#[derive(Serialize)]
struct JsonTokens {
    input_uncached: u64,
    cache_read: u64,
    cache_write: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_write_1h: Option<u32>,
    output_visible: u64,
    reasoning: u64,
}

#[derive(Serialize)]
struct JsonCost<'a> {
    /// Dollars as a text, so that no reader rounds them.
    amount: Option<&'a str>,
    coverage: &'a str,
    rule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
}

#[derive(Serialize)]
struct JsonEvaluation<'a> {
    trace_id: &'a str,
    span_id: &'a str,
    evaluation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    label: &'a str,
    told_by: &'a str,
    outcome: &'a str,
    sources: BTreeMap<&'a str, &'a [String]>,
}

#[derive(Serialize)]
struct JsonTotal {
    spans: usize,
    evaluations: usize,
    requests: u64,
    errors: u64,
    tokens: JsonTokens,
    cost: String,
    without_cost: u64,
}

/// The line of a span.
pub(super) fn span(out: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
    let span = JsonSpan {
        trace_id: &line.trace_id,
        span_id: &line.span_id,
        name: &line.name,
        dialect: line.dialect,
        role: line.role,
        operation: &line.operation,
        outcome: line.outcome,
        reason: line.reason,
        counted_span_id: line.counted_span_id.as_deref(),
        merged: line.merged,
        provider: &line.provider,
        request_model: &line.request_model,
        response_model: &line.response_model,
        model: line.model(),
        tokens: line.usage.map(|usage| JsonTokens { cache_write_1h: usage.cache_write_1h, ..usage.classes().into() }),
        inconsistent: line.inconsistent,
        error: line.error,
        cost: line.cost.as_ref().map(|cost| JsonCost {
            amount: cost.amount.as_deref(),
            coverage: cost.coverage,
            rule: &cost.rule,
            version: cost.version.as_deref(),
        }),
        sources: sources(line.sources),
    };
    write(out, &span)
}

/// The line of an evaluation.
pub(super) fn evaluation(out: &mut impl Write, line: &EvaluationLine) -> io::Result<()> {
    let evaluation = JsonEvaluation {
        trace_id: &line.trace_id,
        span_id: &line.span_id,
        evaluation: &line.name,
        score: line.score,
        label: &line.label,
        told_by: line.told_by,
        outcome: line.outcome,
        sources: sources(&line.sources),
    };
    write(out, &evaluation)
}

/// The last line: the totals that `replay` prints, and how many evaluations were counted.
pub(super) fn total(out: &mut impl Write, spans: usize, evaluations: usize, report: &Report) -> io::Result<()> {
    let totals = &report.totals;
    let total = JsonTotal {
        spans,
        evaluations,
        requests: totals.requests,
        errors: totals.errors,
        tokens: totals.tokens.into(),
        cost: totals.cost.to_string(),
        without_cost: totals.without_cost,
    };
    write(out, &BTreeMap::from([("total", total)]))
}

fn sources(sources: &[Source]) -> BTreeMap<&str, &[String]> {
    sources.iter().map(|source| (source.fact, source.keys.as_slice())).collect()
}

fn write(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

impl From<TokenClasses> for JsonTokens {
    fn from(classes: TokenClasses) -> Self {
        let TokenClasses { input_uncached, cache_read, cache_write, output_visible, reasoning } = classes;
        Self { input_uncached, cache_read, cache_write, cache_write_1h: None, output_visible, reasoning }
    }
}
