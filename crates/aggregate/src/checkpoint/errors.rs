//! The index of error records.

use genai::ErrorClass;

use super::codes::{code, required};
use super::messages::{self, tag};
use super::plain::{count, trace_halves, trace_id};
use super::wire::Writer;
use super::{RestoreError, Restoring, check};
use crate::errors::{Details, ErrorGroup, ErrorIndex, ErrorRecord, SAMPLES};

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
    let texts = [
        (&mut message.service, &record.service),
        (&mut message.environment, &record.environment),
        (&mut message.span_name, &record.span_name),
        (&mut message.operation, &record.operation),
        (&mut message.provider, &record.provider),
        (&mut message.request_model, &record.request_model),
        (&mut message.response_model, &record.response_model),
        (&mut message.kind, &record.kind),
        (&mut message.message, &record.message),
    ];
    texts.into_iter().for_each(|(to, from)| to.clone_from(from));
    (message.time, message.receive_time) = (record.time, record.receive_time);
    (message.trace_high, message.trace_low) = (trace_high, trace_low);
    message.span = u64::from_be_bytes(record.span_id);
    message.class = code(&ErrorClass::ALL, record.class);
    message.duration = record.duration;
    message.fingerprint = record.fingerprint;
    message.details = record.details.as_ref().map(|details| messages::ErrorDetails {
        resource: details.resource.to_vec(),
        attributes: details.attributes.clone(),
    });
}

pub(super) fn record(told: messages::ErrorRecord) -> Result<ErrorRecord, RestoreError> {
    Ok(ErrorRecord {
        time: told.time,
        receive_time: told.receive_time,
        trace_id: trace_id([told.trace_high, told.trace_low]),
        span_id: told.span.to_be_bytes(),
        service: told.service,
        environment: told.environment,
        span_name: told.span_name,
        operation: told.operation,
        provider: told.provider,
        request_model: told.request_model,
        response_model: told.response_model,
        class: required(&ErrorClass::ALL, told.class, "class")?,
        kind: told.kind,
        message: told.message,
        duration: told.duration,
        fingerprint: told.fingerprint,
        details: told.details.map(|details| Box::new(Details::new(details.resource.into(), details.attributes))),
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
