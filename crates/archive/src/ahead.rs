//! Spans in an order that is not that of their memory: each is fetched while those before it are read.

use std::collections::VecDeque;

use aggregate::{Applied, SpanOutcome, fetch};
use genai::SpanFacts;

/// So many spans before it is read, a span's facts and outcome are fetched; the facts tell where its bytes are ...
const FACTS: usize = 12;
/// ... and so many before it, these.
const BYTES: usize = 4;
/// A line of the processor's cache ...
const LINE: usize = 64;
/// ... of which no more are fetched of the bytes of a span: they would push out what is needed before.
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
            if let (Some(facts), Some(outcome)) = (request.facts.get(position), request.outcomes.get(position)) {
                fetch_lines(facts, outcome);
            }
            self.waiting.push_back((request, position));
        }
        if let Some((request, position)) = self.waiting.get(BYTES)
            && let Some(facts) = request.facts.get(*position)
        {
            let bytes = facts.span.bytes(&request.body);
            bytes.iter().step_by(LINE).take(MOST_LINES).for_each(fetch);
        }
        self.waiting.pop_front()
    }
}

/// Fetches the lines that facts and an outcome take, by a field of each, as compilers put them now. One that is missed is waited for.
fn fetch_lines(facts: &SpanFacts, outcome: &SpanOutcome) {
    fetch(&facts.split);
    fetch(&facts.service_tier);
    fetch(&facts.scope_name);
    fetch(&facts.trace_id);
    fetch(&facts.start);
    fetch(&facts.compact_usage);
    fetch(&facts.nanos_to_first_chunk);
    fetch(&facts.user_id);
    fetch(&facts.error);
    fetch(&facts.role);
    fetch(&outcome.cost);
    fetch(&outcome.reason);
    fetch(&outcome.counted_span_id);
}
