//! What most calls cost: sound usages at prices that are a whole number of pico-dollars a token.
//! It is what the [`Bill`](super::bill::Bill) comes to, without one; that they agree is tested.

use super::bill::Cost;
use super::rates::{Tariffs, Unit};
use crate::money::Money;
use crate::usage::Usage;

/// Pico-dollars a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flat {
    input: u64,
    cache_read: u64,
    cache_write: u64,
    cache_write_1h: u64,
    /// `None` if nobody says what generated tokens cost, as of embedding models.
    generated: Option<Generated>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Generated {
    visible: u64,
    reasoning: u64,
}

impl Flat {
    /// The prices of every call, if its size makes no difference; `None` if it takes a bill to tell.
    pub fn of_all(tariffs: &Tariffs<'_>) -> Option<Self> {
        let has_tiers = tariffs.iter().flatten().any(|tariff| !tariff.tiers.is_empty());
        if has_tiers { None } else { Self::of(tariffs, 0) }
    }

    /// The prices of a call with so many input tokens; `None` if it takes a bill to tell.
    pub fn of(tariffs: &Tariffs<'_>, input_tokens: u64) -> Option<Self> {
        let is_priced = |unit: Unit| tariffs[unit as usize].is_some();
        let part_without_whole = is_priced(Unit::CacheWrite1h) && !is_priced(Unit::CacheWrite)
            || is_priced(Unit::Reasoning) && !is_priced(Unit::Output);
        if part_without_whole || is_priced(Unit::Request) {
            return None;
        }
        let own = |unit: Unit| tariffs[unit as usize].map(|tariff| tariff.pico(input_tokens));
        // Where a part has no price of its own, it is billed as its whole.
        let input = own(Unit::Input)??;
        let generated = match own(Unit::Output) {
            None => None,
            Some(visible) => {
                let visible = visible?;
                Some(Generated { visible, reasoning: own(Unit::Reasoning).unwrap_or(Some(visible))? })
            }
        };
        let cache_write = own(Unit::CacheWrite).unwrap_or(Some(input))?;
        Some(Self {
            input,
            cache_read: own(Unit::CacheRead).unwrap_or(Some(input))?,
            cache_write,
            cache_write_1h: own(Unit::CacheWrite1h).unwrap_or(Some(cache_write))?,
            generated,
        })
    }

    /// The cost; `None` if it takes a bill to tell.
    pub fn cost(&self, usage: &Usage) -> Option<Cost> {
        let read = usage.cache_read.unwrap_or(0);
        let written = usage.cache_write.unwrap_or(0);
        let written_1h = usage.cache_write_1h.unwrap_or(0);
        let uncached = usage.input?.checked_sub(read)?.checked_sub(written)?;
        let written_5m = written.checked_sub(written_1h)?;

        let amount = |tokens: u32, price: u64| Money::from_pico(i128::from(tokens) * i128::from(price));
        let (output_visible, reasoning) = match (usage.output, usage.reasoning) {
            (None | Some(0), None) => (Money::ZERO, Money::ZERO),
            (output, reasoned) => {
                let (reasoned, price) = (reasoned.unwrap_or(0), self.generated?);
                let visible = output?.checked_sub(reasoned)?;
                (amount(visible, price.visible), amount(reasoned, price.reasoning))
            }
        };
        Some(Cost {
            input_uncached: amount(uncached, self.input),
            cache_read: amount(read, self.cache_read),
            cache_write: amount(written_5m, self.cache_write) + amount(written_1h, self.cache_write_1h),
            output_visible,
            reasoning,
            request: Money::ZERO,
            unpriced_tokens: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::bill::Bill;
    use super::super::rates::Rates;
    use super::*;

    fn price() -> impl Strategy<Value = Option<&'static str>> {
        proptest::option::weighted(
            0.8,
            prop_oneof![
                Just("3"),
                Just("0.15"),
                Just("1.234567"),
                Just("0.0833333333333"),
                Just(r#"{"base": 1, "tiers": [{"start": 9, "price": 2}]}"#)
            ],
        )
    }

    fn count() -> impl Strategy<Value = Option<u32>> {
        proptest::option::weighted(0.8, prop_oneof![1 => Just(0), 4 => 0..200_000_u32])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]

        // Whatever the prices and the usage, it is the bill's cost, or none.
        #[test]
        fn it_is_what_the_bill_comes_to(prices in proptest::array::uniform7(price()), input in count(), read in count(), written in count(), long in count(), output in count(), reasoning in count()) {
            let keys = super::super::rates::UNITS.iter().map(|row| row.key);
            let told: Vec<String> =
                keys.zip(prices).filter_map(|(key, price)| Some(format!("{key:?}: {}", price?))).collect();
            let rates = Rates::parse(&format!("{{{}}}", told.join(","))).unwrap();
            let usage =
                Usage { input, cache_read: read, cache_write: written, cache_write_1h: long, output, reasoning };
            let tariffs = rates.tariffs();
            let of_call = Flat::of(&tariffs, input.unwrap_or(0).into());
            for flat in [of_call, Flat::of_all(&tariffs)].into_iter().flatten() {
                if let Some(cost) = flat.cost(&usage) {
                    prop_assert_eq!(Some(cost), Bill::new(&tariffs, &usage).map(|bill| bill.cost()));
                }
            }
        }
    }

    // Nor do those of embeddings, which generate nothing.
    #[test]
    fn embeddings_are_flat() {
        let rates = Rates::parse(r#"{"input_mtok": 0.02}"#).unwrap();
        let flat = Flat::of_all(&rates.tariffs()).unwrap();
        let cost = |output| flat.cost(&Usage { input: Some(1_000), output, ..Usage::default() });
        for nothing in [None, Some(0)] {
            assert_eq!(cost(nothing).map(|cost| cost.total().to_string()).as_deref(), Some("0.00002"));
        }
        assert_eq!(cost(Some(1)), None, "what it generates has no price");
    }

    // The usual prices take no bill.
    #[test]
    fn usual_prices_are_flat() {
        let rates = Rates::parse(r#"{"input_mtok": 3, "cache_read_mtok": 0.3, "output_mtok": 15}"#).unwrap();
        let usage = Usage { input: Some(1_000), cache_read: Some(600), output: Some(100), ..Usage::default() };
        let total =
            Flat::of_all(&rates.tariffs()).and_then(|flat| flat.cost(&usage)).map(|cost| cost.total().to_string());
        assert_eq!(total.as_deref(), Some("0.00288"));
    }
}
