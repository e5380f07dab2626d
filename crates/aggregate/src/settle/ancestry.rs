//! What stands between two calls of a trace.
//!
//! A call below a tool or an agent that a call above it led to is a call of its own, however much the two are alike.

use std::collections::HashMap;

use rapidhash::fast::RandomState;

use super::held::{Held, Seq};
use super::lineage::{Lineage, MAX_SPANS, SpanId};
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
    /// Whether the span below it separates: see [`super::Node::separates`].
    is_of_separating: bool,
}

impl Ancestry {
    /// Whether one of two spans of a trace stands above the other, and a tool or an agent between them.
    pub(super) fn are_separated(&mut self, window: &Window, lineage: &Lineage, a: &Held, b: &Held) -> bool {
        self.learn(window, lineage, a.trace_id);
        self.is_separated(a, b) || self.is_separated(b, a)
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
            let parent = Parent { id: node.parent_span_id, is_of_separating: node.separates };
            self.parents.entry(node.span_id).or_insert(parent);
        }
        for call in window.trace(trace_id).take(MAX_SPANS).filter_map(|seq| window.get(seq)) {
            let parent = Parent { id: call.parent_span_id, is_of_separating: false };
            self.parents.entry(call.span_id).or_insert(parent);
        }
    }

    fn is_separated(&self, inner: &Held, outer: &Held) -> bool {
        let mut is_separated = false;
        let mut id = inner.parent_span_id;
        for _ in 0..MAX_DEPTH {
            if id == outer.span_id {
                return is_separated;
            }
            let Some(parent) = self.parents.get(&id) else { return false };
            is_separated |= parent.is_of_separating;
            id = parent.id;
        }
        false
    }
}
