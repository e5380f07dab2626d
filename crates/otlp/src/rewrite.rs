//! Requests with other values in some attributes, or with more of them, and everything else byte for byte as it was.

use crate::value::{Value, read_value};
use crate::wire::{BYTES, Cursor, FIXED64, InField, VARINT, WireError, key};

/// `attributes` of a `Span`.
const SPAN_ATTRIBUTES: u32 = key(9, BYTES);

/// An attribute that has a text, bytes, a list or a map: what a content may be written as.
#[derive(Debug, Clone, Copy)]
pub struct Attribute<'a> {
    /// The name of the event that it stands in; `None` for one of the span or log record itself.
    pub event: Option<&'a [u8]>,
    /// Its key; `None` for the body of a log record.
    pub key: Option<&'a [u8]>,
    /// Its text or bytes; of a list or map the encoded `AnyValue`.
    pub content: &'a [u8],
}

/// An `ExportTraceServiceRequest` in which some attributes of spans and their events have another text as their value: what
/// `value` gives for them. `None` if it gives nothing for any of them; nothing is copied then.
///
/// # Errors
/// The first field that cannot be read on the way to the attributes. What lies beside that way is not looked at.
pub fn traces(body: &[u8], value: impl FnMut(Attribute<'_>) -> Option<String>) -> Result<Option<Vec<u8>>, WireError> {
    const RESOURCE_SPANS: u32 = key(1, BYTES);
    const SCOPE_SPANS: u32 = key(2, BYTES);
    const SPANS: u32 = key(2, BYTES);
    let mut rewriter = Rewriter { body, value };
    let mut scope = |message| in_field(message, SPANS, |span| rewriter.span(span).in_field("spans"));
    in_field(Cursor::new(body)?, RESOURCE_SPANS, |resource| {
        in_field(resource, SCOPE_SPANS, |message| scope(message).in_field("scope_spans")).in_field("resource_spans")
    })
}

/// The same for an `ExportLogsServiceRequest`: attributes of log records, and their bodies, an attribute without a key of the
/// event that the record is.
///
/// # Errors
/// As [`traces`].
pub fn logs(body: &[u8], value: impl FnMut(Attribute<'_>) -> Option<String>) -> Result<Option<Vec<u8>>, WireError> {
    const RESOURCE_LOGS: u32 = key(1, BYTES);
    const SCOPE_LOGS: u32 = key(2, BYTES);
    const LOG_RECORDS: u32 = key(2, BYTES);
    let mut rewriter = Rewriter { body, value };
    let mut scope = |message| in_field(message, LOG_RECORDS, |record| rewriter.record(record).in_field("log_records"));
    in_field(Cursor::new(body)?, RESOURCE_LOGS, |resource| {
        in_field(resource, SCOPE_LOGS, |message| scope(message).in_field("scope_logs")).in_field("resource_logs")
    })
}

/// The same for a request of any signal: attributes of its resources and scopes.
///
/// # Errors
/// As [`traces`].
pub fn heads(body: &[u8], value: impl FnMut(Attribute<'_>) -> Option<String>) -> Result<Option<Vec<u8>>, WireError> {
    // In requests of all signals alike.
    const RESOURCES: u32 = key(1, BYTES);
    const RESOURCE: u32 = key(1, BYTES);
    const RESOURCE_ATTRIBUTES: u32 = key(1, BYTES);
    const SCOPES: u32 = key(2, BYTES);
    const SCOPE: u32 = key(1, BYTES);
    const SCOPE_ATTRIBUTES: u32 = key(3, BYTES);
    let mut rewriter = Rewriter { body, value };
    let mut attributes = |message, field| in_field(message, field, |pair| rewriter.attribute(None, pair));
    in_field(Cursor::new(body)?, RESOURCES, |resource| {
        rewrite(resource, |field, message| match field {
            RESOURCE => attributes(message, RESOURCE_ATTRIBUTES).in_field("resource"),
            SCOPES => in_field(message, SCOPE, |scope| attributes(scope, SCOPE_ATTRIBUTES)).in_field("scope"),
            _ => Ok(None),
        })
    })
}

/// An `ExportMetricsServiceRequest` without the metrics whose names are unwanted, nor scopes and resources of which then nothing is left.
/// `None` if there are none; nothing is copied then.
///
/// # Errors
/// As [`traces`].
pub fn without_metrics(body: &[u8], is_unwanted: impl Fn(&[u8]) -> bool) -> Result<Option<Vec<u8>>, WireError> {
    const RESOURCE_METRICS: u32 = key(1, BYTES);
    const SCOPE_METRICS: u32 = key(2, BYTES);
    const METRICS: u32 = key(2, BYTES);
    const NAME: u32 = key(1, BYTES);
    let metric = |message| {
        let name = last(message, NAME)?.map_or(&[][..], |name| name.bytes());
        Ok(if is_unwanted(name) { Left::Nothing } else { Left::All })
    };
    let scope = |message| without(message, METRICS, |message| metric(message).in_field("metrics"));
    let resource = |message| without(message, SCOPE_METRICS, |message| scope(message).in_field("scope_metrics"));
    let request = Cursor::new(body)?;
    Ok(match without(request, RESOURCE_METRICS, |message| resource(message).in_field("resource_metrics"))? {
        Left::All => None,
        Left::Some(rest) => Some(rest),
        Left::Nothing => Some(Vec::new()),
    })
}

/// What is left of a message.
enum Left {
    All,
    Some(Vec<u8>),
    Nothing,
}

/// A message with what is left of a repeated field in it; nothing, if that is so of the field.
fn without<'a>(
    message: Cursor<'a>,
    field: u32,
    mut left_of: impl FnMut(Cursor<'a>) -> Result<Left, WireError>,
) -> Result<Left, WireError> {
    let bytes = message.bytes();
    let mut fields = message;
    let (mut copied, mut is_empty) = (0, true);
    let mut out: Option<Vec<u8>> = None;
    while !fields.is_empty() {
        let start = bytes.len() - fields.bytes().len();
        let found = fields.key()?;
        if found != field {
            fields.skip(found)?;
            continue;
        }
        let left = left_of(fields.message()?)?;
        is_empty &= matches!(left, Left::Nothing);
        if matches!(left, Left::All) {
            continue;
        }
        let out = out.get_or_insert_default();
        out.extend_from_slice(&bytes[copied..start]);
        copied = bytes.len() - fields.bytes().len();
        if let Left::Some(content) = left {
            put_field(out, found, &content);
        }
    }
    Ok(match out {
        None => Left::All,
        Some(_) if is_empty => Left::Nothing,
        Some(mut out) => {
            out.extend_from_slice(&bytes[copied..]);
            Left::Some(out)
        }
    })
}

/// An `ExportTraceServiceRequest` with more attributes on its spans, which `add` is asked for span by span, in the order of the
/// request. They go to the end of each span. `None` if it adds nothing to any of them; nothing is copied then.
///
/// # Errors
/// As [`traces`].
pub fn add_to_spans(body: &[u8], mut add: impl FnMut(&mut Added<'_>)) -> Result<Option<Vec<u8>>, WireError> {
    const RESOURCE_SPANS: u32 = key(1, BYTES);
    const SCOPE_SPANS: u32 = key(2, BYTES);
    const SPANS: u32 = key(2, BYTES);
    let mut added = Added::default();
    let mut scope = |message| in_field(message, SPANS, |span| added.to(span, &mut add).in_field("spans"));
    in_field(Cursor::new(body)?, RESOURCE_SPANS, |resource| {
        in_field(resource, SCOPE_SPANS, |message| scope(message).in_field("scope_spans")).in_field("resource_spans")
    })
}

/// Attributes that are added to a span. None takes the place of one that the span has, and none stands twice.
#[derive(Debug, Default)]
pub struct Added<'a> {
    /// Keys that the span has.
    there: Vec<&'a [u8]>,
    /// What is added, encoded.
    more: Vec<u8>,
}

impl<'a> Added<'a> {
    /// Adds a text; one that is not UTF-8 is left out, as nobody reads a request with such.
    pub fn text(&mut self, key: &'static str, text: &[u8]) {
        if let Ok(text) = std::str::from_utf8(text) {
            self.add(key, &any_value(text));
        }
    }

    /// Adds an integer.
    pub fn int(&mut self, name: &'static str, value: i64) {
        const INT: u32 = key(3, VARINT);
        let mut encoded = Vec::with_capacity(11);
        put_varint(&mut encoded, u64::from(INT));
        put_varint(&mut encoded, value.cast_unsigned());
        self.add(name, &encoded);
    }

    /// Adds a double.
    pub fn double(&mut self, name: &'static str, value: f64) {
        const DOUBLE: u32 = key(4, FIXED64);
        let mut encoded = Vec::with_capacity(9);
        put_varint(&mut encoded, u64::from(DOUBLE));
        encoded.extend_from_slice(&value.to_le_bytes());
        self.add(name, &encoded);
    }

    fn add(&mut self, name: &'static str, value: &[u8]) {
        const KEY: u32 = key(1, BYTES);
        const VALUE: u32 = key(2, BYTES);
        if self.there.contains(&name.as_bytes()) {
            return;
        }
        self.there.push(name.as_bytes());
        let mut pair = Vec::with_capacity(name.len() + value.len() + 8);
        put_field(&mut pair, KEY, name.as_bytes());
        put_field(&mut pair, VALUE, value);
        put_field(&mut self.more, SPAN_ATTRIBUTES, &pair);
    }

    /// The span with what `add` adds; `None` if that is nothing.
    fn to(&mut self, span: Cursor<'a>, add: &mut impl FnMut(&mut Added<'_>)) -> Result<Option<Vec<u8>>, WireError> {
        const KEY: u32 = key(1, BYTES);
        self.there.clear();
        self.more.clear();
        let mut fields = span;
        while !fields.is_empty() {
            match fields.key()? {
                SPAN_ATTRIBUTES => {
                    let key = last(fields.message()?, KEY).in_field("attributes")?;
                    self.there.push(key.map_or(&[][..], |key| key.bytes()));
                }
                other => fields.skip(other)?,
            }
        }
        add(self);
        Ok((!self.more.is_empty()).then(|| [span.bytes(), &self.more].concat()))
    }
}

struct Rewriter<'a, F> {
    body: &'a [u8],
    value: F,
}

impl<'a, F: FnMut(Attribute<'_>) -> Option<String>> Rewriter<'a, F> {
    fn span(&mut self, span: Cursor<'a>) -> Result<Option<Vec<u8>>, WireError> {
        const EVENTS: u32 = key(11, BYTES);
        rewrite(span, |field, message| match field {
            SPAN_ATTRIBUTES => self.attribute(None, message).in_field("attributes"),
            EVENTS => self.event(message).in_field("events"),
            _ => Ok(None),
        })
    }

    fn event(&mut self, event: Cursor<'a>) -> Result<Option<Vec<u8>>, WireError> {
        const NAME: u32 = key(2, BYTES);
        const ATTRIBUTES: u32 = key(3, BYTES);
        let name = last(event, NAME)?.map_or(&[][..], |name| name.bytes());
        in_field(event, ATTRIBUTES, |message| self.attribute(Some(name), message).in_field("attributes"))
    }

    fn record(&mut self, record: Cursor<'a>) -> Result<Option<Vec<u8>>, WireError> {
        const BODY: u32 = key(5, BYTES);
        const ATTRIBUTES: u32 = key(6, BYTES);
        const EVENT_NAME: u32 = key(12, BYTES);
        let name = last(record, EVENT_NAME)?.map(|name| name.bytes());
        rewrite(record, |field, message| match field {
            ATTRIBUTES => self.attribute(name, message).in_field("attributes"),
            BODY => Ok(self.value(name, None, message).in_field("body")?.map(|text| any_value(&text))),
            _ => Ok(None),
        })
    }

    /// A `KeyValue`. Of a field that is there several times the last one counts, and all are taken out.
    fn attribute(&mut self, event: Option<&[u8]>, pair: Cursor<'a>) -> Result<Option<Vec<u8>>, WireError> {
        const KEY: u32 = key(1, BYTES);
        const VALUE: u32 = key(2, BYTES);
        let key = last(pair, KEY)?.map_or(&[][..], |key| key.bytes());
        let Some(value) = last(pair, VALUE)? else { return Ok(None) };
        let Some(text) = self.value(event, Some(key), value).in_field("value")? else { return Ok(None) };
        let value = any_value(&text);
        in_field(pair, VALUE, |_| Ok(Some(value.clone())))
    }

    /// What is to stand instead of an `AnyValue`.
    fn value(
        &mut self,
        event: Option<&[u8]>,
        key: Option<&[u8]>,
        encoded: Cursor<'a>,
    ) -> Result<Option<String>, WireError> {
        let mut value = Value::Empty;
        read_value(encoded, &mut value, 0)?;
        let content = match value {
            Value::String(text) | Value::Bytes(text) => text.bytes(self.body),
            Value::Array(_) | Value::KeyValues(_) => encoded.bytes(),
            Value::Empty | Value::Bool(_) | Value::Int(_) | Value::Double(_) => return Ok(None),
        };
        Ok((self.value)(Attribute { event, key, content }))
    }
}

/// The content of a field; of several the last.
fn last(message: Cursor<'_>, field: u32) -> Result<Option<Cursor<'_>>, WireError> {
    let mut fields = message;
    let mut found = None;
    while !fields.is_empty() {
        match fields.key()? {
            known if known == field => found = Some(fields.message()?),
            other => fields.skip(other)?,
        }
    }
    Ok(found)
}

fn any_value(text: &str) -> Vec<u8> {
    const STRING: u32 = key(1, BYTES);
    let mut value = Vec::with_capacity(text.len() + 4);
    put_field(&mut value, STRING, text.as_bytes());
    value
}

/// As [`rewrite`], if only one field may change.
fn in_field<'a>(
    message: Cursor<'a>,
    field: u32,
    mut new: impl FnMut(Cursor<'a>) -> Result<Option<Vec<u8>>, WireError>,
) -> Result<Option<Vec<u8>>, WireError> {
    rewrite(message, |found, content| if found == field { new(content) } else { Ok(None) })
}

/// A message in which `new` says what stands instead of the content of a length-delimited field. What it gives nothing for is
/// copied as it is, unknown fields and odd encodings too; if it never gives anything, nothing is copied.
fn rewrite<'a>(
    message: Cursor<'a>,
    mut new: impl FnMut(u32, Cursor<'a>) -> Result<Option<Vec<u8>>, WireError>,
) -> Result<Option<Vec<u8>>, WireError> {
    let bytes = message.bytes();
    let mut fields = message;
    let mut copied = 0;
    let mut out: Option<Vec<u8>> = None;
    while !fields.is_empty() {
        let start = bytes.len() - fields.bytes().len();
        let found = fields.key()?;
        if found & 7 != BYTES {
            fields.skip(found)?;
            continue;
        }
        if let Some(content) = new(found, fields.message()?)? {
            let out = out.get_or_insert_default();
            out.extend_from_slice(&bytes[copied..start]);
            put_field(out, found, &content);
            copied = bytes.len() - fields.bytes().len();
        }
    }
    Ok(out.map(|mut out| {
        out.extend_from_slice(&bytes[copied..]);
        out
    }))
}

fn put_field(out: &mut Vec<u8>, key: u32, content: &[u8]) {
    put_varint(out, u64::from(key));
    put_varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
