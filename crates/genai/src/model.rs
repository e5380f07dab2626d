//! Models and answers by name.

use otlp::Text;

/// The model of a span that is called `{operation} {model}`.
pub(crate) fn in_name(name: Text, body: &[u8]) -> Text {
    match name.bytes(body).iter().position(|b| *b == b' ') {
        Some(space) => name.part(space as u32 + 1, name.len()),
        None => Text::default(),
    }
}

/// An id as that of a provider's answer; empty if it only stands where there is none: the id of a LangChain run, or what the OpenAI
/// Agents SDK writes for all answers of servers that give none.
#[inline]
pub(crate) fn response_id(id: Text, body: &[u8]) -> Text {
    let bytes = id.bytes(body);
    let may_stand_for_none = matches!(bytes.first(), Some(b'r' | b'l' | b'_'));
    if may_stand_for_none && stands_for_none(bytes) { Text::default() } else { id }
}

fn stands_for_none(id: &[u8]) -> bool {
    id.starts_with(b"run-") || id.starts_with(b"lc_run-") || id == b"__fake_id__"
}
