//! Attributes as `MAP<string, string>`: values become text.
//!
//! A text stays as it is, with replacement characters where it is not UTF-8. Numbers and booleans are written as in JSON,
//! doubles in their shortest form (`0.7`, `1.0`, `1e+300`, `NaN`), arrays and maps as JSON, bytes as base64. No value is null.
//! A key that was sent twice stands twice.

use std::sync::Arc;

use arrow_array::{ArrayRef, MapArray, StructArray};
use arrow_schema::{ArrowError, DataType};
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use otlp::{KeyValue, Value, value};
use serde::ser::{Serialize, Serializer};

use crate::schema::{list_item, struct_fields};
use crate::text::{TextBuilder, finish_offsets, new_offsets};

/// Builds a column of type `MAP<string, string>`.
#[derive(Debug)]
pub(crate) struct AttributesBuilder {
    keys: TextBuilder,
    values: TextBuilder,
    /// Where the rows end, after a leading zero.
    offsets: Vec<i32>,
}

/// Bytes that are reserved for each key and each value that is expected.
const TEXT_BYTES: usize = 24;

impl AttributesBuilder {
    /// Room for `rows` rows with `attributes` attributes in all.
    pub(crate) fn with_capacity(rows: usize, attributes: usize) -> Self {
        let texts = || TextBuilder::with_capacity(attributes, attributes * TEXT_BYTES);
        Self { keys: texts(), values: texts(), offsets: new_offsets(rows) }
    }

    /// Adds an attribute to the row that is open.
    #[inline]
    pub(crate) fn push(&mut self, body: &[u8], key: &[u8], value: Value) {
        self.keys.push(key);
        match value {
            Value::Empty => self.values.push_null(),
            Value::String(text) => self.values.push(text.bytes(body)),
            other => self.values.push_written(|out| write_value(out, body, other)),
        }
    }

    /// Adds all attributes as one row.
    pub(crate) fn push_row(&mut self, body: &[u8], attributes: impl Iterator<Item = KeyValue>) {
        attributes.for_each(|attribute| self.push(body, attribute.key.bytes(body), attribute.value));
        self.finish_row();
    }

    /// Adds an earlier row once more.
    pub(crate) fn repeat_row(&mut self, row: usize) {
        if let Some(&[start, end]) = self.offsets.get(row..row + 2) {
            self.keys.repeat(start as usize..end as usize);
            self.values.repeat(start as usize..end as usize);
        }
        self.finish_row();
    }

    /// Closes the row; what is pushed from here on belongs to the next one.
    pub(crate) fn finish_row(&mut self) {
        // The bytes of a batch are bounded far below 2^31 (rows.rs), and so is the number of its attributes.
        self.offsets.push(self.keys.len() as i32);
    }

    /// The column, as an array of `map`, which is a type of the schema. The builder is empty again.
    pub(crate) fn finish(&mut self, map: &DataType) -> Result<ArrayRef, ArrowError> {
        let entries = list_item(map)?;
        let texts: Vec<ArrayRef> = vec![Arc::new(self.keys.finish()), Arc::new(self.values.finish())];
        let pairs = StructArray::try_new(struct_fields(entries.data_type())?, texts, None)?;
        let offsets = finish_offsets(&mut self.offsets);
        Ok(Arc::new(MapArray::try_new(entries, offsets, pairs, None, false)?))
    }
}

fn write_value(out: &mut Vec<u8>, body: &[u8], value: Value) {
    use std::io::Write;
    // Writing to a Vec can't fail, and neither can the serialisation of numbers, texts and lists of them.
    let _ = match value {
        Value::Bytes(bytes) => write!(out, "{}", Base64Display::new(bytes.bytes(body), &STANDARD)),
        Value::Int(number) => serde_json::to_writer(out, &number).map_err(Into::into),
        Value::Double(number) if number.is_finite() => serde_json::to_writer(out, &number).map_err(Into::into),
        Value::Double(number) if !number.is_finite() => out.write_all(non_finite(number).as_bytes()),
        other => serde_json::to_writer(out, &Json { body, value: other }).map_err(Into::into),
    };
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
