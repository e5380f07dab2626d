//! `slos`: what share of calls is to be good, and how fast the rest may be used up.

use monitor::{BurnAlert, Objective, Period, Severity, SloDefinition};
use serde::{Deserialize, Serialize};

use super::names::{Named, Time};

/// One of `slos`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slo {
    /// Its name.
    pub name: String,
    /// The monitor whose calls it is about.
    pub monitor: String,
    /// When a call is good.
    #[serde(default)]
    pub objective: Good,
    /// Within how long, for `latency` and `time_to_first_token`.
    #[serde(default)]
    pub within: Option<Time>,
    /// What share of calls is to be good.
    pub target: f64,
    /// Over how long.
    #[serde(default)]
    pub period: Named<Period>,
    /// When somebody is told that the budget is used up too fast; `null` is the usual three.
    #[serde(default)]
    pub burn_alerts: Option<Vec<Burn>>,
    /// With fewer calls in its long window a burn alert is not raised.
    #[serde(default = "Slo::default_minimum")]
    pub minimum_requests: u64,
}

impl Slo {
    fn default_minimum() -> u64 {
        SloDefinition::new("", "", Objective::Availability, 0.5).minimum_requests
    }

    /// `None` if what is needed is not said.
    pub(in crate::config) fn meaning(&self) -> Option<Objective> {
        match (self.objective, self.within) {
            (Good::Availability, None) => Some(Objective::Availability),
            (Good::Latency, Some(Time(within))) => Some(Objective::Latency(within)),
            (Good::TimeToFirstToken, Some(Time(within))) => Some(Objective::TimeToFirstToken(within)),
            _ => None,
        }
    }
}

/// `slos[].objective`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Good {
    /// It did not fail.
    #[default]
    Availability,
    /// It did not take too long.
    Latency,
    /// It did not take too long to begin.
    TimeToFirstToken,
}

/// One of `slos[].burn_alerts`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burn {
    /// How many times faster than lasts.
    pub factor: f64,
    /// Over how long, and over a twelfth of it.
    pub window: Time,
    /// How bad that is.
    #[serde(default)]
    pub severity: Named<Severity>,
}

impl Slo {
    pub(in crate::config) fn definition(&self) -> Option<SloDefinition> {
        let usual = SloDefinition::new(&self.name, &self.monitor, self.meaning()?, self.target);
        let burn_alerts = self.burn_alerts.as_ref().map(|alerts| {
            let alert =
                |burn: &Burn| BurnAlert { factor: burn.factor, window: burn.window.0, severity: burn.severity.0 };
            alerts.iter().map(alert).collect()
        });
        Some(SloDefinition {
            period: self.period.0,
            burn_alerts: burn_alerts.unwrap_or(usual.burn_alerts),
            minimum_requests: self.minimum_requests,
            ..usual
        })
    }
}
