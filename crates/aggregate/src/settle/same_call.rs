//! Whether two spans report the same call: the tests of reference/counting.md section 3.2, each symmetrical in the order of
//! arrival.

use genai::ReportPart;

use super::held::Held;
use crate::family::Families;

/// Clocks of one machine differ by this much between libraries: some cut times to milliseconds.
const SLACK: u64 = 2_000_000;
/// By how much the end of a stream may seem to lie before its request's.
const SPLIT_SLACK: i64 = 5_000_000;

/// What makes two spans one call, the surer first. Names stand on `spanmill.spans` as reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Relation {
    /// The provider's id of the answer.
    ResponseId,
    /// The two halves of one report.
    SplitReport,
    /// A wrapper and what it wraps: parent and child.
    Wrapper,
    /// Two libraries that report into one trace.
    SameTrace,
    /// Two libraries that report into traces of their own.
    Unlinked,
}

impl Relation {
    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ResponseId => "response_id",
            Self::SplitReport => "split_report",
            Self::Wrapper => "wrapper",
            Self::SameTrace => "same_trace",
            Self::Unlinked => "unlinked",
        }
    }
}

/// A held span and the families of its models.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) held: &'a Held,
    pub(super) families: Families,
}

/// How well two spans fit: the smaller, the better.
pub(super) type Misfit = (u8, u64);

/// What makes two spans one call, if anything does, and how well they fit. `links_unlinked` admits what nothing links.
pub(super) fn relation(a: View<'_>, b: View<'_>, links_unlinked: bool) -> Option<(Relation, Misfit)> {
    if a.held.service != b.held.service {
        return None;
    }
    if a.held.response != 0 && a.held.response == b.held.response {
        return Some((Relation::ResponseId, (0, 0)));
    }
    // Containment says nothing of a span without extent.
    if a.held.split().is_some() && b.held.split().is_some() && a.held.scope == b.held.scope {
        return split_report(a.held, b.held).map(|misfit| (Relation::SplitReport, misfit));
    }
    if is_stream_end(a.held) || is_stream_end(b.held) {
        return None;
    }
    let same_trace = a.held.trace_id == b.held.trace_id;
    if same_trace && b.held.parent_span_id == a.held.span_id {
        return wrapper(a, b).map(|misfit| (Relation::Wrapper, misfit));
    }
    if same_trace && a.held.parent_span_id == b.held.span_id {
        return wrapper(b, a).map(|misfit| (Relation::Wrapper, misfit));
    }
    if same_trace {
        return two_libraries(a, b).map(|misfit| (Relation::SameTrace, misfit));
    }
    if links_unlinked { unlinked(a, b).map(|misfit| (Relation::Unlinked, misfit)) } else { None }
}

fn is_stream_end(held: &Held) -> bool {
    held.split().is_some_and(|split| split.part == ReportPart::StreamEnd)
}

/// B: the span of a request and the one that tells how its stream ended.
fn split_report(a: &Held, b: &Held) -> Option<Misfit> {
    let (request, end) = match (a.split()?.part, b.split()?.part) {
        (ReportPart::Request, ReportPart::StreamEnd) => (a, b),
        (ReportPart::StreamEnd, ReportPart::Request) => (b, a),
        _ => return None,
    };
    if request.split()?.request != end.split()?.request {
        return None;
    }
    if request.has_usage() || request.error.is_some() || request.response != 0 {
        return None;
    }
    let began = end.start.saturating_sub(end.split()?.stream_duration.unwrap_or(0));
    let gap = i128::from(began) - i128::from(request.end);
    (gap >= i128::from(-SPLIT_SLACK)).then(|| (0, u64::try_from(gap.unsigned_abs()).unwrap_or(u64::MAX)))
}

/// D: a wrapper and what it wraps. The child must begin within its parent; it may end after it.
fn wrapper(parent: View<'_>, child: View<'_>) -> Option<Misfit> {
    let (p, c) = (parent.held, child.held);
    let begins_within = c.start.saturating_add(SLACK) >= p.start && c.start <= p.end.saturating_add(SLACK);
    if p.is_embeddings != c.is_embeddings || !begins_within || !parent.families.agree(child.families) {
        return None;
    }
    // One library under itself: a call that another call led to, unless they say the same.
    if (p.scope, p.name) == (c.scope, c.name) {
        let ids_differ = p.response != 0 && c.response != 0 && p.response != c.response;
        if ids_differ || usages_differ(p, c) {
            return None;
        }
    }
    // Of several children the one that went as the wrapper did, and of those the last: earlier ones were attempts.
    let misfit = match (p.has_usage() && c.has_usage(), usages_differ(p, c)) {
        (true, false) => 0,
        (false, _) if p.error.is_some() == c.error.is_some() => 1,
        (false, _) => 2,
        (true, true) => 3,
    };
    Some((misfit, p.end.saturating_add(SLACK).saturating_sub(c.start)))
}

/// E: two libraries in one trace, neither of which is the other's parent.
fn two_libraries(a: View<'_>, b: View<'_>) -> Option<Misfit> {
    let (x, y) = (a.held, b.held);
    let fits = x.scope != y.scope
        && is_contained(x, y)
        && a.families.agree(b.families)
        && x.is_embeddings == y.is_embeddings
        && x.error.is_some() == y.error.is_some()
        && !usages_differ(x, y);
    fits.then(|| (0, distance(x, y)))
}

/// F: two libraries in traces of their own, of which the inner one has lost the context.
fn unlinked(a: View<'_>, b: View<'_>) -> Option<Misfit> {
    let (x, y) = (a.held, b.held);
    let inner_is_root = |inner: &Held, outer: &Held| contains(outer, inner) && inner.parent_span_id == [0; 8];
    if !(inner_is_root(x, y) || inner_is_root(y, x)) {
        return None;
    }
    if (x.scope, x.name) == (y.scope, y.name) || !a.families.agree(b.families) || x.is_embeddings != y.is_embeddings {
        return None;
    }
    let fits = match (x.has_usage(), y.has_usage()) {
        (true, true) => x.usage.output == y.usage.output && inputs_agree(x, y),
        (false, false) => x.error.is_some() && y.error.is_some() && x.scope != y.scope,
        _ => false,
    };
    fits.then(|| (0, distance(x, y)))
}

/// Whether both tell their usage and not the same.
fn usages_differ(a: &Held, b: &Held) -> bool {
    a.has_usage() && b.has_usage() && (a.usage.input, a.usage.output) != (b.usage.input, b.usage.output)
}

/// Whether inputs are equal, or differ by exactly what one of them counts as cached.
fn inputs_agree(a: &Held, b: &Held) -> bool {
    let cached = |held: &Held| held.usage.cache_read.unwrap_or(0).saturating_add(held.usage.cache_write.unwrap_or(0));
    let (x, y) = (a.usage.input.unwrap_or(0), b.usage.input.unwrap_or(0));
    x == y || x.abs_diff(y) == cached(a) || x.abs_diff(y) == cached(b)
}

/// Whether the shorter of two spans lies within the longer one.
fn is_contained(a: &Held, b: &Held) -> bool {
    contains(a, b) || contains(b, a)
}

fn contains(outer: &Held, inner: &Held) -> bool {
    inner.end.saturating_sub(inner.start) <= outer.end.saturating_sub(outer.start)
        && inner.start.saturating_add(SLACK) >= outer.start
        && inner.end <= outer.end.saturating_add(SLACK)
}

/// How far two spans lie apart at both ends.
fn distance(a: &Held, b: &Held) -> u64 {
    a.start.abs_diff(b.start).saturating_add(a.end.abs_diff(b.end))
}
