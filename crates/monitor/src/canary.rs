//! Two versions against each other: does the new one do worse than the one that runs?

use crate::call::Call;
use crate::history::{Rings, Stats};
use crate::selector::Attribute;
use crate::statistics::{RankTest, Test, rank_test, two_proportions};
use crate::time::HOUR;

/// What tells two versions apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Versions {
    /// The model that answers.
    ResponseModel,
    /// `service.version`.
    ServiceVersion,
}

impl Versions {
    /// All of them. Checkpoints hold places in this list: what is new goes to its end.
    pub const ALL: [Self; 2] = [Self::ResponseModel, Self::ServiceVersion];

    /// Its name in configuration and API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ResponseModel => "response_model",
            Self::ServiceVersion => "service_version",
        }
    }

    /// What it reads that may not be kept.
    pub const fn attribute(self) -> Option<Attribute> {
        match self {
            Self::ResponseModel => None,
            Self::ServiceVersion => Some(Attribute::ServiceVersion),
        }
    }

    const fn of<'a>(self, call: &Call<'a>) -> &'a str {
        match self {
            Self::ResponseModel => call.response_model,
            Self::ServiceVersion => call.service_version,
        }
    }
}

/// A comparison: a canary against the baseline beside which it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct CanaryDefinition {
    /// Its name.
    pub name: String,
    /// The monitor whose calls are compared.
    pub monitor: String,
    /// What tells them apart.
    pub versions: Versions,
    /// The version that runs.
    pub baseline: String,
    /// The version that is tried.
    pub canary: String,
    /// How far back calls are compared, in nanoseconds. Both should run for all of it.
    pub window: u64,
    /// What is worse.
    pub limits: CanaryLimits,
}

impl CanaryDefinition {
    /// A comparison with the defaults: of the last hour, by `service.version`.
    pub fn new(name: &str, monitor: &str, baseline: &str, canary: &str) -> Self {
        Self {
            name: name.to_owned(),
            monitor: monitor.to_owned(),
            versions: Versions::ServiceVersion,
            baseline: baseline.to_owned(),
            canary: canary.to_owned(),
            window: HOUR,
            limits: CanaryLimits::default(),
        }
    }

    /// Whether a call is of the canary or of the baseline, if of either.
    pub(crate) fn side(&self, call: &Call<'_>) -> Option<Side> {
        let version = self.versions.of(call);
        match () {
            () if version == self.canary => Some(Side::Canary),
            () if version == self.baseline => Some(Side::Baseline),
            () => None,
        }
    }
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Baseline,
    Canary,
}

/// From where on a canary is worse. What is worse in numbers and significant at 1 % fails, what is so at 5 %, or worse by
/// half as much at 1 %, is marginal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CanaryLimits {
    /// With fewer calls of either nothing is said.
    pub minimum_requests: u64,
    /// By how much the error rate may be higher, 0 to 1.
    pub error_rate: f64,
    /// By what share the median of a duration or of tokens may be higher: 0.1 is 10 %.
    pub median: f64,
    /// By what share a call may cost more.
    pub cost: f64,
}

impl Default for CanaryLimits {
    fn default() -> Self {
        Self { minimum_requests: 100, error_rate: 0.01, median: 0.1, cost: 0.1 }
    }
}

/// A comparison, and the calls of both versions.
#[derive(Debug)]
pub struct Canary {
    pub(crate) definition: CanaryDefinition,
    /// Baseline and canary.
    pub(crate) rings: [Rings<Stats>; 2],
}

impl Canary {
    pub(crate) fn new(definition: CanaryDefinition) -> Self {
        Self { definition, rings: [Rings::default(), Rings::default()] }
    }

    /// What it is.
    pub fn definition(&self) -> &CanaryDefinition {
        &self.definition
    }

    /// How the canary does at a time.
    pub fn report(&self, now: u64) -> CanaryReport {
        let [baseline, canary] = self.rings.each_ref().map(|rings| rings.window(now, self.definition.window));
        compare(&baseline, &canary, &self.definition.limits)
    }
}

/// What is said of a canary, or of one figure of it. The worst figure decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Too few calls, or none that tell the figure.
    TooLittleData,
    /// It does no worse.
    Pass,
    /// It may do worse.
    Marginal,
    /// It does worse.
    Fail,
}

impl Verdict {
    /// All of them, the worst last. Checkpoints hold places in this list.
    pub const ALL: [Self; 4] = [Self::TooLittleData, Self::Pass, Self::Marginal, Self::Fail];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLittleData => "too_little_data",
            Self::Pass => "pass",
            Self::Marginal => "marginal",
            Self::Fail => "fail",
        }
    }
}

/// A figure of both, and what is said of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// What is compared: `error_rate`, `latency`, `time_to_first_token`, `time_per_output_token`, `input_tokens`,
    /// `output_tokens` or `cost_per_request`.
    pub figure: &'static str,
    /// That of the baseline: a rate, a median (nanoseconds or tokens), or dollars; `None` if its calls do not tell it.
    pub baseline: Option<f64>,
    /// That of the canary.
    pub canary: Option<f64>,
    /// Whether they differ significantly; there is no test of costs.
    pub test: Option<Test>,
    /// How probable it is that a call of the canary has a greater value than one of the baseline; of rank tests only.
    pub superiority: Option<f64>,
    /// What is said of it.
    pub verdict: Verdict,
}

/// What is said of a canary, with the numbers behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct CanaryReport {
    /// The worst of all figures.
    pub verdict: Verdict,
    /// Calls of the baseline.
    pub baseline_requests: u64,
    /// Calls of the canary.
    pub canary_requests: u64,
    /// Figure by figure.
    pub comparisons: Vec<Comparison>,
}

/// Compares a canary with its baseline.
fn compare(baseline: &Stats, canary: &Stats, limits: &CanaryLimits) -> CanaryReport {
    let both = [baseline, canary];
    let medians = [
        ("latency", both.map(|stats| &stats.duration)),
        ("time_to_first_token", both.map(|stats| &stats.time_to_first_token)),
        ("time_per_output_token", both.map(|stats| &stats.time_per_output_token)),
        ("input_tokens", both.map(|stats| &stats.input_tokens)),
        ("output_tokens", both.map(|stats| &stats.output_tokens)),
    ];
    let mut comparisons = vec![error_rates(both, limits)];
    comparisons.extend(medians.map(|(figure, histograms)| {
        let is_enough = histograms.iter().all(|histogram| histogram.count() >= limits.minimum_requests);
        let values = histograms.map(|histogram| histogram.quantile(0.5));
        let ranks = rank_test(histograms[0], histograms[1]);
        let test = ranks.map(|RankTest { test, .. }| test);
        let verdict = match (is_enough, values, test) {
            (true, [Some(old), Some(new)], Some(test)) => judge(new - old, limits.median * old, test),
            _ => Verdict::TooLittleData,
        };
        let superiority = ranks.map(|ranks| ranks.superiority);
        Comparison { figure, baseline: values[0], canary: values[1], test, superiority, verdict }
    }));
    comparisons.push(costs(both, limits));
    let is_enough = both.iter().all(|stats| stats.requests >= limits.minimum_requests);
    let worst = comparisons.iter().map(|comparison| comparison.verdict).max().filter(|_| is_enough);
    CanaryReport {
        verdict: worst.unwrap_or(Verdict::TooLittleData),
        baseline_requests: baseline.requests,
        canary_requests: canary.requests,
        comparisons,
    }
}

fn error_rates(both: [&Stats; 2], limits: &CanaryLimits) -> Comparison {
    let rates = both.map(Stats::error_rate);
    let test = two_proportions(both.map(Stats::failed), both.map(|stats| stats.requests));
    let is_enough = both.iter().all(|stats| stats.requests >= limits.minimum_requests);
    let verdict = match (is_enough, rates, test) {
        (true, [Some(old), Some(new)], Some(test)) => judge(new - old, limits.error_rate, test),
        _ => Verdict::TooLittleData,
    };
    Comparison { figure: "error_rate", baseline: rates[0], canary: rates[1], test, superiority: None, verdict }
}

/// Costs are added up, so there is nothing to test: a ratio decides.
fn costs(both: [&Stats; 2], limits: &CanaryLimits) -> Comparison {
    let values = both.map(Stats::cost_per_request);
    let is_enough = both.iter().all(|stats| stats.requests - stats.unpriced >= limits.minimum_requests);
    let verdict = match values {
        [Some(old), Some(new)] if is_enough => match new - old {
            more if more > limits.cost * old => Verdict::Fail,
            more if more > limits.cost * old / 2.0 => Verdict::Marginal,
            _ => Verdict::Pass,
        },
        _ => Verdict::TooLittleData,
    };
    let [baseline, canary] = values;
    Comparison { figure: "cost_per_request", baseline, canary, test: None, superiority: None, verdict }
}

fn judge(difference: f64, limit: f64, test: Test) -> Verdict {
    // A median can be higher though ranks are lower: then nothing got worse.
    if test.z <= 0.0 || test.p > 0.05 {
        return Verdict::Pass;
    }
    match difference {
        more if more > limit && test.p <= 0.01 => Verdict::Fail,
        more if more > limit || more > limit / 2.0 && test.p <= 0.01 => Verdict::Marginal,
        _ => Verdict::Pass,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A figure fails if it is worse by more than the limit and significantly so; what is less clear is marginal; what is better, or
    // may be chance, passes.
    #[test]
    fn figures_are_judged_by_size_and_significance() {
        for (difference, z, p, expected) in [
            (1.1, 3.0, 0.002, Verdict::Fail),
            (1.1, 2.2, 0.03, Verdict::Marginal),
            (1.1, 1.0, 0.3, Verdict::Pass),
            (0.9, 3.0, 0.002, Verdict::Marginal),
            (0.9, 2.2, 0.03, Verdict::Pass),
            (0.4, 9.0, 1e-9, Verdict::Pass),
            (1.1, -3.0, 0.002, Verdict::Pass),
        ] {
            assert_eq!(judge(difference, 1.0, Test { z, p }), expected, "{difference} {z} {p}");
        }
    }

    // The worst figure decides; costs are judged by their ratio; with too few calls of either nothing is said.
    #[test]
    fn the_worst_figure_decides() {
        let calls = |count: u64, cost: i128, is_priced: bool| {
            let mut stats = Stats::default();
            let cost = is_priced.then(|| genai::Money::from_pico(cost));
            (0..count).for_each(|number| stats.record(&Call { cost, duration: Some(number), ..Call::default() }));
            stats
        };
        let verdict = |canary: &Stats| compare(&calls(200, 1_000, true), canary, &CanaryLimits::default()).verdict;
        assert_eq!(verdict(&calls(200, 1_040, true)), Verdict::Pass);
        assert_eq!(verdict(&calls(200, 1_060, true)), Verdict::Marginal);
        assert_eq!(verdict(&calls(200, 1_110, true)), Verdict::Fail);
        assert_eq!(verdict(&calls(200, 1_110, false)), Verdict::Pass);
        assert_eq!(verdict(&calls(99, 9_000, true)), Verdict::TooLittleData);
    }
}
