//! What page and API are made from: the running server.

use std::future::Future;
use std::pin::Pin;
use std::time::{SystemTime, UNIX_EPOCH};

use aggregate::{ErrorIndex, Unpriced};
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
        let Some(running) = self.running() else { return health };
        let Running { pipeline, log, progress, archive, archived, forwarded, .. } = running;
        // The slowest first, so that none is seen ahead of one that it follows.
        let forwarded: Vec<_> = forwarded.into_iter().map(|(name, position)| (name, position.get())).collect();
        let archived = archived.map(|position| ("archive".to_owned(), progress.archived(&position)));
        let applied = ("applier".to_owned(), progress.applied());
        let last = log.last();
        let cursors = std::iter::once(applied).chain(archived).chain(forwarded);
        let cursor = |(name, lsn): (String, u64)| Cursor { name, records: last.saturating_sub(lsn) };
        let fill = log.fill();
        let Level { used, max } = fill.disk.unwrap_or(fill.memory);
        let pipeline = pipeline.lock();
        let saved = pipeline.saved();
        ServiceHealth {
            received: Some(pipeline.received()),
            waiting: Some(pipeline.waiting()),
            outcomes: pipeline.outcomes().into_iter().map(|(outcome, spans)| (outcome.name(), spans)).collect(),
            saved: Some(Saved { spans: saved.spans, cost: Some(saved.cost.dollars()) }),
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
        self.running().map(|running| running.notifiers.read().into_iter().map(state).collect()).unwrap_or_default()
    }

    fn is_stopping(&self) -> bool {
        matches!(self.0.phase(), Phase::Stopping(_))
    }

    fn command(&self, command: Command) -> Pin<Box<dyn Future<Output = Result<(), CommandFailure>> + Send + '_>> {
        Box::pin(self.append(command))
    }
}

/// How a notifier does, as the page tells it.
fn state(Status { notifier, counts, last_success, last_error }: Status) -> NotifierState {
    let millis = |at: SystemTime| {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    };
    NotifierState {
        name: notifier,
        delivered: counts.delivered,
        refused: counts.refused,
        given_up: counts.given_up,
        failed_attempts: counts.failed_attempts,
        last_success: last_success.map(millis),
        last_error: last_error.map(|(at, why)| (millis(at), why)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use notify::Counts;

    use super::*;

    // What a notifier counts is told as what it is, and times are milliseconds.
    #[test]
    fn notifiers_are_told_as_they_are() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let status = Status {
            notifier: "webhook/oncall".to_owned(),
            counts: Counts { delivered: 1, refused: 2, given_up: 3, failed_attempts: 4 },
            last_success: Some(at(5)),
            last_error: Some((at(6), "http 500".to_owned())),
        };
        let expected = NotifierState {
            name: "webhook/oncall".to_owned(),
            delivered: 1,
            refused: 2,
            given_up: 3,
            failed_attempts: 4,
            last_success: Some(5_000),
            last_error: Some((6_000, "http 500".to_owned())),
        };
        assert_eq!(state(status), expected);
    }
}
