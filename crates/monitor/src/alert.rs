//! Alerts: from a condition that holds to somebody who is told, once.
//!
//! An alert is inactive, pending while its condition holds but did not hold for long enough, or firing. A time of firing is an
//! [`Incident`]; each time that somebody is to be told of it is a [`Notification`](crate::Notification).

#[cfg(test)]
mod tests;

use crate::canary::Verdict;
use crate::chart::ChartRule;
use crate::drift::Tokens;
use crate::incident::{Incident, NotificationKind, Resolution, Told};
use crate::slo::BurnAlert;
use crate::snapshot::Field;

/// How bad it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// To be looked at.
    #[default]
    Warning,
    /// To be looked at now.
    Critical,
}

impl Severity {
    /// All of them. Checkpoints hold places in this list: what is new goes to its end.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// On which side of a threshold a value raises an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Above it.
    Above,
    /// Below it.
    Below,
}

impl Side {
    /// Both. Checkpoints hold places in this list.
    pub const ALL: [Self; 2] = [Self::Above, Self::Below];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
        }
    }

    fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Above => value > threshold,
            Self::Below => value < threshold,
        }
    }
}

/// What a field is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum AlertThreshold {
    /// A number, in the unit of the field.
    Fixed(f64),
    /// So many times what the field was over so many nanoseconds before the window of the monitor. While the alert is pending or
    /// firing, it stays what it was before, for as long again: an incident does not become its own baseline.
    Baseline {
        /// How many times.
        factor: f64,
        /// Over how many nanoseconds, at most 29 days.
        length: u64,
    },
}

/// When an alert holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A field of the monitor's snapshot is beyond a threshold.
    Field {
        /// The field.
        field: Field,
        /// On which side.
        side: Side,
        /// Of what.
        threshold: AlertThreshold,
    },
    /// There are no calls in the monitor's window, though there were before.
    NoData,
    /// The newest point of a control chart breaks one of these rules.
    OutOfControl {
        /// The chart.
        chart: String,
        /// The rules. Of quiet calls, [`ChartRule::Outside`] is broken by 1 point in 370, [`ChartRule::OneSide`] by 1 in 64.
        rules: Vec<ChartRule>,
    },
    /// The population stability index of tokens is above a number.
    Drift {
        /// Which tokens.
        tokens: Tokens,
        /// The number: 0.25 is usual.
        above: f64,
    },
    /// The verdict on a canary is this one, or worse.
    Canary {
        /// The canary.
        canary: String,
        /// The verdict.
        verdict: Verdict,
    },
    /// The budget of an objective is used up too fast.
    BurnRate {
        /// The objective.
        slo: String,
        /// How fast is too fast.
        alert: BurnAlert,
    },
}

impl Condition {
    /// Whether it may hold only because not all calls are known.
    pub(crate) fn is_of_too_few(&self) -> bool {
        match self {
            Self::NoData => true,
            Self::Field { field, side: Side::Below, .. } => field.is_sum() || field.is_rate(),
            _ => false,
        }
    }
}

/// An alert, as it is configured.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRule {
    /// Its name.
    pub name: String,
    /// The monitor.
    pub monitor: String,
    /// When it holds.
    pub condition: Condition,
    /// For how many nanoseconds it must hold before it fires.
    pub lasts: u64,
    /// With fewer calls in the monitor's window it does not hold; not for [`Condition::NoData`].
    pub minimum_requests: u64,
    /// How bad it is.
    pub severity: Severity,
    /// After how many nanoseconds of firing somebody is told again; `None` for never.
    pub repeat: Option<u64>,
}

impl AlertRule {
    /// A rule with the defaults: it fires at once, from one call on, as a warning, and is told once.
    pub fn new(name: &str, monitor: &str, condition: Condition) -> Self {
        Self {
            name: name.to_owned(),
            monitor: monitor.to_owned(),
            condition,
            lasts: 0,
            minimum_requests: 1,
            severity: Severity::default(),
            repeat: None,
        }
    }
}

/// What the condition of an alert comes to at a time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Reading {
    /// It can be told.
    Known { value: f64, threshold: f64, holds: bool },
    /// There is too little to tell.
    Unknown,
}

impl Reading {
    pub(crate) fn compare(value: f64, side: Side, threshold: f64) -> Self {
        Self::Known { value, threshold, holds: side.holds(value, threshold) }
    }
}

/// Where an alert is.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Its condition does not hold.
    Inactive,
    /// Its condition holds, but does not for long enough.
    Pending {
        /// Since when it holds.
        since: u64,
    },
    /// It fires.
    Firing(Box<Incident>),
}

impl Phase {
    /// Since when the condition holds.
    pub fn since(&self) -> Option<u64> {
        match self {
            Self::Inactive => None,
            Self::Pending { since } => Some(*since),
            Self::Firing(incident) => Some(incident.since),
        }
    }
}

/// What a field usually is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Baseline {
    /// To which time it belongs.
    pub(crate) until: u64,
    /// As it would be in a window of so many nanoseconds.
    pub(crate) window: u64,
    pub(crate) value: f64,
}

/// An alert, and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    pub(crate) rule: AlertRule,
    pub(crate) is_configured: bool,
    pub(crate) phase: Phase,
    /// The newest value and threshold; `None` if they could not be told.
    pub(crate) reading: Option<(f64, f64)>,
    /// The newest one; `None` if it is not known.
    pub(crate) baseline: Option<Baseline>,
    /// Recovered incidents.
    pub(crate) recovered: u64,
    /// Nanoseconds from detection to recovery, of all of them.
    pub(crate) recovery_time: u64,
}

impl Alert {
    pub(crate) fn new(rule: AlertRule, is_configured: bool) -> Self {
        let phase = Phase::Inactive;
        Self { rule, is_configured, phase, reading: None, baseline: None, recovered: 0, recovery_time: 0 }
    }

    /// Whether it, or the objective that it belongs to, stands in the configuration; else the API made it.
    pub fn is_configured(&self) -> bool {
        self.is_configured
    }

    /// The objective that it belongs to, if it belongs to one.
    pub fn objective(&self) -> Option<&str> {
        match &self.rule.condition {
            Condition::BurnRate { slo, .. } => Some(slo),
            _ => None,
        }
    }

    /// Takes another rule. What it knows stays if that means the same.
    pub(crate) fn redefine(&mut self, rule: AlertRule, now: u64, told: &mut Told) {
        if (&rule.monitor, &rule.condition) == (&self.rule.monitor, &self.rule.condition) {
            self.rule = rule;
            return;
        }
        self.begin_anew(now, told);
        self.rule = rule;
    }

    /// Forgets what it knows: it means something else now.
    pub(crate) fn begin_anew(&mut self, now: u64, told: &mut Told) {
        self.end(now, Resolution::Withdrawn, told);
        *self = Self::new(self.rule.clone(), self.is_configured);
    }

    /// What it is.
    pub fn rule(&self) -> &AlertRule {
        &self.rule
    }

    /// Where it is.
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The newest value and the threshold it was compared with; `None` if they could not be told.
    pub fn reading(&self) -> Option<(f64, f64)> {
        self.reading
    }

    /// How many incidents are over because their condition no longer holds.
    pub fn recovered(&self) -> u64 {
        self.recovered
    }

    /// Mean nanoseconds from detection to recovery; `None` if nothing recovered yet.
    pub fn mean_time_to_recovery(&self) -> Option<f64> {
        (self.recovered > 0).then(|| self.recovery_time as f64 / self.recovered as f64)
    }

    /// Goes on to a time, with what the condition comes to then.
    pub(crate) fn step(&mut self, now: u64, reading: Reading, is_muted: bool, told: &mut Told) {
        let (is_holding, unheld) = match reading {
            Reading::Known { holds, .. } => (holds, Resolution::Recovered),
            Reading::Unknown => (false, Resolution::Unknown),
        };
        self.reading = match reading {
            Reading::Known { value, threshold, .. } => Some((value, threshold)),
            Reading::Unknown => None,
        };
        if !is_holding {
            return self.end(now, unheld, told);
        }
        let since = self.phase.since().unwrap_or(now);
        if self.phase == Phase::Inactive {
            self.phase = Phase::Pending { since };
        }
        if matches!(self.phase, Phase::Pending { .. }) && now - since >= self.rule.lasts {
            self.phase = Phase::Firing(Box::new(self.incident(since, now)));
        }
        self.remind(now, is_muted, told);
    }

    fn incident(&self, since: u64, now: u64) -> Incident {
        let (value, threshold) = self.reading.unwrap_or_default();
        Incident {
            alert: self.rule.name.clone(),
            monitor: self.rule.monitor.clone(),
            severity: self.rule.severity,
            since,
            fired: now,
            resolved: None,
            value,
            threshold,
            told: None,
            notifications: 0,
        }
    }

    /// Tells that it fires, if nobody knows yet or it is time to tell again.
    fn remind(&mut self, now: u64, is_muted: bool, told: &mut Told) {
        let Phase::Firing(incident) = &mut self.phase else { return };
        let value = self.reading.map(|(value, _)| value);
        match incident.told {
            _ if is_muted => {}
            None => told.tell(NotificationKind::Firing, now, incident, value),
            Some(last) if self.rule.repeat.is_some_and(|repeat| now - last >= repeat) => {
                told.tell(NotificationKind::StillFiring, now, incident, value);
            }
            Some(_) => {}
        }
    }

    /// Ends what is pending or firing. Who was told that it fires is told that it is over, also while that is muted: else it would fire for
    /// ever for those who were told.
    pub(crate) fn end(&mut self, now: u64, resolution: Resolution, told: &mut Told) {
        let Phase::Firing(mut incident) = std::mem::replace(&mut self.phase, Phase::Inactive) else { return };
        incident.resolved = Some((now, resolution));
        if resolution == Resolution::Recovered {
            self.recovered += 1;
            self.recovery_time += now - incident.fired;
        }
        if incident.told.is_some() {
            told.tell(NotificationKind::Resolved, now, &mut incident, self.reading.map(|(value, _)| value));
        }
        told.over.push(*incident);
    }

    /// Lets a time of which nothing is known not count as time for which the condition held.
    pub(crate) fn stand_still(&mut self, length: u64) {
        if let Phase::Pending { since } = &mut self.phase {
            *since += length;
        }
    }

    /// Lets the time of a pause not count as time for which the condition held.
    pub(crate) fn pause(&mut self) {
        if matches!(self.phase, Phase::Pending { .. }) {
            self.phase = Phase::Inactive;
        }
    }
}
