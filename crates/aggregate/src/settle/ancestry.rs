//! What stands between two calls of a trace.
//!
//! A call below a tool or an agent that a call above it led to is a call of its own, however much the two are alike. Where only
//! structure stands between them, they may be a wrapper and what it wraps.

use std::collections::HashMap;

use rapidhash::fast::RandomState;

use super::held::{Held, Seq};
use super::lineage::{Between, Lineage, MAX_SPANS, SpanId};
use super::window::Window;

/// How far up is looked.
const MAX_DEPTH: usize = 64;

/// The parents of the spans of a trace. Kept from call to call, as the calls of a trace are due one after the other.
#[derive(Debug, Default)]
pub(super) struct Ancestry {
    of: Option<Known>,
    parents: HashMap<SpanId, Parent, RandomState>,
}

/// Of which spans the parents are known: of a trace, from the oldest spans that are remembered to its newest ones.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    trace_id: [u8; 16],
    calls: (Option<Seq>, Option<Seq>),
    others: (Seq, Option<Seq>),
}

#[derive(Debug, Clone, Copy)]
struct Parent {
    id: SpanId,
    /// What the span below it tells.
    below: Between,
}

impl Ancestry {
    /// Whether one of two spans of a trace stands above the other, and a tool or an agent between them.
    pub(super) fn are_separated(&mut self, window: &Window, lineage: &Lineage, a: &Held, b: &Held) -> bool {
        self.learn(window, lineage, a.trace_id);
        [self.between(a, b), self.between(b, a)].contains(&Some(Between::Separates))
    }

    /// Whether one of two spans of a trace stands above the other, and nothing but structure between them.
    pub(super) fn wraps(&mut self, window: &Window, lineage: &Lineage, outer: &Held, inner: &Held) -> bool {
        self.learn(window, lineage, outer.trace_id);
        self.between(inner, outer) == Some(Between::Structure)
    }

    fn learn(&mut self, window: &Window, lineage: &Lineage, trace_id: [u8; 16]) {
        let calls = (window.front().map(|(first, _)| first), window.newest_of_trace(trace_id));
        let known = Known { trace_id, calls, others: lineage.extent(trace_id) };
        if self.of.as_ref() == Some(&known) {
            return;
        }
        self.of = Some(known);
        self.parents.clear();
        for (_, node) in lineage.trace(trace_id).take(MAX_SPANS) {
            let parent = Parent { id: node.parent_span_id, below: node.between };
            self.parents.entry(node.span_id).or_insert(parent);
        }
        for call in window.trace(trace_id).take(MAX_SPANS).filter_map(|seq| window.get(seq)) {
            let parent = Parent { id: call.parent_span_id, below: Between::Structure };
            self.parents.entry(call.span_id).or_insert(parent);
        }
    }

    /// What stands between two spans tells, if the outer one stands above the inner one.
    fn between(&self, inner: &Held, outer: &Held) -> Option<Between> {
        let mut between = Between::Structure;
        let mut id = inner.parent_span_id;
        for _ in 0..MAX_DEPTH {
            if id == outer.span_id {
                return Some(between);
            }
            let parent = self.parents.get(&id)?;
            between = match (between, parent.below) {
                (Between::Separates, _) | (_, Between::Structure) => between,
                (_, below) => below,
            };
            id = parent.id;
        }
        None
    }
}
