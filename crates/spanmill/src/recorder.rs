//! Records of the log: made of requests when they come, and again of what the log has stored.

use aggregate::{Contents, Record};
use bytes::Bytes;
use genai::{DeriveError, Derived, Deriver, Evaluation, SpanFacts};

/// A record as the log stores it.
#[derive(Debug)]
pub(crate) struct LogRecord(pub(crate) Record);

/// The kinds of records, as they stand in the log: for ever.
mod kind {
    pub(super) const TRACES: u8 = 1;
    pub(super) const TICK: u8 = 2;
    pub(super) const DRAIN: u8 = 3;
    pub(super) const EXPORT_INTERVAL: u8 = 4;
    pub(super) const LOGS: u8 = 5;
}

impl wal::Record for LogRecord {
    fn kind(&self) -> u8 {
        match self.0 {
            Record::Traces { .. } => kind::TRACES,
            Record::Tick => kind::TICK,
            Record::Drain => kind::DRAIN,
            Record::ExportInterval => kind::EXPORT_INTERVAL,
            Record::Logs { .. } => kind::LOGS,
        }
    }

    fn payload(&self) -> Bytes {
        match &self.0 {
            Record::Traces { body, .. } | Record::Logs { body, .. } => body.clone(),
            Record::Tick | Record::Drain | Record::ExportInterval => Bytes::new(),
        }
    }

    fn size(&self) -> usize {
        match &self.0 {
            Record::Traces { body, facts, evaluations, contents } => {
                let facts = facts.capacity() * size_of::<SpanFacts>();
                body.len() + facts + evaluations.capacity() * size_of::<Evaluation>() + contents.heap()
            }
            Record::Logs { body, evaluations } => body.len() + evaluations.capacity() * size_of::<Evaluation>(),
            Record::Tick | Record::Drain | Record::ExportInterval => 0,
        }
    }

    /// They pass time on, without which nothing that waits is ever done.
    fn is_urgent(&self) -> bool {
        matches!(self.0, Record::Tick | Record::Drain | Record::ExportInterval)
    }
}

/// Makes records of requests. What it makes depends on the request alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder {
    deriver: Deriver,
    /// Whether spans without GenAI meaning are archived.
    archives_all: bool,
}

impl Recorder {
    pub(crate) fn new(archives_all: bool) -> Self {
        Self { deriver: Deriver::default(), archives_all }
    }

    /// The record of a traces request; `None` if it has no spans.
    pub(crate) fn traces(&self, body: Bytes) -> Result<Option<Record>, DeriveError> {
        let Derived { spans: facts, evaluations } = self.deriver.derive_traces(&body)?;
        if facts.is_empty() {
            return Ok(None);
        }
        let contents = Contents::of(&body, &facts, self.archives_all);
        Ok(Some(Record::Traces { body, facts, evaluations, contents }))
    }

    /// The record of a logs request; `None` if it has no evaluations: nothing behind the log wants anything else of it.
    pub(crate) fn logs(&self, body: Bytes) -> Result<Option<Record>, DeriveError> {
        let evaluations = self.deriver.derive_logs(&body)?;
        Ok((!evaluations.is_empty()).then_some(Record::Logs { body, evaluations }))
    }

    /// The record that the log has stored.
    pub(crate) fn restore(&self, kind: u8, payload: Bytes) -> Result<LogRecord, String> {
        let derived = match kind {
            kind::TRACES => self.traces(payload),
            kind::LOGS => self.logs(payload),
            kind::TICK => Ok(Some(Record::Tick)),
            kind::DRAIN => Ok(Some(Record::Drain)),
            kind::EXPORT_INTERVAL => Ok(Some(Record::ExportInterval)),
            unknown => return Err(format!("records of kind {unknown} are not known")),
        };
        // A version that derives less than the one which wrote it finds nothing: time passes all the same.
        derived.map(|record| LogRecord(record.unwrap_or(Record::Tick))).map_err(|error| error.to_string())
    }

    /// The facts of the spans of a stored traces request.
    pub(crate) fn facts(&self, kind: u8, body: &Bytes) -> Option<Vec<SpanFacts>> {
        if kind != kind::TRACES {
            return None;
        }
        self.deriver.derive_traces(body).ok().map(|derived| derived.spans)
    }
}

#[cfg(test)]
mod tests {
    use wal::Record as _;

    use super::*;

    // Whatever the log stores comes back as the same kind of record with the same payload.
    #[test]
    fn records_come_back() {
        let recorder = Recorder::new(false);
        for record in [Record::Tick, Record::Drain, Record::ExportInterval] {
            let stored = LogRecord(record);
            let restored = recorder.restore(stored.kind(), stored.payload()).unwrap();
            assert_eq!((restored.kind(), restored.payload()), (stored.kind(), stored.payload()));
        }
        assert!(recorder.restore(99, Bytes::new()).is_err());
        assert!(recorder.restore(kind::TRACES, Bytes::from_static(b"\xff")).is_err());
    }
}
