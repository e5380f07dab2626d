//! What is about a monitor: objectives, charts and canaries. They go on while they mean the same, else they start anew.

use super::{RestoreError, code, definitions, messages, required, rings};
use crate::canary::{Canary, CanaryDefinition};
use crate::chart::{Chart, ChartPoint, ChartRule, Limits};
use crate::slo::{Slo, SloDefinition};

/// What decides whether an objective means the same: its target may change.
fn slo_subject(SloDefinition { name, monitor, objective, .. }: &SloDefinition) -> messages::Subject {
    subject(name, monitor, format!("{objective:?}"))
}

/// What decides whether a canary means the same.
fn canary_subject(definition: &CanaryDefinition) -> messages::Subject {
    let CanaryDefinition { name, monitor, versions, baseline, canary, .. } = definition;
    subject(name, monitor, format!("{versions:?} {baseline:?} {canary:?}"))
}

fn chart_subject(chart: &Chart) -> messages::Subject {
    let definition = chart.definition();
    subject(&definition.name, &definition.monitor, format!("{definition:?}"))
}

pub(super) fn subject(name: &str, monitor: &str, definition: String) -> messages::Subject {
    messages::Subject { name: name.to_owned(), monitor: monitor.to_owned(), definition }
}

pub(super) fn slo_message(slo: &Slo) -> messages::Slo {
    let made = (!slo.is_configured).then(|| definitions::slo_message(slo.definition()));
    messages::Slo { subject: Some(slo_subject(slo.definition())), rings: Some(rings::message(&slo.rings)), made }
}

/// Tells whether there is still such an objective.
pub(super) fn restore_slo(slos: &mut [Slo], told: &messages::Slo, now: u64) -> Result<bool, RestoreError> {
    let restored = rings::restored(told.rings.as_ref(), now)?;
    let is_it = |slo: &&mut Slo| told.subject.as_ref() == Some(&slo_subject(slo.definition()));
    let Some(slo) = slos.iter_mut().find(is_it) else { return Ok(false) };
    slo.rings = restored;
    Ok(true)
}

pub(super) fn canary_message(canary: &Canary) -> messages::Canary {
    let [of_baseline, of_canary] = canary.rings.each_ref().map(|rings| Some(rings::message(rings)));
    messages::Canary { subject: Some(canary_subject(canary.definition())), baseline: of_baseline, canary: of_canary }
}

pub(super) fn restore_canary(canaries: &mut [Canary], told: &messages::Canary, now: u64) -> Result<(), RestoreError> {
    let restored = [rings::restored(told.baseline.as_ref(), now)?, rings::restored(told.canary.as_ref(), now)?];
    let is_it = |canary: &&mut Canary| told.subject.as_ref() == Some(&canary_subject(canary.definition()));
    if let Some(canary) = canaries.iter_mut().find(is_it) {
        canary.rings = restored;
    }
    Ok(())
}

pub(super) fn chart_message(chart: &Chart) -> messages::Chart {
    let points = chart.points.iter().map(|point| messages::ChartPoint {
        at: point.at,
        value: point.value,
        broken: point.broken.iter().map(|rule| code(&ChartRule::ALL, *rule)).collect(),
    });
    messages::Chart {
        subject: Some(chart_subject(chart)),
        learned: chart.learned.clone(),
        mean: chart.limits.map(|limits| limits.mean),
        deviation: chart.limits.map(|limits| limits.deviation).unwrap_or_default(),
        points: points.collect(),
    }
}

pub(super) fn restore_chart(charts: &mut [Chart], told: messages::Chart, now: u64) -> Result<(), RestoreError> {
    let points = told.points.into_iter().map(|point| {
        let broken = point.broken.into_iter().map(|rule| required(&ChartRule::ALL, rule, "broken"));
        super::check(point.at <= now, "at", "later than all that was told")?;
        Ok(ChartPoint { at: point.at, value: point.value, broken: broken.collect::<Result<_, RestoreError>>()? })
    });
    let points = points.collect::<Result<_, RestoreError>>()?;
    let is_it = |chart: &&mut Chart| told.subject.as_ref() == Some(&chart_subject(chart));
    if let Some(chart) = charts.iter_mut().find(is_it) {
        chart.limits = told.mean.map(|mean| Limits { mean, deviation: told.deviation });
        chart.learned = told.learned;
        chart.points = points;
    }
    Ok(())
}
