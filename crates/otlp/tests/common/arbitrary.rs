//! Arbitrary requests, as proptest strategies. Doubles are finite, as `==` has to hold.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
use proptest::option;
use proptest::prelude::*;

/// Texts with anything in them: empty, spaces, quotes, beyond ASCII.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z._]{1,12}", "\\PC{0,8}", any::<String>()]
}

/// An id of `length` bytes, or none.
fn id(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![1 => Just(Vec::new()), 4 => vec(any::<u8>(), length)]
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO, (-1000_i32..1000).prop_map(f64::from)]
}

/// Values of every kind, nested, also the empty one.
pub fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(AnyValue { value: None }),
        text().prop_map(|v| AnyValue { value: Some(Value::StringValue(v)) }),
        any::<bool>().prop_map(|v| AnyValue { value: Some(Value::BoolValue(v)) }),
        any::<i64>().prop_map(|v| AnyValue { value: Some(Value::IntValue(v)) }),
        finite().prop_map(|v| AnyValue { value: Some(Value::DoubleValue(v)) }),
        vec(any::<u8>(), 0..8).prop_map(|v| AnyValue { value: Some(Value::BytesValue(v)) }),
    ];
    leaf.prop_recursive(6, 24, 4, |inner| {
        let array = vec(inner.clone(), 0..4).prop_map(|values| Value::ArrayValue(ArrayValue { values }));
        let pairs = vec((text(), option::of(inner)), 0..4).prop_map(|pairs| {
            let values = pairs.into_iter().map(|(key, value)| pair(key, value)).collect();
            Value::KvlistValue(KeyValueList { values })
        });
        prop_oneof![array, pairs].prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn pair(key: String, value: Option<AnyValue>) -> KeyValue {
    KeyValue { key, value, ..KeyValue::default() }
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec((text(), option::weighted(0.9, value())).prop_map(|(key, value)| pair(key, value)), 0..4)
}

fn resource() -> impl Strategy<Value = Resource> {
    let names = || vec(text(), 0..3);
    let entity = (text(), text(), names(), names()).prop_map(|(schema_url, r#type, id_keys, description_keys)| {
        EntityRef { schema_url, r#type, id_keys, description_keys }
    });
    (attributes(), any::<u32>(), vec(entity, 0..2)).prop_map(|(attributes, dropped_attributes_count, entity_refs)| {
        Resource { attributes, dropped_attributes_count, entity_refs }
    })
}

fn scope() -> impl Strategy<Value = InstrumentationScope> {
    (text(), text(), attributes(), any::<u32>()).prop_map(|(name, version, attributes, dropped_attributes_count)| {
        InstrumentationScope { name, version, attributes, dropped_attributes_count }
    })
}

fn event() -> impl Strategy<Value = Event> {
    (any::<u64>(), text(), attributes(), any::<u32>()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn link() -> impl Strategy<Value = Link> {
    (id(16), id(8), text(), attributes(), any::<u32>(), any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags)| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        },
    )
}

fn status() -> impl Strategy<Value = Status> {
    (text(), any::<i32>()).prop_map(|(message, code)| Status { message, code })
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (id(16), id(8), id(8), text(), text());
    let numbers = any::<(u32, i32, u64, u64, u32, u32, u32)>();
    let parts = (attributes(), vec(event(), 0..3), vec(link(), 0..3), option::of(status()));
    (ids, numbers, parts).prop_map(|(ids, numbers, (attributes, events, links, status))| Span {
        trace_id: ids.0,
        span_id: ids.1,
        parent_span_id: ids.2,
        trace_state: ids.3,
        name: ids.4,
        flags: numbers.0,
        kind: numbers.1,
        start_time_unix_nano: numbers.2,
        end_time_unix_nano: numbers.3,
        attributes,
        dropped_attributes_count: numbers.4,
        events,
        dropped_events_count: numbers.5,
        links,
        dropped_links_count: numbers.6,
        status,
    })
}

/// Requests with spans.
pub fn traces() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope_spans = (option::of(scope()), vec(span(), 0..4), text())
        .prop_map(|(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url });
    let resource_spans = (option::of(resource()), vec(scope_spans, 0..3), text())
        .prop_map(|(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url });
    vec(resource_spans, 0..3).prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

fn exemplar() -> impl Strategy<Value = Exemplar> {
    let value =
        prop_oneof![finite().prop_map(exemplar::Value::AsDouble), any::<i64>().prop_map(exemplar::Value::AsInt),];
    (attributes(), any::<u64>(), id(8), id(16), option::of(value)).prop_map(
        |(filtered_attributes, time_unix_nano, span_id, trace_id, value)| Exemplar {
            filtered_attributes,
            time_unix_nano,
            span_id,
            trace_id,
            value,
        },
    )
}

fn exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    vec(exemplar(), 0..2)
}

fn number_data_point() -> impl Strategy<Value = NumberDataPoint> {
    let value = prop_oneof![
        finite().prop_map(number_data_point::Value::AsDouble),
        any::<i64>().prop_map(number_data_point::Value::AsInt),
    ];
    (attributes(), any::<u64>(), any::<u64>(), exemplars(), any::<u32>(), option::of(value)).prop_map(
        |(attributes, start_time_unix_nano, time_unix_nano, exemplars, flags, value)| NumberDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            exemplars,
            flags,
            value,
        },
    )
}

fn histogram_data_point() -> impl Strategy<Value = HistogramDataPoint> {
    let numbers = any::<(u64, u64, u64, u32)>();
    let doubles = (option::of(finite()), option::of(finite()), option::of(finite()));
    let buckets = (vec(any::<u64>(), 0..5), vec(finite(), 0..5));
    (attributes(), numbers, doubles, buckets, exemplars()).prop_map(
        |(attributes, numbers, (sum, min, max), (bucket_counts, explicit_bounds), exemplars)| HistogramDataPoint {
            attributes,
            start_time_unix_nano: numbers.0,
            time_unix_nano: numbers.1,
            count: numbers.2,
            sum,
            bucket_counts,
            explicit_bounds,
            exemplars,
            flags: numbers.3,
            min,
            max,
        },
    )
}

fn exponential_data_point() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    let numbers = any::<(u64, u64, u64, u64, u32, i32)>();
    let doubles = (option::of(finite()), option::of(finite()), option::of(finite()), finite());
    let buckets = || {
        option::of((any::<i32>(), vec(any::<u64>(), 0..5)))
            .prop_map(|buckets| buckets.map(|(offset, bucket_counts)| Buckets { offset, bucket_counts }))
    };
    (attributes(), numbers, doubles, buckets(), buckets(), exemplars()).prop_map(
        |(attributes, numbers, (sum, min, max, zero_threshold), positive, negative, exemplars)| {
            ExponentialHistogramDataPoint {
                attributes,
                start_time_unix_nano: numbers.0,
                time_unix_nano: numbers.1,
                count: numbers.2,
                sum,
                scale: numbers.5,
                zero_count: numbers.3,
                positive,
                negative,
                flags: numbers.4,
                exemplars,
                min,
                max,
                zero_threshold,
            }
        },
    )
}

fn summary_data_point() -> impl Strategy<Value = SummaryDataPoint> {
    let quantiles = vec((finite(), finite()).prop_map(|(quantile, value)| ValueAtQuantile { quantile, value }), 0..3);
    (attributes(), any::<(u64, u64, u64, u32)>(), finite(), quantiles).prop_map(
        |(attributes, numbers, sum, quantile_values)| SummaryDataPoint {
            attributes,
            start_time_unix_nano: numbers.0,
            time_unix_nano: numbers.1,
            count: numbers.2,
            sum,
            quantile_values,
            flags: numbers.3,
        },
    )
}

fn metric() -> impl Strategy<Value = Metric> {
    let data = prop_oneof![
        vec(number_data_point(), 0..3).prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        (vec(number_data_point(), 0..3), any::<i32>(), any::<bool>()).prop_map(
            |(data_points, aggregation_temporality, is_monotonic)| {
                Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic })
            }
        ),
        (vec(histogram_data_point(), 0..3), any::<i32>()).prop_map(|(data_points, aggregation_temporality)| {
            Data::Histogram(Histogram { data_points, aggregation_temporality })
        }),
        (vec(exponential_data_point(), 0..3), any::<i32>()).prop_map(|(data_points, aggregation_temporality)| {
            Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality })
        }),
        vec(summary_data_point(), 0..3).prop_map(|data_points| Data::Summary(Summary { data_points })),
    ];
    (text(), text(), text(), attributes(), option::of(data))
        .prop_map(|(name, description, unit, metadata, data)| Metric { name, description, unit, metadata, data })
}

/// Requests with metrics of every kind.
pub fn metrics() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let scope_metrics = (option::of(scope()), vec(metric(), 0..3), text())
        .prop_map(|(scope, metrics, schema_url)| ScopeMetrics { scope, metrics, schema_url });
    let resource_metrics = (option::of(resource()), vec(scope_metrics, 0..2), text())
        .prop_map(|(resource, scope_metrics, schema_url)| ResourceMetrics { resource, scope_metrics, schema_url });
    vec(resource_metrics, 0..3).prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

fn log_record() -> impl Strategy<Value = LogRecord> {
    let numbers = any::<(u64, u64, i32, u32, u32)>();
    (numbers, text(), option::of(value()), attributes(), id(16), id(8), text()).prop_map(
        |(numbers, severity_text, body, attributes, trace_id, span_id, event_name)| LogRecord {
            time_unix_nano: numbers.0,
            observed_time_unix_nano: numbers.1,
            severity_number: numbers.2,
            severity_text,
            body,
            attributes,
            dropped_attributes_count: numbers.3,
            flags: numbers.4,
            trace_id,
            span_id,
            event_name,
        },
    )
}

/// Requests with log records.
pub fn logs() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let scope_logs = (option::of(scope()), vec(log_record(), 0..3), text())
        .prop_map(|(scope, log_records, schema_url)| ScopeLogs { scope, log_records, schema_url });
    let resource_logs = (option::of(resource()), vec(scope_logs, 0..2), text())
        .prop_map(|(resource, scope_logs, schema_url)| ResourceLogs { resource, scope_logs, schema_url });
    vec(resource_logs, 0..3).prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}
