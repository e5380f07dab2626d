//! Attribute values (`opentelemetry.proto.common.v1.AnyValue`), borrowed from the body.

use crate::wire::{BYTES, Cursor, FIXED64, InField, MAX_VALUE_DEPTH, Text, VARINT, WireError, WireErrorKind, key};

/// The value of an attribute. Texts and nested values are ranges of the body.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Value {
    /// No value is set.
    #[default]
    Empty,
    /// `string_value`; not checked to be UTF-8.
    String(Text),
    /// `bool_value`.
    Bool(bool),
    /// `int_value`.
    Int(i64),
    /// `double_value`.
    Double(f64),
    /// `array_value`: the range of the `ArrayValue` message; see [`array_items`].
    Array(Text),
    /// `kvlist_value`: the range of the `KeyValueList` message; see [`key_values`].
    KeyValues(Text),
    /// `bytes_value`.
    Bytes(Text),
}

/// A key and its value.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct KeyValue {
    /// The attribute's key.
    pub key: Text,
    /// The attribute's value.
    pub value: Value,
}

const STRING: u32 = key(1, BYTES);
const BOOL: u32 = key(2, VARINT);
const INT: u32 = key(3, VARINT);
const DOUBLE: u32 = key(4, FIXED64);
const ARRAY: u32 = key(5, BYTES);
const KEY_VALUES: u32 = key(6, BYTES);
const BYTES_VALUE: u32 = key(7, BYTES);
const ANY_VALUE: [u32; 7] = [STRING, BOOL, INT, DOUBLE, ARRAY, KEY_VALUES, BYTES_VALUE];

const KV_KEY: u32 = key(1, BYTES);
const KV_VALUE: u32 = key(2, BYTES);

const ITEM: u32 = key(1, BYTES);

/// A key, still to be read, and its value.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) key: Cursor<'a>,
    pub(crate) value: Value,
}

impl Pair<'_> {
    pub(crate) fn ranges(self) -> KeyValue {
        KeyValue { key: self.key.range(), value: self.value }
    }
}

/// Reads one `KeyValue` message, its value checked to its full depth.
#[inline(always)]
pub(crate) fn read_key_value(message: Cursor<'_>, depth: u8) -> Result<Pair<'_>, WireError> {
    match usual_key_value(message) {
        Some(pair) => Ok(pair),
        None => any_key_value(message, depth),
    }
}

/// Reads a `KeyValue` as every encoder writes nearly all of them: the key, then a value of one plain field, and nothing else, of
/// less than 128 bytes, so that every length is one byte. [`any_key_value`] reads whatever this leaves.
#[inline(always)]
pub(crate) fn usual_key_value(message: Cursor<'_>) -> Option<Pair<'_>> {
    let mut rest = message;
    let key = rest.short_message(KV_KEY as u8)?;
    let value = rest.last_short_message(KV_VALUE as u8)?;
    let value = match value.first()? {
        STRING_TAG => Value::String(value.last_short_message(STRING_TAG)?.range()),
        INT_TAG => Value::Int(value.last_varint()? as i64),
        DOUBLE_TAG => Value::Double(f64::from_bits(value.last_fixed64()?)),
        BOOL_TAG => Value::Bool(value.last_varint()? != 0),
        ARRAY_TAG => {
            let list = value.last_short_message(ARRAY_TAG)?;
            check_short_strings(list)?;
            Value::Array(list.range())
        }
        _ => return None,
    };
    Some(Pair { key, value })
}

/// Checks a list of short strings, such as finish reasons.
#[inline(always)]
fn check_short_strings(mut list: Cursor<'_>) -> Option<()> {
    while !list.is_empty() {
        list.short_message(ITEM as u8)?.last_short_message(STRING_TAG)?;
    }
    Some(())
}

const STRING_TAG: u8 = STRING as u8;
const BOOL_TAG: u8 = BOOL as u8;
const INT_TAG: u8 = INT as u8;
const DOUBLE_TAG: u8 = DOUBLE as u8;
const ARRAY_TAG: u8 = ARRAY as u8;

/// Reads a `KeyValue` in whatever order and with whatever unknown fields it comes.
#[inline(never)]
pub(crate) fn any_key_value(mut message: Cursor<'_>, depth: u8) -> Result<Pair<'_>, WireError> {
    let mut pair = Pair { key: message.nothing(), value: Value::Empty };
    while !message.is_empty() {
        match message.key()? {
            KV_KEY => pair.key = message.message().in_field("key")?,
            KV_VALUE => read_value(message.message().in_field("value")?, &mut pair.value, depth).in_field("value")?,
            other => message.unexpected(other, &[KV_KEY, KV_VALUE])?,
        }
    }
    Ok(pair)
}

/// Reads one `AnyValue` message into `value`: of several fields the last one counts.
pub(crate) fn read_value(mut message: Cursor<'_>, value: &mut Value, depth: u8) -> Result<(), WireError> {
    while !message.is_empty() {
        *value = match message.key()? {
            STRING => Value::String(message.text()?),
            BOOL => Value::Bool(message.varint()? != 0),
            INT => Value::Int(message.varint()? as i64),
            DOUBLE => Value::Double(f64::from_bits(message.fixed64()?)),
            BYTES_VALUE => Value::Bytes(message.text()?),
            ARRAY => {
                let list = message.message()?;
                check_nested(list, depth, check_item)?;
                Value::Array(list.range())
            }
            KEY_VALUES => {
                let list = message.message()?;
                check_nested(list, depth, check_pair)?;
                Value::KeyValues(list.range())
            }
            other => {
                message.unexpected(other, &ANY_VALUE)?;
                continue;
            }
        };
    }
    Ok(())
}

type Check = fn(Cursor<'_>, u8) -> Result<(), WireError>;

/// Walks a list of values that is kept as a range, so that whoever opens it later finds it sound.
#[inline(never)]
fn check_nested(mut list: Cursor<'_>, depth: u8, check: Check) -> Result<(), WireError> {
    if depth >= MAX_VALUE_DEPTH {
        return Err(list.error(WireErrorKind::TooDeep));
    }
    while !list.is_empty() {
        match list.key()? {
            ITEM => check(list.message().in_field("values")?, depth + 1).in_field("values")?,
            other => list.unexpected(other, &[ITEM])?,
        }
    }
    Ok(())
}

fn check_item(message: Cursor<'_>, depth: u8) -> Result<(), WireError> {
    read_value(message, &mut Value::Empty, depth)
}

fn check_pair(message: Cursor<'_>, depth: u8) -> Result<(), WireError> {
    read_key_value(message, depth).map(drop)
}

/// The items of a [`Value::Array`]. The list was checked when it was read; an unsound one simply ends.
pub fn array_items(body: &[u8], array: Text) -> impl Iterator<Item = Value> {
    list_items(body, array).filter_map(|message| {
        let mut value = Value::Empty;
        read_value(message, &mut value, 0).ok().map(|()| value)
    })
}

/// The first item of a [`Value::Array`]; empty if there is none.
pub fn first_item(body: &[u8], array: Text) -> Value {
    let short_string = || {
        let mut list = Cursor::over(body, array);
        Some(Value::String(list.short_message(ITEM as u8)?.last_short_message(STRING_TAG)?.range()))
    };
    short_string().or_else(|| array_items(body, array).next()).unwrap_or_default()
}

/// The pairs of a [`Value::KeyValues`]. The list was checked when it was read; an unsound one simply ends.
pub fn key_values(body: &[u8], list: Text) -> impl Iterator<Item = KeyValue> {
    list_items(body, list).filter_map(|message| Some(read_key_value(message, 0).ok()?.ranges()))
}

fn list_items(body: &[u8], list: Text) -> impl Iterator<Item = Cursor<'_>> {
    let mut list = Cursor::over(body, list);
    std::iter::from_fn(move || {
        while !list.is_empty() {
            match list.key().ok()? {
                ITEM => return list.message().ok(),
                other => list.skip(other).ok()?,
            }
        }
        None
    })
}
