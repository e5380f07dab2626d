//! Requests written by prost, and files read by the parquet crate.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aggregate::{Applied, Outcome, SpanOutcome};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, MapArray, RecordBatch, StructArray};
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::PageIndexPolicy;
use prost::Message;

use crate::{Archive, ArchiveConfig, Include};

/// 2026-11-22T10:59:00Z.
pub(super) const RECEIVED: u64 = 1_795_345_140_000_000_000;
pub(super) const MINUTE: u64 = 60_000_000_000;

pub(super) fn any(value: impl Into<Value>) -> AnyValue {
    AnyValue { value: Some(value.into()) }
}

pub(super) fn string(text: &str) -> AnyValue {
    any(Value::StringValue(text.to_owned()))
}

pub(super) fn attribute(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// A call to a model that starts `start` nanoseconds after an hour's begin and takes one millisecond.
pub(super) fn call(number: u64, start: u64) -> Span {
    let begin = 1_795_345_000_000_000_000 + start;
    Span {
        trace_id: vec![0xab; 16],
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: "chat gpt-4o".to_owned(),
        kind: 3,
        start_time_unix_nano: begin,
        end_time_unix_nano: begin + 1_000_000,
        attributes: vec![
            attribute("gen_ai.operation.name", string("chat")),
            attribute("gen_ai.provider.name", string("openai")),
            attribute("gen_ai.request.model", string("gpt-4o")),
        ],
        ..Span::default()
    }
}

pub(super) fn of_service(service: &str, spans: Vec<Span>) -> ResourceSpans {
    let attributes = if service.is_empty() { Vec::new() } else { vec![attribute("service.name", string(service))] };
    let scope = InstrumentationScope { name: "tests".to_owned(), version: "1.2.3".to_owned(), ..Default::default() };
    ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

pub(super) fn encoded(resource_spans: Vec<ResourceSpans>) -> Vec<u8> {
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// A request as the pipeline hands it on, every GenAI span counted under itself.
pub(super) fn applied(lsn: u64, receive_time: u64, body: Vec<u8>) -> Arc<Applied> {
    let facts = genai::Deriver::default().derive(&body).unwrap();
    let outcomes = facts.iter().map(|facts| match facts.role {
        genai::Role::None => SpanOutcome::new(Outcome::NotGenai, "no_genai_attributes", [0; 8]),
        role => SpanOutcome::new(Outcome::Counted, role.name(), facts.span_id),
    });
    let outcomes = outcomes.collect();
    Arc::new(Applied { lsn, receive_time, body: Bytes::from(body), facts, outcomes, price_version: "prices".into() })
}

/// A request of `spans` calls of one service.
pub(super) fn calls(lsn: u64, receive_time: u64, spans: u64) -> Arc<Applied> {
    applied(lsn, receive_time, encoded(vec![of_service("shop", (0..spans).map(|i| call(i, i)).collect())]))
}

pub(super) fn config(directory: &Path) -> ArchiveConfig {
    ArchiveConfig {
        max_pending: usize::MAX,
        directory: directory.to_owned(),
        include: Include::Genai,
        max_rows: 1_000_000,
        max_age: Duration::from_secs(300),
        zstd_level: 1,
        place: None,
        instance: "test-1".to_owned(),
    }
}

pub(super) fn start(config: ArchiveConfig) -> Archive {
    Archive::start(config, &opentelemetry::global::meter("tests")).unwrap()
}

/// Archives the requests, and gives the files in order of their names.
pub(super) fn archived(config: ArchiveConfig, requests: impl IntoIterator<Item = Arc<Applied>>) -> Vec<PathBuf> {
    let directory = config.directory.clone();
    let archive = start(config);
    requests.into_iter().for_each(|request| archive.send(request));
    archive.finish().unwrap();
    files(&directory)
}

/// Archives one request, and gives its rows.
pub(super) fn rows_of(request: Arc<Applied>) -> RecordBatch {
    let directory = tempfile::tempdir().unwrap();
    let files = archived(ArchiveConfig { include: Include::All, ..config(directory.path()) }, [request]);
    read(files.first().unwrap())
}

/// Every file below a directory, hidden ones included, sorted.
pub(super) fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Path below the table's directory.
pub(super) fn below(directory: &Path, file: &Path) -> String {
    file.strip_prefix(directory.join("spans")).unwrap().to_str().unwrap().to_owned()
}

/// What the footer of a file tells, page index included.
pub(super) fn metadata(file: &Path) -> ArrowReaderMetadata {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    ArrowReaderMetadata::load(&File::open(file).unwrap(), options).unwrap()
}

/// All rows of a file.
pub(super) fn read(file: &Path) -> RecordBatch {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
    builder.with_batch_size(1 << 20).build().unwrap().next().unwrap().unwrap()
}

pub(super) fn column<'a>(rows: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    rows.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"))
}

pub(super) fn text<'a>(rows: &'a RecordBatch, name: &str, row: usize) -> Option<&'a str> {
    let column = column(rows, name).as_string::<i32>();
    column.is_valid(row).then(|| column.value(row))
}

pub(super) fn integer(rows: &RecordBatch, name: &str, row: usize) -> Option<i64> {
    let column = column(rows, name).as_primitive::<Int64Type>();
    column.is_valid(row).then(|| column.value(row))
}

/// The pairs of a row of a map.
pub(super) fn pairs(map: &MapArray, row: usize) -> Vec<(String, Option<String>)> {
    let entries: StructArray = map.value(row);
    let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1).as_string::<i32>());
    let value = |i| values.is_valid(i).then(|| values.value(i).to_owned());
    (0..entries.len()).map(|i| (keys.value(i).to_owned(), value(i))).collect()
}

pub(super) fn attributes(rows: &RecordBatch, name: &str, row: usize) -> Vec<(String, Option<String>)> {
    pairs(column(rows, name).as_map(), row)
}

/// What a map says for a key.
pub(super) fn value(rows: &RecordBatch, name: &str, row: usize, key: &str) -> Option<String> {
    attributes(rows, name, row).into_iter().find(|(found, _)| found == key)?.1
}
