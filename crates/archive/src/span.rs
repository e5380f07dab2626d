//! A span of a request, read again: what its facts don't hold.

use aggregate::SpanOutcome;
use genai::SpanFacts;
use otlp::Value;
use otlp::trace::{self, Event, Link, Span, SpanVisitor};
use parquet::errors::Result;

use crate::attributes::Attributes;
use crate::column::{Column, Completion, Press, Style};
use crate::nested::{Events, Links};
use crate::promoted::Promoted;

/// The attributes of spans, without those that have a column of their own.
#[derive(Debug)]
pub(crate) struct SpanAttributes {
    attributes: Attributes,
    /// The columns of the keys in the dictionary, in its order.
    promoted: Vec<Option<Promoted>>,
}

impl SpanAttributes {
    fn new() -> Self {
        Self { attributes: Attributes::new(0, Style::Lengths), promoted: Vec::new() }
    }

    #[inline]
    fn push(&mut self, key: &[u8], value: Value, told: &Told<'_>) {
        let held = |column: Promoted| column.holds(value, told.facts, told.outcome, told.body);
        let Some(number) = self.attributes.number(key) else {
            if !Promoted::of(key).is_some_and(held) {
                self.attributes.push(told.body, key, value);
            }
            return;
        };
        let column = match self.promoted.get(number as usize) {
            Some(known) => *known,
            None => {
                let column = Promoted::of(key);
                self.promoted.push(column);
                column
            }
        };
        if !column.is_some_and(held) {
            self.attributes.push_numbered(told.body, number, value);
        }
    }
}

impl Column for SpanAttributes {
    fn size(&self) -> usize {
        self.attributes.size()
    }

    fn end_page(&mut self, rows: usize, press: &mut Press) -> Result<()> {
        self.attributes.end_page(rows, press)
    }

    fn finish(&mut self, completion: &mut Completion<'_>) -> Result<()> {
        self.promoted.clear();
        self.attributes.finish(completion)
    }
}

/// Where a span is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) facts: &'a SpanFacts,
    pub(crate) outcome: &'a SpanOutcome,
}

/// Columns that are filled while a span is read.
#[derive(Debug)]
pub(crate) struct Columns {
    pub(crate) attributes: SpanAttributes,
    pub(crate) events: Events,
    pub(crate) links: Links,
}

impl Columns {
    pub(crate) fn new() -> Self {
        Self { attributes: SpanAttributes::new(), events: Events::new(), links: Links::new() }
    }

    /// Appends attributes, events and links of a span as one row, and gives its other fields, their texts as ranges of the body.
    pub(crate) fn read(&mut self, told: Told<'_>) -> Span {
        let mut visitor = OneSpan { told, columns: self, span: Span::default() };
        // The span was walked before it came here; of an unsound one, what stands before the flaw is kept.
        let _ = trace::walk_span(told.body, told.facts.span, &mut visitor);
        let header = visitor.span;
        self.attributes.attributes.end_map(0);
        self.events.end_row();
        self.links.end_row();
        header
    }
}

struct OneSpan<'a> {
    told: Told<'a>,
    columns: &'a mut Columns,
    span: Span,
}

impl SpanVisitor for OneSpan<'_> {
    #[inline]
    fn attribute(&mut self, key: &[u8], value: Value) {
        self.columns.attributes.push(key, value, &self.told);
    }

    fn event(&mut self, event: Event) {
        self.columns.events.push(self.told.body, event);
    }

    fn link(&mut self, link: Link) {
        self.columns.links.push(self.told.body, link);
    }

    fn span(&mut self, span: &Span) {
        self.span = *span;
    }
}
