//! Items that are too large for a destination, with their longest texts cut: how long they were and their hash are noted.

use std::fmt::Write as _;

use bytes::Bytes;
use otlp::rewrite::{self, Attribute};
use twox_hash::XxHash3_128;

use crate::stats::Signal;

/// How many bytes of a text are kept, tried one after the other.
pub(crate) const KEPT: [usize; 4] = [64 * 1024, 8 * 1024, 1024, 64];

/// How what is noted of a text that was cut begins, and how long it is at most.
const NOTE: &str = "… [cut by spanmill: ";
const LONGEST_NOTE: usize = 100;

/// A request in at most so many bytes, if cutting texts of its items can make it so.
pub(crate) fn shortened(signal: Signal, body: &[u8], max_bytes: usize) -> Option<Bytes> {
    let mut shorter = KEPT.iter().filter_map(|kept| with_shorter_texts(signal, body, *kept));
    shorter.find(|shorter| shorter.len() <= max_bytes)
}

/// A request that a destination found too large and that cannot be divided, with texts cut until it is half as large; if they cannot make
/// it so, with the shortest ones. `None` if that is no less.
pub(crate) fn halved(signal: Signal, body: &Bytes) -> Option<Bytes> {
    let mut shortest = None;
    for kept in KEPT {
        let heads = with_shorter_heads(body, kept);
        let texts = with_shorter_texts(signal, heads.as_ref().unwrap_or(body), kept);
        for shorter in [heads, texts].into_iter().flatten() {
            if shorter.len() <= body.len() / 2 {
                return Some(shorter);
            }
            shortest = Some(shorter);
        }
    }
    shortest.filter(|shorter| shorter.len() < body.len())
}

/// A request with no more than so many bytes kept of each text of its items; `None` if that changes nothing. Metrics have none.
fn with_shorter_texts(signal: Signal, body: &[u8], kept: usize) -> Option<Bytes> {
    let cut = |attribute: Attribute<'_>| cut(attribute.content, kept);
    let rewritten = match signal {
        Signal::Traces => rewrite::traces(body, cut),
        Signal::Logs => rewrite::logs(body, cut),
        Signal::Metrics => return None,
    };
    rewritten.ok().flatten().map(Bytes::from)
}

/// The same of each text of its resources and scopes.
pub(crate) fn with_shorter_heads(body: &[u8], kept: usize) -> Option<Bytes> {
    rewrite::heads(body, |attribute| cut(attribute.content, kept)).ok().flatten().map(Bytes::from)
}

/// The beginning of a text, or what is noted of bytes that are no text; `None` if that is not shorter.
fn cut(content: &[u8], kept: usize) -> Option<String> {
    let (whole, noted) = without_note(content);
    if whole.len() <= kept {
        return None;
    }
    let beginning = whole.get(..kept).unwrap_or(whole);
    let mut text = match std::str::from_utf8(beginning) {
        Ok(text) => text.to_owned(),
        // in the middle of a character
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(beginning.get(..error.valid_up_to()).unwrap_or_default()).into_owned()
        }
        Err(_) => String::new(),
    };
    if noted.is_empty() {
        let _ = write!(text, "{NOTE}{} bytes, xxh3 {:032x}]", content.len(), XxHash3_128::oneshot(content));
    }
    text.push_str(&String::from_utf8_lossy(noted));
    (text.len() < content.len()).then_some(text)
}

/// A text, and what is noted of it, which stays when it is cut once more.
fn without_note(content: &[u8]) -> (&[u8], &[u8]) {
    let searched = content.len().saturating_sub(LONGEST_NOTE);
    let mut end = content.get(searched..).unwrap_or_default().windows(NOTE.len());
    let found = end.rposition(|bytes| bytes == NOTE.as_bytes()).filter(|_| content.ends_with(b"]"));
    found.and_then(|place| content.split_at_checked(searched + place)).unwrap_or((content, &[]))
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
        let cut_in_a_character = cut("aé".repeat(100).as_bytes(), 2).unwrap();
        assert!(cut_in_a_character.starts_with("a… [cut"));
        // no shorter with the note
        assert!(cut(&[b'x'; 70], 64).is_none());
    }

    // What is cut again keeps what is noted of the whole, and what cannot be cut any more is told to be so.
    #[test]
    fn notes_stay() {
        let long = "x".repeat(200_000);
        let note = format!("… [cut by spanmill: 200000 bytes, xxh3 {:032x}]", XxHash3_128::oneshot(long.as_bytes()));
        let mut body = Bytes::from(traces(&[&long]));
        for kept in KEPT {
            body = halved(Signal::Traces, &body).unwrap();
            assert_eq!(body, traces(&[&format!("{}{note}", &long[..kept])]));
        }
        assert!(halved(Signal::Traces, &body).is_none());
    }
}
