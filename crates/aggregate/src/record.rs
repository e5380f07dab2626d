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
        /// Hashes of what they say, and what they say of failures.
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
        let contents = contents.finish(facts.len());
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

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, status::StatusCode};
    use prost::Message;

    use super::*;
    use crate::contents::SpanContent;

    // Two messages behind each other are one: so a scope can come behind its spans, and is theirs all the same, in facts, hashes and failures.
    #[test]
    fn a_scope_may_come_behind_its_spans() {
        let status = Some(Status { code: StatusCode::Error as i32, message: "overloaded".to_owned() });
        let kind = KeyValue {
            key: "openinference.span.kind".to_owned(),
            value: Some(AnyValue { value: Some(any_value::Value::StringValue("LLM".to_owned())) }),
            ..Default::default()
        };
        let attributes = vec![kind];
        let spans = vec![Span { trace_id: vec![1; 16], span_id: vec![2; 8], status, attributes, ..Span::default() }; 3];
        let spans = ScopeSpans { spans, ..ScopeSpans::default() }.encode_to_vec();
        let scope =
            InstrumentationScope { name: "openinference.instrumentation.openai".to_owned(), ..Default::default() };
        let scope = ScopeSpans { scope: Some(scope), ..ScopeSpans::default() }.encode_to_vec();
        let taken = |parts: [&[u8]; 2]| {
            let mut body = Vec::new();
            let scope_spans = Bytes::from(parts.concat());
            let mut resource_spans = Vec::new();
            prost::encoding::bytes::encode(2, &scope_spans, &mut resource_spans);
            assert!(ResourceSpans::decode(&*resource_spans).is_ok());
            prost::encoding::bytes::encode(1, &resource_spans, &mut body);
            match Record::of_traces(&Deriver::default(), body.into(), None, true) {
                Ok(Some(Record::Traces { body, facts, mut contents, .. })) => {
                    let told: Vec<_> =
                        facts.iter().map(|facts| (facts.dialect, facts.scope_name.str(&body).into_owned())).collect();
                    let hashes: Vec<_> = (0..4)
                        .map(|position| format!("{:?}", SpanContent { failure: 0, ..contents.span(position) }))
                        .collect();
                    let failures: Vec<_> = (0..3).map(|at| contents.failure(&body, &facts[at], at as u32)).collect();
                    assert!(failures.iter().all(Option::is_some));
                    (told, hashes, format!("{failures:?}"))
                }
                other => panic!("{other:?}"),
            }
        };
        let usual = taken([&scope, &spans]);
        assert_eq!(usual.0.len(), 3);
        assert_eq!(usual.0[0].1, "openinference.instrumentation.openai");
        assert_eq!(taken([&spans, &scope]), usual);
    }
}
