//! What the crate `monitor` gives names, as it stands in the API.

use std::borrow::Cow;

use genai::ErrorClass;
use monitor::{ChartRule, Dimension, Field, Period, Severity, Side, Tokens, Verdict, Window};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use super::over_time::Quantity;

/// Something with a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Named<T>(pub(crate) T);

/// A kind of things with names.
pub(super) trait Kind: Copy + 'static {
    /// All of them.
    const ALL: &'static [Self];
    /// How one is written.
    fn name(self) -> &'static str;
}

macro_rules! kinds {
    ($($kind:ident),+ $(,)?) => {$(
        impl Kind for $kind {
            const ALL: &'static [Self] = &<$kind>::ALL;

            fn name(self) -> &'static str {
                <$kind>::name(self)
            }
        }
    )+};
}
kinds!(ChartRule, Dimension, ErrorClass, Field, Period, Preset, Quantity, Severity, Side, Tokens, Verdict, Window);

/// By what a new monitor is judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Preset {
    #[default]
    Service,
    Llm,
}

impl Preset {
    const ALL: [Self; 2] = [Self::Service, Self::Llm];

    const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Llm => "llm",
        }
    }
}

fn names<T: Kind>() -> impl Iterator<Item = &'static str> {
    T::ALL.iter().map(|one| one.name())
}

impl<T: Kind> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de, T: Kind> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let found = T::ALL.iter().find(|one| one.name() == text);
        let expected = || de::Error::custom(format!("expected one of {}", names::<T>().collect::<Vec<_>>().join(", ")));
        found.map(|one| Self(*one)).ok_or_else(expected)
    }
}

/// How the description says which there are.
pub(super) fn schema<T: Kind>() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names::<T>())).build()
}
