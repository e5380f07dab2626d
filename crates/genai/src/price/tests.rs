//! Prices as a whole: real models, overrides, properties.

mod overrides;
mod properties;
mod real_models;
mod variants;

use super::*;

fn builtin() -> Prices {
    Prices::new(Catalogue::builtin().unwrap(), Overrides::default())
}

/// Nanoseconds since the Unix epoch of a time such as `2026-01-31T12:00:00Z`.
fn at(text: &str) -> u64 {
    let time: jiff::Timestamp = text.parse().unwrap();
    time.as_nanosecond().try_into().unwrap()
}

/// The provider and the model of the catalogue that a call is priced by.
fn rule(prices: &Prices, provider: &str, request: &str, response: &str) -> Option<String> {
    let reference = prices.find(provider, request, response)?;
    let model = &prices.catalogue.models[reference.model? as usize];
    Some(format!("{} {}", prices.catalogue.providers[model.provider].id, model.id))
}
