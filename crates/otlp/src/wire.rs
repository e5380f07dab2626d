//! Protobuf wire format, read without copying: tags, varints, lengths, and errors that say where.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>. Nothing here knows OTLP.

use std::fmt;

/// How deep messages may nest below an attribute value, as prost limits it.
pub const MAX_VALUE_DEPTH: u8 = 100;

/// Malformed protobuf: what is wrong, at which byte of the request, in which field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset} in {path}")]
pub struct WireError {
    /// What is wrong.
    pub kind: WireErrorKind,
    /// Byte offset in the request body.
    pub offset: usize,
    /// The field that was being read, outermost first.
    pub path: FieldPath,
}

/// What can be wrong with bytes that claim to be a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireErrorKind {
    /// The message ends inside a field.
    #[error("truncated message")]
    Truncated,
    /// A varint of more than ten bytes, or one that overflows 64 bits.
    #[error("varint too long")]
    VarintTooLong,
    /// Field number 0, or a key beyond 32 bits.
    #[error("invalid field key")]
    InvalidKey,
    /// A known field with another wire type than its own, or wire type 6 or 7.
    #[error("wrong wire type")]
    WrongWireType,
    /// A group that ends without having begun, or never ends.
    #[error("unbalanced group")]
    UnbalancedGroup,
    /// Values nested deeper than [`MAX_VALUE_DEPTH`].
    #[error("value nested too deep")]
    TooDeep,
    /// More than 4 GiB: positions are 32 bits wide.
    #[error("message larger than 4 GiB")]
    TooLarge,
}

/// The names of the fields around an error, outermost first, e.g. `resource_spans.scope_spans.spans.attributes`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldPath(Vec<&'static str>);

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("request");
        }
        for (i, name) in self.0.iter().rev().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

/// Adds the name of the enclosing field to an error on its way out.
pub(crate) trait InField {
    fn in_field(self, name: &'static str) -> Self;
}

impl<T> InField for Result<T, WireError> {
    #[inline(always)]
    fn in_field(self, name: &'static str) -> Self {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(with_field(error, name)),
        }
    }
}

#[cold]
fn with_field(mut error: WireError, name: &'static str) -> WireError {
    error.path.0.push(name);
    error
}

/// Wire types of the protobuf encoding.
pub(crate) const VARINT: u32 = 0;
pub(crate) const FIXED64: u32 = 1;
pub(crate) const BYTES: u32 = 2;
const GROUP_START: u32 = 3;
const GROUP_END: u32 = 4;
pub(crate) const FIXED32: u32 = 5;

/// The key of a known field: its number and the wire type that belongs to it.
pub(crate) const fn key(field: u32, wire_type: u32) -> u32 {
    field << 3 | wire_type
}

/// A part of the request body that is being read, with its place in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    body: &'a [u8],
    position: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Result<Self, WireError> {
        if u32::try_from(body.len()).is_err() {
            return Err(WireError { kind: WireErrorKind::TooLarge, offset: 0, path: FieldPath::default() });
        }
        Ok(Self { body, position: 0, end: body.len() })
    }

    /// A cursor over a range of the body that was kept from an earlier walk.
    pub(crate) fn over(body: &'a [u8], text: Text) -> Self {
        let end = (text.end() as usize).min(body.len());
        Self { body, position: (text.start() as usize).min(end), end }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.position >= self.end
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn error(&self, kind: WireErrorKind) -> WireError {
        WireError { kind, offset: self.position, path: FieldPath::default() }
    }

    #[inline(always)]
    fn byte(&mut self) -> Result<u8, WireError> {
        if self.position < self.end
            && let Some(&byte) = self.body.get(self.position)
        {
            self.position += 1;
            return Ok(byte);
        }
        Err(self.error(WireErrorKind::Truncated))
    }

    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        self.varint_rest(first)
    }

    #[inline(never)]
    fn varint_rest(&mut self, first: u8) -> Result<u64, WireError> {
        let mut value = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.byte()?;
            // The tenth byte has room for one bit only.
            if shift == 63 && byte > 1 {
                return Err(self.error(WireErrorKind::VarintTooLong));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
    }

    /// The key of the next field: number and wire type in one, as on the wire.
    #[inline(always)]
    pub(crate) fn key(&mut self) -> Result<u32, WireError> {
        let key = self.varint()?;
        match u32::try_from(key) {
            Ok(key) if key >= 8 => Ok(key),
            _ => Err(self.error(WireErrorKind::InvalidKey)),
        }
    }

    #[inline(always)]
    pub(crate) fn fixed64(&mut self) -> Result<u64, WireError> {
        let next = self.position + 8;
        if next <= self.end
            && let Some(bytes) = self.body.get(self.position..next).and_then(|b| b.first_chunk::<8>())
        {
            self.position = next;
            return Ok(u64::from_le_bytes(*bytes));
        }
        Err(self.error(WireErrorKind::Truncated))
    }

    /// A length-delimited field: its place in the body.
    #[inline(always)]
    pub(crate) fn text(&mut self) -> Result<Text, WireError> {
        let length = self.varint()?;
        let start = self.position;
        if length > (self.end - start) as u64 {
            return Err(self.error(WireErrorKind::Truncated));
        }
        self.position = start + length as usize;
        Ok(Text { start: start as u32, len: length as u32 })
    }

    /// A length-delimited field as a message to read.
    #[inline(always)]
    pub(crate) fn message(&mut self) -> Result<Cursor<'a>, WireError> {
        let text = self.text()?;
        Ok(self.inside(text))
    }

    /// A cursor over `text`, which this cursor gave.
    #[inline(always)]
    pub(crate) fn inside(&self, text: Text) -> Cursor<'a> {
        Cursor { body: self.body, position: text.start as usize, end: text.end() as usize }
    }

    /// Steps over a field that nobody reads.
    #[inline]
    pub(crate) fn skip(&mut self, key: u32) -> Result<(), WireError> {
        match key & 7 {
            VARINT => self.varint().map(drop),
            FIXED64 => self.fixed64().map(drop),
            BYTES => self.text().map(drop),
            FIXED32 => self.fixed32().map(drop),
            GROUP_START => self.skip_group(key),
            GROUP_END => Err(self.error(WireErrorKind::UnbalancedGroup)),
            _ => Err(self.error(WireErrorKind::WrongWireType)),
        }
    }

    pub(crate) fn fixed32(&mut self) -> Result<u32, WireError> {
        let next = self.position + 4;
        if next <= self.end
            && let Some(bytes) = self.body.get(self.position..next).and_then(|b| b.first_chunk::<4>())
        {
            self.position = next;
            return Ok(u32::from_le_bytes(*bytes));
        }
        Err(self.error(WireErrorKind::Truncated))
    }

    #[cold]
    fn skip_group(&mut self, start: u32) -> Result<(), WireError> {
        let mut open = vec![start >> 3];
        while let Some(&innermost) = open.last() {
            let key = self.key()?;
            match key & 7 {
                GROUP_START if open.len() >= MAX_VALUE_DEPTH as usize => {
                    return Err(self.error(WireErrorKind::TooDeep));
                }
                GROUP_START => open.push(key >> 3),
                GROUP_END if key >> 3 == innermost => drop(open.pop()),
                GROUP_END => return Err(self.error(WireErrorKind::UnbalancedGroup)),
                _ => self.skip(key)?,
            }
        }
        Ok(())
    }

    /// A field with a known number but a key that nobody expects: of a known field it is an error, else it is skipped.
    #[inline(never)]
    pub(crate) fn unexpected(&mut self, key: u32, known: &[u32]) -> Result<(), WireError> {
        if known.iter().any(|k| k >> 3 == key >> 3) {
            return Err(self.error(WireErrorKind::WrongWireType));
        }
        self.skip(key)
    }
}

/// A range of the request body: text, or a message. It has no lifetime, so it can outlive the borrow of the body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Text {
    start: u32,
    len: u32,
}

impl Text {
    /// The range `start .. start + len`.
    pub const fn new(start: u32, len: u32) -> Self {
        Self { start, len }
    }

    /// Where it begins in the body.
    pub const fn start(self) -> u32 {
        self.start
    }

    /// The first byte after it.
    pub const fn end(self) -> u32 {
        self.start.saturating_add(self.len)
    }

    /// Its length in bytes.
    pub const fn len(self) -> u32 {
        self.len
    }

    /// Whether there is nothing in it: absent and empty are one for a text.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The part of this range from `from` to `to`, both relative to its start.
    pub const fn part(self, from: u32, to: u32) -> Self {
        let to = if to > self.len { self.len } else { to };
        let from = if from > to { to } else { from };
        Self { start: self.start + from, len: to - from }
    }

    /// The bytes of this range of `body`; empty if the body is another one and shorter.
    #[inline(always)]
    pub fn bytes(self, body: &[u8]) -> &[u8] {
        body.get(self.start as usize..self.start as usize + self.len as usize).unwrap_or_default()
    }

    /// The text of this range, with replacement characters where it is not UTF-8.
    pub fn str(self, body: &[u8]) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.bytes(body))
    }
}
