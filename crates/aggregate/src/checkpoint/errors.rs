//! The index of error records.

use genai::ErrorClass;

use super::codes::{code, required};
use super::messages::{self, tag};
use super::plain::{count, trace_halves, trace_id};
use super::wire::Writer;
use super::{RestoreError, Restoring, check};
use crate::errors::{Details, ErrorGroup, ErrorIndex, ErrorRecord, ErrorText, SAMPLES, Texts};

pub(super) fn write(writer: &mut Writer<'_>, index: &ErrorIndex) {
    index.groups().into_iter().for_each(|group| writer.element(tag::ERROR_GROUP, &group_message(group)));
    let mut message = messages::ErrorRecord::default();
    for record in index.oldest_first() {
        fill(&mut message, record);
        writer.element(tag::ERROR, &message);
    }
}

fn group_message(group: &ErrorGroup) -> messages::ErrorGroup {
    messages::ErrorGroup {
        fingerprint: group.fingerprint,
        class: code(&ErrorClass::ALL, group.class),
        kind: group.kind.clone(),
        message: group.message.clone(),
        count: group.count,
        first_seen: group.first_seen,
        last_seen: group.last_seen,
        traces: group.trace_ids.iter().flat_map(|id| trace_halves(*id)).collect(),
    }
}

pub(super) fn message(record: &ErrorRecord) -> messages::ErrorRecord {
    let mut message = messages::ErrorRecord::default();
    fill(&mut message, record);
    message
}

/// Makes a message that of a record. There are many records: the memory of the texts that stood in it is used again.
fn fill(message: &mut messages::ErrorRecord, record: &ErrorRecord) {
    let [trace_high, trace_low] = trace_halves(record.trace_id);
    for which in ErrorText::ALL {
        record.text(which).clone_into(text_mut(message, which));
    }
    (message.time, message.receive_time) = (record.time, record.receive_time);
    (message.trace_high, message.trace_low) = (trace_high, trace_low);
    message.span = u64::from_be_bytes(record.span_id);
    message.class = code(&ErrorClass::ALL, record.class);
    message.duration = record.duration;
    message.fingerprint = record.fingerprint;
    message.details = record
        .details
        .as_ref()
        .map(|details| messages::ErrorDetails { resource: details.resource.to_vec(), facts: details.facts.to_vec() });
}

fn text_mut(message: &mut messages::ErrorRecord, which: ErrorText) -> &mut String {
    match which {
        ErrorText::Service => &mut message.service,
        ErrorText::Environment => &mut message.environment,
        ErrorText::SpanName => &mut message.span_name,
        ErrorText::Operation => &mut message.operation,
        ErrorText::Provider => &mut message.provider,
        ErrorText::RequestModel => &mut message.request_model,
        ErrorText::ResponseModel => &mut message.response_model,
        ErrorText::Kind => &mut message.kind,
        ErrorText::Message => &mut message.message,
    }
}

pub(super) fn record(mut told: messages::ErrorRecord) -> Result<ErrorRecord, RestoreError> {
    let texts = ErrorText::ALL.map(|which| std::mem::take(text_mut(&mut told, which)));
    Ok(ErrorRecord {
        time: told.time,
        receive_time: told.receive_time,
        trace_id: trace_id([told.trace_high, told.trace_low]),
        span_id: told.span.to_be_bytes(),
        class: required(&ErrorClass::ALL, told.class, "class")?,
        duration: told.duration,
        fingerprint: told.fingerprint,
        texts: Texts::of(|which| texts[which as usize].as_str().into()),
        details: told
            .details
            .map(|details| Box::new(Details { resource: details.resource.into(), facts: details.facts.into() })),
    })
}

impl Restoring<'_> {
    pub(super) fn error_group(&mut self, told: messages::ErrorGroup) -> Result<(), RestoreError> {
        let (halves, odd) = told.traces.as_chunks::<2>();
        check(odd.is_empty() && halves.len() <= SAMPLES, "traces", "not some pairs of numbers")?;
        self.pipeline.errors.restore_group(ErrorGroup {
            fingerprint: told.fingerprint,
            class: required(&ErrorClass::ALL, told.class, "class")?,
            count: count(told.count, "count")?,
            first_seen: told.first_seen,
            last_seen: told.last_seen,
            trace_ids: halves.iter().map(|halves| trace_id(*halves)).collect(),
            kind: told.kind,
            message: told.message,
            kept: 0,
        });
        Ok(())
    }

    pub(super) fn error(&mut self, told: messages::ErrorRecord) -> Result<(), RestoreError> {
        check(self.pipeline.errors.restore(record(told)?), "fingerprint", "of no group")
    }
}
