//! Numbers and times as people read them.

use jiff::Timestamp;
use maud::{Markup, html};

/// What a number is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Calls, tokens, bytes: so many of something.
    Count,
    /// So many a second.
    PerSecond,
    /// Seconds.
    Seconds,
    /// Dollars.
    Dollars,
    /// Bytes.
    Bytes,
    /// A share of 0 to 1.
    Share,
}

impl Unit {
    /// The unit of a field, by its UCUM name.
    pub(super) fn of(ucum: &str) -> Self {
        match ucum {
            "s" => Self::Seconds,
            "{USD}" => Self::Dollars,
            "1" => Self::Share,
            rate if rate.ends_with("/s") => Self::PerSecond,
            _ => Self::Count,
        }
    }

    /// A number with its unit.
    pub(super) fn text(self, value: f64) -> String {
        match self {
            Self::Count => scaled(value),
            Self::PerSecond => format!("{}/s", scaled(value)),
            Self::Bytes => match scaled(value) {
                plain if plain.ends_with(|last: char| last.is_ascii_digit()) => format!("{plain} B"),
                scaled => format!("{scaled}B"),
            },
            Self::Seconds => seconds(value),
            Self::Dollars if value != 0.0 && value.abs() < 0.01 => format!("${:0<4}", significant(value)),
            // An axis has steps of half a cent.
            Self::Dollars if value != 0.0 && value.abs() < 0.1 => {
                let text = format!("${value:.3}");
                text.strip_suffix('0').map(str::to_owned).unwrap_or(text)
            }
            Self::Dollars if value.abs() < 1_000.0 => format!("${value:.2}"),
            Self::Dollars => format!("${}", scaled(value)),
            Self::Share => format!("{} %", significant(value * 100.0)),
        }
    }
}

/// A number in thousands, millions and so on.
fn scaled(value: f64) -> String {
    let scales = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];
    // 999,950 is written as a million, not as 1000 thousand; four digits are as short as three and a letter
    let scale = scales.into_iter().find(|(scale, _)| value.abs() >= scale * 0.999_95 && value.abs() >= 10_000.0);
    let text =
        scale.map_or_else(|| significant(value), |(scale, name)| format!("{}{name}", significant(value / scale)));
    if text.len() == 4 && text.bytes().all(|digit| digit.is_ascii_digit()) {
        let (thousands, rest) = text.split_at(1);
        return format!("{thousands},{rest}");
    }
    text
}

/// Three significant digits, and all digits before the point.
fn significant(value: f64) -> String {
    let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    let digits = (2.0 - magnitude).clamp(0.0, 6.0) as usize;
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn seconds(value: f64) -> String {
    match value.abs() {
        0.0 => "0 s".to_owned(),
        small if small < 0.001 => format!("{} µs", significant(value * 1e6)),
        small if small < 1.0 => format!("{} ms", significant(value * 1e3)),
        medium if medium < 120.0 => format!("{} s", significant(value)),
        large if large < 7_200.0 => format!("{} min", significant(value / 60.0)),
        large if large < 172_800.0 => format!("{} h", significant(value / 3_600.0)),
        _ => format!("{} d", significant(value / 86_400.0)),
    }
}

/// A number that can be read by people and by machines; a dash if it is not known.
pub(super) fn data(unit: Unit, value: Option<f64>) -> Markup {
    html! {
        @match value {
            Some(value) => data value=(value) { (unit.text(value)) },
            None => span.unknown title="not known" { "–" },
        }
    }
}

/// A count that can be read by people and by machines.
pub(super) fn count(value: u64) -> Markup {
    html! { data value=(value) { (Unit::Count.text(value as f64)) } }
}

/// A time, without the date if it is of the day of `now`.
pub(super) fn time(nanos: u64, now: u64) -> Markup {
    let day = 86_400_000_000_000;
    let format = if nanos / day == now / day { "%H:%M:%S" } else { "%b %d, %H:%M:%S" };
    html! { time datetime=(formatted(nanos, "%Y-%m-%dT%H:%M:%SZ")) { (formatted(nanos, format)) } }
}

/// A time in UTC.
pub(super) fn formatted(nanos: u64, format: &str) -> String {
    let time = Timestamp::from_nanosecond(nanos.into());
    time.map(|time| time.strftime(format).to_string()).unwrap_or_default()
}

/// A name, or what stands for one that was not told.
pub(super) fn name(name: &str) -> &str {
    match name {
        "" => "(none)",
        monitor::REST => "others",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Numbers keep three significant digits in their greatest unit, and never lose digits before the point.
    #[test]
    fn numbers_are_short() {
        for (unit, value, expected) in [
            (Unit::Count, 0.0, "0"),
            (Unit::Count, 950.0, "950"),
            (Unit::Count, 9_999.0, "9,999"),
            (Unit::Count, 12_345.0, "12.3 k"),
            (Unit::Count, 999_999.0, "1 M"),
            (Unit::Count, 1_234_567_890.0, "1.23 G"),
            (Unit::PerSecond, 0.25, "0.25/s"),
            (Unit::Bytes, 6_854.0, "6,854 B"),
            (Unit::Bytes, 286_000.0, "286 kB"),
            (Unit::Seconds, 0.000_8, "800 µs"),
            (Unit::Seconds, 0.812_4, "812 ms"),
            (Unit::Seconds, 12.0, "12 s"),
            (Unit::Seconds, 600.0, "10 min"),
            (Unit::Dollars, 0.0, "$0.00"),
            (Unit::Dollars, 0.001_234, "$0.00123"),
            (Unit::Dollars, 0.015, "$0.015"),
            (Unit::Dollars, 0.5, "$0.50"),
            (Unit::Dollars, 0.02, "$0.02"),
            (Unit::Dollars, 0.998, "$1.00"),
            (Unit::Dollars, 12.5, "$12.50"),
            (Unit::Dollars, 12_500.0, "$12.5 k"),
            (Unit::Share, 0.012_34, "1.23 %"),
            (Unit::Share, 1.0, "100 %"),
            (Unit::Share, 12.345, "1234 %"),
        ] {
            assert_eq!(unit.text(value), expected);
        }
    }
}
