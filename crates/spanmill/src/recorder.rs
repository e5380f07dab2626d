//! Records of the log: made of requests when they come, and again of what the log has stored.

use aggregate::{Record, SeriesIndex};
use bytes::Bytes;
use genai::{DeriveError, Deriver, Evaluation, SpanFacts};
use monitor::Command;

/// A record as the log stores it.
#[derive(Debug)]
pub(crate) enum LogRecord {
    /// What the pipeline applies.
    Counted(Record),
    /// The body of a metrics request: it is handed on, and nothing else.
    Metrics(Bytes),
    /// The body of a logs request without evaluations: the same.
    Logs(Bytes),
    /// What somebody does to monitors.
    Command(Command),
}

/// The kinds of records, as they stand in the log: for ever.
pub(crate) mod kind {
    pub(crate) const TRACES: u8 = 1;
    pub(crate) const TICK: u8 = 2;
    pub(crate) const DRAIN: u8 = 3;
    pub(crate) const EXPORT_INTERVAL: u8 = 4;
    pub(crate) const LOGS: u8 = 5;
    pub(crate) const METRICS: u8 = 6;
    pub(crate) const COMMAND: u8 = 7;
}

impl LogRecord {
    /// What it means to the pipeline: of what is not for it, the time. And the command, if it is one.
    pub(crate) fn into_parts(self) -> (Record, Option<Command>) {
        match self {
            Self::Counted(record) => (record, None),
            Self::Metrics(_) | Self::Logs(_) => (Record::Tick, None),
            Self::Command(command) => (Record::Tick, Some(command)),
        }
    }
}

impl wal::Record for LogRecord {
    fn kind(&self) -> u8 {
        match self {
            Self::Counted(Record::Traces { .. }) => kind::TRACES,
            Self::Counted(Record::Tick) => kind::TICK,
            Self::Counted(Record::Drain) => kind::DRAIN,
            Self::Counted(Record::ExportInterval) => kind::EXPORT_INTERVAL,
            Self::Counted(Record::Logs { .. }) | Self::Logs(_) => kind::LOGS,
            Self::Metrics(_) => kind::METRICS,
            Self::Command(_) => kind::COMMAND,
        }
    }

    fn payload(&self) -> Bytes {
        match self {
            Self::Counted(Record::Traces { body, .. } | Record::Logs { body, .. }) => body.clone(),
            Self::Metrics(body) | Self::Logs(body) => body.clone(),
            Self::Command(command) => command.encode().into(),
            Self::Counted(Record::Tick | Record::Drain | Record::ExportInterval) => Bytes::new(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Counted(Record::Traces { body, facts, evaluations, contents }) => {
                let facts = facts.capacity() * size_of::<SpanFacts>();
                body.len() + facts + evaluations.capacity() * size_of::<Evaluation>() + contents.heap()
            }
            Self::Counted(Record::Logs { body, evaluations }) => {
                body.len() + evaluations.capacity() * size_of::<Evaluation>()
            }
            Self::Metrics(body) | Self::Logs(body) => body.len(),
            Self::Command(_) => size_of::<Command>(),
            Self::Counted(Record::Tick | Record::Drain | Record::ExportInterval) => 0,
        }
    }

    /// They pass time on, without which nothing that waits is ever done.
    fn is_urgent(&self) -> bool {
        matches!(self, Self::Counted(Record::Tick | Record::Drain | Record::ExportInterval))
    }

    fn items(&self) -> Option<u64> {
        let Self::Counted(Record::Traces { facts, .. }) = self else { return None };
        Some(facts.len() as u64)
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

    /// The record of a traces request; `None` if it has no spans. The series that `index` knows are looked up.
    pub(crate) fn traces(&self, body: Bytes, index: Option<&SeriesIndex>) -> Result<Option<Record>, DeriveError> {
        Record::of_traces(&self.deriver, body, index, self.archives_all)
    }

    /// The record of a logs request; `None` if it has no evaluations: nothing behind the log wants anything else of it.
    pub(crate) fn logs(&self, body: Bytes) -> Result<Option<Record>, DeriveError> {
        let evaluations = self.deriver.derive_logs(&body)?;
        Ok((!evaluations.is_empty()).then_some(Record::Logs { body, evaluations }))
    }

    /// The record that the log has stored.
    pub(crate) fn restore(&self, kind: u8, payload: Bytes) -> Result<LogRecord, String> {
        let derived = match kind {
            kind::TRACES => self.traces(payload, None),
            kind::LOGS => self.logs(payload),
            kind::METRICS => return Ok(LogRecord::Metrics(payload)),
            kind::COMMAND => {
                return Command::decode(&payload).map(LogRecord::Command).map_err(|error| error.to_string());
            }
            kind::TICK => Ok(Some(Record::Tick)),
            kind::DRAIN => Ok(Some(Record::Drain)),
            kind::EXPORT_INTERVAL => Ok(Some(Record::ExportInterval)),
            unknown => return Err(format!("records of kind {unknown} are not known")),
        };
        // A version that derives less than the one which wrote it finds nothing: time passes all the same.
        derived.map(|record| LogRecord::Counted(record.unwrap_or(Record::Tick))).map_err(|error| error.to_string())
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
        let timing = [Record::Tick, Record::Drain, Record::ExportInterval].map(LogRecord::Counted);
        let others =
            [LogRecord::Metrics(Bytes::from_static(b"\n\0")), LogRecord::Command(Command::Pause("chat".to_owned()))];
        for stored in timing.into_iter().chain(others) {
            let restored = recorder.restore(stored.kind(), stored.payload()).unwrap();
            assert_eq!((restored.kind(), restored.payload()), (stored.kind(), stored.payload()));
        }
        assert!(recorder.restore(99, Bytes::new()).is_err());
        assert!(recorder.restore(kind::TRACES, Bytes::from_static(b"\xff")).is_err());
    }
}
