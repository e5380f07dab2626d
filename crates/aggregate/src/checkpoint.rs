//! The state of a pipeline as bytes, and back.
//!
//! A checkpoint is one protobuf message (`messages`). It holds all that decides about the records that come next and
//! nothing of the process that wrote it: no numbers of series, no hashes with a seed of the process, no links (they are
//! found again when spans are held again in their order), no bodies (those of requests that wait are in the log).
//! Restoring it and applying the rest of the log gives what applying the whole log would have given.
//!
//! Each part of the state is written and read by the file of its name. What is read is checked: bytes may be damaged in
//! any way, and give an error that tells where.

mod basis;
mod codes;
mod counts;
mod duplicates;
mod errors;
mod evaluated;
mod held;
mod instruments;
pub(crate) mod messages;
mod plain;
mod requests;
mod series;
mod settle;
mod wire;

use std::collections::HashSet;

use bytes::Bytes;
use genai::price::PriceRef;
use genai::{Money, SpanFacts};
use prost::Message;
use rapidhash::fast::RandomState;

use crate::key::{Kind, Layout};
use crate::pipeline::{Pipeline, Settings};
use crate::record::Lsn;
use crate::report::Saved;
use messages::{Head, tag};
use wire::{Reader, Writer};

/// The version of the messages. Another one is for messages that this one does not tell right from wrong.
const FORMAT: u32 = 1;

/// Why a checkpoint is not restored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// It says what no checkpoint can say: it is damaged.
    #[error("checkpoint: {field}: {problem}")]
    Invalid {
        /// What says so.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Another version wrote it.
    #[error(
        "checkpoint: format {found}, and this version reads format {FORMAT} only: start the version that wrote it, or a newer one"
    )]
    Format {
        /// The format that it has.
        found: u32,
    },
    /// A request waits for outcomes, and the log does not have it.
    #[error("checkpoint: the request with log sequence number {lsn} waits for outcomes and is not in the log")]
    MissingBody {
        /// Its place in the log.
        lsn: Lsn,
    },
}

impl RestoreError {
    fn invalid(field: &str, problem: &str) -> Self {
        Self::Invalid { field: field.to_owned(), problem: problem.to_owned() }
    }

    /// Tells in which element the field stands.
    fn within(self, element: &str, place: usize) -> Self {
        match self {
            Self::Invalid { field, problem } => Self::Invalid { field: format!("{element}[{place}].{field}"), problem },
            other => other,
        }
    }
}

/// An error, unless what a field says is right.
fn check(is_right: bool, field: &str, problem: &str) -> Result<(), RestoreError> {
    if is_right { Ok(()) } else { Err(RestoreError::invalid(field, problem)) }
}

impl Pipeline {
    /// The whole state as bytes, for [`Pipeline::restore`].
    pub fn checkpoint(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_checkpoint(&mut bytes);
        bytes
    }

    /// Adds the same to `bytes`.
    pub fn write_checkpoint(&self, bytes: &mut Vec<u8>) {
        let mut writer = Writer::new(bytes);
        writer.element(tag::HEAD, &self.head());
        series::write(&mut writer, &self.series);
        requests::write(&mut writer, &self.pending);
        settle::write(&mut writer, self);
        errors::write(&mut writer, &self.errors);
        evaluated::write(&mut writer, &self.evaluated);
        counts::write(&mut writer, &self.tally, &self.open_tally);
        duplicates::write(&mut writer, &self.duplicates);
        writer.finish();
    }

    fn head(&self) -> Head {
        let layout = self.series.layout();
        Head {
            format: FORMAT,
            fingerprint: self.fingerprint(),
            start: self.start,
            now: self.now,
            interval_start: self.series.interval_start(),
            forgotten: self.settle.forgotten(),
            new_errors: self.errors.new_count() as u64,
            resource_attributes: layout.resource_attributes.clone(),
            dimensions: layout.dimensions.clone(),
            saved_spans: self.saved.spans,
            saved_cost: Some(plain::money(self.saved.cost)),
        }
    }

    /// The pipeline that wrote a checkpoint, to go on with the record behind it. `bodies` gives the requests that still
    /// wait for outcomes: body and facts of the traces record with this sequence number; none of them is older than
    /// [`Pipeline::oldest_waiting`].
    ///
    /// If the [fingerprint](Settings::fingerprint) is another than that of the checkpoint, what was counted may mean
    /// something else: then all series start anew, from nothing but the open interval, which nobody has got yet. What
    /// waits is still counted.
    ///
    /// # Errors
    /// The checkpoint is damaged, or a request is not there.
    pub fn restore(
        settings: Settings,
        checkpoint: &[u8],
        mut bodies: impl FnMut(Lsn) -> Option<(Bytes, Vec<SpanFacts>)>,
    ) -> Result<Self, RestoreError> {
        let mut reader = Reader::new(checkpoint);
        let (_, head) = reader
            .next()?
            .filter(|(tag, _)| *tag == tag::HEAD)
            .ok_or_else(|| RestoreError::invalid("head", "missing"))?;
        let mut restoring = Restoring::new(settings, wire::message(head, tag::name(tag::HEAD))?, &mut bodies)?;
        while let Some((tag, element)) = reader.next()? {
            restoring.element(tag, element)?;
        }
        restoring.finish()
    }

    /// The oldest request that waits for outcomes: from there on the log must be kept, to restore a checkpoint of now.
    pub fn oldest_waiting(&self) -> Option<Lsn> {
        self.pending.iter().next().map(|request| request.applied.lsn)
    }

    /// Up to where all requests had their outcomes when the record at `applied` was the last.
    pub fn handed_on(&self, applied: Lsn) -> Lsn {
        self.oldest_waiting().map_or(applied, |waiting| waiting - 1)
    }

    /// See [`Settings::fingerprint`].
    pub fn fingerprint(&self) -> u64 {
        self.settings.fingerprint()
    }
}

/// Gives requests from the log.
type Bodies<'a> = dyn FnMut(Lsn) -> Option<(Bytes, Vec<SpanFacts>)> + 'a;

/// A pipeline that is being restored, and what the elements of the checkpoint say of each other.
struct Restoring<'a> {
    pipeline: Pipeline,
    bodies: &'a mut Bodies<'a>,
    head: Head,
    /// The layout of keys in the checkpoint.
    layout: Layout,
    /// Whether series go on: what was counted means the same.
    goes_on: bool,
    /// The keys of the series in the checkpoint, as they are now.
    keys: Vec<(Kind, Box<[u8]>)>,
    /// Where the prices stand of the names in the checkpoint.
    prices: Vec<Option<PriceRef>>,
    /// Where held spans wait for their outcomes.
    claims: HashSet<(u64, u32), RandomState>,
    /// The field of the last element, and its place among those of this field.
    last: (u32, usize),
}

impl<'a> Restoring<'a> {
    fn new(settings: Settings, head: Head, bodies: &'a mut Bodies<'a>) -> Result<Self, RestoreError> {
        if head.format != FORMAT {
            return Err(RestoreError::Format { found: head.format });
        }
        let is_ordered = head.start <= head.interval_start && head.interval_start <= head.now;
        check(is_ordered, "head.interval_start", "not between start and now")?;
        let layout = Layout {
            resource_attributes: head.resource_attributes.clone(),
            dimensions: head.dimensions.clone(),
            max_label_length: settings.layout.max_label_length,
        };
        let goes_on = head.fingerprint == settings.fingerprint() && layout == settings.layout;
        let mut pipeline = Pipeline::new(settings);
        pipeline.start = if goes_on { head.start } else { head.interval_start };
        pipeline.now = head.now;
        if goes_on {
            let cost = head.saved_cost.map_or(Money::ZERO, plain::amount);
            pipeline.saved = Saved { spans: plain::count(head.saved_spans, "head.saved_spans")?, cost };
        }
        pipeline.series.restore_interval(head.interval_start);
        pipeline.settle.restore_forgotten(head.forgotten);
        Ok(Self {
            pipeline,
            bodies,
            head,
            layout,
            goes_on,
            keys: Vec::new(),
            prices: Vec::new(),
            claims: HashSet::default(),
            last: (tag::HEAD, 0),
        })
    }

    /// Takes the next element.
    fn element(&mut self, tag: u32, bytes: &[u8]) -> Result<(), RestoreError> {
        match tag {
            tag::NAMES => self.read(tag, bytes, Self::names),
            tag::SERIES => self.read(tag, bytes, Self::series),
            tag::REQUEST => self.read(tag, bytes, Self::request),
            tag::HELD => self.read(tag, bytes, Self::held),
            tag::NODE => self.read(tag, bytes, Self::node),
            tag::ERROR_GROUP => self.read(tag, bytes, Self::error_group),
            tag::ERROR => self.read(tag, bytes, Self::error),
            tag::TOLD => self.read(tag, bytes, Self::told),
            tag::COUNT => self.read(tag, bytes, Self::count),
            tag::RECEIVED => self.read(tag, bytes, Self::received),
            tag => Err(RestoreError::invalid(tag::name(tag), "not here")),
        }
    }

    fn read<M: Message + Default>(
        &mut self,
        tag: u32,
        bytes: &[u8],
        take: impl FnOnce(&mut Self, M) -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError> {
        let place = if self.last.0 == tag { self.last.1 + 1 } else { 0 };
        self.last = (tag, place);
        let message = wire::message(bytes, tag::name(tag))?;
        take(self, message).map_err(|error| error.within(tag::name(tag), place))
    }

    fn finish(mut self) -> Result<Pipeline, RestoreError> {
        let waiting: usize = self.pipeline.pending.iter().map(|request| request.undecided).sum();
        check(waiting == self.claims.len(), "request.decided", "a span without an outcome is not held")?;
        let new_errors = self.head.new_errors;
        check(self.pipeline.errors.restored(new_errors), "head.new_errors", "records or groups are missing")?;
        self.pipeline.received = self.pipeline.accounted();
        Ok(self.pipeline)
    }
}

#[cfg(test)]
mod tests {
    use genai::Deriver;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
    use prost::Message as _;

    use super::*;
    use crate::Effect;
    use crate::collect::Forms;
    use crate::record::{Logged, Record};

    // A checkpoint is the message that proto/counting.proto describes: whoever has that reads all of it, and writes the same bytes. What
    // was counted before it keeps its prices' version.
    #[test]
    fn it_is_the_message_that_is_described() {
        let text = |key: &str, value: &str| KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) }),
            ..KeyValue::default()
        };
        let span = |id: u8, operation: &str| Span {
            trace_id: vec![1; 16],
            span_id: vec![id; 8],
            start_time_unix_nano: 1_000,
            end_time_unix_nano: 2_000,
            attributes: vec![text("gen_ai.operation.name", operation), text("gen_ai.request.model", "gpt-4o")],
            status: Some(Status { code: i32::from(id % 2) * 2, message: "failed".to_owned() }),
            ..Span::default()
        };
        let spans = vec![span(1, "chat"), span(2, "chat"), span(3, "invoke_agent")];
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }],
        };
        let delta = Forms { explicit: true, exponential: true };
        let mut pipeline = Pipeline::new(Settings { delta, pending: Some(usize::MAX), ..basis::tests::settings() });
        let mut last = Bytes::new();
        for (lsn, ends) in [(1, Some(Record::Drain)), (2, None)] {
            let mut request = request.clone();
            request.resource_spans[0].scope_spans[0].spans[0].name = lsn.to_string();
            let body = Bytes::from(request.encode_to_vec());
            last = body.clone();
            let traces = Record::of_traces(&Deriver::default(), body, None, false).unwrap();
            for record in [traces, ends].into_iter().flatten() {
                pipeline.apply(Logged { lsn, receive_time: lsn, record }, |_| {});
            }
        }
        let checkpoint = pipeline.checkpoint();
        let message = messages::Checkpoint::decode(&*checkpoint).unwrap();
        let parts = [message.series.len(), message.request.len(), message.held.len(), message.node.len()];
        assert!(parts.iter().all(|part| *part > 0) && !message.error.is_empty() && message.hash != 0, "{message:?}");
        assert!(message.encode_to_vec() == checkpoint);

        // A request that waits says by which prices it was counted, whatever they are when it is told of.
        let before = message.request[0].price_version.clone();
        let mut others = basis::tests::settings();
        others.pricing.prices = basis::tests::prices(r#"[{"match": "x", "input": "1"}]"#);
        assert_ne!(others.pricing.prices.version(), before);
        let bodies = |_| Some((last.clone(), Deriver::default().derive_traces(&last).unwrap().spans));
        let mut restored =
            Pipeline::restore(Settings { pending: Some(usize::MAX), ..others }, &checkpoint, bodies).unwrap();
        let mut told = Vec::new();
        restored.apply(Logged { lsn: 3, receive_time: 3, record: Record::Drain }, |effect| told.push(effect));
        let version = told.iter().find_map(|effect| match effect {
            Effect::Applied(applied) => Some(&*applied.price_version),
            Effect::Interval(_) => None,
        });
        assert_eq!(version, Some(&*before));
    }
}
