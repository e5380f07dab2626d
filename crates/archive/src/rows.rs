//! Spans become rows: the columns of the table, filled.

use std::sync::Arc;

use aggregate::{Applied, SpanOutcome};
use arrow_array::builder::StringBuilder;
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{ArrowError, DataType};
use genai::SpanFacts;
use otlp::trace::{RESOURCE_ATTRIBUTES, SCOPE_ATTRIBUTES, Span, attributes};

use crate::attributes::{AttributesBuilder, append_text};
use crate::hex;
use crate::nested::SpanColumns;
use crate::schema::{COLUMNS, Cells, UTC, micros, schema};
use crate::span::SpanReader;

/// Rows that become columns at once: their facts stay in the processor's cache from one column to the next.
const BATCH_ROWS: usize = 2_048;
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

/// Makes record batches of spans.
#[derive(Debug, Default)]
pub(crate) struct RowBuilder {
    reader: SpanReader,
}

impl RowBuilder {
    /// The next spans of `spans` as one batch, each a request and a position in it; `None` after the last one.
    pub(crate) fn next_batch<'a>(
        &mut self,
        spans: &mut impl Iterator<Item = (&'a Applied, usize)>,
    ) -> Result<Option<RecordBatch>, ArrowError> {
        let mut batch = Batch::default();
        let mut bytes = 0;
        while batch.rows.len() < BATCH_ROWS
            && bytes < BATCH_BYTES
            && let Some((request, position)) = spans.next()
        {
            let (Some(facts), Some(outcome)) = (request.facts.get(position), request.outcomes.get(position)) else {
                continue;
            };
            bytes += (facts.span.len() + facts.resource.len() + facts.scope.len()) as usize;
            batch.push(&mut self.reader, request, facts, outcome);
        }
        if batch.rows.is_empty() { Ok(None) } else { batch.finish().map(Some) }
    }
}

/// Rows that become columns at once.
struct Batch<'a> {
    rows: Vec<Row<'a>>,
    resource_attributes: AttributesBuilder,
    scope_attributes: AttributesBuilder,
    span: SpanColumns,
}

/// Attributes that a resource of real clients has.
const ATTRIBUTES_A_RESOURCE: usize = 10;

impl Default for Batch<'_> {
    fn default() -> Self {
        Self {
            rows: Vec::with_capacity(BATCH_ROWS),
            resource_attributes: AttributesBuilder::with_capacity(BATCH_ROWS, BATCH_ROWS * ATTRIBUTES_A_RESOURCE),
            scope_attributes: AttributesBuilder::with_capacity(BATCH_ROWS, 0),
            span: SpanColumns::with_capacity(BATCH_ROWS),
        }
    }
}

impl<'a> Batch<'a> {
    fn push(&mut self, reader: &mut SpanReader, request: &'a Applied, facts: &'a SpanFacts, outcome: &'a SpanOutcome) {
        let body = &request.body;
        self.resource_attributes.push_row(body, attributes(body, facts.resource, RESOURCE_ATTRIBUTES));
        self.scope_attributes.push_row(body, attributes(body, facts.scope, SCOPE_ATTRIBUTES));
        let header = reader.read(body, facts, &mut self.span);
        self.rows.push(Row { request, body, facts, outcome, header });
    }

    fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let schema = schema();
        let mut columns = Vec::with_capacity(COLUMNS.len());
        for (column, field) in COLUMNS.iter().zip(schema.fields()) {
            columns.push(self.column(column.cells, field.data_type())?);
        }
        RecordBatch::try_new(schema, columns)
    }

    fn column(&mut self, cells: Cells, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        let rows = &self.rows;
        Ok(match cells {
            Cells::ResourceAttributes => self.resource_attributes.finish(data_type)?,
            Cells::ScopeAttributes => self.scope_attributes.finish(data_type)?,
            Cells::SpanAttributes => self.span.attributes.finish(data_type)?,
            Cells::Events => self.span.events.finish(data_type)?,
            Cells::Links => self.span.links.finish(data_type)?,
            Cells::Text(text) => Arc::new(texts(rows, text)),
            Cells::Id(id) => Arc::new(ids(rows, id)),
            Cells::Integer(integer) => Arc::new(rows.iter().map(integer).collect::<Int64Array>()),
            Cells::Time(time) => {
                let times = rows.iter().map(|row| time(row).map(micros));
                Arc::new(times.collect::<TimestampMicrosecondArray>().with_timezone(UTC))
            }
            Cells::Flag(flag) => Arc::new(rows.iter().map(flag).collect::<BooleanArray>()),
            Cells::Money(amount) => {
                Arc::new(rows.iter().map(amount).collect::<Decimal128Array>().with_data_type(data_type.clone()))
            }
            Cells::Constant(value) => Arc::new(Int32Array::from_value(value, rows.len())),
        })
    }
}

/// Bytes that are reserved for each text of a row.
const TEXT_BYTES: usize = 16;
/// Bytes of a trace id as text.
const ID_BYTES: usize = 32;

fn texts<'a>(rows: &[Row<'a>], text: for<'r> fn(&Row<'r>) -> &'r [u8]) -> StringArray {
    let mut column = StringBuilder::with_capacity(rows.len(), rows.len() * TEXT_BYTES);
    for row in rows {
        match text(row) {
            [] => column.append_null(),
            bytes => append_text(&mut column, bytes),
        }
    }
    column.finish()
}

fn ids<'a>(rows: &[Row<'a>], id: for<'r> fn(&Row<'r>) -> &'r [u8]) -> StringArray {
    let mut column = StringBuilder::with_capacity(rows.len(), rows.len() * ID_BYTES);
    rows.iter().for_each(|row| hex::append(&mut column, id(row)));
    column.finish()
}
