//! From the tree to the typed configuration, by serde.

use std::fmt;

use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::document::{Key, KeyPath, Node, Value};
use super::report::Report;

/// Decodes a tree and reports everything that does not fit: serde stops at the first fault, so the faulty value is
/// taken out (its default stands in) and decoding starts over.
pub(super) fn decode<T: for<'de> Deserialize<'de> + Default>(mut document: Node, report: &mut Report<'_>) -> T {
    loop {
        let fault = match T::deserialize(&document) {
            Ok(value) => return value,
            Err(fault) => fault,
        };
        let mut path = KeyPath(fault.path.into_iter().rev().collect());
        match fault.kind {
            FaultKind::UnknownKey { known } => report.refuse_key(&path, known),
            // A value may be found wanting only because a part of it was refused.
            FaultKind::Value(_) if report.is_refused_within(&path) => {}
            FaultKind::Value(wanted) => report.refuse_value(&path, &wanted),
            FaultKind::MissingKey(key) => {
                // A key may be missing only because its value was refused.
                if !report.is_refused(&path.join(key)) {
                    report.refuse(&path, format!("\"{path}\": \"{key}\" is missing"));
                }
            }
        }
        // Without one element the others would move, so the whole list goes.
        while path.0.last().is_some_and(|key| key.starts_with('[')) {
            path.0.pop();
        }
        if !document.remove(&path) {
            return T::default();
        }
    }
}

/// Something in the tree does not fit the type.
#[derive(Debug)]
pub(super) struct Fault {
    /// The keys from the fault outwards.
    path: Vec<String>,
    kind: FaultKind,
}

#[derive(Debug)]
enum FaultKind {
    UnknownKey { known: &'static [&'static str] },
    MissingKey(&'static str),
    Value(String),
}

impl Fault {
    fn value(wanted: impl Into<String>) -> Self {
        Self { path: Vec::new(), kind: FaultKind::Value(wanted.into()) }
    }

    fn under(mut self, key: &str) -> Self {
        self.path.push(key.to_owned());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::value(message.to_string())
    }

    fn invalid_type(_found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::value(format!("expected {expected}"))
    }

    fn invalid_value(_found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::value(format!("expected {expected}"))
    }

    fn unknown_variant(_variant: &str, expected: &'static [&'static str]) -> Self {
        Self::value(match expected {
            [only] => format!("expected {only}"),
            _ => format!("expected one of {}", expected.join(", ")),
        })
    }

    fn unknown_field(_field: &str, expected: &'static [&'static str]) -> Self {
        Self { path: Vec::new(), kind: FaultKind::UnknownKey { known: expected } }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { path: Vec::new(), kind: FaultKind::MissingKey(field) }
    }
}

impl Node {
    fn text(&self, wanted: &str) -> Result<&str, Fault> {
        match &self.value {
            Value::Scalar(text) => Ok(text),
            _ => Err(Fault::value(format!("expected {wanted}"))),
        }
    }
}

/// Whole numbers are read from their text by the type that wants them.
macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ty;)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let text = self.text("a whole number")?;
            let number: $type = text.parse().map_err(|_| Fault::value("expected a whole number"))?;
            visitor.$visit(number)
        }
    )+};
}

impl<'de> de::Deserializer<'de> for &'de Node {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Scalar(text) => visitor.visit_borrowed_str(text),
            Value::Sequence(_) => self.deserialize_seq(visitor),
            Value::Mapping(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.text("true or false")? {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(Fault::value("expected true or false")),
        }
    }

    whole_numbers! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let number = self.text("a number")?.parse().ok().filter(|number: &f64| number.is_finite());
        visitor.visit_f64(number.ok_or_else(|| Fault::value("expected a number"))?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_borrowed_str(self.text("a text")?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Sequence(items) => visitor.visit_seq(Items { items, index: 0 }),
            _ => Err(Fault::value("expected a list")),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.value {
            Value::Mapping(entries) => visitor.visit_map(Entries { entries: entries.iter(), current: None }),
            _ => Err(Fault::value("expected a mapping")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let variant: StrDeserializer<'_, Fault> = self.text("a text")?.into_deserializer();
        visitor.visit_enum(variant)
    }

    serde::forward_to_deserialize_any! {
        f32 i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

struct Items<'de> {
    items: &'de [Node],
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some(item) = self.items.get(self.index) else {
            return Ok(None);
        };
        let index = self.index;
        self.index += 1;
        seed.deserialize(item).map(Some).map_err(|fault| fault.under(&format!("[{index}]")))
    }
}

struct Entries<'de> {
    entries: std::slice::Iter<'de, (Key, Node)>,
    current: Option<&'de (Key, Node)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.current = self.entries.next();
        let Some((key, _)) = self.current else {
            return Ok(None);
        };
        let name: StrDeserializer<'_, Fault> = key.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|fault| fault.under(&key.name))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let Some((key, value)) = self.current else {
            return Err(Fault::value("expected a value"));
        };
        seed.deserialize(value).map_err(|fault| fault.under(&key.name))
    }
}
