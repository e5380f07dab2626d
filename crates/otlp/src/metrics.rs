//! Writes `ExportMetricsServiceRequest`: the few constructors that a metric needs.

use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value};
pub use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint,
    exemplar, number_data_point,
};
use opentelemetry_proto::tonic::metrics::v1::{ExponentialHistogram, Histogram, Sum, metric};

/// Name, unit and meaning of a metric.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// Metric name, e.g. `gen_ai.client.token.usage`.
    pub name: &'static str,
    /// UCUM unit, e.g. `s` or `{token}`.
    pub unit: &'static str,
    /// One sentence for the reader of a metrics page.
    pub description: &'static str,
}

impl Description {
    /// A monotonic sum with these points.
    pub fn sum(&self, temporality: AggregationTemporality, data_points: Vec<NumberDataPoint>) -> Metric {
        self.metric(metric::Data::Sum(Sum {
            data_points,
            aggregation_temporality: temporality.into(),
            is_monotonic: true,
        }))
    }

    /// An explicit-bucket histogram with these points.
    pub fn histogram(&self, temporality: AggregationTemporality, data_points: Vec<HistogramDataPoint>) -> Metric {
        self.metric(metric::Data::Histogram(Histogram { data_points, aggregation_temporality: temporality.into() }))
    }

    /// An exponential histogram with these points.
    pub fn exponential_histogram(
        &self,
        temporality: AggregationTemporality,
        data_points: Vec<ExponentialHistogramDataPoint>,
    ) -> Metric {
        let aggregation_temporality = temporality.into();
        self.metric(metric::Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality }))
    }

    fn metric(&self, data: metric::Data) -> Metric {
        Metric {
            name: self.name.to_owned(),
            unit: self.unit.to_owned(),
            description: self.description.to_owned(),
            metadata: Vec::new(),
            data: Some(data),
        }
    }
}

/// An attribute with a text value.
pub fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.into()))
}

/// An attribute with a list of texts.
pub fn texts(key: &str, values: impl IntoIterator<Item = String>) -> KeyValue {
    let value = |text| AnyValue { value: Some(any_value::Value::StringValue(text)) };
    let values = values.into_iter().map(value).collect();
    attribute(key, any_value::Value::ArrayValue(ArrayValue { values }))
}

/// An attribute with an integer value.
pub fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}

/// An attribute with a floating-point value.
pub fn double(key: &str, value: f64) -> KeyValue {
    attribute(key, any_value::Value::DoubleValue(value))
}

/// An attribute with a truth value.
pub fn boolean(key: &str, value: bool) -> KeyValue {
    attribute(key, any_value::Value::BoolValue(value))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
