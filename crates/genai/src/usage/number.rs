//! A count in JSON.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::coerce::{Count, MAX_COUNT};

/// A count as a number or as anything else, which is then no count.
#[derive(Default)]
pub(super) struct Number {
    pub(super) tokens: Option<u32>,
    /// A number that no count can be.
    pub(super) is_invalid: bool,
}

impl Number {
    const NONE: Self = Self { tokens: None, is_invalid: false };
    const INVALID: Self = Self { tokens: None, is_invalid: true };

    const fn of(tokens: u64) -> Self {
        if tokens <= MAX_COUNT { Self { tokens: Some(tokens as u32), is_invalid: false } } else { Self::INVALID }
    }
}

impl From<Count> for Number {
    fn from(count: Count) -> Self {
        match count {
            Count::Tokens(tokens) => Self { tokens: Some(tokens), is_invalid: false },
            Count::Absent => Self::NONE,
            Count::Invalid => Self::INVALID,
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count")
            }
            fn visit_u64<E>(self, tokens: u64) -> Result<Number, E> {
                Ok(Number::of(tokens))
            }
            fn visit_i64<E>(self, tokens: i64) -> Result<Number, E> {
                Ok(u64::try_from(tokens).map_or(Number::INVALID, Number::of))
            }
            fn visit_f64<E>(self, tokens: f64) -> Result<Number, E> {
                let is_valid = (0.0..=MAX_COUNT as f64).contains(&tokens);
                Ok(if is_valid { Number::of(tokens as u64) } else { Number::INVALID })
            }
            fn visit_str<E>(self, text: &str) -> Result<Number, E> {
                Ok(text.parse().map_or(Number::NONE, Number::of))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Number, E> {
                Ok(Number::NONE)
            }
            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number::NONE)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Number, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Number::NONE)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Number, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Number::NONE)
            }
        }
        deserializer.deserialize_any(Any)
    }
}
