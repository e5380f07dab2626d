//! `ExportTraceServiceRequest`, walked once.
//!
//! Source: opentelemetry-proto v1.11, `collector/trace/v1/trace_service.proto` and `trace/v1/trace.proto`.

use crate::envelope::{self, Fields, Items, ranges};
pub use crate::envelope::{RESOURCE_ATTRIBUTES, SCOPE_ATTRIBUTES, Scope, attributes, check_envelope};
use crate::value::{Value, any_key_value, read_key_value, usual_key_value};
use crate::wire::{BYTES, Cursor, FIXED32, FIXED64, InField, Text, VARINT, WireError, key};

/// What [`walk`] tells, in this order: a resource with its attributes, then each scope, then its spans.
pub trait Visitor: SpanVisitor {
    /// All that was told is to be forgotten, for it comes again: a scope came behind its spans. Protobuf allows it, and no encoder does it.
    fn again(&mut self);
    /// A resource begins; `message` is the range of the `Resource` (empty if there is none).
    fn resource(&mut self, message: Text);
    /// An attribute of the resource.
    fn resource_attribute(&mut self, key: &[u8], value: Value);
    /// A scope begins. Its attributes are in [`Scope::message`], for [`attributes`].
    fn scope(&mut self, scope: Scope);
}

/// What is told of a span: its attributes, events and links in the order in which they were sent, and then the rest of it.
pub trait SpanVisitor {
    /// An attribute.
    fn attribute(&mut self, key: &[u8], value: Value);
    /// An event. Its attributes are in [`Event::message`].
    fn event(&mut self, event: Event);
    /// A link. Its attributes are in [`Link::message`].
    fn link(&mut self, _link: Link) {}
    /// The span is complete.
    fn span(&mut self, span: &Span);
}

/// `opentelemetry.proto.trace.v1.Span` without its repeated fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// The whole message.
    pub message: Text,
    /// `trace_id`: 16 bytes when valid.
    pub trace_id: Text,
    /// `span_id`: 8 bytes when valid.
    pub span_id: Text,
    /// `parent_span_id`: empty for a root span.
    pub parent_span_id: Text,
    /// W3C `tracestate`.
    pub trace_state: Text,
    /// Span name.
    pub name: Text,
    /// `flags`: W3C trace flags and whether the parent is remote.
    pub flags: u32,
    /// `SpanKind`: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    /// Nanoseconds since the Unix epoch.
    pub start: u64,
    /// Nanoseconds since the Unix epoch.
    pub end: u64,
    /// `Status.message`.
    pub status_message: Text,
    /// `Status.code`: 0 unset, 1 ok, 2 error.
    pub status_code: i32,
    /// `dropped_attributes_count`.
    pub dropped_attributes: u32,
    /// `dropped_events_count`.
    pub dropped_events: u32,
    /// `dropped_links_count`.
    pub dropped_links: u32,
}

/// `opentelemetry.proto.trace.v1.Span.Event`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Event {
    /// The whole message; its attributes are read with [`attributes`] and [`EVENT_ATTRIBUTES`].
    pub message: Text,
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// Event name.
    pub name: Text,
    /// `dropped_attributes_count`.
    pub dropped_attributes: u32,
}

/// `opentelemetry.proto.trace.v1.Span.Link`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// The whole message; its attributes are read with [`attributes`] and [`LINK_ATTRIBUTES`].
    pub message: Text,
    /// `trace_id` of the linked span.
    pub trace_id: Text,
    /// `span_id` of the linked span.
    pub span_id: Text,
    /// W3C `tracestate` of the linked span.
    pub trace_state: Text,
}

/// Field number of the attributes in a `Span`.
pub const SPAN_ATTRIBUTES: u32 = 9;
/// Field number of the attributes in an `Event`.
pub const EVENT_ATTRIBUTES: u32 = 3;
/// Field number of the attributes in a `Link`.
pub const LINK_ATTRIBUTES: u32 = 4;

/// Walks `body` once from front to back and tells `visitor` what is in it.
///
/// Known fields must have their own wire type and every length must fit; unknown fields are skipped; values are checked to
/// their full depth, so whatever range the visitor keeps can be opened later. Texts are not checked to be UTF-8.
///
/// # Errors
/// The first malformed field, with its byte offset and path. Spans before it have been told by then: a caller that wants
/// all or nothing throws them away.
pub fn walk(body: &[u8], visitor: &mut impl Visitor) -> Result<(), WireError> {
    envelope::walk(body, &mut Spans(visitor))
}

/// The walk over a request as [`envelope::walk`] wants it.
struct Spans<'v, V>(&'v mut V);

impl<V: Visitor> Items for Spans<'_, V> {
    const FIELDS: Fields = Fields { resources: "resource_spans", scopes: "scope_spans", items: "spans" };

    fn again(&mut self) {
        self.0.again();
    }

    #[inline(always)]
    fn resource(&mut self, message: Text) {
        self.0.resource(message);
    }

    #[inline(always)]
    fn resource_attribute(&mut self, key: &[u8], value: Value) {
        self.0.resource_attribute(key, value);
    }

    #[inline(always)]
    fn scope(&mut self, scope: Scope) {
        self.0.scope(scope);
    }

    #[inline(always)]
    fn item(&mut self, message: Cursor<'_>) -> Result<(), WireError> {
        span(message, self.0)
    }
}

/// Walks one span of `body` again, as [`walk`] told its range in [`Span::message`].
///
/// # Errors
/// As [`walk`]; a span that was walked before is sound.
pub fn walk_span(body: &[u8], span_message: Text, visitor: &mut impl SpanVisitor) -> Result<(), WireError> {
    span(Cursor::over(body, span_message), visitor)
}

fn span(mut message: Cursor<'_>, visitor: &mut impl SpanVisitor) -> Result<(), WireError> {
    const TRACE_ID: u32 = key(1, BYTES);
    const SPAN_ID: u32 = key(2, BYTES);
    const TRACE_STATE: u32 = key(3, BYTES);
    const PARENT_SPAN_ID: u32 = key(4, BYTES);
    const NAME: u32 = key(5, BYTES);
    const KIND: u32 = key(6, VARINT);
    const START: u32 = key(7, FIXED64);
    const END: u32 = key(8, FIXED64);
    const ATTRIBUTES: u32 = key(SPAN_ATTRIBUTES, BYTES);
    const DROPPED_ATTRIBUTES: u32 = key(10, VARINT);
    const EVENTS: u32 = key(11, BYTES);
    const DROPPED_EVENTS: u32 = key(12, VARINT);
    const LINKS: u32 = key(13, BYTES);
    const DROPPED_LINKS: u32 = key(14, VARINT);
    const STATUS: u32 = key(15, BYTES);
    const FLAGS: u32 = key(16, FIXED32);
    const KNOWN: [u32; 16] = [
        TRACE_ID,
        SPAN_ID,
        TRACE_STATE,
        PARENT_SPAN_ID,
        NAME,
        KIND,
        START,
        END,
        ATTRIBUTES,
        DROPPED_ATTRIBUTES,
        EVENTS,
        DROPPED_EVENTS,
        LINKS,
        DROPPED_LINKS,
        STATUS,
        FLAGS,
    ];

    let mut span = Span { message: message.range(), ..Span::default() };
    loop {
        message = usual_attributes(message, visitor);
        if message.is_empty() {
            break;
        }
        match message.key()? {
            ATTRIBUTES => message.message().and_then(|m| attribute(m, visitor)).in_field("attributes")?,
            TRACE_ID => span.trace_id = message.text().in_field("trace_id")?,
            SPAN_ID => span.span_id = message.text().in_field("span_id")?,
            TRACE_STATE => span.trace_state = message.text().in_field("trace_state")?,
            PARENT_SPAN_ID => span.parent_span_id = message.text().in_field("parent_span_id")?,
            NAME => span.name = message.text().in_field("name")?,
            KIND => span.kind = message.varint().in_field("kind")? as i32,
            START => span.start = message.fixed64().in_field("start_time_unix_nano")?,
            END => span.end = message.fixed64().in_field("end_time_unix_nano")?,
            EVENTS => {
                visitor.event(message.message().and_then(event).in_field("events")?);
            }
            LINKS => {
                visitor.link(message.message().and_then(link).in_field("links")?);
            }
            STATUS => message.message().and_then(|m| status(m, &mut span)).in_field("status")?,
            FLAGS => span.flags = message.fixed32().in_field("flags")?,
            DROPPED_ATTRIBUTES => span.dropped_attributes = message.varint()? as u32,
            DROPPED_EVENTS => span.dropped_events = message.varint()? as u32,
            DROPPED_LINKS => span.dropped_links = message.varint()? as u32,
            other => message.unexpected(other, &KNOWN)?,
        }
    }
    visitor.span(&span);
    Ok(())
}

/// Tells the attributes that come next as long as they are usual ones, and gives what is behind them.
#[inline(always)]
fn usual_attributes<'a>(mut message: Cursor<'a>, visitor: &mut impl SpanVisitor) -> Cursor<'a> {
    const ATTRIBUTES: u8 = key(SPAN_ATTRIBUTES, BYTES) as u8;
    // No call takes this cursor by reference, so it stays in registers.
    loop {
        let mut behind = message;
        let Some(pair) = behind.short_message(ATTRIBUTES).and_then(usual_key_value) else { return message };
        visitor.attribute(pair.key.bytes(), pair.value);
        message = behind;
    }
}

#[inline(never)]
fn attribute(message: Cursor<'_>, visitor: &mut impl SpanVisitor) -> Result<(), WireError> {
    let pair = any_key_value(message, 0)?;
    visitor.attribute(pair.key.bytes(), pair.value);
    Ok(())
}

fn status(mut message: Cursor<'_>, span: &mut Span) -> Result<(), WireError> {
    const MESSAGE: u32 = key(2, BYTES);
    const CODE: u32 = key(3, VARINT);
    while !message.is_empty() {
        match message.key()? {
            MESSAGE => span.status_message = message.text().in_field("message")?,
            CODE => span.status_code = message.varint().in_field("code")? as i32,
            other => message.unexpected(other, &[MESSAGE, CODE])?,
        }
    }
    Ok(())
}

fn event(mut message: Cursor<'_>) -> Result<Event, WireError> {
    const TIME: u32 = key(1, FIXED64);
    const NAME: u32 = key(2, BYTES);
    const ATTRIBUTES: u32 = key(EVENT_ATTRIBUTES, BYTES);
    const DROPPED: u32 = key(4, VARINT);
    let mut event = Event { message: message.range(), ..Event::default() };
    while !message.is_empty() {
        match message.key()? {
            TIME => event.time = message.fixed64().in_field("time_unix_nano")?,
            NAME => event.name = message.text().in_field("name")?,
            ATTRIBUTES => drop(message.message().and_then(|m| read_key_value(m, 0)).in_field("attributes")?),
            DROPPED => event.dropped_attributes = message.varint()? as u32,
            other => message.unexpected(other, &[TIME, NAME, ATTRIBUTES, DROPPED])?,
        }
    }
    Ok(event)
}

fn link(mut message: Cursor<'_>) -> Result<Link, WireError> {
    const TRACE_ID: u32 = key(1, BYTES);
    const SPAN_ID: u32 = key(2, BYTES);
    const TRACE_STATE: u32 = key(3, BYTES);
    const ATTRIBUTES: u32 = key(LINK_ATTRIBUTES, BYTES);
    const DROPPED: u32 = key(5, VARINT);
    const FLAGS: u32 = key(6, FIXED32);
    let mut link = Link { message: message.range(), ..Link::default() };
    while !message.is_empty() {
        match message.key()? {
            TRACE_ID => link.trace_id = message.text().in_field("trace_id")?,
            SPAN_ID => link.span_id = message.text().in_field("span_id")?,
            TRACE_STATE => link.trace_state = message.text().in_field("trace_state")?,
            ATTRIBUTES => drop(message.message().and_then(|m| read_key_value(m, 0)).in_field("attributes")?),
            DROPPED => drop(message.varint()?),
            FLAGS => drop(message.fixed32()?),
            other => message.unexpected(other, &[TRACE_ID, SPAN_ID, TRACE_STATE, ATTRIBUTES, DROPPED, FLAGS])?,
        }
    }
    Ok(link)
}

/// The events of a span message.
pub fn events(body: &[u8], span: Text) -> impl Iterator<Item = Event> {
    ranges(body, span, 11).filter_map(move |range| event(Cursor::over(body, range)).ok())
}

/// The links of a span message.
pub fn links(body: &[u8], span: Text) -> impl Iterator<Item = Link> {
    ranges(body, span, 13).filter_map(move |range| link(Cursor::over(body, range)).ok())
}
