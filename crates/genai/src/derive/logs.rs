//! The walk over log records: those that tell the result of an evaluation are taken.

use otlp::logs::{RECORD_ATTRIBUTES, Record, Visitor};
use otlp::trace::attributes;
use otlp::{Text, Value};

use super::{MAX_EVALUATIONS, id};
use crate::dialects::{EventSays, Fact, Table};
use crate::evaluation::{Evaluation, ToldBy};
use crate::facts::Label;

/// The evaluations found so far, and what is known of the resource and the record that are being read.
pub(super) struct LogDerivation<'a> {
    body: &'a [u8],
    table: &'static Table,
    resource: Text,
    service: Text,
    /// The event's name where it was written before log records had one.
    event_name: Text,
    pub(super) evaluations: Vec<Evaluation>,
}

impl<'a> LogDerivation<'a> {
    pub(super) fn new(body: &'a [u8], table: &'static Table) -> Self {
        Self {
            body,
            table,
            resource: Text::default(),
            service: Text::default(),
            event_name: Text::default(),
            evaluations: Vec::new(),
        }
    }
}

impl Visitor for LogDerivation<'_> {
    fn again(&mut self) {
        self.evaluations.clear();
    }

    fn resource(&mut self, message: Text) {
        self.resource = message;
        self.service = Text::default();
    }

    fn resource_attribute(&mut self, key: &[u8], value: Value) {
        if let Value::String(text) = value
            && key == b"service.name"
        {
            self.service = text;
        }
    }

    fn attribute(&mut self, key: &[u8], value: Value) {
        if let Value::String(text) = value
            && key == b"event.name"
        {
            self.event_name = text;
        }
    }

    fn record(&mut self, record: &Record) {
        let elsewhere = std::mem::take(&mut self.event_name);
        let name = if record.event_name.is_empty() { elsewhere } else { record.event_name };
        if !name.is_empty() && self.table.event(name.bytes(self.body)) == Some(EventSays::Evaluation) {
            self.take(record);
        }
    }
}

impl LogDerivation<'_> {
    /// Takes an evaluation. Few records are any: only theirs are read for what they tell.
    #[cold]
    fn take(&mut self, record: &Record) {
        let mut evaluation = Evaluation {
            resource: self.resource,
            service: self.service,
            told_by: ToldBy::Log,
            message: record.message,
            name: Text::default(),
            score: None,
            label: Label::None,
            trace_id: id(record.trace_id, self.body),
            span_id: id(record.span_id, self.body),
            time: if record.time == 0 { record.observed_time } else { record.time },
        };
        for attribute in attributes(self.body, record.message, RECORD_ATTRIBUTES) {
            if let Some(row) = self.table.row(attribute.key.bytes(self.body))
                && let Fact::Evaluation(part) = row.fact
            {
                evaluation.take(part, attribute.value, self.body);
            }
        }
        // One more than the limit is kept, to tell that it was passed.
        if evaluation.says_something() && self.evaluations.len() <= MAX_EVALUATIONS {
            self.evaluations.push(evaluation);
        }
    }
}
