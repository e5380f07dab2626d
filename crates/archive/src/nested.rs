//! The columns of lists: events and links of the span.

use otlp::trace::{EVENT_ATTRIBUTES, Event, LINK_ATTRIBUTES, Link, attributes};
use parquet::errors::Result;

use crate::attributes::Attributes;
use crate::column::{Column, Completion, Integers, Leaf, Levels, Press, Style, Texts, Values};
use crate::hex;
use crate::schema::{micros, unix_nano};

/// Levels of the members of structs in a list: of one that is null, of one that is not. An empty list has 0 in all of them.
const NULL: u32 = 1;
const PRESENT: u32 = 2;
/// The level of a member that can't be null.
const REQUIRED: u32 = 1;

/// Where the structs of a list stand.
#[derive(Debug, Default)]
struct List {
    repetition: Levels,
    /// Structs in the row that is open.
    open: u32,
}

impl List {
    /// Adds a struct, and gives the level that it begins with.
    fn push(&mut self) -> u32 {
        let repetition = self.open.min(1);
        self.open += 1;
        self.repetition.push(repetition);
        repetition
    }

    /// Closes the row; whether there was nothing in it.
    fn end_row(&mut self) -> bool {
        let is_empty = self.open == 0;
        self.open = 0;
        if is_empty {
            self.repetition.push(0);
        }
        is_empty
    }
}

fn member<V: Values>(max_definition: u32, values: V) -> Leaf<V> {
    Leaf::new(1, max_definition, false, values)
}

fn push_integer(leaf: &mut Leaf<Integers>, value: Option<i64>) {
    leaf.definition.push(if value.is_some() { PRESENT } else { NULL });
    value.into_iter().for_each(|value| leaf.values.push(value));
}

fn push_id(leaf: &mut Leaf<Texts>, id: &[u8]) {
    let text = hex::text(id);
    leaf.definition.push(if text.is_some() { PRESENT } else { NULL });
    text.into_iter().for_each(|text| leaf.values.push(text.bytes()));
}

/// The `LIST<STRUCT>` of events.
#[derive(Debug)]
pub(crate) struct Events {
    list: List,
    time: Leaf<Integers>,
    time_unix_nano: Leaf<Integers>,
    name: Leaf<Texts>,
    attributes: Attributes,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self {
            list: List::default(),
            time: member(PRESENT, Integers::default()),
            time_unix_nano: member(PRESENT, Integers::default()),
            name: member(REQUIRED, Texts::new(Style::Dictionary)),
            attributes: Attributes::new(1, Style::Plain),
        }
    }

    /// Adds an event to the row that is open.
    pub(crate) fn push(&mut self, body: &[u8], event: Event) {
        let repetition = self.list.push();
        let time = unix_nano(event.time);
        push_integer(&mut self.time, time.map(micros));
        push_integer(&mut self.time_unix_nano, time);
        self.name.definition.push(REQUIRED);
        self.name.values.push(event.name.bytes(body));
        self.attributes.push_map(body, attributes(body, event.message, EVENT_ATTRIBUTES), repetition);
    }

    /// Closes the row.
    #[inline]
    pub(crate) fn end_row(&mut self) {
        if self.list.end_row() {
            self.time.definition.push(0);
            self.time_unix_nano.definition.push(0);
            self.name.definition.push(0);
            self.attributes.skip_row();
        }
    }
}

impl Column for Events {
    fn size(&self) -> usize {
        self.time.size() + self.time_unix_nano.size() + self.name.size() + self.attributes.size()
    }

    fn end_page(&mut self, rows: usize, press: &mut Press) -> Result<()> {
        self.time.end_page_of(rows, &self.list.repetition, press)?;
        self.time_unix_nano.end_page_of(rows, &self.list.repetition, press)?;
        self.name.end_page_of(rows, &self.list.repetition, press)?;
        self.list.repetition.clear();
        self.attributes.end_page(rows, press)
    }

    fn finish(&mut self, completion: &mut Completion<'_>) -> Result<()> {
        self.time.finish(completion)?;
        self.time_unix_nano.finish(completion)?;
        self.name.finish(completion)?;
        self.attributes.finish(completion)
    }
}

/// The `LIST<STRUCT>` of links.
#[derive(Debug)]
pub(crate) struct Links {
    list: List,
    trace_id: Leaf<Texts>,
    span_id: Leaf<Texts>,
    attributes: Attributes,
}

impl Links {
    pub(crate) fn new() -> Self {
        Self {
            list: List::default(),
            trace_id: member(PRESENT, Texts::new(Style::Plain)),
            span_id: member(PRESENT, Texts::new(Style::Plain)),
            attributes: Attributes::new(1, Style::Plain),
        }
    }

    /// Adds a link to the row that is open.
    pub(crate) fn push(&mut self, body: &[u8], link: Link) {
        let repetition = self.list.push();
        push_id(&mut self.trace_id, link.trace_id.bytes(body));
        push_id(&mut self.span_id, link.span_id.bytes(body));
        self.attributes.push_map(body, attributes(body, link.message, LINK_ATTRIBUTES), repetition);
    }

    /// Closes the row.
    #[inline]
    pub(crate) fn end_row(&mut self) {
        if self.list.end_row() {
            self.trace_id.definition.push(0);
            self.span_id.definition.push(0);
            self.attributes.skip_row();
        }
    }
}

impl Column for Links {
    fn size(&self) -> usize {
        self.trace_id.size() + self.span_id.size() + self.attributes.size()
    }

    fn end_page(&mut self, rows: usize, press: &mut Press) -> Result<()> {
        self.trace_id.end_page_of(rows, &self.list.repetition, press)?;
        self.span_id.end_page_of(rows, &self.list.repetition, press)?;
        self.list.repetition.clear();
        self.attributes.end_page(rows, press)
    }

    fn finish(&mut self, completion: &mut Completion<'_>) -> Result<()> {
        self.trace_id.finish(completion)?;
        self.span_id.finish(completion)?;
        self.attributes.finish(completion)
    }
}
