//! The call spans of the last while in the order of arrival, found by what links them.
//!
//! A queue: new spans come in behind, those that are counted and no longer of use go out in front. Everything that is due
//! is due in this order, as receive time never goes back.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;

use hashbrown::HashTable;
use rapidhash::fast::RandomState;

use super::held::{Held, Seq};

/// How many neighbours are looked at on each side: in a trace of very many calls, the spans of one call still stand close
/// together, and a peer must not be able to make each look cost more than the one before.
pub(super) const NEIGHBOURS: usize = 256;

/// Memory of one span in the window: itself and its places in the indexes.
const BYTES_A_SPAN: usize = size_of::<Held>() + 48;

/// The window.
#[derive(Debug)]
pub(crate) struct Window {
    spans: VecDeque<Held>,
    /// The place of the first of them.
    first: Seq,
    capacity: usize,
    by_id: HashTable<Seq>,
    /// The newest span of each trace, of each response id, of each key of what may be the same without a link.
    traces: HashTable<Seq>,
    responses: HashTable<Seq>,
    unlinked: HashTable<Seq>,
    /// Spans that report a call together with another, by scope and what they say of the request.
    splits: HashMap<(u32, u64), Vec<Seq>, RandomState>,
    links_unlinked: bool,
    hasher: RandomState,
}

impl Window {
    /// A window of so many bytes at the most. `links_unlinked` says whether spans are to be found that nothing links.
    pub(crate) fn new(memory: usize, links_unlinked: bool) -> Self {
        Self {
            spans: VecDeque::new(),
            first: Seq(0),
            // Fewer than half of all places, so that places can be compared although they wrap around.
            capacity: (memory / BYTES_A_SPAN).clamp(1, 1 << 30),
            by_id: HashTable::new(),
            traces: HashTable::new(),
            responses: HashTable::new(),
            unlinked: HashTable::new(),
            splits: HashMap::default(),
            links_unlinked,
            hasher: RandomState::default(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.spans.len() >= self.capacity
    }

    pub(crate) fn front(&self) -> Option<(Seq, &Held)> {
        Some((self.first, self.spans.front()?))
    }

    fn offset(&self, seq: Seq) -> usize {
        seq.0.wrapping_sub(self.first.0) as usize
    }

    pub(crate) fn get(&self, seq: Seq) -> Option<&Held> {
        self.spans.get(self.offset(seq))
    }

    pub(crate) fn get_mut(&mut self, seq: Seq) -> Option<&mut Held> {
        let offset = self.offset(seq);
        self.spans.get_mut(offset)
    }

    /// The places from `seq` on.
    pub(crate) fn next(&self, seq: Seq) -> Seq {
        Seq(seq.0.wrapping_add(1))
    }

    /// Adds a span. There must be room.
    pub(crate) fn push(&mut self, mut span: Held) {
        // Reserved by hand: doubling would take twice the memory that was granted.
        if self.spans.len() == self.spans.capacity() {
            let room = self.capacity.saturating_sub(self.spans.len());
            self.spans.reserve_exact(self.spans.len().clamp(64, room.max(64)));
        }
        let seq = Seq(self.first.0.wrapping_add(self.spans.len() as u32));
        let Self { spans, first, by_id, traces, responses, unlinked, splits, links_unlinked, hasher, .. } = self;
        let at = |seq: Seq| spans.get(seq.0.wrapping_sub(first.0) as usize);
        let hash_of = |seq: &Seq, hash: &dyn Fn(&Held) -> u64| at(*seq).map_or(0, hash);

        let id_hash = |held: &Held| hasher.hash_one((held.trace_id, held.span_id));
        by_id.insert_unique(id_hash(&span), seq, |seq| hash_of(seq, &id_hash));

        let trace_hash = |held: &Held| hasher.hash_one(held.trace_id);
        let same_trace = |other: &Seq| at(*other).is_some_and(|held| held.trace_id == span.trace_id);
        let trace_before = match traces.find_mut(trace_hash(&span), same_trace) {
            Some(newest) => std::mem::replace(newest, seq),
            None => {
                traces.insert_unique(trace_hash(&span), seq, |seq| hash_of(seq, &trace_hash));
                Seq::NONE
            }
        };
        span.trace_before = trace_before;

        if span.response != 0 {
            let response_hash = |held: &Held| hasher.hash_one(held.response);
            let same_response = |other: &Seq| at(*other).is_some_and(|held| held.response == span.response);
            span.response_before = match responses.find_mut(response_hash(&span), same_response) {
                Some(newest) => std::mem::replace(newest, seq),
                None => {
                    responses.insert_unique(response_hash(&span), seq, |seq| hash_of(seq, &response_hash));
                    Seq::NONE
                }
            };
        }
        if *links_unlinked && let Some(key) = unlinked_key(&span) {
            let unlinked_hash = |held: &Held| unlinked_key(held).map_or(0, |key| hasher.hash_one(key));
            let same_key = |other: &Seq| at(*other).is_some_and(|held| unlinked_key(held) == Some(key));
            span.unlinked_before = match unlinked.find_mut(unlinked_hash(&span), same_key) {
                Some(newest) => std::mem::replace(newest, seq),
                None => {
                    unlinked.insert_unique(unlinked_hash(&span), seq, |seq| hash_of(seq, &unlinked_hash));
                    Seq::NONE
                }
            };
        }
        if let Some(split) = span.split() {
            splits.entry((span.scope, split.request)).or_default().push(seq);
        }
        self.spans.push_back(span);
        if let Some(before) = self.get_mut(trace_before) {
            before.trace_after = seq;
        }
    }

    /// Forgets the oldest span.
    pub(crate) fn pop_front(&mut self) {
        let seq = self.first;
        let Self { spans, by_id, traces, responses, unlinked, splits, links_unlinked, hasher, .. } = self;
        let Some(span) = spans.front() else { return };
        let is_it = |other: &Seq| *other == seq;
        let forget = |table: &mut HashTable<Seq>, hash: u64| {
            if let Ok(entry) = table.find_entry(hash, is_it) {
                entry.remove();
            }
        };
        forget(by_id, hasher.hash_one((span.trace_id, span.span_id)));
        // A newer span of the trace would stand in its place.
        if span.trace_after == Seq::NONE {
            forget(traces, hasher.hash_one(span.trace_id));
        }
        if span.response != 0 {
            forget(responses, hasher.hash_one(span.response));
        }
        if *links_unlinked && let Some(key) = unlinked_key(span) {
            forget(unlinked, hasher.hash_one(key));
        }
        if let Some(split) = span.split()
            && let Some(same) = splits.get_mut(&(span.scope, split.request))
        {
            same.retain(|other| *other != seq);
            if same.is_empty() {
                splits.remove(&(span.scope, split.request));
            }
        }
        self.spans.pop_front();
        self.first = self.next(seq);
    }

    /// The spans with the ids of a span.
    pub(crate) fn with_id(&self, trace_id: [u8; 16], span_id: [u8; 8]) -> impl Iterator<Item = Seq> {
        let has_id = move |held: &Held| (held.trace_id, held.span_id) == (trace_id, span_id);
        self.by_id
            .iter_hash(self.hasher.hash_one((trace_id, span_id)))
            .copied()
            .filter(move |seq| self.get(*seq).is_some_and(has_id))
    }

    /// The newest span of a trace.
    pub(crate) fn newest_of_trace(&self, trace_id: [u8; 16]) -> Option<Seq> {
        let in_trace = |seq: &Seq| self.get(*seq).is_some_and(|held| held.trace_id == trace_id);
        self.traces.find(self.hasher.hash_one(trace_id), in_trace).copied()
    }

    /// The spans that stand close to one in its trace, itself left out.
    pub(super) fn trace_neighbours(&self, span: &Held) -> impl Iterator<Item = Seq> {
        let before = self.chain(span.trace_before, |held| held.trace_before);
        before.take(NEIGHBOURS).chain(self.chain(span.trace_after, |held| held.trace_after).take(NEIGHBOURS))
    }

    /// The spans of a trace, the newest first.
    pub(super) fn trace(&self, trace_id: [u8; 16]) -> impl Iterator<Item = Seq> {
        let newest = self.newest_of_trace(trace_id).unwrap_or(Seq::NONE);
        self.chain(newest, |held| held.trace_before)
    }

    /// Spans with the response id of one, the newest first.
    pub(super) fn same_response(&self, span: &Held) -> impl Iterator<Item = Seq> {
        let newest = match span.response {
            0 => Seq::NONE,
            response => {
                let is_same = |seq: &Seq| self.get(*seq).is_some_and(|held| held.response == response);
                self.responses.find(self.hasher.hash_one(response), is_same).copied().unwrap_or(Seq::NONE)
            }
        };
        self.chain(newest, |held| held.response_before).take(NEIGHBOURS)
    }

    /// Spans that may be of the same call as one although nothing links them, the newest first.
    pub(super) fn same_unlinked(&self, span: &Held) -> impl Iterator<Item = Seq> {
        let newest = match unlinked_key(span).filter(|_| self.links_unlinked) {
            None => Seq::NONE,
            Some(key) => {
                let is_same = |seq: &Seq| self.get(*seq).is_some_and(|held| unlinked_key(held) == Some(key));
                self.unlinked.find(self.hasher.hash_one(key), is_same).copied().unwrap_or(Seq::NONE)
            }
        };
        self.chain(newest, |held| held.unlinked_before).take(NEIGHBOURS)
    }

    /// Spans that say the same of the request as one that reports its call with another, itself included.
    pub(super) fn same_split(&self, span: &Held) -> impl Iterator<Item = Seq> {
        let same = span.split().and_then(|split| self.splits.get(&(span.scope, split.request)));
        same.into_iter().flatten().copied().take(NEIGHBOURS)
    }

    /// Follows links until one leads out of the window.
    fn chain(&self, from: Seq, link: impl Fn(&Held) -> Seq) -> impl Iterator<Item = Seq> {
        let mut at = from;
        std::iter::from_fn(move || {
            let held = self.get(at).filter(|_| at != Seq::NONE)?;
            Some(std::mem::replace(&mut at, link(held)))
        })
    }
}

/// What two spans of a call must share if nothing links them: service, and output tokens or failure.
fn unlinked_key(span: &Held) -> Option<(u32, Option<u32>)> {
    if span.has_usage() {
        return Some((span.service, span.usage.output));
    }
    span.error.map(|_| (span.service, None))
}

#[cfg(test)]
mod tests {
    use genai::{SpanFacts, SplitReport};
    use otlp::Text;
    use proptest::prelude::*;

    use super::super::held::{Context, Place};
    use super::*;

    fn held((trace, span, response, is_split): (u8, u8, u8, bool)) -> Held {
        let split = SplitReport { part: genai::ReportPart::Request, request: 7, stream_duration: None };
        let facts = SpanFacts {
            trace_id: [trace; 16],
            span_id: [span; 8],
            response_id: Text::new(u32::from(response), u32::from(response > 0)),
            usage: genai::Usage { output: Some(u32::from(span)), ..genai::Usage::default() },
            split: is_split.then_some(split),
            ..SpanFacts::default()
        };
        let place = Place { request: 0, position: 0 };
        Held::new(b"0123456789", &facts, Context { receive_time: 1, place, series: 3, price: None })
    }

    proptest! {
        // Whatever comes and goes, the indexes hold just the spans of the window, and find every one of them.
        #[test]
        fn indexes_follow_the_window(spans in proptest::collection::vec((1..4_u8, 1..9_u8, 0..5_u8, any::<bool>()), 1..60), size in 1..12_usize) {
            let mut window = Window::new(size * BYTES_A_SPAN, true);
            for span in spans {
                while window.is_full() {
                    window.pop_front();
                }
                window.push(held(span));
                let (first, count) = (window.first, window.spans.len());
                prop_assert_eq!(window.by_id.len(), count);
                for offset in 0..count as u32 {
                    let seq = Seq(first.0 + offset);
                    let held = window.get(seq).unwrap();
                    prop_assert!(window.with_id(held.trace_id, held.span_id).any(|found| found == seq));
                    prop_assert!(window.trace(held.trace_id).any(|found| found == seq));
                    prop_assert!(held.response == 0 || window.same_response(held).any(|found| found == seq));
                    prop_assert!(window.same_unlinked(held).any(|found| found == seq));
                    prop_assert!(held.split().is_none() || window.same_split(held).any(|found| found == seq));
                }
            }
            while window.front().is_some() {
                window.pop_front();
            }
            let tables = [&window.by_id, &window.traces, &window.responses, &window.unlinked];
            prop_assert!(tables.iter().all(|table| table.is_empty()) && window.splits.is_empty());
        }
    }
}
