//! Reading a catalogue: from JSON to entries that hold, every fault with its place.
//!
//! Unknown keys are passed over, as the format may grow; what would change a price if it were passed over (a clause, a constraint)
//! is refused.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::catalogue::{Conditional, Model, Provider, Variant};
use super::clause::Clause;
use super::constraint::Constraint;
use super::error::{Fault, PriceError};
use super::rates::{Rates, RatesFault};

#[derive(Deserialize)]
struct RawProvider<'a> {
    id: String,
    #[serde(borrow, default)]
    provider_match: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model_match: Option<&'a RawValue>,
    #[serde(default)]
    api_pattern: Option<String>,
    #[serde(borrow, default)]
    fallback_model_providers: Option<&'a RawValue>,
    #[serde(borrow)]
    models: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawModel<'a> {
    id: String,
    #[serde(borrow, rename = "match")]
    clause: &'a RawValue,
    #[serde(borrow)]
    prices: &'a RawValue,
    #[serde(borrow, default)]
    price_variants: Option<&'a RawValue>,
}

/// One of several prices, or a variant.
#[derive(Deserialize)]
struct RawPrices<'a> {
    #[serde(default)]
    when: BTreeMap<String, String>,
    #[serde(borrow, default)]
    constraint: Option<&'a RawValue>,
    #[serde(borrow)]
    prices: &'a RawValue,
}

/// The providers of a catalogue, and the models of all of them.
pub(super) fn read(bytes: &[u8]) -> Result<(Vec<Provider>, Vec<Model>), PriceError> {
    let raw: Vec<RawProvider<'_>> = serde_json::from_slice(bytes).map_err(PriceError::Format)?;
    let numbers: BTreeMap<&str, usize> =
        raw.iter().enumerate().rev().map(|(number, provider)| (provider.id.as_str(), number)).collect();
    let (mut providers, mut models) = (Vec::new(), Vec::new());
    for (number, provider) in raw.iter().enumerate() {
        let place = Place { bytes, entry: format!("provider {:?}", provider.id) };
        let fallbacks = provider.fallback_model_providers.map_or("[]", RawValue::get);
        let ids: Vec<String> = parse(fallbacks).map_err(place.of("fallback_model_providers", fallbacks))?;
        let fallbacks = ids.into_iter().map(|id| {
            numbers
                .get(id.as_str())
                .copied()
                .ok_or_else(|| place.of("fallback_model_providers", fallbacks)(Fault::Provider(id)))
        });
        let clause = |key, json: Option<&RawValue>| {
            json.map(|json| Clause::parse(json.get()).map_err(place.of(key, json.get()))).transpose()
        };
        let first = models.len();
        providers.push(Provider {
            id: provider.id.clone(),
            provider_match: clause("provider_match", provider.provider_match)?,
            model_match: clause("model_match", provider.model_match)?,
            api_pattern: provider.api_pattern.clone(),
            fallbacks: fallbacks.collect::<Result<_, _>>()?,
            models: first..first + provider.models.len(),
        });
        for json in &provider.models {
            models.push(model(&place, number, json.get())?);
        }
    }
    Ok((providers, models))
}

fn model(provider: &Place<'_>, number: usize, json: &str) -> Result<Model, PriceError> {
    let raw: RawModel<'_> = parse(json).map_err(provider.of("models", json))?;
    let place = Place { bytes: provider.bytes, entry: format!("{}, model {:?}", provider.entry, raw.id) };

    let mut prices = Vec::new();
    if raw.prices.get().starts_with('[') {
        for one in list(&place, "prices", raw.prices)? {
            let constraint = constraint(&place, one.constraint)?;
            prices.push(Conditional::new(constraint, rates(&place, one.prices)?));
        }
    } else {
        prices.push(Conditional::new(None, rates(&place, raw.prices)?));
    }
    if prices.is_empty() {
        return Err(place.of("prices", raw.prices.get())(Fault::Empty));
    }

    let mut variants = Vec::new();
    if let Some(json) = raw.price_variants {
        for one in list(&place, "price_variants", json)? {
            if one.when.is_empty() {
                return Err(place.of("price_variants", one.prices.get())(Fault::Unconditional));
            }
            let (constraint, rates) = (constraint(&place, one.constraint)?, rates(&place, one.prices)?);
            variants.push(Variant { when: one.when, constraint, rates });
        }
    }
    let clause = Clause::parse(raw.clause.get()).map_err(place.of("match", raw.clause.get()))?;
    Ok(Model { id: raw.id, provider: number, clause, prices, variants })
}

fn list<'a>(place: &Place<'_>, key: &str, json: &'a RawValue) -> Result<Vec<RawPrices<'a>>, PriceError> {
    parse(json.get()).map_err(place.of(key, json.get()))
}

fn constraint(place: &Place<'_>, json: Option<&RawValue>) -> Result<Option<Constraint>, PriceError> {
    json.map_or(Ok(None), |json| Constraint::parse(json.get()).map_err(place.of("constraint", json.get())))
}

fn rates(place: &Place<'_>, json: &RawValue) -> Result<Rates, PriceError> {
    Rates::parse(json.get()).map_err(|RatesFault { key, json, fault }| place.of(&key, json)(fault))
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Fault> {
    Ok(serde_json::from_str(json)?)
}

/// An entry of a catalogue, to name it where it is faulty.
struct Place<'a> {
    bytes: &'a [u8],
    entry: String,
}

impl Place<'_> {
    /// The error of a fault under a key, whose value is this part of the catalogue.
    fn of(&self, key: &str, json: &str) -> impl Fn(Fault) -> PriceError {
        move |fault| {
            let position = self.position(json);
            PriceError::Entry { position, place: format!("{}, {key}", self.entry), fault }
        }
    }

    /// Line and column of a part of the catalogue.
    fn position(&self, part: &str) -> (usize, usize) {
        let offset = (part.as_ptr() as usize).saturating_sub(self.bytes.as_ptr() as usize);
        let before = self.bytes.get(..offset).unwrap_or(&[]);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        (line, column)
    }
}
