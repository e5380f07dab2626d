//! Service level objectives: what share of calls is to be good, how much of the others was used up, and how fast.

use crate::alert::{AlertRule, Condition, Severity};
use crate::call::Call;
use crate::history::{Cell, LEVELS, Packer, Rings, Unpacker, ratio, window};
use crate::time::{DAY, HOUR};

/// When a call is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objective {
    /// It did not fail.
    Availability,
    /// It took at most so many nanoseconds. Failed calls do not count, nor do those that do not tell it.
    Latency(u64),
    /// Its first token came within so many nanoseconds. Failed calls do not count, nor do those that do not tell it.
    TimeToFirstToken(u64),
}

impl Objective {
    /// Whether a call is good; `None` if it does not count.
    fn is_met(self, call: &Call<'_>) -> Option<bool> {
        match self {
            Self::Availability => Some(call.error.is_none()),
            _ if call.error.is_some() => None,
            Self::Latency(most) => call.duration.map(|nanos| nanos <= most),
            Self::TimeToFirstToken(most) => call.time_to_first_token.map(|nanos| nanos <= most),
        }
    }
}

/// Over how long an objective is to be met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Period {
    /// 7 days.
    Week,
    /// 28 days.
    FourWeeks,
    /// 30 days.
    #[default]
    ThirtyDays,
}

impl Period {
    /// All of them. Checkpoints hold places in this list: what is new goes to its end.
    pub const ALL: [Self; 3] = [Self::Week, Self::FourWeeks, Self::ThirtyDays];

    /// Its name in configuration and API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Week => "7d",
            Self::FourWeeks => "28d",
            Self::ThirtyDays => "30d",
        }
    }

    /// Nanoseconds.
    pub const fn length(self) -> u64 {
        match self {
            Self::Week => 7 * DAY,
            Self::FourWeeks => 28 * DAY,
            Self::ThirtyDays => 30 * DAY,
        }
    }
}

/// An alert on how fast the budget is used up: by this factor faster than lasts, both over the window and over a twelfth of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BurnAlert {
    /// How many times faster.
    pub factor: f64,
    /// The long window, in nanoseconds: at most 30 days.
    pub window: u64,
    /// How bad that is.
    pub severity: Severity,
}

impl BurnAlert {
    /// The short window, in nanoseconds.
    pub const fn short_window(&self) -> u64 {
        self.window / 12
    }
}

/// The burn rates of Google's SRE workbook: 2 % of the budget of 30 days in an hour, 5 % in six hours, 10 % in three days.
pub const BURN_ALERTS: [BurnAlert; 3] = [
    BurnAlert { factor: 14.4, window: HOUR, severity: Severity::Critical },
    BurnAlert { factor: 6.0, window: 6 * HOUR, severity: Severity::Critical },
    BurnAlert { factor: 1.0, window: 3 * DAY, severity: Severity::Warning },
];

/// A service level objective.
#[derive(Debug, Clone, PartialEq)]
pub struct SloDefinition {
    /// Its name.
    pub name: String,
    /// The monitor whose calls it is about.
    pub monitor: String,
    /// When a call is good.
    pub objective: Objective,
    /// What share of calls is to be good: above 0, below 1.
    pub target: f64,
    /// Over how long.
    pub period: Period,
    /// When somebody is told.
    pub burn_alerts: Vec<BurnAlert>,
    /// With fewer calls in its long window no burn alert is raised.
    pub minimum_requests: u64,
}

impl SloDefinition {
    /// An objective with the defaults: 30 days, [`BURN_ALERTS`], 10 calls.
    pub fn new(name: &str, monitor: &str, objective: Objective, target: f64) -> Self {
        Self {
            name: name.to_owned(),
            monitor: monitor.to_owned(),
            objective,
            target,
            period: Period::default(),
            burn_alerts: BURN_ALERTS.into(),
            minimum_requests: 10,
        }
    }
}

impl SloDefinition {
    /// Its burn alerts.
    pub(crate) fn rules(&self) -> impl Iterator<Item = AlertRule> {
        self.burn_alerts.iter().map(|alert| AlertRule {
            severity: alert.severity,
            minimum_requests: 0,
            ..AlertRule::new(
                &format!("{} burns {}x", self.name, alert.factor),
                &self.monitor,
                Condition::BurnRate { slo: self.name.clone(), alert: *alert },
            )
        })
    }
}

/// Calls that count for an objective.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// All of them.
    pub total: u64,
    /// Those that are not good.
    pub bad: u64,
}

impl Cell for Budget {
    fn merge(&mut self, other: &Self) {
        self.total += other.total;
        self.bad += other.bad;
    }

    fn pack(&self, packer: &mut Packer) {
        packer.count(self.total);
        packer.count(self.bad);
    }

    fn add_packed(&mut self, packed: &mut Unpacker<'_>) -> Option<()> {
        self.total += packed.count()?;
        self.bad += packed.count()?;
        Some(())
    }
}

/// An objective, and the calls that count for it, since it was defined.
#[derive(Debug)]
pub struct Slo {
    pub(crate) definition: SloDefinition,
    pub(crate) is_configured: bool,
    pub(crate) rings: Rings<Budget>,
}

/// How an objective stands.
#[derive(Debug, Clone, PartialEq)]
pub struct SloStatus {
    /// The calls of the period.
    pub budget: Budget,
    /// How many calls may be bad.
    pub allowed: f64,
    /// The share of the budget that is left: 1 is all, below 0 the objective is missed; `None` without calls.
    pub left: Option<f64>,
    /// Burn rates over the long and the short window of each burn alert; `None` without calls.
    pub burn_rates: Vec<[Option<f64>; 2]>,
}

impl Slo {
    pub(crate) fn new(definition: SloDefinition, is_configured: bool) -> Self {
        Self { definition, is_configured, rings: Rings::default() }
    }

    /// Whether it stands in the configuration; else the API made it.
    pub fn is_configured(&self) -> bool {
        self.is_configured
    }

    /// Takes another definition. What was counted stays if the same calls count; target and period may change.
    pub(crate) fn redefine(&mut self, definition: SloDefinition) {
        if (&definition.monitor, definition.objective) != (&self.definition.monitor, self.definition.objective) {
            self.forget();
        }
        self.definition = definition;
    }

    /// Forgets what was counted: other calls count from now on.
    pub(crate) fn forget(&mut self) {
        self.rings = Rings::default();
    }

    /// What it is.
    pub fn definition(&self) -> &SloDefinition {
        &self.definition
    }

    pub(crate) fn record(&mut self, at: u64, call: &Call<'_>, packer: &mut Packer) {
        if call.is_late {
            return;
        }
        if let Some(is_good) = self.definition.objective.is_met(call) {
            let budget = self.rings.at(at, packer);
            budget.total += 1;
            budget.bad += u64::from(!is_good);
        }
    }

    /// How it stands at a time.
    pub fn status(&self, now: u64) -> SloStatus {
        let budget = self.rings.window(now, self.definition.period.length());
        let allowed = self.allowed(budget);
        let burn_rates = self.definition.burn_alerts.iter();
        SloStatus {
            budget,
            allowed,
            left: (budget.total > 0).then(|| 1.0 - budget.bad as f64 / allowed),
            burn_rates: burn_rates.map(|alert| self.burn_rates(now, alert)).collect(),
        }
    }

    /// How the budget was used up in the period: from the end of each quarter of an hour in which calls came to the share that was
    /// left then of what may be used in all of the period.
    pub fn burn_down(&self, now: u64) -> Vec<(u64, f64)> {
        let length = self.definition.period.length();
        let allowed = self.allowed(self.rings.window(now, length));
        let longest = LEVELS.len() - 1;
        let (mut used, mut points) = (Budget::default(), Vec::<(u64, f64)>::new());
        self.rings.each(longest, window(longest, now, length), |begin, step| {
            step.add_to(&mut used);
            let end = (begin + 1).next_multiple_of(LEVELS[longest].step).min(now);
            let point = (end, 1.0 - used.bad as f64 / allowed);
            match points.last_mut() {
                Some(last) if last.0 == end => *last = point,
                _ => points.push(point),
            }
        });
        points
    }

    fn allowed(&self, budget: Budget) -> f64 {
        (1.0 - self.definition.target) * budget.total as f64
    }

    /// How many times faster than lasts the budget was used up, over the long and the short window of an alert.
    pub(crate) fn burn_rates(&self, now: u64, alert: &BurnAlert) -> [Option<f64>; 2] {
        [alert.window, alert.short_window()].map(|length| self.burn_rate(self.rings.window(now, length)))
    }

    fn burn_rate(&self, budget: Budget) -> Option<f64> {
        ratio(budget.bad as f64, budget.total).map(|rate| rate / (1.0 - self.definition.target))
    }

    /// Calls that count in the long window of an alert.
    pub(crate) fn calls(&self, now: u64, alert: &BurnAlert) -> u64 {
        self.rings.window(now, alert.window).total
    }
}
