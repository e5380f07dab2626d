//! Items that are too large for a destination, with their longest texts cut: how long they were and their hash are noted.

use std::fmt::Write as _;

use bytes::Bytes;
use otlp::rewrite::{self, Attribute};
use twox_hash::XxHash3_128;

use crate::stats::Signal;

/// How many bytes of a text are kept, tried one after the other.
pub(crate) const KEPT: [usize; 4] = [64 * 1024, 8 * 1024, 1024, 64];

/// A request in at most so many bytes, if cutting texts of attributes can make it so. Metrics have none.
pub(crate) fn shortened(signal: Signal, body: &[u8], max_bytes: usize) -> Option<Bytes> {
    KEPT.iter().find_map(|kept| {
        let cut = |attribute: Attribute<'_>| cut(attribute.content, *kept);
        let rewritten = match signal {
            Signal::Traces => rewrite::traces(body, cut),
            Signal::Logs => rewrite::logs(body, cut),
            Signal::Metrics => return None,
        };
        rewritten.ok().flatten().filter(|shorter| shorter.len() <= max_bytes).map(Bytes::from)
    })
}

/// A request with no more than so many bytes kept of each text of its resources and scopes; `None` if that changes nothing.
pub(crate) fn with_shorter_heads(body: &[u8], kept: usize) -> Option<Bytes> {
    rewrite::heads(body, |attribute| cut(attribute.content, kept)).ok().flatten().map(Bytes::from)
}

/// The beginning of a text that is longer, or what is noted of bytes that are no text.
fn cut(content: &[u8], kept: usize) -> Option<String> {
    if content.len() <= kept {
        return None;
    }
    let beginning = content.get(..kept).unwrap_or(content);
    let mut text = match std::str::from_utf8(beginning) {
        Ok(text) => text.to_owned(),
        // in the middle of a character
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(beginning.get(..error.valid_up_to()).unwrap_or_default()).into_owned()
        }
        Err(_) => String::new(),
    };
    let _ = write!(text, "… [cut by spanmill: {} bytes, xxh3 {:032x}]", content.len(), XxHash3_128::oneshot(content));
    Some(text)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message as _;

    use super::*;

    fn traces(texts: &[&str]) -> Vec<u8> {
        let attribute = |text: &&str| {
            let value = Some(AnyValue { value: Some(any_value::Value::StringValue((*text).to_owned())) });
            KeyValue { key: "gen_ai.input.messages".to_owned(), value, ..Default::default() }
        };
        let span =
            Span { name: "chat".to_owned(), attributes: texts.iter().map(attribute).collect(), ..Default::default() };
        let scope_spans = vec![ScopeSpans { spans: vec![span], ..Default::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
        ExportTraceServiceRequest { resource_spans }.encode_to_vec()
    }

    // A span that is too large keeps its short texts and the beginnings of its long ones, whole characters of them, with length and
    // hash; as much of them as there is room for.
    #[test]
    fn long_texts_are_cut() {
        let long = "é".repeat(100_000);
        let body = traces(&["short", &long]);
        for (max, kept) in [(70_000, 64 * 1024), (60_000, 8 * 1024), (300, 64)] {
            let shorter = shortened(Signal::Traces, &body, max).unwrap();
            assert!(shorter.len() <= max);
            let noted =
                format!("… [cut by spanmill: 200000 bytes, xxh3 {:032x}]", XxHash3_128::oneshot(long.as_bytes()));
            let expected = traces(&["short", &format!("{}{noted}", "é".repeat(kept / 2))]);
            assert_eq!(shorter, expected);
        }
        assert!(shortened(Signal::Traces, &body, 100).is_none());
        let no_texts = traces(&[]);
        assert!(shortened(Signal::Traces, &no_texts, 3).is_none());
        // bytes that are no text
        assert!(cut(&[0xff; 100], 64).unwrap().starts_with("… [cut"));
        assert!(cut("aé".as_bytes(), 2).unwrap().starts_with("a… [cut"));
    }
}
