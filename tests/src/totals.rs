//! Requests, errors and tokens, read from every place that tells them.

pub mod archive;

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, metric, number_data_point};
use serde::{Deserialize, Serialize};

/// What was counted, in the form of `replay --format json` and of `expected` in truth.json.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Calls.
    pub requests: u64,
    /// Failed calls.
    pub errors: u64,
    /// Canonical tokens.
    pub tokens: Tokens,
    /// The same by model; `expected_upper` tells no models.
    #[serde(default)]
    pub by_model: BTreeMap<String, ModelTotals>,
}

/// Canonical tokens: input includes the cache, output includes reasoning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// All prompt tokens.
    pub input: u64,
    /// Read from a cache.
    pub cache_read: u64,
    /// Written to a cache.
    pub cache_write: u64,
    /// All generated tokens.
    pub output: u64,
    /// Of reasoning.
    pub reasoning: u64,
}

/// What was counted of one model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelTotals {
    /// Calls.
    pub requests: u64,
    /// Failed calls.
    pub errors: u64,
    /// Canonical tokens.
    #[serde(flatten)]
    pub tokens: Tokens,
}

impl Totals {
    /// Reads what `replay --format json` prints.
    pub fn from_json(text: &[u8]) -> Self {
        serde_json::from_slice(text).expect("totals as JSON")
    }

    /// These, and more of a model.
    pub fn and(&self, model: &str, more: &ModelTotals) -> Self {
        let mut by_model = self.by_model.clone();
        by_model.entry(model.to_owned()).or_default().add(more);
        Self::of_models(by_model)
    }

    /// The totals of the models added up.
    fn of_models(by_model: BTreeMap<String, ModelTotals>) -> Self {
        let mut totals = Self::default();
        for model in by_model.values() {
            totals.requests += model.requests;
            totals.errors += model.errors;
            totals.tokens.add(&model.tokens);
        }
        Self { by_model, ..totals }
    }
}

impl ModelTotals {
    fn add(&mut self, more: &Self) {
        self.requests += more.requests;
        self.errors += more.errors;
        self.tokens.add(&more.tokens);
    }
}

impl Tokens {
    fn add(&mut self, more: &Self) {
        self.input += more.input;
        self.cache_read += more.cache_read;
        self.cache_write += more.cache_write;
        self.output += more.output;
        self.reasoning += more.reasoning;
    }

    /// Adds tokens of one of the five disjoint classes.
    fn add_class(&mut self, class: &str, count: u64) {
        match class {
            "input_uncached" => self.input += count,
            "cache_read" => self.add(&Self { input: count, cache_read: count, ..Self::default() }),
            "cache_write" => self.add(&Self { input: count, cache_write: count, ..Self::default() }),
            "output_visible" => self.output += count,
            "reasoning" => self.add(&Self { output: count, reasoning: count, ..Self::default() }),
            other => panic!("no class of tokens: {other}"),
        }
    }
}

/// One value of a counter, whatever format it came in: names with underscores, as Prometheus has them.
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: u64,
}

impl Sample {
    fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }
}

pub(crate) fn total(samples: impl Iterator<Item = Sample>) -> Totals {
    let mut by_model: BTreeMap<String, ModelTotals> = BTreeMap::new();
    for sample in samples {
        let model = sample.label("gen_ai_response_model").or_else(|| sample.label("gen_ai_request_model"));
        let mut counted = ModelTotals::default();
        match (sample.name.as_str(), sample.label("outcome"), sample.label("class")) {
            ("spanmill_requests", Some("success"), _) => counted.requests = sample.value,
            ("spanmill_requests", Some("error"), _) => {
                counted.requests = sample.value;
                counted.errors = sample.value;
            }
            ("spanmill_tokens", _, Some(class)) => counted.tokens.add_class(class, sample.value),
            _ => continue,
        }
        by_model.entry(model.unwrap_or("unknown").to_owned()).or_default().add(&counted);
    }
    Totals::of_models(by_model)
}

/// What OTLP metrics come to, in the order received: deltas add up, of cumulative points the last counts.
pub fn otlp(requests: &[ExportMetricsServiceRequest]) -> Totals {
    let mut values: BTreeMap<(String, BTreeMap<String, String>), u64> = BTreeMap::new();
    let resources = requests.iter().flat_map(|request| &request.resource_metrics);
    for resource in resources {
        let common = resource.resource.as_ref().map(|resource| labels(&resource.attributes)).unwrap_or_default();
        for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
            let Some(metric::Data::Sum(sum)) = &metric.data else { continue };
            for point in &sum.data_points {
                let Some(number_data_point::Value::AsInt(value)) = point.value else { continue };
                let value = u64::try_from(value).unwrap_or_default();
                let mut labels = labels(&point.attributes);
                labels.extend(common.clone());
                let known = values.entry((underscored(&metric.name), labels)).or_default();
                match sum.aggregation_temporality() {
                    AggregationTemporality::Delta => *known += value,
                    _ => *known = value,
                }
            }
        }
    }
    total(values.into_iter().map(|((name, labels), value)| Sample { name, labels, value }))
}

fn labels(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    labels_of(attributes).into_iter().map(|(name, value)| (underscored(&name), value)).collect()
}

/// Attributes under their own names, their values as text.
pub fn labels_of(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text.clone()),
        other => Some(format!("{other:?}")),
    };
    attributes.iter().filter_map(|attribute| Some((attribute.key.clone(), text(attribute)?))).collect()
}

fn underscored(name: &str) -> String {
    name.replace('.', "_")
}

/// What a page of `/metrics` comes to.
pub fn prometheus(page: &str) -> Totals {
    // Most of a page is histograms, which are not read here.
    total(page.lines().filter(|line| line.starts_with("spanmill_")).filter_map(parse))
}

/// The sum of the samples whose name begins with `name` and that have `wanted` among their labels.
pub fn sample(page: &str, name: &str, wanted: &[(&str, &str)]) -> u64 {
    let samples = page.lines().filter(|line| line.starts_with(name)).filter_map(parse);
    let matching = samples.filter(|sample| wanted.iter().all(|(key, value)| sample.label(key) == Some(*value)));
    matching.map(|sample| sample.value).sum()
}

/// `name_total{label="value",...} 42`, without `_total`; `None` for comments and what is no whole number.
fn parse(line: &str) -> Option<Sample> {
    let (name, mut rest) = line.split_once('{')?;
    let mut labels = BTreeMap::new();
    while !rest.starts_with('}') {
        let (key, quoted) = rest.split_once("=\"")?;
        let (value, after) = unquote(quoted)?;
        labels.insert(key.trim_start_matches(',').to_owned(), value);
        rest = after;
    }
    let value = rest.strip_prefix("} ")?.split(' ').next()?;
    let value = value.strip_suffix(".0").unwrap_or(value).parse().ok()?;
    Some(Sample { name: name.strip_suffix("_total").unwrap_or(name).to_owned(), labels, value })
}

/// A label's value up to its closing quote, and what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    // Labels with quotes, commas and braces in their values are read as they were meant, exemplars are left out.
    #[test]
    fn lines_are_parsed() {
        let line = r#"spanmill_requests_total{a="x\"y,}\\",outcome="error"} 3 # {trace_id="0"} 1.5"#;
        let sample = parse(line).unwrap();
        assert_eq!((sample.name.as_str(), sample.value), ("spanmill_requests", 3));
        assert_eq!(sample.label("a"), Some("x\"y,}\\"));
        assert_eq!(sample.label("outcome"), Some("error"));
        assert!(parse("# HELP x y").is_none());
    }
}
