//! The table `spans`: its columns, and what each holds.
//!
//! Field ids are for ever: a column that goes takes its id with it, a new column takes the next free one. The fields inside
//! a column with id N have the ids N * 100 + 1, 2, ... in the order of the schema, so they too are stable as long as new
//! members come last.
//!
//! Made for every reader: no unsigned integers and no nanosecond timestamps (Spark, Iceberg), names in lower case (Hive,
//! Trino, Athena), ids as text (joinable everywhere).

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use parquet::arrow::{ArrowSchemaConverter, PARQUET_FIELD_ID_META_KEY};
use parquet::schema::types::SchemaDescriptor;

use crate::column::{Amounts, Fill, Flags, Integers, Leaf, Style, Texts};
use crate::rows::Row;

/// Version of the schema, in every row and in the footer of every file. It grows when the meaning of a column changes.
pub const SCHEMA_VERSION: i32 = 1;

/// A column of the table.
#[derive(Debug)]
pub(crate) struct Column {
    /// `PARQUET:field_id`.
    pub(crate) id: i32,
    /// Its name in SQL.
    pub(crate) name: &'static str,
    /// Its type and where its values come from.
    pub(crate) cells: Cells,
    /// How its values are stored.
    pub(crate) storage: Storage,
}

/// The type of a column and what adds the cells of rows to it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cells {
    /// Text; null if empty, as OTLP does not tell empty from absent. An id is lower-hex; null if it is zero, which is no id.
    Text(Add<Texts>),
    /// 64-bit integer.
    Integer(Add<Integers>),
    /// Timestamp in microseconds, UTC.
    Time(Add<Integers>),
    /// Boolean.
    Flag(Add<Flags>),
    /// Amount of money in US dollars: an integer number of pico-dollars, seen as decimal(38, 12).
    Money(Add<Amounts>),
    /// 32-bit integer, the same in every row.
    Constant(i32),
    /// Attributes of the resource.
    ResourceAttributes,
    /// Attributes of the instrumentation scope.
    ScopeAttributes,
    /// Attributes of the span that have no column of their own.
    SpanAttributes,
    /// Events of the span.
    Events,
    /// Links of the span.
    Links,
}

/// Adds the cells of rows. A function a column, and none a cell: so what a cell is taken from is looked up in the loop over the rows.
type Add<V> = for<'a> fn(&mut Leaf<V>, &[Row<'a>]);

/// What adds a cell of each row.
macro_rules! each {
    ($row:ident => $cell:expr) => {
        |leaf, rows| leaf.fill(rows.iter().map(|$row| $cell))
    };
}

/// How a column is stored. What this decides is most of what writing costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    /// Texts with few distinct values, others on other pages: a dictionary, and the range of values of each page.
    Repeating,
    /// Texts with few distinct values, the same on every page, or without order: a dictionary alone.
    Everywhere,
    /// Numbers: differences instead of a dictionary, the range of values of each page.
    Number,
    /// Many distinct values whose range tells nothing, and columns with structure: neither.
    Opaque,
}

impl Storage {
    /// Whether the range of values of each page is told.
    pub(crate) const fn has_ranges(self) -> bool {
        matches!(self, Self::Repeating | Self::Number)
    }

    /// How texts are stored. Apart from their lengths, which tell nothing, ids cost zstd less.
    pub(crate) const fn style(self) -> Style {
        match self {
            Self::Repeating | Self::Everywhere => Style::Dictionary,
            Self::Number | Self::Opaque => Style::Lengths,
        }
    }
}

use Cells::{
    Constant, Events, Flag, Integer, Links, Money, ResourceAttributes, ScopeAttributes, SpanAttributes, Text, Time,
};
use Storage::{Everywhere, Number, Opaque, Repeating};

const fn column(id: i32, name: &'static str, cells: Cells, storage: Storage) -> Column {
    Column { id, name, cells, storage }
}

/// The columns, in the order of the schema.
#[rustfmt::skip]
pub(crate) const COLUMNS: &[Column] = &[
    // Where and when Spanmill got it.
    column(1, "lsn", Integer(each!(row => i64::try_from(row.request.lsn).ok())), Number),
    column(2, "receive_time", Time(each!(row => unix_nano(row.request.receive_time).map(micros))), Number),
    column(3, "receive_time_unix_nano", Integer(each!(row => unix_nano(row.request.receive_time))), Number),

    // The span. Times are null if they were not told (0) or lie beyond the year 2262: a cut one would look true.
    column(4, "trace_id", Text(each!(row => &row.facts.trace_id)), Opaque),
    column(5, "span_id", Text(each!(row => &row.facts.span_id)), Opaque),
    column(6, "parent_span_id", Text(each!(row => &row.facts.parent_span_id)), Opaque),
    column(7, "trace_state", Text(each!(row => row.header.trace_state.bytes(row.body))), Everywhere),
    column(8, "flags", Integer(each!(row => Some(row.header.flags.into()))), Number),
    column(9, "span_name", Text(each!(row => row.facts.name.bytes(row.body))), Everywhere),
    column(10, "kind", Text(each!(row => row.facts.kind.name())), Everywhere),
    column(11, "start_time", Time(each!(row => unix_nano(row.facts.start).map(micros))), Number),
    column(12, "start_time_unix_nano", Integer(each!(row => unix_nano(row.facts.start))), Number),
    column(13, "end_time", Time(each!(row => unix_nano(row.facts.end).map(micros))), Number),
    column(14, "end_time_unix_nano", Integer(each!(row => unix_nano(row.facts.end))), Number),
    column(15, "duration_nano", Integer(each!(row => row.facts.duration().and_then(|nanos| i64::try_from(nanos).ok()))), Number),
    column(16, "status_code", Text(each!(row => row.facts.status.name())), Everywhere),
    column(17, "status_message", Text(each!(row => row.header.status_message.bytes(row.body))), Opaque),
    column(18, "service_name", Text(each!(row => row.facts.service.bytes(row.body))), Repeating),
    column(19, "scope_name", Text(each!(row => row.facts.scope_name.bytes(row.body))), Everywhere),
    column(20, "scope_version", Text(each!(row => row.facts.scope_version.bytes(row.body))), Everywhere),
    column(21, "resource_attributes", ResourceAttributes, Opaque),
    column(22, "scope_attributes", ScopeAttributes, Opaque),
    column(23, "span_attributes", SpanAttributes, Opaque),
    column(24, "events", Events, Opaque),
    column(25, "links", Links, Opaque),
    column(26, "dropped_attributes_count", Integer(each!(row => Some(row.header.dropped_attributes.into()))), Number),
    column(27, "dropped_events_count", Integer(each!(row => Some(row.header.dropped_events.into()))), Number),
    column(28, "dropped_links_count", Integer(each!(row => Some(row.header.dropped_links.into()))), Number),

    // What it means. Tokens are canonical: input includes cached input, output includes reasoning; null is "not told".
    column(29, "gen_ai_dialect", Text(each!(row => dialect(row))), Everywhere),
    column(30, "gen_ai_role", Text(each!(row => row.facts.role.name())), Everywhere),
    column(31, "gen_ai_operation_name", Text(each!(row => row.facts.operation.bytes(row.body))), Everywhere),
    column(32, "gen_ai_provider_name", Text(each!(row => row.provider())), Everywhere),
    column(33, "gen_ai_request_model", Text(each!(row => row.request_model())), Repeating),
    column(34, "gen_ai_response_model", Text(each!(row => row.response_model())), Repeating),
    column(35, "gen_ai_usage_input_tokens", Integer(each!(row => row.usage().input.map(i64::from))), Number),
    column(36, "gen_ai_usage_output_tokens", Integer(each!(row => row.usage().output.map(i64::from))), Number),
    column(37, "gen_ai_usage_cache_read_tokens", Integer(each!(row => row.usage().cache_read.map(i64::from))), Number),
    column(38, "gen_ai_usage_cache_write_tokens", Integer(each!(row => row.usage().cache_write.map(i64::from))), Number),
    column(39, "gen_ai_usage_reasoning_tokens", Integer(each!(row => row.usage().reasoning.map(i64::from))), Number),
    column(40, "time_to_first_chunk_nano", Integer(each!(row => row.facts.time_to_first_chunk().and_then(|nanos| i64::try_from(nanos).ok()))), Number),
    column(41, "streaming", Flag(each!(row => row.facts.streaming)), Everywhere),
    column(42, "gen_ai_response_finish_reason", Text(each!(row => row.facts.finish_reason.bytes(row.body))), Everywhere),
    column(43, "gen_ai_response_id", Text(each!(row => row.facts.response_id.bytes(row.body))), Opaque),
    column(44, "gen_ai_agent_name", Text(each!(row => row.facts.agent_name.bytes(row.body))), Repeating),
    column(45, "gen_ai_tool_name", Text(each!(row => row.facts.tool_name.bytes(row.body))), Repeating),
    column(46, "gen_ai_workflow_name", Text(each!(row => row.facts.workflow_name.bytes(row.body))), Repeating),
    column(47, "gen_ai_conversation_id", Text(each!(row => row.facts.conversation_id.bytes(row.body))), Opaque),
    column(48, "user_id", Text(each!(row => row.facts.user_id.bytes(row.body))), Opaque),
    column(49, "gen_ai_prompt_name", Text(each!(row => row.facts.prompt_name.bytes(row.body))), Repeating),
    column(50, "gen_ai_prompt_version", Text(each!(row => row.facts.prompt_version.bytes(row.body))), Repeating),
    column(51, "server_address", Text(each!(row => row.facts.server_address.bytes(row.body))), Everywhere),
    column(52, "error_class", Text(each!(row => row.error_class())), Repeating),
    column(53, "error_type", Text(each!(row => row.facts.error.map(|error| error.kind.bytes(row.body)).unwrap_or_default())), Repeating),
    column(54, "error_message", Text(each!(row => row.facts.error.map(|error| error.message.bytes(row.body)).unwrap_or_default())), Opaque),
    column(55, "cost_usd", Money(each!(row => row.outcome.cost.and_then(|cost| cost.amount).map(genai::Money::pico))), Number),

    // What became of it. The rows with outcome `counted` are the calls: their sums are the metrics' totals. (Only a span that came
    // too late may add usage to a call that had none: `late`, `adds_usage`.)
    column(56, "outcome", Text(each!(row => row.outcome.outcome.name())), Everywhere),
    column(57, "outcome_reason", Text(each!(row => row.outcome.reason)), Everywhere),
    column(58, "counted_span_id", Text(each!(row => &row.outcome.counted_span_id)), Opaque),
    column(59, "schema_version", Constant(SCHEMA_VERSION), Number),

    // What is known of the cost: `catalogue` or `supplied`, of how much of the usage, at which prices.
    column(60, "cost_source", Text(each!(row => row.outcome.cost.map_or("", |cost| cost.source))), Everywhere),
    column(61, "price_coverage", Text(each!(row => row.outcome.cost.map_or("", |cost| cost.coverage.name()))), Everywhere),
    column(62, "price_version", Text(each!(row => row.request.price_version.as_bytes())), Everywhere),
    column(63, "gen_ai_usage_cache_write_1h_tokens", Integer(each!(row => row.usage().cache_write_1h.map(i64::from))), Number),
    column(64, "service_tier", Text(each!(row => row.facts.service_tier.bytes(row.body))), Everywhere),
];

/// Rows of a row group are sorted by these columns, nulls last.
pub(crate) const SORTED_BY: [&str; 2] = ["service_name", "start_time"];

/// The column with the bloom filter.
pub(crate) const BLOOM_FILTER: &str = "trace_id";

/// Time zone of every timestamp.
pub(crate) const UTC: &str = "UTC";

/// The dialect, of spans that have one.
fn dialect(row: &Row<'_>) -> &'static str {
    match row.facts.role {
        genai::Role::None => "",
        _ => row.facts.dialect.dialect().name,
    }
}

/// A time as the archive stores it: `None` if it was not told, or is beyond the year 2262.
pub(crate) fn unix_nano(time: u64) -> Option<i64> {
    i64::try_from(time).ok().filter(|&time| time != 0)
}

/// Microseconds of nanoseconds, rounded down.
pub(crate) fn micros(nanos: i64) -> i64 {
    nanos.div_euclid(1_000)
}

/// The schema of the table `spans`.
pub fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> =
        LazyLock::new(|| Arc::new(Schema::new(COLUMNS.iter().map(field).collect::<Fields>())));
    Arc::clone(&SCHEMA)
}

/// The schema of the table as Parquet tells it.
pub(crate) fn leaves() -> Result<SchemaDescriptor, ArrowError> {
    Ok(ArrowSchemaConverter::new().convert(&schema())?)
}

fn field(column: &Column) -> Field {
    let mut ids = Ids(column.id * 100);
    let timestamp = || DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
    let (data_type, is_nullable) = match column.cells {
        Text(_) => (DataType::Utf8, true),
        Integer(_) => (DataType::Int64, true),
        Time(_) => (timestamp(), true),
        Flag(_) => (DataType::Boolean, true),
        Money(_) => (DataType::Decimal128(38, 12), true),
        Constant(_) => (DataType::Int32, false),
        ResourceAttributes | ScopeAttributes | SpanAttributes => (attributes(&mut ids), false),
        Events => (
            list(&mut ids, |ids| {
                vec![
                    ids.field("time", timestamp(), true),
                    ids.field("time_unix_nano", DataType::Int64, true),
                    ids.field("name", DataType::Utf8, false),
                    ids.attributes(),
                ]
            }),
            false,
        ),
        Links => (
            list(&mut ids, |ids| {
                vec![
                    ids.field("trace_id", DataType::Utf8, true),
                    ids.field("span_id", DataType::Utf8, true),
                    ids.attributes(),
                ]
            }),
            false,
        ),
    };
    with_id(Field::new(column.name, data_type, is_nullable), column.id)
}

/// Gives out the ids of the fields inside a column.
struct Ids(i32);

impl Ids {
    fn next(&mut self) -> i32 {
        self.0 += 1;
        self.0
    }

    fn field(&mut self, name: &str, data_type: DataType, is_nullable: bool) -> Field {
        with_id(Field::new(name, data_type, is_nullable), self.next())
    }

    fn attributes(&mut self) -> Field {
        let id = self.next();
        with_id(Field::new("attributes", attributes(self), false), id)
    }
}

fn with_id(field: Field, id: i32) -> Field {
    field.with_metadata(HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())]))
}

/// `MAP<string, string>`, its inner fields named as the Parquet format wants them.
fn attributes(ids: &mut Ids) -> DataType {
    let entries = ids.next();
    let pair = vec![ids.field("key", DataType::Utf8, false), ids.field("value", DataType::Utf8, true)];
    DataType::Map(Arc::new(with_id(Field::new_struct("key_value", pair, false), entries)), false)
}

/// `LIST<STRUCT>`, its element named as the Parquet format wants it.
fn list(ids: &mut Ids, members: impl FnOnce(&mut Ids) -> Vec<Field>) -> DataType {
    let element = ids.next();
    DataType::List(Arc::new(with_id(Field::new_struct("element", members(ids), false), element)))
}
