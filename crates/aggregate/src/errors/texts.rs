//! The texts of an error record, in one piece of memory: in pieces of their own they took more than what they say.

use std::borrow::Cow;

/// Longest message in bytes; what is longer is cut.
const MAX_MESSAGE: usize = 1024;
/// Longest other text in bytes.
pub(super) const MAX_NAME: usize = 256;

/// A text of an error record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorText {
    /// `service.name`.
    Service,
    /// `deployment.environment.name`, or by its older name `deployment.environment`.
    Environment,
    /// Span name.
    SpanName,
    /// Canonical operation.
    Operation,
    /// Canonical provider.
    Provider,
    /// The model that was asked for.
    RequestModel,
    /// The model that answered.
    ResponseModel,
    /// Raw type of the error.
    Kind,
    /// What it says, cut at 1 KiB. The others are cut at 256 bytes.
    Message,
}

impl ErrorText {
    /// All of them, in the order of the enum.
    pub const ALL: [Self; 9] = [
        Self::Service,
        Self::Environment,
        Self::SpanName,
        Self::Operation,
        Self::Provider,
        Self::RequestModel,
        Self::ResponseModel,
        Self::Kind,
        Self::Message,
    ];

    /// Most bytes of it.
    pub(super) fn max(self) -> usize {
        if self == Self::Message { MAX_MESSAGE } else { MAX_NAME }
    }
}

/// All texts of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    joined: Box<str>,
    /// Where each ends, in the order of [`ErrorText::ALL`]. All of them together are shorter than 64 KiB.
    ends: [u16; ErrorText::ALL.len()],
}

impl Texts {
    /// The texts that `text` tells, those that are too long cut.
    pub(crate) fn of<'a>(text: impl Fn(ErrorText) -> Cow<'a, str>) -> Self {
        let whole = ErrorText::ALL.map(text);
        let texts = ErrorText::ALL.iter().zip(&whole).map(|(which, text)| cut(text, which.max()));
        let mut joined = String::with_capacity(texts.clone().map(str::len).sum());
        let mut ends = [0; ErrorText::ALL.len()];
        for (end, text) in ends.iter_mut().zip(texts) {
            joined.push_str(text);
            *end = joined.len() as u16;
        }
        Self { joined: joined.into(), ends }
    }

    pub(crate) fn get(&self, which: ErrorText) -> &str {
        let place = which as usize;
        let end = |place: usize| self.ends.get(place).map_or(0, |end| usize::from(*end));
        let start = place.checked_sub(1).map_or(0, end);
        self.joined.get(start..end(place)).unwrap_or_default()
    }

    /// Memory behind it, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.joined.len()
    }
}

/// What stands in a body as a text, and of a long one so many bytes at most: no more of it is looked at, however long it is.
pub(super) fn short(bytes: &[u8], max: usize) -> Cow<'_, str> {
    // With those of a character that begins before the end.
    let bytes = bytes.get(..max + char::MAX_LEN_UTF8 - 1).unwrap_or(bytes);
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => Cow::Borrowed(cut(text, max)),
        Cow::Owned(text) => Cow::Owned(cut(&text, max).to_owned()),
    }
}

/// A text, and of a long one so many bytes at most.
pub(super) fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    // Of a long text, what is kept is the same as if all of it had been read, also where it is no UTF-8 or is cut within a character.
    #[test]
    fn a_long_text_is_cut_as_if_it_was_read() {
        let texts: [&[u8]; 6] =
            ["a".as_bytes(), "\u{e9}".as_bytes(), "\u{20ac}".as_bytes(), "\u{1f600}".as_bytes(), b"\xff", b"\xf0\x9f"];
        for (pattern, shift) in texts.into_iter().flat_map(|text| (0..4).map(move |shift| (text, shift))) {
            let bytes = [&b"xxxx"[..shift], &pattern.repeat(100)].concat();
            for max in [0, 1, 2, 3, 4, 5, 64, 255, 256, 1_000] {
                assert_eq!(short(&bytes, max), cut(&String::from_utf8_lossy(&bytes), max), "{pattern:?} {shift} {max}");
            }
        }
    }

    // Each text is found as it was given, whatever the others are, and of a long one its start.
    #[test]
    fn each_is_found() {
        let given = |which: ErrorText| match which {
            ErrorText::Service => "caf\u{e9}".to_owned(),
            ErrorText::Environment => String::new(),
            ErrorText::Kind => "\u{e9}".repeat(200),
            ErrorText::Message => "m".repeat(2_000),
            other => format!("{other:?}"),
        };
        let texts = Texts::of(|which| given(which).into());
        for which in ErrorText::ALL {
            let whole = given(which);
            let found = texts.get(which);
            let expected = match which {
                ErrorText::Kind => 256,
                ErrorText::Message => 1024,
                _ => whole.len(),
            };
            assert!(whole.starts_with(found) && found.len() == expected, "{which:?}: {found}");
        }
        assert!(ErrorText::ALL.iter().enumerate().all(|(place, which)| *which as usize == place));
    }
}
