//! What a call costs at given prices.

use std::fmt;
use std::ops::AddAssign;

use super::decimal::{Exact, Price};
use super::rates::{COUNT, Tariffs, UNITS, Unit};
use crate::money::Money;
use crate::usage::Usage;

/// What a call costs, by class of tokens.
///
/// Rounding: prices are kept with all their decimals, and the running sum over the classes is rounded to pico-dollars (half to
/// even), so that the total is the exact sum rounded once and the classes add up to it. A price with up to six decimals a
/// million tokens needs no rounding at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Prompt tokens that no cache held.
    pub input_uncached: Money,
    /// Prompt tokens read from a cache.
    pub cache_read: Money,
    /// Prompt tokens written to a cache, for five minutes or an hour.
    pub cache_write: Money,
    /// Generated tokens that the caller sees.
    pub output_visible: Money,
    /// Generated tokens of reasoning.
    pub reasoning: Money,
    /// The call itself, where a provider bills requests beside tokens.
    pub request: Money,
    /// Tokens in a direction that has no price, e.g. output of an embedding model: what they cost is not known and not in the
    /// total.
    pub unpriced_tokens: u64,
}

impl Cost {
    /// The sum.
    pub fn total(&self) -> Money {
        let (input, output) =
            (self.input_uncached + self.cache_read + self.cache_write, self.output_visible + self.reasoning);
        input + output + self.request
    }

    /// The five classes of tokens, in the order of [`crate::TokenClasses`], and the request.
    pub fn by_class(&self) -> [(&'static str, Money); 6] {
        [
            ("input_uncached", self.input_uncached),
            ("cache_read", self.cache_read),
            ("cache_write", self.cache_write),
            ("output_visible", self.output_visible),
            ("reasoning", self.reasoning),
            ("request", self.request),
        ]
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, more: Self) {
        self.input_uncached += more.input_uncached;
        self.cache_read += more.cache_read;
        self.cache_write += more.cache_write;
        self.output_visible += more.output_visible;
        self.reasoning += more.reasoning;
        self.request += more.request;
        self.unpriced_tokens = self.unpriced_tokens.saturating_add(more.unpriced_tokens);
    }
}

/// One line of a bill: so many of something at a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    /// What was used.
    pub unit: Unit,
    /// How much of it.
    pub count: u64,
    /// The unit whose price it is billed at, and that price; `None` if nobody says what it costs.
    pub price: Option<(Unit, Price)>,
}

impl Line {
    const NOTHING: Self = Self { unit: Unit::Request, count: 0, price: None };

    /// What it costs, exactly.
    pub fn cost(&self) -> Exact {
        self.price.map_or(Exact::default(), |(unit, price)| price.of(self.count, unit.row().per))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<15} {:>12}", self.unit.row().name, self.count)?;
        let Some((unit, price)) = self.price else {
            return f.write_str("   no price: not in the sum");
        };
        let per = if unit == Unit::Request { "1000" } else { "1000000" };
        write!(f, " x ${price} / {per} = ${}", self.cost())?;
        if unit != self.unit {
            write!(f, "   (at the price of {})", unit.row().name)?;
        }
        Ok(())
    }
}

/// The lines of a bill, one a unit.
pub(super) struct Bill(pub [Line; COUNT]);

impl Bill {
    /// The bill of a usage; `None` where genai-prices refuses it: a part is larger than its whole, or is told without it, or has
    /// a price where the whole has none. Also `None` if there is no price at all, or no usage.
    ///
    /// Allocates nothing.
    pub fn new(tariffs: &Tariffs<'_>, usage: &Usage) -> Option<Self> {
        let used = Used(usage);
        let is_told = UNITS.iter().any(|row| used.told(row.unit).is_some());
        if !is_told || tariffs.iter().all(Option::is_none) {
            return None;
        }
        let own = own_counts(tariffs, used)?;
        let needs_input = tariffs.iter().flatten().any(|tariff| !tariff.tiers.is_empty());
        let input_tokens = if needs_input { used.count(Unit::Input)? } else { 0 };
        let price = |unit: Unit| {
            let tariff = tariffs[unit as usize]?;
            Some((unit, tariff.tier(input_tokens).map_or(tariff.base, |tier| tier.price)))
        };

        let mut lines = [Line::NOTHING; COUNT];
        // What has no price of its own is billed with its whole, and shown apart.
        let mut left = own;
        for row in UNITS.iter().rev() {
            let unit = row.unit;
            let priced_as = priced_as(tariffs, unit);
            let count = match row.whole {
                None => left[unit as usize],
                Some(_) if priced_as == Some(unit) => left[unit as usize],
                Some(whole) => {
                    let pool = priced_as.unwrap_or_else(|| outermost(whole));
                    let mut parts = used.told(unit).unwrap_or(0);
                    // Its own parts that have no price either have been taken out already.
                    for part in UNITS.iter().filter(|part| part.unit.is_part_of(unit)) {
                        parts = parts.saturating_sub(lines[part.unit as usize].count);
                    }
                    let taken = parts.min(left[pool as usize]);
                    left[pool as usize] -= taken;
                    taken
                }
            };
            lines[unit as usize] = Line { unit, count, price: priced_as.and_then(price) };
        }
        Some(Self(lines))
    }

    /// The bill by class.
    pub fn cost(&self) -> Cost {
        let (mut sum, mut rounded) = (Exact::default(), 0);
        let mut next = |units: &[Unit]| {
            let added = units.iter().fold(Exact::default(), |added, unit| added.plus(self.0[*unit as usize].cost()));
            if added == Exact::default() {
                return Money::ZERO;
            }
            sum = sum.plus(added);
            let before = std::mem::replace(&mut rounded, sum.to_pico());
            Money::from_pico(rounded - before)
        };
        Cost {
            input_uncached: next(&[Unit::Input]),
            cache_read: next(&[Unit::CacheRead]),
            cache_write: next(&[Unit::CacheWrite, Unit::CacheWrite1h]),
            output_visible: next(&[Unit::Output]),
            reasoning: next(&[Unit::Reasoning]),
            request: next(&[Unit::Request]),
            unpriced_tokens: self.unpriced_tokens(),
        }
    }

    fn unpriced_tokens(&self) -> u64 {
        let unpriced = self.0.iter().filter(|line| line.price.is_none() && line.unit != Unit::Request);
        unpriced.map(|line| line.count).sum()
    }

    /// The exact sum, before rounding.
    pub fn sum(&self) -> Exact {
        self.0.iter().fold(Exact::default(), |sum, line| sum.plus(line.cost()))
    }
}

/// How much of each unit is billed at its own price: what is told, without its priced parts. Units without a price keep what they
/// have only if they are whole.
fn own_counts(tariffs: &Tariffs<'_>, used: Used<'_>) -> Option<[u64; COUNT]> {
    let mut own = [0; COUNT];
    for row in UNITS.iter().rev() {
        let unit = row.unit;
        if tariffs[unit as usize].is_none() {
            if row.whole.is_none() {
                own[unit as usize] = used.told(unit).unwrap_or(0);
            }
            continue;
        }
        if row.whole.is_some_and(|whole| tariffs[whole as usize].is_none()) {
            return None;
        }
        let parts = UNITS.iter().filter(|part| part.unit.is_part_of(unit) && tariffs[part.unit as usize].is_some());
        let parts: u64 = parts.map(|part| own[part.unit as usize]).sum();
        own[unit as usize] = used.count(unit)?.checked_sub(parts)?;
    }
    Some(own)
}

/// The unit at whose price a unit is billed.
fn priced_as(tariffs: &Tariffs<'_>, unit: Unit) -> Option<Unit> {
    match tariffs[unit as usize] {
        Some(_) => Some(unit),
        None => priced_as(tariffs, unit.row().whole?),
    }
}

fn outermost(unit: Unit) -> Unit {
    unit.row().whole.map_or(unit, outermost)
}

/// What a usage tells of each unit.
#[derive(Clone, Copy)]
struct Used<'a>(&'a Usage);

impl Used<'_> {
    fn told(self, unit: Unit) -> Option<u64> {
        let usage = self.0;
        let told = match unit {
            Unit::Input => usage.input,
            Unit::CacheRead => usage.cache_read,
            Unit::CacheWrite => usage.cache_write,
            Unit::CacheWrite1h => usage.cache_write_1h,
            Unit::Output => usage.output,
            Unit::Reasoning => usage.reasoning,
            // What is priced a request is priced a call.
            Unit::Request => return None,
        };
        told.map(u64::from)
    }

    /// The count of a unit that has a price: what is not told is zero, unless a part of it was used.
    fn count(self, unit: Unit) -> Option<u64> {
        if unit == Unit::Request {
            return Some(1);
        }
        let parts = || UNITS.iter().filter(|part| part.unit.is_part_of(unit));
        match self.told(unit) {
            Some(count) => Some(count),
            None if parts().any(|part| self.told(part.unit).unwrap_or(0) > 0) => None,
            None => Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rates::Rates;
    use super::*;

    const USAGE: Usage = Usage {
        input: Some(1_000),
        cache_read: Some(400),
        cache_write: Some(300),
        cache_write_1h: Some(100),
        output: Some(500),
        reasoning: Some(200),
    };

    fn bill(prices: &str, usage: Usage) -> Option<Cost> {
        let rates = Rates::parse(prices).unwrap();
        Bill::new(&rates.tariffs(), &usage).map(|bill| bill.cost())
    }

    fn pico(cost: Cost) -> [i128; 6] {
        cost.by_class().map(|(_, money)| money.pico())
    }

    // Every class is billed once, at its own price where there is one.
    #[test]
    fn classes_have_their_own_prices() {
        let prices = r#"{"input_mtok": 1, "cache_read_mtok": 0.1, "cache_write_mtok": 1.25, "cache_write_1h_mtok": 2,
            "output_mtok": 10, "output_reasoning_mtok": 3, "requests_kcount": 5}"#;
        let cost = bill(prices, USAGE).unwrap();
        let cache_write = 200 * 1_250_000 + 100 * 2_000_000;
        let expected = [300_000_000, 40_000_000, cache_write, 3_000_000_000, 600_000_000, 5_000_000_000];
        assert_eq!(pico(cost), expected);
        assert_eq!(cost.total().pico(), expected.iter().sum::<i128>());
    }

    // Cached tokens without a price of their own cost what input costs, and reasoning what output costs.
    #[test]
    fn without_a_price_of_its_own_a_part_costs_what_its_whole_costs() {
        let cost = bill(r#"{"input_mtok": 1, "output_mtok": 10}"#, USAGE).unwrap();
        assert_eq!(pico(cost), [300_000_000, 400_000_000, 300_000_000, 3_000_000_000, 2_000_000_000, 0]);
        let cost = bill(r#"{"input_mtok": 1, "cache_write_mtok": 2, "output_mtok": 10}"#, USAGE).unwrap();
        assert_eq!(pico(cost), [300_000_000, 400_000_000, 600_000_000, 3_000_000_000, 2_000_000_000, 0]);
    }

    // A part larger than its whole, or told without it, is refused where it has a price, as genai-prices does.
    #[test]
    fn inconsistent_usage_has_no_cost() {
        let prices = r#"{"input_mtok": 1, "cache_read_mtok": 0.1, "output_mtok": 10}"#;
        assert!(bill(prices, USAGE).is_some());
        assert!(bill(prices, Usage { cache_read: Some(1_001), ..USAGE }).is_none());
        assert!(bill(prices, Usage { input: None, ..USAGE }).is_none());
        // What has no price of its own is not compared, and the sum is that of the whole.
        let cost = bill(prices, Usage { cache_write: Some(5_000), reasoning: Some(9_000), ..USAGE }).unwrap();
        assert_eq!(cost.total().pico(), 600_000_000 + 40_000_000 + 5_000_000_000);
    }

    // No price is no cost, and what only a part of has a price is told, never taken for free.
    #[test]
    fn missing_prices_are_not_zero() {
        assert!(bill("{}", USAGE).is_none());
        assert!(bill(r#"{"input_audio_mtok": 3}"#, USAGE).is_none());
        assert!(bill(r#"{"output_mtok": 3, "cache_read_mtok": 1}"#, USAGE).is_none());
        assert!(bill(r#"{"input_mtok": 3}"#, Usage::default()).is_none());
        let cost = bill(r#"{"input_mtok": 3}"#, USAGE).unwrap();
        assert_eq!((cost.total().pico(), cost.unpriced_tokens), (3_000_000_000, 500));
        let free = bill(r#"{"input_mtok": 0, "output_mtok": 0}"#, USAGE).unwrap();
        assert_eq!((free.total(), free.unpriced_tokens), (Money::ZERO, 0));
    }

    // A tier holds for all tokens of the call, output included, from the first token above it.
    #[test]
    fn a_tier_holds_for_all_tokens() {
        let prices = r#"{"input_mtok": {"base": 1, "tiers": [{"start": 1000, "price": 2}]},
            "output_mtok": {"base": 10, "tiers": [{"start": 1000, "price": 20}]}}"#;
        let total = |input| {
            let usage = Usage { input: Some(input), output: Some(1), ..Usage::default() };
            bill(prices, usage).unwrap().total().pico()
        };
        assert_eq!(total(1_000), 1_000 * 1_000_000 + 10_000_000);
        assert_eq!(total(1_001), 1_001 * 2_000_000 + 20_000_000);
    }

    // Finer prices are summed exactly and rounded once: the classes add up to the total.
    #[test]
    fn finer_prices_are_rounded_once() {
        let prices = r#"{"input_mtok": 0.0000004, "output_mtok": 0.0000004}"#;
        let usage = Usage { input: Some(1), output: Some(1), ..Usage::default() };
        let cost = bill(prices, usage).unwrap();
        assert_eq!((cost.input_uncached.pico(), cost.output_visible.pico(), cost.total().pico()), (0, 1, 1));
    }
}
