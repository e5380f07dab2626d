//! What SigNoz would show: a model of how it stores OTLP metrics and what its query builder makes of them, after its sources
//! (signozclickhousemetrics in SigNoz/signoz-otel-collector 75a995d, the querier in SigNoz/signoz 9997c3d).
//!
//! Stored: names with their dots, a histogram as `.count`, `.sum`, `.min`, `.max` and `.bucket` (cumulative over `le`); resource and
//! point attributes alike as labels; times cut to milliseconds; start times ignored; nothing deduplicated.
//! Asked: in steps of a minute. Of delta points the step's sum; of cumulative ones the growth of the step's maximum, so that the first
//! step of a series shows nothing, and the value itself where it fell. Of gauges the last value in the step.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, metric, number_data_point};
use serde_json::Value;

use crate::Received;
use crate::totals::labels_of;

/// The shortest step of a metric query.
const STEP_MILLIS: u64 = 60_000;

type Labels = BTreeMap<String, String>;
/// Values by group, then by step.
type Course = BTreeMap<Vec<String>, BTreeMap<u64, f64>>;
/// An upper bound, and how many lie below it.
type Bucket = (f64, f64);

/// The variables of a dashboard that are set to a value, by name; all others are set to all.
pub type Chosen<'a> = [(&'a str, &'a str)];

/// Stored samples, and the attributes of log records.
#[derive(Debug, Default)]
pub struct SigNoz {
    samples: Vec<Sample>,
    records: Vec<Labels>,
}

#[derive(Debug)]
struct Sample {
    metric: String,
    labels: Labels,
    is_delta: bool,
    millis: u64,
    value: f64,
}

impl SigNoz {
    /// Stores what was exported.
    pub fn store(received: &Received) -> Self {
        let mut stored = Self::default();
        for resource in received.metrics.iter().flat_map(|request| &request.resource_metrics) {
            let common = resource.resource.as_ref().map(|resource| labels_of(&resource.attributes)).unwrap_or_default();
            resource
                .scope_metrics
                .iter()
                .flat_map(|scope| &scope.metrics)
                .for_each(|metric| stored.add(metric, &common));
        }
        for resource in received.logs.iter().flat_map(|request| &request.resource_logs) {
            let common = resource.resource.as_ref().map(|resource| labels_of(&resource.attributes)).unwrap_or_default();
            let records = resource.scope_logs.iter().flat_map(|scope| &scope.log_records);
            stored.records.extend(
                records
                    .map(|record| common.clone().into_iter().chain(labels_of(&record.attributes)).collect::<Labels>()),
            );
        }
        stored
    }

    /// The values that a variable of this attribute offers.
    pub fn values(&self, attribute: &str) -> BTreeSet<&str> {
        self.samples.iter().filter_map(|sample| sample.labels.get(attribute)).map(String::as_str).collect()
    }

    /// The attributes of the log records that a list shows, its limit aside.
    ///
    /// # Panics
    /// If the list asks for something that this model does not know.
    pub fn list(&self, panel: &Value, chosen: &Chosen<'_>) -> Vec<&Labels> {
        let spec = &panel["spec"]["queries"][0]["spec"]["plugin"]["spec"];
        assert_eq!(spec["signal"], "logs");
        let conditions = conditions(spec["filter"]["expression"].as_str().expect("a filter"), chosen);
        self.records.iter().filter(|record| conditions.iter().all(|condition| condition.holds(record))).collect()
    }

    fn add(&mut self, metric: &Metric, common: &Labels) {
        let merged = |attributes| common.clone().into_iter().chain(labels_of(attributes)).collect::<Labels>();
        let mut sample = |suffix: &str, labels: Labels, is_delta: bool, nanos: u64, value: f64| {
            let metric = format!("{}{suffix}", metric.name);
            self.samples.push(Sample { metric, labels, is_delta, millis: nanos / 1_000_000, value });
        };
        let delta = AggregationTemporality::Delta;
        let number = |value: Option<number_data_point::Value>| match value {
            Some(number_data_point::Value::AsInt(value)) => value as f64,
            Some(number_data_point::Value::AsDouble(value)) => value,
            None => panic!("a point without a value"),
        };
        match metric.data.as_ref().expect("data") {
            metric::Data::Sum(sum) => {
                for point in &sum.data_points {
                    let is_delta = sum.aggregation_temporality() == delta;
                    sample("", merged(&point.attributes), is_delta, point.time_unix_nano, number(point.value));
                }
            }
            metric::Data::Gauge(gauge) => {
                for point in &gauge.data_points {
                    sample("", merged(&point.attributes), false, point.time_unix_nano, number(point.value));
                }
            }
            metric::Data::Histogram(histogram) => {
                let is_delta = histogram.aggregation_temporality() == delta;
                for point in &histogram.data_points {
                    let labels = merged(&point.attributes);
                    let mut number =
                        |suffix, value| sample(suffix, labels.clone(), is_delta, point.time_unix_nano, value);
                    number(".count", point.count as f64);
                    point.sum.into_iter().for_each(|sum| number(".sum", sum));
                    point.min.into_iter().for_each(|min| number(".min", min));
                    point.max.into_iter().for_each(|max| number(".max", max));
                    let bounds = point.explicit_bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
                    let mut below = 0;
                    for (bound, count) in bounds.zip(&point.bucket_counts) {
                        below += count;
                        let labels = labels.clone().into_iter().chain([("le".to_owned(), bound)]).collect();
                        sample(".bucket", labels, is_delta, point.time_unix_nano, below as f64);
                    }
                }
            }
            // Of these it stores none, unless it is told to.
            metric::Data::ExponentialHistogram(_) => {}
            metric::Data::Summary(_) => panic!("not stored: {metric:?}"),
        }
    }

    /// The values that a panel of a dashboard shows, by group; of a course in time, all steps.
    ///
    /// # Panics
    /// If the panel asks for something that this model does not know.
    pub fn panel(&self, panel: &Value, chosen: &Chosen<'_>) -> BTreeMap<Vec<String>, Vec<f64>> {
        let query = &panel["spec"]["queries"][0];
        let is_scalar = query["kind"] == "scalar";
        let plugin = &query["spec"]["plugin"];
        let Some(queries) = plugin["spec"]["queries"].as_array() else {
            assert_eq!(plugin["kind"], "signoz/BuilderQuery");
            return values(self.ask(&plugin["spec"], is_scalar, chosen));
        };
        let mut answers = BTreeMap::new();
        let mut shown = BTreeMap::new();
        for one in queries {
            let spec = &one["spec"];
            let name = spec["name"].as_str().expect("a name").to_owned();
            let answer = match one["type"].as_str() {
                Some("builder_query") => self.ask(spec, is_scalar, chosen),
                Some("builder_formula") => quotient(spec["expression"].as_str().expect("an expression"), &answers),
                other => panic!("no type of query: {other:?}"),
            };
            if spec["disabled"] == false {
                let named = |(mut group, values): (Vec<String>, Vec<f64>)| {
                    group.push(name.clone());
                    (group, values)
                };
                shown.extend(values(answer.clone()).into_iter().map(named));
            }
            answers.insert(name, answer);
        }
        shown
    }

    fn ask(&self, spec: &Value, is_scalar: bool, chosen: &Chosen<'_>) -> Course {
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("a text in {spec}")).to_owned();
        assert_eq!(spec["signal"], "metrics");
        let aggregation = &spec["aggregations"][0];
        let conditions = conditions(&text(&spec["filter"]["expression"]), chosen);
        let by: Vec<String> =
            spec["groupBy"].as_array().expect("a list").iter().map(|key| text(&key["name"])).collect();
        let metric = text(&aggregation["metricName"]);
        let chosen = self.samples.iter().filter(|sample| {
            sample.metric == metric && conditions.iter().all(|condition| condition.holds(&sample.labels))
        });
        let (over_time, over_series) = (text(&aggregation["timeAggregation"]), text(&aggregation["spaceAggregation"]));
        let percent: Option<f64> = over_series.strip_prefix('p').map(|percent| percent.parse().expect("a number"));
        let mut course = match (over_time.as_str(), percent) {
            ("increase" | "rate", None) => group(grown(chosen), &by),
            ("latest", None) => group(latest(chosen), &by),
            ("", Some(percent)) => percentiles(grown(chosen), &by, percent / 100.0),
            other => panic!("no aggregation: {other:?}"),
        };
        if over_time == "rate" {
            let steps = course.values_mut().flat_map(BTreeMap::values_mut);
            steps.for_each(|value| *value /= STEP_MILLIS as f64 / 1000.0);
        }
        if is_scalar {
            assert_ne!(over_time, "latest", "the steps of a gauge do not add up");
            assert_eq!(aggregation["reduceTo"], "sum");
            course.values_mut().for_each(|steps| *steps = BTreeMap::from([(0, steps.values().sum())]));
        }
        course
    }
}

fn values(course: Course) -> BTreeMap<Vec<String>, Vec<f64>> {
    course.into_iter().map(|(group, steps)| (group, steps.into_values().collect())).collect()
}

/// The growth of each series in each step.
fn grown<'a>(samples: impl Iterator<Item = &'a Sample>) -> Vec<(&'a Labels, BTreeMap<u64, f64>)> {
    let mut series: BTreeMap<(&Labels, bool), BTreeMap<u64, f64>> = BTreeMap::new();
    for sample in samples {
        let steps = series.entry((&sample.labels, sample.is_delta)).or_default();
        let value = steps.entry(sample.millis / STEP_MILLIS * STEP_MILLIS).or_default();
        *value = if sample.is_delta { *value + sample.value } else { value.max(sample.value) };
    }
    let growth = |steps: BTreeMap<u64, f64>| {
        let pairs = steps.iter().zip(steps.iter().skip(1));
        let grown = pairs.map(|((_, before), (step, now))| (*step, if now < before { *now } else { now - before }));
        grown.collect()
    };
    series
        .into_iter()
        .map(|((labels, is_delta), steps)| (labels, if is_delta { steps } else { growth(steps) }))
        .collect()
}

/// The last value of each series in each step.
fn latest<'a>(samples: impl Iterator<Item = &'a Sample>) -> Vec<(&'a Labels, BTreeMap<u64, f64>)> {
    let mut series: BTreeMap<&Labels, BTreeMap<u64, (u64, f64)>> = BTreeMap::new();
    for sample in samples {
        assert!(!sample.is_delta, "{} is no gauge", sample.metric);
        let last =
            series.entry(&sample.labels).or_default().entry(sample.millis / STEP_MILLIS * STEP_MILLIS).or_default();
        *last = if sample.millis < last.0 { *last } else { (sample.millis, sample.value) };
    }
    let values = |steps: BTreeMap<u64, (u64, f64)>| steps.into_iter().map(|(step, (_, value))| (step, value)).collect();
    series.into_iter().map(|(labels, steps)| (labels, values(steps))).collect()
}

fn group(series: Vec<(&Labels, BTreeMap<u64, f64>)>, by: &[String]) -> Course {
    let mut groups = Course::new();
    for (labels, steps) in series {
        let key = by.iter().map(|name| labels.get(name).cloned().unwrap_or_default()).collect();
        let course = groups.entry(key).or_default();
        steps.into_iter().for_each(|(step, value)| *course.entry(step).or_default() += value);
    }
    groups
}

/// Percentiles of buckets, by Prometheus' rule: linear within a bucket, and the highest bound but infinity where it lies above.
fn percentiles(series: Vec<(&Labels, BTreeMap<u64, f64>)>, by: &[String], part: f64) -> Course {
    let with_bounds: Vec<String> = by.iter().cloned().chain(["le".to_owned()]).collect();
    let mut buckets: BTreeMap<(Vec<String>, u64), Vec<Bucket>> = BTreeMap::new();
    for (mut key, steps) in group(series, &with_bounds) {
        let bound: f64 = key.pop().expect("le").parse().expect("a number");
        for (step, below) in steps {
            buckets.entry((key.clone(), step)).or_default().push((bound, below));
        }
    }
    let mut groups = Course::new();
    for ((key, step), mut buckets) in buckets {
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let rank = part * buckets.last().expect("a bucket").1;
        let at = buckets.iter().position(|(_, below)| *below >= rank).expect("the last one");
        let (from, below) = if at == 0 { (0.0, 0.0) } else { buckets[at - 1] };
        let (to, until) = buckets[at];
        let value = if to.is_finite() { from + (to - from) * (rank - below) / (until - below) } else { from };
        groups.entry(key).or_default().insert(step, value);
    }
    groups
}

/// `A / B`, where both have a value.
fn quotient(expression: &str, answers: &BTreeMap<String, Course>) -> Course {
    let (part, whole) = expression.split_once(" / ").expect("a quotient");
    let (parts, wholes) = (&answers[part], &answers[whole]);
    let of_group = |(group, steps): (&Vec<String>, &BTreeMap<u64, f64>)| {
        let wholes = wholes.get(group)?;
        let quotients = steps.iter().filter_map(|(step, part)| Some((*step, part / wholes.get(step)?)));
        Some((group.clone(), quotients.collect()))
    };
    parts.iter().filter_map(of_group).collect()
}

/// One condition of a filter.
#[derive(Debug)]
enum Condition {
    OneOf(String, BTreeSet<String>),
    Not(String, String),
    Exists(String),
}

impl Condition {
    fn holds(&self, labels: &Labels) -> bool {
        match self {
            Self::OneOf(name, values) => labels.get(name).is_some_and(|value| values.contains(value)),
            Self::Not(name, value) => labels.get(name) != Some(value),
            Self::Exists(name) => labels.contains_key(name),
        }
    }
}

/// The conditions of a filter. Set to all, a variable takes its condition with it.
fn conditions(expression: &str, chosen: &Chosen<'_>) -> Vec<Condition> {
    let parts = expression.split(" AND ").filter(|part| !part.is_empty());
    let put_in = |part: &str| {
        let Some((attribute, variable)) = part.split_once(" IN $") else { return Some(part.to_owned()) };
        let (_, value) = chosen.iter().find(|(name, _)| *name == variable)?;
        Some(format!("{attribute} IN ('{value}')"))
    };
    let parts = parts.filter_map(put_in);
    parts.map(|part| condition(&part).unwrap_or_else(|| panic!("no condition: {part}"))).collect()
}

fn condition(part: &str) -> Option<Condition> {
    let unquoted = |text: &str| text.strip_prefix('\'')?.strip_suffix('\'').map(str::to_owned);
    if let Some(name) = part.strip_suffix(" EXISTS") {
        return Some(Condition::Exists(name.to_owned()));
    }
    if let Some((name, value)) = part.split_once(" != ") {
        return Some(Condition::Not(name.to_owned(), unquoted(value)?));
    }
    if let Some((name, value)) = part.split_once(" = ") {
        return Some(Condition::OneOf(name.to_owned(), BTreeSet::from([unquoted(value)?])));
    }
    let (name, list) = part.split_once(" IN ")?;
    let values = list.strip_prefix('(')?.strip_suffix(')')?.split(", ");
    Some(Condition::OneOf(name.to_owned(), values.map(unquoted).collect::<Option<_>>()?))
}
