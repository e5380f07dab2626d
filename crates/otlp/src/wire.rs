//! Protobuf wire format, read without copying: tags, varints, lengths, and errors that say where.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>. Nothing here knows OTLP.

use std::borrow::Cow;
use std::fmt;

/// How deep messages may nest below an attribute value, as prost limits it.
pub const MAX_VALUE_DEPTH: u8 = 100;

/// Malformed protobuf: what is wrong, at which byte of the request, in which field.
///
/// One pointer wide, so that the results of the hot path stay in registers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} at byte {} in {}", .0.kind, .0.offset, .0.path)]
pub struct WireError(Box<Fault>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Fault {
    kind: WireErrorKind,
    offset: usize,
    path: FieldPath,
}

impl WireError {
    #[cold]
    fn new(kind: WireErrorKind, offset: usize) -> Self {
        Self(Box::new(Fault { kind, offset, path: FieldPath::default() }))
    }

    /// What is wrong.
    pub fn kind(&self) -> WireErrorKind {
        self.0.kind
    }

    /// Byte offset in the request body.
    pub fn offset(&self) -> usize {
        self.0.offset
    }

    /// The field that was being read, outermost first.
    pub fn path(&self) -> &FieldPath {
        &self.0.path
    }
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
    error.0.path.0.push(name);
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
    /// What is left of it.
    rest: &'a [u8],
    /// Where it ends in the body.
    end: u32,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(body: &'a [u8]) -> Result<Self, WireError> {
        match u32::try_from(body.len()) {
            Ok(end) => Ok(Self { rest: body, end }),
            Err(_) => Err(WireError::new(WireErrorKind::TooLarge, 0)),
        }
    }

    /// A cursor over a range of the body that was kept from an earlier walk.
    pub(crate) fn over(body: &'a [u8], text: Text) -> Self {
        Self { rest: text.bytes(body), end: text.end() }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Where the next byte stands in the body.
    #[inline(always)]
    fn position(&self) -> u32 {
        self.end - self.rest.len() as u32
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn error(&self, kind: WireErrorKind) -> WireError {
        WireError::new(kind, self.position() as usize)
    }

    #[inline(always)]
    fn byte(&mut self) -> Result<u8, WireError> {
        match self.rest {
            [byte, rest @ ..] => {
                self.rest = rest;
                Ok(*byte)
            }
            [] => Err(self.error(WireErrorKind::Truncated)),
        }
    }

    #[inline(always)]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        match self.rest {
            [byte @ ..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            // Lengths and counts of two bytes are as common as those of one.
            [low, high @ ..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        let mut shift = 0;
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
        match self.rest {
            [byte @ 8..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u32::from(*byte))
            }
            [low @ 0x80..=0xff, high @ 1..0x80, rest @ ..] => {
                self.rest = rest;
                Ok(u32::from(low & 0x7f) | u32::from(*high) << 7)
            }
            _ => self.long_key(),
        }
    }

    #[inline(never)]
    fn long_key(&mut self) -> Result<u32, WireError> {
        match u32::try_from(self.varint()?) {
            Ok(key) if key >= 8 => Ok(key),
            _ => Err(self.error(WireErrorKind::InvalidKey)),
        }
    }

    #[inline(always)]
    pub(crate) fn fixed64(&mut self) -> Result<u64, WireError> {
        match self.rest.split_first_chunk::<8>() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(u64::from_le_bytes(*bytes))
            }
            None => Err(self.error(WireErrorKind::Truncated)),
        }
    }

    pub(crate) fn fixed32(&mut self) -> Result<u32, WireError> {
        match self.rest.split_first_chunk::<4>() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(u32::from_le_bytes(*bytes))
            }
            None => Err(self.error(WireErrorKind::Truncated)),
        }
    }

    /// A length-delimited field as a message to read.
    #[inline(always)]
    pub(crate) fn message(&mut self) -> Result<Cursor<'a>, WireError> {
        let length = self.varint()?;
        if length > self.rest.len() as u64 {
            return Err(self.error(WireErrorKind::Truncated));
        }
        let (inside, rest) = self.rest.split_at(length as usize);
        self.rest = rest;
        Ok(Cursor { rest: inside, end: self.position() })
    }

    /// A length-delimited field: its place in the body.
    #[inline(always)]
    pub(crate) fn text(&mut self) -> Result<Text, WireError> {
        Ok(self.message()?.range())
    }

    /// What is left.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.rest
    }

    /// An empty cursor.
    pub(crate) fn nothing(&self) -> Self {
        Self { rest: &[], end: self.end }
    }

    /// The place of what is left.
    #[inline(always)]
    pub(crate) fn range(&self) -> Text {
        let len = self.rest.len() as u32;
        Text::new(self.end - len, len)
    }

    /// The byte that comes next.
    #[inline(always)]
    pub(crate) fn first(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// A length-delimited field with this one-byte key and a length of one byte, if that is what comes next.
    #[inline(always)]
    pub(crate) fn short_message(&mut self, tag: u8) -> Option<Cursor<'a>> {
        let [found, len @ ..0x80, rest @ ..] = self.rest else { return None };
        if *found != tag {
            return None;
        }
        let (inside, rest) = rest.split_at_checked(usize::from(*len))?;
        self.rest = rest;
        Some(Cursor { rest: inside, end: self.position() })
    }

    /// As [`Self::short_message`], if it is all that is left.
    #[inline(always)]
    pub(crate) fn last_short_message(&self, tag: u8) -> Option<Cursor<'a>> {
        match self.rest {
            [found, len @ ..0x80, rest @ ..] if *found == tag && usize::from(*len) == rest.len() => {
                Some(Cursor { rest, end: self.end })
            }
            _ => None,
        }
    }

    /// A varint of up to three bytes behind a one-byte key, if it is all that is left.
    #[inline(always)]
    pub(crate) fn last_varint(&self) -> Option<u64> {
        match self.rest {
            [_, a @ ..0x80] => Some(u64::from(*a)),
            [_, a @ 0x80..=0xff, b @ ..0x80] => Some(u64::from(a & 0x7f) | u64::from(*b) << 7),
            [_, a @ 0x80..=0xff, b @ 0x80..=0xff, c @ ..0x80] => {
                Some(u64::from(a & 0x7f) | u64::from(b & 0x7f) << 7 | u64::from(*c) << 14)
            }
            _ => None,
        }
    }

    /// Eight bytes behind a one-byte key, if they are all that is left.
    #[inline(always)]
    pub(crate) fn last_fixed64(&self) -> Option<u64> {
        let bytes: &[u8; 8] = self.rest.get(1..)?.try_into().ok()?;
        Some(u64::from_le_bytes(*bytes))
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
///
/// One number, so that it stays in a register: where it begins in the upper half, its length in the lower.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Text(u64);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text").field("start", &self.start()).field("len", &self.len()).finish()
    }
}

impl Text {
    /// The range `start .. start + len`.
    #[inline(always)]
    pub const fn new(start: u32, len: u32) -> Self {
        Self((start as u64) << 32 | len as u64)
    }

    /// Where it begins in the body.
    #[inline(always)]
    pub const fn start(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The first byte after it.
    pub const fn end(self) -> u32 {
        self.start().saturating_add(self.len())
    }

    /// Its length in bytes.
    #[inline(always)]
    pub const fn len(self) -> u32 {
        self.0 as u32
    }

    /// Whether there is nothing in it: absent and empty are one for a text.
    #[inline(always)]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The part of this range from `from` to `to`, both relative to its start.
    pub const fn part(self, from: u32, to: u32) -> Self {
        let to = if to > self.len() { self.len() } else { to };
        let from = if from > to { to } else { from };
        Self::new(self.start() + from, to - from)
    }

    /// The bytes of this range of `body`; empty if the body is another one and shorter.
    #[inline(always)]
    pub fn bytes(self, body: &[u8]) -> &[u8] {
        let start = self.start() as usize;
        body.get(start..start + self.len() as usize).unwrap_or_default()
    }

    /// The text of this range, with replacement characters where it is not UTF-8.
    pub fn str(self, body: &[u8]) -> Cow<'_, str> {
        let bytes = self.bytes(body);
        // Checked first, as looking for what to replace goes byte by byte.
        std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
    }
}
