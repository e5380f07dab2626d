//! `monitors`: calls that are watched together, and what is asked of them.

use std::collections::BTreeMap;

use monitor::{
    CanaryDefinition, CanaryLimits, ChartDefinition, ColdStartRule, DriftDefinition, Field, HealthRules,
    MonitorDefinition, Selector, Threshold, Versions, Window,
};
use serde::{Deserialize, Serialize};

use super::names::{FieldName, Named, Time};

/// One of `monitors`: calls that are watched together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Monitor {
    /// By which everything else refers to it.
    pub name: String,
    /// Which calls; all of them if nothing is said.
    #[serde(default)]
    pub select: Selector,
    /// How far back its snapshots look.
    #[serde(default)]
    pub window: Named<Window>,
    /// By what it is judged.
    #[serde(default)]
    pub health: Preset,
    /// With fewer calls in the window nothing is judged; `null` is what the preset says.
    #[serde(default)]
    pub minimum_requests: Option<u64>,
    /// In place of those of the preset, field by field; `null` does not judge one.
    #[serde(default)]
    pub thresholds: BTreeMap<FieldName, Option<Thresholds>>,
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
    /// What tells the versions apart; `service_version` must be kept as in [`Selector`].
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

impl Monitor {
    pub(in crate::config) fn definition(&self) -> MonitorDefinition {
        let mut health = match self.health {
            Preset::Service => HealthRules::service(),
            Preset::Llm => HealthRules::llm(),
        };
        health.minimum_requests = self.minimum_requests.unwrap_or(health.minimum_requests);
        for (&FieldName(field), own) in &self.thresholds {
            match *own {
                Some(Thresholds { warning, critical }) => health.set(Threshold { field, warning, critical }),
                None => health.unset(field),
            }
        }
        MonitorDefinition {
            name: self.name.clone(),
            selector: self.select.clone(),
            window: self.window.0,
            health,
            cold_starts: ColdStartRule { idle: self.cold_starts.idle.0, factor: self.cold_starts.factor },
        }
    }

    pub(in crate::config) fn chart_definitions(&self) -> impl Iterator<Item = ChartDefinition> {
        self.charts.iter().map(|chart| ChartDefinition {
            name: chart.name.clone(),
            monitor: self.name.clone(),
            field: chart.field.0,
            step: chart.step.0,
            learning: chart.learning,
            minimum_requests: chart.minimum_requests,
        })
    }

    pub(in crate::config) fn drift_definition(&self) -> Option<DriftDefinition> {
        let Drift { window: Time(window), reference: Time(reference), minimum_requests } = self.drift?;
        Some(DriftDefinition { monitor: self.name.clone(), window, reference, minimum_requests })
    }

    pub(in crate::config) fn canary_definitions(&self) -> impl Iterator<Item = CanaryDefinition> {
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
