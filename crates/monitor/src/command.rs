//! What happens to what is watched beside the calls: what a user does, and what became of notifications.

use std::fmt;

use crate::alert::{Alert, AlertRule, Condition};
use crate::definition::{Config, ConfigError, MonitorDefinition, check_monitor, check_names};
use crate::delivery::Delivery;
use crate::incident::{Resolution, Told, Waiting};
use crate::monitor::{Monitor, MonitorState};
use crate::monitoring::Monitoring;
use crate::slo::{Slo, SloDefinition};

/// How many monitors there may be.
pub const MOST_MONITORS: usize = 100;
/// How many alerts there may be before the API makes no more, those of objectives left out.
pub const MOST_ALERTS: usize = 500;
/// How many objectives there may be before the API makes no more.
pub const MOST_SLOS: usize = 100;

/// Something that is done to what is watched, or became of a notification.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A new monitor.
    Create(Box<MonitorDefinition>),
    /// Another definition of the monitor with this name. What was counted stays if the same calls are meant.
    Replace(Box<MonitorDefinition>),
    /// The monitor with this name is watched, or watched again.
    Activate(String),
    /// It stands still.
    Pause(String),
    /// It is kept for its history only, and its alerts end.
    Archive(String),
    /// It and all that is about it are forgotten. Those of the configuration can only be archived.
    Remove(String),
    /// Nobody is told that its alerts fire until a time; zero ends that. Who was told before is told that they do no more.
    Mute(String, u64),
    /// A new alert.
    CreateAlert(Box<AlertRule>),
    /// Another rule of the alert with this name. Its state stays if monitor and condition do.
    ReplaceAlert(Box<AlertRule>),
    /// The alert with this name is forgotten.
    RemoveAlert(String),
    /// A new objective, with its burn alerts.
    CreateSlo(Box<SloDefinition>),
    /// Another definition of the objective with this name. What was counted stays if the same calls count.
    ReplaceSlo(Box<SloDefinition>),
    /// The objective with this name and its burn alerts are forgotten.
    RemoveSlo(String),
    /// A notifier is through with a notification.
    Delivered {
        /// The id of the notification. One that waits no more is passed over.
        notification: String,
        /// What became of it.
        delivery: Delivery,
    },
    /// All notifiers are through with the notification with this id. One that waits no more is passed over.
    Acknowledge(String),
}

/// What a command is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A monitor.
    Monitor,
    /// An alert.
    Alert,
    /// An objective.
    Slo,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Monitor => "monitor",
            Self::Alert => "alert",
            Self::Slo => "objective",
        })
    }
}

/// Why a command is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is none with this name.
    #[error("there is no {0} {1:?}")]
    Unknown(Subject, String),
    /// The name is taken.
    #[error("{0} {1:?} is there already")]
    Exists(Subject, String),
    /// A name says something.
    #[error("{0}: a name has 1 to 100 characters")]
    BadName(Subject),
    /// There are as many as there may be.
    #[error("there are {1} of the kind {0}, as many as there may be")]
    TooMany(Subject, usize),
    /// The configuration defines it.
    #[error("the {0} {1:?} stands in the configuration, which alone can change or remove it")]
    Configured(Subject, String),
    /// What is to be contradicts itself, or what there is.
    #[error(transparent)]
    Invalid(#[from] ConfigError),
}

impl Monitoring {
    /// Does what a command says, at a time that is not before any other told.
    ///
    /// # Errors
    /// There is nothing of that name, or it cannot be done to it.
    pub fn apply(&mut self, at: u64, command: Command) -> Result<(), CommandError> {
        self.advance(at);
        let now = self.now;
        match command {
            Command::Create(definition) => self.create(*definition)?,
            Command::Replace(definition) => self.replace(*definition)?,
            Command::Activate(name) => self.find(&name)?.activate(now),
            Command::Mute(name, until) => self.find(&name)?.muted_until = until,
            Command::Pause(name) => {
                self.find(&name)?.state = MonitorState::Paused;
                self.alerts.iter_mut().filter(|alert| alert.rule.monitor == name).for_each(Alert::pause);
            }
            Command::Archive(name) => {
                self.find(&name)?.state = MonitorState::Archived;
                self.withdraw(|alert| alert.rule.monitor == name);
            }
            Command::Remove(name) => {
                self.find_own(&name)?;
                self.forget_alerts(|alert| alert.rule.monitor == name);
                self.slos.retain(|slo| slo.definition.monitor != name);
                self.monitors.retain(|monitor| monitor.name() != name);
            }
            Command::CreateAlert(rule) => self.create_alert(*rule)?,
            Command::ReplaceAlert(rule) => self.replace_alert(*rule)?,
            Command::RemoveAlert(name) => {
                self.own_alert(&name)?;
                self.forget_alerts(|alert| alert.rule.name == name);
            }
            Command::CreateSlo(definition) => self.create_slo(*definition)?,
            Command::ReplaceSlo(definition) => self.replace_slo(*definition)?,
            Command::RemoveSlo(name) => {
                self.own_slo(&name)?;
                self.forget_alerts(|alert| alert.objective() == Some(&*name));
                self.slos.retain(|slo| slo.definition.name != name);
            }
            Command::Delivered { notification, delivery } => {
                self.deliver(&notification, delivery);
                return Ok(());
            }
            Command::Acknowledge(id) => {
                self.acknowledge(&id);
                return Ok(());
            }
        }
        self.streams.clear();
        Ok(())
    }

    fn find(&mut self, name: &str) -> Result<&mut Monitor, CommandError> {
        let found = self.monitors.iter_mut().find(|monitor| monitor.name() == name);
        found.ok_or_else(|| CommandError::Unknown(Subject::Monitor, name.to_owned()))
    }

    /// A monitor that the API made.
    fn find_own(&mut self, name: &str) -> Result<&mut Monitor, CommandError> {
        let monitor = self.find(name)?;
        if monitor.is_configured {
            Err(CommandError::Configured(Subject::Monitor, name.to_owned()))
        } else {
            Ok(monitor)
        }
    }

    fn replace(&mut self, definition: MonitorDefinition) -> Result<(), CommandError> {
        let name = definition.name.clone();
        let now = self.now;
        check_monitor(&definition)?;
        if self.find_own(&name)?.redefine(definition, now) {
            return Ok(());
        }
        self.slos.iter_mut().filter(|slo| slo.definition.monitor == name).for_each(Slo::forget);
        let mut told = Told::default();
        let alerts = self.alerts.iter_mut().filter(|alert| alert.rule.monitor == name);
        alerts.for_each(|alert| alert.begin_anew(now, &mut told));
        self.keep(told);
        Ok(())
    }

    fn create(&mut self, definition: MonitorDefinition) -> Result<(), CommandError> {
        let is_taken = self.monitor(&definition.name).is_some();
        check_new(Subject::Monitor, &definition.name, is_taken, self.monitors.len(), MOST_MONITORS)?;
        check_monitor(&definition)?;
        self.monitors.push(Monitor::new(definition, false, self.now));
        Ok(())
    }

    fn create_alert(&mut self, rule: AlertRule) -> Result<(), CommandError> {
        let is_taken = self.alerts.iter().any(|alert| alert.rule.name == rule.name);
        let count = self.alerts.iter().filter(|alert| alert.objective().is_none()).count();
        check_new(Subject::Alert, &rule.name, is_taken, count, MOST_ALERTS)?;
        self.check_alert(&rule)?;
        self.alerts.push(Alert::new(rule, false));
        Ok(())
    }

    fn replace_alert(&mut self, rule: AlertRule) -> Result<(), CommandError> {
        let place = self.own_alert(&rule.name)?;
        self.check_alert(&rule)?;
        self.redefine_alert(place, rule);
        Ok(())
    }

    fn redefine_alert(&mut self, place: usize, rule: AlertRule) {
        let (now, mut told) = (self.now, Told::default());
        self.alerts[place].redefine(rule, now, &mut told);
        self.keep(told);
    }

    fn create_slo(&mut self, definition: SloDefinition) -> Result<(), CommandError> {
        let is_taken = self.slos.iter().any(|slo| slo.definition.name == definition.name);
        check_new(Subject::Slo, &definition.name, is_taken, self.slos.len(), MOST_SLOS)?;
        self.check_slo(&definition)?;
        self.alerts.extend(definition.rules().map(|rule| Alert::new(rule, false)));
        self.slos.push(Slo::new(definition, false));
        Ok(())
    }

    fn replace_slo(&mut self, definition: SloDefinition) -> Result<(), CommandError> {
        let place = self.own_slo(&definition.name)?;
        self.check_slo(&definition)?;
        let rules: Vec<AlertRule> = definition.rules().collect();
        let is_kept = |alert: &Alert| rules.iter().any(|rule| rule.name == alert.rule.name);
        self.forget_alerts(|alert| alert.objective() == Some(&*definition.name) && !is_kept(alert));
        for rule in rules {
            match self.alerts.iter().position(|alert| alert.rule.name == rule.name) {
                Some(place) => self.redefine_alert(place, rule),
                None => self.alerts.push(Alert::new(rule, false)),
            }
        }
        self.slos[place].redefine(definition);
        Ok(())
    }

    /// The place of an alert that the API made.
    fn own_alert(&self, name: &str) -> Result<usize, CommandError> {
        let place = self.alerts.iter().position(|alert| alert.rule.name == name && alert.objective().is_none());
        own(Subject::Alert, name, place, |place| self.alerts[place].is_configured)
    }

    /// The place of an objective that the API made.
    fn own_slo(&self, name: &str) -> Result<usize, CommandError> {
        let place = self.slos.iter().position(|slo| slo.definition.name == name);
        own(Subject::Slo, name, place, |place| self.slos[place].is_configured)
    }

    /// Whether an alert fits what there is. The rest is not looked at: it may be more than can be made now, or about what is gone.
    pub(crate) fn check_alert(&self, rule: &AlertRule) -> Result<(), ConfigError> {
        if matches!(rule.condition, Condition::BurnRate { .. }) {
            let problem = "burn rates belong to their objective";
            return Err(ConfigError { section: "alerts", name: rule.name.clone(), field: "when.kind", problem });
        }
        self.wanted().check_rule(rule)
    }

    /// The same of an objective. Its burn alerts have names that no other alert has.
    pub(crate) fn check_slo(&self, definition: &SloDefinition) -> Result<(), ConfigError> {
        let others = self.alerts.iter().filter(|alert| alert.objective() != Some(&*definition.name));
        let rules: Vec<AlertRule> = definition.rules().collect();
        check_names("alerts", others.map(|alert| &alert.rule.name).chain(rules.iter().map(|rule| &rule.name)))?;
        let wanted = self.wanted();
        wanted.check_slo(definition)?;
        rules.iter().try_for_each(|rule| wanted.check_rule(rule))
    }

    /// What alerts and objectives can be about, as if it were configured.
    fn wanted(&self) -> Config {
        Config {
            monitors: self.monitors.iter().map(|monitor| monitor.definition.clone()).collect(),
            charts: self.charts.iter().map(|chart| chart.definition.clone()).collect(),
            drifts: self.drifts.clone(),
            canaries: self.canaries.iter().map(|canary| canary.definition.clone()).collect(),
            ..Config::default()
        }
    }

    /// Ends what alerts are about, whoever was told of it being told so.
    fn withdraw(&mut self, is_meant: impl Fn(&Alert) -> bool) {
        let (now, mut told) = (self.now, Told::default());
        for alert in self.alerts.iter_mut().filter(|alert| is_meant(alert)) {
            alert.end(now, Resolution::Withdrawn, &mut told);
        }
        self.keep(told);
    }

    fn forget_alerts(&mut self, is_meant: impl Fn(&Alert) -> bool) {
        self.withdraw(&is_meant);
        self.alerts.retain(|alert| !is_meant(alert));
    }

    fn deliver(&mut self, id: &str, delivery: Delivery) {
        let waiting = self.outbox.iter_mut().find(|waiting| waiting.notification.id == id);
        let is_new = |waiting: &&mut Waiting| waiting.through.iter().all(|known| known.notifier != delivery.notifier);
        if let Some(waiting) = waiting.filter(is_new) {
            waiting.through.push(delivery);
        }
    }
}

fn check_new(subject: Subject, name: &str, is_taken: bool, count: usize, most: usize) -> Result<(), CommandError> {
    match name.chars().count() {
        1..=100 if is_taken => Err(CommandError::Exists(subject, name.to_owned())),
        1..=100 if count >= most => Err(CommandError::TooMany(subject, count)),
        1..=100 => Ok(()),
        _ => Err(CommandError::BadName(subject)),
    }
}

fn own(
    subject: Subject,
    name: &str,
    place: Option<usize>,
    is_configured: impl FnOnce(usize) -> bool,
) -> Result<usize, CommandError> {
    match place {
        None => Err(CommandError::Unknown(subject, name.to_owned())),
        Some(place) if is_configured(place) => Err(CommandError::Configured(subject, name.to_owned())),
        Some(place) => Ok(place),
    }
}
