//! What stands behind the receivers: derive, look series up, append, acknowledge.

use std::sync::Arc;
use std::time::Duration;

use aggregate::{Record, SeriesIndex};
use genai::Deriver;
use receive::{Ingest, Refusal, Request, Signal};
use wal::{AppendError, Log};

use crate::applier::LogRecord;

/// How long a client waits when the log is full.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a request waits for room in the log before its client is told to come again. Most are through by then, and a
/// client that waits for its answer (SDKs do so for ten seconds) is slowed down without sending everything twice.
const ROOM_WITHIN: Duration = Duration::from_secs(5);
/// How often room is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Turns requests into records of the log.
#[derive(Debug)]
pub(crate) struct Ingestion {
    pub(crate) deriver: Deriver,
    pub(crate) index: Arc<SeriesIndex>,
    pub(crate) log: Log<LogRecord>,
}

impl Ingestion {
    /// Waits for room in the log, before any work is done for a request that there may be no room for.
    async fn room(&self) -> Result<(), Refusal> {
        let found = async {
            while !self.log.has_room() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        if self.log.has_room() {
            return Ok(());
        }
        tokio::time::timeout(ROOM_WITHIN, found).await.map_err(|_| Refusal::Busy { retry_after: RETRY_AFTER })
    }
}

impl Ingest for Ingestion {
    async fn ingest(&self, request: Request) -> Result<(), Refusal> {
        let body = request.body;
        // Metrics and logs are accepted and counted where they came in; nothing behind here wants them yet.
        if request.signal != Signal::Traces {
            return otlp::trace::check_envelope(&body).map_err(|error| Refusal::Malformed(error.to_string()));
        }
        self.room().await?;
        let mut facts = self.deriver.derive(&body).map_err(|error| Refusal::Malformed(error.to_string()))?;
        if facts.is_empty() {
            return Ok(());
        }
        self.index.resolve(&body, &mut facts);
        match self.log.append(LogRecord(Record::Traces { body, facts })).await {
            Ok(_lsn) => Ok(()),
            Err(AppendError::Full) => Err(Refusal::Busy { retry_after: RETRY_AFTER }),
            Err(error @ AppendError::Closed) => Err(Refusal::Unavailable(error.to_string())),
        }
    }
}
