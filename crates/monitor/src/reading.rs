//! What the condition of an alert comes to.

use crate::alert::{Alert, AlertRule, AlertThreshold, Baseline, Condition, Phase, Reading, Side};
use crate::chart::ChartRule;
use crate::history::{self, LEVELS, Stats};
use crate::monitor::Monitor;
use crate::monitoring::Monitoring;
use crate::slo::BurnAlert;
use crate::snapshot::{Field, Snapshot};
use crate::time::{Range, floor};

impl Monitoring {
    /// What the condition of an alert on a monitor comes to at a time.
    pub(crate) fn read(&self, alert: &mut Alert, monitor: &Monitor, now: u64) -> Reading {
        let Some(snapshot) = monitor.snapshot() else { return Reading::Unknown };
        let AlertRule { condition, minimum_requests, .. } = &alert.rule;
        // What fires goes on: it ends when there are enough calls.
        let is_seen = snapshot.at.saturating_sub(snapshot.length) >= self.unseen.to;
        if !is_seen && condition.is_of_too_few() && !matches!(alert.phase, Phase::Firing(_)) {
            return Reading::Unknown;
        }
        if *condition == Condition::NoData {
            let holds = snapshot.requests == 0 && monitor.last_call().is_some();
            return Reading::Known { value: snapshot.requests as f64, threshold: 1.0, holds };
        }
        if snapshot.requests < *minimum_requests {
            return Reading::Unknown;
        }
        let reading = match condition {
            Condition::NoData => None,
            Condition::Field { field, side, threshold } => snapshot.get(*field).and_then(|value| {
                let since = alert.phase.since();
                let threshold = match threshold {
                    AlertThreshold::Fixed(threshold) => *threshold,
                    AlertThreshold::Baseline { factor, length } => {
                        let kept = std::array::from_fn(|level| history::since(level, now, &self.own_forgotten));
                        let (unseen, least) = (self.unseen, *minimum_requests);
                        let usual = Usual { field: *field, length: *length, least, unseen, kept };
                        factor * usual.value(&mut alert.baseline, since, monitor, snapshot)?
                    }
                };
                Some(Reading::compare(value, *side, threshold))
            }),
            Condition::OutOfControl { chart, rules } => self.chart_reading(chart, rules, now),
            Condition::Drift { tokens, above } => self
                .drift_at(monitor.name(), now)
                .and_then(|report| report.index[*tokens as usize])
                .map(|index| Reading::compare(index, Side::Above, *above)),
            Condition::Canary { canary, verdict } => {
                let canary = self.canaries().iter().find(|known| known.definition().name == *canary);
                canary.map(|canary| {
                    let told = canary.report(now).verdict;
                    Reading::Known {
                        value: told as u8 as f64,
                        threshold: *verdict as u8 as f64,
                        holds: told >= *verdict,
                    }
                })
            }
            Condition::BurnRate { slo, alert } => self.burn_reading(slo, alert, now),
        };
        reading.unwrap_or(Reading::Unknown)
    }

    /// What the newest point of a control chart says, unless it is older than two steps.
    fn chart_reading(&self, name: &str, rules: &[ChartRule], now: u64) -> Option<Reading> {
        let chart = self.charts().iter().find(|chart| chart.definition().name == name)?;
        let limits = chart.limits()?;
        let point = chart.points().next_back().filter(|point| now < point.at + 2 * chart.definition().step)?;
        let nearest = if point.value > limits.mean { limits.upper() } else { limits.lower() };
        let holds = point.broken.iter().any(|rule| rules.contains(rule));
        Some(Reading::Known { value: point.value, threshold: nearest, holds })
    }

    /// The slower of the burn rates over the long and the short window: both must be too fast.
    fn burn_reading(&self, name: &str, alert: &BurnAlert, now: u64) -> Option<Reading> {
        let slo = self.slos().iter().find(|slo| slo.definition().name == name)?;
        if slo.calls(now, alert) < slo.definition().minimum_requests {
            return None;
        }
        let [long, short] = slo.burn_rates(now, alert);
        // Without calls in the short window nothing is used up.
        Some(Reading::compare(long?.min(short.unwrap_or(0.0)), Side::Above, alert.factor))
    }
}

/// What a field usually is.
struct Usual {
    field: Field,
    /// Over how long.
    length: u64,
    /// With fewer calls it is not known.
    least: u64,
    /// The newest time of which nothing is known.
    unseen: Range,
    /// From when on all steps of each length are kept.
    kept: [u64; LEVELS.len()],
}

impl Usual {
    /// What it is before the window of a snapshot, or what it was before an alert held that holds `since` a time.
    fn value(
        &self,
        known: &mut Option<Baseline>,
        since: Option<u64>,
        monitor: &Monitor,
        snapshot: &Snapshot,
    ) -> Option<f64> {
        let window = snapshot.length;
        let is_frozen = since.is_some_and(|since| snapshot.at.saturating_sub(since) < self.length);
        let level = self.level(Range::before(snapshot.at - window, self.length).from);
        let until = floor(snapshot.at - window, LEVELS[level].step);
        let is_current = |known: &Baseline| known.window == window && (known.until == until || is_frozen);
        if !known.as_ref().is_some_and(is_current) {
            let value = self.over(Range::before(until, self.length), level, monitor, window);
            *known = value.map(|value| Baseline { until, window, value });
        }
        known.map(|known| known.value)
    }

    /// The longest steps of which there are enough in it, of those that are kept from a time on, or else that reach back the furthest.
    fn level(&self, from: u64) -> usize {
        let enough = (0..LEVELS.len()).rev().filter(|level| LEVELS[*level].step * 24 <= self.length);
        enough.min_by_key(|level| self.kept[*level].max(from)).unwrap_or(0)
    }

    /// The field over a range, as it would be in a window of a length. It is known when the calls of one such window are.
    fn over(&self, range: Range, level: usize, monitor: &Monitor, window: u64) -> Option<f64> {
        let known =
            Range { from: range.from.max(monitor.since).max(monitor.first_call).max(self.kept[level]), to: range.to };
        let covered = known.length() - known.overlap(self.unseen);
        if monitor.first_call == 0 || covered < window {
            return None;
        }
        let mut stats = Stats::default();
        monitor.rings.sum(level, range, &mut stats);
        let value = self.field.of(&stats, covered).filter(|_| stats.requests >= self.least.max(1))?;
        Some(if self.field.is_sum() { value * window as f64 / covered as f64 } else { value })
    }
}
