//! Alerts and objectives as the API defines them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use monitor::{
    AlertRule, AlertThreshold, BurnAlert, ChartRule, Command, Condition, DAY, Field, HOUR, Objective, Period, SECOND,
    Severity, Side, SloDefinition, Tokens, Verdict,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder};

use super::alerts::{AlertBody, SloBody, find_alert, find_slo};
use super::monitors::command;
use super::named::{Named, schema};
use crate::console::Console;
use crate::events::NoParams;
use crate::params::{Body, Name, Params, Path, check_name, object, objects, within, wrong};
use crate::problem::Problem;

/// Longest time that an alert waits, or that lies between two times that somebody is told of it, in seconds.
const LONGEST: u64 = 30 * DAY / SECOND;
/// Rules of a chart that an alert names, and burn alerts that an objective has, at most.
const MOST_RULES: usize = 3;
const MOST_BURN_ALERTS: usize = 10;

/// An alert on a monitor.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertDefinition {
    /// By which it is known.
    #[schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    name: String,
    /// The monitor whose snapshots it reads.
    #[schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    monitor: String,
    #[serde(deserialize_with = "object")]
    when: When,
    /// For how long that must hold before it fires; at once if it is not said.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 2_592_000, default = 0)]
    for_seconds: u64,
    /// With fewer calls in the monitor's window it does not hold, but for `no_data`; 1 if it is not said.
    #[serde(default = "one")]
    #[schema(minimum = 0, maximum = 1_000_000_000, default = 1)]
    minimum_requests: u64,
    #[serde(default)]
    #[schema(schema_with = schema::<Severity>)]
    severity: Named<Severity>,
    /// After how long of firing somebody is told again; never if it is not said.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 2_592_000)]
    repeat_seconds: Option<u64>,
}

const fn one() -> u64 {
    1
}

/// When an alert holds.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum When {
    /// A field of the snapshot is beyond a number, in the unit of the field.
    Field {
        #[schema(schema_with = schema::<Field>)]
        field: Named<Field>,
        #[schema(schema_with = schema::<Side>)]
        side: Named<Side>,
        threshold: f64,
    },
    /// A field is so many times what it was over a time before, 1 minute to 29 days.
    Baseline {
        #[schema(schema_with = schema::<Field>)]
        field: Named<Field>,
        #[schema(schema_with = schema::<Side>)]
        side: Named<Side>,
        #[schema(exclusive_minimum = 0.0)]
        factor: f64,
        #[schema(minimum = 60, maximum = 2_505_600)]
        length_seconds: u64,
    },
    /// There are no calls, though there were before.
    NoData {},
    /// The newest point of a control chart of the monitor breaks one of these rules.
    Chart {
        #[schema(min_length = 1, max_length = 256)]
        chart: String,
        #[schema(schema_with = rules)]
        rules: Vec<Named<ChartRule>>,
    },
    /// The population stability index of the monitor's tokens is above a number: 0.25 is usual.
    Drift {
        #[schema(schema_with = schema::<Tokens>)]
        tokens: Named<Tokens>,
        above: f64,
    },
    /// The verdict on a canary of the monitor is this one, or worse.
    Canary {
        #[schema(min_length = 1, max_length = 256)]
        canary: String,
        #[schema(schema_with = schema::<Verdict>)]
        verdict: Named<Verdict>,
    },
}

fn rules() -> Array {
    ArrayBuilder::new().items(schema::<ChartRule>()).min_items(Some(1)).max_items(Some(MOST_RULES)).build()
}

impl AlertDefinition {
    /// How an alert would be written; `None` if it belongs to an objective.
    pub(super) fn of(rule: &AlertRule) -> Option<Self> {
        let when = match &rule.condition {
            Condition::Field { field, side, threshold: AlertThreshold::Fixed(threshold) } => {
                When::Field { field: Named(*field), side: Named(*side), threshold: *threshold }
            }
            Condition::Field { field, side, threshold: AlertThreshold::Baseline { factor, length } } => {
                let length_seconds = length / SECOND;
                When::Baseline { field: Named(*field), side: Named(*side), factor: *factor, length_seconds }
            }
            Condition::NoData => When::NoData {},
            Condition::OutOfControl { chart, rules } => {
                When::Chart { chart: chart.clone(), rules: rules.iter().copied().map(Named).collect() }
            }
            Condition::Drift { tokens, above } => When::Drift { tokens: Named(*tokens), above: *above },
            Condition::Canary { canary, verdict } => When::Canary { canary: canary.clone(), verdict: Named(*verdict) },
            Condition::BurnRate { .. } => return None,
        };
        Some(Self {
            name: rule.name.clone(),
            monitor: rule.monitor.clone(),
            when,
            for_seconds: rule.lasts / SECOND,
            minimum_requests: rule.minimum_requests,
            severity: Named(rule.severity),
            repeat_seconds: rule.repeat.map(|repeat| repeat / SECOND),
        })
    }

    fn rule(self) -> Result<AlertRule, Problem> {
        let Self { name, monitor, when, for_seconds, minimum_requests, severity, repeat_seconds } = self;
        check_name("name", &name)?;
        check_name("monitor", &monitor)?;
        let repeat = repeat_seconds.map(|seconds| within("repeat_seconds", seconds, 1..=LONGEST)).transpose()?;
        Ok(AlertRule {
            name,
            monitor,
            condition: when.condition()?,
            lasts: within("for_seconds", for_seconds, 0..=LONGEST)? * SECOND,
            minimum_requests: within("minimum_requests", minimum_requests, 0..=1_000_000_000)?,
            severity: severity.0,
            repeat: repeat.map(|seconds| seconds * SECOND),
        })
    }
}

impl When {
    fn condition(self) -> Result<Condition, Problem> {
        Ok(match self {
            Self::Field { field: Named(field), side: Named(side), threshold } => {
                Condition::Field { field, side, threshold: AlertThreshold::Fixed(threshold) }
            }
            Self::Baseline { field: Named(field), side: Named(side), factor, length_seconds } => {
                let length = within("when.length_seconds", length_seconds, 60..=29 * DAY / SECOND)? * SECOND;
                Condition::Field { field, side, threshold: AlertThreshold::Baseline { factor, length } }
            }
            Self::NoData {} => Condition::NoData,
            Self::Chart { chart, rules } => {
                if rules.len() > MOST_RULES {
                    return Err(wrong("when.rules", "has more than 3"));
                }
                Condition::OutOfControl { chart, rules: rules.into_iter().map(|Named(rule)| rule).collect() }
            }
            Self::Drift { tokens: Named(tokens), above } => Condition::Drift { tokens, above },
            Self::Canary { canary, verdict: Named(verdict) } => Condition::Canary { canary, verdict },
        })
    }
}

/// An objective of a monitor.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SloDefinitionBody {
    /// By which it is known.
    #[schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    name: String,
    /// The monitor whose calls count.
    #[schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    monitor: String,
    #[serde(deserialize_with = "object")]
    objective: Good,
    /// What share of calls is to be good.
    #[schema(exclusive_minimum = 0.0, exclusive_maximum = 1.0)]
    target: f64,
    /// Over how long: 30d if it is not said.
    #[serde(default)]
    #[schema(schema_with = schema::<Period>)]
    period: Named<Period>,
    /// When somebody is told that the budget is used up too fast; 14.4, 6 and 1 over 1 h, 6 h and 3 d if it is not said.
    #[serde(default, deserialize_with = "objects")]
    #[schema(max_items = 10)]
    burn_alerts: Option<Vec<Burn>>,
    /// With fewer calls in its long window a burn alert is not raised; 10 if it is not said.
    #[serde(default = "ten")]
    #[schema(minimum = 0, maximum = 1_000_000_000, default = 10)]
    minimum_requests: u64,
}

const fn ten() -> u64 {
    10
}

/// When a call is good.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Good {
    /// It did not fail.
    Availability {},
    /// It did not take longer.
    Latency {
        #[schema(minimum = 0.001, maximum = 86_400.0)]
        within_seconds: f64,
    },
    /// Its first token did not take longer.
    TimeToFirstToken {
        #[schema(minimum = 0.001, maximum = 86_400.0)]
        within_seconds: f64,
    },
}

/// An alert on how fast the budget is used up, over the window and over a twelfth of it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Burn {
    /// How many times faster than lasts.
    #[schema(exclusive_minimum = 0.0)]
    factor: f64,
    #[schema(minimum = 120, maximum = 2_592_000)]
    window_seconds: u64,
    #[serde(default)]
    #[schema(schema_with = schema::<Severity>)]
    severity: Named<Severity>,
}

impl SloDefinitionBody {
    pub(super) fn of(definition: &SloDefinition) -> Self {
        let seconds = |nanos: u64| nanos as f64 / SECOND as f64;
        Self {
            name: definition.name.clone(),
            monitor: definition.monitor.clone(),
            objective: match definition.objective {
                Objective::Availability => Good::Availability {},
                Objective::Latency(most) => Good::Latency { within_seconds: seconds(most) },
                Objective::TimeToFirstToken(most) => Good::TimeToFirstToken { within_seconds: seconds(most) },
            },
            target: definition.target,
            period: Named(definition.period),
            burn_alerts: Some(definition.burn_alerts.iter().map(Burn::of).collect()),
            minimum_requests: definition.minimum_requests,
        }
    }

    fn definition(self) -> Result<SloDefinition, Problem> {
        let Self { name, monitor, objective, target, period, burn_alerts, minimum_requests } = self;
        check_name("name", &name)?;
        check_name("monitor", &monitor)?;
        let usual = SloDefinition::new(&name, &monitor, objective.objective()?, target);
        let burn_alerts = match burn_alerts {
            None => usual.burn_alerts,
            Some(alerts) if alerts.len() > MOST_BURN_ALERTS => return Err(wrong("burn_alerts", "has more than 10")),
            Some(alerts) => alerts.into_iter().map(Burn::alert).collect::<Result<_, _>>()?,
        };
        let minimum_requests = within("minimum_requests", minimum_requests, 0..=1_000_000_000)?;
        Ok(SloDefinition { period: period.0, burn_alerts, minimum_requests, ..usual })
    }
}

impl Good {
    fn objective(self) -> Result<Objective, Problem> {
        let nanos = |seconds: f64| match (0.001..=24.0 * 3_600.0).contains(&seconds) {
            true => Ok((seconds * SECOND as f64).round() as u64),
            false => Err(wrong("objective.within_seconds", "is not 0.001 to 86400")),
        };
        Ok(match self {
            Self::Availability {} => Objective::Availability,
            Self::Latency { within_seconds } => Objective::Latency(nanos(within_seconds)?),
            Self::TimeToFirstToken { within_seconds } => Objective::TimeToFirstToken(nanos(within_seconds)?),
        })
    }
}

impl Burn {
    fn of(alert: &BurnAlert) -> Self {
        let BurnAlert { factor, window, severity } = *alert;
        Self { factor, window_seconds: window / SECOND, severity: Named(severity) }
    }

    fn alert(self) -> Result<BurnAlert, Problem> {
        let Self { factor, window_seconds, severity: Named(severity) } = self;
        let window = within("burn_alerts.window_seconds", window_seconds, 120..=720 * HOUR / SECOND)? * SECOND;
        Ok(BurnAlert { factor, window, severity })
    }
}

/// Requests that define something, and what they have in common: one for alerts, one for objectives.
macro_rules! definitions {
    ($($path:literal $of_one:literal $body:ident $answer:ident $meaning:ident $find:ident
        $create:ident $about_create:literal $define:ident
        $replace:ident $about_replace:literal $redefine:ident
        $remove:ident $about_remove:literal $forget:ident;)*) => {$(
        #[doc = $about_create]
        #[utoipa::path(post, path = $path, tag = "alerts", request_body = $body, responses(
            (status = 201, body = $answer),
            (status = 409, description = "The name is taken, there are too many, or it is about something that there is not", content_type = "application/problem+json", body = Problem),
            (status = 413, description = "The body is too long", content_type = "application/problem+json", body = Problem),
            (status = 415, description = "The body is not JSON", content_type = "application/problem+json", body = Problem),
            (status = 400, description = "A parameter is wrong", content_type = "application/problem+json", body = Problem),
            (status = 422, description = "A field is wrong, and which", content_type = "application/problem+json", body = Problem),
            (status = 503, description = "It cannot be done now", content_type = "application/problem+json", body = Problem),
        ))]
        pub(super) async fn $create(
            State(console): State<Console>,
            _: Params<NoParams>,
            Body(new): Body<$body>,
        ) -> Result<(StatusCode, Json<$answer>), Problem> {
            let name = new.name.clone();
            command(&console, Command::$define(Box::new(new.$meaning()?))).await?;
            $find(console, name).await.map(|answer| (StatusCode::CREATED, answer))
        }

        #[doc = $about_replace]
        #[utoipa::path(put, path = $of_one, tag = "alerts", params(Name), request_body = $body, responses(
            (status = 200, body = $answer),
            (status = 404, description = "There is none", content_type = "application/problem+json", body = Problem),
            (status = 409, description = "The configuration defines it, or it is about something that there is not", content_type = "application/problem+json", body = Problem),
            (status = 413, description = "The body is too long", content_type = "application/problem+json", body = Problem),
            (status = 415, description = "The body is not JSON", content_type = "application/problem+json", body = Problem),
            (status = 400, description = "A parameter is wrong", content_type = "application/problem+json", body = Problem),
            (status = 422, description = "A field is wrong, and which", content_type = "application/problem+json", body = Problem),
            (status = 503, description = "It cannot be done now", content_type = "application/problem+json", body = Problem),
        ))]
        pub(super) async fn $replace(
            State(console): State<Console>,
            Path(Name { name }): Path<Name>,
            _: Params<NoParams>,
            Body(new): Body<$body>,
        ) -> Result<Json<$answer>, Problem> {
            // The name of the address goes first. It need not be a good one: what there is has one, or it is not found.
            let mut new = new.$meaning()?;
            new.name.clone_from(&name);
            command(&console, Command::$redefine(Box::new(new))).await?;
            $find(console, name).await
        }

        #[doc = $about_remove]
        #[utoipa::path(delete, path = $of_one, tag = "alerts", params(Name), responses(
            (status = 204, description = "It is done"),
            (status = 400, description = "A parameter is wrong", content_type = "application/problem+json", body = Problem),
            (status = 404, description = "There is none", content_type = "application/problem+json", body = Problem),
            (status = 409, description = "The configuration defines it", content_type = "application/problem+json", body = Problem),
            (status = 503, description = "It cannot be done now", content_type = "application/problem+json", body = Problem),
        ))]
        pub(super) async fn $remove(
            State(console): State<Console>,
            Path(Name { name }): Path<Name>,
            _: Params<NoParams>,
        ) -> Result<StatusCode, Problem> {
            command(&console, Command::$forget(name)).await.map(|()| StatusCode::NO_CONTENT)
        }
    )*};
}

definitions! {
    "/api/v1/alerts" "/api/v1/alerts/{name}" AlertDefinition AlertBody rule find_alert
        create_alert "Defines an alert." CreateAlert
        replace_alert "Defines an alert anew that the configuration does not define. Its state stays if monitor and condition do. The address names it: the name in the body has to be one, and is not used." ReplaceAlert
        remove_alert "Forgets an alert that the configuration does not define." RemoveAlert;
    "/api/v1/slos" "/api/v1/slos/{name}" SloDefinitionBody SloBody definition find_slo
        create_slo "Defines an objective, with its burn alerts." CreateSlo
        replace_slo "Defines an objective anew that the configuration does not define. What was counted stays if the same calls count. The address names it: the name in the body has to be one, and is not used." ReplaceSlo
        remove_slo "Forgets an objective that the configuration does not define, and its burn alerts." RemoveSlo;
}
