//! Commands as bytes, for the log: what was done to monitors is done again when it is replayed.

use prost::Message as _;

use super::messages::command::Kind;
use super::messages::{self, Delivered, Mute};
use super::{RestoreError, alerts, definitions, monitors};
use crate::command::Command;

impl Command {
    /// The command as bytes, for [`Command::decode`].
    pub fn encode(&self) -> Vec<u8> {
        let kind = match self {
            Self::Create(definition) => Kind::Create(monitors::definition_message(definition)),
            Self::Replace(definition) => Kind::Replace(monitors::definition_message(definition)),
            Self::Activate(monitor) => Kind::Activate(monitor.clone()),
            Self::Pause(monitor) => Kind::Pause(monitor.clone()),
            Self::Archive(monitor) => Kind::Archive(monitor.clone()),
            Self::Remove(monitor) => Kind::Remove(monitor.clone()),
            Self::Mute(monitor, until) => Kind::Mute(Mute { monitor: monitor.clone(), until: *until }),
            Self::Delivered { notification, delivery } => {
                let delivery = Some(alerts::delivery_message(delivery));
                Kind::Delivered(Delivered { notification: notification.clone(), delivery })
            }
            Self::Acknowledge(notification) => Kind::Acknowledge(notification.clone()),
            Self::CreateAlert(rule) => Kind::CreateAlert(definitions::alert_message(rule)),
            Self::ReplaceAlert(rule) => Kind::ReplaceAlert(definitions::alert_message(rule)),
            Self::RemoveAlert(alert) => Kind::RemoveAlert(alert.clone()),
            Self::CreateSlo(definition) => Kind::CreateSlo(definitions::slo_message(definition)),
            Self::ReplaceSlo(definition) => Kind::ReplaceSlo(definitions::slo_message(definition)),
            Self::RemoveSlo(slo) => Kind::RemoveSlo(slo.clone()),
        };
        messages::Command { kind: Some(kind) }.encode_to_vec()
    }

    /// The command that was [encoded](Command::encode).
    ///
    /// # Errors
    /// The bytes are no command that this version knows.
    pub fn decode(bytes: &[u8]) -> Result<Self, RestoreError> {
        let stored = messages::Command::decode(bytes);
        let stored = stored.map_err(|error| RestoreError::invalid("command", &error.to_string()))?;
        let kind = stored.kind.ok_or_else(|| RestoreError::invalid("command", "of an unknown kind"))?;
        Ok(match kind {
            Kind::Create(definition) => Self::Create(Box::new(monitors::definition(definition)?)),
            Kind::Replace(definition) => Self::Replace(Box::new(monitors::definition(definition)?)),
            Kind::Activate(monitor) => Self::Activate(monitor),
            Kind::Pause(monitor) => Self::Pause(monitor),
            Kind::Archive(monitor) => Self::Archive(monitor),
            Kind::Remove(monitor) => Self::Remove(monitor),
            Kind::Mute(Mute { monitor, until }) => Self::Mute(monitor, until),
            Kind::Delivered(Delivered { notification, delivery }) => {
                Self::Delivered { notification, delivery: alerts::delivery(delivery.unwrap_or_default())? }
            }
            Kind::Acknowledge(notification) => Self::Acknowledge(notification),
            Kind::CreateAlert(rule) => Self::CreateAlert(Box::new(definitions::alert(rule)?)),
            Kind::ReplaceAlert(rule) => Self::ReplaceAlert(Box::new(definitions::alert(rule)?)),
            Kind::RemoveAlert(alert) => Self::RemoveAlert(alert),
            Kind::CreateSlo(definition) => Self::CreateSlo(Box::new(definitions::slo(definition)?)),
            Kind::ReplaceSlo(definition) => Self::ReplaceSlo(Box::new(definitions::slo(definition)?)),
            Kind::RemoveSlo(slo) => Self::RemoveSlo(slo),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{AlertRule, AlertThreshold, Condition, Severity, Side};
    use crate::canary::Verdict;
    use crate::chart::ChartRule;
    use crate::definition::{MonitorDefinition, Window};
    use crate::delivery::{Delivery, DeliveryOutcome};
    use crate::drift::Tokens;
    use crate::health::HealthRules;
    use crate::selector::Selector;
    use crate::slo::{Objective, Period, SloDefinition};
    use crate::snapshot::Field;

    /// An alert of every condition that the API can give one.
    fn rules() -> impl Iterator<Item = Box<AlertRule>> {
        let field = |threshold| Condition::Field { field: Field::Cost, side: Side::Below, threshold };
        let conditions = [
            field(AlertThreshold::Fixed(1.5)),
            field(AlertThreshold::Baseline { factor: 2.0, length: 77 }),
            Condition::NoData,
            Condition::OutOfControl { chart: "c".to_owned(), rules: vec![ChartRule::Trend, ChartRule::Outside] },
            Condition::Drift { tokens: Tokens::Output, above: 0.25 },
            Condition::Canary { canary: "v2".to_owned(), verdict: Verdict::Marginal },
        ];
        conditions.into_iter().map(|condition| {
            let usual = AlertRule::new("slow", "chat", condition);
            let (severity, repeat) = (Severity::Critical, Some(9));
            Box::new(AlertRule { lasts: 3, minimum_requests: 5, severity, repeat, ..usual })
        })
    }

    /// An objective of every kind.
    fn slos() -> impl Iterator<Item = Box<SloDefinition>> {
        let objectives = [Objective::Availability, Objective::Latency(5), Objective::TimeToFirstToken(6)];
        objectives.into_iter().map(|objective| {
            let usual = SloDefinition::new("good", "chat", objective, 0.95);
            Box::new(SloDefinition { period: Period::FourWeeks, minimum_requests: 3, ..usual })
        })
    }

    // Every command comes back as it was, and what is none is refused.
    #[test]
    fn commands_come_back() {
        let selector = Selector { model: Some("gpt-4o".to_owned()), ..Selector::default() };
        let definition = MonitorDefinition {
            window: Window::Hour,
            health: HealthRules { minimum_requests: 7, ..HealthRules::llm() },
            ..MonitorDefinition::new("chat", selector)
        };
        let name = || "chat".to_owned();
        let defined = rules().flat_map(|rule| [Command::CreateAlert(rule.clone()), Command::ReplaceAlert(rule)]);
        let promised = slos().flat_map(|slo| [Command::CreateSlo(slo.clone()), Command::ReplaceSlo(slo)]);
        let others = [
            Command::RemoveAlert(name()),
            Command::RemoveSlo(name()),
            Command::Create(Box::new(definition.clone())),
            Command::Replace(Box::new(definition)),
            Command::Activate(name()),
            Command::Pause(name()),
            Command::Archive(name()),
            Command::Remove(name()),
            Command::Mute(name(), 12),
            Command::Delivered {
                notification: "slow@12#0".to_owned(),
                delivery: Delivery {
                    notifier: "webhook/chat".to_owned(),
                    outcome: DeliveryOutcome::Refused,
                    at: 13,
                    attempts: 2,
                    error: Some("http 400".to_owned()),
                },
            },
            Command::Acknowledge("slow@12#0".to_owned()),
        ];
        for command in defined.chain(promised).chain(others) {
            assert_eq!(Command::decode(&command.encode()), Ok(command));
        }
        assert!(Command::decode(&[]).is_err() && Command::decode(&[0xff]).is_err());
    }
}
