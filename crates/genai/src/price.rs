//! What a call costs, exactly.
//!
//! - [`Catalogue`] says what models cost at which provider: genai-prices' format and figures.
//! - [`Overrides`] are the user's own prices and go before it.
//! - [`Prices`] has both: [`Prices::find`] once for a provider and its models, [`Prices::cost`] once a call.
//! - [`Prices::explain`] tells how a price was found and what the sum is made of.
//!
//! Money is an integer throughout: prices are read from their decimal text, and no float is ever near them.

mod bill;
mod catalogue;
mod clause;
mod constraint;
mod decimal;
mod error;
mod explain;
mod flat;
mod model_id;
mod overrides;
mod rates;
mod read;
mod resolve;
#[cfg(test)]
mod tests;
mod vendor;

use std::sync::{PoisonError, RwLock};

pub use bill::Cost;
pub use catalogue::Catalogue;
pub use decimal::{InvalidPrice, Price};
pub use error::{Fault, PriceError};
pub use explain::{Call, Explanation};
pub use overrides::{Override, OverrideFile, Overrides};

use crate::usage::Usage;
use bill::Bill;
use flat::Flat;
use rates::Tariffs;
use resolve::Resolution;

/// The service tier of batch APIs, which have prices of their own.
const BATCH: &str = "batch";

/// All prices that hold: the catalogue's and the user's.
#[derive(Debug)]
pub struct Prices {
    catalogue: Catalogue,
    overrides: Overrides,
    version: String,
    /// The overrides that are for a model, in order, of every model found so far that has any. Numbers into it never influence a
    /// result.
    chains: RwLock<Vec<Box<[u32]>>>,
}

/// Where the prices of a model stand, at whatever time. Of use to the [`Prices`] that gave it only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PriceRef {
    /// Number of the chain of overrides.
    chain: Option<u32>,
    /// Number of the model in the catalogue.
    model: Option<u32>,
}

impl Prices {
    /// The overrides before the catalogue.
    pub fn new(catalogue: Catalogue, overrides: Overrides) -> Self {
        let version = match overrides.is_empty() {
            true => catalogue.version().to_owned(),
            false => format!("{}+overrides#{}", catalogue.version(), overrides.version()),
        };
        Self { catalogue, overrides, version, chains: RwLock::default() }
    }

    /// Which prices these are: the commit or a fingerprint of the catalogue, and a fingerprint of what the overrides say.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where the prices of a model stand. The provider is called as OpenTelemetry calls it; texts may be empty if they are not
    /// told. Whether there is a price may depend on the time of the call. Slow: to be asked once and kept.
    ///
    /// The order in which a price is looked for:
    /// 1. The user's overrides in file order. An override is for a model if one of its patterns matches one of the model's names.
    ///    The first that matches and holds at the time of the call is taken.
    /// 2. The catalogue, at the provider that is named, or known by its pattern, and at no other: what a reseller takes is not
    ///    what the vendor does. A reseller that the catalogue does not know has no price, nor has software at home (`ollama`).
    ///    Only where no provider is named, or a framework or a gateway (`langchain`, `litellm`), or `openai`, whose API many
    ///    speak: the provider of the model's outermost prefix (`azure/`, `openrouter/`, `us.anthropic.`) and no other; without
    ///    a prefix the vendor of the model, by the catalogue's patterns.
    /// 3. At a provider: the names of the response model, then those of the request model, the first that matches a model of the
    ///    provider or of one whose models it sells at their prices. A request model that is Bedrock's id of the same model goes
    ///    first: only it tells the inference profile, which may have a price of its own. An id with a tag that is no version
    ///    (`:free`, `:8b`), of a fine-tuned model (`ft:`) or of a distilled one (`-distill-`) matches only what says as much.
    /// 4. The names of a model: as given; prefixes cut, from the outside in (`arn:...:inference-profile/`, `models/`, `openrouter/`,
    ///    `openai/`, `us.`, `anthropic.`, the owner of `ft:base:owner`); then, of each of these, suffixes cut (`:0`, `-v1`,
    ///    `@20240806`, `-latest`, `-001`, `-20240806`, `-2024-08-06`).
    pub fn find(&self, provider: &str, request_model: &str, response_model: &str) -> Option<PriceRef> {
        let resolution = self.resolve(provider, request_model, response_model, None);
        self.remember(resolution)
    }

    fn remember(&self, resolution: Resolution) -> Option<PriceRef> {
        let model = resolution.found.and_then(|found| u32::try_from(found.model).ok());
        if resolution.overrides.is_empty() {
            return model.map(|model| PriceRef { chain: None, model: Some(model) });
        }
        let mut chains = self.chains.write().unwrap_or_else(PoisonError::into_inner);
        let known = chains.iter().position(|chain| **chain == *resolution.overrides);
        let number = known.unwrap_or_else(|| {
            chains.push(resolution.overrides.into_boxed_slice());
            chains.len() - 1
        });
        Some(PriceRef { chain: u32::try_from(number).ok(), model })
    }

    /// What a call costs at its own time: the prices that hold then, of its service tier where they differ. `None` if there is no
    /// price, or if the usage contradicts itself; the caller says what is counted then, and whether a usage was reported at all.
    /// Allocates nothing.
    pub fn cost(&self, price: PriceRef, time_unix_nanos: u64, usage: &Usage, service_tier: &str) -> Option<Cost> {
        if let Some(flat) = self.flat(price, time_unix_nanos, service_tier)
            && let Some(cost) = flat.cost(usage)
        {
            return Some(cost);
        }
        let tariffs = self.tariffs(price, time_unix_nanos, service_tier)?;
        let flat = Flat::of(&tariffs, usage.input.unwrap_or(0).into());
        flat.and_then(|flat| flat.cost(usage)).or_else(|| Bill::new(&tariffs, usage).map(|bill| bill.cost()))
    }

    fn flat(&self, price: PriceRef, time: u64, service_tier: &str) -> Option<&Flat> {
        let PriceRef { chain: None, model: Some(model) } = price else { return None };
        self.catalogue.models.get(model as usize)?.flat(time, service_tier)
    }

    fn tariffs(&self, price: PriceRef, time: u64, service_tier: &str) -> Option<Tariffs<'_>> {
        if let Some(entry) = self.override_in_force(price, time) {
            return Some(entry.rule.tariffs(service_tier));
        }
        self.catalogue.models.get(price.model? as usize)?.tariffs(time, service_tier)
    }

    fn override_in_force(&self, price: PriceRef, time: u64) -> Option<&overrides::Entry> {
        let chain = price.chain?;
        let chains = self.chains.read().unwrap_or_else(PoisonError::into_inner);
        let entries =
            chains.get(chain as usize)?.iter().filter_map(|entry| self.overrides.entries.get(*entry as usize));
        entries.into_iter().find(|entry| entry.rule.holds(time))
    }
}

/// Whether a service tier is that of batch APIs.
fn is_batch(service_tier: &str) -> bool {
    service_tier.eq_ignore_ascii_case(BATCH)
}
