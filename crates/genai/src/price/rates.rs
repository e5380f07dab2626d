//! What one model costs: a price for each unit that is billed.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decimal::{InvalidPrice, Per, Price};
use super::error::Fault;

/// What is billed and what a usage tells of. A unit is part of its `whole`: where a part has no price of its own, its tokens are
/// billed as the whole's (genai-prices' rule); a part cannot have a price where the whole has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Input,
    CacheRead,
    CacheWrite,
    CacheWrite1h,
    Output,
    Reasoning,
    Request,
}

/// One row of [`UNITS`].
pub(super) struct UnitRow {
    pub unit: Unit,
    /// Key of its price in the catalogue.
    pub key: &'static str,
    /// What it is called where costs are explained.
    pub name: &'static str,
    /// What it is part of.
    pub whole: Option<Unit>,
    /// How many of it a price is for.
    pub per: Per,
}

const fn row(unit: Unit, key: &'static str, name: &'static str, whole: Option<Unit>, per: Per) -> UnitRow {
    UnitRow { unit, key, name, whole, per }
}

/// Number of units.
pub(super) const COUNT: usize = 7;

/// The units in the order of their numbers; a part stands behind its whole.
pub(super) const UNITS: [UnitRow; COUNT] = [
    row(Unit::Input, "input_mtok", "input", None, Per::Million),
    row(Unit::CacheRead, "cache_read_mtok", "cache read", Some(Unit::Input), Per::Million),
    row(Unit::CacheWrite, "cache_write_mtok", "cache write", Some(Unit::Input), Per::Million),
    row(Unit::CacheWrite1h, "cache_write_1h_mtok", "cache write 1h", Some(Unit::CacheWrite), Per::Million),
    row(Unit::Output, "output_mtok", "output", None, Per::Million),
    row(Unit::Reasoning, "output_reasoning_mtok", "reasoning", Some(Unit::Output), Per::Million),
    row(Unit::Request, "requests_kcount", "request", None, Per::Thousand),
];

impl Unit {
    /// Its row in the table.
    pub fn row(self) -> &'static UnitRow {
        &UNITS[self as usize]
    }

    /// Whether it is part of the other one, directly or not.
    pub fn is_part_of(self, whole: Self) -> bool {
        self.row().whole.is_some_and(|direct| direct == whole || direct.is_part_of(whole))
    }
}

/// The price of one unit. The input tokens of a call choose one price, and all tokens of the unit are billed at it (a cliff, not a
/// staircase): genai-prices' semantics and what providers do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tariff {
    pub base: Price,
    /// Ascending.
    pub tiers: Vec<Tier>,
    /// See [`Tariff::pico`].
    pico: Option<u64>,
}

/// A price for calls with more input tokens than `above`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tier {
    pub above: u64,
    pub price: Price,
    pico: Option<u64>,
}

impl Tier {
    pub fn new(above: u64, price: Price) -> Self {
        Self { above, price, pico: price.pico_each() }
    }
}

impl Tariff {
    /// A price without tiers.
    pub fn flat(base: Price) -> Self {
        Self { base, tiers: Vec::new(), pico: base.pico_each() }
    }

    /// A price with tiers, ascending.
    pub fn with_tiers(base: Price, tiers: Vec<Tier>) -> Self {
        Self { tiers, ..Self::flat(base) }
    }

    /// Pico-dollars for each token of a call with so many input tokens, if they are a whole number.
    pub fn pico(&self, input_tokens: u64) -> Option<u64> {
        match self.tier(input_tokens) {
            None => self.pico,
            Some(tier) => tier.pico,
        }
    }

    /// The tier that a call with so many input tokens falls into, if it is above the base.
    pub fn tier(&self, input_tokens: u64) -> Option<&Tier> {
        self.tiers.iter().rev().find(|tier| input_tokens > tier.above)
    }

    fn parse(json: &str) -> Result<Option<Self>, Fault> {
        #[derive(Deserialize)]
        struct RawTariff<'a> {
            #[serde(borrow)]
            base: &'a RawValue,
            #[serde(borrow)]
            tiers: Vec<RawTier<'a>>,
        }
        #[derive(Deserialize)]
        struct RawTier<'a> {
            start: u64,
            #[serde(borrow)]
            price: &'a RawValue,
        }

        if json == "null" {
            return Ok(None);
        }
        if !json.starts_with('{') {
            return Ok(Some(Self::flat(price(json)?)));
        }
        let raw: RawTariff<'_> = serde_json::from_str(json)?;
        let tier = |raw: RawTier<'_>| Ok::<_, InvalidPrice>(Tier::new(raw.start, price(raw.price.get())?));
        let mut tiers = raw.tiers.into_iter().map(tier).collect::<Result<Vec<_>, _>>()?;
        tiers.sort_by_key(|tier| tier.above);
        let base = price(raw.base.get())?;
        Ok(Some(Self::with_tiers(base, tiers)))
    }
}

/// A price in JSON: a number, or a number as text.
fn price(json: &str) -> Result<Price, InvalidPrice> {
    let text = json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(json);
    Price::parse(text)
}

/// The prices of a model under one condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rates {
    pub units: [Option<Tariff>; COUNT],
    /// Prices of what no usage tells of (audio, images, searches), by key: shown, never billed.
    pub untold: Vec<(String, Tariff)>,
}

impl Rates {
    /// Reads the object under `prices`. Keys that this version does not know are kept as prices of what no usage tells of.
    pub fn parse(json: &str) -> Result<Self, RatesFault<'_>> {
        let raw: BTreeMap<String, &RawValue> = match serde_json::from_str(json) {
            Ok(raw) => raw,
            Err(error) => return Err(RatesFault { key: "prices".to_owned(), json, fault: error.into() }),
        };
        let mut rates = Self::default();
        for (key, value) in raw {
            let tariff = match Tariff::parse(value.get()) {
                Ok(Some(tariff)) => tariff,
                Ok(None) => continue,
                Err(fault) => return Err(RatesFault { key: format!("prices.{key}"), json: value.get(), fault }),
            };
            match UNITS.iter().position(|row| row.key == key) {
                Some(unit) => rates.units[unit] = Some(tariff),
                None => rates.untold.push((key, tariff)),
            }
        }
        Ok(rates)
    }

    /// The tariffs by unit.
    pub fn tariffs(&self) -> Tariffs<'_> {
        std::array::from_fn(|unit| self.units[unit].as_ref())
    }
}

/// The tariff of every unit that has one.
pub(super) type Tariffs<'a> = [Option<&'a Tariff>; COUNT];

/// What is wrong with prices, under which key, and the value of that key.
#[derive(Debug)]
pub(super) struct RatesFault<'a> {
    pub key: String,
    pub json: &'a str,
    pub fault: Fault,
}

#[cfg(test)]
mod tests {
    use super::*;

    // The table is in the order of the units, and a part stands behind its whole.
    #[test]
    fn units_are_in_order() {
        for (index, row) in UNITS.iter().enumerate() {
            assert_eq!(row.unit as usize, index);
            assert!(row.whole.is_none_or(|whole| (whole as usize) < index));
        }
        assert!(Unit::CacheWrite1h.is_part_of(Unit::Input) && !Unit::Input.is_part_of(Unit::Input));
    }

    // A tier begins behind its start, whatever the order in which tiers are written.
    #[test]
    fn tiers_begin_behind_their_start() {
        let json = r#"{"base": 1, "tiers": [{"start": 200, "price": 3}, {"start": 100, "price": "2.5"}]}"#;
        let tariff = Tariff::parse(json).unwrap().unwrap();
        let at = |input| tariff.tier(input).map_or(tariff.base, |tier| tier.price).to_string();
        assert_eq!([at(0), at(100), at(101), at(200), at(201)], ["1", "1", "2.5", "2.5", "3"]);
    }

    // What is no price is refused under its key; what is not known is kept apart.
    #[test]
    fn prices_are_read_by_key() {
        let rates = Rates::parse(r#"{"input_mtok": 0.08333333333333334, "output_mtok": null, "new_mtok": 7}"#).unwrap();
        assert_eq!(rates.units[Unit::Input as usize].as_ref().unwrap().base.to_string(), "0.08333333333333334");
        assert!(rates.units[Unit::Output as usize].is_none());
        assert_eq!(rates.untold.len(), 1);
        for json in [r#"{"input_mtok": -1}"#, r#"{"input_mtok": true}"#, r#"{"input_mtok": {"base": 1}}"#, "[]"] {
            assert!(Rates::parse(json).is_err(), "{json}");
        }
    }
}
