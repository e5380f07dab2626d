//! What happens to monitors and notifications beside the calls: what a user does, and what was delivered.

use crate::definition::MonitorDefinition;

/// How many monitors there may be.
pub const MOST_MONITORS: usize = 100;

/// Something that is done to a monitor, or became of a notification.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A new monitor.
    Create(Box<MonitorDefinition>),
    /// The monitor with this name is watched, or watched again.
    Activate(String),
    /// It stands still.
    Pause(String),
    /// It is kept for its history only, and its alerts end.
    Archive(String),
    /// It and all that is about it are forgotten. Those of the configuration can only be archived.
    Remove(String),
    /// Nobody is told of its alerts until a time; zero ends that.
    Mute(String, u64),
    /// A notifier is through with a notification: it was delivered, or given up.
    Delivered {
        /// The id of the notification. One that waits no more is passed over.
        notification: String,
        /// The notifier.
        notifier: String,
    },
    /// All notifiers are through with the notification with this id. One that waits no more is passed over.
    Acknowledge(String),
}

/// Why a command is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The name is that of no monitor.
    #[error("there is no monitor {0:?}")]
    Unknown(String),
    /// The name is taken.
    #[error("there is a monitor {0:?} already")]
    Exists(String),
    /// A name says something.
    #[error("a monitor needs a name of 1 to 100 bytes")]
    BadName,
    /// There are as many as there may be.
    #[error("there are {MOST_MONITORS} monitors, as many as there may be")]
    TooMany,
    /// The configuration defines it.
    #[error("the monitor {0:?} stands in the configuration, so it can be archived but not removed")]
    Configured(String),
}
