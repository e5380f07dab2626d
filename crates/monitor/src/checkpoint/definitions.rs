//! Alerts and objectives that the API defined.

use super::messages::{self, alert_rule, slo_definition};
use super::{RestoreError, code, required};
use crate::alert::{AlertRule, AlertThreshold, Condition, Severity, Side};
use crate::canary::Verdict;
use crate::chart::ChartRule;
use crate::drift::Tokens;
use crate::slo::{BurnAlert, Objective, Period, SloDefinition};
use crate::snapshot::Field;

pub(super) fn alert_message(rule: &AlertRule) -> messages::AlertRule {
    messages::AlertRule {
        name: rule.name.clone(),
        monitor: rule.monitor.clone(),
        lasts: rule.lasts,
        minimum_requests: rule.minimum_requests,
        severity: code(&Severity::ALL, rule.severity),
        repeat: rule.repeat,
        condition: condition_message(&rule.condition),
    }
}

/// Burn rates have none: they belong to their objective.
fn condition_message(condition: &Condition) -> Option<alert_rule::Condition> {
    Some(match condition {
        Condition::Field { field, side, threshold } => {
            let (number, length) = match *threshold {
                AlertThreshold::Fixed(number) => (number, None),
                AlertThreshold::Baseline { factor, length } => (factor, Some(length)),
            };
            let (field, side) = (code(&Field::ALL, *field), code(&Side::ALL, *side));
            alert_rule::Condition::Field(messages::FieldCondition { field, side, number, length })
        }
        Condition::NoData => alert_rule::Condition::NoData(true),
        Condition::OutOfControl { chart, rules } => alert_rule::Condition::Chart(messages::ChartCondition {
            chart: chart.clone(),
            rules: rules.iter().map(|rule| code(&ChartRule::ALL, *rule)).collect(),
        }),
        Condition::Drift { tokens, above } => {
            let tokens = code(&Tokens::ALL, *tokens);
            alert_rule::Condition::Drift(messages::DriftCondition { tokens, above: *above })
        }
        Condition::Canary { canary, verdict } => {
            let (canary, verdict) = (canary.clone(), code(&Verdict::ALL, *verdict));
            alert_rule::Condition::Canary(messages::CanaryCondition { canary, verdict })
        }
        Condition::BurnRate { .. } => return None,
    })
}

pub(super) fn alert(told: messages::AlertRule) -> Result<AlertRule, RestoreError> {
    let condition = told.condition.ok_or_else(|| RestoreError::invalid("condition", "missing"))?;
    Ok(AlertRule {
        name: told.name,
        monitor: told.monitor,
        condition: self::condition(condition)?,
        lasts: told.lasts,
        minimum_requests: told.minimum_requests,
        severity: required(&Severity::ALL, told.severity, "severity")?,
        repeat: told.repeat,
    })
}

fn condition(told: alert_rule::Condition) -> Result<Condition, RestoreError> {
    Ok(match told {
        alert_rule::Condition::Field(messages::FieldCondition { field, side, number, length }) => Condition::Field {
            field: required(&Field::ALL, field, "field")?,
            side: required(&Side::ALL, side, "side")?,
            threshold: match length {
                None => AlertThreshold::Fixed(number),
                Some(length) => AlertThreshold::Baseline { factor: number, length },
            },
        },
        alert_rule::Condition::NoData(_) => Condition::NoData,
        alert_rule::Condition::Chart(messages::ChartCondition { chart, rules }) => {
            let rules = rules.into_iter().map(|rule| required(&ChartRule::ALL, rule, "rules"));
            Condition::OutOfControl { chart, rules: rules.collect::<Result<_, RestoreError>>()? }
        }
        alert_rule::Condition::Drift(messages::DriftCondition { tokens, above }) => {
            Condition::Drift { tokens: required(&Tokens::ALL, tokens, "tokens")?, above }
        }
        alert_rule::Condition::Canary(messages::CanaryCondition { canary, verdict }) => {
            Condition::Canary { canary, verdict: required(&Verdict::ALL, verdict, "verdict")? }
        }
    })
}

pub(super) fn slo_message(definition: &SloDefinition) -> messages::SloDefinition {
    let burn_alerts = definition.burn_alerts.iter().map(|alert| messages::BurnAlert {
        factor: alert.factor,
        window: alert.window,
        severity: code(&Severity::ALL, alert.severity),
    });
    messages::SloDefinition {
        name: definition.name.clone(),
        monitor: definition.monitor.clone(),
        objective: Some(match definition.objective {
            Objective::Availability => slo_definition::Objective::Availability(true),
            Objective::Latency(most) => slo_definition::Objective::Latency(most),
            Objective::TimeToFirstToken(most) => slo_definition::Objective::TimeToFirstToken(most),
        }),
        target: definition.target,
        period: code(&Period::ALL, definition.period),
        burn_alerts: burn_alerts.collect(),
        minimum_requests: definition.minimum_requests,
    }
}

pub(super) fn slo(told: messages::SloDefinition) -> Result<SloDefinition, RestoreError> {
    let objective = told.objective.ok_or_else(|| RestoreError::invalid("objective", "missing"))?;
    let burn_alerts = told.burn_alerts.into_iter().map(|messages::BurnAlert { factor, window, severity }| {
        Ok(BurnAlert { factor, window, severity: required(&Severity::ALL, severity, "severity")? })
    });
    Ok(SloDefinition {
        name: told.name,
        monitor: told.monitor,
        objective: match objective {
            slo_definition::Objective::Availability(_) => Objective::Availability,
            slo_definition::Objective::Latency(most) => Objective::Latency(most),
            slo_definition::Objective::TimeToFirstToken(most) => Objective::TimeToFirstToken(most),
        },
        target: told.target,
        period: required(&Period::ALL, told.period, "period")?,
        burn_alerts: burn_alerts.collect::<Result<_, RestoreError>>()?,
        minimum_requests: told.minimum_requests,
    })
}
