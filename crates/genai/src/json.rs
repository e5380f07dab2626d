//! Values that stand in JSON which is not worth parsing: a search for a key, bounded, that wants nothing else of what may be a
//! large prompt. A prompt inside a string has its quotes escaped, so it can't be taken for a key.

use memchr::memmem;
use otlp::Text;

/// How far into a text a key is looked for: parameters and request bodies name what is looked for early, or are small.
const SEARCHED: usize = 16 * 1024;

/// The string under `key` (with its quotes), as a range of the body; of several the first one that is a plain string.
pub(crate) fn string(text: Text, body: &[u8], key: &[u8]) -> Text {
    find(text, body, key, |value| {
        let rest = value.strip_prefix(b"\"")?;
        let length = memchr::memchr2(b'"', b'\\', rest)?;
        (rest.get(length) == Some(&b'"')).then_some((1, 1 + length))
    })
}

/// The string or the number under `key`.
pub(crate) fn scalar(text: Text, body: &[u8], key: &[u8]) -> Text {
    let found = string(text, body, key);
    if found.is_empty() { number_text(text, body, key) } else { found }
}

/// The number under `key`.
pub(crate) fn number(text: Text, body: &[u8], key: &[u8]) -> Option<f64> {
    let number = number_text(text, body, key);
    std::str::from_utf8(number.bytes(body)).ok()?.parse().ok()
}

/// Whether `true` stands under `key`.
pub(crate) fn is_true(text: Text, body: &[u8], key: &[u8]) -> bool {
    !find(text, body, key, |value| value.starts_with(b"true").then_some((0, 4))).is_empty()
}

fn number_text(text: Text, body: &[u8], key: &[u8]) -> Text {
    find(text, body, key, |value| {
        let is_part = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E');
        let length = value.iter().position(|byte| !is_part(byte)).unwrap_or(value.len());
        (length > 0).then_some((0, length))
    })
}

/// What `take` takes of a value under `key`: begin and end of it, counted from where the value begins.
fn find(text: Text, body: &[u8], key: &[u8], take: impl Fn(&[u8]) -> Option<(usize, usize)>) -> Text {
    if text.is_empty() {
        return Text::default();
    }
    let bytes = text.bytes(body);
    let bytes = bytes.get(..SEARCHED).unwrap_or(bytes);
    for at in memmem::find_iter(bytes, key) {
        let after_key = at + key.len();
        if let Some(begin) = value_after(bytes, after_key)
            && let Some((from, to)) = bytes.get(begin..).and_then(&take)
        {
            return text.part((begin + from) as u32, (begin + to) as u32);
        }
    }
    Text::default()
}

/// Where the value begins whose colon follows at `position`.
fn value_after(bytes: &[u8], position: usize) -> Option<usize> {
    let after_space = |from: usize| Some(from + bytes.get(from..)?.iter().position(|b| !b.is_ascii_whitespace())?);
    let colon = after_space(position).filter(|at| bytes.get(*at) == Some(&b':'))?;
    after_space(colon + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Text {
        Text::new(0, json.len() as u32)
    }

    // A string is found wherever it stands, and only where it is a plain string.
    #[test]
    fn finds_strings() {
        for (json, expected) in [
            (r#"{"model": "gpt-4o", "x": 1}"#, "gpt-4o"),
            (r#"{"messages": [{"content": "the \"model\": \"x\""}], "model":"o3-mini"}"#, "o3-mini"),
            (r#"{"model": null}"#, ""),
            (r#"{"model": "unfinished"#, ""),
            ("", ""),
        ] {
            assert_eq!(string(text(json), json.as_bytes(), b"\"model\"").bytes(json.as_bytes()), expected.as_bytes());
        }
    }

    // A number is found as a number, and as the text of one; a flag as a flag.
    #[test]
    fn finds_numbers() {
        let json = r#"{"a": {"ttft": null}, "ttft": 0.25, "version": 3}"#;
        assert_eq!(number(text(json), json.as_bytes(), b"\"ttft\""), Some(0.25));
        assert_eq!(scalar(text(json), json.as_bytes(), b"\"version\"").bytes(json.as_bytes()), b"3");
        assert_eq!(number(text(json), json.as_bytes(), b"\"version"), None);
        let json = r#"{"stream": null, "x": {"stream": true}}"#;
        assert!(is_true(text(json), json.as_bytes(), b"\"stream\""));
        assert!(!is_true(text(json), json.as_bytes(), b"\"x\""));
    }
}
