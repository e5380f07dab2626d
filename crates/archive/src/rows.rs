//! Spans become rows: the columns of the table, filled.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use aggregate::{Applied, SpanOutcome};
use arrow_array::types::{ArrowPrimitiveType, Decimal128Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, BooleanArray, Int32Array, PrimitiveArray, RecordBatch, StringArray};
use arrow_buffer::NullBufferBuilder;
use arrow_schema::{ArrowError, DataType};
use genai::{SpanFacts, Usage};
use otlp::KeyValue;
use otlp::trace::{RESOURCE_ATTRIBUTES, SCOPE_ATTRIBUTES, Span, attributes};
use rapidhash::RapidHashMap;

use crate::attributes::AttributesBuilder;
use crate::hex;
use crate::nested::SpanColumns;
use crate::promoted;
use crate::schema::{COLUMNS, Cells, UTC, micros, schema};
use crate::span;
use crate::text::TextBuilder;

/// Rows that become columns at once: their facts stay in the processor's cache from one column to the next.
const BATCH_ROWS: usize = 2048;
/// What they may be made of, so that a batch of large spans, or of small spans with a large resource, which is repeated in
/// every row, stays small as well, and every offset into a column is far below 2^31.
const BATCH_BYTES: usize = 8 << 20;

/// What the cells of a row are taken from.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) request: &'a Applied,
    pub(crate) body: &'a [u8],
    pub(crate) facts: &'a SpanFacts,
    pub(crate) outcome: &'a SpanOutcome,
    /// The fields of the span that its facts don't hold.
    pub(crate) header: Span,
}

/// What a span says, or what its call was counted as if several spans told of it: so what the counted rows say adds up to what was
/// counted.
impl<'a> Row<'a> {
    pub(crate) fn usage(&self) -> Usage {
        self.outcome.usage(self.facts)
    }

    pub(crate) fn provider(&self) -> &'a [u8] {
        self.outcome.provider(self.facts, self.body)
    }

    pub(crate) fn request_model(&self) -> &'a [u8] {
        self.outcome.request_model(self.facts, self.body)
    }

    pub(crate) fn response_model(&self) -> &'a [u8] {
        self.outcome.response_model(self.facts, self.body)
    }

    pub(crate) fn error_class(&self) -> &'a [u8] {
        let class = match &self.outcome.merged {
            Some(merged) => merged.error,
            None => self.facts.error.map(|error| error.class),
        };
        class.map_or(b"", |class| class.name().as_bytes())
    }
}

/// See [`Row`].
pub(crate) fn usage(facts: &SpanFacts, outcome: &SpanOutcome) -> Usage {
    match &outcome.merged {
        Some(merged) => merged.usage.unwrap_or_default(),
        None => facts.usage,
    }
}

/// Makes record batches of spans.
#[derive(Debug)]
pub(crate) struct RowBuilder {
    resource_attributes: AttributesBuilder,
    scope_attributes: AttributesBuilder,
    span: SpanColumns,
}

/// Attributes that a resource of real clients has.
const ATTRIBUTES_A_RESOURCE: usize = 10;

impl Default for RowBuilder {
    fn default() -> Self {
        Self {
            resource_attributes: AttributesBuilder::with_capacity(BATCH_ROWS, BATCH_ROWS * ATTRIBUTES_A_RESOURCE),
            scope_attributes: AttributesBuilder::with_capacity(BATCH_ROWS, 0),
            span: SpanColumns::with_capacity(BATCH_ROWS),
        }
    }
}

/// The first row with a resource and a scope: a request, and where they begin in it.
type FirstRows = RapidHashMap<(*const Applied, u32, u32), usize>;

impl RowBuilder {
    /// The next spans of `spans` as one batch, each a request and a position in it; `None` after the last one.
    pub(crate) fn next_batch<'a>(
        &mut self,
        spans: &mut impl Iterator<Item = (&'a Applied, usize)>,
    ) -> Result<Option<RecordBatch>, ArrowError> {
        let mut rows = Vec::with_capacity(BATCH_ROWS);
        let mut first_rows = FirstRows::default();
        let mut bytes = 0;
        while rows.len() < BATCH_ROWS
            && bytes < BATCH_BYTES
            && let Some((request, position)) = spans.next()
        {
            let (Some(facts), Some(outcome)) = (request.facts.get(position), request.outcomes.get(position)) else {
                continue;
            };
            bytes += (facts.span.len() + facts.resource.len() + facts.scope.len()) as usize;
            self.resource_and_scope(request, facts, rows.len(), &mut first_rows);
            let header = span::read(&request.body, facts, outcome, &mut self.span);
            rows.push(Row { request, body: &request.body, facts, outcome, header });
        }
        if rows.is_empty() { Ok(None) } else { self.finish(&rows).map(Some) }
    }

    /// Spans of a request share resources and scopes: what was read once in this batch is copied.
    fn resource_and_scope(&mut self, request: &Applied, facts: &SpanFacts, row: usize, first_rows: &mut FirstRows) {
        let body = &request.body;
        match first_rows.entry((request, facts.resource.start(), facts.scope.start())) {
            Entry::Occupied(first) => {
                self.resource_attributes.repeat_row(*first.get());
                self.scope_attributes.repeat_row(*first.get());
            }
            Entry::Vacant(unseen) => {
                unseen.insert(row);
                let resource = attributes(body, facts.resource, RESOURCE_ATTRIBUTES);
                let has_no_column = |pair: &KeyValue| !promoted::is_service(facts, body, pair);
                self.resource_attributes.push_row(body, resource.filter(has_no_column));
                self.scope_attributes.push_row(body, attributes(body, facts.scope, SCOPE_ATTRIBUTES));
            }
        }
    }

    fn finish(&mut self, rows: &[Row<'_>]) -> Result<RecordBatch, ArrowError> {
        let schema = schema();
        let mut columns = Vec::with_capacity(COLUMNS.len());
        for (column, field) in COLUMNS.iter().zip(schema.fields()) {
            columns.push(self.column(column.cells, rows, field.data_type())?);
        }
        RecordBatch::try_new(schema, columns)
    }

    fn column(&mut self, cells: Cells, rows: &[Row<'_>], data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        Ok(match cells {
            Cells::ResourceAttributes => self.resource_attributes.finish(data_type)?,
            Cells::ScopeAttributes => self.scope_attributes.finish(data_type)?,
            Cells::SpanAttributes => self.span.attributes.finish(data_type)?,
            Cells::Events => self.span.events.finish(data_type)?,
            Cells::Links => self.span.links.finish(data_type)?,
            Cells::Text(text) => Arc::new(texts(rows, text)),
            Cells::Id(id) => Arc::new(ids(rows, id)),
            Cells::Integer(integer) => Arc::new(numbers::<Int64Type>(rows, integer)),
            Cells::Time(time) => {
                let times = numbers::<TimestampMicrosecondType>(rows, |row| time(row).map(micros));
                Arc::new(times.with_timezone(UTC))
            }
            Cells::Flag(flag) => Arc::new(rows.iter().map(flag).collect::<BooleanArray>()),
            Cells::Money(amount) => Arc::new(numbers::<Decimal128Type>(rows, amount).with_data_type(data_type.clone())),
            Cells::Constant(value) => Arc::new(Int32Array::from_value(value, rows.len())),
        })
    }
}

/// A column of numbers. (Collecting options into an Arrow array costs several times as much.)
fn numbers<'a, T: ArrowPrimitiveType>(
    rows: &[Row<'a>],
    number: impl Fn(&Row<'a>) -> Option<T::Native>,
) -> PrimitiveArray<T> {
    let mut values = Vec::with_capacity(rows.len());
    let mut nulls = NullBufferBuilder::new(rows.len());
    for row in rows {
        let value = number(row);
        nulls.append(value.is_some());
        values.push(value.unwrap_or_default());
    }
    PrimitiveArray::new(values.into(), nulls.build())
}

/// Bytes of a trace id as text.
const ID_BYTES: usize = 32;

/// Bytes of other texts: a guess at what to reserve.
const TEXT_BYTES: usize = 16;

fn texts<'a>(rows: &[Row<'a>], text: for<'r> fn(&Row<'r>) -> &'r [u8]) -> StringArray {
    if rows.iter().all(|row| text(row).is_empty()) {
        return StringArray::new_null(rows.len());
    }
    let mut column = TextBuilder::with_capacity(rows.len(), rows.len() * TEXT_BYTES);
    for row in rows {
        match text(row) {
            [] => column.push_null(),
            bytes => column.push(bytes),
        }
    }
    column.finish()
}

fn ids<'a>(rows: &[Row<'a>], id: for<'r> fn(&Row<'r>) -> &'r [u8]) -> StringArray {
    let mut column = TextBuilder::with_capacity(rows.len(), rows.len() * ID_BYTES);
    rows.iter().for_each(|row| hex::push(&mut column, id(row)));
    column.finish()
}
