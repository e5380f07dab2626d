//! The series index: from the key of a series to its number.

use dashmap::DashMap;
use genai::SpanFacts;
use rapidhash::fast::RandomState;

use crate::key::{KeyBuilder, Layout};

/// Finds the number of a series. Request handlers look keys up beside each other; only the applier inserts, in log order.
/// Keys are chosen by peers, so the hash is seeded at random. Numbers live in memory only and never influence a result.
#[derive(Debug)]
pub struct SeriesIndex {
    layout: Layout,
    numbers: DashMap<Box<[u8]>, u32, RandomState>,
}

impl SeriesIndex {
    pub(crate) fn new(layout: Layout) -> Self {
        Self { layout, numbers: DashMap::with_hasher(RandomState::default()) }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn find(&self, key: &[u8]) -> Option<u32> {
        self.numbers.get(key).map(|entry| *entry)
    }

    pub(crate) fn insert(&self, key: &[u8], number: u32) {
        self.numbers.insert(key.into(), number);
    }

    /// Looks series up for the spans of a request.
    pub(crate) fn resolver<'a>(&'a self, body: &'a [u8]) -> Resolver<'a> {
        Resolver { index: self, body, builder: KeyBuilder::default() }
    }
}

/// Looks series up for the spans of one request.
#[derive(Debug)]
pub(crate) struct Resolver<'a> {
    index: &'a SeriesIndex,
    body: &'a [u8],
    builder: KeyBuilder,
}

impl Resolver<'_> {
    /// Writes the number of its series, where there is one by now, to a span.
    pub(crate) fn resolve(&mut self, span: &mut SpanFacts) {
        if let Some(key) = self.builder.key(&self.index.layout, self.body, span) {
            span.series = self.index.find(key);
        }
    }
}
