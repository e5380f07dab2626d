//! What came of alerts: incidents, and what somebody is to be told of them.

use crate::alert::Severity;
use crate::delivery::Delivery;

/// Why an incident is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// The condition no longer holds.
    Recovered,
    /// There is too little to tell whether it does.
    Unknown,
    /// The monitor was archived, or the alert is configured no more.
    Withdrawn,
}

impl Resolution {
    /// All of them. Checkpoints hold places in this list: what is new goes to its end.
    pub const ALL: [Self; 3] = [Self::Recovered, Self::Unknown, Self::Withdrawn];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::Unknown => "unknown",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A time of firing.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// The name of the alert.
    pub alert: String,
    /// The monitor.
    pub monitor: String,
    /// How bad it is.
    pub severity: Severity,
    /// Since when the condition holds.
    pub since: u64,
    /// When it was detected: the alert fired.
    pub fired: u64,
    /// When it was over, and why; `None` while it is not.
    pub resolved: Option<(u64, Resolution)>,
    /// The value when it fired.
    pub value: f64,
    /// The threshold then.
    pub threshold: f64,
    /// When somebody was told last; `None` if nobody was.
    pub told: Option<u64>,
    /// How often somebody was told.
    pub notifications: u32,
}

impl Incident {
    /// What tells it from all others, also after a restart.
    pub fn id(&self) -> String {
        format!("{}@{}", self.alert, self.fired)
    }

    /// The id of its newest notification, and what that told; `None` if there was none.
    pub fn newest_notification(&self) -> Option<(String, NotificationKind)> {
        let number = self.notifications.checked_sub(1)?;
        let kind = match (self.resolved, number) {
            (Some(_), _) => NotificationKind::Resolved,
            (None, 0) => NotificationKind::Firing,
            (None, _) => NotificationKind::StillFiring,
        };
        Some((self.notification_id(number), kind))
    }

    fn notification_id(&self, number: u32) -> String {
        format!("{}#{number}", self.id())
    }

    /// Nanoseconds from detection to recovery.
    pub fn time_to_recovery(&self) -> Option<u64> {
        self.resolved.map(|(at, _)| at.saturating_sub(self.fired))
    }
}

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotificationKind {
    /// An alert fires.
    Firing,
    /// It still does.
    StillFiring,
    /// It does no more.
    Resolved,
}

impl NotificationKind {
    /// All of them. Checkpoints hold places in this list: what is new goes to its end.
    pub const ALL: [Self; 3] = [Self::Firing, Self::StillFiring, Self::Resolved];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::StillFiring => "still_firing",
            Self::Resolved => "resolved",
        }
    }
}

/// Something to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    /// What tells it from all others: the same after a restart, so that one that was delivered before can be recognised. It is
    /// unique within a data directory.
    pub id: String,
    /// What is told.
    pub kind: NotificationKind,
    /// When it came to be.
    pub at: u64,
    /// The incident, as it was then.
    pub incident: Incident,
    /// The value then; `None` if it is not known.
    pub value: Option<f64>,
}

/// A notification that waits until all notifiers are through with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Waiting {
    pub(crate) notification: Notification,
    /// Of those that are.
    pub(crate) through: Vec<Delivery>,
}

/// What came of a step of all alerts.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) notifications: Vec<Notification>,
    pub(crate) over: Vec<Incident>,
}

impl Told {
    /// Tells of an incident.
    pub(crate) fn tell(&mut self, kind: NotificationKind, at: u64, incident: &mut Incident, value: Option<f64>) {
        let id = incident.notification_id(incident.notifications);
        incident.told = Some(at);
        incident.notifications += 1;
        self.notifications.push(Notification { id, kind, at, incident: incident.clone(), value });
    }
}
