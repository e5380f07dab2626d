//! A span of a request, read again: what its facts don't hold.

use aggregate::SpanOutcome;
use genai::SpanFacts;
use otlp::Value;
use otlp::trace::{self, Event, Link, Span, SpanVisitor};

use crate::nested::SpanColumns;
use crate::promoted::Promoted;

/// Appends attributes, events and links of a span of `body` to `columns` as one row, and gives its other fields, their texts as
/// ranges of `body`.
pub(crate) fn read(body: &[u8], facts: &SpanFacts, outcome: &SpanOutcome, columns: &mut SpanColumns) -> Span {
    let promoted = Promoted::of(facts, outcome, body);
    let mut visitor = OneSpan { body, promoted, columns, span: Span::default() };
    // The span was walked before it came here; of an unsound one, what stands before the flaw is kept.
    let _ = trace::walk_span(body, facts.span, &mut visitor);
    let header = visitor.span;
    columns.finish_row();
    header
}

struct OneSpan<'a> {
    body: &'a [u8],
    promoted: Promoted<'a>,
    columns: &'a mut SpanColumns,
    span: Span,
}

impl SpanVisitor for OneSpan<'_> {
    fn attribute(&mut self, key: &[u8], value: Value) {
        if !self.promoted.holds(self.body, key, value) {
            self.columns.attributes.push(self.body, key, value);
        }
    }

    fn event(&mut self, event: Event) {
        self.columns.events.push(self.body, event);
    }

    fn link(&mut self, link: Link) {
        self.columns.links.push(self.body, link);
    }

    fn span(&mut self, span: &Span) {
        self.span = *span;
    }
}
