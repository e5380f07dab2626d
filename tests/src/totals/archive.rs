//! The archive, read by the parquet crate.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch, make_array};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::SchemaDescriptor;
use walkdir::WalkDir;

use super::{ModelTotals, Tokens, Totals};

/// One row of the table `spans`, as far as the tests read it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// `trace_id`.
    pub trace_id: String,
    /// `span_id`.
    pub span_id: String,
    /// `span_name`.
    pub span_name: String,
    /// `service_name`.
    pub service: String,
    /// `outcome`.
    pub outcome: String,
    /// `outcome_reason`.
    pub reason: String,
    /// `receive_time_unix_nano`.
    pub receive_time: i64,
    /// `duration_nano`.
    pub duration_nano: Option<u64>,
    model: String,
    is_error: bool,
    tokens: Tokens,
}

/// All rows of an archive.
///
/// # Panics
/// If anything but finished Parquet files is in it.
pub fn rows(archive: &Path) -> Vec<Row> {
    batches(archive).flat_map(|batch| rows_of_batch(&batch)).collect()
}

/// Every text in an archive, keys and values of maps and lists included.
///
/// # Panics
/// As [`rows`].
pub fn archived_texts(archive: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for batch in batches(archive) {
        batch.columns().iter().for_each(|column| collect_texts(column, &mut texts));
    }
    texts
}

fn collect_texts(array: &dyn Array, texts: &mut Vec<String>) {
    match array.as_string_opt::<i32>() {
        Some(found) => texts.extend(found.iter().flatten().map(str::to_owned)),
        None => array.to_data().child_data().iter().for_each(|child| collect_texts(&make_array(child.clone()), texts)),
    }
}

/// The span ids of all rows of an archive, which may be a large one.
///
/// # Panics
/// As [`rows`].
pub fn archived_ids(archive: &Path) -> Vec<String> {
    let columns = |schema: &SchemaDescriptor| ProjectionMask::columns(schema, ["span_id"]);
    let ids = |batch: RecordBatch| {
        let ids = batch.column(0).as_string::<i32>();
        ids.iter().map(|id| id.expect("an id").to_owned()).collect::<Vec<_>>()
    };
    files(archive).flat_map(|file| batches_of(&file, columns)).flat_map(ids).collect()
}

/// The bytes of all files of an archive that are complete, whether or not they have their names yet, by the ranges of the log that their footers
/// tell.
///
/// # Panics
/// If they can't be read.
pub fn complete_files(archive: &Path) -> BTreeMap<(u64, u64), Vec<u8>> {
    let complete = |path: PathBuf| {
        let bytes = fs::read(path).expect("a readable file");
        let reader = SerializedFileReader::new(Bytes::from(bytes.clone())).ok()?;
        let told = reader.metadata().file_metadata().key_value_metadata()?;
        let number = |key: &str| told.iter().find(|pair| pair.key == key)?.value.as_ref()?.parse().ok();
        Some(((number("lsn_from")?, number("lsn_to")?), bytes))
    };
    files(archive).filter_map(complete).collect()
}

fn batches(archive: &Path) -> impl Iterator<Item = RecordBatch> {
    files(archive).flat_map(|file| batches_of(&file, |_| ProjectionMask::all()))
}

fn files(archive: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = WalkDir::new(archive).sort_by_file_name().into_iter().map(|entry| entry.expect("a readable archive"));
    entries.filter(|entry| entry.file_type().is_file()).map(|file| file.into_path())
}

fn batches_of(path: &Path, columns: impl Fn(&SchemaDescriptor) -> ProjectionMask) -> Vec<RecordBatch> {
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    assert!(name.ends_with(".parquet") && !name.starts_with('.'), "no finished file: {}", path.display());
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("a readable file"));
    let reader = reader.expect("a Parquet file");
    let columns = columns(reader.parquet_schema());
    let batches = reader.with_projection(columns).build().expect("a Parquet file");
    batches.map(|batch| batch.expect("a sound batch")).collect()
}

fn rows_of_batch(batch: &RecordBatch) -> Vec<Row> {
    let column = |name: &str| batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
    let text = |name: &str, row: usize| {
        let column = column(name).as_string::<i32>();
        (!column.is_null(row)).then(|| column.value(row).to_owned())
    };
    let number = |name: &str, row: usize| {
        let column = column(name).as_primitive::<Int64Type>();
        (!column.is_null(row)).then(|| u64::try_from(column.value(row)).expect("nothing negative"))
    };
    let receive_time = column("receive_time_unix_nano").as_primitive::<Int64Type>();
    let tokens = |name: &str, row: usize| number(&format!("gen_ai_usage_{name}_tokens"), row).unwrap_or(0);
    let row = |row: usize| Row {
        receive_time: receive_time.value(row),
        trace_id: text("trace_id", row).unwrap_or_default(),
        span_id: text("span_id", row).unwrap_or_default(),
        span_name: text("span_name", row).unwrap_or_default(),
        service: text("service_name", row).unwrap_or_default(),
        outcome: text("outcome", row).unwrap_or_default(),
        reason: text("outcome_reason", row).unwrap_or_default(),
        duration_nano: number("duration_nano", row),
        model: text("gen_ai_response_model", row)
            .or_else(|| text("gen_ai_request_model", row))
            .unwrap_or_else(|| "unknown".to_owned()),
        is_error: text("error_class", row).is_some(),
        tokens: Tokens {
            input: tokens("input", row),
            cache_read: tokens("cache_read", row),
            cache_write: tokens("cache_write", row),
            output: tokens("output", row),
            reasoning: tokens("reasoning", row),
        },
    };
    (0..batch.num_rows()).map(row).collect()
}

impl Row {
    /// Whether it stands for a call.
    pub fn is_counted(&self) -> bool {
        self.outcome == "counted"
    }
}

impl Totals {
    /// What the counted rows of an archive come to.
    pub fn from_rows(rows: &[Row]) -> Self {
        let mut by_model: BTreeMap<String, ModelTotals> = BTreeMap::new();
        for row in rows.iter().filter(|row| row.is_counted()) {
            let model = by_model.entry(row.model.clone()).or_default();
            model.requests += 1;
            model.errors += u64::from(row.is_error);
            model.tokens.add(&row.tokens);
        }
        Self::of_models(by_model)
    }
}
