//! The price catalogue, in the genai-prices v2 format.

use std::collections::BTreeMap;
use std::fmt;

use super::clause::{Clause, regex};
use super::constraint::Constraint;
use super::error::PriceError;
use super::flat::Flat;
use super::rates::{Rates, Tariffs};
use super::read;

/// Figures of pydantic/genai-prices (MIT, see NOTICE).
const BUILTIN: &[u8] = include_bytes!("../../data/genai-prices-v2.json");
/// Commit of pydantic/genai-prices that the built-in figures are of.
const BUILTIN_COMMIT: &str = "47df840a";

/// What models cost at which provider, and how both are recognised.
pub struct Catalogue {
    pub(super) providers: Vec<Provider>,
    /// The models of all providers, one provider after the other.
    pub(super) models: Vec<Model>,
    version: String,
}

/// Who bills.
#[derive(Debug)]
pub(super) struct Provider {
    pub id: String,
    pub provider_match: Option<Clause>,
    pub model_match: Option<Clause>,
    pub api_pattern: Option<String>,
    /// Providers whose models this one offers too, at their prices.
    pub fallbacks: Vec<usize>,
    /// Its models, a range of all.
    pub models: std::ops::Range<usize>,
}

/// A model of a provider.
#[derive(Debug)]
pub(super) struct Model {
    pub id: String,
    /// Number of the provider.
    pub provider: usize,
    pub clause: Clause,
    /// The last one that holds is taken; if none does, the first.
    pub prices: Vec<Conditional>,
    /// Prices that some calls have instead, one by one: of those that hold, the first.
    pub variants: Vec<Variant>,
}

/// Prices, and when they hold.
#[derive(Debug)]
pub(super) struct Conditional {
    pub constraint: Option<Constraint>,
    pub rates: Rates,
    /// The same, if they are that simple.
    pub flat: Option<Flat>,
}

/// Prices of calls of a kind, e.g. `processing` = `batch`.
#[derive(Debug)]
pub(super) struct Variant {
    pub when: BTreeMap<String, String>,
    pub constraint: Option<Constraint>,
    pub rates: Rates,
}

impl Catalogue {
    /// The catalogue that is built in.
    ///
    /// # Errors
    /// None in a build whose tests have passed.
    pub fn builtin() -> Result<Self, PriceError> {
        Ok(Self { version: format!("genai-prices@{BUILTIN_COMMIT}"), ..Self::parse(BUILTIN)? })
    }

    /// Reads a file of the format.
    ///
    /// # Errors
    /// What is wrong, with the provider, the model and the key where it stands.
    pub fn parse(bytes: &[u8]) -> Result<Self, PriceError> {
        let (providers, models) = read::read(bytes)?;
        Ok(Self { providers, models, version: format!("genai-prices#{}", fingerprint(bytes)) })
    }

    /// Which figures these are: the commit of the built-in ones, else a fingerprint of the file.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The first model of a provider that matches, or of a provider whose models it offers too.
    pub(super) fn find_model(&self, provider: usize, model_id: &str) -> Option<usize> {
        let provider = &self.providers[provider];
        let fallbacks = provider.fallbacks.iter().map(|number| &self.providers[*number]);
        std::iter::once(provider).chain(fallbacks).find_map(|provider| {
            let mut models = provider.models.clone();
            models.find(|model| self.models[*model].clause.matches_model(model_id))
        })
    }

    /// The model of a provider that is called so in the catalogue.
    pub(super) fn model_by_id(&self, provider: usize, model_id: &str) -> Option<usize> {
        let mut models = self.providers[provider].models.clone();
        models.find(|model| self.models[*model].id.eq_ignore_ascii_case(model_id))
    }

    /// The provider that is called so, or whose pattern matches the name; an address is compared with API addresses.
    pub(super) fn find_provider(&self, name: &str) -> Option<usize> {
        if name.contains("://") {
            let is_api = |provider: &Provider| {
                // Anchored as Python's re.match is.
                let pattern = provider.api_pattern.as_ref().map(|pattern| regex(&format!("^(?:{pattern})")));
                pattern.is_some_and(|regex| regex.is_ok_and(|regex| regex.is_match(name).unwrap_or(false)))
            };
            return self.providers.iter().position(is_api);
        }
        let matches = |provider: &Provider| provider.provider_match.as_ref().is_some_and(|clause| clause.matches(name));
        self.provider_by_id(name).or_else(|| self.providers.iter().position(matches))
    }

    /// The provider with an id.
    pub(super) fn provider_by_id(&self, id: &str) -> Option<usize> {
        self.providers.iter().position(|provider| provider.id == id)
    }
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Catalogue({}, {} models)", self.version, self.models.len())
    }
}

impl Conditional {
    pub fn new(constraint: Option<Constraint>, rates: Rates) -> Self {
        let flat = Flat::of_all(&rates.tariffs());
        Self { constraint, rates, flat }
    }
}

impl Model {
    /// The prices that hold at a time, before variants.
    pub fn conditional(&self, time: u64) -> Option<&Conditional> {
        let holds = |prices: &&Conditional| prices.constraint.is_none_or(|constraint| constraint.holds(time));
        self.prices.iter().rev().find(holds).or_else(|| self.prices.first())
    }

    /// The variants that hold for a call, in their order of precedence.
    pub fn variants(&self, time: u64, service_tier: &str) -> impl Iterator<Item = &Variant> {
        let holds = move |variant: &&Variant| {
            variant.constraint.is_none_or(|constraint| constraint.holds(time)) && variant.is_for(service_tier)
        };
        self.variants.iter().filter(holds)
    }

    /// The prices of a call, if they are that simple. A variant is for a service tier that is named.
    pub fn flat(&self, time: u64, service_tier: &str) -> Option<&Flat> {
        let has_none = self.variants.is_empty() || service_tier.is_empty();
        if has_none { self.conditional(time)?.flat.as_ref() } else { None }
    }

    /// The prices of a call.
    pub fn tariffs(&self, time: u64, service_tier: &str) -> Option<Tariffs<'_>> {
        let mut tariffs = self.conditional(time)?.rates.tariffs();
        let mut replaced = [false; super::rates::COUNT];
        for variant in self.variants(time, service_tier) {
            for (unit, tariff) in variant.rates.tariffs().into_iter().enumerate() {
                if tariff.is_some() && !replaced[unit] {
                    (tariffs[unit], replaced[unit]) = (tariff, true);
                }
            }
        }
        Some(tariffs)
    }
}

impl Variant {
    /// Whether a service tier makes its whole condition true. The tier `batch` is what genai-prices calls `processing` = `batch`.
    fn is_for(&self, service_tier: &str) -> bool {
        self.when.iter().all(|(key, value)| match key.as_str() {
            "service_tier" => value == service_tier,
            "processing" => value == super::BATCH && super::is_batch(service_tier),
            _ => false,
        })
    }
}

/// A stable fingerprint of bytes: 64-bit FNV-1a in hexadecimal.
pub(super) fn fingerprint(bytes: &[u8]) -> String {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}
