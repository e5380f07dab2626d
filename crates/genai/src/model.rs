//! Model names that stand inside other values.

use otlp::Text;

/// How far into a text a model is looked for: invocation parameters and request bodies name it early or are small.
const SEARCHED: usize = 16 * 1024;

/// The string under the key `"model"` of a JSON object, as a range of the body. A search, not a parse: it wants nothing
/// else of what may be a large prompt, and a prompt inside a string has its quotes escaped.
pub(crate) fn in_json(text: Text, body: &[u8]) -> Text {
    const KEY: &[u8] = b"\"model\"";
    let bytes = text.bytes(body);
    let bytes = bytes.get(..SEARCHED).unwrap_or(bytes);
    let mut from = 0;
    while let Some(found) = bytes.get(from..).and_then(|rest| rest.windows(KEY.len()).position(|window| window == KEY))
    {
        let after_key = from + found + KEY.len();
        if let Some(value) = string_value(bytes, after_key) {
            return text.part(value.0 as u32, value.1 as u32);
        }
        from = after_key;
    }
    Text::default()
}

/// The model of a span that is called `{operation} {model}`.
pub(crate) fn in_name(name: Text, body: &[u8]) -> Text {
    match name.bytes(body).iter().position(|b| *b == b' ') {
        Some(space) => name.part(space as u32 + 1, name.len()),
        None => Text::default(),
    }
}

/// Begin and end of the string that follows `: ` at `position`.
fn string_value(bytes: &[u8], position: usize) -> Option<(usize, usize)> {
    let rest = bytes.get(position..)?;
    let colon = rest.iter().position(|b| !b.is_ascii_whitespace()).filter(|&at| rest.get(at) == Some(&b':'))?;
    let value = rest.get(colon + 1..)?;
    let quote = value.iter().position(|b| !b.is_ascii_whitespace()).filter(|&at| value.get(at) == Some(&b'"'))?;
    let begin = position + colon + 1 + quote + 1;
    let length = bytes.get(begin..)?.iter().position(|&b| b == b'"' || b == b'\\')?;
    (bytes.get(begin + length) == Some(&b'"')).then_some((begin, begin + length))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The model is found wherever it stands, and only where it is a plain string.
    #[test]
    fn finds_the_model() {
        for (json, expected) in [
            (r#"{"model": "gpt-4o", "x": 1}"#, "gpt-4o"),
            (r#"{"messages": [{"content": "the \"model\": \"x\""}], "model":"o3-mini"}"#, "o3-mini"),
            (r#"{"model": null}"#, ""),
            (r#"{"model": "unfinished"#, ""),
            ("", ""),
        ] {
            let body = json.as_bytes();
            assert_eq!(in_json(Text::new(0, body.len() as u32), body).bytes(body), expected.as_bytes(), "{json}");
        }
    }
}
