//! Spans become rows: the columns of the table, filled.

use aggregate::{Applied, Lsn, SpanOutcome};
use genai::{SpanFacts, Usage};
use otlp::KeyValue;
use otlp::trace::{RESOURCE_ATTRIBUTES, SCOPE_ATTRIBUTES, Span, attributes};
use parquet::errors::Result;
use parquet::schema::types::SchemaDescriptor;
use rapidhash::RapidHashMap;

use crate::attributes::{Attributes, Repeatable};
use crate::column::{Amounts, Column, Completion, Finished, Flags, Integers, Leaf, Press, Style, Texts};
use crate::promoted;
use crate::schema::{self, BLOOM_FILTER, COLUMNS, Cells};
use crate::span::{self, Told};

/// Rows that become columns at once: they stay in the processor's cache from one column to the next.
const BATCH_ROWS: usize = 256;
/// What they may be made of: pages are ended between batches, so no page of large spans becomes much larger.
const BATCH_BYTES: usize = 256 << 10;
/// Rows of a page. What a reader skips or reads as one.
const PAGE_ROWS: usize = 16_384;
/// Bytes of a page, before they are compressed.
const PAGE_BYTES: usize = 1 << 20;
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

    pub(crate) fn error_class(&self) -> &'static str {
        let class = match &self.outcome.merged {
            Some(merged) => merged.error,
            None => self.facts.error.map(|error| error.class),
        };
        class.map_or("", |class| class.name())
    }
}

/// A column of [`COLUMNS`] that is gathered.
#[derive(Debug)]
enum Gathered {
    Texts(Leaf<Texts>),
    Integers(Leaf<Integers>),
    Flags(Leaf<Flags>),
    Amounts(Leaf<Amounts>),
    /// Filled while resources, scopes and spans are read.
    Read(fn(&mut Read) -> &mut dyn Column),
}

/// The columns that are filled while resources, scopes and spans are read.
#[derive(Debug)]
struct Read {
    resource: Attributes,
    scope: Attributes,
    known: Known,
    span: span::Columns,
}

/// Makes row groups of rows, one after the other in the same memory.
#[derive(Debug)]
pub(crate) struct RowGroups {
    /// In the order of [`COLUMNS`].
    columns: Vec<Gathered>,
    read: Read,
    /// Rows of each column since its last page.
    waiting: Vec<usize>,
    press: Press,
}

impl RowGroups {
    pub(crate) fn new(press: Press) -> Self {
        let (columns, read) = (Gathered::all(), Read::new());
        Self { columns, read, waiting: vec![0; COLUMNS.len()], press }
    }

    /// The column chunks of `rows` rows, in the order of the leaves of `schema`. The rows are spans in their order, each a request
    /// and a position in it.
    ///
    /// # Errors
    /// A page could not be compressed. Then there is no next row group.
    pub(crate) fn next<'a>(
        &mut self,
        mut spans: impl Iterator<Item = (&'a Applied, usize)>,
        rows: usize,
        schema: &SchemaDescriptor,
    ) -> Result<Vec<Finished>> {
        for (column, definition) in self.columns.iter_mut().zip(COLUMNS) {
            if let Gathered::Texts(leaf) = column
                && definition.name == BLOOM_FILTER
            {
                leaf.begin_bloom_filter(rows)?;
            }
        }
        let mut has_exception = false;
        let mut batch = Vec::with_capacity(BATCH_ROWS.min(rows));
        loop {
            batch.clear();
            has_exception |= self.read.next_batch(&mut spans, &mut batch) > PAGE_BYTES;
            if batch.is_empty() {
                break;
            }
            for (column, definition) in self.columns.iter_mut().zip(COLUMNS) {
                column.push(definition.cells, &batch);
            }
            self.waiting.iter_mut().for_each(|waiting| *waiting += batch.len());
            self.end_pages(|rows, bytes| rows >= PAGE_ROWS || bytes >= PAGE_BYTES)?;
        }
        self.end_pages(|_, _| true)?;
        let Self { columns, read, press, .. } = self;
        let mut completion = Completion { schema, press, finished: Vec::with_capacity(schema.num_columns()) };
        for column in columns {
            column.column(read).finish(&mut completion)?;
        }
        let finished = completion.finished;
        read.known = Known::default();
        if has_exception {
            // What a span took that is larger than a page is not kept: it may be a hundred times what it is itself.
            (self.columns, self.read) = (Gathered::all(), Read::new());
        }
        Ok(finished)
    }

    /// Ends the pages of those columns that have gathered enough, by rows and bytes.
    fn end_pages(&mut self, is_enough: impl Fn(usize, usize) -> bool) -> Result<()> {
        let Self { columns, read, waiting, press } = self;
        for (column, waiting) in columns.iter_mut().zip(waiting) {
            let column = column.column(read);
            if is_enough(*waiting, column.size()) {
                column.end_page(std::mem::take(waiting), press)?;
            }
        }
        Ok(())
    }
}

impl Gathered {
    /// All columns, with nothing in them.
    fn all() -> Vec<Self> {
        COLUMNS.iter().map(Self::new).collect()
    }

    /// What is gathered for a column.
    fn new(column: &schema::Column) -> Self {
        const NULLABLE: u32 = 1;
        let has_ranges = column.storage.has_ranges();
        let texts = || Leaf::new(0, NULLABLE, has_ranges, Texts::new(column.storage.style()));
        let integers = |definition| Leaf::new(0, definition, has_ranges, Integers::default());
        match column.cells {
            Cells::Text(_) => Self::Texts(texts()),
            Cells::Integer(_) | Cells::Time(_) => Self::Integers(integers(NULLABLE)),
            Cells::Constant(_) => Self::Integers(integers(0)),
            Cells::Flag(_) => Self::Flags(Leaf::new(0, NULLABLE, has_ranges, Flags::default())),
            Cells::Money(_) => Self::Amounts(Leaf::new(0, NULLABLE, has_ranges, Amounts::default())),
            Cells::ResourceAttributes => Self::Read(|read| &mut read.resource),
            Cells::ScopeAttributes => Self::Read(|read| &mut read.scope),
            Cells::SpanAttributes => Self::Read(|read| &mut read.span.attributes),
            Cells::Events => Self::Read(|read| &mut read.span.events),
            Cells::Links => Self::Read(|read| &mut read.span.links),
        }
    }

    fn column<'a>(&'a mut self, read: &'a mut Read) -> &'a mut dyn Column {
        match self {
            Self::Texts(leaf) => leaf,
            Self::Integers(leaf) => leaf,
            Self::Flags(leaf) => leaf,
            Self::Amounts(leaf) => leaf,
            Self::Read(column) => column(read),
        }
    }

    /// Adds the cells of `rows`.
    fn push(&mut self, cells: Cells, rows: &[Row<'_>]) {
        match (self, cells) {
            (Self::Texts(leaf), Cells::Text(add)) => add(leaf, rows),
            (Self::Integers(leaf), Cells::Integer(add) | Cells::Time(add)) => add(leaf, rows),
            (Self::Integers(leaf), Cells::Constant(value)) => leaf.values.push_many(value.into(), rows.len()),
            (Self::Flags(leaf), Cells::Flag(add)) => add(leaf, rows),
            (Self::Amounts(leaf), Cells::Money(add)) => add(leaf, rows),
            _ => {}
        }
    }
}

/// What was read of a resource and a scope, by their request and where they begin in it; `None` if it can't be repeated.
type Known = RapidHashMap<(Lsn, u32, u32), Option<(Repeatable, Repeatable)>>;

impl Read {
    fn new() -> Self {
        Self {
            resource: Attributes::new(0, Style::Dictionary),
            scope: Attributes::new(0, Style::Dictionary),
            known: Known::default(),
            span: span::Columns::new(),
        }
    }

    /// Reads the next spans; tells how many bytes they are.
    fn next_batch<'a>(
        &mut self,
        spans: &mut impl Iterator<Item = (&'a Applied, usize)>,
        rows: &mut Vec<Row<'a>>,
    ) -> usize {
        let mut bytes = 0;
        while rows.len() < BATCH_ROWS
            && bytes < BATCH_BYTES
            && let Some((request, position)) = spans.next()
        {
            let (Some(facts), Some(outcome)) = (request.facts.get(position), request.outcomes.get(position)) else {
                continue;
            };
            let body = &request.body;
            bytes += (facts.span.len() + facts.resource.len() + facts.scope.len()) as usize;
            self.resource_and_scope(request, facts);
            let header = self.span.read(Told { body, facts, outcome });
            rows.push(Row { request, body, facts, outcome, header });
        }
        bytes
    }

    /// Spans of a request share resources and scopes: what was read once for this page is repeated.
    fn resource_and_scope(&mut self, request: &Applied, facts: &SpanFacts) {
        let Self { resource, scope, known, .. } = self;
        let known = known.entry((request.lsn, facts.resource.start(), facts.scope.start())).or_default();
        if let Some((of_resource, of_scope)) = known
            && resource.can_repeat(of_resource)
            && scope.can_repeat(of_scope)
        {
            resource.repeat(of_resource);
            scope.repeat(of_scope);
            return;
        }
        let body = &request.body;
        let has_no_column = |pair: &KeyValue| !promoted::is_service(facts, body, pair);
        let pairs = attributes(body, facts.resource, RESOURCE_ATTRIBUTES).filter(has_no_column);
        let of_resource = resource.push_map(body, pairs, 0);
        let of_scope = scope.push_map(body, attributes(body, facts.scope, SCOPE_ATTRIBUTES), 0);
        *known = of_resource.zip(of_scope);
    }
}
