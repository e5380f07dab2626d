//! Money as an exact integer.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

/// An amount of US dollars, counted in pico-dollars (10^-12 $).
///
/// A price per million tokens with up to six decimals is a whole number of pico-dollars per token, so the cost of a call is
/// exact, and so is every sum of costs: 128 bits hold 10^26 $.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Money(i128);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Pico-dollars in a dollar.
    pub const PER_DOLLAR: i128 = 1_000_000_000_000;

    /// So many pico-dollars.
    pub const fn from_pico(pico: i128) -> Self {
        Self(pico)
    }

    /// The number of pico-dollars.
    pub const fn pico(self) -> i128 {
        self.0
    }

    /// The amount in dollars as a double, for the wire only: OTLP's numbers are doubles or 64-bit integers.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / Self::PER_DOLLAR as f64
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, more: Self) {
        *self = *self + more;
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Add::add)
    }
}

/// The exact decimal number of dollars, without trailing zeros.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dollars, pico) = (self.0 / Self::PER_DOLLAR, (self.0 % Self::PER_DOLLAR).unsigned_abs());
        let sign = if self.0 < 0 { "-" } else { "" };
        let fraction = format!("{pico:012}");
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{sign}{}", dollars.unsigned_abs()),
            fraction => write!(f, "{sign}{}.{fraction}", dollars.unsigned_abs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // An amount is written exactly, whatever its size and sign.
    #[test]
    fn amounts_are_written_exactly() {
        for (pico, text) in [
            (0, "0"),
            (1, "0.000000000001"),
            (-1, "-0.000000000001"),
            (2_500_000, "0.0000025"),
            (3 * Money::PER_DOLLAR, "3"),
            (-12_345_000_000_000, "-12.345"),
        ] {
            assert_eq!(Money::from_pico(pico).to_string(), text);
        }
    }
}
