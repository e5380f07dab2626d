//! Numbers of what has a name: its place in a list, counted from one; zero is nothing. A later version must read them:
//! what is new goes to the end of its list, and what is gone leaves its place.

use genai::{Inconsistency, ReportPart};

use super::RestoreError;

pub(super) const INCONSISTENCIES: &[Inconsistency] = &[
    Inconsistency::CacheExceedsInput,
    Inconsistency::ReasoningExceedsOutput,
    Inconsistency::TotalMismatch,
    Inconsistency::InvalidCount,
];

pub(super) const REPORT_PARTS: &[ReportPart] = &[ReportPart::Request, ReportPart::StreamEnd];

/// The number of a value of a list.
pub(super) fn code<T: PartialEq>(all: &[T], value: T) -> u32 {
    all.iter().position(|known| *known == value).map_or(0, |place| place as u32 + 1)
}

/// What a number means in a field, if it means anything.
pub(super) fn named<T: Copy>(all: &[T], code: u32, field: &'static str) -> Result<Option<T>, RestoreError> {
    let Some(place) = code.checked_sub(1) else { return Ok(None) };
    match all.get(place as usize) {
        Some(known) => Ok(Some(*known)),
        None => Err(RestoreError::invalid(field, "a number that means nothing")),
    }
}

/// What a number means in a field that must not be empty.
pub(super) fn required<T: Copy>(all: &[T], code: u32, field: &'static str) -> Result<T, RestoreError> {
    named(all, code, field)?.ok_or_else(|| RestoreError::invalid(field, "missing"))
}

#[cfg(test)]
mod tests {
    use genai::ErrorClass;

    use super::*;
    use crate::key::Kind;
    use crate::outcome::{Outcome, REASONS};
    use crate::pricing::{Coverage, SOURCES};

    fn is_one_to_one<T: Copy + PartialEq + std::fmt::Debug>(all: &[T]) {
        for (place, value) in all.iter().enumerate() {
            assert_eq!(code(all, *value) as usize, place + 1, "{value:?} stands twice");
            assert_eq!(named(all, code(all, *value), "x"), Ok(Some(*value)));
        }
        assert_eq!(named(all, 0, "x"), Ok(None));
        assert!(required(all, 0, "x").is_err() && named(all, all.len() as u32 + 1, "x").is_err());
    }

    // Everything that has a name has one number, and a number without a name is refused.
    #[test]
    fn codes_are_one_to_one() {
        is_one_to_one(&ErrorClass::ALL);
        is_one_to_one(&Kind::ALL);
        is_one_to_one(&Coverage::ALL);
        is_one_to_one(&Outcome::ALL);
        is_one_to_one(INCONSISTENCIES);
        is_one_to_one(REPORT_PARTS);
        is_one_to_one(REASONS);
        is_one_to_one(SOURCES);
    }
}
