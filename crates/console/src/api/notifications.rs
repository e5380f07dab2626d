//! What was told of alerts, whom it has not reached yet, and what became of it elsewhere.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use monitor::{Delivery, Incident, Monitoring, NotificationKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answer;
use crate::console::Console;
use crate::params::Params;
use crate::problem::Problem;
use crate::source::NotifierState;
use crate::view::millis;

/// Notifications that an answer lists at most, and unless it is asked otherwise.
const MOST: u32 = 1_000;
const LISTED: u32 = 100;

/// The newest notification of an incident.
#[derive(Debug)]
pub(crate) struct Newest<'a> {
    pub(crate) incident: &'a Incident,
    /// When it came to be.
    pub(crate) at: u64,
    pub(crate) kind: NotificationKind,
    /// Whom it has yet to reach, or to be given up for: empty if nothing waits.
    pub(crate) waiting: Vec<&'a NotifierState>,
    /// What became of it at the others.
    pub(crate) deliveries: &'a [Delivery],
}

impl<'a> Newest<'a> {
    /// Of all incidents that somebody was told of, the newest first.
    pub(crate) fn all(monitoring: &'a Monitoring, notifiers: &'a [NotifierState]) -> Vec<Self> {
        let waits: HashMap<&str, &[Delivery]> =
            monitoring.deliveries().map(|(notification, through)| (&*notification.id, through)).collect();
        let settled: HashMap<&str, &[Delivery]> = monitoring.settled().collect();
        let newest = |incident: &'a Incident| {
            let (at, (id, kind)) = incident.told.zip(incident.newest_notification())?;
            let through = waits.get(&*id).copied();
            let is_through = |name: &str| through.is_none_or(|through| through.iter().any(|it| it.notifier == name));
            let waiting = notifiers.iter().filter(|notifier| !is_through(&notifier.name)).collect();
            let deliveries = through.or_else(|| settled.get(&*id).copied()).unwrap_or_default();
            Some(Self { incident, at, kind, waiting, deliveries })
        };
        let mut all: Vec<Self> = monitoring.incidents().filter_map(newest).collect();
        all.sort_by_key(|newest| std::cmp::Reverse(newest.at));
        all
    }
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct NotificationsParams {
    /// How many are listed; 100 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// The newest notification of an incident.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NotificationBody {
    /// The id of the incident.
    incident: String,
    /// firing, still_firing or resolved.
    #[schema(value_type = String)]
    kind: &'static str,
    at: u64,
    alert: String,
    monitor: String,
    /// info, warning or critical.
    #[schema(value_type = String)]
    severity: &'static str,
    fired: u64,
    resolved: Option<u64>,
    /// How many notifications of the incident there were, this one included.
    number: u32,
    /// The notifiers that it waits for. All others are through with it.
    waiting: Vec<WaitingBody>,
    /// What became of it at those that are through with it, as far as that is still known: of the newest 1,000 notifications.
    deliveries: Vec<DeliveryBody>,
}

/// What became of a notification at a notifier.
#[derive(Debug, Serialize, ToSchema)]
struct DeliveryBody {
    notifier: String,
    /// delivered, refused (for good) or given_up (too old).
    #[schema(value_type = String)]
    outcome: &'static str,
    at: u64,
    /// How often it was tried since the process started that ended it.
    attempts: u32,
    /// Why the last attempt failed of those that did.
    error: Option<String>,
}

impl From<&Delivery> for DeliveryBody {
    fn from(Delivery { notifier, outcome, at, attempts, error }: &Delivery) -> Self {
        let (notifier, error) = (notifier.clone(), error.clone());
        Self { notifier, outcome: outcome.name(), at: millis(*at), attempts: *attempts, error }
    }
}

/// A notifier that is not through with a notification.
#[derive(Debug, Serialize, ToSchema)]
struct WaitingBody {
    notifier: String,
    /// Why its last attempt failed; null if that succeeded, or there was none.
    error: Option<String>,
}

impl From<&Newest<'_>> for NotificationBody {
    fn from(Newest { incident, at, kind, waiting, deliveries }: &Newest<'_>) -> Self {
        let waiting = waiting.iter().map(|notifier| WaitingBody {
            notifier: notifier.name.clone(),
            error: notifier.failing().map(str::to_owned),
        });
        Self {
            incident: incident.id(),
            kind: kind.name(),
            at: millis(*at),
            alert: incident.alert.clone(),
            monitor: incident.monitor.clone(),
            severity: incident.severity.name(),
            fired: millis(incident.fired),
            resolved: incident.resolved.map(|(at, _)| millis(at)),
            number: incident.notifications,
            waiting: waiting.collect(),
            deliveries: deliveries.iter().map(DeliveryBody::from).collect(),
        }
    }
}

/// The newest notification of each incident, the newest first.
#[utoipa::path(get, path = "/api/v1/notifications", tag = "alerts", params(NotificationsParams), responses(
    (status = 200, body = [NotificationBody]),
    (status = 400, description = "A parameter is wrong", content_type = "application/problem+json", body = Problem),
))]
pub(super) async fn notifications(
    State(console): State<Console>,
    Params(params): Params<NotificationsParams>,
) -> Answer<Vec<NotificationBody>> {
    let limit = params.limit.unwrap_or(LISTED);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::bad_request(format!("limit is not 1 to {MOST}")));
    }
    let answer = console.blocking(move |console| {
        let notifiers = console.source.notifiers();
        console.monitoring(|monitoring| {
            Newest::all(monitoring, &notifiers).iter().take(limit as usize).map(NotificationBody::from).collect()
        })
    });
    answer.await.map(Json)
}
