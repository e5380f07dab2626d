//! The messages of OTLP as data: for each JSON name the field number and the type, as the `.proto` files say them.
//!
//! Source: opentelemetry-proto v1.11 (`collector/*/v1`, `common`, `resource`, `trace`, `metrics`, `logs`). Fields that only
//! profiles use (`keyStrindex`, `stringValueStrindex`) are left out: elsewhere they must not be sent, so they are unknown.

use Kind::{Bool, Bytes, Double, Enum, Fixed32, Fixed64, Id, Int64, Message, SFixed64, SInt32, String, UInt32, UInt64};

/// A message type: its fields.
pub(super) struct Fields(pub &'static [Field]);

/// A field of a message.
pub(super) struct Field {
    /// The lowerCamelCase name.
    pub name: &'static str,
    /// The field number.
    pub number: u32,
    /// The type of the field, or of one item if `repeated`.
    pub kind: Kind,
    /// Whether it is an array.
    pub repeated: bool,
}

/// What a field holds, in JSON and on the wire.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// `string`.
    String,
    /// `bytes` as hex: an id of so many bytes, or empty.
    Id(usize),
    /// `bytes` as base64.
    Bytes,
    /// `bool`.
    Bool,
    /// An enum, by number.
    Enum,
    /// `uint32`.
    UInt32,
    /// `fixed32`.
    Fixed32,
    /// `sint32`.
    SInt32,
    /// `int64`.
    Int64,
    /// `sfixed64`.
    SFixed64,
    /// `uint64`.
    UInt64,
    /// `fixed64`.
    Fixed64,
    /// `double`.
    Double,
    /// A message.
    Message(&'static Fields),
}

const TRACE_ID: Kind = Id(16);
const SPAN_ID: Kind = Id(8);

const fn one(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, repeated: false }
}

const fn many(name: &'static str, number: u32, kind: Kind) -> Field {
    Field { name, number, kind, repeated: true }
}

// collector/trace/v1/trace_service.proto, trace/v1/trace.proto

pub(super) static TRACES: Fields = Fields(&[many("resourceSpans", 1, Message(&RESOURCE_SPANS))]);

static RESOURCE_SPANS: Fields = Fields(&[
    one("resource", 1, Message(&RESOURCE)),
    many("scopeSpans", 2, Message(&SCOPE_SPANS)),
    one("schemaUrl", 3, String),
]);

static SCOPE_SPANS: Fields =
    Fields(&[one("scope", 1, Message(&SCOPE)), many("spans", 2, Message(&SPAN)), one("schemaUrl", 3, String)]);

static SPAN: Fields = Fields(&[
    one("traceId", 1, TRACE_ID),
    one("spanId", 2, SPAN_ID),
    one("traceState", 3, String),
    one("parentSpanId", 4, SPAN_ID),
    one("name", 5, String),
    one("kind", 6, Enum),
    one("startTimeUnixNano", 7, Fixed64),
    one("endTimeUnixNano", 8, Fixed64),
    many("attributes", 9, Message(&KEY_VALUE)),
    one("droppedAttributesCount", 10, UInt32),
    many("events", 11, Message(&EVENT)),
    one("droppedEventsCount", 12, UInt32),
    many("links", 13, Message(&LINK)),
    one("droppedLinksCount", 14, UInt32),
    one("status", 15, Message(&STATUS)),
    one("flags", 16, Fixed32),
]);

static EVENT: Fields = Fields(&[
    one("timeUnixNano", 1, Fixed64),
    one("name", 2, String),
    many("attributes", 3, Message(&KEY_VALUE)),
    one("droppedAttributesCount", 4, UInt32),
]);

static LINK: Fields = Fields(&[
    one("traceId", 1, TRACE_ID),
    one("spanId", 2, SPAN_ID),
    one("traceState", 3, String),
    many("attributes", 4, Message(&KEY_VALUE)),
    one("droppedAttributesCount", 5, UInt32),
    one("flags", 6, Fixed32),
]);

static STATUS: Fields = Fields(&[one("message", 2, String), one("code", 3, Enum)]);

// common/v1/common.proto, resource/v1/resource.proto

static RESOURCE: Fields = Fields(&[
    many("attributes", 1, Message(&KEY_VALUE)),
    one("droppedAttributesCount", 2, UInt32),
    many("entityRefs", 3, Message(&ENTITY_REF)),
]);

static ENTITY_REF: Fields = Fields(&[
    one("schemaUrl", 1, String),
    one("type", 2, String),
    many("idKeys", 3, String),
    many("descriptionKeys", 4, String),
]);

static SCOPE: Fields = Fields(&[
    one("name", 1, String),
    one("version", 2, String),
    many("attributes", 3, Message(&KEY_VALUE)),
    one("droppedAttributesCount", 4, UInt32),
]);

static KEY_VALUE: Fields = Fields(&[one("key", 1, String), one("value", 2, Message(&ANY_VALUE))]);

static ANY_VALUE: Fields = Fields(&[
    one("stringValue", 1, String),
    one("boolValue", 2, Bool),
    one("intValue", 3, Int64),
    one("doubleValue", 4, Double),
    one("arrayValue", 5, Message(&ARRAY_VALUE)),
    one("kvlistValue", 6, Message(&KEY_VALUE_LIST)),
    one("bytesValue", 7, Bytes),
]);

static ARRAY_VALUE: Fields = Fields(&[many("values", 1, Message(&ANY_VALUE))]);

static KEY_VALUE_LIST: Fields = Fields(&[many("values", 1, Message(&KEY_VALUE))]);

// collector/metrics/v1/metrics_service.proto, metrics/v1/metrics.proto

pub(super) static METRICS: Fields = Fields(&[many("resourceMetrics", 1, Message(&RESOURCE_METRICS))]);

static RESOURCE_METRICS: Fields = Fields(&[
    one("resource", 1, Message(&RESOURCE)),
    many("scopeMetrics", 2, Message(&SCOPE_METRICS)),
    one("schemaUrl", 3, String),
]);

static SCOPE_METRICS: Fields =
    Fields(&[one("scope", 1, Message(&SCOPE)), many("metrics", 2, Message(&METRIC)), one("schemaUrl", 3, String)]);

static METRIC: Fields = Fields(&[
    one("name", 1, String),
    one("description", 2, String),
    one("unit", 3, String),
    one("gauge", 5, Message(&GAUGE)),
    one("sum", 7, Message(&SUM)),
    one("histogram", 9, Message(&HISTOGRAM)),
    one("exponentialHistogram", 10, Message(&EXPONENTIAL_HISTOGRAM)),
    one("summary", 11, Message(&SUMMARY)),
    many("metadata", 12, Message(&KEY_VALUE)),
]);

static GAUGE: Fields = Fields(&[many("dataPoints", 1, Message(&NUMBER_DATA_POINT))]);

static SUM: Fields = Fields(&[
    many("dataPoints", 1, Message(&NUMBER_DATA_POINT)),
    one("aggregationTemporality", 2, Enum),
    one("isMonotonic", 3, Bool),
]);

static HISTOGRAM: Fields =
    Fields(&[many("dataPoints", 1, Message(&HISTOGRAM_DATA_POINT)), one("aggregationTemporality", 2, Enum)]);

static EXPONENTIAL_HISTOGRAM: Fields =
    Fields(&[many("dataPoints", 1, Message(&EXPONENTIAL_DATA_POINT)), one("aggregationTemporality", 2, Enum)]);

static SUMMARY: Fields = Fields(&[many("dataPoints", 1, Message(&SUMMARY_DATA_POINT))]);

static NUMBER_DATA_POINT: Fields = Fields(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("asDouble", 4, Double),
    many("exemplars", 5, Message(&EXEMPLAR)),
    one("asInt", 6, SFixed64),
    many("attributes", 7, Message(&KEY_VALUE)),
    one("flags", 8, UInt32),
]);

static HISTOGRAM_DATA_POINT: Fields = Fields(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    one("sum", 5, Double),
    many("bucketCounts", 6, Fixed64),
    many("explicitBounds", 7, Double),
    many("exemplars", 8, Message(&EXEMPLAR)),
    many("attributes", 9, Message(&KEY_VALUE)),
    one("flags", 10, UInt32),
    one("min", 11, Double),
    one("max", 12, Double),
]);

static EXPONENTIAL_DATA_POINT: Fields = Fields(&[
    many("attributes", 1, Message(&KEY_VALUE)),
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    one("sum", 5, Double),
    one("scale", 6, SInt32),
    one("zeroCount", 7, Fixed64),
    one("positive", 8, Message(&BUCKETS)),
    one("negative", 9, Message(&BUCKETS)),
    one("flags", 10, UInt32),
    many("exemplars", 11, Message(&EXEMPLAR)),
    one("min", 12, Double),
    one("max", 13, Double),
    one("zeroThreshold", 14, Double),
]);

static BUCKETS: Fields = Fields(&[one("offset", 1, SInt32), many("bucketCounts", 2, UInt64)]);

static SUMMARY_DATA_POINT: Fields = Fields(&[
    one("startTimeUnixNano", 2, Fixed64),
    one("timeUnixNano", 3, Fixed64),
    one("count", 4, Fixed64),
    one("sum", 5, Double),
    many("quantileValues", 6, Message(&VALUE_AT_QUANTILE)),
    many("attributes", 7, Message(&KEY_VALUE)),
    one("flags", 8, UInt32),
]);

static VALUE_AT_QUANTILE: Fields = Fields(&[one("quantile", 1, Double), one("value", 2, Double)]);

static EXEMPLAR: Fields = Fields(&[
    one("timeUnixNano", 2, Fixed64),
    one("asDouble", 3, Double),
    one("spanId", 4, SPAN_ID),
    one("traceId", 5, TRACE_ID),
    one("asInt", 6, SFixed64),
    many("filteredAttributes", 7, Message(&KEY_VALUE)),
]);

// collector/logs/v1/logs_service.proto, logs/v1/logs.proto

pub(super) static LOGS: Fields = Fields(&[many("resourceLogs", 1, Message(&RESOURCE_LOGS))]);

static RESOURCE_LOGS: Fields = Fields(&[
    one("resource", 1, Message(&RESOURCE)),
    many("scopeLogs", 2, Message(&SCOPE_LOGS)),
    one("schemaUrl", 3, String),
]);

static SCOPE_LOGS: Fields = Fields(&[
    one("scope", 1, Message(&SCOPE)),
    many("logRecords", 2, Message(&LOG_RECORD)),
    one("schemaUrl", 3, String),
]);

static LOG_RECORD: Fields = Fields(&[
    one("timeUnixNano", 1, Fixed64),
    one("severityNumber", 2, Enum),
    one("severityText", 3, String),
    one("body", 5, Message(&ANY_VALUE)),
    many("attributes", 6, Message(&KEY_VALUE)),
    one("droppedAttributesCount", 7, UInt32),
    one("flags", 8, Fixed32),
    one("traceId", 9, TRACE_ID),
    one("spanId", 10, SPAN_ID),
    one("observedTimeUnixNano", 11, Fixed64),
    one("eventName", 12, String),
]);
