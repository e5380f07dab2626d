//! A column chunk: the pages of one leaf in one row group.

use std::io;

use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, PageType, Type, ZstdLevel};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::{ByteArray, FixedLenByteArray};
use parquet::errors::Result;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::KEPT;
use super::levels::Levels;
use super::values::{Bound, Range, Values};

/// Compresses pages, one after the other in the same memory.
pub(crate) struct Press {
    level: ZstdLevel,
    compressor: zstd::bulk::Compressor<'static>,
    page: Vec<u8>,
    compressed: Vec<u8>,
}

impl Press {
    /// # Errors
    /// zstd has no memory for itself.
    pub(crate) fn new(level: ZstdLevel) -> io::Result<Self> {
        let compressor = zstd::bulk::Compressor::new(level.compression_level())?;
        Ok(Self { level, compressor, page: Vec::new(), compressed: Vec::new() })
    }

    /// The page, compressed.
    fn compress(&mut self) -> io::Result<Bytes> {
        self.compressed.reserve(zstd::zstd_safe::compress_bound(self.page.len()));
        self.compressor.compress_to_buffer(&self.page, &mut self.compressed)?;
        let compressed = Bytes::copy_from_slice(&self.compressed);
        self.compressed.clear();
        self.compressed.shrink_to(KEPT);
        Ok(compressed)
    }

    /// Empties the page.
    fn clear(&mut self) {
        self.page.clear();
        self.page.shrink_to(KEPT);
    }
}

impl std::fmt::Debug for Press {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Press").field("level", &self.level).finish_non_exhaustive()
    }
}

/// A column chunk that grows page by page.
#[derive(Debug)]
pub(crate) struct Chunk {
    max_repetition: u32,
    max_definition: u32,
    /// Whether it has statistics and an index of the ranges of its pages.
    has_ranges: bool,
    /// The data pages. A dictionary comes before them, but is complete only at the end.
    pages: Vec<u8>,
    page_sizes: Vec<PageSize>,
    encodings: Vec<(Encoding, i32)>,
    uncompressed: usize,
    values: usize,
    rows: usize,
    nulls: usize,
    ranges: Vec<PageRange>,
}

#[derive(Debug, Clone, Copy)]
struct PageSize {
    offset: usize,
    compressed: usize,
    rows: usize,
}

#[derive(Debug)]
struct PageRange {
    range: Option<Range>,
    nulls: usize,
    has_values: bool,
}

/// A column chunk that is complete, to be put into a file.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) bytes: Bytes,
    pub(crate) close: ColumnCloseResult,
}

impl Chunk {
    pub(crate) fn new(max_repetition: u32, max_definition: u32, has_ranges: bool) -> Self {
        Self {
            max_repetition,
            max_definition,
            has_ranges,
            pages: Vec::new(),
            page_sizes: Vec::new(),
            encodings: Vec::new(),
            uncompressed: 0,
            values: 0,
            rows: 0,
            nulls: 0,
            ranges: Vec::new(),
        }
    }

    /// Makes a page of `rows` rows of what has been gathered. Levels of a leaf that has none are not looked at.
    pub(crate) fn end_page(
        &mut self,
        rows: usize,
        repetition: &Levels,
        definition: &Levels,
        values: &mut impl Values,
        press: &mut Press,
    ) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        let (count, nulls) = match self.max_definition {
            0 => (rows, 0),
            max => (definition.len(), definition.len() - definition.count(max)),
        };
        press.clear();
        repetition.encode(self.max_repetition, &mut press.page);
        definition.encode(self.max_definition, &mut press.page);
        let encoded = values.encode(&mut press.page, self.has_ranges);
        let page = Page::DataPage {
            buf: press.compress()?,
            num_values: count as u32,
            encoding: encoded.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let offset = self.pages.len();
        let mut pages = TrackedWrite::new(&mut self.pages);
        let mut writer = SerializedPageWriter::new(&mut pages);
        let written = writer.write_page(CompressedPage::new(page, press.page.len()))?;
        writer.close()?;
        self.page_sizes.push(PageSize { offset, compressed: written.compressed_size, rows });
        match self.encodings.last_mut() {
            Some((last, pages)) if *last == encoded.encoding => *pages += 1,
            _ => self.encodings.push((encoded.encoding, 1)),
        }
        self.uncompressed += written.uncompressed_size;
        self.values += count;
        self.rows += rows;
        self.nulls += nulls;
        if self.has_ranges {
            self.ranges.push(PageRange { range: encoded.range, nulls, has_values: nulls < count });
        }
        Ok(())
    }

    /// Completes the chunk of what all pages were made of; the next one is empty.
    pub(crate) fn finish(
        &mut self,
        leaf: ColumnDescPtr,
        values: &impl Values,
        bloom_filter: Option<Sbbf>,
        press: &mut Press,
    ) -> Result<Finished> {
        let next = Self::new(self.max_repetition, self.max_definition, self.has_ranges);
        std::mem::replace(self, next).into_finished(leaf, values, bloom_filter, press)
    }

    fn into_finished(
        mut self,
        leaf: ColumnDescPtr,
        values: &impl Values,
        bloom_filter: Option<Sbbf>,
        press: &mut Press,
    ) -> Result<Finished> {
        let has_dictionary = self.encodings.iter().any(|(encoding, _)| *encoding == Encoding::RLE_DICTIONARY);
        let mut dictionary = TrackedWrite::new(Vec::new());
        let mut uncompressed = self.uncompressed;
        if has_dictionary && let Some((texts, count)) = values.dictionary() {
            press.clear();
            press.page.extend_from_slice(texts);
            let buf = press.compress()?;
            let page =
                Page::DictionaryPage { buf, num_values: count as u32, encoding: Encoding::PLAIN, is_sorted: false };
            let mut writer = SerializedPageWriter::new(&mut dictionary);
            uncompressed += writer.write_page(CompressedPage::new(page, texts.len()))?.uncompressed_size;
        }
        let mut bytes = dictionary.into_inner()?;
        let dictionary_size = bytes.len();
        bytes.append(&mut self.pages);

        let mut offsets = OffsetIndexBuilder::new();
        for page in &self.page_sizes {
            offsets.append_offset_and_size((dictionary_size + page.offset) as i64, page.compressed as i32);
            offsets.append_row_count(page.rows as i64);
        }
        let page_type =
            |encoding: &Encoding| PageEncodingStats { page_type: PageType::DATA_PAGE, encoding: *encoding, count: 0 };
        let mut stats: Vec<_> = self
            .encodings
            .iter()
            .map(|(encoding, count)| PageEncodingStats { count: *count, ..page_type(encoding) })
            .collect();
        let mut encodings: Vec<_> = self.encodings.iter().map(|(encoding, _)| *encoding).collect();
        encodings.push(Encoding::RLE);
        if has_dictionary {
            encodings.push(Encoding::PLAIN);
            stats.insert(
                0,
                PageEncodingStats { page_type: PageType::DICTIONARY_PAGE, encoding: Encoding::PLAIN, count: 1 },
            );
        }
        let mut metadata = ColumnChunkMetaData::builder(leaf.clone())
            .set_compression(Compression::ZSTD(press.level))
            .set_encodings(encodings)
            .set_page_encoding_stats(stats)
            .set_num_values(self.values as i64)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(uncompressed as i64)
            .set_data_page_offset(dictionary_size as i64)
            .set_dictionary_page_offset(has_dictionary.then_some(0));
        let mut column_index = None;
        // A page without an upper bound can't be told from one without values.
        if self.has_ranges && self.ranges.iter().all(|page| page.range.is_some() == page.has_values) {
            let kind = leaf.physical_type();
            metadata = metadata.set_statistics(statistics(kind, &self.ranges, self.nulls));
            column_index = Some(index(kind, &self.ranges)?);
        }
        let close = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows as u64,
            metadata: metadata.build()?,
            bloom_filter,
            column_index,
            offset_index: Some(offsets.build()),
        };
        Ok(Finished { bytes: bytes.into(), close })
    }
}

/// The index of the ranges of pages.
fn index(kind: Type, pages: &[PageRange]) -> Result<ColumnIndexMetaData> {
    let mut index = ColumnIndexBuilder::new(kind);
    let ranges = || pages.iter().filter_map(|page| page.range.as_ref());
    if ranges().is_sorted_by_key(|range| &range.min) && ranges().is_sorted_by_key(|range| &range.max) {
        index.set_boundary_order(BoundaryOrder::ASCENDING);
    }
    for PageRange { range, nulls, .. } in pages {
        let (min, max) = match range {
            Some(range) => (bytes_of(kind, &range.min), bytes_of(kind, &range.max)),
            None => (Vec::new(), Vec::new()),
        };
        index.append(range.is_none(), min, max, *nulls as i64, None);
    }
    index.build()
}

fn bytes_of(kind: Type, bound: &Bound) -> Vec<u8> {
    match bound {
        Bound::Integer(value) if kind == Type::INT32 => (*value as i32).to_le_bytes().to_vec(),
        Bound::Integer(value) => value.to_le_bytes().to_vec(),
        Bound::Amount(value) => value.to_be_bytes().to_vec(),
        Bound::Text(text, _) => text.clone(),
    }
}

fn statistics(kind: Type, pages: &[PageRange], nulls: usize) -> Statistics {
    let ranges = || pages.iter().filter_map(|page| page.range.as_ref());
    let min = ranges().map(|range| &range.min).min();
    let max = ranges().map(|range| &range.max).max();
    let nulls = Some(nulls as u64);
    let integer = |bound: Option<&Bound>| match bound {
        Some(Bound::Integer(value)) => Some(*value),
        _ => None,
    };
    let bytes = |bound: Option<&Bound>| bound.map(|bound| ByteArray::from(bytes_of(kind, bound)));
    match kind {
        Type::INT32 => {
            let narrow = |bound| integer(bound).map(|value| value as i32);
            Statistics::int32(narrow(min), narrow(max), None, nulls, false)
        }
        Type::INT64 => Statistics::int64(integer(min), integer(max), None, nulls, false),
        Type::FIXED_LEN_BYTE_ARRAY => {
            let fixed = |bound| bytes(bound).map(FixedLenByteArray::from);
            Statistics::fixed_len_byte_array(fixed(min), fixed(max), None, nulls, false)
        }
        _ => {
            let is_exact = |bound: Option<&Bound>| matches!(bound, Some(Bound::Text(_, true)));
            let texts = ValueStatistics::new(bytes(min), bytes(max), None, nulls, false)
                .with_min_is_exact(is_exact(min))
                .with_max_is_exact(is_exact(max));
            Statistics::ByteArray(texts)
        }
    }
}
