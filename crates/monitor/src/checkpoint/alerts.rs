//! Alerts, incidents and notifications. Nothing fires twice because of a restart, and no time is lost for which it held.

use super::subjects::subject;
use super::{RestoreError, check, code, definitions, messages, required};
use crate::alert::{Alert, Baseline, Phase, Severity};
use crate::delivery::{Delivery, DeliveryOutcome};
use crate::incident::{Incident, Notification, NotificationKind, Resolution, Told, Waiting};

fn alert_subject(alert: &Alert) -> messages::Subject {
    let rule = alert.rule();
    subject(&rule.name, &rule.monitor, format!("{:?}", rule.condition))
}

pub(super) fn alert_message(alert: &Alert) -> messages::Alert {
    let (pending_since, incident) = match &alert.phase {
        Phase::Inactive => (None, None),
        Phase::Pending { since } => (Some(*since), None),
        Phase::Firing(incident) => (None, Some(incident_message(incident))),
    };
    let is_made = !alert.is_configured && alert.objective().is_none();
    messages::Alert {
        subject: Some(alert_subject(alert)),
        pending_since,
        incident,
        reading: alert.reading.map(|(value, threshold)| messages::Reading { value, threshold }),
        baseline: alert.baseline.map(|Baseline { until, window, value }| messages::Baseline { until, value, window }),
        recovered: alert.recovered,
        recovery_time: alert.recovery_time,
        made: is_made.then(|| definitions::alert_message(&alert.rule)),
    }
}

/// Puts the state back of an alert that means the same, if its monitor `goes_on`; of another, what was told of it is withdrawn.
pub(super) fn restore_alert(
    alerts: &mut [Alert],
    told: messages::Alert,
    goes_on: bool,
    now: u64,
    withdrawn: &mut Told,
) -> Result<(), RestoreError> {
    let incident = told.incident.map(|told| incident(told, now)).transpose()?;
    let is_over = incident.as_ref().is_some_and(|incident| incident.resolved.is_some());
    let is_past = told.pending_since.is_none_or(|since| since <= now);
    check(!is_over && is_past, "incident", "no alert can be so")?;
    let phase = match (incident, told.pending_since) {
        (Some(incident), _) => Phase::Firing(Box::new(incident)),
        (None, Some(since)) => Phase::Pending { since },
        (None, None) => Phase::Inactive,
    };
    let is_it = |alert: &&mut Alert| goes_on && told.subject.as_ref() == Some(&alert_subject(alert));
    let Some(alert) = alerts.iter_mut().find(is_it) else {
        if let Phase::Firing(mut incident) = phase {
            incident.resolved = Some((now, Resolution::Withdrawn));
            if incident.told.is_some() {
                withdrawn.tell(NotificationKind::Resolved, now, &mut incident, None);
            }
            withdrawn.over.push(*incident);
        }
        return Ok(());
    };
    alert.phase = phase;
    alert.reading = told.reading.map(|reading| (reading.value, reading.threshold));
    alert.baseline = told.baseline.map(|messages::Baseline { until, value, window }| Baseline { until, window, value });
    (alert.recovered, alert.recovery_time) = (told.recovered, told.recovery_time);
    Ok(())
}

pub(super) fn incident_message(incident: &Incident) -> messages::Incident {
    messages::Incident {
        alert: incident.alert.clone(),
        monitor: incident.monitor.clone(),
        severity: code(&Severity::ALL, incident.severity),
        since: incident.since,
        fired: incident.fired,
        resolved: incident.resolved.map_or(0, |(at, _)| at),
        resolution: incident.resolved.map_or(0, |(_, resolution)| code(&Resolution::ALL, resolution)),
        value: incident.value,
        threshold: incident.threshold,
        told: incident.told,
        notifications: incident.notifications,
    }
}

pub(super) fn incident(told: messages::Incident, now: u64) -> Result<Incident, RestoreError> {
    let resolution = super::named(&Resolution::ALL, told.resolution, "resolution")?;
    let is_in_order = told.since <= told.fired && told.fired.max(told.told.unwrap_or_default()) <= now;
    check(is_in_order, "fired", "not in the order of time")?;
    Ok(Incident {
        alert: told.alert,
        monitor: told.monitor,
        severity: required(&Severity::ALL, told.severity, "severity")?,
        since: told.since,
        fired: told.fired,
        resolved: resolution.map(|resolution| (told.resolved, resolution)),
        value: told.value,
        threshold: told.threshold,
        told: told.told,
        notifications: told.notifications,
    })
}

pub(super) fn waiting_message(waiting: &Waiting) -> messages::Notification {
    let Waiting { notification, through } = waiting;
    messages::Notification {
        id: notification.id.clone(),
        kind: code(&NotificationKind::ALL, notification.kind),
        at: notification.at,
        incident: Some(incident_message(&notification.incident)),
        value: notification.value,
        through: through.iter().map(delivery_message).collect(),
    }
}

pub(super) fn waiting(told: messages::Notification, now: u64) -> Result<Waiting, RestoreError> {
    let notification = Notification {
        id: told.id,
        kind: required(&NotificationKind::ALL, told.kind, "kind")?,
        at: told.at,
        incident: incident(told.incident.unwrap_or_default(), now)?,
        value: told.value,
    };
    Ok(Waiting { notification, through: deliveries(told.through)? })
}

pub(super) fn settled_message((id, through): &(String, Vec<Delivery>)) -> messages::Settled {
    messages::Settled { notification: id.clone(), delivery: through.iter().map(delivery_message).collect() }
}

pub(super) fn settled(told: messages::Settled) -> Result<(String, Vec<Delivery>), RestoreError> {
    Ok((told.notification, deliveries(told.delivery)?))
}

pub(super) fn delivery_message(delivery: &Delivery) -> messages::Delivery {
    let Delivery { notifier, outcome, at, attempts, error } = delivery.clone();
    messages::Delivery { notifier, outcome: code(&DeliveryOutcome::ALL, outcome), at, attempts, error }
}

pub(super) fn delivery(told: messages::Delivery) -> Result<Delivery, RestoreError> {
    let messages::Delivery { notifier, outcome, at, attempts, error } = told;
    Ok(Delivery { notifier, outcome: required(&DeliveryOutcome::ALL, outcome, "outcome")?, at, attempts, error })
}

fn deliveries(told: Vec<messages::Delivery>) -> Result<Vec<Delivery>, RestoreError> {
    told.into_iter().map(delivery).collect()
}
