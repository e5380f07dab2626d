//! The admin server: health for everybody, and the error records as JSON for who may see them.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use aggregate::{ErrorGroup, ErrorRecord, ErrorText, Unpriced};
use axum::extract::{FromRequestParts, Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use wal::{Fill, Level, Log, Lsn};

use crate::answering::Callers;
use crate::applier::{Progress, SharedPipeline};
use crate::console::Watched;
use crate::forward;
use crate::recorder::LogRecord;

/// Per cent of the log from which on it is said that it fills up.
const NEARLY_FULL: u64 = 80;

/// Records, and groups, that one answer lists at most.
const MAX_LISTED: usize = 1_000;

/// What the server does, for those who ask whether it takes requests. It is asked from the very beginning.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness(Arc<Mutex<Phase>>);

/// What a server does. One follows the other.
#[derive(Debug, Clone, Default)]
pub(crate) enum Phase {
    /// The log is opened, a checkpoint is read.
    #[default]
    Opening,
    /// What the log holds is applied, up to the record `through`.
    Replaying { progress: Progress, through: Lsn },
    /// Requests are taken.
    Serving(Running),
    /// Requests are taken no more.
    Stopping(Running),
}

/// What a running server is asked about.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) pipeline: SharedPipeline,
    pub(crate) log: Log<LogRecord>,
    pub(crate) progress: Progress,
    pub(crate) archive: Option<archive::Health>,
    /// How far the archive is; `None` if nothing is archived.
    pub(crate) archived: Option<archive::Position>,
    /// Destinations of what applications sent, by their names.
    pub(crate) forwarded: Vec<(String, forward::Position)>,
    /// What waits for destinations, by their names.
    pub(crate) backlogs: Vec<(String, export::Backlog)>,
    pub(crate) notifiers: notify::Statuses,
}

impl Readiness {
    pub(crate) fn enter(&self, phase: Phase) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    /// Requests are taken no more, if they were.
    pub(crate) fn stop(&self) {
        if let Phase::Serving(running) = self.phase() {
            self.enter(Phase::Stopping(running));
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why no requests are taken, or soon may not be.
    pub(crate) fn reason(&self) -> Option<String> {
        match self.phase() {
            Phase::Opening => Some("starting: the log is opened".to_owned()),
            Phase::Replaying { progress, through } => {
                let applied = progress.applied();
                Some(format!("starting: the log is replayed, record {applied} of {through}"))
            }
            Phase::Serving(running) => running.reason(),
            Phase::Stopping(running) => running.reason().or_else(|| Some("stopping".to_owned())),
        }
    }
}

impl Running {
    /// A log that is nearly full is about to push back.
    fn reason(&self) -> Option<String> {
        if self.archive.as_ref().is_some_and(archive::Health::has_failed) {
            let then = match self.log.fill().disk {
                Some(_) => {
                    "what comes now is counted, and archived by the next start: the log keeps it as long as there is room"
                }
                None => "what comes now is counted but not archived",
            };
            return Some(format!("the archive has failed: {then}"));
        }
        if self.archive.as_ref().is_some_and(archive::Health::is_disk_full) {
            return Some(
                "the disk of the archive is full: what comes is kept in the log and counted when there is room"
                    .to_owned(),
            );
        }
        if let Some(failure) = self.log.failure() {
            return Some(format!("{failure}: nothing is acknowledged any more"));
        }
        if let Some((destination, _)) = self.backlogs.iter().find(|(_, backlog)| backlog.is_full()) {
            return Some(format!(
                "{destination} takes nothing, and no more error records may wait for it: nothing is accepted until it does \
                 (exporters.{destination}.when_full: drop_oldest gives up its oldest instead)"
            ));
        }
        let Fill { memory, disk } = self.log.fill();
        if memory.exceeds(NEARLY_FULL) {
            return Some(format!("more than {NEARLY_FULL} % of the log's memory is taken: disk or applier are behind"));
        }
        disk.filter(|disk| disk.exceeds(NEARLY_FULL)).map(|Level { used, max }| {
            format!(
                "more than {NEARLY_FULL} % of the log is taken ({used} of {max} bytes): what is in it is not archived, or there was \
                 no checkpoint since"
            )
        })
    }
}

/// Questions about what was counted have no answer before all of the log is applied.
impl FromRequestParts<Readiness> for SharedPipeline {
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(_: &mut Parts, readiness: &Readiness) -> Result<Self, Self::Rejection> {
        match readiness.phase() {
            Phase::Serving(running) | Phase::Stopping(running) => Ok(running.pipeline),
            Phase::Opening | Phase::Replaying { .. } => Err((StatusCode::SERVICE_UNAVAILABLE, "starting\n")),
        }
    }
}

/// Everything that is answered. Health checks need no credentials: orchestrators have none.
pub(crate) fn router(readiness: Readiness, callers: Callers, console: console::Settings) -> Router {
    let health = Router::new().route("/livez", get(|| async { "ok\n" })).route("/readyz", get(readyz));
    let others = Router::new()
        .route("/api/errors", get(errors))
        .route("/api/prices/unpriced", get(unpriced))
        .with_state(readiness.clone())
        // With its answer to what there is not: whoever may not ask does not learn what there is.
        .merge(console::Console::new(Watched(readiness.clone()), console).router());
    health.with_state(readiness).merge(callers.guard(others))
}

async fn readyz(State(readiness): State<Readiness>) -> Response {
    match readiness.reason() {
        None => "ok\n".into_response(),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorsQuery {
    /// Fingerprint of a group, 16 hexadecimal digits.
    group: Option<String>,
}

/// What fails: answered by the server, read by `spanmill errors`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ErrorsAnswer {
    /// Those seen last first, at most [`MAX_LISTED`].
    pub(crate) groups: Vec<Group>,
    /// Newest first, at most [`MAX_LISTED`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) records: Option<Vec<OneRecord>>,
}

/// Failures that say the same.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) group: String,
    pub(crate) class: Cow<'static, str>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) count: u64,
    pub(crate) first_seen_unix_nano: u64,
    pub(crate) last_seen_unix_nano: u64,
    pub(crate) trace_ids: Vec<String>,
}

/// One failed call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OneRecord {
    pub(crate) group: String,
    pub(crate) time_unix_nano: u64,
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) service: String,
    pub(crate) span_name: String,
    pub(crate) operation: String,
    pub(crate) provider: String,
    pub(crate) request_model: String,
    pub(crate) response_model: String,
    pub(crate) class: Cow<'static, str>,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) duration_nano: Option<u64>,
}

/// All groups; with `?group=` that group and its records.
async fn errors(pipeline: SharedPipeline, Query(query): Query<ErrorsQuery>) -> Response {
    let wanted = match query.group.as_deref().map(|group| u64::from_str_radix(group, 16)) {
        None => None,
        Some(Ok(fingerprint)) => Some(fingerprint),
        Some(Err(_)) => return (StatusCode::BAD_REQUEST, "group must be hexadecimal\n").into_response(),
    };
    let answered = tokio::task::spawn_blocking(move || answer(&pipeline, wanted)).await;
    match answered {
        Ok(answer) if wanted.is_some() && answer.groups.is_empty() => {
            (StatusCode::NOT_FOUND, "no such group\n").into_response()
        }
        Ok(answer) => Json(answer).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// A model that calls were made to and that has no price.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UnpricedModel {
    pub(crate) provider: String,
    pub(crate) request_model: String,
    pub(crate) response_model: String,
    pub(crate) calls: u64,
}

/// The models without a price, the most called first.
async fn unpriced(pipeline: SharedPipeline) -> Response {
    let listed = tokio::task::spawn_blocking(move || pipeline.lock().unpriced()).await;
    let model = |Unpriced { provider, request_model, response_model, calls }| UnpricedModel {
        provider,
        request_model,
        response_model,
        calls,
    };
    match listed {
        Ok(models) => Json(models.into_iter().take(MAX_LISTED).map(model).collect::<Vec<_>>()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn answer(pipeline: &SharedPipeline, wanted: Option<u64>) -> ErrorsAnswer {
    let pipeline = pipeline.lock();
    let errors = pipeline.errors();
    let groups = errors
        .groups()
        .into_iter()
        .filter(|group| wanted.is_none_or(|wanted| group.fingerprint == wanted))
        .take(MAX_LISTED)
        .map(Group::from)
        .collect();
    let records = wanted.map(|wanted| errors.records(Some(wanted)).take(MAX_LISTED).map(OneRecord::from).collect());
    ErrorsAnswer { groups, records }
}

impl From<&ErrorGroup> for Group {
    fn from(group: &ErrorGroup) -> Self {
        Self {
            group: format!("{:016x}", group.fingerprint),
            class: Cow::Borrowed(group.class.name()),
            kind: group.kind.clone(),
            message: group.message.clone(),
            count: group.count,
            first_seen_unix_nano: group.first_seen,
            last_seen_unix_nano: group.last_seen,
            trace_ids: group.trace_ids.iter().map(|id| hex(id)).collect(),
        }
    }
}

impl From<&ErrorRecord> for OneRecord {
    fn from(record: &ErrorRecord) -> Self {
        let text = |which| record.text(which).to_owned();
        Self {
            group: format!("{:016x}", record.fingerprint),
            time_unix_nano: record.time,
            trace_id: hex(&record.trace_id),
            span_id: hex(&record.span_id),
            service: text(ErrorText::Service),
            span_name: text(ErrorText::SpanName),
            operation: text(ErrorText::Operation),
            provider: text(ErrorText::Provider),
            request_model: text(ErrorText::RequestModel),
            response_model: text(ErrorText::ResponseModel),
            class: Cow::Borrowed(record.class.name()),
            kind: text(ErrorText::Kind),
            message: text(ErrorText::Message),
            duration_nano: record.duration,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
