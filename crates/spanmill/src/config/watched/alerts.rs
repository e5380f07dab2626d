//! `alerts`: when somebody is told.

use monitor::{AlertRule, AlertThreshold, ChartRule, Condition, Severity, Side, Tokens, Verdict};
use serde::{Deserialize, Serialize};

use super::names::{FieldName, Named, Time};

/// One of `alerts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// The monitor that it watches.
    pub monitor: String,
    /// When it holds.
    pub when: When,
    /// For how long it must hold before it fires.
    #[serde(default, rename = "for")]
    pub lasts: Time,
    /// With fewer calls in the monitor's window it does not hold.
    #[serde(default = "Alert::default_minimum")]
    pub minimum_requests: u64,
    /// How bad it is.
    #[serde(default)]
    pub severity: Named<Severity>,
    /// After how long of firing somebody is told again; `null` is never.
    #[serde(default)]
    pub repeat: Option<Time>,
}

impl Alert {
    fn default_minimum() -> u64 {
        AlertRule::new("", "", Condition::NoData).minimum_requests
    }
}

/// `alerts[].when`: one of a field with one bound, no data, a chart, a drift, a canary.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct When(Written, Option<Condition>);

/// The same as it is written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<FieldName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_data: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chart: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<Named<Tokens>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    above: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    below: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Vec<Named<ChartRule>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Named<Verdict>>,
}

impl From<When> for Written {
    fn from(When(written, _): When) -> Self {
        written
    }
}

impl TryFrom<Written> for When {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let condition = written.condition()?;
        Ok(Self(written, Some(condition)))
    }
}

impl Written {
    fn condition(&self) -> Result<Condition, &'static str> {
        match self.clone() {
            Self { field: Some(FieldName(field)), above, below, baseline, .. }
                if *self == (Self { field: self.field, above, below, baseline, ..Self::default() }) =>
            {
                let (side, number) = match (above, below) {
                    (Some(number), None) => (Side::Above, number),
                    (None, Some(number)) => (Side::Below, number),
                    _ => return Err("a field wants either \"above\" or \"below\""),
                };
                let threshold = match baseline {
                    None => AlertThreshold::Fixed(number),
                    Some(Time(length)) => AlertThreshold::Baseline { factor: number, length },
                };
                Ok(Condition::Field { field, side, threshold })
            }
            Self { no_data: Some(true), .. } if *self == (Self { no_data: Some(true), ..Self::default() }) => {
                Ok(Condition::NoData)
            }
            Self { chart: Some(chart), rules, .. }
                if *self == (Self { chart: Some(chart.clone()), rules: rules.clone(), ..Self::default() }) =>
            {
                let rules = rules.map(|rules| rules.into_iter().map(|Named(rule)| rule).collect());
                Ok(Condition::OutOfControl { chart, rules: rules.unwrap_or_else(|| ChartRule::ALL.to_vec()) })
            }
            Self { drift: Some(drift), above, .. }
                if *self == (Self { drift: Some(drift), above, ..Self::default() }) =>
            {
                Ok(Condition::Drift { tokens: drift.0, above: above.unwrap_or(USUAL_DRIFT) })
            }
            Self { canary: Some(canary), verdict, .. }
                if *self == (Self { canary: Some(canary.clone()), verdict, ..Self::default() }) =>
            {
                Ok(Condition::Canary { canary, verdict: verdict.map_or(Verdict::Fail, |Named(verdict)| verdict) })
            }
            _ => Err("expected one of { field, above or below, baseline }, { no_data: true }, { chart, rules }, \
                 { drift, above }, { canary, verdict }"),
        }
    }
}

/// From where on the population stability index is usually taken for a change.
const USUAL_DRIFT: f64 = 0.25;

impl Alert {
    pub(in crate::config) fn rule(&self) -> Option<AlertRule> {
        Some(AlertRule {
            name: self.name.clone(),
            monitor: self.monitor.clone(),
            condition: self.when.1.clone()?,
            lasts: self.lasts.0,
            minimum_requests: self.minimum_requests,
            severity: self.severity.0,
            repeat: self.repeat.map(|Time(repeat)| repeat),
        })
    }
}
