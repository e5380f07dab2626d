//! A monitor over time.

use axum::Json;
use axum::extract::State;
use monitor::{Histogram, Monitor, Monitoring, SECOND, Stats};
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use super::figures::{StepBody, Totals};
use super::monitors::ask_monitor;
use super::named::{Named, schema};
use super::traffic::length;
use crate::console::Console;
use crate::params::{Name, Params, Path};
use crate::problem::Problem;
use crate::view::{millis, step_asked, step_of, time_params};

time_params! {
    /// Which time, in which steps.
    OverTimeParams {
        /// The length of steps in seconds; they are longer if so short ones are not kept for all of the time, or if that were more
        /// than 1,500.
        #[param(minimum = 10, maximum = 2_678_400)]
        step: Option<u32>,
    }
}

/// What was counted of a monitor in a time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OverTime {
    /// The newest time of the log.
    now: u64,
    /// The time in whole steps.
    from: u64,
    to: u64,
    step_seconds: u64,
    /// From when on all of it is known: later than `from` if what monitors keep does not reach back so far.
    known_from: u64,
    totals: Totals,
    /// Steps in which anything was counted.
    steps: Vec<StepBody>,
}

/// What was counted of a monitor in a time: in all, and over time.
#[utoipa::path(get, path = "/api/v1/monitors/{name}/series", tag = "monitors", params(Name, OverTimeParams), responses(
    (status = 200, body = OverTime),
    (status = 400, description = "A parameter is wrong", content_type = "application/problem+json", body = Problem),
    (status = 404, description = "No such monitor", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn series(
    State(console): State<Console>,
    Path(Name { name }): Path<Name>,
    Params(params): Params<OverTimeParams>,
) -> Answer<OverTime> {
    let (span, step) = (params.span()?, step_asked(params.step)?);
    in_turn(console, name, move |monitoring, monitor| {
        let now = monitoring.now();
        let range = span.range(now);
        let answer = monitoring.over_time(monitor, range, step_of(range, step));
        OverTime {
            now: millis(now),
            from: millis(answer.range.from),
            to: millis(answer.range.to),
            step_seconds: answer.step / SECOND,
            known_from: millis(answer.known_from),
            totals: Totals::of(&answer.total(), length(&answer, now)),
            steps: StepBody::of(&answer),
        }
    })
    .await
}

/// What `ask` says of a monitor that reads many of its steps: one asks at a time, so that counting waits for one at most.
async fn in_turn<T: Send + 'static>(
    console: Console,
    name: String,
    ask: impl FnOnce(&Monitoring, &Monitor) -> T + Send + 'static,
) -> Answer<T> {
    let answer = console.blocking(move |console| {
        let _turn = console.answers.turn();
        ask_monitor(console, &name, ask)
    });
    answer.await.map(Json)
}

/// What calls have of different sizes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Quantity {
    #[default]
    Latency,
    TimeToFirstToken,
    TimePerOutputToken,
    InputTokens,
    OutputTokens,
}

impl Quantity {
    pub(super) const ALL: [Self; 5] =
        [Self::Latency, Self::TimeToFirstToken, Self::TimePerOutputToken, Self::InputTokens, Self::OutputTokens];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::TimeToFirstToken => "time_to_first_token",
            Self::TimePerOutputToken => "time_per_output_token",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
        }
    }

    /// Its unit, as UCUM writes it, and how much of it one of the history is.
    const fn unit(self) -> (&'static str, f64) {
        match self {
            Self::Latency | Self::TimeToFirstToken | Self::TimePerOutputToken => ("s", 1.0 / SECOND as f64),
            Self::InputTokens | Self::OutputTokens => ("{token}", 1.0),
        }
    }

    const fn of(self, stats: &Stats) -> &Histogram {
        match self {
            Self::Latency => &stats.duration,
            Self::TimeToFirstToken => &stats.time_to_first_token,
            Self::TimePerOutputToken => &stats.time_per_output_token,
            Self::InputTokens => &stats.input_tokens,
            Self::OutputTokens => &stats.output_tokens,
        }
    }
}

time_params! {
    /// Which distribution.
    DistributionParams {
        /// Of what: latency if it is not said.
        #[param(schema_with = schema::<Quantity>)]
        of: Option<Named<Quantity>>,
    }
}

/// How calls of a monitor are distributed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Distribution {
    /// The newest time of the log.
    now: u64,
    /// The time, in whole steps that are kept of it.
    from: u64,
    to: u64,
    /// From when on all of it is known.
    known_from: u64,
    #[schema(value_type = String)]
    of: &'static str,
    /// The unit, as UCUM writes it.
    #[schema(value_type = String)]
    unit: &'static str,
    /// Calls that told it.
    count: u64,
    /// Values, ascending, and how many calls were about there: within 3.03 %.
    values: Vec<About>,
}

/// Calls that were about somewhere.
#[derive(Debug, Serialize, ToSchema)]
struct About {
    value: f64,
    count: u64,
}

/// How latency, or something else, of the calls of a monitor was distributed in a time.
#[utoipa::path(get, path = "/api/v1/monitors/{name}/distribution", tag = "monitors", params(Name, DistributionParams), responses(
    (status = 200, body = Distribution),
    (status = 400, description = "A parameter is wrong", content_type = "application/problem+json", body = Problem),
    (status = 404, description = "No such monitor", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn distribution(
    State(console): State<Console>,
    Path(Name { name }): Path<Name>,
    Params(params): Params<DistributionParams>,
) -> Answer<Distribution> {
    let (span, Named(quantity)) = (params.span()?, params.of.unwrap_or_default());
    in_turn(console, name, move |monitoring, monitor| {
        let now = monitoring.now();
        let answer = monitoring.over_time(monitor, span.range(now), 1);
        let total = answer.total();
        let (histogram, (unit, scale)) = (quantity.of(&total), quantity.unit());
        Distribution {
            now: millis(now),
            from: millis(answer.range.from),
            to: millis(answer.range.to),
            known_from: millis(answer.known_from),
            of: quantity.name(),
            unit,
            count: histogram.count(),
            values: histogram
                .values()
                .into_iter()
                .map(|(value, count)| About { value: value * scale, count })
                .collect(),
        }
    })
    .await
}
