//! `monitors`, `alerts` and `slos`: what is watched. What these mean stands in the crate `monitor`; here is how it is written.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use monitor::{
    AlertRule, AlertThreshold, BurnAlert, CanaryDefinition, CanaryLimits, ChartDefinition, ChartRule, ColdStartRule,
    Condition, DriftDefinition, Field, HealthRules, MonitorDefinition, Objective, Period, Selector, Severity, Side,
    SloDefinition, Threshold, Tokens, Verdict, Versions, Window,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::units::{format_duration, parse_duration};

/// One of `monitors`: calls that are watched together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitor {
    /// By which everything else refers to it.
    pub name: String,
    /// Which calls; all of them if nothing is said.
    #[serde(default)]
    pub select: Select,
    /// How far back its snapshots look.
    #[serde(default)]
    pub window: Named<Window>,
    /// By what it is judged, unless thresholds are given.
    #[serde(default)]
    pub health: Preset,
    /// With fewer calls in the window nothing is judged; `null` is what the preset says.
    #[serde(default)]
    pub minimum_requests: Option<u64>,
    /// In place of those of the preset, by field.
    #[serde(default)]
    pub thresholds: BTreeMap<FieldName, Thresholds>,
    /// What a cold start is.
    #[serde(default)]
    pub cold_starts: ColdStarts,
    /// Control charts of its fields.
    #[serde(default)]
    pub charts: Vec<Chart>,
    /// Whether its tokens drift from what they were.
    #[serde(default)]
    pub drift: Option<Drift>,
    /// Versions that are compared.
    #[serde(default)]
    pub canaries: Vec<Canary>,
}

/// `monitors[].select`: what is given must be so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Select {
    /// `service.name`.
    pub service: Option<String>,
    /// `deployment.environment.name`.
    pub environment: Option<String>,
    /// The provider.
    pub provider: Option<String>,
    /// The model that answers, or, if none is told, the one that was asked for.
    pub model: Option<String>,
    /// The model that answers: a version of what was asked for.
    pub response_model: Option<String>,
    /// `gen_ai.operation.name`.
    pub operation: Option<String>,
    /// `service.version`, which must stand in `derive.dimensions` or `metrics.resource_attributes`.
    pub service_version: Option<String>,
    /// `server.address`, likewise.
    pub server_address: Option<String>,
}

/// `monitors[].health`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// For models that answer at once.
    #[default]
    Service,
    /// For models that answer in seconds.
    Llm,
}

/// From where on a field is a warning, and critical.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// In the unit of the field.
    pub warning: f64,
    /// The same.
    pub critical: f64,
}

/// `monitors[].cold_starts`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColdStarts {
    /// A time without a call.
    pub idle: Time,
    /// How many times the usual its time to the first token is, at least.
    pub factor: f64,
}

impl Default for ColdStarts {
    fn default() -> Self {
        let ColdStartRule { idle, factor } = ColdStartRule::default();
        Self { idle: Time(idle), factor }
    }
}

/// One of `monitors[].charts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    /// By which alerts refer to it.
    pub name: String,
    /// What it shows.
    pub field: FieldName,
    /// The time that makes a point.
    #[serde(default = "Chart::default_step")]
    pub step: Time,
    /// How many points are learned from.
    #[serde(default = "Chart::default_learning")]
    pub learning: usize,
    /// With fewer calls a time makes no point.
    #[serde(default = "Chart::default_minimum")]
    pub minimum_requests: u64,
}

impl Chart {
    fn usual() -> ChartDefinition {
        ChartDefinition::new("", "", Field::ErrorRate)
    }

    fn default_step() -> Time {
        Time(Self::usual().step)
    }

    fn default_learning() -> usize {
        Self::usual().learning
    }

    fn default_minimum() -> u64 {
        Self::usual().minimum_requests
    }
}

/// `monitors[].drift`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Drift {
    /// What is new.
    pub window: Time,
    /// The time before that it is compared with.
    pub reference: Time,
    /// With fewer calls of either nothing is said.
    pub minimum_requests: u64,
}

impl Default for Drift {
    fn default() -> Self {
        let DriftDefinition { window, reference, minimum_requests, .. } = DriftDefinition::new("");
        Self { window: Time(window), reference: Time(reference), minimum_requests }
    }
}

/// One of `monitors[].canaries`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canary {
    /// By which alerts refer to it.
    pub name: String,
    /// What tells the versions apart; `service_version` must be kept as in [`Select`].
    #[serde(default = "Canary::default_versions")]
    pub versions: Named<Versions>,
    /// The version that runs.
    pub baseline: String,
    /// The version that is tried.
    pub canary: String,
    /// How far back they are compared.
    #[serde(default = "Canary::default_window")]
    pub window: Time,
    /// With fewer calls of either nothing is said.
    #[serde(default = "Canary::default_minimum")]
    pub minimum_requests: u64,
}

impl Canary {
    fn default_versions() -> Named<Versions> {
        Named(CanaryDefinition::new("", "", "", "").versions)
    }

    fn default_window() -> Time {
        Time(CanaryDefinition::new("", "", "", "").window)
    }

    fn default_minimum() -> u64 {
        CanaryLimits::default().minimum_requests
    }
}

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
    pub(super) fn meaning(&self) -> Option<Objective> {
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

impl Monitor {
    pub(super) fn definition(&self) -> MonitorDefinition {
        let Select {
            service,
            environment,
            provider,
            model,
            response_model,
            operation,
            service_version,
            server_address,
        } = self.select.clone();
        let preset = match self.health {
            Preset::Service => HealthRules::service(),
            Preset::Llm => HealthRules::llm(),
        };
        let own = self.thresholds.iter().map(|(&FieldName(field), &Thresholds { warning, critical })| Threshold {
            field,
            warning,
            critical,
        });
        let own: Vec<Threshold> = own.collect();
        MonitorDefinition {
            name: self.name.clone(),
            selector: Selector {
                service,
                environment,
                provider,
                model,
                response_model,
                operation,
                service_version,
                server_address,
            },
            window: self.window.0,
            health: HealthRules {
                minimum_requests: self.minimum_requests.unwrap_or(preset.minimum_requests),
                thresholds: if own.is_empty() { preset.thresholds } else { own },
            },
            cold_starts: ColdStartRule { idle: self.cold_starts.idle.0, factor: self.cold_starts.factor },
        }
    }

    pub(super) fn chart_definitions(&self) -> impl Iterator<Item = ChartDefinition> {
        self.charts.iter().map(|chart| ChartDefinition {
            name: chart.name.clone(),
            monitor: self.name.clone(),
            field: chart.field.0,
            step: chart.step.0,
            learning: chart.learning,
            minimum_requests: chart.minimum_requests,
        })
    }

    pub(super) fn drift_definition(&self) -> Option<DriftDefinition> {
        let Drift { window: Time(window), reference: Time(reference), minimum_requests } = self.drift?;
        Some(DriftDefinition { monitor: self.name.clone(), window, reference, minimum_requests })
    }

    pub(super) fn canary_definitions(&self) -> impl Iterator<Item = CanaryDefinition> {
        self.canaries.iter().map(|canary| CanaryDefinition {
            name: canary.name.clone(),
            monitor: self.name.clone(),
            versions: canary.versions.0,
            baseline: canary.baseline.clone(),
            canary: canary.canary.clone(),
            window: canary.window.0,
            limits: CanaryLimits { minimum_requests: canary.minimum_requests, ..CanaryLimits::default() },
        })
    }
}

impl Alert {
    pub(super) fn rule(&self) -> Option<AlertRule> {
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

impl Slo {
    pub(super) fn definition(&self) -> Option<SloDefinition> {
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

/// A duration, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Time(pub u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_duration(Duration::from_nanos(self.0)))
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = parse_duration(text).map_err(|error| error.to_string())?;
        u64::try_from(duration.as_nanos()).map(Self).map_err(|_| "expected a shorter duration".to_owned())
    }
}

/// The name of a field, in the order of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldName(pub Field);

impl PartialOrd for FieldName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FieldName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.name().cmp(other.0.name())
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl FromStr for FieldName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, &Field::ALL, |field| field.name()).map(Self)
    }
}

super::units::serde_as_text!(Time, FieldName);

/// Something that the crate `monitor` gives a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Named<T>(pub T);

/// A kind of things with names.
pub trait Kind: Copy + 'static {
    /// All of them.
    const ALL: &'static [Self];
    /// How one is written.
    fn name(self) -> &'static str;
}

macro_rules! kinds {
    ($($kind:ty),+ $(,)?) => {$(
        impl Kind for $kind {
            const ALL: &'static [Self] = &<$kind>::ALL;

            fn name(self) -> &'static str {
                <$kind>::name(self)
            }
        }
    )+};
}
kinds!(Window, Severity, Versions, ChartRule, Tokens, Verdict, Period);

impl<T: Kind> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de, T: Kind> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        by_name(&text, T::ALL, T::name).map(Self).map_err(de::Error::custom)
    }
}

fn by_name<T: Copy>(text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, String> {
    let known = || all.iter().map(|one| name(*one)).collect::<Vec<_>>().join(", ");
    all.iter().copied().find(|one| name(*one) == text).ok_or_else(|| format!("expected one of {}", known()))
}
