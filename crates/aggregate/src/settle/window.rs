//! The call spans of the last while in the order of arrival, found by what links them.
//!
//! A queue: new spans come in behind, those that are counted and no longer of use go out in front. Everything that is due
//! is due in this order, as receive time never goes back.

use std::hash::{BuildHasher, Hash};

use genai::SpanFacts;
use rapidhash::fast::RandomState;

use super::held::{Context, Held, Seq};
use crate::fetch::fetch;
use crate::recent::{Live, Recent};
use crate::ring::Ring;

/// How many neighbours are looked at on each side: in a trace of very many calls, the spans of one call still stand close
/// together, and a peer must not be able to make each look cost more than the one before.
pub(super) const NEIGHBOURS: usize = 256;

/// Spans of a trace that are looked through one by one. In a larger trace, spans are found by their ids: most traces are small, and
/// then an index by id costs more than all the rest.
const SMALL_TRACE: u8 = 16;

/// Spans that are forgotten at once.
const BATCH: usize = 64;

/// Spans for which indexes are made as large as they can get before there are any.
const MOST_PREPARED: usize = 1 << 20;

/// Memory of one span in the window: itself and its places in the indexes.
const BYTES_A_SPAN: usize = size_of::<Held>() + 2 * Recent::BYTES_A_PLACE + 4;

/// The window.
#[derive(Debug)]
pub(crate) struct Window {
    spans: Ring<Held>,
    /// The place of the first of them.
    first: Seq,
    /// How much memory may be used, in bytes.
    memory: usize,
    /// Memory behind the spans.
    heap: usize,
    /// The newest span of each trace, of each response id, of each split report, of each key of what may be the same without a link, and
    /// with each ids in a large trace. Older ones follow by their links.
    traces: Recent,
    responses: Recent,
    splits: Recent,
    unlinked: Recent,
    by_id: Recent,
    links_unlinked: bool,
    /// When the newest call ended that is forgotten.
    forgotten: u64,
    hasher: RandomState,
}

/// What a span is to those that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    /// Another one.
    New,
    /// Another one, although it has the ids of one.
    SameIds,
    /// The same as this one.
    Repeats(Seq),
}

impl Window {
    /// A window of so many bytes at the most. `links_unlinked` says whether spans are to be found that nothing links.
    pub(crate) fn new(memory: usize, links_unlinked: bool) -> Self {
        // Every span that comes may be looked up in these two: they are made as large as they can get, as growing them is a pause.
        let spans = (memory / BYTES_A_SPAN).min(MOST_PREPARED);
        Self {
            spans: Ring::new(),
            first: Seq(0),
            // Fewer than half of all places, so that places can be compared although they wrap around.
            memory: memory.min(BYTES_A_SPAN << 30),
            heap: 0,
            traces: Recent::new(spans),
            responses: Recent::new(spans),
            splits: Recent::new(0),
            unlinked: Recent::new(0),
            by_id: Recent::new(0),
            links_unlinked,
            forgotten: 0,
            hasher: RandomState::default(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        !self.spans.is_empty() && (self.spans.len() + 1) * BYTES_A_SPAN + self.heap > self.memory
    }

    /// When the newest call ended that is forgotten, nanoseconds since the Unix epoch.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Notes that the memory behind a span was given back.
    pub(super) fn released(&mut self, heap: u32) {
        self.heap -= heap as usize;
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

    /// The spans in the order of arrival.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Held> {
        self.spans.iter()
    }

    /// Takes a span as it was. What links it to those that were taken before is found again; of what came before
    /// these, only the size of its trace matters, which it tells.
    pub(super) fn restore(&mut self, held: Held) {
        let seq = self.end();
        let trace_before = self.newest_of_trace(held.trace_id);
        self.spans.push_back(held);
        self.link(seq, trace_before);
    }

    /// Notes when the newest call ended that was forgotten.
    pub(super) fn restore_forgotten(&mut self, end: u64) {
        self.forgotten = end;
    }

    fn live(&self) -> Live {
        Live { first: self.first.0, len: self.spans.len() as u32 }
    }

    /// The place behind the newest span.
    fn end(&self) -> Seq {
        Seq(self.first.0.wrapping_add(self.spans.len() as u32))
    }

    /// Adds a span, unless it repeats one that is known. There must be room.
    pub(crate) fn offer(&mut self, body: &[u8], facts: &SpanFacts, context: Context) -> Offered {
        let seq = self.end();
        let trace_before = self.newest_of_trace(facts.trace_id);
        // Written where it stays: a copy of what was just written in parts costs more than all of this.
        self.spans.push_back(Held::BLANK);
        if let Some(span) = self.spans.back_mut() {
            span.fill(body, facts, context);
        }
        let offered = trace_before.map_or(Offered::New, |newest| self.compare(seq, newest));
        if let Offered::Repeats(_) = offered {
            self.spans.drop_back();
        } else {
            self.link(seq, trace_before);
        }
        offered
    }

    /// Compares a span with those that have its ids. `newest` is of its trace.
    fn compare(&self, seq: Seq, newest: Seq) -> Offered {
        let Some(span) = self.get(seq) else { return Offered::New };
        let mut offered = Offered::New;
        for known in self.with_id(newest, span.trace_id, span.span_id) {
            if self.get(known).is_some_and(|known| known.repeats(span)) {
                return Offered::Repeats(known);
            }
            offered = Offered::SameIds;
        }
        offered
    }

    /// Links the newest span with its neighbours.
    fn link(&mut self, seq: Seq, trace_before: Option<Seq>) {
        let live = self.live();
        let Self { spans, traces, responses, splits, unlinked, hasher, .. } = self;
        let at = |seq: Seq| spans.get(seq.0.wrapping_sub(live.first) as usize);
        let Some(span) = at(seq) else { return };
        newest(traces, live, at, hasher, span, seq, trace_key);
        let trace_before = trace_before.unwrap_or(Seq::NONE);
        let trace_size = at(trace_before).map_or(span.trace_size, |before| before.trace_size.saturating_add(1));
        let response_before = newest(responses, live, at, hasher, span, seq, response_key);
        let has_rare = span.rare.is_some();
        let split_before = if has_rare { newest(splits, live, at, hasher, span, seq, split_key) } else { Seq::NONE };
        let links_unlinked = self.links_unlinked;
        let unlinked_before =
            if links_unlinked { newest(unlinked, live, at, hasher, span, seq, unlinked_key) } else { Seq::NONE };
        self.heap += span.heap() as usize;
        if let Some(span) = self.spans.back_mut() {
            span.trace_size = trace_size;
            span.trace_before = trace_before;
            span.response_before = response_before;
            span.split_before = split_before;
            span.unlinked_before = unlinked_before;
        }
        if let Some(before) = self.get_mut(response_before) {
            before.response_after = seq;
        }
        if let Some(before) = self.get_mut(trace_before) {
            before.trace_after = seq;
        }
        if trace_size > SMALL_TRACE {
            self.index_by_id(seq);
        }
    }

    /// Makes a span of a large trace, and the spans of its trace before it, known by their ids.
    fn index_by_id(&mut self, newest: Seq) {
        let is_unknown = |seq: &Seq| self.get(*seq).is_some_and(|held| !held.is_indexed);
        let mut next = self.chain(newest, |held| held.trace_before).take_while(is_unknown).last();
        // Parents, if they came first, before their children.
        while let Some(seq) = next {
            self.index_one(seq);
            next = self.get(seq).map(|held| held.trace_after).filter(|after| *after != Seq::NONE);
        }
    }

    fn index_one(&mut self, seq: Seq) {
        let live = self.live();
        let Self { spans, by_id, hasher, .. } = self;
        let at = |seq: Seq| spans.get(seq.0.wrapping_sub(live.first) as usize);
        let Some(span) = at(seq) else { return };
        let id_before = newest(by_id, live, at, hasher, span, seq, |held| Some(id_key(held.trace_id, held.span_id)));
        let (trace_id, parent_span_id) = (span.trace_id, span.parent_span_id);
        let parent = if parent_span_id == [0; 8] { None } else { self.by_id(trace_id, parent_span_id) };
        let parent = parent.and_then(|parent| self.get_mut(parent));
        let sibling_before = parent.map(|parent| std::mem::replace(&mut parent.newest_child, seq));
        if let Some(span) = self.get_mut(seq) {
            span.is_indexed = true;
            span.id_before = id_before;
            span.sibling_before = sibling_before.unwrap_or(Seq::NONE);
        }
    }

    /// How many spans are forgotten at once, if there is no room.
    fn batch(&self) -> usize {
        (self.memory / BYTES_A_SPAN / 64).clamp(1, BATCH)
    }

    /// Whether a span is among the oldest, which are forgotten next.
    pub(crate) fn is_among_oldest(&self, seq: Seq) -> bool {
        self.offset(seq) < self.batch()
    }

    /// Forgets the oldest spans.
    pub(crate) fn forget_oldest(&mut self) {
        let oldest = self.batch().min(self.spans.len());
        (0..oldest).for_each(|_| self.pop_front());
    }

    /// Fetches the places in the indexes where a span is going to be looked for.
    pub(crate) fn approach(&self, trace_id: [u8; 16], response: u64) {
        self.traces.approach(self.hasher.hash_one(u128::from_ne_bytes(trace_id)));
        self.responses.approach(self.hasher.hash_one(response));
    }

    /// Fetches a span that is counted soon, if it is there.
    #[inline]
    pub(super) fn fetch(&self, seq: Seq) {
        let Some(held) = self.get(seq) else { return };
        // Each line that it takes.
        fetch(&held.trace_id);
        fetch(&held.span_id);
        fetch(&held.state);
    }

    /// Forgets the oldest span. The indexes forget it by themselves.
    pub(crate) fn pop_front(&mut self) {
        let next = self.next(self.first);
        let Some(span) = self.spans.front() else { return };
        self.heap -= span.heap() as usize;
        self.forgotten = self.forgotten.max(span.end);
        self.spans.leave_front();
        self.first = next;
    }

    /// The spans with these ids, the newest first. The newest span of the trace must be known.
    fn with_id(&self, newest: Seq, trace_id: [u8; 16], span_id: [u8; 8]) -> impl Iterator<Item = Seq> {
        let is_indexed = self.get(newest).is_some_and(|held| held.is_indexed);
        let from = if is_indexed { self.by_id(trace_id, span_id).unwrap_or(Seq::NONE) } else { newest };
        let older = move |held: &Held| if is_indexed { held.id_before } else { held.trace_before };
        let chain = self.chain(from, older).take(NEIGHBOURS);
        chain.filter(move |seq| self.get(*seq).is_some_and(|held| held.span_id == span_id))
    }

    /// The newest span that an index has for a key.
    fn find(&self, index: &Recent, key: &impl Hash, has_key: impl Fn(&Held) -> bool) -> Option<Seq> {
        let has_key = |place: u32| self.get(Seq(place)).is_some_and(&has_key);
        index.find(self.hasher.hash_one(key), self.live(), has_key).map(Seq)
    }

    /// The newest span with these ids, in a large trace.
    fn by_id(&self, trace_id: [u8; 16], span_id: [u8; 8]) -> Option<Seq> {
        let has_id = |held: &Held| (held.trace_id, held.span_id) == (trace_id, span_id);
        self.find(&self.by_id, &id_key(trace_id, span_id), has_id)
    }

    /// The newest span of a trace.
    pub(crate) fn newest_of_trace(&self, trace_id: [u8; 16]) -> Option<Seq> {
        self.find(&self.traces, &u128::from_ne_bytes(trace_id), |held| held.trace_id == trace_id)
    }

    /// Goes through the spans that stand close to one in its trace, itself left out, as long as `each` wants more; tells whether it
    /// did to the end.
    #[inline]
    pub(super) fn trace_neighbours(&self, span: &Held, mut each: impl FnMut(Seq, &Held) -> bool) -> bool {
        self.follow(span.trace_before, |held| held.trace_before, &mut each)
            && self.follow(span.trace_after, |held| held.trace_after, &mut each)
    }

    /// The parents and children of a span of a large trace, which may stand far from it: the parents, and the children that came
    /// after it, the newest first.
    pub(super) fn distant_relatives(&self, span: &Held) -> impl Iterator<Item = Seq> {
        let has_parent = span.is_indexed && span.parent_span_id != [0; 8];
        let parent = if has_parent { self.by_id(span.trace_id, span.parent_span_id) } else { None };
        let parents = self.chain(parent.unwrap_or(Seq::NONE), |held| held.id_before).take(NEIGHBOURS);
        parents.chain(self.chain(span.newest_child, |held| held.sibling_before).take(NEIGHBOURS))
    }

    /// The spans of a trace, the newest first.
    pub(super) fn trace(&self, trace_id: [u8; 16]) -> impl Iterator<Item = Seq> {
        let newest = self.newest_of_trace(trace_id).unwrap_or(Seq::NONE);
        self.chain(newest, |held| held.trace_before)
    }

    /// The same with the other spans that have the response id of one.
    #[inline]
    pub(super) fn same_response(&self, span: &Held, mut each: impl FnMut(Seq, &Held) -> bool) -> bool {
        self.follow(span.response_before, |held| held.response_before, &mut each)
            && self.follow(span.response_after, |held| held.response_after, &mut each)
    }

    /// Follows links to so many spans at most, until one leads out of the window or `each` wants no more; tells whether it did to the end.
    #[inline]
    fn follow(&self, from: Seq, link: impl Fn(&Held) -> Seq, mut each: impl FnMut(Seq, &Held) -> bool) -> bool {
        let mut at = from;
        for _ in 0..NEIGHBOURS {
            if at == Seq::NONE {
                return true;
            }
            let Some(held) = self.get(at) else { return true };
            if !each(at, held) {
                return false;
            }
            at = link(held);
        }
        true
    }

    /// Spans that may be of the same call as one although nothing links them, the newest first.
    pub(super) fn same_unlinked(&self, span: &Held) -> impl Iterator<Item = Seq> {
        let newest = match unlinked_key(span).filter(|_| self.links_unlinked) {
            None => Seq::NONE,
            Some(key) => self.find(&self.unlinked, &key, |held| unlinked_key(held) == Some(key)).unwrap_or(Seq::NONE),
        };
        self.chain(newest, |held| held.unlinked_before).take(NEIGHBOURS)
    }

    /// Spans that say the same of the request as one that reports its call with another, itself included, the newest first.
    pub(super) fn same_split(&self, span: &Held) -> impl Iterator<Item = Seq> {
        let newest = match split_key(span) {
            None => Seq::NONE,
            Some(key) => self.find(&self.splits, &key, |held| split_key(held) == Some(key)).unwrap_or(Seq::NONE),
        };
        self.chain(newest, |held| held.split_before).take(NEIGHBOURS)
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

/// Makes a span the newest of its key in an index, and gives the one that was it before.
fn newest<'a, K: Hash + Eq>(
    index: &mut Recent,
    live: Live,
    at: impl Fn(Seq) -> Option<&'a Held> + Copy,
    hasher: &RandomState,
    span: &Held,
    seq: Seq,
    key_of: impl Fn(&Held) -> Option<K>,
) -> Seq {
    let Some(key) = key_of(span) else { return Seq::NONE };
    let hash = hasher.hash_one(&key);
    let key_at = |place: u32| at(Seq(place)).and_then(&key_of);
    let has_key = |place: u32| key_at(place).as_ref() == Some(&key);
    let hash_of = |place: u32| key_at(place).map_or(hash, |key| hasher.hash_one(key));
    index.put(hash, seq.0, live, has_key, hash_of).map_or(Seq::NONE, Seq)
}

/// The ids of a span.
fn id_key(trace_id: [u8; 16], span_id: [u8; 8]) -> (u128, u64) {
    (u128::from_ne_bytes(trace_id), u64::from_ne_bytes(span_id))
}

/// The trace of a span.
fn trace_key(span: &Held) -> Option<u128> {
    Some(u128::from_ne_bytes(span.trace_id))
}

/// The response id of a span.
fn response_key(span: &Held) -> Option<u64> {
    (span.response != 0).then_some(span.response)
}

/// What the two halves of a report share.
fn split_key(span: &Held) -> Option<(u32, u64)> {
    span.split().map(|split| (span.scope, split.request))
}

/// What two spans of a call must share if nothing links them: service, and output tokens or failure.
fn unlinked_key(span: &Held) -> Option<(u32, Option<u32>)> {
    if span.has_usage() {
        return Some((span.service, span.usage().output));
    }
    span.error.map(|_| (span.service, None))
}

#[cfg(test)]
mod tests {
    use genai::{SpanFacts, SplitReport};
    use proptest::prelude::*;

    use super::super::held::Place;
    use super::*;
    use crate::contents::SpanContent;
    use crate::family::Families;

    fn offer(window: &mut Window, (trace, span, response, is_split): (u8, u8, u8, bool)) {
        let split = SplitReport { part: genai::ReportPart::Request, request: 7, stream_duration: None };
        let facts = SpanFacts {
            trace_id: [trace; 16],
            span_id: [span; 8],
            compact_usage: genai::Usage { output: Some(u32::from(span)), ..genai::Usage::default() }.into(),
            split: is_split.then_some(split),
            ..SpanFacts::default()
        };
        let place = Place { request: 0, position: 0 };
        let families = Families::default();
        let context = Context {
            receive_time: 1,
            place,
            series: 3,
            price: None,
            families,
            content: SpanContent { response: u64::from(response), ..SpanContent::default() },
            error: None,
        };
        window.offer(b"", &facts, context);
    }

    proptest! {
        // Whatever comes and goes, the indexes find every span of the window.
        #[test]
        fn indexes_follow_the_window(spans in proptest::collection::vec((1..4_u8, 1..30_u8, 0..5_u8, any::<bool>()), 1..150), size in 1..60_usize) {
            let mut window = Window::new(size * (BYTES_A_SPAN + 300), true);
            for span in spans {
                while window.is_full() {
                    window.pop_front();
                }
                offer(&mut window, span);
                let (first, count) = (window.first, window.spans.len());
                for offset in 0..count as u32 {
                    let seq = Seq(first.0 + offset);
                    let held = window.get(seq).unwrap();
                    let newest = window.newest_of_trace(held.trace_id).unwrap();
                    prop_assert!(window.with_id(newest, held.trace_id, held.span_id).any(|found| found == seq));
                    prop_assert!(window.trace(held.trace_id).any(|found| found == seq));
                    let others = |other: &Held| held.response != 0 && other.response == held.response;
                    let others = window.spans.iter().filter(|other| others(other)).count().saturating_sub(1);
                    let mut found = 0;
                    window.same_response(held, |_, _| {
                        found += 1;
                        true
                    });
                    prop_assert_eq!(found, others);
                    prop_assert!(window.same_unlinked(held).any(|found| found == seq));
                    prop_assert!(held.split().is_none() || window.same_split(held).any(|found| found == seq));
                }
            }
            while window.front().is_some() {
                window.pop_front();
            }
            prop_assert_eq!(window.heap, 0);
        }
    }
}
