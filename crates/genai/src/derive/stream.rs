//! Whether an answer was streamed, and when it began.

use nonmax::NonMaxU64;

use super::Derivation;
use super::found::STREAM;
use crate::dialects::{Plain, Unit};
use crate::facts::SpanFacts;
use crate::{coerce, json};

impl Derivation<'_> {
    pub(super) fn stream(&self, facts: &mut SpanFacts) {
        if !self.found.has_any(STREAM) && self.found.first_chunk_event == 0 && self.found.role.is_none() {
            return;
        }
        let body = self.body;
        let number = |plain| coerce::number(self.found.get(plain), body);
        let seconds = number(Plain::FirstChunkSeconds)
            .or_else(|| number(Plain::FirstChunkMillis).map(|millis| millis / 1e3))
            .or_else(|| {
                number(Plain::FirstChunkInUnit).map(|number| match self.meaning(facts).first_chunk_unit {
                    Unit::Seconds => number,
                    Unit::Milliseconds => number / 1e3,
                })
            })
            .or_else(|| json::number(self.text(Plain::FirstChunkInJson), body, b"\"ttft\""))
            // Braintrust
            .or_else(|| json::number(self.text(Plain::UsageObject), body, b"\"time_to_first_token\""));
        let absolute = self.text(Plain::FirstChunkAt);
        let first_chunk = match seconds {
            Some(seconds) if seconds >= 0.0 => Some((seconds * 1e9) as u64),
            Some(_) => None,
            None if !absolute.is_empty() => unix_nanos(absolute.bytes(body)).and_then(|at| at.checked_sub(facts.start)),
            None if self.found.first_chunk_event > 0 => self.found.first_chunk_event.checked_sub(facts.start),
            None => None,
        };
        // Nothing begins to answer after it has ended: a wrong unit or a clock that is off.
        let told = first_chunk.filter(|nanos| facts.duration().is_some_and(|duration| *nanos <= duration));
        facts.nanos_to_first_chunk = told.and_then(NonMaxU64::new);
        facts.streaming = coerce::flag(self.found.get(Plain::Streaming), body).or_else(|| self.asked_for_stream());
        match facts.streaming {
            // OpenLIT writes the time of the whole answer.
            Some(false) => facts.nanos_to_first_chunk = None,
            None if first_chunk.is_some() => facts.streaming = Some(true),
            _ => {}
        }
    }

    /// Whether a stream was asked for, as the request or the kind of call says. (`false` says nothing: LangChain writes it for
    /// models that it then streams from.)
    fn asked_for_stream(&self) -> Option<bool> {
        // `ai.streamText.doStream` (AI SDK)
        let kind = self.found.role.map(|role| role.value.bytes(self.body)).unwrap_or_default();
        let says_so = |plain| json::is_true(self.text(plain), self.body, b"\"stream\"");
        let is_asked = memchr::memmem::find(kind, b".doStream").is_some()
            || says_so(Plain::ModelInJson)
            || says_so(Plain::RequestData);
        is_asked.then_some(true)
    }
}

/// An RFC 3339 time in nanoseconds since the Unix epoch.
fn unix_nanos(text: &[u8]) -> Option<u64> {
    let time: jiff::Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok()
}
