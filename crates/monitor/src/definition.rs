//! What is to be watched, as configuration and API define it.

use std::collections::HashSet;

use crate::alert::{AlertRule, AlertThreshold, Condition};
use crate::canary::CanaryDefinition;
use crate::chart::ChartDefinition;
use crate::command::MOST_MONITORS;
use crate::drift::DriftDefinition;
use crate::health::{HealthRules, Threshold};
use crate::history::HistoryConfig;
use crate::monitoring::EVALUATION_STEP;
use crate::selector::{Attribute, Selector};
use crate::slo::SloDefinition;
use crate::time::{DAY, HOUR, MINUTE};

/// Everything that is configured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// The bounds of the history.
    pub history: HistoryConfig,
    /// Monitors.
    pub monitors: Vec<MonitorDefinition>,
    /// When somebody is told.
    pub alerts: Vec<AlertRule>,
    /// What is promised.
    pub slos: Vec<SloDefinition>,
    /// Control charts.
    pub charts: Vec<ChartDefinition>,
    /// Whose distributions of tokens are compared with their past.
    pub drifts: Vec<DriftDefinition>,
    /// Versions that are compared.
    pub canaries: Vec<CanaryDefinition>,
    /// What is not kept of calls, so that nothing can be told apart by it.
    pub not_kept: Vec<Attribute>,
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{section}: {name:?}: {problem}")]
pub struct ConfigError {
    /// Where: `monitors`, `alerts`, `slos`, `charts`, `drifts` or `canaries`.
    pub section: &'static str,
    /// The name of what is wrong there.
    pub name: String,
    /// Which of its fields, as the API calls it.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl ConfigError {
    /// Whether it is right by itself, but what it refers to is not there.
    pub fn is_reference(&self) -> bool {
        matches!(self.field, "monitor" | "when.chart" | "when.canary" | "when.tokens")
    }
}

impl Config {
    /// All alerts: the configured ones, and those of objectives.
    pub(crate) fn rules(&self) -> Vec<AlertRule> {
        self.alerts.iter().cloned().chain(self.slos.iter().flat_map(SloDefinition::rules)).collect()
    }

    /// Whether everything it refers to is there, names are told apart, and numbers are what they can be.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        let monitors: HashSet<&str> = self.monitors.iter().map(|monitor| &*monitor.name).collect();
        let rules = self.rules();
        check_names("monitors", self.monitors.iter().map(|monitor| &monitor.name))?;
        check_names("alerts", rules.iter().map(|rule| &rule.name))?;
        check_names("slos", self.slos.iter().map(|slo| &slo.name))?;
        check_names("charts", self.charts.iter().map(|chart| &chart.name))?;
        check_names("drifts", self.drifts.iter().map(|drift| &drift.monitor))?;
        check_names("canaries", self.canaries.iter().map(|canary| &canary.name))?;
        let is_monitor = |name: &String| monitors.contains(&**name);
        let no_monitor = "there is no such monitor";
        let most = self.monitors.get(MOST_MONITORS).map(|monitor| &monitor.name);
        check("monitors", most.unwrap_or(&String::new()), "name", most.is_none(), "more monitors than there may be")?;
        self.monitors.iter().try_for_each(check_monitor)?;
        self.slos.iter().try_for_each(|slo| self.check_slo(slo))?;
        for chart in &self.charts {
            let wrong = |field, is_right, problem| check("charts", &chart.name, field, is_right, problem);
            wrong("monitor", is_monitor(&chart.monitor), no_monitor)?;
            let is_step = chart.step.is_multiple_of(EVALUATION_STEP) && (1..=HOUR).contains(&chart.step);
            wrong("step", is_step, "the step is no multiple of 10s, or above 1h")?;
            wrong("learning", (2..=10_000).contains(&chart.learning), "it cannot learn from so many points")?;
        }
        for drift in &self.drifts {
            let wrong = |field, is_right, problem| check("drifts", &drift.monitor, field, is_right, problem);
            wrong("monitor", is_monitor(&drift.monitor), no_monitor)?;
            let is_kept = drift.window.saturating_add(drift.reference) <= 30 * DAY;
            wrong(
                "window",
                is_kept && drift.window > 0 && drift.reference > 0,
                "window and reference are not within 30d",
            )?;
        }
        for canary in &self.canaries {
            let wrong = |field, is_right, problem| check("canaries", &canary.name, field, is_right, problem);
            wrong("monitor", is_monitor(&canary.monitor), no_monitor)?;
            wrong("canary", canary.baseline != canary.canary, "baseline and canary are the same")?;
            wrong("window", (1..=30 * DAY).contains(&canary.window), "the window is not within 30d")?;
        }
        rules.iter().try_for_each(|rule| self.check_rule(rule))
    }

    /// Whether an objective fits what there is; its burn alerts left out.
    pub(crate) fn check_slo(&self, slo: &SloDefinition) -> Result<(), ConfigError> {
        let wrong = |field, is_right, problem| check("slos", &slo.name, field, is_right, problem);
        wrong("monitor", self.monitors.iter().any(|monitor| monitor.name == slo.monitor), "there is no such monitor")?;
        wrong("target", 0.0 < slo.target && slo.target < 1.0, "the target is not between 0 and 1")?;
        for alert in &slo.burn_alerts {
            wrong("burn_alerts", alert.factor > 0.0, "a burn rate is not above 0")?;
            wrong(
                "burn_alerts",
                (2 * MINUTE..=30 * DAY).contains(&alert.window),
                "a burn window is not between 2m and 30d",
            )?;
        }
        Ok(())
    }

    /// Whether an alert fits what there is.
    pub(crate) fn check_rule(&self, rule: &AlertRule) -> Result<(), ConfigError> {
        let wrong = |field, is_right, problem| check("alerts", &rule.name, field, is_right, problem);
        wrong("monitor", self.monitors.iter().any(|monitor| monitor.name == rule.monitor), "there is no such monitor")?;
        wrong("repeat_seconds", rule.repeat != Some(0), "it cannot be repeated all the time")?;
        match &rule.condition {
            Condition::NoData => Ok(()),
            Condition::Field { threshold: AlertThreshold::Fixed(number), .. }
            | Condition::Drift { above: number, .. }
                if !number.is_finite() =>
            {
                wrong("when.threshold", false, "the threshold is no number")
            }
            Condition::Field { field, threshold: AlertThreshold::Fixed(number), .. } => {
                wrong("when.threshold", field.can_be(*number), NO_SHARE)
            }
            Condition::Field { threshold: AlertThreshold::Baseline { factor, length }, .. } => {
                wrong("when.factor", factor.is_finite() && *factor > 0.0, "the factor is not above 0")?;
                wrong(
                    "when.length_seconds",
                    (MINUTE..=29 * DAY).contains(length),
                    "the baseline is not between 1m and 29d",
                )
            }
            Condition::BurnRate { .. } => Ok(()),
            Condition::Drift { .. } => wrong(
                "when.tokens",
                self.drifts.iter().any(|drift| drift.monitor == rule.monitor),
                "no drift of its monitor is configured",
            ),
            Condition::OutOfControl { chart, rules } => {
                let mut charts = self.charts.iter();
                let is_chart = charts.any(|known| known.name == *chart && known.monitor == rule.monitor);
                wrong("when.chart", is_chart, "its monitor has no such chart")?;
                wrong("when.rules", !rules.is_empty(), "it names no rule of the chart")
            }
            Condition::Canary { canary, .. } => {
                let mut canaries = self.canaries.iter();
                wrong(
                    "when.canary",
                    canaries.any(|known| known.name == *canary && known.monitor == rule.monitor),
                    "its monitor has no such canary",
                )
            }
        }
    }
}

fn check(
    section: &'static str,
    name: &str,
    field: &'static str,
    is_right: bool,
    problem: &'static str,
) -> Result<(), ConfigError> {
    if is_right { Ok(()) } else { Err(ConfigError { section, name: name.to_owned(), field, problem }) }
}

/// What is wrong with percent in place of a share: it would never be reached.
const NO_SHARE: &str = "a share is between 0 and 1: 5 % are 0.05";

/// Whether a monitor can be what it shall be.
pub(crate) fn check_monitor(monitor: &MonitorDefinition) -> Result<(), ConfigError> {
    let wrong = |is_right, problem| check("monitors", &monitor.name, "thresholds", is_right, problem);
    let mut thresholds = monitor.health.thresholds.iter();
    wrong(thresholds.clone().all(Threshold::is_one), "a warning begins above what is critical, or is no number")?;
    wrong(thresholds.all(|threshold| threshold.field.can_be(threshold.warning)), NO_SHARE)
}

/// Names say something, and are told apart.
pub(crate) fn check_names<'a>(
    section: &'static str,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), ConfigError> {
    let mut known = HashSet::new();
    for name in names {
        check(section, name, "name", !name.is_empty(), "the name is empty")?;
        check(section, name, "name", known.insert(name), "the name stands twice")?;
    }
    Ok(())
}

/// A monitor: calls that are watched together.
#[derive(Debug, Clone, PartialEq)]
pub struct MonitorDefinition {
    /// Its name, by which everything else refers to it.
    pub name: String,
    /// Which calls.
    pub selector: Selector,
    /// How far back its snapshots look.
    pub window: Window,
    /// When it is healthy.
    pub health: HealthRules,
    /// What a cold start is.
    pub cold_starts: ColdStartRule,
}

impl MonitorDefinition {
    /// A monitor with the defaults: 5 minutes, the preset `service`.
    pub fn new(name: &str, selector: Selector) -> Self {
        Self {
            name: name.to_owned(),
            selector,
            window: Window::default(),
            health: HealthRules::default(),
            cold_starts: ColdStartRule::default(),
        }
    }
}

/// How far back a snapshot looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Window {
    /// Five minutes.
    #[default]
    FiveMinutes,
    /// A quarter of an hour.
    FifteenMinutes,
    /// An hour.
    Hour,
    /// Six hours.
    SixHours,
    /// A day.
    Day,
}

impl Window {
    /// All of them. Checkpoints hold places in this list: what is new goes to its end.
    pub const ALL: [Self; 5] = [Self::FiveMinutes, Self::FifteenMinutes, Self::Hour, Self::SixHours, Self::Day];

    /// Nanoseconds.
    pub const fn length(self) -> u64 {
        match self {
            Self::FiveMinutes => 5 * MINUTE,
            Self::FifteenMinutes => 15 * MINUTE,
            Self::Hour => HOUR,
            Self::SixHours => 6 * HOUR,
            Self::Day => DAY,
        }
    }

    /// Its name in configuration and API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::FifteenMinutes => "15m",
            Self::Hour => "1h",
            Self::SixHours => "6h",
            Self::Day => "1d",
        }
    }
}

/// A cold start: the first call after a time without any, if it waits far longer than others for its first token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColdStartRule {
    /// Nanoseconds without a call.
    pub idle: u64,
    /// How many times the median of the last day its time to first token is, at least.
    pub factor: f64,
}

impl Default for ColdStartRule {
    fn default() -> Self {
        Self { idle: 5 * MINUTE, factor: 3.0 }
    }
}
