//! Attributes as `MAP<string, string>`: values become text.
//!
//! A text stays as it is, with replacement characters where it is not UTF-8. Numbers and booleans are written as in JSON,
//! doubles in their shortest form (`0.7`, `1.0`, `1e+300`, `NaN`), arrays and maps as JSON, bytes as base64. No value is null.
//! A key that was sent twice stands twice.

use std::ops::Range;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use otlp::{KeyValue, Text, Value, value};
use parquet::errors::Result;
use serde::ser::{Serialize, Serializer};

use crate::column::{Column, Completion, Leaf, Levels, Mark, Press, Style, Texts};

/// A column of type `MAP<string, string>`, or one inside the structs of a list.
#[derive(Debug)]
pub(crate) struct Attributes {
    /// How many lists it is inside of. An absent outer list is told by a level of 0, an empty map by this one.
    depth: u32,
    keys: Leaf<Texts>,
    values: Leaf<Texts>,
    repetition: Levels,
    /// Attributes of the map that is open.
    open: usize,
    /// Pages that have ended.
    pages: usize,
    doubles: Doubles,
}

/// The attributes of a map that can be added once more.
#[derive(Debug, Clone)]
pub(crate) struct Repeatable {
    keys: Range<Mark>,
    values: Range<Mark>,
    count: usize,
    page: usize,
}

impl Attributes {
    /// A column inside of `depth` lists.
    pub(crate) fn new(depth: u32, values: Style) -> Self {
        let leaf = |definition, style| Leaf::new(depth + 1, definition, false, Texts::new(style));
        Self {
            depth,
            keys: leaf(depth + 1, Style::Dictionary),
            values: leaf(depth + 2, values),
            repetition: Levels::default(),
            open: 0,
            pages: 0,
            doubles: Doubles::default(),
        }
    }

    /// The number of a key in the dictionary, as long as there is one.
    #[inline]
    pub(crate) fn number(&mut self, key: &[u8]) -> Option<u32> {
        self.keys.values.number(key)
    }

    /// Adds an attribute to the map that is open.
    #[inline]
    pub(crate) fn push(&mut self, body: &[u8], key: &[u8], value: Value) {
        self.keys.values.push(key);
        self.push_value(body, value);
    }

    /// Adds an attribute whose key has this number.
    #[inline]
    pub(crate) fn push_numbered(&mut self, body: &[u8], key: u32, value: Value) {
        self.keys.values.push_number(key);
        self.push_value(body, value);
    }

    #[inline]
    fn push_value(&mut self, body: &[u8], value: Value) {
        self.open += 1;
        match value {
            Value::Empty => return self.values.definition.push(self.depth + 1),
            Value::String(text) => self.values.values.push(text.bytes(body)),
            Value::Double(number) => self.values.values.push(self.doubles.text(number)),
            other => self.values.values.push_written(|out| write_value(out, body, other)),
        }
        self.values.definition.push(self.depth + 2);
    }

    /// Adds all attributes as one map, which is told if it can be repeated.
    pub(crate) fn push_map(
        &mut self,
        body: &[u8],
        attributes: impl Iterator<Item = KeyValue>,
        repetition: u32,
    ) -> Option<Repeatable> {
        let (keys, values) = (self.keys.values.mark(), self.values.values.mark());
        attributes.for_each(|attribute| self.push(body, attribute.key.bytes(body), attribute.value));
        let count = self.open;
        self.end_map(repetition);
        let (keys, values) = (keys..self.keys.values.mark(), values..self.values.values.mark());
        // Nulls are no values: how many there are would have to be told, too.
        (values.end.texts_since(&values.start) == count).then_some(Repeatable { keys, values, count, page: self.pages })
    }

    /// Whether a map stands in the page that has not ended yet.
    pub(crate) fn can_repeat(&self, map: &Repeatable) -> bool {
        map.page == self.pages
    }

    /// Adds a map of this page once more, as a row.
    pub(crate) fn repeat(&mut self, map: &Repeatable) {
        self.keys.values.repeat(&map.keys);
        self.values.values.repeat(&map.values);
        self.open = map.count;
        self.values.definition.push_many(self.depth + 2, map.count);
        self.end_map(0);
    }

    /// Closes the map; `repetition` is the level of what it begins with.
    #[inline]
    pub(crate) fn end_map(&mut self, repetition: u32) {
        self.repetition.push(repetition);
        match self.open {
            0 => self.push_empty(self.depth),
            count => {
                self.repetition.push_many(self.depth + 1, count - 1);
                self.keys.definition.push_many(self.depth + 1, count);
            }
        }
        self.open = 0;
    }

    /// Adds a row whose outer list is empty.
    pub(crate) fn skip_row(&mut self) {
        self.repetition.push(0);
        self.push_empty(0);
    }

    fn push_empty(&mut self, level: u32) {
        self.keys.definition.push(level);
        self.values.definition.push(level);
    }
}

impl Column for Attributes {
    fn size(&self) -> usize {
        self.keys.size() + self.values.size()
    }

    fn end_page(&mut self, rows: usize, press: &mut Press) -> Result<()> {
        self.keys.end_page_of(rows, &self.repetition, press)?;
        self.values.end_page_of(rows, &self.repetition, press)?;
        self.repetition.clear();
        self.pages += 1;
        Ok(())
    }

    fn finish(&mut self, completion: &mut Completion<'_>) -> Result<()> {
        self.keys.finish(completion)?;
        self.values.finish(completion)
    }
}

/// Doubles that were written lately, by a few of their bits: the same ones come again (temperature, top_p), and it takes long to find
/// the shortest text of one.
#[derive(Debug, Default)]
struct Doubles([(f64, Vec<u8>); 32]);

impl Doubles {
    fn text(&mut self, number: f64) -> &[u8] {
        let slot = number.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - 5);
        let Some((known, text)) = self.0.get_mut(slot as usize) else { return &[] };
        if known.to_bits() != number.to_bits() || text.is_empty() {
            *known = number;
            text.clear();
            write_value(text, &[], Value::Double(number));
        }
        text
    }
}

fn write_value(out: &mut Vec<u8>, body: &[u8], value: Value) {
    use std::io::Write;
    // Writing to a Vec can't fail, and neither can the serialisation of numbers, texts and lists of them.
    let _ = match value {
        Value::Array(list) if write_plain_texts(out, body, list) => Ok(()),
        Value::Bytes(bytes) => write!(out, "{}", Base64Display::new(bytes.bytes(body), &STANDARD)),
        Value::Int(number) => serde_json::to_writer(out, &number).map_err(Into::into),
        Value::Double(number) if number.is_finite() => serde_json::to_writer(out, &number).map_err(Into::into),
        Value::Double(number) if !number.is_finite() => out.write_all(non_finite(number).as_bytes()),
        other => serde_json::to_writer(out, &Json { body, value: other }).map_err(Into::into),
    };
}

/// Writes a list of texts that JSON writes as they are, such as finish reasons, for a third of what a serialiser takes; whether it is one.
fn write_plain_texts(out: &mut Vec<u8>, body: &[u8], list: Text) -> bool {
    let start = out.len();
    out.push(b'[');
    for item in value::array_items(body, list) {
        let text = match item {
            Value::String(text) => text.bytes(body),
            _ => b"\"",
        };
        if !text.iter().all(|&byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
            out.truncate(start);
            return false;
        }
        out.extend_from_slice(if out.len() == start + 1 { b"\"" } else { b",\"" });
        out.extend_from_slice(text);
        out.push(b'"');
    }
    out.push(b']');
    true
}

/// Doubles that JSON has no number for, named as in protobuf's JSON.
fn non_finite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// A value as JSON, to the depth that the walk allowed it.
struct Json<'a> {
    body: &'a [u8],
    value: Value,
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let body = self.body;
        let inner = |value| Json { body, value };
        match self.value {
            Value::Empty => serializer.serialize_unit(),
            Value::String(text) => serializer.serialize_str(&text.str(body)),
            Value::Bool(flag) => serializer.serialize_bool(flag),
            Value::Int(number) => serializer.serialize_i64(number),
            Value::Double(number) if number.is_finite() => serializer.serialize_f64(number),
            Value::Double(number) => serializer.serialize_str(non_finite(number)),
            Value::Bytes(bytes) => serializer.collect_str(&Base64Display::new(bytes.bytes(body), &STANDARD)),
            Value::Array(list) => serializer.collect_seq(value::array_items(body, list).map(inner)),
            Value::KeyValues(list) => {
                let pairs = value::key_values(body, list);
                serializer.collect_map(pairs.map(|pair| (pair.key.str(body), inner(pair.value))))
            }
        }
    }
}
