//! Overview and series: what was counted, over time.

use axum::Json;
use axum::extract::State;
use monitor::{Answer as Counted, Dimension, Field, GroupBy, History, Measure, REST};
use serde::Serialize;
use utoipa::ToSchema;

use super::Answer;
use super::figures::{StepBody, Totals};
use super::named::schema;
use crate::console::Console;
use crate::events::NoParams;
use crate::params::Params;
use crate::problem::Problem;
use crate::view::{millis, step_asked, step_of, view_params};

/// Services and models that the overview lists, and series that an answer has unless it is asked otherwise.
const LISTED: usize = 20;
/// Series that can be asked for.
const MOST_SERIES: usize = 100;

view_params! {
    /// What the overview is of.
    OverviewParams {
        /// The length of steps in seconds; they are longer if so short ones are not kept for all of the time, or if that were more
        /// than 1,500.
        #[param(minimum = 10, maximum = 2_678_400)]
        step: Option<u32>,
    }
}

/// What was counted in a time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Overview {
    /// The newest time of the log.
    now: u64,
    /// The time in whole steps.
    from: u64,
    to: u64,
    step_seconds: u64,
    /// From when on all of it is known: later than `from` if the history does not reach back so far, as `/api/v1/health` tells.
    known_from: u64,
    totals: Totals,
    /// The services with the most requests; what is left is one named `_OTHER`.
    services: Vec<Named>,
    /// The models with the most requests; what is left is one named `_OTHER`.
    models: Vec<Named>,
    /// Steps in which anything was counted.
    steps: Vec<StepBody>,
    /// What can be filtered by.
    values: Values,
}

#[derive(Debug, Serialize, ToSchema)]
struct Named {
    name: String,
    totals: Totals,
}

/// Known values of each dimension.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Values {
    service: Vec<String>,
    environment: Vec<String>,
    provider: Vec<String>,
    model: Vec<String>,
    operation: Vec<String>,
}

impl Values {
    fn of(history: &History) -> Self {
        let values = |of| history.values(of).into_iter().filter(|value| *value != REST).map(str::to_owned).collect();
        Self {
            service: values(Dimension::Service),
            environment: values(Dimension::Environment),
            provider: values(Dimension::Provider),
            model: values(Dimension::Model),
            operation: values(Dimension::Operation),
        }
    }
}

/// What can be filtered by: the known values of each dimension.
#[utoipa::path(get, path = "/api/v1/values", tag = "traffic", responses((status = 200, body = Values)))]
pub(super) async fn values(State(console): State<Console>, _: Params<NoParams>) -> Answer<Values> {
    console.blocking(|console| console.monitoring(|monitoring| Values::of(monitoring.history()))).await.map(Json)
}

/// What was counted in a time: in all, by service, by model, and over time.
#[utoipa::path(get, path = "/api/v1/overview", tag = "traffic", params(OverviewParams), responses(
    (status = 200, body = Overview),
    (status = 400, description = "A parameter is wrong", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn overview(
    State(console): State<Console>,
    Params(params): Params<OverviewParams>,
) -> Answer<Overview> {
    let (view, step) = (params.view()?, step_asked(params.step)?);
    let answer = console.blocking(move |console| {
        let now = console.now()?;
        let range = view.range(now);
        let by = |dimension| GroupBy::top(dimension, Measure::Requests, LISTED);
        let ways = [by(Dimension::Service), by(Dimension::Model)];
        let _turn = console.answers.turn();
        let [services, models] = console.scan(range, step_of(range, step), &view.filter, ways)?;
        let all = services.together();
        let length = length(&all, now);
        let named = |answer: Counted| {
            let series = answer.series.into_iter();
            series.map(|mut one| Named { name: one.names.remove(0), totals: Totals::of(&one.total, length) }).collect()
        };
        Ok(Overview {
            now: millis(now),
            from: millis(all.range.from),
            to: millis(all.range.to),
            step_seconds: all.step / monitor::SECOND,
            known_from: millis(all.known_from),
            totals: Totals::of(&all.total(), length),
            services: named(services),
            models: named(models),
            steps: StepBody::of(&all),
            values: console.monitoring(|monitoring| Values::of(monitoring.history()))?,
        })
    });
    answer.await.map(Json)
}

/// How long the time is of which something can be known: it may not be over.
pub(crate) fn length(answer: &Counted, now: u64) -> u64 {
    answer.range.to.min(now.max(answer.range.from)).saturating_sub(answer.range.from)
}

view_params! {
    /// Which series.
    SeriesParams {
        /// What is told of each step: total_requests if it is not said.
        #[param(schema_with = schema::<Field>)]
        field: Option<super::named::Named<Field>>,
        /// One series for each value of this; without it one of everything.
        #[param(schema_with = schema::<Dimension>)]
        group_by: Option<super::named::Named<Dimension>>,
        /// How many series there may be beside one for the rest; 20 if it is not said.
        #[param(minimum = 1, maximum = 100)]
        limit: Option<u32>,
        /// The length of steps in seconds; they are longer if so short ones are not kept for all of the time, or if that were more
        /// than 1,500.
        #[param(minimum = 10, maximum = 2_678_400)]
        step: Option<u32>,
    }
}

/// A field over time.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SeriesBody {
    now: u64,
    from: u64,
    to: u64,
    step_seconds: u64,
    /// From when on all of it is known: see the overview.
    known_from: u64,
    #[schema(value_type = String)]
    field: &'static str,
    /// The unit, as UCUM writes it.
    #[schema(value_type = String)]
    unit: &'static str,
    series: Vec<OneSeries>,
}

#[derive(Debug, Serialize, ToSchema)]
struct OneSeries {
    /// The value that makes it; null for everything, `_OTHER` for the rest.
    name: Option<String>,
    /// Of all of the time.
    total: Option<f64>,
    /// When a step begins, and the field then; steps in which nothing was counted are left out.
    #[schema(value_type = Vec<(u64, Option<f64>)>)]
    points: Vec<(u64, Option<f64>)>,
}

/// A field over time, of everything or of each service, model and so on.
#[utoipa::path(get, path = "/api/v1/series", tag = "traffic", params(SeriesParams), responses(
    (status = 200, body = SeriesBody),
    (status = 400, description = "A parameter is wrong", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn series(State(console): State<Console>, Params(params): Params<SeriesParams>) -> Answer<SeriesBody> {
    let (view, step) = (params.view()?, step_asked(params.step)?);
    let field = params.field.map_or(Field::TotalRequests, |field| field.0);
    let limit = params.limit.map_or(LISTED, |limit| limit as usize);
    if !(1..=MOST_SERIES).contains(&limit) {
        return Err(Problem::bad_request(format!("limit is not 1 to {MOST_SERIES}")));
    }
    let by = |dimension: super::named::Named<Dimension>| GroupBy::top(dimension.0, Measure::Requests, limit);
    let group_by = params.group_by.map_or(GroupBy::EVERYTHING, by);
    let answer = console.blocking(move |console| {
        let now = console.now()?;
        let range = view.range(now);
        let _turn = console.answers.turn();
        let [answer] = console.scan(range, step_of(range, step), &view.filter, [group_by])?;
        let length = length(&answer, now);
        let one = |series: &monitor::Series| OneSeries {
            name: series.names.first().cloned(),
            total: field.of(&series.total, length),
            points: series.points.iter().map(|p| (millis(p.begin), field.of(&p.stats, answer.step))).collect(),
        };
        Ok(SeriesBody {
            now: millis(now),
            from: millis(answer.range.from),
            to: millis(answer.range.to),
            step_seconds: answer.step / monitor::SECOND,
            known_from: millis(answer.known_from),
            field: field.name(),
            unit: field.unit(),
            series: answer.series.iter().map(one).collect(),
        })
    });
    answer.await.map(Json)
}
