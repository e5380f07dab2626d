//! Delta metrics of successive intervals as those of one longer interval; of what is no delta, the later points.

use std::collections::HashMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, metric,
};
use otlp::exponential::Exponential;
use prost::Message as _;

/// Adds a later interval to an earlier one. Of gauges and of what is cumulative the later points take the place of the earlier ones; what
/// cannot be added (other bounds) stands beside what was there.
pub(crate) fn merge_delta(earlier: &mut ExportMetricsServiceRequest, later: &ExportMetricsServiceRequest) {
    let mut places = Places::of(earlier);
    for resource in &later.resource_metrics {
        for scope in &resource.scope_metrics {
            for metric in &scope.metrics {
                let key = key(resource, scope, metric);
                match places.metrics.get(&key) {
                    Some(&place) => add(earlier, place, metric),
                    None => places.append(earlier, key, resource, scope, metric),
                }
            }
        }
    }
}

/// Positions of a resource, a scope in it, and a metric in that.
type Place = (usize, usize, usize);

/// Where each metric stands.
struct Places {
    metrics: HashMap<Vec<u8>, Place>,
}

impl Places {
    fn of(request: &ExportMetricsServiceRequest) -> Self {
        let mut metrics = HashMap::new();
        for (r, resource) in request.resource_metrics.iter().enumerate() {
            for (s, scope) in resource.scope_metrics.iter().enumerate() {
                for (m, metric) in scope.metrics.iter().enumerate() {
                    metrics.insert(key(resource, scope, metric), (r, s, m));
                }
            }
        }
        Self { metrics }
    }

    fn append(
        &mut self,
        earlier: &mut ExportMetricsServiceRequest,
        key: Vec<u8>,
        resource: &ResourceMetrics,
        scope: &ScopeMetrics,
        metric: &Metric,
    ) {
        let scope = ScopeMetrics { metrics: vec![metric.clone()], ..scope.clone() };
        let resource = ResourceMetrics { scope_metrics: vec![scope], ..resource.clone() };
        self.metrics.insert(key, (earlier.resource_metrics.len(), 0, 0));
        earlier.resource_metrics.push(resource);
    }
}

/// Whose metric it is, which, and how it is told.
fn key(resource: &ResourceMetrics, scope: &ScopeMetrics, metric: &Metric) -> Vec<u8> {
    let kind = match &metric.data {
        Some(metric::Data::Gauge(_)) => 1,
        Some(metric::Data::Sum(sum)) => 2 + sum.aggregation_temporality as u8,
        Some(metric::Data::Histogram(histogram)) => 12 + histogram.aggregation_temporality as u8,
        Some(metric::Data::ExponentialHistogram(histogram)) => 22 + histogram.aggregation_temporality as u8,
        Some(metric::Data::Summary(_)) => 32,
        None => 0,
    };
    let scope = scope.scope.clone().unwrap_or_default();
    let mut key = resource.resource.clone().unwrap_or_default().encode_length_delimited_to_vec();
    key.extend(scope.encode_length_delimited_to_vec());
    key.push(kind);
    key.extend(metric.unit.as_bytes());
    key.push(0);
    key.extend(metric.name.as_bytes());
    key
}

fn add(earlier: &mut ExportMetricsServiceRequest, (r, s, m): Place, later: &Metric) {
    const DELTA: i32 = AggregationTemporality::Delta as i32;
    let resource = earlier.resource_metrics.get_mut(r);
    let scope = resource.and_then(|resource| resource.scope_metrics.get_mut(s));
    let Some(metric) = scope.and_then(|scope| scope.metrics.get_mut(m)) else { return };
    match (&mut metric.data, &later.data) {
        (Some(metric::Data::Sum(earlier)), Some(metric::Data::Sum(later))) => {
            let is_delta = later.aggregation_temporality == DELTA;
            let add = if is_delta { add_numbers } else { replace };
            points(&mut earlier.data_points, &later.data_points, |point| &point.attributes, add);
        }
        (Some(metric::Data::Histogram(earlier)), Some(metric::Data::Histogram(later))) => {
            let is_delta = later.aggregation_temporality == DELTA;
            let add = if is_delta { add_histograms } else { replace };
            points(&mut earlier.data_points, &later.data_points, |point| &point.attributes, add);
        }
        (Some(metric::Data::Gauge(earlier)), Some(metric::Data::Gauge(later))) => {
            points(&mut earlier.data_points, &later.data_points, |point| &point.attributes, replace);
        }
        (Some(metric::Data::ExponentialHistogram(earlier)), Some(metric::Data::ExponentialHistogram(later))) => {
            let is_delta = later.aggregation_temporality == DELTA;
            let add = if is_delta { add_exponential } else { replace };
            points(&mut earlier.data_points, &later.data_points, |point| &point.attributes, add);
        }
        (Some(metric::Data::Summary(earlier)), Some(metric::Data::Summary(later))) => {
            points(&mut earlier.data_points, &later.data_points, |point| &point.attributes, replace);
        }
        _ => {}
    }
}

type Attributes = Vec<opentelemetry_proto::tonic::common::v1::KeyValue>;

/// Adds each later point to the earlier one with the same attributes, or puts it beside them.
fn points<Point: Clone>(
    earlier: &mut Vec<Point>,
    later: &[Point],
    attributes: impl Fn(&Point) -> &Attributes,
    add: impl Fn(&mut Point, &Point) -> bool,
) {
    let key = |point: &Point| {
        let mut encoded: Vec<Vec<u8>> = attributes(point).iter().map(|pair| pair.encode_to_vec()).collect();
        encoded.sort_unstable();
        encoded
    };
    let places: HashMap<_, _> = earlier.iter().enumerate().map(|(place, point)| (key(point), place)).collect();
    for point in later {
        let place = places.get(&key(point)).copied();
        let is_added = place.and_then(|place| earlier.get_mut(place)).is_some_and(|earlier| add(earlier, point));
        if !is_added {
            earlier.push(point.clone());
        }
    }
}

fn replace<Point: Clone>(earlier: &mut Point, later: &Point) -> bool {
    earlier.clone_from(later);
    true
}

fn add_numbers(earlier: &mut NumberDataPoint, later: &NumberDataPoint) -> bool {
    let sum = match (earlier.value, later.value) {
        (Some(Value::AsInt(a)), Some(Value::AsInt(b))) => match a.checked_add(b) {
            Some(sum) => Value::AsInt(sum),
            None => return false,
        },
        (Some(Value::AsDouble(a)), Some(Value::AsDouble(b))) => Value::AsDouble(a + b),
        _ => return false,
    };
    earlier.value = Some(sum);
    earlier.time_unix_nano = earlier.time_unix_nano.max(later.time_unix_nano);
    if !later.exemplars.is_empty() {
        earlier.exemplars.clone_from(&later.exemplars);
    }
    true
}

fn add_histograms(earlier: &mut HistogramDataPoint, later: &HistogramDataPoint) -> bool {
    let is_alike =
        earlier.explicit_bounds == later.explicit_bounds && earlier.bucket_counts.len() == later.bucket_counts.len();
    if !is_alike {
        return false;
    }
    for (count, more) in earlier.bucket_counts.iter_mut().zip(&later.bucket_counts) {
        *count += more;
    }
    earlier.count += later.count;
    earlier.sum = earlier.sum.zip(later.sum).map(|(a, b)| a + b);
    earlier.min = earlier.min.zip(later.min).map(|(a, b)| a.min(b));
    earlier.max = earlier.max.zip(later.max).map(|(a, b)| a.max(b));
    earlier.time_unix_nano = earlier.time_unix_nano.max(later.time_unix_nano);
    if !later.exemplars.is_empty() {
        earlier.exemplars.clone_from(&later.exemplars);
    }
    true
}

/// Those with negative measurements, which Spanmill has none of, are not added.
fn add_exponential(earlier: &mut ExponentialHistogramDataPoint, later: &ExponentialHistogramDataPoint) -> bool {
    let both = Exponential::of_point(earlier).zip(Exponential::of_point(later));
    let Some((mut distribution, more)) = both else { return false };
    distribution.merge(&more);
    distribution.write(earlier);
    earlier.sum = earlier.sum.zip(later.sum).map(|(a, b)| a + b);
    earlier.min = earlier.min.zip(later.min).map(|(a, b)| a.min(b));
    earlier.max = earlier.max.zip(later.max).map(|(a, b)| a.max(b));
    earlier.time_unix_nano = earlier.time_unix_nano.max(later.time_unix_nano);
    if !later.exemplars.is_empty() {
        earlier.exemplars.clone_from(&later.exemplars);
    }
    true
}
