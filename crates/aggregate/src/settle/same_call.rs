//! Whether two spans report the same call: the tests of reference/counting.md section 3.2, each symmetrical in the order of
//! arrival.

use genai::ReportPart;

use super::held::Held;

/// Clocks of one machine differ by this much between libraries: some cut times to milliseconds.
const SLACK: u64 = 2_000_000;
/// By how much the two reports of one call start apart, if not both tell what was used.
const NEAR: u64 = 250_000_000;
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

/// How well two spans fit: the smaller, the better.
pub(super) type Misfit = (u8, u64);

/// What makes two spans one call, if anything does, and how well they fit. `links_unlinked` admits what nothing links.
pub(super) fn relation(a: &Held, b: &Held, links_unlinked: bool) -> Option<(Relation, Misfit)> {
    // All that links spans but the halves of a report, which may lie a little apart, happens at the same time.
    if !overlap(a, b) {
        return None;
    }
    let same_trace = a.trace_id == b.trace_id;
    let same_service = a.service == b.service;
    if a.response != 0 && a.response == b.response && (same_trace || same_service) && !contradict(a, b) {
        return Some((Relation::ResponseId, (0, 0)));
    }
    // Containment says nothing of a span without extent.
    if a.split().is_some() && b.split().is_some() && a.scope == b.scope {
        return split_report(a, b).filter(|_| same_service).map(|misfit| (Relation::SplitReport, misfit));
    }
    if is_stream_end(a) || is_stream_end(b) {
        return None;
    }
    // A gateway is a service of its own, and its spans may stand below those of its client.
    if same_trace && b.parent_span_id == a.span_id {
        return wrapper(a, b).map(|misfit| (Relation::Wrapper, misfit));
    }
    if same_trace && a.parent_span_id == b.span_id {
        return wrapper(b, a).map(|misfit| (Relation::Wrapper, misfit));
    }
    if !same_service {
        return None;
    }
    if same_trace {
        return two_libraries(a, b).map(|misfit| (Relation::SameTrace, misfit));
    }
    if links_unlinked { unlinked(a, b).map(|misfit| (Relation::Unlinked, misfit)) } else { None }
}

/// Whether two spans happen at the same time, or nearly so.
fn overlap(a: &Held, b: &Held) -> bool {
    let ((a_start, a_end), (b_start, b_end)) = (a.extent(), b.extent());
    let slack = SPLIT_SLACK.unsigned_abs();
    // A request that answers as a stream may have ended a while before the stream begins.
    let slack = if a.split().is_some() && b.split().is_some() { u64::MAX } else { slack };
    a_start <= b_end.saturating_add(slack) && b_start <= a_end.saturating_add(slack)
}

/// Whether one function of a library tells two different calls: some servers give an id more than once.
fn contradict(a: &Held, b: &Held) -> bool {
    (a.scope, a.name) == (b.scope, b.name) && usages_differ(a, b)
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
fn wrapper(p: &Held, c: &Held) -> Option<Misfit> {
    let begins_within = c.start.saturating_add(SLACK) >= p.start && c.start <= p.end.saturating_add(SLACK);
    // Who looks at requests from below may not know an embedding from a completion.
    let tell_the_same = p.scope != c.scope && p.has_usage() && c.has_usage() && !usages_differ(p, c);
    let may_be_same_model = p.families.agree(c.families) || failed_alike(p, c);
    if (p.is_embeddings() != c.is_embeddings() && !tell_the_same) || !begins_within || !may_be_same_model {
        return None;
    }
    let ids_differ = p.response != 0 && c.response != 0 && p.response != c.response;
    // A call that another call led to, such as a judge's: an id that a library invents (LiteLLM) comes with the usage of the call.
    if ids_differ && all_usage_differs(p, c) {
        return None;
    }
    // One library under itself is such a call too, unless both say the same.
    if (p.scope, p.name) == (c.scope, c.name) && (ids_differ || usages_differ(p, c)) {
        return None;
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

/// E: two libraries in one trace, neither of which is the other's parent. What stands between them, [`super::ancestry`] tells.
fn two_libraries(x: &Held, y: &Held) -> Option<Misfit> {
    let fits = x.scope != y.scope
        && ((x.has_usage() && y.has_usage()) || x.start.abs_diff(y.start) <= NEAR)
        && is_contained(x, y)
        && x.families.agree(y.families)
        && x.is_embeddings() == y.is_embeddings()
        && x.error.is_some() == y.error.is_some()
        && !usages_differ(x, y);
    fits.then(|| (0, distance(x, y)))
}

/// F: two libraries in traces of their own, of which the inner one has lost the context.
fn unlinked(x: &Held, y: &Held) -> Option<Misfit> {
    let inner_is_root = |inner: &Held, outer: &Held| contains(outer, inner) && inner.parent_span_id == [0; 8];
    if !(inner_is_root(x, y) || inner_is_root(y, x)) {
        return None;
    }
    if (x.scope, x.name) == (y.scope, y.name) || !x.families.agree(y.families) || x.is_embeddings() != y.is_embeddings()
    {
        return None;
    }
    let fits = match (x.has_usage(), y.has_usage()) {
        (true, true) => x.usage().output == y.usage().output && inputs_agree(x, y),
        (false, false) => x.error.is_some() && y.error.is_some() && x.scope != y.scope,
        _ => false,
    };
    fits.then(|| (0, distance(x, y)))
}

/// Whether both tell their usage and not the same; one of them may not know of the cached part.
fn usages_differ(a: &Held, b: &Held) -> bool {
    a.has_usage() && b.has_usage() && (a.usage().output != b.usage().output || !inputs_agree(a, b))
}

/// Whether a call failed as the wrapper around it did, before any model answered: then one may name a deployment and the other its model.
fn failed_alike(p: &Held, c: &Held) -> bool {
    let failed = |held: &Held| held.error.is_some() && !held.families.tell_response();
    let extent = |held: &Held| held.end.saturating_sub(held.start);
    let fills = extent(p).abs_diff(extent(c)) <= extent(p) / 10;
    p.scope != c.scope && failed(p) && failed(c) && fills
}

/// Whether both tell input and output, and neither agrees.
fn all_usage_differs(a: &Held, b: &Held) -> bool {
    a.usage().output.zip(b.usage().output).is_some_and(|(a, b)| a != b) && !inputs_agree(a, b)
}

/// Whether inputs are equal, or differ by exactly what one of them counts as cached. No call is without input: zero is what
/// OpenLLMetry's LangChain instrumentation writes of a stream that it does not understand, and tells nothing.
fn inputs_agree(a: &Held, b: &Held) -> bool {
    let cached =
        |held: &Held| held.usage().cache_read.unwrap_or(0).saturating_add(held.usage().cache_write.unwrap_or(0));
    let (x, y) = (a.usage().input.unwrap_or(0), b.usage().input.unwrap_or(0));
    x == 0 || y == 0 || x == y || x.abs_diff(y) == cached(a) || x.abs_diff(y) == cached(b)
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
