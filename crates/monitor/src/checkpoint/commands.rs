//! Commands as bytes, for the log: what was done to monitors is done again when it is replayed.

use prost::Message as _;

use super::messages::command::Kind;
use super::messages::{self, Delivered, Mute};
use super::{RestoreError, monitors};
use crate::command::Command;

impl Command {
    /// The command as bytes, for [`Command::decode`].
    pub fn encode(&self) -> Vec<u8> {
        let kind = match self {
            Self::Create(definition) => Kind::Create(monitors::definition_message(definition)),
            Self::Activate(monitor) => Kind::Activate(monitor.clone()),
            Self::Pause(monitor) => Kind::Pause(monitor.clone()),
            Self::Archive(monitor) => Kind::Archive(monitor.clone()),
            Self::Remove(monitor) => Kind::Remove(monitor.clone()),
            Self::Mute(monitor, until) => Kind::Mute(Mute { monitor: monitor.clone(), until: *until }),
            Self::Delivered { notification, notifier } => {
                Kind::Delivered(Delivered { notification: notification.clone(), notifier: notifier.clone() })
            }
            Self::Acknowledge(notification) => Kind::Acknowledge(notification.clone()),
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
            Kind::Activate(monitor) => Self::Activate(monitor),
            Kind::Pause(monitor) => Self::Pause(monitor),
            Kind::Archive(monitor) => Self::Archive(monitor),
            Kind::Remove(monitor) => Self::Remove(monitor),
            Kind::Mute(Mute { monitor, until }) => Self::Mute(monitor, until),
            Kind::Delivered(Delivered { notification, notifier }) => Self::Delivered { notification, notifier },
            Kind::Acknowledge(notification) => Self::Acknowledge(notification),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{MonitorDefinition, Window};
    use crate::health::HealthRules;
    use crate::selector::Selector;

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
        for command in [
            Command::Create(Box::new(definition)),
            Command::Activate(name()),
            Command::Pause(name()),
            Command::Archive(name()),
            Command::Remove(name()),
            Command::Mute(name(), 12),
            Command::Delivered { notification: "slow@12#0".to_owned(), notifier: "webhook/chat".to_owned() },
            Command::Acknowledge("slow@12#0".to_owned()),
        ] {
            assert_eq!(Command::decode(&command.encode()), Ok(command));
        }
        assert!(Command::decode(&[]).is_err() && Command::decode(&[0xff]).is_err());
    }
}
