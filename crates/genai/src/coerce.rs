//! Values as clients really send them, made what they mean (reference/dialects.md 4.1).

use otlp::{Text, Value};

/// More tokens than this in one call is a mistake, not a count.
pub(crate) const MAX_COUNT: u64 = 1_000_000_000;

/// The text of a value, without the quotes of a JSON string (MLflow writes every value as JSON). Texts with escapes keep
/// their quotes: unescaping would need a copy. What is not a text is empty.
#[inline]
pub(crate) fn text(found: Value, body: &[u8]) -> Text {
    let Value::String(text) = found else { return Text::default() };
    if body.get(text.start() as usize) == Some(&b'"') { unquoted(text, body) } else { text }
}

#[cold]
fn unquoted(mut text: Text, body: &[u8]) -> Text {
    // Some SDKs quote twice.
    while let [b'"', inner @ .., b'"'] = text.bytes(body) {
        if inner.contains(&b'\\') {
            break;
        }
        text = text.part(1, text.len() - 1);
    }
    text
}

/// The text of a name, where `none`, `null` and `unknown` are ways to say nothing.
#[inline]
pub(crate) fn name(found: Value, body: &[u8]) -> Text {
    let text = text(found, body);
    if is_no_name(text, body) { Text::default() } else { text }
}

#[inline(always)]
fn is_no_name(text: Text, body: &[u8]) -> bool {
    matches!(text.len(), 4 | 7 | 9) && is_word_for_none(text.bytes(body))
}

#[inline(never)]
fn is_word_for_none(raw: &[u8]) -> bool {
    match raw.len() {
        4 => raw.eq_ignore_ascii_case(b"none") || raw.eq_ignore_ascii_case(b"null"),
        7 => raw.eq_ignore_ascii_case(b"unknown"),
        9 => raw.eq_ignore_ascii_case(b"undefined"),
        _ => false,
    }
}

/// Whether a value is one of the ways to say nothing: no value, an empty one, or a word for it.
pub(crate) fn says_nothing(found: Value, body: &[u8]) -> bool {
    match found {
        Value::Empty => true,
        Value::Array(items) | Value::KeyValues(items) => items.is_empty(),
        Value::String(_) => {
            let text = text(found, body);
            text.is_empty() || is_no_name(text, body) || matches!(text.bytes(body), b"[]" | b"{}")
        }
        _ => false,
    }
}

/// A number that came as an integer, a double, a text, or a quoted text.
#[inline]
pub(crate) fn number(found: Value, body: &[u8]) -> Option<f64> {
    match found {
        Value::Int(number) => Some(number as f64),
        Value::Double(number) => number.is_finite().then_some(number),
        Value::String(_) => {
            std::str::from_utf8(text(found, body).bytes(body)).ok()?.trim().parse().ok().filter(|n: &f64| n.is_finite())
        }
        _ => None,
    }
}

/// What a value says as a count of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Count {
    /// Nothing: no value, or a way to write none.
    Absent,
    /// So many.
    Tokens(u32),
    /// A number that no count can be: negative, not finite, or beyond [`MAX_COUNT`].
    Invalid,
}

/// A count of tokens.
#[inline(always)]
pub(crate) fn count(found: Value, body: &[u8]) -> Count {
    if let Value::Int(number) = found {
        return match u64::try_from(number) {
            Ok(tokens) if tokens <= MAX_COUNT => Count::Tokens(tokens as u32),
            _ => Count::Invalid,
        };
    }
    if matches!(found, Value::Empty) { Count::Absent } else { count_in_words(found, body) }
}

/// A count that came as anything but an integer.
#[inline(never)]
fn count_in_words(found: Value, body: &[u8]) -> Count {
    match number(found, body) {
        Some(number) if (0.0..=MAX_COUNT as f64).contains(&number) => Count::Tokens(number as u32),
        Some(_) => Count::Invalid,
        None if matches!(found, Value::Double(_)) => Count::Invalid,
        None => Count::Absent,
    }
}

/// A flag that came as a boolean or as a text.
pub(crate) fn flag(found: Value, body: &[u8]) -> Option<bool> {
    match found {
        Value::Bool(flag) => Some(flag),
        Value::String(_) => {
            let raw = text(found, body).bytes(body);
            if raw.eq_ignore_ascii_case(b"true") {
                Some(true)
            } else if raw.eq_ignore_ascii_case(b"false") {
                Some(false)
            } else {
                None
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(body: &[u8]) -> Value {
        Value::String(Text::new(0, body.len() as u32))
    }

    // Every spelling of 42 that clients send is 42, and what is no count is told from what is not there.
    #[test]
    fn counts_come_in_many_spellings() {
        for body in [&b"42"[..], b"\"42\"", b"\"\\\"42\\\"\"", b"42.0", b" 42 "] {
            let expected = if body.contains(&b'\\') { Count::Absent } else { Count::Tokens(42) };
            assert_eq!(count(string(body), body), expected, "{}", String::from_utf8_lossy(body));
        }
        assert_eq!(count(Value::Int(42), b""), Count::Tokens(42));
        assert_eq!(count(Value::Double(42.0), b""), Count::Tokens(42));
        assert_eq!(count(string(b"null"), b"null"), Count::Absent);
        for bad in [
            Value::Int(-1),
            Value::Double(f64::NAN),
            Value::Double(-0.5),
            Value::Int(1_000_000_001),
            Value::Int(i64::MIN),
        ] {
            assert_eq!(count(bad, b""), Count::Invalid, "{bad:?}");
        }
    }

    // Quotes of JSON strings go, also doubled ones; escapes stay as they are.
    #[test]
    fn texts_lose_their_json_quotes() {
        for (body, expected) in [
            ("\"gpt-4o\"", "gpt-4o"),
            ("gpt-4o", "gpt-4o"),
            ("\"\"x\"\"", "x"),
            ("\"a\\\"b\"", "\"a\\\"b\""),
            ("\"", "\""),
        ] {
            assert_eq!(text(string(body.as_bytes()), body.as_bytes()).bytes(body.as_bytes()), expected.as_bytes());
        }
    }
}
