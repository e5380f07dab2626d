//! The columns with structure: attributes of the span, its events, its links.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, TimestampMicrosecondBuilder};
use arrow_array::{ArrayRef, ListArray, StructArray};
use arrow_schema::{ArrowError, DataType, Field};
use otlp::trace::{EVENT_ATTRIBUTES, Event, LINK_ATTRIBUTES, Link, attributes};

use crate::attributes::AttributesBuilder;
use crate::hex;
use crate::schema::{UTC, list_item, micros, struct_fields, unix_nano};
use crate::text::{TextBuilder, finish_offsets, new_offsets};

/// Columns that are filled while a span is read.
#[derive(Debug)]
pub(crate) struct SpanColumns {
    pub(crate) attributes: AttributesBuilder,
    pub(crate) events: EventsBuilder,
    pub(crate) links: LinksBuilder,
}

/// Attributes that a span of real clients has, beside the promoted ones.
const ATTRIBUTES_A_SPAN: usize = 12;

impl SpanColumns {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self {
            attributes: AttributesBuilder::with_capacity(rows, rows * ATTRIBUTES_A_SPAN),
            events: EventsBuilder::with_capacity(rows),
            links: LinksBuilder::with_capacity(rows),
        }
    }

    /// Closes the row in every column.
    pub(crate) fn finish_row(&mut self) {
        self.attributes.finish_row();
        self.events.finish_row();
        self.links.finish_row();
    }
}

/// Builds the `LIST<STRUCT>` of events.
#[derive(Debug)]
pub(crate) struct EventsBuilder {
    offsets: Vec<i32>,
    time: TimestampMicrosecondBuilder,
    time_unix_nano: Int64Builder,
    name: TextBuilder,
    attributes: AttributesBuilder,
}

impl EventsBuilder {
    fn with_capacity(rows: usize) -> Self {
        Self {
            offsets: new_offsets(rows),
            time: TimestampMicrosecondBuilder::new(),
            time_unix_nano: Int64Builder::new(),
            name: TextBuilder::with_capacity(0, 0),
            attributes: AttributesBuilder::with_capacity(0, 0),
        }
    }

    /// Adds an event to the row that is open.
    pub(crate) fn push(&mut self, body: &[u8], event: Event) {
        let time = unix_nano(event.time);
        self.time.append_option(time.map(micros));
        self.time_unix_nano.append_option(time);
        self.name.push(event.name.bytes(body));
        self.attributes.push_row(body, attributes(body, event.message, EVENT_ATTRIBUTES));
    }

    fn finish_row(&mut self) {
        self.offsets.push(self.name.len() as i32);
    }

    /// The column, as an array of `list`, which is a type of the schema. The builder is empty again.
    pub(crate) fn finish(&mut self, list: &DataType) -> Result<ArrayRef, ArrowError> {
        let map = member(list, "attributes")?;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.time.finish().with_timezone(UTC)),
            Arc::new(self.time_unix_nano.finish()),
            Arc::new(self.name.finish()),
            self.attributes.finish(&map)?,
        ];
        list_of_structs(list, &mut self.offsets, columns)
    }
}

/// Builds the `LIST<STRUCT>` of links.
#[derive(Debug)]
pub(crate) struct LinksBuilder {
    offsets: Vec<i32>,
    trace_id: TextBuilder,
    span_id: TextBuilder,
    attributes: AttributesBuilder,
}

impl LinksBuilder {
    fn with_capacity(rows: usize) -> Self {
        Self {
            offsets: new_offsets(rows),
            trace_id: TextBuilder::with_capacity(0, 0),
            span_id: TextBuilder::with_capacity(0, 0),
            attributes: AttributesBuilder::with_capacity(0, 0),
        }
    }

    /// Adds a link to the row that is open.
    pub(crate) fn push(&mut self, body: &[u8], link: Link) {
        hex::push(&mut self.trace_id, link.trace_id.bytes(body));
        hex::push(&mut self.span_id, link.span_id.bytes(body));
        self.attributes.push_row(body, attributes(body, link.message, LINK_ATTRIBUTES));
    }

    fn finish_row(&mut self) {
        self.offsets.push(self.trace_id.len() as i32);
    }

    /// The column, as an array of `list`, which is a type of the schema. The builder is empty again.
    pub(crate) fn finish(&mut self, list: &DataType) -> Result<ArrayRef, ArrowError> {
        let map = member(list, "attributes")?;
        let columns: Vec<ArrayRef> =
            vec![Arc::new(self.trace_id.finish()), Arc::new(self.span_id.finish()), self.attributes.finish(&map)?];
        list_of_structs(list, &mut self.offsets, columns)
    }
}

fn list_of_structs(list: &DataType, offsets: &mut Vec<i32>, columns: Vec<ArrayRef>) -> Result<ArrayRef, ArrowError> {
    let element = list_item(list)?;
    let structs = StructArray::try_new(struct_fields(element.data_type())?, columns, None)?;
    Ok(Arc::new(ListArray::try_new(element, finish_offsets(offsets), Arc::new(structs), None)?))
}

/// The type of a member of the structs of a list.
fn member(list: &DataType, name: &str) -> Result<DataType, ArrowError> {
    let fields = struct_fields(list_item(list)?.data_type())?;
    fields
        .find(name)
        .map(|(_, field)| Field::data_type(field).clone())
        .ok_or_else(|| ArrowError::SchemaError(format!("no member {name} in {list}")))
}
