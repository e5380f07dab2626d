//! From the names of provider and model to the entries that say the price. The order is told at [`Prices::find`].

use super::Prices;
use super::model_id::{self, Name};
use super::vendor;
use crate::provider::canonical_name;

/// What was found: the overrides that are for the model, in order, and the model of the catalogue that holds where none of them
/// does.
#[derive(Debug, Default)]
pub(super) struct Resolution {
    /// Numbers of the overrides that match, up to the first that always holds.
    pub overrides: Vec<u32>,
    /// The model of the catalogue.
    pub found: Option<Found>,
}

/// A model of the catalogue, and how it was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Its number.
    pub model: usize,
    /// The name that matched.
    pub name: String,
    /// Whether the name is the catalogue's own id, not one that its clause matches.
    pub by_id: bool,
}

/// Takes a line for every step; nothing is written for nobody.
pub(super) type Trace<'a> = Option<&'a mut Vec<String>>;

fn note(trace: &mut Trace<'_>, line: impl FnOnce() -> String) {
    if let Some(lines) = trace {
        lines.push(line());
    }
}

impl Prices {
    /// Looks for the prices of a model.
    pub(super) fn resolve(&self, provider: &str, request: &str, response: &str, mut trace: Trace<'_>) -> Resolution {
        let told = provider.trim().to_lowercase();
        let provider = canonical_name(&told).unwrap_or(&told);
        let (request, response) = (model_id::names(request), model_id::names(response));
        // What was asked for tells who was asked: a reseller may answer with its vendor's name of the model.
        let spoken_of: Vec<&str> = model_id::spoken_of(&request).chain(model_id::spoken_of(&response)).collect();
        let models = if names_profile(&request, &response) { [request, response] } else { [response, request] };

        let overrides = self.matching_overrides(&[&told, provider], &models.concat(), &mut trace);
        let ends = overrides.last().and_then(|last| self.overrides.entries.get(*last as usize));
        if ends.is_some_and(|entry| entry.rule.holds_always()) {
            return Resolution { overrides, found: None };
        }
        Resolution { overrides, found: self.find_in_catalogue(provider, &spoken_of, &models, &mut trace) }
    }

    fn matching_overrides(&self, names: &[&str], models: &[Name], trace: &mut Trace<'_>) -> Vec<u32> {
        let mut providers = names.to_vec();
        providers.extend(names.iter().filter_map(|name| vendor::catalogue_id(name)));
        let mut matching = Vec::new();
        for (number, entry) in (0..).zip(&self.overrides.entries) {
            if !entry.rule.matches(&providers, models) {
                note(trace, || format!("{}: no match", entry.place));
                continue;
            }
            note(trace, || {
                let matched = entry.rule.matching(models);
                let matched = matched.map(|(pattern, name)| format!("{pattern:?} matches {:?}", name.id));
                format!("{}: {}, holds {}", entry.place, matched.unwrap_or_default(), entry.rule.period())
            });
            matching.push(number);
            if entry.rule.holds_always() {
                break;
            }
        }
        matching
    }

    fn find_in_catalogue(
        &self,
        provider: &str,
        spoken_of: &[&str],
        models: &[Vec<Name>; 2],
        trace: &mut Trace<'_>,
    ) -> Option<Found> {
        for (provider, reason) in self.billing_providers(provider, spoken_of, models, trace) {
            let id = &self.catalogue.providers[provider].id;
            for name in models.iter().flatten() {
                let step = if name.step.is_empty() { "as given" } else { name.step.as_str() };
                let by_clause = self.catalogue.find_model(provider, &name.id);
                if let Some(model) = by_clause.or_else(|| self.catalogue.model_by_id(provider, &name.id)) {
                    note(trace, || format!("provider {id} ({reason}): {:?} ({step}): match", name.id));
                    return Some(Found { model, name: name.id.clone(), by_id: by_clause.is_none() });
                }
                note(trace, || format!("provider {id} ({reason}): {:?} ({step}): no match", name.id));
            }
        }
        None
    }

    /// The providers whose prices may hold, in order, each with the reason.
    fn billing_providers(
        &self,
        provider: &str,
        spoken_of: &[&str],
        models: &[Vec<Name>; 2],
        trace: &mut Trace<'_>,
    ) -> Vec<(usize, &'static str)> {
        const HOME: &str = "serves models at home: the catalogue has no price for that";
        let mut billing: Vec<(usize, &'static str)> = Vec::new();
        let mut add = |id: &str, reason| {
            for (id, reason) in [(Some(id), reason), (vendor::sold_at(id), "sold there too")] {
                let number = id.and_then(|id| self.catalogue.provider_by_id(id));
                let new = number.filter(|number| billing.iter().all(|(known, _)| known != number));
                billing.extend(new.map(|number| (number, reason)));
            }
        };

        let told = match vendor::catalogue_id(provider) {
            Some("") => {
                note(trace, || format!("provider {provider:?} {HOME}"));
                return billing;
            }
            Some(id) => Some(id),
            None if provider.is_empty() => {
                note(trace, || "no provider is told".to_owned());
                None
            }
            None if vendor::is_gateway(provider) => {
                note(trace, || format!("provider {provider:?} passes calls on"));
                None
            }
            None => match self.catalogue.find_provider(provider) {
                Some(number) => Some(self.catalogue.providers[number].id.as_str()),
                None => {
                    note(trace, || {
                        format!("provider {provider:?} is not in the catalogue: what it takes is not known")
                    });
                    return billing;
                }
            },
        };
        if let Some(id) = told {
            add(id, "as told");
            if id != vendor::COMMON_API {
                return billing;
            }
        }
        for id in spoken_of {
            if id.is_empty() {
                note(trace, || format!("what the model's prefix speaks of {HOME}"));
                return billing;
            }
            add(id, "prefix of the model");
            if *id != vendor::COMMON_API {
                return billing;
            }
        }
        for name in models.iter().flatten() {
            for vendor in &self.catalogue.providers {
                if vendor.model_match.as_ref().is_some_and(|clause| clause.matches(&name.id)) {
                    add(&vendor.id, "vendor of the model");
                }
            }
        }
        billing
    }
}

/// Whether the request model is Bedrock's id of the model that answered.
fn names_profile(request: &[Name], response: &[Name]) -> bool {
    let bare = |names: &[Name]| names.last().map(|name| name.id.clone());
    model_id::is_bedrock(request) && bare(request) == bare(response)
}
