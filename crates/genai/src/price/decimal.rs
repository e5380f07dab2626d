//! Prices as exact integers, read from their decimal text.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use thiserror::Error;

/// Decimals that a price may have. Catalogues hold doubles printed as text (0.08333333333333334), so six are not enough.
const SCALE: u32 = 21;
const ONE: u128 = 10_u128.pow(SCALE);
/// The largest price in dollars: with it, 2^33 tokens still fit into 128 bits.
const MAX: u128 = 1_000_000;

/// A price in dollars for a million tokens (or a thousand requests), counted in 10^-21 $, never a float.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price(u128);

/// A text is not a price.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidPrice {
    /// No decimal number.
    #[error("expected a decimal number, found {0:?}")]
    NotANumber(String),
    /// Below zero.
    #[error("expected a price that is not negative, found {0:?}")]
    Negative(String),
    /// More decimals than can be kept.
    #[error("expected at most 21 decimals, found {0:?}")]
    TooFine(String),
    /// Beyond any price.
    #[error("expected at most 1000000, found {0:?}")]
    TooLarge(String),
}

impl Price {
    /// Reads `12`, `0.25`, `1e-3`: every digit counts.
    pub fn parse(text: &str) -> Result<Self, InvalidPrice> {
        let not_a_number = || InvalidPrice::NotANumber(text.to_owned());
        let (unsigned, negative) = match text.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().map_err(|_| not_a_number())?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(fraction) || text.len() > 100 {
            return Err(not_a_number());
        }

        let fraction = fraction.trim_end_matches('0');
        let digits = format!("{whole}{fraction}");
        let digits = digits.trim_start_matches('0');
        if digits.is_empty() {
            return Ok(Self(0));
        }
        if negative {
            return Err(InvalidPrice::Negative(text.to_owned()));
        }
        let significant = digits.trim_end_matches('0');
        let zeros = digits.len() - significant.len();
        // The text is at most 100 characters long and the exponent 16 bits wide: nothing overflows.
        let shift = i64::from(SCALE) + i64::from(exponent) + zeros as i64 - fraction.len() as i64;
        let too_large = || InvalidPrice::TooLarge(text.to_owned());
        let shift = u32::try_from(shift).map_err(|_| InvalidPrice::TooFine(text.to_owned()))?;
        let value: u128 = significant.parse().map_err(|_| too_large())?;
        let scaled = 10_u128.checked_pow(shift).and_then(|power| value.checked_mul(power)).ok_or_else(too_large)?;
        if scaled > MAX * ONE { Err(too_large()) } else { Ok(Self(scaled)) }
    }

    /// This price times a factor, if the product can be kept exactly.
    pub(super) fn times(self, factor: Self) -> Option<Self> {
        let (mut factor, mut decimals) = (factor.0, SCALE);
        while decimals > 0 && factor.is_multiple_of(10) {
            (factor, decimals) = (factor / 10, decimals - 1);
        }
        let product = self.0.checked_mul(factor)?;
        let divisor = 10_u128.pow(decimals);
        let exact = product / divisor;
        (product.is_multiple_of(divisor) && exact <= MAX * ONE).then_some(Self(exact))
    }

    /// Pico-dollars for each token at this price a million, if they are a whole number: up to six decimals they are.
    pub(super) fn pico_each(self) -> Option<u64> {
        let (pico, rest) = (self.0 / Exact::PER_PICO, self.0 % Exact::PER_PICO);
        if rest == 0 { u64::try_from(pico).ok() } else { None }
    }

    /// What so many tokens cost at this price a million, or so many requests at this price a thousand, exactly.
    pub(super) fn of(self, count: u64, unit: Per) -> Exact {
        let each = match unit {
            Per::Million => self.0,
            Per::Thousand => self.0 * 1_000,
        };
        Exact(each.saturating_mul(u128::from(count)))
    }
}

/// How many units a price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Per {
    /// Tokens.
    Million,
    /// Requests.
    Thousand,
}

/// An amount before it is rounded, counted in 10^-27 $: a price of a million tokens with 21 decimals, times tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Exact(u128);

impl Exact {
    const PER_PICO: u128 = 10_u128.pow(15);

    /// The sum.
    pub fn plus(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }

    /// The nearest number of pico-dollars; half of one goes to the even neighbour.
    pub fn to_pico(self) -> i128 {
        let (whole, rest) = (self.0 / Self::PER_PICO, self.0 % Self::PER_PICO);
        let up = match (rest * 2).cmp(&Self::PER_PICO) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => whole % 2 == 1,
            std::cmp::Ordering::Greater => true,
        };
        i128::try_from(whole + u128::from(up)).unwrap_or(i128::MAX)
    }
}

/// The exact number of dollars, without trailing zeros.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal(f, self.0, SCALE as usize)
    }
}

/// The exact number of dollars, without trailing zeros.
impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal(f, self.0, 27)
    }
}

fn decimal(f: &mut fmt::Formatter<'_>, value: u128, scale: usize) -> fmt::Result {
    let digits = format!("{value:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    match fraction.trim_end_matches('0') {
        "" => f.pad(whole),
        fraction => f.pad(&format!("{whole}.{fraction}")),
    }
}

/// From the text of a number, or a whole number. A binary float is refused: its decimals are not those that were written.
impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PriceVisitor;

        impl Visitor<'_> for PriceVisitor {
            type Value = Price;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number of dollars")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Price, E> {
                Price::parse(text).map_err(|error| {
                    E::custom(match error {
                        InvalidPrice::NotANumber(_) => "expected a decimal number of dollars",
                        InvalidPrice::Negative(_) => "expected a price that is not negative",
                        InvalidPrice::TooFine(_) => "expected at most 21 decimals",
                        InvalidPrice::TooLarge(_) => "expected at most 1000000",
                    })
                })
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Price, E> {
                self.visit_str(&number.to_string())
            }
        }

        deserializer.deserialize_any(PriceVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Every digit of a price is kept, whatever form its text has.
    #[test]
    fn prices_are_exact() {
        for (text, shown) in [
            ("0", "0"),
            ("-0.0", "0"),
            ("15", "15"),
            ("0.075", "0.075"),
            ("2.50", "2.5"),
            ("0.08333333333333334", "0.08333333333333334"),
            ("0.18000000000000002", "0.18000000000000002"),
            ("1e-7", "0.0000001"),
            ("12.5E+2", "1250"),
            ("0.000000000000000000001", "0.000000000000000000001"),
            ("1000000", "1000000"),
            ("000001.000", "1"),
        ] {
            assert_eq!(Price::parse(text).map(|price| price.to_string()), Ok(shown.to_owned()), "{text}");
        }
    }

    // What is not a price is told apart from what cannot be kept.
    #[test]
    fn what_is_no_price_is_refused() {
        for text in ["", ".", "1.", ".5", "1e", "e5", "1,5", "NaN", "inf", "0x1", "+1", "1_0", " 1", "1e99999"] {
            assert!(matches!(Price::parse(text), Err(InvalidPrice::NotANumber(_))), "{text}");
        }
        assert!(matches!(Price::parse("-1"), Err(InvalidPrice::Negative(_))));
        assert!(matches!(Price::parse("1e-22"), Err(InvalidPrice::TooFine(_))));
        for text in ["1000000.1", "1e7", "1e30000", "123456789012345678901234567890123456789012345"] {
            assert!(matches!(Price::parse(text), Err(InvalidPrice::TooLarge(_))), "{text}");
        }
    }

    // A factor is applied exactly or not at all.
    #[test]
    fn factors_are_exact() {
        let price = |text: &str| Price::parse(text).unwrap();
        assert_eq!(price("2.5").times(price("0.5")), Some(price("1.25")));
        assert_eq!(price("0.000000000000000000001").times(price("0.5")), None);
        assert_eq!(price("1000000").times(price("2")), None);
    }

    // Half a pico-dollar goes to the even neighbour.
    #[test]
    fn rounding_is_half_even() {
        for (tenths, pico) in [(14, 1), (15, 2), (16, 2), (24, 2), (25, 2), (26, 3), (35, 4)] {
            assert_eq!(Exact(tenths * Exact::PER_PICO / 10).to_pico(), pico);
        }
    }

    proptest! {
        // Reading what was written gives the same price, and no text makes the reader fail otherwise than by an error.
        #[test]
        fn written_prices_are_read_back(value in 0..=MAX * ONE, text in "[-+0-9.eE]{0,40}") {
            prop_assert_eq!(Price::parse(&Price(value).to_string()), Ok(Price(value)));
            let _ = Price::parse(&text);
        }
    }
}
