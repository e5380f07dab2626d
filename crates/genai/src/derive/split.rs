//! Calls that are reported by two spans: Logfire ends the span of a streamed request when the stream begins, and writes a second
//! one without extent when it has ended (reference/counting.md 3.2, test B, and C12).

use otlp::Value;
use rapidhash::v3::rapidhash_v3;

use super::Derivation;
use crate::coerce;
use crate::dialects::Plain;
use crate::facts::{ReportPart, SpanFacts, SplitReport};

impl Derivation<'_> {
    #[cold]
    pub(super) fn split(&self, facts: &mut SpanFacts) {
        if !facts.role.is_call() || !facts.scope_name.bytes(self.body).starts_with(b"logfire.") {
            return;
        }
        let is_log = self.text(Plain::LogfireSpanType).bytes(self.body) == b"log";
        let seconds = coerce::number(self.found.get(Plain::StreamSeconds), self.body).filter(|_| is_log);
        facts.split = Some(SplitReport {
            part: if is_log { ReportPart::StreamEnd } else { ReportPart::Request },
            request: self.hash_of_request(),
            stream_duration: seconds.filter(|seconds| *seconds >= 0.0).map(|seconds| (seconds * 1e9) as u64),
        });
    }

    /// Stable across versions and machines: it is part of what is written down.
    fn hash_of_request(&self) -> u64 {
        let hash = |plain| {
            let bytes = match self.found.get(plain) {
                Value::String(text) | Value::Array(text) | Value::KeyValues(text) => text.bytes(self.body),
                _ => &[],
            };
            rapidhash_v3(bytes).to_le_bytes()
        };
        rapidhash_v3([hash(Plain::RequestData), hash(Plain::InputMessages)].as_flattened())
    }
}
