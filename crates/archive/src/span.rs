//! A span of a request, read again: what its facts don't hold.

use genai::SpanFacts;
use otlp::trace::{self, Event, Link, Scope, Span, Visitor};
use otlp::{KeyValue, Text, Value};

use crate::nested::SpanColumns;
use crate::promoted::Promoted;

/// Reads spans one at a time.
///
/// The walker of `otlp` reads requests, so a span is put into a request of its own: a copy of some hundred bytes, cheaper
/// than to scan the span once for its header, once for its attributes, once for its events and once for its links.
#[derive(Debug, Default)]
pub(crate) struct SpanReader {
    request: Vec<u8>,
}

// Keys of length-delimited fields of the request and its messages.
const RESOURCE_SPANS: u8 = 1 << 3 | 2;
const SCOPE_SPANS: u8 = 2 << 3 | 2;
const SPANS: u8 = 2 << 3 | 2;

impl SpanReader {
    /// Appends attributes, events and links of a span of `body` to `columns` as one row, and gives its other fields, their
    /// texts as ranges of `body`.
    pub(crate) fn read(&mut self, body: &[u8], facts: &SpanFacts, columns: &mut SpanColumns) -> Span {
        let span = facts.span.bytes(body);
        self.wrap(span);
        let shift = Shift { from: (self.request.len() - span.len()) as u32, to: facts.span.start() };
        let mut visitor =
            OneSpan { request: &self.request, shift, promoted: Promoted::of(facts), columns, span: Span::default() };
        // The span was walked before it came here; of an unsound one, what stands before the flaw is kept.
        let _ = trace::walk(&self.request, &mut visitor);
        let mut header = visitor.span;
        columns.finish_row();
        header.trace_state = shift.apply(header.trace_state);
        header.status_message = shift.apply(header.status_message);
        header
    }

    fn wrap(&mut self, span: &[u8]) {
        let scope_spans = 1 + varint_len(span.len()) + span.len();
        let resource_spans = 1 + varint_len(scope_spans) + scope_spans;
        self.request.clear();
        for (key, len) in [(RESOURCE_SPANS, resource_spans), (SCOPE_SPANS, scope_spans), (SPANS, span.len())] {
            self.request.push(key);
            put_varint(&mut self.request, len);
        }
        self.request.extend_from_slice(span);
    }
}

/// Makes ranges of the wrapped span ranges of the body that it came from.
#[derive(Debug, Clone, Copy)]
struct Shift {
    from: u32,
    to: u32,
}

impl Shift {
    #[inline(always)]
    fn apply(self, text: Text) -> Text {
        Text::new(text.start().wrapping_sub(self.from).wrapping_add(self.to), text.len())
    }
}

struct OneSpan<'a> {
    request: &'a [u8],
    shift: Shift,
    promoted: Promoted,
    columns: &'a mut SpanColumns,
    span: Span,
}

impl Visitor for OneSpan<'_> {
    fn resource(&mut self, _: Text) {}
    fn resource_attribute(&mut self, _: KeyValue) {}
    fn scope(&mut self, _: Scope) {}

    fn attribute(&mut self, attribute: KeyValue) {
        let value = match attribute.value {
            Value::String(text) => Value::String(self.shift.apply(text)),
            other => other,
        };
        if !self.promoted.holds(attribute.key.bytes(self.request), value) {
            self.columns.attributes.push(self.request, attribute);
        }
    }

    fn event(&mut self, event: Event) {
        self.columns.events.push(self.request, event);
    }

    fn link(&mut self, link: Link) {
        self.columns.links.push(self.request, link);
    }

    fn span(&mut self, span: &Span) {
        self.span = *span;
    }
}

fn varint_len(value: usize) -> usize {
    let significant = usize::BITS - (value | 1).leading_zeros();
    significant.div_ceil(7) as usize
}

fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    // The length that is announced is the length that is written, at every border of the encoding.
    #[test]
    fn varints_are_as_long_as_announced() {
        for value in [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 0x1f_ffff, 0x20_0000, u32::MAX as usize] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value:#x}");
        }
    }
}
