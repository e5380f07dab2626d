//! A leaf of the schema, with what waits for its page.

use parquet::bloom_filter::Sbbf;
use parquet::errors::Result;
use parquet::schema::types::SchemaDescriptor;

use super::chunk::{Chunk, Finished, Press};
use super::levels::Levels;
use super::values::Values;

/// A column of the table: one leaf or several.
pub(crate) trait Column {
    /// Bytes that wait for their pages, about.
    fn size(&self) -> usize;

    /// Makes pages of what was added in `rows` rows.
    fn end_page(&mut self, rows: usize, press: &mut Press) -> Result<()>;

    /// Completes the chunks of its leaves, and begins others.
    fn finish(&mut self, completion: &mut Completion<'_>) -> Result<()>;
}

/// A leaf of the schema, with what waits for its page.
#[derive(Debug)]
pub(crate) struct Leaf<V> {
    pub(crate) values: V,
    pub(crate) definition: Levels,
    /// Tells which values are not there.
    pub(crate) bloom_filter: Option<Sbbf>,
    chunk: Chunk,
}

impl<V: Values> Leaf<V> {
    /// A leaf with levels up to `max_repetition` and `max_definition`.
    pub(crate) fn new(max_repetition: u32, max_definition: u32, has_ranges: bool, values: V) -> Self {
        let chunk = Chunk::new(max_repetition, max_definition, has_ranges);
        Self { values, definition: Levels::default(), bloom_filter: None, chunk }
    }

    /// Begins a filter that tells which values are not in this chunk, for up to `values` values.
    pub(crate) fn begin_bloom_filter(&mut self, values: usize) -> Result<()> {
        self.bloom_filter = Some(Sbbf::new_with_ndv_fpp(values as u64, FALSE_POSITIVES)?);
        Ok(())
    }

    /// Makes a page of a leaf that stands in a list, which tells where its values repeat.
    pub(crate) fn end_page_of(&mut self, rows: usize, repetition: &Levels, press: &mut Press) -> Result<()> {
        self.chunk.end_page(rows, repetition, &self.definition, &mut self.values, press)?;
        self.definition.clear();
        Ok(())
    }
}

impl<V: Values> Column for Leaf<V> {
    fn size(&self) -> usize {
        self.values.size()
    }

    fn end_page(&mut self, rows: usize, press: &mut Press) -> Result<()> {
        self.end_page_of(rows, &Levels::default(), press)
    }

    fn finish(&mut self, completion: &mut Completion<'_>) -> Result<()> {
        let Completion { schema, press, finished } = completion;
        let descriptor = schema.column(finished.len());
        let bloom_filter = self.bloom_filter.take().map(|mut filter| {
            filter.fold_to_target_fpp(FALSE_POSITIVES);
            filter
        });
        finished.push(self.chunk.finish(descriptor, &self.values, bloom_filter, press)?);
        self.values.end_chunk();
        Ok(())
    }
}

/// How often a bloom filter may say of a value that is not there that it could be.
const FALSE_POSITIVES: f64 = 0.01;

/// Column chunks that become a row group, in the order of the leaves of `schema`.
#[derive(Debug)]
pub(crate) struct Completion<'a> {
    pub(crate) schema: &'a SchemaDescriptor,
    pub(crate) press: &'a mut Press,
    pub(crate) finished: Vec<Finished>,
}
