//! `ExportLogsServiceRequest`, walked once.
//!
//! Source: opentelemetry-proto v1.11, `collector/logs/v1/logs_service.proto` and `logs/v1/logs.proto`.

use crate::envelope::{self, Fields, Items, Scope};
use crate::value::{Value, read_key_value, read_value};
use crate::wire::{BYTES, Cursor, FIXED32, FIXED64, InField, Text, VARINT, WireError, key};

/// What [`walk`] tells, in this order: a resource with its attributes, then each scope, then its log records.
pub trait Visitor {
    /// All that was told is to be forgotten, for it comes again: see [`crate::trace::Visitor::again`].
    fn again(&mut self);
    /// A resource begins; `message` is the range of the `Resource` (empty if there is none).
    fn resource(&mut self, message: Text);
    /// An attribute of the resource.
    fn resource_attribute(&mut self, key: &[u8], value: Value);
    /// A scope begins. Its attributes are in [`Scope::message`].
    fn scope(&mut self, _scope: Scope) {}
    /// An attribute of the log record that is told when it is complete.
    fn attribute(&mut self, key: &[u8], value: Value);
    /// The log record is complete.
    fn record(&mut self, record: &Record);
}

/// `opentelemetry.proto.logs.v1.LogRecord` without its attributes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Record {
    /// The whole message; its attributes can be read again with [`crate::trace::attributes`] and [`RECORD_ATTRIBUTES`].
    pub message: Text,
    /// When it happened, nanoseconds since the Unix epoch; zero if it is not known.
    pub time: u64,
    /// When it was seen, nanoseconds since the Unix epoch.
    pub observed_time: u64,
    /// `SeverityNumber`: 1 to 24, zero if it has none.
    pub severity_number: i32,
    /// The severity as its source calls it.
    pub severity_text: Text,
    /// The body.
    pub body: Value,
    /// The name of the event, if it is one.
    pub event_name: Text,
    /// `trace_id`: 16 bytes when valid.
    pub trace_id: Text,
    /// `span_id`: 8 bytes when valid.
    pub span_id: Text,
    /// `flags`: W3C trace flags.
    pub flags: u32,
    /// `dropped_attributes_count`.
    pub dropped_attributes: u32,
}

/// Field number of the attributes in a `LogRecord`.
pub const RECORD_ATTRIBUTES: u32 = 6;

/// Walks `body` once from front to back and tells `visitor` what is in it, under the rules of [`crate::trace::walk`].
///
/// # Errors
/// The first malformed field, with its byte offset and path. Log records before it have been told by then.
pub fn walk(body: &[u8], visitor: &mut impl Visitor) -> Result<(), WireError> {
    envelope::walk(body, &mut Records(visitor))
}

/// The walk over a request as [`envelope::walk`] wants it.
struct Records<'v, V>(&'v mut V);

impl<V: Visitor> Items for Records<'_, V> {
    const FIELDS: Fields = Fields { resources: "resource_logs", scopes: "scope_logs", items: "log_records" };

    fn again(&mut self) {
        self.0.again();
    }

    fn resource(&mut self, message: Text) {
        self.0.resource(message);
    }

    fn resource_attribute(&mut self, key: &[u8], value: Value) {
        self.0.resource_attribute(key, value);
    }

    fn scope(&mut self, scope: Scope) {
        self.0.scope(scope);
    }

    fn item(&mut self, message: Cursor<'_>) -> Result<(), WireError> {
        record(message, self.0)
    }
}

fn record(mut message: Cursor<'_>, visitor: &mut impl Visitor) -> Result<(), WireError> {
    const TIME: u32 = key(1, FIXED64);
    const SEVERITY_NUMBER: u32 = key(2, VARINT);
    const SEVERITY_TEXT: u32 = key(3, BYTES);
    const BODY: u32 = key(5, BYTES);
    const ATTRIBUTES: u32 = key(RECORD_ATTRIBUTES, BYTES);
    const DROPPED_ATTRIBUTES: u32 = key(7, VARINT);
    const FLAGS: u32 = key(8, FIXED32);
    const TRACE_ID: u32 = key(9, BYTES);
    const SPAN_ID: u32 = key(10, BYTES);
    const OBSERVED_TIME: u32 = key(11, FIXED64);
    const EVENT_NAME: u32 = key(12, BYTES);
    const KNOWN: [u32; 11] = [
        TIME,
        SEVERITY_NUMBER,
        SEVERITY_TEXT,
        BODY,
        ATTRIBUTES,
        DROPPED_ATTRIBUTES,
        FLAGS,
        TRACE_ID,
        SPAN_ID,
        OBSERVED_TIME,
        EVENT_NAME,
    ];

    let mut record = Record { message: message.range(), ..Record::default() };
    while !message.is_empty() {
        match message.key()? {
            ATTRIBUTES => {
                let pair = message.message().and_then(|m| read_key_value(m, 0)).in_field("attributes")?;
                visitor.attribute(pair.key.bytes(), pair.value);
            }
            TIME => record.time = message.fixed64().in_field("time_unix_nano")?,
            OBSERVED_TIME => record.observed_time = message.fixed64().in_field("observed_time_unix_nano")?,
            SEVERITY_NUMBER => record.severity_number = message.varint().in_field("severity_number")? as i32,
            SEVERITY_TEXT => record.severity_text = message.text().in_field("severity_text")?,
            BODY => message.message().and_then(|m| read_value(m, &mut record.body, 0)).in_field("body")?,
            EVENT_NAME => record.event_name = message.text().in_field("event_name")?,
            TRACE_ID => record.trace_id = message.text().in_field("trace_id")?,
            SPAN_ID => record.span_id = message.text().in_field("span_id")?,
            FLAGS => record.flags = message.fixed32().in_field("flags")?,
            DROPPED_ATTRIBUTES => record.dropped_attributes = message.varint()? as u32,
            other => message.unexpected(other, &KNOWN)?,
        }
    }
    visitor.record(&record);
    Ok(())
}
