//! Memory that is fetched into the processor's cache before it is needed, so that nothing waits for it.
//!
//! A processor has room for some two dozen lines that are on their way, and drops what is asked for beyond: so what is fetched is asked for
//! evenly, as much at every span as a span needs.

use genai::SpanFacts;

/// How many spans before a span is counted, its places in the indexes are fetched; its facts, which tell where these are, as many before that.
pub(crate) const AHEAD: u32 = 4;

/// Begins to fetch the line of the cache in which a value begins, and waits for nothing.
#[inline]
pub fn fetch<T>(value: &T) {
    prefetch_index::prefetch_index(std::slice::from_ref(value), 0);
}

/// Fetches what of a span's facts its counting needs, by a field of each line that they take, as compilers put them now. One that is missed
/// is waited for.
#[inline]
pub(crate) fn fetch_facts(facts: &SpanFacts) {
    fetch(&facts.split);
    fetch(&facts.service_tier);
    fetch(&facts.trace_id);
    fetch(&facts.compact_usage);
    fetch(&facts.nanos_to_first_chunk);
    fetch(&facts.role);
}
