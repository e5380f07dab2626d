//! Alerts and objectives.

use axum::Json;
use axum::extract::State;
use monitor::{Alert, AlertRule, AlertThreshold, Condition, Incident, Monitoring, Objective, Phase, SECOND, Slo};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use super::definitions::{AlertDefinition, SloDefinitionBody};
use crate::console::Console;
use crate::events::NoParams;
use crate::params::{Name, Params, Path, check_text};
use crate::problem::Problem;
use crate::source::NotifierState;
use crate::view::millis;

/// Incidents that an answer lists at most, and unless it is asked otherwise.
const MOST: u32 = 1_000;
const LISTED: u32 = 100;

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AlertsParams {
    /// Only of this monitor.
    #[param(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    monitor: Option<String>,
    /// How many incidents are listed; 100 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Alerts, and what came of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AlertsBody {
    alerts: Vec<AlertBody>,
    /// Those that last, then those that are over, the newest first.
    incidents: Vec<IncidentBody>,
    /// Notifications that wait to be delivered, and that were given up because too many waited.
    waiting_notifications: usize,
    dropped_notifications: u64,
}

/// An alert.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AlertBody {
    name: String,
    monitor: String,
    /// Whether it, or the objective that it belongs to, stands in the configuration: then it cannot be changed here.
    configured: bool,
    /// How it is defined; null if it belongs to an objective.
    definition: Option<AlertDefinition>,
    /// info, warning or critical.
    #[schema(value_type = String)]
    severity: &'static str,
    /// When it holds, in words.
    condition: String,
    lasts_seconds: u64,
    /// inactive, pending or firing.
    #[schema(value_type = String)]
    phase: &'static str,
    since: Option<u64>,
    /// The newest value and what it is compared with; null if it cannot be told.
    value: Option<f64>,
    threshold: Option<f64>,
    recovered: u64,
    mean_seconds_to_recovery: Option<f64>,
}

/// A time of firing.
#[derive(Debug, Serialize, ToSchema)]
struct IncidentBody {
    id: String,
    alert: String,
    monitor: String,
    #[schema(value_type = String)]
    severity: &'static str,
    since: u64,
    fired: u64,
    resolved: Option<u64>,
    /// recovered, unknown or withdrawn; null while it lasts.
    #[schema(value_type = Option<String>)]
    resolution: Option<&'static str>,
    seconds_to_recovery: Option<f64>,
    value: f64,
    threshold: f64,
    notifications: u32,
}

impl From<&Alert> for AlertBody {
    fn from(alert: &Alert) -> Self {
        let rule = alert.rule();
        Self {
            name: rule.name.clone(),
            monitor: rule.monitor.clone(),
            configured: alert.is_configured(),
            definition: AlertDefinition::of(rule),
            severity: rule.severity.name(),
            condition: condition(rule),
            lasts_seconds: rule.lasts / SECOND,
            phase: phase(alert.phase()),
            since: alert.phase().since().map(millis),
            value: alert.reading().map(|(value, _)| value),
            threshold: alert.reading().map(|(_, threshold)| threshold),
            recovered: alert.recovered(),
            mean_seconds_to_recovery: alert.mean_time_to_recovery().map(|nanos| nanos / SECOND as f64),
        }
    }
}

impl From<&Incident> for IncidentBody {
    fn from(incident: &Incident) -> Self {
        Self {
            id: incident.id(),
            alert: incident.alert.clone(),
            monitor: incident.monitor.clone(),
            severity: incident.severity.name(),
            since: millis(incident.since),
            fired: millis(incident.fired),
            resolved: incident.resolved.map(|(at, _)| millis(at)),
            resolution: incident.resolved.map(|(_, why)| why.name()),
            seconds_to_recovery: incident.time_to_recovery().map(|nanos| nanos as f64 / SECOND as f64),
            value: incident.value,
            threshold: incident.threshold,
            notifications: incident.notifications,
        }
    }
}

/// The name of a phase.
pub(crate) fn phase(phase: &Phase) -> &'static str {
    match phase {
        Phase::Inactive => "inactive",
        Phase::Pending { .. } => "pending",
        Phase::Firing(_) => "firing",
    }
}

/// When an alert holds, in words.
pub(crate) fn condition(rule: &AlertRule) -> String {
    match &rule.condition {
        Condition::Field { field, side, threshold: AlertThreshold::Fixed(number) } => {
            format!("{} {} {number} {}", field.name(), side.name(), unit(field.unit()))
        }
        Condition::Field { field, side, threshold: AlertThreshold::Baseline { factor, length } } => {
            format!("{} {} {factor} times that of {} before", field.name(), side.name(), words(*length))
        }
        Condition::NoData => "no calls, though there were before".to_owned(),
        Condition::OutOfControl { chart, rules } => {
            let rules: Vec<&str> = rules.iter().map(|rule| rule.name()).collect();
            format!("chart {chart} breaks {}", rules.join(" or "))
        }
        Condition::Drift { tokens, above } => format!("drift of {} tokens above {above}", tokens.name()),
        Condition::Canary { canary, verdict } => format!("canary {canary}: {} or worse", verdict.name()),
        Condition::BurnRate { slo, alert } => {
            let [long, short] = [alert.window, alert.short_window()].map(words);
            format!("burn rate of {slo} above {}, over {long} and over {short}", alert.factor)
        }
    }
    .trim_end()
    .to_owned()
}

/// A UCUM unit as people write it.
fn unit(ucum: &'static str) -> &'static str {
    match ucum {
        "1" => "",
        "{USD}" => "USD",
        "{request}" => "requests",
        "{request}/s" => "requests/s",
        "{token}" => "tokens",
        "{token}/s" => "tokens/s",
        other => other,
    }
}

/// A length of time in its greatest whole unit.
pub(crate) fn words(nanos: u64) -> String {
    let seconds = nanos / SECOND;
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let unit = units.into_iter().find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    unit.map_or_else(|| format!("{seconds} s"), |(length, name)| format!("{} {name}", seconds / length))
}

/// All alerts, and incidents.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", params(AlertsParams), responses(
    (status = 200, body = AlertsBody),
    (status = 400, description = "A parameter is wrong", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn alerts(State(console): State<Console>, Params(params): Params<AlertsParams>) -> Answer<AlertsBody> {
    let limit = params.limit.unwrap_or(LISTED);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::bad_request(format!("limit is not 1 to {MOST}")));
    }
    params.monitor.as_deref().map_or(Ok(()), |name| check_text("monitor", name))?;
    let answer = console.blocking(move |console| {
        let is_wanted = |monitor: &str| params.monitor.as_deref().is_none_or(|wanted| wanted == monitor);
        console.monitoring(|monitoring| AlertsBody {
            alerts: monitoring.alerts().iter().filter(|a| is_wanted(&a.rule().monitor)).map(AlertBody::from).collect(),
            incidents: monitoring
                .incidents()
                .filter(|incident| is_wanted(&incident.monitor))
                .take(limit as usize)
                .map(IncidentBody::from)
                .collect(),
            waiting_notifications: monitoring.notifications().count(),
            dropped_notifications: monitoring.dropped_notifications(),
        })
    });
    answer.await.map(Json)
}

/// Who is told of alerts, and what became of that since the process started.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NotifierBody {
    name: String,
    /// Notifications that it delivered, that were refused for good, and that were given up because they became too old.
    delivered: u64,
    refused: u64,
    given_up: u64,
    /// Attempts that failed; some were, or will be, repeated.
    failed_attempts: u64,
    last_success: Option<u64>,
    last_error_at: Option<u64>,
    last_error: Option<String>,
}

impl From<NotifierState> for NotifierBody {
    fn from(state: NotifierState) -> Self {
        let NotifierState { name, delivered, refused, given_up, failed_attempts, last_success, last_error } = state;
        let (last_error_at, last_error) = last_error.unzip();
        Self { name, delivered, refused, given_up, failed_attempts, last_success, last_error_at, last_error }
    }
}

/// All notifiers.
#[utoipa::path(get, path = "/api/v1/notifiers", tag = "alerts", responses(
    (status = 200, body = [NotifierBody]),
    (status = 400, description = "A parameter is wrong", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn notifiers(State(console): State<Console>, _: Params<NoParams>) -> Answer<Vec<NotifierBody>> {
    let answer =
        console.blocking(|console| Ok(console.source.notifiers().into_iter().map(NotifierBody::from).collect()));
    answer.await.map(Json)
}

/// An objective, and how it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SloBody {
    name: String,
    monitor: String,
    /// Whether it stands in the configuration: then it cannot be changed here.
    configured: bool,
    definition: SloDefinitionBody,
    /// When a call is good, in words.
    objective: String,
    /// What share of calls is to be good.
    target: f64,
    period_days: u64,
    /// Calls that count, those of them that are not good, and how many may be so.
    total: u64,
    bad: u64,
    allowed: f64,
    /// The share of the budget that is left: below 0 the objective is missed; null without calls.
    left: Option<f64>,
    burn_rates: Vec<BurnBody>,
    /// How the budget was used up, in the order of time.
    burn_down: Vec<LeftBody>,
}

/// What was left of a budget.
#[derive(Debug, Serialize, ToSchema)]
struct LeftBody {
    at: u64,
    /// The share of it.
    left: f64,
}

/// How fast the budget is used up, over a long and a short window, and from where on that is an alert.
#[derive(Debug, Serialize, ToSchema)]
struct BurnBody {
    factor: f64,
    window_seconds: u64,
    short_window_seconds: u64,
    long: Option<f64>,
    short: Option<f64>,
}

/// When a call is good, in words.
pub(crate) fn objective(objective: Objective) -> String {
    match objective {
        Objective::Availability => "calls that do not fail".to_owned(),
        Objective::Latency(most) => format!("calls within {} s", most as f64 / SECOND as f64),
        Objective::TimeToFirstToken(most) => format!("first token within {} s", most as f64 / SECOND as f64),
    }
}

fn slo_body(slo: &Slo, now: u64) -> SloBody {
    let (definition, status) = (slo.definition(), slo.status(now));
    SloBody {
        name: definition.name.clone(),
        monitor: definition.monitor.clone(),
        configured: slo.is_configured(),
        definition: SloDefinitionBody::of(definition),
        objective: objective(definition.objective),
        target: definition.target,
        period_days: definition.period.length() / monitor::DAY,
        total: status.budget.total,
        bad: status.budget.bad,
        allowed: status.allowed,
        left: status.left,
        burn_rates: definition
            .burn_alerts
            .iter()
            .zip(&status.burn_rates)
            .map(|(alert, [long, short])| BurnBody {
                factor: alert.factor,
                window_seconds: alert.window / SECOND,
                short_window_seconds: alert.short_window() / SECOND,
                long: *long,
                short: *short,
            })
            .collect(),
        burn_down: slo.burn_down(now).into_iter().map(|(at, left)| LeftBody { at: millis(at), left }).collect(),
    }
}

/// All objectives.
#[utoipa::path(get, path = "/api/v1/slos", tag = "alerts", responses((status = 200, body = [SloBody])))]
pub(super) async fn slos(State(console): State<Console>, _: Params<NoParams>) -> Answer<Vec<SloBody>> {
    let answer = console.blocking(|console| {
        console.monitoring(|monitoring| {
            let slos = monitoring.slos().iter();
            slos.map(|slo| slo_body(slo, monitoring.now())).collect()
        })
    });
    answer.await.map(Json)
}

/// An alert.
#[utoipa::path(get, path = "/api/v1/alerts/{name}", tag = "alerts", params(Name), responses(
    (status = 200, body = AlertBody),
    (status = 400, description = "A parameter is wrong", content_type = "application/problem+json", body = Problem),
    (status = 404, description = "No such alert", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn alert(
    State(console): State<Console>,
    Path(Name { name }): Path<Name>,
    _: Params<NoParams>,
) -> Answer<AlertBody> {
    find_alert(console, name).await
}

/// An objective.
#[utoipa::path(get, path = "/api/v1/slos/{name}", tag = "alerts", params(Name), responses(
    (status = 200, body = SloBody),
    (status = 400, description = "A parameter is wrong", content_type = "application/problem+json", body = Problem),
    (status = 404, description = "No such objective", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn slo(
    State(console): State<Console>,
    Path(Name { name }): Path<Name>,
    _: Params<NoParams>,
) -> Answer<SloBody> {
    find_slo(console, name).await
}

/// The alert with a name.
pub(super) async fn find_alert(console: Console, name: String) -> Answer<AlertBody> {
    find(console, format!("there is no alert {name:?}"), move |monitoring| {
        monitoring.alerts().iter().find(|alert| alert.rule().name == name).map(AlertBody::from)
    })
    .await
}

/// The objective with a name.
pub(super) async fn find_slo(console: Console, name: String) -> Answer<SloBody> {
    find(console, format!("there is no objective {name:?}"), move |monitoring| {
        let found = monitoring.slos().iter().find(|slo| slo.definition().name == name);
        found.map(|slo| slo_body(slo, monitoring.now()))
    })
    .await
}

async fn find<T: Send + 'static>(
    console: Console,
    missing: String,
    ask: impl FnOnce(&Monitoring) -> Option<T> + Send + 'static,
) -> Answer<T> {
    let answer = console.blocking(|console| console.monitoring(ask)?.ok_or_else(|| Problem::not_found(missing)));
    answer.await.map(Json)
}
