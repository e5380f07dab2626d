//! What the log holds, and what the pipeline hands on.

use std::sync::Arc;

use bytes::Bytes;
use genai::{Evaluation, SpanFacts};

use crate::contents::Contents;
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
