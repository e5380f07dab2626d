//! Failed calls: what they have in common, and each.

use std::collections::{BTreeMap, HashMap};

use aggregate::{ErrorGroup, ErrorIndex, ErrorRecord, ErrorText};
use axum::Json;
use axum::extract::State;
use genai::ErrorClass;
use monitor::{Range, SECOND};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use super::named::{Named, schema};
use crate::console::Console;
use crate::page::hex;
use crate::params::{Params, check_text};
use crate::problem::Problem;
use crate::view::{Last, Span, millis, step_asked, step_of};

/// Groups and records that an answer lists at most, and unless it is asked otherwise.
const MOST: u32 = 1_000;
const LISTED: u32 = 100;

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ErrorsParams {
    /// How long a time is: 15m, 1h, 6h, 24h, 7d or 30d. It ends now, unless `from` or `to` say otherwise. Without any of the three all that is kept
    /// is told of; what counts is when a call was counted.
    #[param(inline)]
    range: Option<Last>,
    /// The beginning of the time, milliseconds since the Unix epoch. With `to`, `range` is not read.
    #[param(maximum = 16_725_225_599_999_u64)]
    from: Option<u64>,
    /// Its end: what is further than 31 days before it is left out, and it is a minute behind the beginning at least.
    #[param(maximum = 16_725_225_599_999_u64)]
    to: Option<u64>,
    /// The length of the steps of trends in seconds; they are longer if that were more than 1,500.
    #[param(minimum = 10, maximum = 2_678_400)]
    step: Option<u32>,
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
    /// Only of this operation.
    #[param(max_length = 256, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    operation: Option<String>,
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
    pub(crate) operation: Option<String>,
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
            operation: None,
        })
    }

    fn wants(&self, record: &ErrorRecord) -> bool {
        let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
        self.group.is_none_or(|group| group == record.fingerprint)
            && self.class.is_none_or(|class| class == record.class)
            && is(&self.service, record.text(ErrorText::Service))
            && is(&self.environment, record.text(ErrorText::Environment))
            && is(&self.provider, record.text(ErrorText::Provider))
            && is(&self.model, model(record))
            && is(&self.operation, record.text(ErrorText::Operation))
    }

    /// The kept records that are wanted, newest first.
    pub(crate) fn records<'a>(&'a self, errors: &'a ErrorIndex) -> impl Iterator<Item = &'a ErrorRecord> {
        errors.records(self.group).filter(|record| self.wants(record))
    }
}

/// The model key of a failed call.
pub(crate) fn model(record: &ErrorRecord) -> &str {
    let told = [ErrorText::ResponseModel, ErrorText::RequestModel].map(|which| record.text(which));
    told.into_iter().find(|model| !model.is_empty()).unwrap_or(monitor::UNKNOWN_MODEL)
}

/// Failed calls.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorsBody {
    /// The newest time of the log.
    now: u64,
    /// The time in whole steps.
    from: u64,
    to: u64,
    step_seconds: u64,
    /// Groups of which a wanted record of the time is kept, the one seen last first.
    groups: Vec<Group>,
    /// Wanted records of the time that are kept, newest first.
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
    /// How many of the kept records are wanted, of the time.
    wanted: u64,
    first_seen: u64,
    last_seen: u64,
    trace_ids: Vec<String>,
    /// When a step begins, and how many of the wanted records came in it; steps without any are left out.
    #[schema(value_type = Vec<(u64, u64)>)]
    trend: Vec<(u64, u64)>,
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
    params.operation.as_deref().map_or(Ok(()), |operation| check_text("operation", operation))?;
    let (class, operation) = (params.class.map(|class| class.0), params.operation);
    let wanted = Wanted { class, operation, ..Wanted::new(params.group.as_deref(), None, values)? };
    let limit = params.limit.unwrap_or(LISTED);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::bad_request(format!("limit is not 1 to {MOST}")));
    }
    let span = if let (None, None, None) = (params.range, params.from, params.to) {
        None
    } else {
        Some(Span::new(params.range, params.from, params.to)?)
    };
    let step = step_asked(params.step)?;
    let answer = console.blocking(move |console| {
        let now = console.now()?;
        console.errors(|errors| {
            let range = span.map_or_else(|| kept(errors, now), |span| span.range(now));
            let step = step_of(range, step);
            let range = range.in_steps(step, now);
            let found = || wanted.records(errors).filter(|record| range.contains(record.receive_time));
            ErrorsBody {
                now: millis(now),
                from: millis(range.from),
                to: millis(range.to),
                step_seconds: step / SECOND,
                groups: groups(errors, found(), step, limit as usize),
                records: found().take(limit as usize).map(Record::from).collect(),
            }
        })
    });
    answer.await.map(Json)
}

/// The time of which records are kept.
fn kept(errors: &ErrorIndex, now: u64) -> Range {
    let oldest = errors.records(None).map(|record| record.receive_time).min();
    Range { from: oldest.unwrap_or(now), to: now.saturating_add(1) }
}

/// Groups of records, the one seen last first.
fn groups<'a>(
    errors: &ErrorIndex,
    records: impl Iterator<Item = &'a ErrorRecord>,
    step: u64,
    limit: usize,
) -> Vec<Group> {
    let mut trends = HashMap::<u64, BTreeMap<u64, u64>>::new();
    for record in records {
        let begin = record.receive_time / step * step;
        *trends.entry(record.fingerprint).or_default().entry(begin).or_default() += 1;
    }
    let groups = errors.groups().into_iter();
    groups.filter_map(|group| Some(Group::of(group, trends.get(&group.fingerprint)?))).take(limit).collect()
}

impl Group {
    fn of(group: &ErrorGroup, trend: &BTreeMap<u64, u64>) -> Self {
        Self {
            group: format!("{:016x}", group.fingerprint),
            class: group.class.name(),
            kind: group.kind.clone(),
            message: group.message.clone(),
            count: group.count,
            wanted: trend.values().sum(),
            first_seen: millis(group.first_seen),
            last_seen: millis(group.last_seen),
            trace_ids: group.trace_ids.iter().map(|id| hex(id)).collect(),
            trend: trend.iter().map(|(begin, count)| (millis(*begin), *count)).collect(),
        }
    }
}

impl From<&ErrorRecord> for Record {
    fn from(record: &ErrorRecord) -> Self {
        let text = |which| record.text(which).to_owned();
        Self {
            group: format!("{:016x}", record.fingerprint),
            at: millis(record.time),
            trace_id: hex(&record.trace_id),
            span_id: hex(&record.span_id),
            service: text(ErrorText::Service),
            environment: text(ErrorText::Environment),
            span_name: text(ErrorText::SpanName),
            operation: text(ErrorText::Operation),
            provider: text(ErrorText::Provider),
            request_model: text(ErrorText::RequestModel),
            response_model: text(ErrorText::ResponseModel),
            class: record.class.name(),
            kind: text(ErrorText::Kind),
            message: text(ErrorText::Message),
            duration_seconds: record.duration.map(|nanos| nanos as f64 / 1e9),
        }
    }
}
