//! When a price holds: from a day on, or during a part of every day, both in UTC.

use std::fmt;

use jiff::civil::{Date, Time};
use jiff::tz::Offset;
use serde::Deserialize;

use super::error::Fault;

const NANOS_OF_DAY: u64 = 24 * 60 * 60 * 1_000_000_000;

/// When a conditional price of the catalogue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Constraint {
    /// From the beginning of a day on.
    From(Day),
    /// From a nanosecond of the day (inclusive) to another (exclusive), over midnight if the end is before the start.
    Daily { start: u64, end: u64 },
}

#[derive(Deserialize)]
struct RawConstraint {
    start_date: Option<String>,
    start_time: Option<String>,
    end_time: Option<String>,
}

impl Constraint {
    /// Reads a constraint; `null` is none.
    pub fn parse(json: &str) -> Result<Option<Self>, Fault> {
        match serde_json::from_str(json)? {
            None => Ok(None),
            Some(RawConstraint { start_date: Some(date), start_time: None, end_time: None }) => {
                Day::parse(&date).map(|day| Some(Self::From(day))).ok_or(Fault::Date(date))
            }
            Some(RawConstraint { start_date: None, start_time: Some(start), end_time: Some(end) }) => {
                let time = |text: String| time_of_day(&text).ok_or(Fault::Time(text));
                Ok(Some(Self::Daily { start: time(start)?, end: time(end)? }))
            }
            Some(_) => Err(Fault::Constraint),
        }
    }

    /// Whether the price holds at a time, nanoseconds since the Unix epoch.
    pub fn holds(self, time: u64) -> bool {
        match self {
            Self::From(day) => day.has_begun(time),
            Self::Daily { start, end } => {
                let now = time % NANOS_OF_DAY;
                if end < start { now >= start || now < end } else { start <= now && now < end }
            }
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |nanos: u64| {
            let seconds = nanos / 1_000_000_000;
            format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
        };
        match self {
            Self::From(day) => write!(f, "from {day} on"),
            Self::Daily { start, end } => write!(f, "daily {} to {} UTC", clock(*start), clock(*end)),
        }
    }
}

/// A day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day {
    date: Date,
    /// Its first second since the Unix epoch.
    begin: i64,
}

impl Day {
    /// Reads `2026-01-31`.
    pub fn parse(text: &str) -> Option<Self> {
        let date: Date = text.parse().ok().filter(|date: &Date| date.to_string() == text)?;
        let begin = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?.as_second();
        Some(Self { date, begin })
    }

    /// Whether a time, nanoseconds since the Unix epoch, is on this day or after it.
    pub fn has_begun(self, time: u64) -> bool {
        i64::try_from(time / 1_000_000_000).unwrap_or(i64::MAX) >= self.begin
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date.fmt(f)
    }
}

/// The nanosecond of the day in UTC of `16:30:00Z`, `08:30+08:00` or `16:30`.
fn time_of_day(text: &str) -> Option<u64> {
    let (clock, offset) = match text.rfind(['+', '-']) {
        Some(at) => (text.get(..at)?, text.get(at..)?),
        None => (text.strip_suffix(['Z', 'z']).unwrap_or(text), "+00:00"),
    };
    let nanos = |time: &str| {
        let time: Time = time.parse().ok()?;
        let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second());
        Some(seconds * 1_000_000_000 + i64::from(time.subsec_nanosecond()))
    };
    let ahead = nanos(offset.get(1..)?)?;
    let east = if offset.starts_with('-') { -ahead } else { ahead };
    u64::try_from((nanos(clock)? - east).rem_euclid(i64::try_from(NANOS_OF_DAY).ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        let timestamp: jiff::Timestamp = text.parse().unwrap();
        timestamp.as_nanosecond().try_into().unwrap()
    }

    fn constraint(json: &str) -> Constraint {
        Constraint::parse(json).unwrap().unwrap()
    }

    // A price of a day holds from midnight UTC on.
    #[test]
    fn days_begin_at_midnight_utc() {
        let from = constraint(r#"{"start_date": "2026-09-01"}"#);
        assert!(!from.holds(at("2026-08-31T23:59:59.999999999Z")));
        assert!(from.holds(at("2026-09-01T00:00:00Z")) && from.holds(u64::MAX));
        assert!(constraint(r#"{"start_date": "1969-12-31"}"#).holds(0));
        assert_eq!(from.to_string(), "from 2026-09-01 on");
    }

    // A price of the day holds from its start to before its end, over midnight too, in UTC whatever offset it is written with.
    #[test]
    fn parts_of_the_day() {
        let day = constraint(r#"{"start_time": "00:30:00Z", "end_time": "16:30:00Z"}"#);
        let shifted = constraint(r#"{"start_time": "08:30:00+08:00", "end_time": "00:30+08:00"}"#);
        assert_eq!(day, shifted);
        let night = constraint(r#"{"start_time": "16:30", "end_time": "00:30:00"}"#);
        for (time, is_day) in [("00:29:59.999", false), ("00:30:00", true), ("16:29:59", true), ("16:30:00", false)] {
            let time = at(&format!("2026-02-03T{time}Z"));
            assert_eq!((day.holds(time), night.holds(time)), (is_day, !is_day));
        }
        assert_eq!(day.to_string(), "daily 00:30:00 to 16:30:00 UTC");
    }

    // A constraint that is not understood is refused: its price must not hold always.
    #[test]
    fn unknown_constraints_are_refused() {
        for json in [
            r#"{"weekday": "sunday"}"#,
            r#"{"start_date": "2026-13-01"}"#,
            r#"{"start_date": "20260101"}"#,
            r#"{"start_time": "00:30:00Z"}"#,
            r#"{"start_time": "25:00", "end_time": "1:00"}"#,
            "3",
        ] {
            assert!(Constraint::parse(json).is_err(), "{json}");
        }
        assert_eq!(Constraint::parse("null").unwrap(), None);
    }
}
