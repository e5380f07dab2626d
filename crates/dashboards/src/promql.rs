//! Questions in PromQL.

use crate::metric::{Metric, Semconv, VARIABLES};
use crate::panel::{Filter, Measure, Part, Query};

/// How far before a window a series is looked for to tell whether it began in the window: longer than an outage of a scraper
/// that is likely.
const LOOK_BACK: &str = "1h";

/// Where questions are asked, and over which time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    /// Whose names the metrics have.
    pub(crate) semconv: Semconv,
    /// A duration, or what a dashboard puts one in for.
    pub(crate) window: &'a str,
    /// Seconds of the window, likewise.
    pub(crate) window_seconds: &'a str,
    /// Whether the variables of the dashboard select among the series.
    pub(crate) has_variables: bool,
}

/// The expressions that a query comes to, each with what to call it if there are several. Empty if Prometheus has no answer.
pub(crate) fn expressions(query: Query, by: &[&str], context: Context<'_>) -> Vec<(Option<String>, String)> {
    match query {
        Query::Growth(measure) => vec![(None, sum(&growth(measure, context), by))],
        Query::Rate(measure) => {
            vec![(None, format!("{} / {}", sum(&growth(measure, context), by), context.window_seconds))]
        }
        Query::Share(part, whole) => vec![(None, share(part, whole, by, context))],
        Query::Percentiles(metric, filters, percentiles) => {
            let named = |percent: &u8| {
                let name = (percentiles.len() > 1).then(|| format!("p{percent}"));
                (name, percentile(metric, filters, *percent, by, context))
            };
            percentiles.iter().map(named).collect()
        }
        Query::Latest(metric) => vec![(None, latest(metric, by, context))],
        Query::Fill(part, whole) => {
            vec![(None, format!("{} / {}", latest(part, by, context), latest(whole, by, context)))]
        }
        Query::ErrorRecords => Vec::new(),
    }
}

/// A percentile of what was measured within the window.
pub(crate) fn percentile(
    metric: &Metric,
    filters: &[Filter],
    percent: u8,
    by: &[&str],
    context: Context<'_>,
) -> String {
    let buckets = grown(&selector(metric, "_bucket", filters, context), context.window);
    let by: Vec<&str> = ["le"].into_iter().chain(by.iter().copied()).collect();
    format!("histogram_quantile({}, {})", f64::from(percent) / 100.0, sum(&buckets, &by))
}

/// What grew in the window, as a part of what grew in all.
pub(crate) fn share(part: Measure, whole: Measure, by: &[&str], context: Context<'_>) -> String {
    format!("{} / {}", sum(&growth(part, context), by), sum(&growth(whole, context), by))
}

/// The value of a gauge.
fn latest(metric: &Metric, by: &[&str], context: Context<'_>) -> String {
    sum(&selector(metric, "", &[], context), by)
}

/// The growth of each series of a measure within the window.
pub(crate) fn growth(measure: Measure, context: Context<'_>) -> String {
    let suffix = match measure.part {
        Part::Value => "_total",
        Part::Count => "_count",
    };
    grown(&selector(measure.metric, suffix, measure.filters, context), context.window)
}

/// `increase` counts nothing up to the first sample of a series, so that a model that is called once would show 0. A series that
/// began within the window has grown by what it is. So has one that was not scraped for [`LOOK_BACK`]: after such an outage, and
/// at the very first scrape, a window shows all that was counted before.
fn grown(selector: &str, window: &str) -> String {
    format!(
        "(max_over_time({selector}[{window}]) unless present_over_time({selector}[{LOOK_BACK}] offset {window})) \
         or increase({selector}[{window}])"
    )
}

/// Adds up series.
pub(crate) fn sum(expression: &str, by: &[&str]) -> String {
    if by.is_empty() {
        return format!("sum({expression})");
    }
    let labels: Vec<String> = by.iter().map(|attribute| label(attribute)).collect();
    format!("sum by ({}) ({expression})", labels.join(", "))
}

/// The series of a metric.
pub(crate) fn selector(metric: &Metric, suffix: &str, filters: &[Filter], context: Context<'_>) -> String {
    let filters = filters.iter().map(|filter| match filter {
        Filter::Is(attribute, value) => format!("{}=\"{value}\"", label(attribute)),
        Filter::IsNot(attribute, value) => format!("{}!=\"{value}\"", label(attribute)),
        Filter::OneOf(attribute, values) => format!("{}=~\"{}\"", label(attribute), values.join("|")),
        Filter::Exists(attribute) => format!("{}!=\"\"", label(attribute)),
    });
    let variables = VARIABLES
        .iter()
        .filter(|variable| context.has_variables && variable.selects(metric.subject))
        .map(|variable| format!("{}=~\"${}\"", label(variable.attribute), variable.name));
    let matchers: Vec<String> = filters.chain(variables).collect();
    let matchers = if matchers.is_empty() { String::new() } else { format!("{{{}}}", matchers.join(",")) };
    format!("{}{suffix}{matchers}", metric.name(context.semconv).prometheus)
}

/// The label of an attribute.
pub(crate) fn label(attribute: &str) -> String {
    attribute.replace('.', "_")
}
