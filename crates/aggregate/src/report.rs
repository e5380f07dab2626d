//! What was counted, summed up for people and for `replay --format json`.

use std::collections::BTreeMap;

use genai::TokenClasses;

use crate::histogram::{Histogram, SECONDS};
use crate::instruments::Instruments;
use crate::key::{Key, Kind, Layout};
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

fn model_key(layout: &Layout, key: Key<'_>) -> String {
    let told = key.common(layout, "gen_ai.response.model").or_else(|| key.common(layout, "gen_ai.request.model"));
    told.map_or_else(|| "unknown".to_owned(), |model| String::from_utf8_lossy(model).into_owned())
}

fn service(layout: &Layout, key: Key<'_>) -> String {
    let position = layout.resource_attributes.iter().position(|name| name == "service.name");
    let value = position.and_then(|position| key.values().nth(position).flatten());
    value.map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default()
}
