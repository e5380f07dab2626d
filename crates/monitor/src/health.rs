//! Whether a model is healthy: snapshots against thresholds.

use crate::snapshot::{Field, Snapshot};

/// How a monitor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Health {
    /// All is below the thresholds.
    Healthy,
    /// A field has reached a threshold of warning.
    Warning,
    /// A field has reached a threshold of alarm.
    Critical,
    /// There are no calls in the window.
    NoData,
    /// There are too few calls in the window to judge.
    TooLittleTraffic,
}

impl Health {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Healthy, Self::Warning, Self::Critical, Self::NoData, Self::TooLittleTraffic];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::NoData => "no_data",
            Self::TooLittleTraffic => "too_little_traffic",
        }
    }
}

/// From where on a field is no longer healthy, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// The field.
    pub field: Field,
    /// From where on it is a warning.
    pub warning: f64,
    /// From where on it is critical.
    pub critical: f64,
}

/// By what a monitor is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthRules {
    /// With fewer calls in the window nothing is judged.
    pub minimum_requests: u64,
    /// What is judged. A field that no call tells is not.
    pub thresholds: Vec<Threshold>,
}

/// A field with warning and critical thresholds.
const fn threshold(field: Field, warning: f64, critical: f64) -> Threshold {
    Threshold { field, warning, critical }
}

/// Calls in the window that are enough to judge, unless another number is given.
const ENOUGH: u64 = 10;

impl HealthRules {
    /// For models that answer at once, as classifiers and embeddings do.
    pub fn service() -> Self {
        let thresholds = vec![threshold(Field::ErrorRate, 0.05, 0.10), threshold(Field::LatencyP99, 0.5, 1.0)];
        Self { minimum_requests: ENOUGH, thresholds }
    }

    /// For models that answer in seconds, and stream.
    pub fn llm() -> Self {
        let thresholds = vec![
            threshold(Field::ErrorRate, 0.05, 0.10),
            threshold(Field::TimeToFirstTokenP95, 5.0, 10.0),
            threshold(Field::LatencyP99, 60.0, 120.0),
        ];
        Self { minimum_requests: ENOUGH, thresholds }
    }

    /// The preset with a name: `service` or `llm`.
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "service" => Some(Self::service()),
            "llm" => Some(Self::llm()),
            _ => None,
        }
    }

    /// Judges a field by another threshold, or one more.
    pub fn set(&mut self, threshold: Threshold) {
        match self.thresholds.iter_mut().find(|known| known.field == threshold.field) {
            Some(known) => *known = threshold,
            None => self.thresholds.push(threshold),
        }
    }

    /// Does not judge a field.
    pub fn unset(&mut self, field: Field) {
        self.thresholds.retain(|known| known.field != field);
    }

    /// How a snapshot is.
    pub fn judge(&self, snapshot: &Snapshot) -> Health {
        match snapshot.requests {
            0 => Health::NoData,
            few if few < self.minimum_requests => Health::TooLittleTraffic,
            _ => self.thresholds.iter().map(|threshold| threshold.judge(snapshot)).max().unwrap_or(Health::Healthy),
        }
    }
}

impl Default for HealthRules {
    fn default() -> Self {
        Self::service()
    }
}

impl Threshold {
    /// Whether a warning comes before it is critical.
    pub(crate) fn is_one(&self) -> bool {
        self.warning <= self.critical && self.critical.is_finite() && self.warning.is_finite()
    }

    fn judge(&self, snapshot: &Snapshot) -> Health {
        match snapshot.get(self.field) {
            Some(value) if value >= self.critical => Health::Critical,
            Some(value) if value >= self.warning => Health::Warning,
            _ => Health::Healthy,
        }
    }
}

#[cfg(test)]
mod tests {
    use genai::ErrorClass;

    use super::*;
    use crate::call::Call;
    use crate::history::Stats;
    use crate::time::MINUTE;

    /// Health of so many calls, so many of them failed, of that duration in milliseconds.
    fn health(rules: &HealthRules, requests: u64, failed: u64, millis: u64) -> Health {
        let mut stats = Stats::default();
        for number in 0..requests {
            let error = (number < failed).then_some(ErrorClass::Timeout);
            stats.record(&Call { error, duration: Some(millis * 1_000_000), ..Call::default() });
        }
        rules.judge(&Snapshot::of(&stats, 0, 5 * MINUTE))
    }

    // The presets are those that are documented, with thresholds that are reached, not exceeded; the worst field decides.
    #[test]
    fn presets_judge_as_documented() {
        for (requests, failed, millis, expected) in [
            (0, 0, 0, Health::NoData),
            (9, 9, 1, Health::TooLittleTraffic),
            (100, 4, 100, Health::Healthy),
            (100, 5, 100, Health::Warning),
            (100, 9, 100, Health::Warning),
            (100, 10, 100, Health::Critical),
            (100, 0, 480, Health::Healthy),
            (100, 0, 520, Health::Warning),
            (100, 0, 960, Health::Warning),
            (100, 5, 1_040, Health::Critical),
        ] {
            assert_eq!(
                health(&HealthRules::service(), requests, failed, millis),
                expected,
                "{requests} {failed} {millis}"
            );
        }
        assert_eq!(health(&HealthRules::llm(), 100, 0, 30_000), Health::Healthy);
        assert_eq!(health(&HealthRules::llm(), 100, 0, 70_000), Health::Warning);
    }
}
