//! Models and answers by name.

use otlp::Text;

/// The model of a span that is called `{operation} {model}`.
pub(crate) fn in_name(name: Text, body: &[u8]) -> Text {
    match name.bytes(body).iter().position(|b| *b == b' ') {
        Some(space) => name.part(space as u32 + 1, name.len()),
        None => Text::default(),
    }
}

/// An id as that of a provider's answer; empty if it is the id of a LangChain run, which stands where there is none.
#[inline]
pub(crate) fn response_id(id: Text, body: &[u8]) -> Text {
    let bytes = id.bytes(body);
    let is_of_a_run =
        matches!(bytes.first(), Some(b'r' | b'l')) && (bytes.starts_with(b"run-") || bytes.starts_with(b"lc_run-"));
    if is_of_a_run { Text::default() } else { id }
}
