//! Writes a message as protobuf while serde_json parses it.

use std::fmt;

use prost::encoding::{WireType, encode_key, encode_varint};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};

use super::JsonError;
use super::schema::{Field, Fields, Kind};
use super::text::{base64, double, hex};

/// The protobuf form of the request in `json`.
pub(super) fn request(json: &[u8], fields: &'static Fields) -> Result<Vec<u8>, JsonError> {
    let mut encoder = Encoder { out: Vec::with_capacity(json.len() / 2), path: Vec::new() };
    if json.trim_ascii().is_empty() {
        return Ok(encoder.out);
    }
    let mut parser = serde_json::Deserializer::from_slice(json);
    let parsed = parser.deserialize_any(Message { encoder: &mut encoder, fields }).and_then(|()| parser.end());
    match parsed {
        Ok(()) => Ok(encoder.out),
        Err(problem) => Err(JsonError { path: encoder.path(), problem }),
    }
}

/// What is written, and where in the JSON the parser is. An error leaves the path as it is, so it says where.
struct Encoder {
    out: Vec<u8>,
    path: Vec<Step>,
}

enum Step {
    Key(&'static str),
    Index(usize),
}

impl Encoder {
    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Key(name) if path.is_empty() => path.push_str(name),
                Step::Key(name) => path.extend([".", name]),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        if path.is_empty() { "request".to_owned() } else { path }
    }

    fn key(&mut self, number: u32, wire_type: WireType) {
        encode_key(number, wire_type, &mut self.out);
    }

    fn varint(&mut self, value: u64) {
        encode_varint(value, &mut self.out);
    }

    /// Puts the length of what was written since `start` before it: JSON does not tell it earlier.
    fn close(&mut self, start: usize) {
        let mut length = Vec::with_capacity(10);
        encode_varint((self.out.len() - start) as u64, &mut length);
        self.out.splice(start..start, length);
    }
}

/// Reads an object as the content of a message.
struct Message<'a> {
    encoder: &'a mut Encoder,
    fields: &'static Fields,
}

impl<'de> Visitor<'de> for Message<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(E::invalid_type(Unexpected::Other("string"), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(known) = map.next_key_seed(Key(self.fields))? {
            let Some(field) = known else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            self.encoder.path.push(Step::Key(field.name));
            map.next_value_seed(FieldValue { encoder: &mut *self.encoder, field })?;
            self.encoder.path.pop();
        }
        Ok(())
    }
}

/// Reads a key: the field of that name, or `None` if it is unknown.
struct Key(&'static Fields);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.0.iter().find(|field| field.name == key))
    }
}

/// Reads the value of a known key.
struct FieldValue<'a> {
    encoder: &'a mut Encoder,
    field: &'static Field,
}

impl<'de> DeserializeSeed<'de> for FieldValue<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Field { number, kind, repeated, .. } = *self.field;
        if repeated {
            return deserializer.deserialize_any(Array { encoder: self.encoder, number, kind });
        }
        Single { encoder: self.encoder, kind, place: Place::Field(number) }.deserialize(deserializer)
    }
}

/// Reads the array of a repeated field.
struct Array<'a> {
    encoder: &'a mut Encoder,
    number: u32,
    kind: Kind,
}

impl<'de> Visitor<'de> for Array<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(E::invalid_type(Unexpected::Other("string"), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        // Numbers stand packed behind one key, everything else has a key each.
        let packed = !matches!(self.kind, Kind::String | Kind::Message(_));
        let place = if packed { Place::Packed } else { Place::Item(self.number) };
        if packed {
            self.encoder.key(self.number, WireType::LengthDelimited);
        }
        let start = self.encoder.out.len();
        for index in 0.. {
            self.encoder.path.push(Step::Index(index));
            let item = Single { encoder: &mut *self.encoder, kind: self.kind, place };
            if items.next_element_seed(item)?.is_none() {
                break;
            }
            self.encoder.path.pop();
        }
        self.encoder.path.pop();
        if packed {
            self.encoder.close(start);
        }
        Ok(())
    }
}

/// Where a value stands, and so what is written before it.
#[derive(Clone, Copy)]
enum Place {
    /// A field by itself: its key.
    Field(u32),
    /// One of several: the same key each time.
    Item(u32),
    /// One of several numbers in a packed array: nothing.
    Packed,
}

/// Reads one value.
struct Single<'a> {
    encoder: &'a mut Encoder,
    kind: Kind,
    place: Place,
}

impl<'de> DeserializeSeed<'de> for Single<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Single<'_> {
    fn key(&mut self, wire_type: WireType) {
        if let Place::Field(number) | Place::Item(number) = self.place {
            self.encoder.key(number, wire_type);
        }
    }

    fn bytes(mut self, bytes: &[u8]) {
        self.key(WireType::LengthDelimited);
        self.encoder.varint(bytes.len() as u64);
        self.encoder.out.extend_from_slice(bytes);
    }

    fn varint(mut self, value: u64) {
        self.key(WireType::Varint);
        self.encoder.varint(value);
    }

    fn fixed32(mut self, value: u32) {
        self.key(WireType::ThirtyTwoBit);
        self.encoder.out.extend_from_slice(&value.to_le_bytes());
    }

    fn fixed64(mut self, value: u64) {
        self.key(WireType::SixtyFourBit);
        self.encoder.out.extend_from_slice(&value.to_le_bytes());
    }

    fn double(self, value: f64) {
        self.fixed64(value.to_bits());
    }

    /// Writes a whole number, or says that the field cannot hold it.
    fn integer<E: Error>(self, value: i128) -> Result<(), E> {
        match self.kind {
            Kind::Double => self.double(value as f64),
            // Negative numbers are ten bytes long on the wire, also those of 32 bits.
            Kind::Enum => {
                let number: i32 = in_range(value)?;
                self.varint(i64::from(number) as u64);
            }
            Kind::UInt32 => {
                let number: u32 = in_range(value)?;
                self.varint(number.into());
            }
            Kind::Fixed32 => self.fixed32(in_range(value)?),
            Kind::SInt32 => {
                let number: i32 = in_range(value)?;
                let zigzag = (number << 1 ^ number >> 31) as u32;
                self.varint(zigzag.into());
            }
            Kind::Int64 => {
                let number: i64 = in_range(value)?;
                self.varint(number as u64);
            }
            Kind::SFixed64 => {
                let number: i64 = in_range(value)?;
                self.fixed64(number as u64);
            }
            Kind::UInt64 => self.varint(in_range(value)?),
            Kind::Fixed64 => self.fixed64(in_range(value)?),
            Kind::String | Kind::Id(_) | Kind::Bytes | Kind::Bool | Kind::Message(_) => {
                return Err(E::invalid_type(Unexpected::Other("number"), &self));
            }
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Single<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::String => f.write_str("a string"),
            Kind::Id(length) => write!(f, "{} hex digits", length * 2),
            Kind::Bytes => f.write_str("base64"),
            Kind::Bool => f.write_str("true or false"),
            Kind::Enum => f.write_str("the number of an enum value"),
            Kind::UInt32 | Kind::Fixed32 => f.write_str("an unsigned 32-bit integer"),
            Kind::SInt32 => f.write_str("a 32-bit integer"),
            Kind::Int64 | Kind::SFixed64 => f.write_str("a 64-bit integer"),
            Kind::UInt64 | Kind::Fixed64 => f.write_str("an unsigned 64-bit integer"),
            Kind::Double => f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\""),
            Kind::Message(_) => f.write_str("an object"),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match (self.place, self.kind) {
            (Place::Field(_), _) | (Place::Item(_), Kind::Message(_)) => Ok(()),
            // Leaving it out would move all that follow, e.g. the buckets of a histogram.
            _ => Err(E::invalid_type(Unexpected::Other("null in an array"), &self)),
        }
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        let Kind::Bool = self.kind else {
            return Err(E::invalid_type(Unexpected::Other("boolean"), &self));
        };
        self.varint(value.into());
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.integer(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        if let Kind::Double = self.kind {
            self.double(value);
            return Ok(());
        }
        // `1.0` and `1e3` are whole numbers too; the conversion saturates, so what is too large stays too large.
        if value.fract() == 0.0 {
            return self.integer(value as i128);
        }
        Err(E::invalid_type(Unexpected::Other("fraction"), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let refused = |visitor: Self| E::invalid_value(Unexpected::Other("string"), &visitor);
        match self.kind {
            Kind::String => self.bytes(text.as_bytes()),
            Kind::Id(length) => match hex(text, length) {
                Some(id) => self.bytes(&id),
                None => return Err(refused(self)),
            },
            Kind::Bytes => match base64(text) {
                Some(bytes) => self.bytes(&bytes),
                None => return Err(refused(self)),
            },
            Kind::Double => match double(text) {
                Some(value) => self.double(value),
                None => return Err(refused(self)),
            },
            Kind::UInt32
            | Kind::Fixed32
            | Kind::SInt32
            | Kind::Int64
            | Kind::SFixed64
            | Kind::UInt64
            | Kind::Fixed64 => match text.parse::<i128>() {
                Ok(value) => self.integer(value)?,
                Err(_) => return Err(refused(self)),
            },
            Kind::Bool | Kind::Enum | Kind::Message(_) => {
                return Err(E::invalid_type(Unexpected::Other("string"), &self));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(A::Error::invalid_type(Unexpected::Other("array"), &self))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<(), A::Error> {
        let Kind::Message(fields) = self.kind else {
            return Err(A::Error::invalid_type(Unexpected::Other("object"), &self));
        };
        self.key(WireType::LengthDelimited);
        let start = self.encoder.out.len();
        Message { encoder: &mut *self.encoder, fields }.visit_map(map)?;
        self.encoder.close(start);
        Ok(())
    }
}

fn in_range<T: TryFrom<i128>, E: Error>(value: i128) -> Result<T, E> {
    T::try_from(value).map_err(|_| E::custom("number out of range"))
}
