//! Properties of the files that readers rely on.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;

use arrow_array::{Array, RecordBatch};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, Encoding, LogicalType, TimeUnit};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData, SortingColumn};
use parquet::schema::printer::print_schema;
use tempfile::TempDir;

use super::support::{
    RECEIVED, any, applied, archived, attribute, call, calls, column, config, encoded, integer, metadata, of_service,
    read, string, text,
};
use crate::ArchiveConfig;

fn one_file() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let files = archived(config(directory.path()), [calls(3, RECEIVED, 10), calls(5, RECEIVED, 10)]);
    let file = files.into_iter().next().unwrap();
    (directory, file)
}

fn chunk<'a>(group: &'a RowGroupMetaData, path: &str) -> &'a ColumnChunkMetaData {
    let found = group.columns().iter().find(|chunk| chunk.column_path().string() == path);
    found.unwrap_or_else(|| panic!("no column {path}"))
}

// Names, types and field ids are a contract: a change to them is a change to this file.
#[test]
fn the_schema_is_the_one_that_was_promised() {
    let (_directory, file) = one_file();
    let mut printed = Vec::new();
    print_schema(&mut printed, metadata(&file).metadata().file_metadata().schema());
    let printed = String::from_utf8(printed).unwrap();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/schema.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, &printed).unwrap();
    }
    assert_eq!(printed, std::fs::read_to_string(golden).unwrap());
}

// What Spark and Iceberg can't read is not there: unsigned integers, nanosecond timestamps; and field ids are unique.
#[test]
fn every_reader_can_read_it() {
    let (_directory, file) = one_file();
    let reader = metadata(&file);
    let descriptor = reader.metadata().file_metadata().schema_descr();
    let mut ids = Vec::new();
    let mut fields = vec![descriptor.root_schema_ptr()];
    while let Some(field) = fields.pop() {
        match field.get_basic_info().logical_type_ref() {
            Some(LogicalType::Integer(integer)) => assert!(integer.is_signed, "{}", field.name()),
            Some(LogicalType::Timestamp(timestamp)) => {
                assert_eq!(timestamp.unit, TimeUnit::MICROS, "{}", field.name());
                assert!(timestamp.is_adjusted_to_u_t_c, "{}", field.name());
            }
            _ => {}
        }
        if field.get_basic_info().has_id() {
            ids.push(field.get_basic_info().id());
        }
        if field.is_group() {
            fields.extend(field.get_fields().iter().cloned());
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    assert!(count > crate::schema::COLUMNS.len());
}

// The footer tells where the rows come from and who wrote them.
#[test]
fn the_footer_tells_the_origin() {
    let (_directory, file) = one_file();
    let reader = metadata(&file);
    let footer = reader.metadata().file_metadata();
    let told = |key: &str| {
        let pair = footer.key_value_metadata().unwrap().iter().find(|pair| pair.key == key).unwrap();
        pair.value.clone().unwrap()
    };
    assert_eq!(told("lsn_from"), "3");
    assert_eq!(told("lsn_to"), "5");
    assert_eq!(told("rows"), "20");
    assert_eq!(told("instance"), "test-1");
    assert_eq!(told("schema_version"), "1");
    assert_eq!(told("rows_xxh3"), rows_hash(&read(&file)));
    assert!(footer.created_by().unwrap().starts_with("spanmill version "));
}

/// The hash of rows, as whoever reads a file computes it from the columns.
fn rows_hash(rows: &RecordBatch) -> String {
    let id = |name, row, length| {
        let digits = text(rows, name, row).map_or_else(|| "00".repeat(length), str::to_owned);
        (0..length)
            .map(move |byte| u8::from_str_radix(&digits[2 * byte..2 * byte + 2], 16).unwrap())
            .collect::<Vec<_>>()
    };
    let number = |name, row, null: i64| integer(rows, name, row).unwrap_or(null).to_le_bytes().to_vec();
    let hash = (0..rows.num_rows()).fold(0_u128, |hash, row| {
        let bytes = [
            hash.to_le_bytes().to_vec(),
            number("lsn", row, 0),
            id("trace_id", row, 16),
            id("span_id", row, 8),
            id("counted_span_id", row, 8),
            number("start_time_unix_nano", row, 0),
            number("gen_ai_usage_input_tokens", row, -1),
            number("gen_ai_usage_output_tokens", row, -1),
        ];
        twox_hash::XxHash3_128::oneshot(&bytes.concat())
    });
    format!("{hash:032x}")
}

// The hash in the footer is that of the rows, in their order, whatever they lack, over several row groups; the same rows have the same
// hash, and another row, outcome, usage or order another one.
#[test]
fn the_footer_tells_the_hash_of_the_rows() {
    let rows_of = |change: fn(&mut Span), lsn| {
        let spans = (0..6).map(|number| {
            let mut span = call(number, 10 - number);
            if number == 3 {
                change(&mut span);
            }
            span
        });
        let directory = tempfile::tempdir().unwrap();
        let config = ArchiveConfig { max_pending: 1, ..config(directory.path()) };
        let requests =
            spans.map(|span| encoded(vec![of_service("shop", vec![span])])).collect::<Vec<_>>().into_iter().zip(lsn..);
        let files = archived(config, requests.map(|(body, lsn)| applied(lsn, RECEIVED, body)));
        let reader = metadata(&files[0]);
        assert_eq!(reader.metadata().num_row_groups(), 6);
        let pairs = reader.metadata().file_metadata().key_value_metadata().unwrap();
        let told = pairs.iter().find(|pair| pair.key == "rows_xxh3").unwrap().value.clone().unwrap();
        assert_eq!(told, rows_hash(&read(&files[0])));
        told
    };
    let hashes: BTreeSet<String> = [
        rows_of(|_| {}, 1),
        rows_of(|_| {}, 1),
        rows_of(|_| {}, 2),
        rows_of(|span| span.trace_id = vec![0; 16], 1),
        rows_of(|span| span.span_id[0] ^= 1, 1),
        rows_of(|span| span.start_time_unix_nano = 0, 1),
        rows_of(|span| span.attributes.push(attribute("gen_ai.usage.input_tokens", any(Value::IntValue(7)))), 1),
        rows_of(|span| span.attributes.push(attribute("gen_ai.usage.output_tokens", any(Value::IntValue(7)))), 1),
    ]
    .into();
    assert_eq!(hashes.len(), 7);
}

// Row groups are made one after the other in the same memory, and none leaves anything to the next: each row is what it is in a file of
// its own.
#[test]
fn row_groups_leave_nothing_behind() {
    const REQUESTS: u64 = 24;
    let request = |number: u64| {
        // Each span has other keys, in another order; some of them have columns.
        let mut keys =
            ["app.first", "gen_ai.response.model", "app.second", "gen_ai.agent.name", "error.type", "app.third"];
        keys.rotate_left(number as usize % 6);
        let attributes = keys.iter().skip(number as usize % 4).map(|key| attribute(key, string(&format!("{number}"))));
        let mut span = call(number, number);
        span.attributes = attributes.chain(span.attributes).collect();
        if number.is_multiple_of(2) {
            let attributes = vec![attribute(keys[1], string("told")), attribute(keys[0], string("by an event"))];
            span.events = vec![Event { name: keys[2].to_owned(), attributes, ..Event::default() }];
        }
        let service = ["shop", "", "search"][number as usize % 3];
        applied(number, RECEIVED, encoded(vec![of_service(service, vec![span])]))
    };
    let rows = |requests: std::ops::Range<u64>| {
        let directory = tempfile::tempdir().unwrap();
        let config = ArchiveConfig { max_pending: 1, ..config(directory.path()) };
        let files = archived(config, requests.map(request));
        assert_eq!(files.len(), 1);
        read(&files[0])
    };
    let together = rows(1..REQUESTS);
    for number in 1..REQUESTS {
        assert_eq!(together.slice(number as usize - 1, 1), rows(number..number + 1), "{number}");
    }
}

// Compression everywhere, dictionaries only where values repeat, a bloom filter for the trace id, an index of pages.
#[test]
fn columns_are_stored_as_the_table_says() {
    let (_directory, file) = one_file();
    let reader = metadata(&file);
    let group = reader.metadata().row_group(0);
    assert!(group.columns().iter().all(|chunk| matches!(chunk.compression(), Compression::ZSTD(_))));

    let has_dictionary =
        |path| chunk(group, path).encodings().any(|encoding| matches!(encoding, Encoding::RLE_DICTIONARY));
    for path in [
        "service_name",
        "gen_ai_request_model",
        "kind",
        "outcome",
        "span_attributes.key_value.key",
        "resource_attributes.key_value.value",
    ] {
        assert!(has_dictionary(path), "{path}");
    }
    for path in [
        "lsn",
        "trace_id",
        "span_id",
        "start_time",
        "start_time_unix_nano",
        "duration_nano",
        "status_message",
        "span_attributes.key_value.value",
        "events.list.element.time",
        "links.list.element.trace_id",
    ] {
        assert!(!has_dictionary(path), "{path}");
    }
    for path in ["lsn", "start_time", "gen_ai_usage_input_tokens"] {
        let is_delta = chunk(group, path).encodings().any(|encoding| encoding == Encoding::DELTA_BINARY_PACKED);
        assert!(is_delta, "{path}");
    }
    for chunk in group.columns() {
        let is_filtered = chunk.column_path().string() == "trace_id";
        assert_eq!(chunk.bloom_filter_offset().is_some(), is_filtered, "{}", chunk.column_path());
        assert!(chunk.offset_index_offset().is_some(), "{}", chunk.column_path());
    }
    for path in ["service_name", "start_time", "lsn", "gen_ai_response_model"] {
        assert!(chunk(group, path).column_index_offset().is_some(), "{path}");
    }
    assert!(chunk(group, "status_message").column_index_offset().is_none());
}

// The bloom filter knows the ids that are there, and that others are not.
#[test]
fn the_bloom_filter_tells_trace_ids() {
    let (_directory, file) = one_file();
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
    let leaf = reader.parquet_schema().columns().iter().position(|column| column.name() == "trace_id").unwrap();
    let filter = reader.get_row_group_column_bloom_filter(0, leaf).unwrap().unwrap();
    assert!(filter.check(&"ab".repeat(16).as_str()));
    assert!(!filter.check(&"cd".repeat(16).as_str()));
}

// Whatever order spans come in, the rows of a row group are sorted by service and start, and the file says so.
#[test]
fn row_groups_are_sorted() {
    let directory = tempfile::tempdir().unwrap();
    let untimed = Span { start_time_unix_nano: 0, ..call(9, 0) };
    let requests = [
        vec![
            of_service("b", vec![call(1, 30), untimed, call(2, 10)]),
            of_service("", vec![call(3, 0)]),
            of_service("a", vec![call(4, 20)]),
        ],
        vec![of_service("a", vec![call(5, 10), call(6, 30)]), of_service("b", vec![call(7, 20)])],
    ];
    let requests = (1..).zip(requests).map(|(lsn, spans)| applied(lsn, RECEIVED, encoded(spans)));
    let files = archived(config(directory.path()), requests);
    let rows = read(&files[0]);
    let order: Vec<_> = (0..rows.num_rows()).map(|row| text(&rows, "span_id", row).unwrap().to_owned()).collect();
    let order: Vec<_> = order.iter().map(|id| u64::from_str_radix(id, 16).unwrap() - 1).collect();
    assert_eq!(order, [5, 4, 6, 2, 7, 1, 9, 3]);

    let reader = metadata(&files[0]);
    let ascending = |name: &str| {
        let columns = reader.metadata().file_metadata().schema_descr().columns();
        let leaf = columns.iter().position(|column| column.path().string() == name).unwrap();
        SortingColumn { column_idx: leaf as i32, descending: false, nulls_first: false }
    };
    let declared = reader.metadata().row_group(0).sorting_columns().unwrap();
    assert_eq!(declared, &vec![ascending("service_name"), ascending("start_time")]);
}

// A request with more spans than a row group may hold becomes several row groups, each sorted, none too large.
#[test]
fn row_groups_are_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let requests = [calls(1, RECEIVED, 40_000), calls(2, RECEIVED, 30_000), calls(3, RECEIVED, 1)];
    let files = archived(config(directory.path()), requests);
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let reader = metadata(file);
    let rows: Vec<_> = reader.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).collect();
    assert_eq!(rows, [65_536, 4_464, 1]);
    let all = read(file);
    assert!(is_ascending(&all, 0..65_536) && is_ascending(&all, 65_536..70_000));
    assert_eq!(column(&all, "trace_id").null_count(), 0);
}

fn is_ascending(rows: &RecordBatch, range: std::ops::Range<usize>) -> bool {
    let starts: Vec<_> = range.map(|row| integer(rows, "start_time_unix_nano", row)).collect();
    starts.is_sorted()
}
