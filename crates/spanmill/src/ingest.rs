//! What stands behind the receivers: derive, look series up, append, acknowledge.

use std::sync::Arc;
use std::time::Duration;

use aggregate::SeriesIndex;
use bytes::Bytes;
use export::Backlog;
use genai::Redactor;
use receive::{Ingest, Refusal, Request, Signal};
use tokio::sync::Mutex;
use wal::{Admission, AppendError, Log};

use crate::recorder::{LogRecord, Recorder};

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
    pub(crate) redactor: Redactor,
    pub(crate) recorder: Recorder,
    pub(crate) index: Arc<SeriesIndex>,
    pub(crate) log: Log<LogRecord>,
    /// What waits for destinations that let nothing be dropped.
    pub(crate) backlogs: Vec<Backlog>,
    /// Whoever looks for room. The others come after it, in their order.
    pub(crate) first_in_line: Mutex<()>,
    /// What is handed on, so that the log needs it for that alone.
    pub(crate) handed_on: HandedOn,
}

/// Signals that some destination wants of what applications send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct HandedOn {
    pub(crate) metrics: bool,
    pub(crate) logs: bool,
}

impl Ingestion {
    /// Waits for room in the log and for what it brings about, before any work is done for a request that there may be no room for.
    async fn room(&self, body: &Bytes) -> Result<Admission<'_, LogRecord>, Refusal> {
        // What is known of usual spans takes about as much as they do.
        let bytes = 2 * body.len();
        let found = async {
            let _turn = self.first_in_line.lock().await;
            loop {
                if !self.backlogs.iter().any(Backlog::is_full)
                    && let Some(admission) = self.log.admit(bytes)
                {
                    return admission;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        tokio::time::timeout(ROOM_WITHIN, found).await.map_err(|_| Refusal::Busy { retry_after: RETRY_AFTER })
    }

    /// Gives the number of spans.
    async fn traces(&self, body: Bytes) -> Result<u64, Refusal> {
        let admission = self.room(&body).await?;
        let Some(record) = self.recorder.traces(body, Some(&self.index)).map_err(malformed)? else { return Ok(0) };
        let record = LogRecord::Counted(record);
        let spans = wal::Record::items(&record).unwrap_or_default();
        append(admission, record).await.map(|()| spans)
    }

    /// Logs are accepted and counted where they came in. Behind here only evaluations are wanted, unless logs are handed on.
    async fn logs(&self, body: Bytes) -> Result<(), Refusal> {
        let record = match self.recorder.logs(body.clone()).map_err(malformed)? {
            Some(record) => LogRecord::Counted(record),
            None if self.handed_on.logs => LogRecord::Logs(body.clone()),
            None => return Ok(()),
        };
        append(self.room(&body).await?, record).await
    }

    /// Metrics are accepted and counted where they came in. Behind here nobody wants them, unless they are handed on.
    async fn metrics(&self, body: Bytes) -> Result<(), Refusal> {
        otlp::trace::check_envelope(&body).map_err(malformed)?;
        if !self.handed_on.metrics {
            return Ok(());
        }
        append(self.room(&body).await?, LogRecord::Metrics(body)).await
    }
}

async fn append(admission: Admission<'_, LogRecord>, record: LogRecord) -> Result<(), Refusal> {
    match admission.append(record).await {
        Ok(_lsn) => Ok(()),
        Err(AppendError::Full) => Err(Refusal::Busy { retry_after: RETRY_AFTER }),
        Err(AppendError::TooLarge { max_size, .. }) => {
            Err(Refusal::TooLarge { limit: usize::try_from(max_size).unwrap_or(usize::MAX) })
        }
        Err(error @ (AppendError::Closed | AppendError::Failed(_))) => Err(Refusal::Unavailable(error.to_string())),
    }
}

impl Ingest for Ingestion {
    /// Redaction comes before everything else, so that nobody can forget it.
    fn rewrite(&self, signal: Signal, body: &Bytes) -> Result<Option<Vec<u8>>, Refusal> {
        let redacted = match signal {
            Signal::Traces => self.redactor.traces(body),
            Signal::Logs => self.redactor.logs(body),
            // metrics have no place for content
            Signal::Metrics => Ok(None),
        };
        redacted.map_err(malformed)
    }

    async fn ingest(&self, request: Request) -> Result<u64, Refusal> {
        match request.signal {
            Signal::Traces => self.traces(request.body).await,
            Signal::Logs => self.logs(request.body).await.map(|()| 0),
            Signal::Metrics => self.metrics(request.body).await.map(|()| 0),
        }
    }
}

fn malformed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Malformed(error.to_string())
}
