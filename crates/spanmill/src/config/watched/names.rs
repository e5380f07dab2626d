//! Times, and what the crate `monitor` gives a name, as they are written.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use monitor::{ChartRule, Field, Period, Severity, Tokens, Verdict, Versions, Window};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::config::units::{format_duration, parse_duration, serde_as_text};

/// A duration, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Time(pub u64);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_duration(Duration::from_nanos(self.0)))
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration = parse_duration(text).map_err(|error| error.to_string())?;
        u64::try_from(duration.as_nanos()).map(Self).map_err(|_| "expected a shorter duration".to_owned())
    }
}

/// The name of a field, in the order of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldName(pub Field);

impl PartialOrd for FieldName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FieldName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.name().cmp(other.0.name())
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl FromStr for FieldName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        by_name(text, &Field::ALL, |field| field.name()).map(Self)
    }
}

serde_as_text!(Time, FieldName);

/// Something that the crate `monitor` gives a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Named<T>(pub T);

/// A kind of things with names.
pub trait Kind: Copy + 'static {
    /// All of them.
    const ALL: &'static [Self];
    /// How one is written.
    fn name(self) -> &'static str;
}

macro_rules! kinds {
    ($($kind:ty),+ $(,)?) => {$(
        impl Kind for $kind {
            const ALL: &'static [Self] = &<$kind>::ALL;

            fn name(self) -> &'static str {
                <$kind>::name(self)
            }
        }
    )+};
}
kinds!(Window, Severity, Versions, ChartRule, Tokens, Verdict, Period);

impl<T: Kind> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de, T: Kind> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        by_name(&text, T::ALL, T::name).map(Self).map_err(de::Error::custom)
    }
}

fn by_name<T: Copy>(text: &str, all: &[T], name: impl Fn(T) -> &'static str) -> Result<T, String> {
    let known = || all.iter().map(|one| name(*one)).collect::<Vec<_>>().join(", ");
    all.iter().copied().find(|one| name(*one) == text).ok_or_else(|| format!("expected one of {}", known()))
}
