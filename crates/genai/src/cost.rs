//! What the instrumentation says a call cost.

use std::io::Write;

use otlp::{Text, Value};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::coerce;
use crate::money::Money;

/// More than this for one call is a mistake.
const MAX: Money = Money::from_pico(1_000_000 * Money::PER_DOLLAR);
/// Larger objects are none with costs in it.
const MAX_SIZE: usize = 64 * 1024;

/// An amount of dollars. Nothing if it is negative, no number or absurd, and if it is zero: libraries write that for models
/// of which they know no price.
pub(crate) fn dollars(found: Value, body: &[u8]) -> Option<Money> {
    match found {
        Value::Int(dollars) => accept(Money::from_pico(i128::from(dollars) * Money::PER_DOLLAR)),
        Value::Double(dollars) => of_double(dollars),
        Value::String(_) => accept(decimal(std::str::from_utf8(coerce::text(found, body).bytes(body)).ok()?)?),
        _ => None,
    }
}

/// The total of an object with costs; without one, what its only two parts, input and output, add up to.
pub(crate) fn of_object(text: Text, body: &[u8]) -> Option<Money> {
    let bytes = text.bytes(body);
    if bytes.len() > MAX_SIZE {
        return None;
    }
    let mut parts = Parts::default();
    serde_json::Deserializer::from_slice(bytes).deserialize_map(&mut parts).ok()?;
    let (input, output) = (parts.input.filter(|_| !parts.has_others), parts.output);
    parts.total.or_else(|| Some(input? + output?))
}

fn accept(amount: Money) -> Option<Money> {
    (amount > Money::ZERO && amount <= MAX).then_some(amount)
}

/// A double by its shortest decimal text that reads back as the same: that is what was meant.
fn of_double(dollars: f64) -> Option<Money> {
    if !dollars.is_finite() || dollars <= 0.0 {
        return None;
    }
    let mut text = [0; 40];
    let mut rest = &mut text[..];
    write!(rest, "{dollars:e}").ok()?;
    let length = 40 - rest.len();
    accept(decimal(std::str::from_utf8(text.get(..length)?).ok()?)?)
}

/// A decimal number of dollars, exact to the pico-dollar, halves rounded up. Signs but `+` are none that an amount has.
fn decimal(text: &str) -> Option<Money> {
    let text = text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // Pico-dollars are the digits shifted by so many places.
    let mut shift = exponent.checked_add(12)?;
    let mut digits: i128 = 0;
    for (byte, is_fraction) in whole.bytes().map(|byte| (byte, false)).chain(fraction.bytes().map(|byte| (byte, true)))
    {
        if !byte.is_ascii_digit() {
            return None;
        }
        // Beyond what is kept, digits only say how long the number is.
        let is_kept = digits < 10_i128.pow(30);
        if is_kept {
            digits = digits * 10 + i128::from(byte - b'0');
        }
        shift += match (is_kept, is_fraction) {
            (true, true) => -1,
            (false, false) => 1,
            _ => 0,
        };
    }
    let pico = match u32::try_from(shift) {
        Ok(up) => digits.checked_mul(10_i128.checked_pow(up)?)?,
        Err(_) => match 10_i128.checked_pow(shift.unsigned_abs()) {
            Some(by) => digits / by + i128::from(digits % by * 2 >= by),
            None => 0,
        },
    };
    Some(Money::from_pico(pico))
}

/// The costs in an object.
#[derive(Default)]
struct Parts {
    total: Option<Money>,
    input: Option<Money>,
    output: Option<Money>,
    has_others: bool,
}

impl<'de> Visitor<'de> for &mut Parts {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object with costs")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            let part = match key.as_ref() {
                "total" | "total_cost" | "response_cost" => &mut self.total,
                "input" | "input_cost" => &mut self.input,
                "output" | "output_cost" => &mut self.output,
                other => {
                    self.has_others |= !other.contains("percent");
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            *part = map.next_value::<serde_json::Value>().map(|value| match value {
                serde_json::Value::Number(number) => number.as_f64().and_then(of_double),
                serde_json::Value::String(text) => decimal(&text).and_then(accept),
                _ => None,
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_text(text: &str) -> Option<i128> {
        dollars(Value::String(Text::new(0, text.len() as u32)), text.as_bytes()).map(Money::pico)
    }

    // Decimals are exact, whatever their form; what is no amount gives none.
    #[test]
    fn decimals_are_exact() {
        for (text, pico) in [
            ("0.0002607", 260_700_000),
            ("8.115e-05", 81_150_000),
            ("3.4949999999999996e-05", 34_950_000),
            ("1", 1_000_000_000_000),
            (" +2.50 ", 2_500_000_000_000),
            ("0.0000000000005", 1),
            ("\"0.1\"", 100_000_000_000),
            ("123456.123456789012", 123_456_123_456_789_012),
            ("0.00000000000000000000000000000000000000000000000000001e50", 1_000_000_000),
        ] {
            assert_eq!(of_text(text), Some(pico), "{text}");
        }
        for none in [
            "",
            ".",
            "-1",
            "nan",
            "inf",
            "1e300",
            "1e-300",
            "0",
            "0.0",
            "1.2.3",
            "1e",
            "9999999",
            "1e99999999999",
            "$1",
        ] {
            assert_eq!(of_text(none), None, "{none}");
        }
    }

    // A double is the decimal that it was written as.
    #[test]
    fn doubles_are_their_shortest_text() {
        for (dollars, pico) in
            [(0.1, Some(100_000_000_000)), (8.115e-05, Some(81_150_000)), (1e-13, None), (f64::NAN, None)]
        {
            assert_eq!(super::dollars(Value::Double(dollars), b"").map(Money::pico), pico, "{dollars}");
        }
        assert_eq!(dollars(Value::Double(-1.0), b""), None);
        assert_eq!(dollars(Value::Int(2), b"").map(Money::pico), Some(2 * Money::PER_DOLLAR));
    }

    // Of an object the total counts; parts only where nothing but input and output is told.
    #[test]
    fn objects() {
        let of = |json: &str| of_object(Text::new(0, json.len() as u32), json.as_bytes()).map(Money::pico);
        assert_eq!(of(r#"{"input": 1, "output": 2, "total": 0.5}"#), Some(Money::PER_DOLLAR / 2));
        assert_eq!(of(r#"{"input_cost": 0.25, "output_cost": "0.5"}"#), Some(Money::PER_DOLLAR * 3 / 4));
        assert_eq!(of(r#"{"input": 0.25, "output": 0.5, "input_cache_read": 0.1}"#), None);
        assert_eq!(of(r#"{"input": 0.25}"#), None);
        assert_eq!(
            of(r#"{"response_cost": 8.115e-05, "api_base": "x", "additional_headers": {"a": [1]}}"#),
            Some(81_150_000)
        );
        assert_eq!(of(r#"{"total": 0}"#), None);
        assert_eq!(of("[1]"), None);
    }
}
