//! Byte sizes and durations as people write them: `64MiB`, `512KB`, `1000`; `10s`, `1h30m`, `500ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// Serde as text, through `Display` and `FromStr`: the written form is defined once.
macro_rules! serde_as_text {
    ($($type:ty),+ $(,)?) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
pub(super) use serde_as_text;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

serde_as_text!(ByteSize);

impl ByteSize {
    /// So many times 2^20 bytes.
    pub const fn mebibytes(count: u64) -> Self {
        Self(count << 20)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory; what does not fit becomes the largest length.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Units of [`ByteSize`]; of two equally short spellings the earlier is written.
const BYTE_UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("", 1),
    ("B", 1),
];

/// A text is not a byte size.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected a byte size such as 64MiB, 512KB or 1000")]
pub struct InvalidByteSize;

impl FromStr for ByteSize {
    type Err = InvalidByteSize;

    fn from_str(text: &str) -> Result<Self, InvalidByteSize> {
        let (number, unit) = split_number(text).ok_or(InvalidByteSize)?;
        let factor = BYTE_UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit.trim()))
            .map(|(_, factor)| *factor)
            .ok_or(InvalidByteSize)?;
        number.checked_mul(factor).map(Self).ok_or(InvalidByteSize)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shortest = BYTE_UNITS
            .iter()
            .filter(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .map(|(unit, factor)| format!("{}{unit}", self.0 / factor))
            .min_by_key(String::len);
        f.write_str(shortest.as_deref().unwrap_or("0"))
    }
}

/// Units of durations in milliseconds, the largest first.
const DURATION_UNITS: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A text is not a duration.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("expected a duration such as 10s, 5m, 1h30m or 500ms")]
pub struct InvalidDuration;

/// Reads a duration: numbers, each with its unit (d, h, m, s, ms), added up.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(InvalidDuration);
    }
    let mut milliseconds: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split_number(rest).ok_or(InvalidDuration)?;
        let unit_length = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_length);
        let factor =
            DURATION_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or(InvalidDuration)?;
        milliseconds =
            number.checked_mul(factor).and_then(|part| milliseconds.checked_add(part)).ok_or(InvalidDuration)?;
        rest = after.trim_start();
    }
    Ok(Duration::from_millis(milliseconds))
}

/// Writes a duration as [`parse_duration`] reads it; parts below a millisecond are cut.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, factor) in DURATION_UNITS {
        let count = rest / factor;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
            rest %= factor;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Durations in serde structs: `#[serde(with = "duration")]`.
pub(super) mod duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format_duration(*value))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_duration(&text).map_err(Error::custom)
    }
}

/// The leading decimal number of a text, and what follows it.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Guarantees the spellings of the contract and the usual ones beside them.
    #[test]
    fn sizes_and_durations_as_people_write_them() {
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("4GiB", 4 << 30),
            ("512KB", 512_000),
            ("512kb", 512_000),
            ("1 MB", 1_000_000),
            ("1000", 1000),
            ("7B", 7),
            ("0", 0),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for (text, milliseconds) in [
            ("10s", 10_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("500ms", 500),
            ("0s", 0),
            ("7d", 604_800_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    // Guarantees that nonsense and overflow are errors, never a panic or a silent other value.
    #[test]
    fn nonsense_is_refused() {
        for text in ["", "MiB", "-1", "1.5GiB", "64MiBs", "1 2", "20000000TiB", "99999999999999999999"] {
            assert_eq!(text.parse::<ByteSize>(), Err(InvalidByteSize), "{text}");
        }
        for text in ["", "10", "s", "10x", "-5s", "1.5s", "300000000000d", "99999999999999999999s"] {
            assert_eq!(parse_duration(text), Err(InvalidDuration), "{text}");
        }
    }

    // Guarantees that the usual spellings come back as they were written.
    #[test]
    fn written_back_in_the_same_manner() {
        for text in ["64MiB", "4GiB", "512KB", "1000B", "0", "1TB", "500KB", "1023"] {
            let size: ByteSize = text.parse().unwrap();
            let expected = if text == "1000B" { "1KB" } else { text };
            assert_eq!(size.to_string(), expected);
        }
        for text in ["10s", "5m", "1h30m", "500ms", "0s", "1m1s1ms"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }

    proptest! {
        // Guarantees that every size and every duration survives being written and read.
        #[test]
        fn round_trip(number in any::<u64>(), shift in 0u32..64) {
            let size = ByteSize(number >> shift);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
            let duration = Duration::from_millis(number >> shift);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        // Guarantees that no text makes the readers panic.
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            let _ = text.parse::<ByteSize>();
            let _ = parse_duration(&text);
        }
    }
}
