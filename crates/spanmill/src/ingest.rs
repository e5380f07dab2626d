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

/// Turns requests into records of the log.
#[derive(Debug)]
pub(crate) struct Ingestion {
    pub(crate) deriver: Deriver,
    pub(crate) index: Arc<SeriesIndex>,
    pub(crate) log: Log<LogRecord>,
}

impl Ingest for Ingestion {
    async fn ingest(&self, request: Request) -> Result<(), Refusal> {
        let body = request.body;
        // Metrics and logs are accepted and counted where they came in; nothing behind here wants them yet.
        if request.signal != Signal::Traces {
            return otlp::trace::check_envelope(&body).map_err(|error| Refusal::Malformed(error.to_string()));
        }
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
