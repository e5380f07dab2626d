//! What changed at a monitor: control charts, canaries and drift.

use axum::extract::State;
use monitor::SECOND;
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use super::monitors::of_monitor;
use crate::console::Console;
use crate::events::NoParams;
use crate::params::{Name, Params, Path};
use crate::problem::Problem;
use crate::view::millis;

/// A control chart.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChartBody {
    name: String,
    #[schema(value_type = String)]
    field: &'static str,
    step_seconds: u64,
    /// Points that were learned from so far, and that are learned from in all.
    learned: usize,
    learning: usize,
    /// Mean and limits; null while they are learned.
    mean: Option<f64>,
    lower: Option<f64>,
    upper: Option<f64>,
    points: Vec<ChartPointBody>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ChartPointBody {
    at: u64,
    value: f64,
    /// Rules that it breaks: outside, trend, one_side.
    #[schema(value_type = Vec<String>)]
    broken: Vec<&'static str>,
}

impl ChartBody {
    fn of(chart: &monitor::Chart) -> Self {
        let (definition, limits) = (chart.definition(), chart.limits());
        Self {
            name: definition.name.clone(),
            field: definition.field.name(),
            step_seconds: definition.step / SECOND,
            learned: chart.learned(),
            learning: definition.learning,
            mean: limits.map(|limits| limits.mean),
            lower: limits.map(|limits| limits.lower()),
            upper: limits.map(|limits| limits.upper()),
            points: chart
                .points()
                .map(|point| ChartPointBody {
                    at: millis(point.at),
                    value: point.value,
                    broken: point.broken.iter().map(|rule| rule.name()).collect(),
                })
                .collect(),
        }
    }
}

/// The control charts of a monitor.
#[utoipa::path(get, path = "/api/v1/monitors/{name}/charts", tag = "monitors", params(Name), responses(
    (status = 200, body = [ChartBody]),
    (status = 404, description = "No such monitor", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn charts(
    State(console): State<Console>,
    Path(Name { name }): Path<Name>,
    _: Params<NoParams>,
) -> Answer<Vec<ChartBody>> {
    of_monitor(console, name, |monitoring, monitor| {
        let charts = monitoring.charts().iter().filter(|chart| chart.definition().monitor == monitor.name());
        charts.map(ChartBody::of).collect()
    })
    .await
}

/// A canary against its baseline.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CanaryBody {
    name: String,
    /// What tells versions apart: response_model or service_version.
    #[schema(value_type = String)]
    versions: &'static str,
    baseline: String,
    canary: String,
    window_seconds: u64,
    /// pass, marginal, fail or too_little_data.
    #[schema(value_type = String)]
    verdict: &'static str,
    baseline_requests: u64,
    canary_requests: u64,
    comparisons: Vec<ComparisonBody>,
}

/// A figure of both.
#[derive(Debug, Serialize, ToSchema)]
struct ComparisonBody {
    #[schema(value_type = String)]
    figure: &'static str,
    /// A rate, a median in seconds or tokens, or dollars.
    baseline: Option<f64>,
    canary: Option<f64>,
    /// Standard deviations between them if they were the same, and how probable as much is.
    z: Option<f64>,
    p: Option<f64>,
    /// How probable it is that a call of the canary has more than one of the baseline.
    superiority: Option<f64>,
    #[schema(value_type = String)]
    verdict: &'static str,
}

/// The canaries of a monitor, each against its baseline.
#[utoipa::path(get, path = "/api/v1/monitors/{name}/canaries", tag = "monitors", params(Name), responses(
    (status = 200, body = [CanaryBody]),
    (status = 404, description = "No such monitor", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn canaries(
    State(console): State<Console>,
    Path(Name { name }): Path<Name>,
    _: Params<NoParams>,
) -> Answer<Vec<CanaryBody>> {
    of_monitor(console, name, |monitoring, monitor| {
        let canaries = monitoring.canaries().iter().filter(|canary| canary.definition().monitor == monitor.name());
        canaries.map(|canary| canary_body(canary, monitoring.now())).collect()
    })
    .await
}

fn canary_body(canary: &monitor::Canary, now: u64) -> CanaryBody {
    let (definition, report) = (canary.definition(), canary.report(now));
    CanaryBody {
        name: definition.name.clone(),
        versions: definition.versions.name(),
        baseline: definition.baseline.clone(),
        canary: definition.canary.clone(),
        window_seconds: definition.window / SECOND,
        verdict: report.verdict.name(),
        baseline_requests: report.baseline_requests,
        canary_requests: report.canary_requests,
        comparisons: report
            .comparisons
            .iter()
            .map(|comparison| {
                let [baseline, canary] = in_unit(comparison);
                ComparisonBody {
                    figure: comparison.figure,
                    baseline,
                    canary,
                    z: comparison.test.map(|test| test.z),
                    p: comparison.test.map(|test| test.p),
                    superiority: comparison.superiority,
                    verdict: comparison.verdict.name(),
                }
            })
            .collect(),
    }
}

/// A figure of baseline and canary, times in seconds.
pub(crate) fn in_unit(comparison: &monitor::Comparison) -> [Option<f64>; 2] {
    let is_time = matches!(comparison.figure, "latency" | "time_to_first_token" | "time_per_output_token");
    let scale = if is_time { 1.0 / SECOND as f64 } else { 1.0 };
    [comparison.baseline, comparison.canary].map(|value| value.map(|value| value * scale))
}

/// How far tokens have drifted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DriftBody {
    at: u64,
    /// New calls, and those of the reference.
    requests: u64,
    reference_requests: u64,
    /// Population stability index: below 0.1 nothing happened, above 0.25 it is another population; null with too few calls.
    input_tokens: Option<f64>,
    output_tokens: Option<f64>,
}

/// How far the tokens of a monitor's calls have drifted; null if that is not watched.
#[utoipa::path(get, path = "/api/v1/monitors/{name}/drift", tag = "monitors", params(Name), responses(
    (status = 200, body = Option<DriftBody>),
    (status = 404, description = "No such monitor", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn drift(
    State(console): State<Console>,
    Path(Name { name }): Path<Name>,
    _: Params<NoParams>,
) -> Answer<Option<DriftBody>> {
    of_monitor(console, name, |monitoring, monitor| {
        let report = monitoring.drift(monitor.name())?;
        let [input_tokens, output_tokens] = report.index;
        let (requests, reference_requests) = (report.requests, report.reference_requests);
        Some(DriftBody { at: millis(report.at), requests, reference_requests, input_tokens, output_tokens })
    })
    .await
}
