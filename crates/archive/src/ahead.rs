//! Spans in an order that is not that of their memory: each is fetched while those before it are read.

use std::collections::VecDeque;

use aggregate::Applied;
use prefetch_index::prefetch_index;

/// So many spans before it is read, a span's facts are fetched, which tell where its bytes are ...
const FACTS: usize = 12;
/// ... and so many before it, these.
const BYTES: usize = 4;
/// A line of the processor's cache ...
const LINE: usize = 64;
/// ... of which no more are fetched for a span: they would push out what is needed before.
const MOST_LINES: usize = 64;

/// The spans, each a request and a position in it.
#[derive(Debug)]
pub(crate) struct Ahead<'a, I> {
    spans: I,
    waiting: VecDeque<(&'a Applied, usize)>,
}

impl<'a, I: Iterator<Item = (&'a Applied, usize)>> Ahead<'a, I> {
    pub(crate) fn of(spans: I) -> Self {
        Self { spans, waiting: VecDeque::with_capacity(FACTS) }
    }
}

impl<'a, I: Iterator<Item = (&'a Applied, usize)>> Iterator for Ahead<'a, I> {
    type Item = (&'a Applied, usize);

    fn next(&mut self) -> Option<Self::Item> {
        while self.waiting.len() < FACTS
            && let Some((request, position)) = self.spans.next()
        {
            prefetch_index(&request.facts, position);
            prefetch_index(&request.outcomes, position);
            self.waiting.push_back((request, position));
        }
        if let Some((request, position)) = self.waiting.get(BYTES)
            && let Some(facts) = request.facts.get(*position)
        {
            let bytes = facts.span.bytes(&request.body);
            (0..bytes.len()).step_by(LINE).take(MOST_LINES).for_each(|at| prefetch_index(bytes, at));
        }
        self.waiting.pop_front()
    }
}
