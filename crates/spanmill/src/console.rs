//! What page and API are made from: the running server.

use std::future::Future;
use std::pin::Pin;
use std::time::{SystemTime, UNIX_EPOCH};

use aggregate::{ErrorIndex, Outcome, Unpriced};
use console::{ArchiveState, CommandFailure, Cursor, NotifierState, Saved, ServiceHealth, Source};
use monitor::{Command, Monitoring};
use notify::Status;
use wal::Level;

use crate::admin::{Phase, Readiness, Running};
use crate::recorder::LogRecord;

/// The server, whatever it does. Before all of the log is applied it has no answers.
#[derive(Debug, Clone)]
pub(crate) struct Watched(pub(crate) Readiness);

impl Watched {
    fn running(&self) -> Option<Running> {
        match self.0.phase() {
            Phase::Serving(running) | Phase::Stopping(running) => Some(running),
            Phase::Opening | Phase::Replaying { .. } => None,
        }
    }

    async fn append(&self, command: Command) -> Result<(), CommandFailure> {
        let unavailable = |why: &str| CommandFailure::Unavailable(why.to_owned());
        let Phase::Serving(Running { pipeline, log, mut progress, .. }) = self.0.phase() else {
            return Err(unavailable("the server is starting or stopping"));
        };
        let appended = log.append(LogRecord::Command(command)).await;
        let lsn = appended.map_err(|error| CommandFailure::Unavailable(error.to_string()))?;
        progress.until(lsn).await;
        let outcome = pipeline.commands().take(lsn);
        outcome.ok_or_else(|| unavailable("it is not known what became of it"))?.map_err(CommandFailure::Refused)
    }
}

impl Source for Watched {
    fn monitoring(&self, ask: &mut dyn FnMut(&Monitoring)) {
        if let Some(running) = self.running() {
            ask(&running.pipeline.question());
        }
    }

    fn errors(&self, ask: &mut dyn FnMut(&ErrorIndex)) {
        if let Some(running) = self.running() {
            ask(running.pipeline.lock().errors());
        }
    }

    fn unpriced(&self) -> Vec<Unpriced> {
        self.running().map(|running| running.pipeline.lock().unpriced()).unwrap_or_default()
    }

    fn health(&self) -> ServiceHealth {
        let health = ServiceHealth {
            version: env!("CARGO_PKG_VERSION"),
            not_ready: self.0.reason(),
            ..ServiceHealth::default()
        };
        let Some(Running { pipeline, log, progress, archive, archived, .. }) = self.running() else { return health };
        // The slowest first, so that none is seen ahead of one that it follows.
        let archived = archived.map(|position| ("archive", position.get()));
        let applied = ("applier", progress.applied());
        let last = log.last();
        let cursors = [Some(applied), archived].into_iter().flatten();
        let cursor = |(name, lsn): (&str, u64)| Cursor { name: name.to_owned(), records: last.saturating_sub(lsn) };
        let fill = log.fill();
        let Level { used, max } = fill.disk.unwrap_or(fill.memory);
        let pipeline = pipeline.lock();
        let outcomes = pipeline.outcomes();
        let merged = outcomes.get(&Outcome::Duplicate).copied().unwrap_or_default();
        ServiceHealth {
            received: Some(pipeline.received()),
            waiting: Some(pipeline.waiting()),
            outcomes: outcomes.into_iter().map(|(outcome, spans)| (outcome.name(), spans)).collect(),
            saved: Some(Saved { spans: merged, cost: None }),
            unaccounted: Some(pipeline.unaccounted()),
            cursors: cursors.map(cursor).collect(),
            log: Some((used, max)),
            duplicate_window: Some(pipeline.duplicate_window()),
            settled_early: Some(pipeline.settled_early()),
            archive: match archive {
                None => ArchiveState::Off,
                Some(archive) if archive.has_failed() => ArchiveState::Failed,
                Some(_) => ArchiveState::Working,
            },
            ..health
        }
    }

    fn notifiers(&self) -> Vec<NotifierState> {
        let millis = |at: SystemTime| {
            let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        };
        let state = |Status { notifier, counts, last_success, last_error }: Status| NotifierState {
            name: notifier,
            delivered: counts.delivered,
            refused: counts.refused,
            given_up: counts.given_up,
            failed_attempts: counts.failed_attempts,
            last_success: last_success.map(millis),
            last_error: last_error.map(|(at, why)| (millis(at), why)),
        };
        self.running().map(|running| running.notifiers.read().into_iter().map(state).collect()).unwrap_or_default()
    }

    fn is_stopping(&self) -> bool {
        matches!(self.0.phase(), Phase::Stopping(_))
    }

    fn command(&self, command: Command) -> Pin<Box<dyn Future<Output = Result<(), CommandFailure>> + Send + '_>> {
        Box::pin(self.append(command))
    }
}
