//! What the spans of one call report together (reference/counting.md section 3.4).

use genai::{ErrorClass, Money, ReportPart, Usage};

use super::group::Member;
use super::held::{Held, Seq};
use super::window::Window;

/// A call, as its spans tell it together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Merged {
    /// The span under which it is counted.
    pub(crate) counted: Seq,
    /// Tokens, if any of its spans reported them.
    pub(crate) usage: Option<Usage>,
    /// Its failure, and the span that tells most of it.
    pub(crate) error: Option<(ErrorClass, Seq)>,
    /// Nanoseconds.
    pub(crate) duration: Option<u64>,
    pub(crate) time_to_first_chunk: Option<u64>,
    pub(crate) supplied_cost: Option<Money>,
}

impl Merged {
    /// `None` only if there are no members.
    pub(crate) fn of(window: &Window, members: &[Member]) -> Option<Self> {
        if let [(alone, _)] = members {
            return Some(Self::of_one(*alone, window.get(*alone)?));
        }
        let members = || members.iter().filter_map(|(seq, _)| Some((*seq, window.get(*seq)?)));
        let base = usage_base(members());
        let (counted, chosen) = base.or_else(|| members().next())?;
        let usage = base.map(|(_, base)| filled(base, members().map(|(_, held)| held)));
        // What is told around a failed call without usage is invented, its cost included.
        let is_invented = base.is_none() && members().any(|(_, held)| held.error.is_some());
        let told = chosen.supplied_cost().or_else(|| members().find_map(|(_, held)| held.supplied_cost()));
        Some(Self {
            counted,
            usage,
            error: failure(members()),
            duration: duration(chosen, members().map(|(_, held)| held)),
            time_to_first_chunk: chosen
                .time_to_first_chunk()
                .or_else(|| members().find_map(|(_, held)| held.time_to_first_chunk())),
            supplied_cost: told.filter(|_| !is_invented),
        })
    }

    /// What comes of a single span.
    fn of_one(seq: Seq, held: &Held) -> Self {
        let usage = held.has_usage().then(|| held.usage());
        Self {
            counted: seq,
            usage,
            error: held.error.map(|class| (class, seq)),
            duration: held.duration(),
            time_to_first_chunk: held.time_to_first_chunk(),
            supplied_cost: held.supplied_cost().filter(|_| usage.is_some() || held.error.is_none()),
        }
    }
}

/// The innermost span with usage. If one that failed without usage lies further in, what is further out is invented.
fn usage_base<'a>(members: impl Iterator<Item = (Seq, &'a Held)>) -> Option<(Seq, &'a Held)> {
    let mut members = members.skip_while(|(_, held)| !held.has_usage() && held.error.is_none());
    members.next().filter(|(_, held)| held.has_usage())
}

/// The usage of `base`, with the kinds that it does not tell from spans that count the same input.
fn filled<'a>(base: &Held, members: impl Iterator<Item = &'a Held>) -> Usage {
    let mut usage = base.usage();
    for other in members.filter(|other| other.has_usage() && other.usage().input == usage.input) {
        let more = other.usage();
        usage.cache_read = usage.cache_read.or(more.cache_read);
        usage.cache_write = usage.cache_write.or(more.cache_write);
        usage.cache_write_1h = usage.cache_write_1h.or(more.cache_write_1h);
        usage.output = usage.output.or(more.output);
        usage.reasoning = usage.reasoning.or(more.reasoning);
    }
    usage
}

/// The failure: that of any span, unless one without failure tells usage, as after a retry that ended well. The innermost span
/// tells it, or one that tells its class.
fn failure<'a>(members: impl Iterator<Item = (Seq, &'a Held)> + Clone) -> Option<(ErrorClass, Seq)> {
    if members.clone().any(|(_, held)| held.error.is_none() && held.has_usage()) {
        return None;
    }
    let failed = || members.clone().filter_map(|(seq, held)| Some((held.error?, seq)));
    failed().find(|(class, _)| *class != ErrorClass::Other).or_else(|| failed().next())
}

/// The duration of the chosen span; of a stream told by two spans, from the begin of the one to the end of the other.
fn duration<'a>(chosen: &Held, members: impl Iterator<Item = &'a Held> + Clone) -> Option<u64> {
    let half = |part: ReportPart| {
        let is_half = move |held: &&Held| held.split().is_some_and(|split| split.part == part);
        members.clone().find(is_half)
    };
    match (half(ReportPart::Request), half(ReportPart::StreamEnd)) {
        (Some(request), Some(end)) if chosen.split().is_some() => genai::duration_of(request.start, end.end),
        _ => chosen.duration(),
    }
}
