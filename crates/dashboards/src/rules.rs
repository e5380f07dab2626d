//! Prometheus rules: what is asked often, recorded; and alerts.
//!
//! Errors alert by burn rate (Google's SRE workbook, "Alerting on SLOs"): how many times faster than allowed the error budget of 30
//! days is spent, over a long window, and over a short one so that an alert ends when its cause does.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::metric::{
    ARCHIVE_ERRORS, DURATION, ENVIRONMENT, EXPORTED, MODEL, Metric, PRICED_CALLS, RECEIVED, RECEIVER_MEMORY, SERVICE,
    SETTLED_EARLY, Semconv,
};
use crate::panel::{Filter, Measure};
use crate::panels::{ALL_COST, ALL_REQUESTS, ALL_TOKENS, FAILED_REQUESTS};
use crate::promql::{self, Context, label, selector, sum};

/// Failed calls that are allowed, as a share of all.
const BUDGET: f64 = 0.01;
/// Calls in the long window below which no burn rate alerts: of two calls one may fail.
const MINIMUM_REQUESTS: u32 = 10;
/// Whose budget it is.
const OWNER: &[&str] = &[SERVICE, ENVIRONMENT];

/// An alert on a burn rate.
struct Burn {
    name: &'static str,
    severity: &'static str,
    /// How many times faster than allowed.
    factor: f64,
    long: &'static str,
    short: &'static str,
}

const BURNS: &[Burn] = &[
    Burn { name: "GenAIErrorBudgetBurnsFast", severity: "page", factor: 14.4, long: "1h", short: "5m" },
    Burn { name: "GenAIErrorBudgetBurns", severity: "page", factor: 6.0, long: "6h", short: "30m" },
    Burn { name: "GenAIErrorBudgetBurnsSlowly", severity: "ticket", factor: 1.0, long: "3d", short: "6h" },
];

#[derive(Serialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Serialize)]
struct Group {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<&'static str>,
    rules: Vec<Rule>,
}

#[derive(Default, Serialize)]
struct Rule {
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<&'static str>,
    expr: String,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    hold: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'static str, &'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, String>,
}

/// The rules as a file for Prometheus.
pub(crate) fn yaml(semconv: Semconv) -> Result<String, serde_saphyr::SerializeError> {
    let group = |name, interval, rules| Group { name, interval, rules };
    let recorded = |windows: &[&str]| {
        windows.iter().copied().flat_map(|window| budget_records(over(semconv, window))).collect::<Vec<_>>()
    };
    let rules = Rules {
        groups: vec![
            group("spanmill-usage", Some("1m"), usage_records(over(semconv, "5m"))),
            group("spanmill-errors", Some("1m"), recorded(&["5m", "30m", "1h", "6h"])),
            // long windows cost more and change less
            group("spanmill-errors-slow", Some("5m"), recorded(&["3d"])),
            group("spanmill-burn-rates", None, BURNS.iter().map(burn_alert).collect()),
            group("spanmill-health", None, health_alerts(semconv)),
        ],
    };
    let head = "# Written by `spanmill dashboards prometheus-rules`. The objective is 99 % of calls without error in 30 days.\n";
    Ok(format!("{head}{}", serde_saphyr::to_string(&rules)?))
}

const fn over(semconv: Semconv, window: &str) -> Context<'_> {
    Context { semconv, window, window_seconds: "", has_variables: false }
}

fn record(name: impl Into<String>, expression: String) -> Rule {
    Rule { record: Some(name.into()), expr: expression, ..Rule::default() }
}

fn usage_records(over: Context<'_>) -> Vec<Rule> {
    const BY: &[&str] = &[SERVICE, ENVIRONMENT, MODEL];
    let grown = |measure| sum(&promql::growth(measure, over), BY);
    let p95 = promql::percentile(DURATION, &[], 95, OWNER, over);
    vec![
        record("service_model:spanmill_tokens:increase5m", grown(ALL_TOKENS)),
        record("service_model:spanmill_cost:increase5m", grown(ALL_COST)),
        record("service_model:spanmill_requests:increase5m", grown(ALL_REQUESTS)),
        record(format!("service:{}:p95_5m", DURATION.name(over.semconv).prometheus), p95),
    ]
}

fn requests_record(window: &str) -> String {
    format!("service:spanmill_requests:increase{window}")
}

fn ratio_record(window: &str) -> String {
    format!("service:spanmill_errors:ratio{window}")
}

fn budget_records(over: Context<'_>) -> [Rule; 2] {
    let requests = sum(&promql::growth(ALL_REQUESTS, over), OWNER);
    let ratio = promql::share(FAILED_REQUESTS, ALL_REQUESTS, OWNER, over);
    [record(requests_record(over.window), requests), record(ratio_record(over.window), ratio)]
}

fn burn_alert(burn: &Burn) -> Rule {
    let Burn { name, severity, factor, long, short } = burn;
    let burns = |window| format!("{} > {factor} * {BUDGET}", ratio_record(window));
    let has_traffic = format!("{} >= {MINIMUM_REQUESTS}", requests_record(long));
    let service = format!("{{{{ $labels.{} }}}}", label(SERVICE));
    Rule {
        alert: Some(name),
        expr: format!("{} and {} and {has_traffic}", burns(long), burns(short)),
        labels: BTreeMap::from([("severity", *severity)]),
        annotations: BTreeMap::from([
            ("summary", format!("model calls of {service} fail: {{{{ $value | humanizePercentage }}}} in {long}")),
            (
                "description",
                format!(
                    "Errors spend the budget of 30 days {factor} times faster than allowed, over {long} and over {short}. \
                     spanmill errors tells what fails."
                ),
            ),
        ]),
        ..Rule::default()
    }
}

/// An alert on Spanmill itself.
fn health(
    alert: &'static str,
    severity: &'static str,
    hold: Option<&'static str>,
    expression: String,
    summary: &str,
    description: &str,
) -> Rule {
    Rule {
        alert: Some(alert),
        expr: expression,
        hold,
        labels: BTreeMap::from([("severity", severity)]),
        annotations: BTreeMap::from([("summary", summary.to_owned()), ("description", description.to_owned())]),
        ..Rule::default()
    }
}

fn health_alerts(semconv: Semconv) -> Vec<Rule> {
    let over = |window| over(semconv, window);
    let grown = |metric: &'static Metric, filters, window, by: &[&str]| {
        sum(&promql::growth(Measure::of(metric, filters), over(window)), by)
    };
    const LOST: &[Filter] = &[Filter::OneOf("outcome", &["failed", "dropped"])];
    const REFUSED: &[Filter] = &[Filter::IsNot("outcome", "accepted")];
    const UNPRICED: &[Filter] = &[Filter::Is("coverage", "unpriced")];
    let refused = promql::share(Measure::of(RECEIVED, REFUSED), Measure::of(RECEIVED, &[]), &[], over("15m"));
    let unpriced = promql::share(Measure::of(PRICED_CALLS, UNPRICED), Measure::of(PRICED_CALLS, &[]), &[], over("1h"));
    vec![
        health(
            "SpanmillAbsent",
            "page",
            Some("5m"),
            format!("absent({})", selector(RECEIVER_MEMORY, "", &[], over(""))),
            "no Spanmill tells its metrics",
            "It does not run, or is not scraped: no call to a model is counted.",
        ),
        health(
            "SpanmillExportLoses",
            "page",
            None,
            format!("{} > 0", grown(EXPORTED, LOST, "15m", &["destination", "signal"])),
            "{{ $labels.destination }} does not get all {{ $labels.signal }}",
            "Items were refused for good by the destination, or dropped for want of room. The log says why.",
        ),
        health(
            "SpanmillArchiveFailed",
            "page",
            None,
            format!("{} > 0", selector(ARCHIVE_ERRORS, "_total", &[], over(""))),
            "the archive has stopped",
            "What comes now is counted. With a log on disk, the next start archives it: restart while there is room. The log says why.",
        ),
        health(
            "SpanmillRefusesRequests",
            "ticket",
            Some("5m"),
            format!("{refused} > 0.05"),
            "{{ $value | humanizePercentage }} of requests are refused",
            "spanmill_receiver_requests_total tells why, by outcome.",
        ),
        health(
            "SpanmillCountsEarly",
            "ticket",
            None,
            format!("{} > 0", grown(SETTLED_EARLY, &[], "15m", &[])),
            "calls are counted before all of their spans can have come",
            "Raise derive.settle_memory: duplicates may be counted.",
        ),
        health(
            "SpanmillModelsWithoutPrice",
            "ticket",
            Some("30m"),
            format!("{unpriced} > 0.1"),
            "{{ $value | humanizePercentage }} of calls have no price",
            "spanmill prices --unpriced lists the models; derive.prices.overrides adds prices.",
        ),
    ]
}
