//! What was counted, summed up for people and for `replay --format json`.

use std::collections::BTreeMap;

use genai::{Money, TokenClasses};

use crate::histogram::{Histogram, SECONDS};
use crate::instruments::Instruments;
use crate::key::{Key, Kind, Layout};
use crate::pricing::Coverage;
use crate::series::Series;

/// Requests, errors and canonical tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Calls to models.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Tokens in their classes; see [`Totals::input`] and [`Totals::output`] for the sums.
    pub tokens: TokenClasses,
    /// What the calls cost whose cost is known.
    pub cost: Money,
    /// How many calls have no known cost.
    pub without_cost: u64,
}

impl Totals {
    /// All prompt tokens.
    pub fn input(&self) -> u64 {
        self.tokens.input_uncached + self.tokens.cache_read + self.tokens.cache_write
    }

    /// All generated tokens.
    pub fn output(&self) -> u64 {
        self.tokens.output_visible + self.tokens.reasoning
    }

    fn add(&mut self, measured: &Instruments) {
        self.requests += measured.succeeded + measured.failed;
        self.errors += measured.failed;
        self.tokens += measured.tokens;
        self.cost += measured.costs.total();
        self.without_cost += measured.costs.of(Coverage::Unpriced) + measured.costs.of(Coverage::UsageMissing);
    }
}

/// One line of the table by service and model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ServiceModel {
    /// `service.name`; empty if the resource has none.
    pub service: String,
    /// The model key: response model, else request model, else `unknown`.
    pub model: String,
    /// What was counted.
    pub totals: Totals,
    /// The duration in seconds that 95 % of the calls stayed below.
    pub p95: Option<f64>,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// All calls.
    pub totals: Totals,
    /// By model key.
    pub by_model: BTreeMap<String, Totals>,
    /// By service and model key.
    pub by_service_and_model: Vec<ServiceModel>,
}

impl Report {
    pub(crate) fn of<'a>(layout: &Layout, all: impl Iterator<Item = &'a Series>) -> Self {
        let mut report = Self::default();
        let mut rows: BTreeMap<(String, String), (Totals, Histogram)> = BTreeMap::new();
        for series in all.filter(|series| series.kind == Some(Kind::Call)) {
            let key = Key::new(&series.key);
            let measured = series.all();
            let model = model_key(layout, key);
            report.totals.add(&measured);
            report.by_model.entry(model.clone()).or_default().add(&measured);
            let (totals, durations) = rows.entry((service(layout, key), model)).or_default();
            totals.add(&measured);
            for (_, histogram) in &measured.durations {
                durations.merge(histogram);
            }
        }
        report.by_service_and_model = rows
            .into_iter()
            .map(|((service, model), (totals, durations))| ServiceModel {
                service,
                model,
                totals,
                p95: durations.quantile(SECONDS, 0.95),
            })
            .collect();
        report
    }
}

/// What spans would have added that tell of calls which others tell as well, if each was counted for itself. What a client sent again
/// is not among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Saved {
    /// Those spans.
    pub spans: u64,
    /// What is known of their cost.
    pub cost: Money,
}

/// A model that calls were made to and that has no price.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unpriced {
    /// Canonical provider; empty if it was not told, as the models.
    pub provider: String,
    /// The model that was asked for.
    pub request_model: String,
    /// The model that answered.
    pub response_model: String,
    /// How many calls were made to it.
    pub calls: u64,
}

impl Unpriced {
    pub(crate) fn of<'a>(layout: &Layout, all: impl Iterator<Item = &'a Series>) -> Vec<Self> {
        let mut calls: BTreeMap<[String; 3], u64> = BTreeMap::new();
        for series in all.filter(|series| series.kind == Some(Kind::Call)) {
            let unpriced = series.all().costs.of(Coverage::Unpriced);
            if unpriced > 0 {
                let names = ["gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model"];
                let name = |dimension| Key::new(&series.key).common(layout, dimension).unwrap_or_default();
                let names = names.map(|dimension| String::from_utf8_lossy(name(dimension)).into_owned());
                *calls.entry(names).or_default() += unpriced;
            }
        }
        let mut unpriced: Vec<Self> = calls
            .into_iter()
            .map(|([provider, request_model, response_model], calls)| Self {
                provider,
                request_model,
                response_model,
                calls,
            })
            .collect();
        unpriced.sort_by_key(|model| std::cmp::Reverse(model.calls));
        unpriced
    }
}

fn model_key(layout: &Layout, key: Key<'_>) -> String {
    let told = key.common(layout, "gen_ai.response.model").or_else(|| key.common(layout, "gen_ai.request.model"));
    told.map_or_else(|| "unknown".to_owned(), |model| String::from_utf8_lossy(model).into_owned())
}

fn service(layout: &Layout, key: Key<'_>) -> String {
    let position = layout.resource_attributes.iter().position(|name| name == "service.name");
    let value = position.and_then(|position| key.values().nth(position).flatten());
    value.map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default()
}
