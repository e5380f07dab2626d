//! Where everything comes from that is shown.

use std::future::Future;
use std::pin::Pin;

use aggregate::{ErrorIndex, Unpriced};
use monitor::{Command, CommandError, Monitoring};

/// What page and API are made from. Calls may block, but for [`Source::command`]; they are not made on async threads.
pub trait Source: Send + Sync + 'static {
    /// Calls `ask` once with what is watched, between two records of the log. Whoever holds it holds up counting.
    fn monitoring(&self, ask: &mut dyn FnMut(&Monitoring));

    /// Calls `ask` once with the error records, between two records of the log.
    fn errors(&self, ask: &mut dyn FnMut(&ErrorIndex));

    /// The models that calls were made to and that have no price, the most called first.
    fn unpriced(&self) -> Vec<Unpriced>;

    /// How Spanmill itself does.
    fn health(&self) -> ServiceHealth;

    /// How those do who tell of alerts.
    fn notifiers(&self) -> Vec<NotifierState>;

    /// Whether the server is about to stop: then streams of events end.
    fn is_stopping(&self) -> bool;

    /// Does something to a monitor; resolves when it is done and will be so after a restart.
    ///
    /// # Errors
    /// It is refused, or cannot be done now.
    fn command(&self, command: Command) -> Pin<Box<dyn Future<Output = Result<(), CommandFailure>> + Send + '_>>;
}

/// Why nothing was done to a monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandFailure {
    /// It cannot be done.
    Refused(CommandError),
    /// It cannot be done now, and why.
    Unavailable(String),
}

/// How Spanmill itself does. What the binary cannot tell is `None` or empty, and is not shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceHealth {
    /// Its version.
    pub version: &'static str,
    /// Why it takes no requests; `None` if it does.
    pub not_ready: Option<String>,
    /// Spans received since the start of the log.
    pub received: Option<u64>,
    /// What became of them: names of outcomes and spans.
    pub outcomes: Vec<(&'static str, u64)>,
    /// Spans that are not decided yet.
    pub waiting: Option<u64>,
    /// Spans received beyond those that have an outcome or wait for one: anything but 0 is a fault.
    pub unaccounted: Option<i64>,
    /// How far those behind the log are.
    pub cursors: Vec<Cursor>,
    /// Bytes of the log that are taken, and how many may be.
    pub log: Option<(u64, u64)>,
    /// How far back what a client sends again is recognised, in nanoseconds.
    pub duplicate_window: Option<u64>,
    /// Spans that were decided before their time for lack of memory.
    pub settled_early: Option<u64>,
    /// What merged duplicates saved from being counted twice.
    pub saved: Option<Saved>,
    /// How the archive does.
    pub archive: ArchiveState,
}

/// Something that follows the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Its name.
    pub name: String,
    /// Records that it has yet to take.
    pub records: u64,
}

/// What would have been counted twice.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Saved {
    /// Spans that tell of calls which others tell, too.
    pub spans: u64,
    /// Dollars that they would have added, as far as that is known.
    pub cost: Option<f64>,
}

/// How a notifier does, since the process started. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotifierState {
    /// Its name, such as `webhook/oncall`.
    pub name: String,
    /// Notifications that it delivered.
    pub delivered: u64,
    /// Notifications that were refused for good.
    pub refused: u64,
    /// Notifications that were given up because they became too old.
    pub given_up: u64,
    /// Attempts that failed; some were, or will be, repeated.
    pub failed_attempts: u64,
    /// When it last delivered one.
    pub last_success: Option<u64>,
    /// When an attempt last failed, and why.
    pub last_error: Option<(u64, String)>,
}

impl NotifierState {
    /// Why its last attempt failed; `None` if that succeeded, or there was none.
    pub(crate) fn failing(&self) -> Option<&str> {
        let (at, why) = self.last_error.as_ref()?;
        self.last_success.is_none_or(|success| success < *at).then_some(why)
    }
}

/// How the archive does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ArchiveState {
    /// There is none.
    #[default]
    Off,
    /// It works.
    Working,
    /// It has failed.
    Failed,
}

impl ArchiveState {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Working => "working",
            Self::Failed => "failed",
        }
    }
}
