//! Failed calls: what they have in common, and each.

use aggregate::{ErrorGroup, ErrorIndex, ErrorRecord};
use axum::Json;
use axum::extract::State;
use genai::ErrorClass;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use super::named::{Named, schema};
use crate::console::Console;
use crate::page::hex;
use crate::params::{Params, check_text};
use crate::problem::Problem;
use crate::view::millis;

/// Groups and records that an answer lists at most, and unless it is asked otherwise.
const MOST: u32 = 1_000;
const LISTED: u32 = 100;

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ErrorsParams {
    /// Only of this group: its 16 hexadecimal digits.
    #[param(min_length = 1, max_length = 16, pattern = "^[0-9a-fA-F]{1,16}$")]
    group: Option<String>,
    /// Only of this class, e.g. `rate_limited`.
    #[param(schema_with = schema::<ErrorClass>)]
    class: Option<Named<ErrorClass>>,
    /// Only of this `service.name`.
    #[param(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    service: Option<String>,
    /// Only of this `deployment.environment.name`.
    #[param(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    environment: Option<String>,
    /// Only of this provider.
    #[param(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    provider: Option<String>,
    /// Only of this model: the one that answered, or without it the one that was asked.
    #[param(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    model: Option<String>,
    /// How many groups and records are listed; 100 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Which failures.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) group: Option<u64>,
    pub(crate) class: Option<ErrorClass>,
    pub(crate) service: Option<String>,
    pub(crate) environment: Option<String>,
    pub(crate) provider: Option<String>,
    pub(crate) model: Option<String>,
}

impl Wanted {
    /// From what was asked; `class` and `group` as texts.
    pub(crate) fn new(
        group: Option<&str>,
        class: Option<&str>,
        [service, environment, provider, model]: [Option<&str>; 4],
    ) -> Result<Self, Problem> {
        let fingerprint = |group: &str| {
            let is_hex = (1..=16).contains(&group.len()) && group.bytes().all(|digit| digit.is_ascii_hexdigit());
            let number = u64::from_str_radix(group, 16).ok().filter(|_| is_hex);
            number.ok_or_else(|| Problem::bad_request("group is not 1 to 16 hexadecimal digits"))
        };
        let named = |name: &str| {
            let class = ErrorClass::ALL.into_iter().find(|class| class.name() == name);
            let names = || ErrorClass::ALL.map(ErrorClass::name).join(", ");
            class.ok_or_else(|| Problem::bad_request(format!("class is none of {}", names())))
        };
        for (name, value) in
            [("service", service), ("environment", environment), ("provider", provider), ("model", model)]
        {
            value.map_or(Ok(()), |value| check_text(name, value))?;
        }
        let [service, environment, provider, model] =
            [service, environment, provider, model].map(|value| value.map(str::to_owned));
        Ok(Self {
            group: group.map(fingerprint).transpose()?,
            class: class.map(named).transpose()?,
            service,
            environment,
            provider,
            model,
        })
    }

    fn wants(&self, record: &ErrorRecord) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        self.group.is_none_or(|group| group == record.fingerprint)
            && self.class.is_none_or(|class| class == record.class)
            && is(&self.service, &record.service)
            && is(&self.environment, &record.environment)
            && is(&self.provider, &record.provider)
            && is(&self.model, model(record))
    }

    /// The kept records that are wanted, newest first.
    pub(crate) fn records<'a>(&'a self, errors: &'a ErrorIndex) -> impl Iterator<Item = &'a ErrorRecord> {
        errors.records(self.group).filter(|record| self.wants(record))
    }
}

/// The model key of a failed call.
pub(crate) fn model(record: &ErrorRecord) -> &str {
    let told = [&record.response_model, &record.request_model];
    told.into_iter().find(|model| !model.is_empty()).map_or(monitor::UNKNOWN_MODEL, |model| model)
}

/// Failed calls.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorsBody {
    /// Groups of which a wanted record is kept, the one seen last first.
    groups: Vec<Group>,
    /// Wanted records that are kept, newest first.
    records: Vec<Record>,
}

/// Failures that differ in ids, numbers and addresses only.
#[derive(Debug, Serialize, ToSchema)]
struct Group {
    group: String,
    #[schema(value_type = String)]
    class: &'static str,
    #[serde(rename = "type")]
    kind: String,
    message: String,
    /// How many there were, those whose records are gone and those that are not wanted included.
    count: u64,
    /// How many of the kept records are wanted.
    wanted: u64,
    first_seen: u64,
    last_seen: u64,
    trace_ids: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Record {
    group: String,
    at: u64,
    trace_id: String,
    span_id: String,
    service: String,
    environment: String,
    span_name: String,
    operation: String,
    provider: String,
    request_model: String,
    response_model: String,
    #[schema(value_type = String)]
    class: &'static str,
    #[serde(rename = "type")]
    kind: String,
    message: String,
    duration_seconds: Option<f64>,
}

/// Groups of failed calls, and the newest of them.
#[utoipa::path(get, path = "/api/v1/errors", tag = "errors", params(ErrorsParams), responses(
    (status = 200, body = ErrorsBody),
    (status = 400, description = "A parameter is wrong", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn errors(State(console): State<Console>, Params(params): Params<ErrorsParams>) -> Answer<ErrorsBody> {
    let values = [&params.service, &params.environment, &params.provider, &params.model].map(Option::as_deref);
    let class = params.class.map(|class| class.0);
    let wanted = Wanted { class, ..Wanted::new(params.group.as_deref(), None, values)? };
    let limit = params.limit.unwrap_or(LISTED);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::bad_request(format!("limit is not 1 to {MOST}")));
    }
    let answer = console.blocking(move |console| {
        console.errors(|errors| {
            let groups = groups(errors, &wanted).into_iter().map(|(group, wanted)| body(group, wanted));
            ErrorsBody {
                groups: groups.take(limit as usize).collect(),
                records: wanted.records(errors).take(limit as usize).map(Record::from).collect(),
            }
        })
    });
    answer.await.map(Json)
}

/// Groups of which wanted records are kept, the one seen last first, and how many.
pub(crate) fn groups<'a>(errors: &'a ErrorIndex, wanted: &Wanted) -> Vec<(&'a ErrorGroup, u64)> {
    let mut counts = std::collections::HashMap::<u64, u64>::new();
    wanted.records(errors).for_each(|record| *counts.entry(record.fingerprint).or_default() += 1);
    let groups = errors.groups().into_iter();
    groups.filter_map(|group| Some((group, *counts.get(&group.fingerprint)?))).collect()
}

fn body(group: &ErrorGroup, wanted: u64) -> Group {
    Group {
        group: format!("{:016x}", group.fingerprint),
        class: group.class.name(),
        kind: group.kind.clone(),
        message: group.message.clone(),
        count: group.count,
        wanted,
        first_seen: millis(group.first_seen),
        last_seen: millis(group.last_seen),
        trace_ids: group.trace_ids.iter().map(|id| hex(id)).collect(),
    }
}

impl From<&ErrorRecord> for Record {
    fn from(record: &ErrorRecord) -> Self {
        Self {
            group: format!("{:016x}", record.fingerprint),
            at: millis(record.time),
            trace_id: hex(&record.trace_id),
            span_id: hex(&record.span_id),
            service: record.service.clone(),
            environment: record.environment.clone(),
            span_name: record.span_name.clone(),
            operation: record.operation.clone(),
            provider: record.provider.clone(),
            request_model: record.request_model.clone(),
            response_model: record.response_model.clone(),
            class: record.class.name(),
            kind: record.kind.clone(),
            message: record.message.clone(),
            duration_seconds: record.duration.map(|nanos| nanos as f64 / 1e9),
        }
    }
}
