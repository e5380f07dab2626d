//! An OTLP metrics request ordered as an exposition wants it: by family, then by label set, whatever resource, scope or
//! position in the request a series comes from. So a family is contiguous and the same state always gives the same text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, DataPointFlags, HistogramDataPoint, Metric, NumberDataPoint, metric,
};

use crate::names::{self, Kind};

/// One metric family and its series.
pub(crate) struct Family<'a> {
    pub(crate) kind: Kind,
    pub(crate) unit: Option<String>,
    pub(crate) help: &'a str,
    pub(crate) series: Vec<Series<'a>>,
}

/// One label set of a family and its current point.
pub(crate) struct Series<'a> {
    /// `name="value"` joined by commas, sorted by name, values escaped, without braces.
    pub(crate) labels: String,
    pub(crate) point: Point<'a>,
}

pub(crate) enum Point<'a> {
    Number(&'a NumberDataPoint),
    Histogram(&'a HistogramDataPoint),
}

/// Families by name. What a scrape cannot express is left out: delta temporality, exponential histograms, summaries,
/// points flagged as having no value. Where metrics of two kinds get one family name, or two points one label set, the
/// first stands: a scraper would refuse the whole page otherwise. (Spanmill's own output has neither.)
pub(crate) fn collect(request: &ExportMetricsServiceRequest) -> BTreeMap<String, Family<'_>> {
    let mut families = BTreeMap::new();
    for resource_metrics in &request.resource_metrics {
        let resource = resource_metrics.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        let metrics = resource_metrics.scope_metrics.iter().flat_map(|scope| &scope.metrics);
        metrics.for_each(|metric| add_metric(&mut families, resource, metric));
    }
    for family in families.values_mut() {
        family.series.sort_by(|one, other| one.labels.cmp(&other.labels));
        family.series.dedup_by(|later, earlier| later.labels == earlier.labels);
    }
    families
}

fn add_metric<'a>(families: &mut BTreeMap<String, Family<'a>>, resource: &'a [KeyValue], metric: &'a Metric) {
    let Some((kind, points)) = points(metric) else {
        return;
    };
    let Some(family_name) = names::family(&metric.name, &metric.unit, kind) else {
        return;
    };
    if points.is_empty() {
        return;
    }
    let family = families.entry(family_name.name).or_insert_with(|| Family {
        kind,
        unit: family_name.unit,
        help: &metric.description,
        series: Vec::new(),
    });
    if family.kind != kind {
        return;
    }
    family
        .series
        .extend(points.into_iter().map(|(attributes, point)| Series { labels: labels(resource, attributes), point }));
}

type Points<'a> = Vec<(&'a [KeyValue], Point<'a>)>;

fn points(metric: &Metric) -> Option<(Kind, Points<'_>)> {
    let cumulative = |temporality: i32| temporality == AggregationTemporality::Cumulative as i32;
    match metric.data.as_ref()? {
        metric::Data::Sum(sum) if !sum.is_monotonic => Some((Kind::Gauge, numbers(&sum.data_points))),
        metric::Data::Sum(sum) if cumulative(sum.aggregation_temporality) => {
            Some((Kind::Counter, numbers(&sum.data_points)))
        }
        metric::Data::Gauge(gauge) => Some((Kind::Gauge, numbers(&gauge.data_points))),
        metric::Data::Histogram(histogram) if cumulative(histogram.aggregation_temporality) => {
            let recorded = histogram.data_points.iter().filter(|point| has_value(point.flags));
            Some((Kind::Histogram, recorded.map(|point| (&point.attributes[..], Point::Histogram(point))).collect()))
        }
        _ => None,
    }
}

fn numbers(points: &[NumberDataPoint]) -> Points<'_> {
    let recorded = points.iter().filter(|point| has_value(point.flags) && point.value.is_some());
    recorded.map(|point| (&point.attributes[..], Point::Number(point))).collect()
}

fn has_value(flags: u32) -> bool {
    flags & DataPointFlags::NoRecordedValueMask as u32 == 0
}

/// Resource and point attributes as one label set. The point's value stands if both have the same attribute; attributes
/// whose names only become the same are joined with `;`, in the order of their original names, as Prometheus does.
pub(crate) fn labels(resource: &[KeyValue], point: &[KeyValue]) -> String {
    let attributes: BTreeMap<&str, &KeyValue> =
        resource.iter().chain(point).map(|attribute| (attribute.key.as_str(), attribute)).collect();
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for (name, attribute) in attributes {
        let value = attribute.value.as_ref().map(text).unwrap_or_default();
        labels
            .entry(names::label(name))
            .and_modify(|joined| {
                joined.push(';');
                joined.push_str(&value);
            })
            .or_insert(value);
    }
    let mut written = String::new();
    // An empty label is the same as none, to Prometheus.
    for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
        let separator = if written.is_empty() { "" } else { "," };
        let _ = write!(written, "{separator}{name}=\"{}\"", Escaped(value));
    }
    written
}

fn text(value: &AnyValue) -> String {
    let list = |values: Vec<String>| values.join(",");
    match &value.value {
        Some(any_value::Value::StringValue(value)) => value.clone(),
        Some(any_value::Value::BoolValue(value)) => value.to_string(),
        Some(any_value::Value::IntValue(value)) => value.to_string(),
        Some(any_value::Value::DoubleValue(value)) => value.to_string(),
        Some(any_value::Value::BytesValue(value)) => hex(value),
        Some(any_value::Value::ArrayValue(array)) => list(array.values.iter().map(text).collect()),
        Some(any_value::Value::KvlistValue(map)) => {
            let pair =
                |entry: &KeyValue| format!("{}={}", entry.key, entry.value.as_ref().map(text).unwrap_or_default());
            list(map.values.iter().map(pair).collect())
        }
        // An index into a dictionary that only profiles carry.
        Some(any_value::Value::StringValueStrindex(_)) | None => String::new(),
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// Writes a label value or an OpenMetrics help text with backslash, quote and line feed escaped.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => formatter.write_str("\\\\")?,
                '"' => formatter.write_str("\\\"")?,
                '\n' => formatter.write_str("\\n")?,
                _ => formatter.write_char(c)?,
            }
        }
        Ok(())
    }
}
