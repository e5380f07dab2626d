//! What the log holds, and what the pipeline hands on.

use std::sync::Arc;

use bytes::Bytes;
use genai::{DeriveError, Derived, Deriver, Evaluation, SpanFacts};

use crate::contents::{Contents, ContentsBuilder};
use crate::index::SeriesIndex;
use crate::outcome::SpanOutcome;

/// Log sequence number: the place of a record in the log, counted from 1.
pub type Lsn = u64;

/// A record of the log, without what the log assigned.
#[derive(Debug, Clone)]
pub enum Record {
    /// Spans: the protobuf body of an `ExportTraceServiceRequest`, and the facts of its spans in order.
    Traces {
        /// The inflated, redacted body.
        body: Bytes,
        /// One a span.
        facts: Vec<SpanFacts>,
        /// What is said of spans on these spans.
        evaluations: Vec<Evaluation>,
        /// Hashes of what they say.
        contents: Contents,
    },
    /// Evaluations in log records: the protobuf body of an `ExportLogsServiceRequest`, and what it tells. Appended only if it
    /// tells any.
    Logs {
        /// The inflated, redacted body.
        body: Bytes,
        /// In the order of the log records.
        evaluations: Vec<Evaluation>,
    },
    /// The log's time has come this far. Written only while something waits for time.
    Tick,
    /// Ends every wait: what is held is settled now. End of `replay` and of `demo --once`, and shutdown without a log.
    Drain,
    /// Closes the open metrics interval.
    ExportInterval,
}

impl Record {
    /// The record of a traces request; `None` if it has no spans. Each span is derived, hashed and, if `index` is given, looked up there while its
    /// bytes are at hand. `hashes_all` is for those who archive spans without GenAI meaning.
    ///
    /// # Errors
    /// As [`Deriver::derive_traces`].
    pub fn of_traces(
        deriver: &Deriver,
        body: Bytes,
        index: Option<&SeriesIndex>,
        hashes_all: bool,
    ) -> Result<Option<Self>, DeriveError> {
        let mut contents = ContentsBuilder::new(&body, hashes_all);
        let mut resolver = index.map(|index| index.resolver(&body));
        let derived = deriver.derive_traces_with(&body, |facts| {
            if let Some(resolver) = &mut resolver {
                resolver.resolve(facts);
            }
            contents.add(facts);
        });
        let Derived { spans: facts, evaluations } = derived?;
        if facts.is_empty() {
            return Ok(None);
        }
        let contents = contents.finish();
        Ok(Some(Self::Traces { body, facts, evaluations, contents }))
    }
}

/// A record as the log gives it back.
#[derive(Debug, Clone)]
pub struct Logged {
    /// Its place.
    pub lsn: Lsn,
    /// When it was appended, nanoseconds since the Unix epoch; never goes back.
    pub receive_time: u64,
    /// What was appended.
    pub record: Record,
}

/// Spans with their outcomes settled, as every sink gets them.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Place in the log.
    pub lsn: Lsn,
    /// When the request was received, nanoseconds since the Unix epoch.
    pub receive_time: u64,
    /// The protobuf body that the facts' texts are ranges of.
    pub body: Bytes,
    /// One a span, in the order of the request.
    pub facts: Vec<SpanFacts>,
    /// One a span, in the same order.
    pub outcomes: Vec<SpanOutcome>,
    /// Which prices held.
    pub price_version: Arc<str>,
}
