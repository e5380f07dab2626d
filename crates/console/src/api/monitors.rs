//! Monitors: what they say, and what is done to them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use monitor::{
    Attribute, Command, Field, HealthRules, Monitor, MonitorDefinition, Monitoring, SECOND, Sample, Selector,
    Threshold, Window,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use super::alerts::AlertBody;
use super::figures::SnapshotBody;
use super::named::{Named, Preset, schema};
use crate::console::Console;
use crate::events::NoParams;
use crate::page::hex;
use crate::params::{Body, Name, Params, Path, check_field, check_name, object, objects, within, wrong};
use crate::problem::Problem;
use crate::view::millis;

/// Thresholds that a new monitor has at most.
const MOST_THRESHOLDS: usize = 20;
/// Longest mute, in minutes.
const LONGEST_MUTE: u64 = 31 * 24 * 60;

/// A monitor.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MonitorBody {
    name: String,
    /// active, paused or archived.
    #[schema(value_type = String)]
    state: &'static str,
    /// Whether the configuration defines it.
    configured: bool,
    /// healthy, warning, critical, no_data or too_little_traffic, when the newest snapshot was taken.
    #[schema(value_type = String)]
    health: &'static str,
    /// Until when nobody is told of its alerts; null if they are.
    muted_until: Option<u64>,
    #[schema(value_type = String)]
    window: &'static str,
    selector: SelectorBody,
    minimum_requests: u64,
    thresholds: Vec<ThresholdBody>,
    last_call: Option<u64>,
    snapshot: Option<SnapshotBody>,
}

/// A monitor, and some of its requests.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MonitorDetail {
    monitor: MonitorBody,
    alerts: Vec<AlertBody>,
    samples: Vec<SampleBody>,
}

/// Patterns, in which `*` stands for any text. Those that are not given accept everything.
#[derive(Debug, Default, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct SelectorBody {
    #[schema(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    service: Option<String>,
    #[schema(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    environment: Option<String>,
    #[schema(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    provider: Option<String>,
    #[schema(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    model: Option<String>,
    #[schema(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    response_model: Option<String>,
    #[schema(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    operation: Option<String>,
    #[schema(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    service_version: Option<String>,
    #[schema(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    server_address: Option<String>,
}

/// From where on a field is a warning, and critical.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ThresholdBody {
    #[schema(schema_with = schema::<Field>)]
    field: Named<Field>,
    warning: f64,
    critical: f64,
}

/// A request that was kept.
#[derive(Debug, Serialize, ToSchema)]
struct SampleBody {
    /// slowest, failed or ordinary.
    #[schema(value_type = String)]
    kind: &'static str,
    at: u64,
    trace_id: String,
    span_id: String,
    #[schema(value_type = Option<String>)]
    error: Option<&'static str>,
    duration_seconds: Option<f64>,
    time_to_first_token_seconds: Option<f64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cost: Option<f64>,
}

impl MonitorBody {
    fn of(monitor: &Monitor, now: u64) -> Self {
        let MonitorDefinition { name, selector, window, health, .. } = monitor.definition();
        Self {
            name: name.clone(),
            state: monitor.state().name(),
            configured: monitor.is_configured(),
            health: monitor.health().name(),
            muted_until: Some(millis(monitor.muted_until())).filter(|_| monitor.muted_until() > now),
            window: window.name(),
            selector: SelectorBody::from(selector.clone()),
            minimum_requests: health.minimum_requests,
            thresholds: health.thresholds.iter().map(ThresholdBody::of).collect(),
            last_call: monitor.last_call().map(millis),
            snapshot: monitor.snapshot().map(SnapshotBody::from),
        }
    }
}

impl From<Selector> for SelectorBody {
    fn from(selector: Selector) -> Self {
        let Selector {
            service,
            environment,
            provider,
            model,
            response_model,
            operation,
            service_version,
            server_address,
        } = selector;
        Self { service, environment, provider, model, response_model, operation, service_version, server_address }
    }
}

impl SelectorBody {
    fn selector(self) -> Result<Selector, Problem> {
        let Self { service, environment, provider, model, response_model, operation, service_version, server_address } =
            self;
        for (field, pattern) in [
            ("selector.service", &service),
            ("selector.environment", &environment),
            ("selector.provider", &provider),
            ("selector.model", &model),
            ("selector.response_model", &response_model),
            ("selector.operation", &operation),
            ("selector.service_version", &service_version),
            ("selector.server_address", &server_address),
        ] {
            pattern.as_ref().map_or(Ok(()), |pattern| check_field(field, pattern))?;
        }
        Ok(Selector {
            service,
            environment,
            provider,
            model,
            response_model,
            operation,
            service_version,
            server_address,
        })
    }
}

impl ThresholdBody {
    fn of(threshold: &Threshold) -> Self {
        let Threshold { field, warning, critical } = *threshold;
        Self { field: Named(field), warning, critical }
    }

    fn threshold(&self) -> Threshold {
        let Self { field: Named(field), warning, critical } = *self;
        Threshold { field, warning, critical }
    }
}

impl SampleBody {
    fn of(kind: monitor::SampleKind, sample: &Sample) -> Self {
        let seconds = |nanos: Option<u64>| nanos.map(|nanos| nanos as f64 / SECOND as f64);
        Self {
            kind: kind.name(),
            at: millis(sample.at),
            trace_id: hex(&sample.trace_id),
            span_id: hex(&sample.span_id),
            error: sample.error.map(genai::ErrorClass::name),
            duration_seconds: seconds(sample.duration),
            time_to_first_token_seconds: seconds(sample.time_to_first_token),
            input_tokens: sample.input_tokens,
            output_tokens: sample.output_tokens,
            cost: sample.cost.map(genai::Money::dollars),
        }
    }
}

/// All monitors, the archived ones included.
#[utoipa::path(get, path = "/api/v1/monitors", tag = "monitors", responses((status = 200, body = [MonitorBody])))]
pub(super) async fn monitors(State(console): State<Console>, _: Params<NoParams>) -> Answer<Vec<MonitorBody>> {
    let bodies = |monitoring: &Monitoring| {
        let monitors = monitoring.monitors().iter();
        monitors.map(|monitor| MonitorBody::of(monitor, monitoring.now())).collect()
    };
    console.blocking(move |console| console.monitoring(bodies)).await.map(Json)
}

/// A monitor, its alerts, and some of its requests.
#[utoipa::path(get, path = "/api/v1/monitors/{name}", tag = "monitors", params(Name), responses(
    (status = 200, body = MonitorDetail),
    (status = 404, description = "No such monitor", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn monitor(
    State(console): State<Console>,
    Path(Name { name }): Path<Name>,
    _: Params<NoParams>,
) -> Answer<MonitorDetail> {
    of_monitor(console, name, |monitoring, monitor| MonitorDetail {
        monitor: MonitorBody::of(monitor, monitoring.now()),
        alerts: alerts_of(monitoring, monitor.name()),
        samples: monitor.samples().iter().map(|(kind, sample)| SampleBody::of(*kind, sample)).collect(),
    })
    .await
}

fn alerts_of(monitoring: &Monitoring, name: &str) -> Vec<AlertBody> {
    monitoring.alerts().iter().filter(|alert| alert.rule().monitor == name).map(AlertBody::from).collect()
}

/// What is said of a monitor.
pub(super) async fn of_monitor<T: Send + 'static>(
    console: Console,
    name: String,
    ask: impl FnOnce(&Monitoring, &Monitor) -> T + Send + 'static,
) -> Answer<T> {
    console.blocking(move |console| ask_monitor(console, &name, ask)).await.map(Json)
}

/// What `ask` says of the monitor with a name.
pub(super) fn ask_monitor<T>(
    console: &Console,
    name: &str,
    ask: impl FnOnce(&Monitoring, &Monitor) -> T,
) -> Result<T, Problem> {
    console.monitoring(|monitoring| {
        let monitor = monitoring.monitor(name);
        let monitor = monitor.ok_or_else(|| Problem::not_found(format!("there is no monitor {name:?}")))?;
        Ok(ask(monitoring, monitor))
    })?
}

/// A monitor that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewMonitor {
    /// What it is called.
    #[schema(min_length = 1, max_length = 100, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$")]
    name: String,
    /// Which calls it watches; all of them if it is not said.
    #[serde(default, deserialize_with = "object")]
    selector: SelectorBody,
    /// How far back it looks: 5m (if it is not said), 15m, 1h, 6h or 1d.
    #[serde(default)]
    #[schema(schema_with = schema::<Window>)]
    window: Named<Window>,
    /// `service` for models that answer at once (if it is not said), `llm` for those that answer in seconds.
    #[serde(default)]
    #[schema(schema_with = schema::<Preset>)]
    preset: Named<Preset>,
    /// Its own thresholds, instead of those that the preset has for the same fields.
    #[serde(default, deserialize_with = "objects")]
    #[schema(max_items = 20)]
    thresholds: Option<Vec<ThresholdBody>>,
    /// With fewer calls in the window its health is not judged; 10 if it is not said.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    minimum_requests: Option<u64>,
}

impl NewMonitor {
    fn definition(self) -> Result<MonitorDefinition, Problem> {
        check_name("name", &self.name)?;
        let mut definition = MonitorDefinition::new(&self.name, self.selector.selector()?);
        definition.window = self.window.0;
        definition.health = match self.preset {
            Named(Preset::Service) => HealthRules::service(),
            Named(Preset::Llm) => HealthRules::llm(),
        };
        if let Some(thresholds) = &self.thresholds {
            if thresholds.len() > MOST_THRESHOLDS {
                return Err(wrong("thresholds", &format!("has more than {MOST_THRESHOLDS}")));
            }
            thresholds.iter().map(ThresholdBody::threshold).for_each(|own| definition.health.set(own));
        }
        if let Some(requests) = self.minimum_requests {
            definition.health.minimum_requests = within("minimum_requests", requests, 0..=1_000_000_000)?;
        }
        Ok(definition)
    }
}

/// The field of a selector that reads an attribute.
pub(crate) const fn pattern(attribute: Attribute) -> &'static str {
    match attribute {
        Attribute::Service => "selector.service",
        Attribute::Environment => "selector.environment",
        Attribute::ServiceVersion => "selector.service_version",
        Attribute::ServerAddress => "selector.server_address",
    }
}

/// Creates a monitor.
#[utoipa::path(post, path = "/api/v1/monitors", tag = "monitors", request_body = NewMonitor, responses(
    (status = 201, body = MonitorBody),
    (status = 400, description = "A parameter is wrong", content_type = "application/problem+json", body = Problem),
    (status = 409, description = "The name is taken, or there are too many", content_type = "application/problem+json", body = Problem),
    (status = 413, description = "The body is too long", content_type = "application/problem+json", body = Problem),
    (status = 415, description = "The body is not JSON", content_type = "application/problem+json", body = Problem),
    (status = 422, description = "The monitor is not one, or asks for what is not kept of calls", content_type = "application/problem+json", body = Problem),
    (status = 503, description = "It cannot be done now", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn create(
    State(console): State<Console>,
    _: Params<NoParams>,
    Body(new): Body<NewMonitor>,
) -> Result<(StatusCode, Json<MonitorBody>), Problem> {
    let definition = new.definition()?;
    check_kept(&console, &definition.selector).await?;
    let name = definition.name.clone();
    command(&console, Command::Create(Box::new(definition))).await?;
    let monitor = of_monitor(console, name, |monitoring, monitor| MonitorBody::of(monitor, monitoring.now())).await?;
    Ok((StatusCode::CREATED, monitor))
}

/// Defines a monitor anew that the configuration does not define. What was counted stays if its selector does; else its objectives
/// begin anew as well, and its alerts end. The address names it: the name in the body has to be one, and is not used.
#[utoipa::path(put, path = "/api/v1/monitors/{name}", tag = "monitors", params(Name), request_body = NewMonitor, responses(
    (status = 200, body = MonitorBody),
    (status = 400, description = "A parameter is wrong", content_type = "application/problem+json", body = Problem),
    (status = 404, description = "No such monitor", content_type = "application/problem+json", body = Problem),
    (status = 409, description = "The configuration defines it", content_type = "application/problem+json", body = Problem),
    (status = 413, description = "The body is too long", content_type = "application/problem+json", body = Problem),
    (status = 415, description = "The body is not JSON", content_type = "application/problem+json", body = Problem),
    (status = 422, description = "The monitor is not one, or asks for what is not kept of calls", content_type = "application/problem+json", body = Problem),
    (status = 503, description = "It cannot be done now", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn replace(
    State(console): State<Console>,
    Path(Name { name }): Path<Name>,
    _: Params<NoParams>,
    Body(new): Body<NewMonitor>,
) -> Answer<MonitorBody> {
    let mut definition = new.definition()?;
    check_kept(&console, &definition.selector).await?;
    definition.name.clone_from(&name);
    command(&console, Command::Replace(Box::new(definition))).await?;
    of_monitor(console, name, |monitoring, monitor| MonitorBody::of(monitor, monitoring.now())).await
}

/// Refuses to wait for what no call says.
async fn check_kept(console: &Console, selector: &Selector) -> Result<(), Problem> {
    let read: Vec<Attribute> = selector.attributes().collect();
    let find = move |monitoring: &Monitoring| monitoring.not_kept().iter().find(|it| read.contains(it)).copied();
    match console.blocking(|console| console.monitoring(find)).await? {
        None => Ok(()),
        Some(attribute) => {
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, attribute.wanted());
            Err(problem.of_field(pattern(attribute)))
        }
    }
}

pub(super) async fn command(console: &Console, command: Command) -> Result<(), Problem> {
    console.source.command(command).await?;
    console.answers.clear();
    Ok(())
}

/// Nothing more is said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// For how long.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Mute {
    /// Minutes from now on in which nobody is told of its alerts: at most 31 days; 0 ends it.
    #[schema(minimum = 0, maximum = 44640)]
    minutes: u32,
}

/// What is done to a monitor with an empty body.
macro_rules! deeds {
    ($($(#[doc = $about:literal])* $name:ident $path:literal $command:expr,)*) => {$(
        $(#[doc = $about])*
        #[utoipa::path(post, path = $path, tag = "monitors", params(Name), request_body = Nothing, responses(
            (status = 204, description = "It is done"),
            (status = 404, description = "No such monitor", content_type = "application/problem+json", body = Problem),
            (status = 409, description = "It cannot be done to it", content_type = "application/problem+json", body = Problem),
            (status = 413, description = "The body is too long", content_type = "application/problem+json", body = Problem),
            (status = 415, description = "The body is not JSON", content_type = "application/problem+json", body = Problem),
            (status = 422, description = "The body is not an empty object", content_type = "application/problem+json", body = Problem),
            (status = 503, description = "It cannot be done now", content_type = "application/problem+json", body = Problem),
        ))]
        pub(super) async fn $name(
            State(console): State<Console>,
            Path(Name { name }): Path<Name>,
            _: Params<NoParams>,
            _: Body<Nothing>,
        ) -> Result<StatusCode, Problem> {
            command(&console, $command(name)).await.map(|()| StatusCode::NO_CONTENT)
        }
    )*};
}

deeds! {
    /// Watches a monitor again that was paused or archived.
    activate "/api/v1/monitors/{name}/activate" Command::Activate,
    /// Lets a monitor stand still: no snapshots, no alerts.
    pause "/api/v1/monitors/{name}/pause" Command::Pause,
    /// Keeps a monitor for its history only, and ends its alerts.
    archive "/api/v1/monitors/{name}/archive" Command::Archive,
    /// Forgets a monitor that the configuration does not define, and all that is about it.
    remove "/api/v1/monitors/{name}/remove" Command::Remove,
}

/// Tells nobody of a monitor's alerts for a time.
#[utoipa::path(post, path = "/api/v1/monitors/{name}/mute", tag = "monitors", params(Name), request_body = Mute, responses(
    (status = 204, description = "It is done"),
    (status = 404, description = "No such monitor", content_type = "application/problem+json", body = Problem),
    (status = 413, description = "The body is too long", content_type = "application/problem+json", body = Problem),
    (status = 415, description = "The body is not JSON", content_type = "application/problem+json", body = Problem),
    (status = 422, description = "The time is none", content_type = "application/problem+json", body = Problem),
    (status = 503, description = "It cannot be done now", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn mute(
    State(console): State<Console>,
    Path(Name { name }): Path<Name>,
    _: Params<NoParams>,
    Body(Mute { minutes }): Body<Mute>,
) -> Result<StatusCode, Problem> {
    let minutes = within("minutes", minutes.into(), 0..=LONGEST_MUTE)?;
    let now = console.blocking(|console| console.monitoring(Monitoring::now)).await?;
    let until = if minutes == 0 { 0 } else { now + minutes * monitor::MINUTE };
    command(&console, Command::Mute(name, until)).await.map(|()| StatusCode::NO_CONTENT)
}
