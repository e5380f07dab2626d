//! JSON as real senders write it, and JSON that has to be refused. The round trips are in `tests/json.rs`.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValueList};
use opentelemetry_proto::tonic::metrics::v1::{exemplar, metric::Data, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::*;

fn traces(json: &str) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(traces_to_protobuf(json.as_bytes()).unwrap().as_slice()).unwrap()
}

/// The one span whose fields are `fields`.
fn span(fields: &str) -> Span {
    let mut request = traces(&in_span(fields));
    request.resource_spans.remove(0).scope_spans.remove(0).spans.remove(0)
}

fn in_span(fields: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#)
}

/// What an attribute value in JSON stands for.
fn value(json: &str) -> Option<Value> {
    let span = span(&format!(r#""attributes":[{{"key":"k","value":{json}}}]"#));
    span.attributes.into_iter().next().unwrap().value.unwrap().value
}

/// Path and text of the error for a span whose fields are `fields`.
fn refused(fields: &str) -> String {
    traces_to_protobuf(in_span(fields).as_bytes()).unwrap_err().to_string()
}

/// A request of the JS SDK (`exporter-trace-otlp-http` 0.2xx): numbers unquoted, `[]` and 0 written out.
#[test]
fn reads_the_javascript_sdk() {
    let request = traces(
        r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}],
        "droppedAttributesCount":0},"scopeSpans":[{"scope":{"name":"ai","version":"5.0"},"spans":[{
        "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","parentSpanId":"eee19b7ec3c1b173",
        "traceState":"a=b","name":"ai.generateText","kind":1,"startTimeUnixNano":"1544712660000000000",
        "endTimeUnixNano":"1544712661000000000","attributes":[
            {"key":"gen_ai.usage.input_tokens","value":{"intValue":42}},
            {"key":"temperature","value":{"doubleValue":0.1}},
            {"key":"finish","value":{"arrayValue":{"values":[{"stringValue":"stop"},{}]}}}],
        "droppedAttributesCount":0,"events":[{"attributes":[{"key":"exception.type","value":{"stringValue":"E"}}],
            "name":"exception","timeUnixNano":"1544712660500000000","droppedAttributesCount":0}],
        "droppedEventsCount":0,"status":{"code":0},"links":[{"attributes":[],"context":{"x":1},
            "spanId":"eee19b7ec3c1b175","traceId":"5B8EFFF798038103D269B633813FC60C","droppedAttributesCount":0,"flags":257}],
        "droppedLinksCount":0,"flags":257}]}]}]}"#,
    );
    let resource = &request.resource_spans[0];
    assert_eq!(resource.resource.as_ref().unwrap().attributes[0].key, "service.name");
    let scope = &resource.scope_spans[0];
    assert_eq!(scope.scope.as_ref().unwrap().version, "5.0");
    let span = &scope.spans[0];
    assert_eq!(span.trace_id, 0x5b8e_fff7_9803_8103_d269_b633_813f_c60c_u128.to_be_bytes());
    assert_eq!(span.links[0].trace_id, span.trace_id);
    assert_eq!((span.kind, span.flags, span.links[0].flags), (1, 257, 257));
    assert_eq!(span.start_time_unix_nano, 1_544_712_660_000_000_000);
    assert_eq!(span.attributes[0].value.as_ref().unwrap().value, Some(Value::IntValue(42)));
    let finish = vec![AnyValue { value: Some(Value::StringValue("stop".into())) }, AnyValue::default()];
    assert_eq!(
        span.attributes[2].value.as_ref().unwrap().value,
        Some(Value::ArrayValue(ArrayValue { values: finish }))
    );
    assert_eq!(span.events[0].time_unix_nano, 1_544_712_660_500_000_000);
    assert_eq!(span.status.as_ref().unwrap().code, 0);
}

/// A line of the Collector's file exporter: 64-bit numbers quoted, empty ids and an empty status.
#[test]
fn reads_the_file_exporter() {
    let request = traces(
        r#"{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[{"traceId":"","spanId":"",
        "parentSpanId":"","name":"n","kind":3,"startTimeUnixNano":"0","attributes":[
        {"key":"tokens","value":{"intValue":"-9223372036854775808"}},{"key":"none","value":{}}],
        "status":{}}]}],"schemaUrl":"https://opentelemetry.io/schemas/1.41.0"}]}"#,
    );
    assert_eq!(request.resource_spans[0].schema_url, "https://opentelemetry.io/schemas/1.41.0");
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert!(span.trace_id.is_empty() && span.span_id.is_empty() && span.status.is_some());
    assert_eq!(span.attributes[0].value.as_ref().unwrap().value, Some(Value::IntValue(i64::MIN)));
    assert_eq!(span.attributes[1].value, Some(AnyValue::default()));
}

/// All kinds of metrics, with counts as strings and exemplars of both number kinds.
#[test]
fn reads_metrics() {
    let json = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"g","gauge":{"dataPoints":[{"asInt":"7"},{"asInt":-7},{"asDouble":"NaN"}]}},
        {"name":"s","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"asDouble":5,"exemplars":[
            {"asInt":"3","spanId":"eee19b7ec3c1b174"},{"asDouble":0.5,"traceId":"5b8efff798038103d269b633813fc60c"}]}]}},
        {"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[{"count":"3","sum":1.5,
            "bucketCounts":["1",2],"explicitBounds":[0.5,"Infinity"],"min":null,"max":2}]}},
        {"name":"e","exponentialHistogram":{"dataPoints":[{"count":"2","scale":-3,"zeroCount":"1",
            "positive":{"offset":-2,"bucketCounts":["1","300"]},"negative":{},"zeroThreshold":1e-9}]}},
        {"name":"q","summary":{"dataPoints":[{"count":"9","sum":4,"quantileValues":[{"quantile":0.5,"value":1}]}]}}
        ]}]}]}"#;
    let protobuf = metrics_to_protobuf(json.as_bytes()).unwrap();
    let request = ExportMetricsServiceRequest::decode(protobuf.as_slice()).unwrap();
    let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;

    let Some(Data::Gauge(gauge)) = &metrics[0].data else { panic!("not a gauge") };
    assert_eq!(gauge.data_points[0].value, Some(number_data_point::Value::AsInt(7)));
    assert_eq!(gauge.data_points[1].value, Some(number_data_point::Value::AsInt(-7)));
    assert!(matches!(gauge.data_points[2].value, Some(number_data_point::Value::AsDouble(v)) if v.is_nan()));

    let Some(Data::Sum(sum)) = &metrics[1].data else { panic!("not a sum") };
    assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
    assert_eq!(sum.data_points[0].value, Some(number_data_point::Value::AsDouble(5.0)));
    assert_eq!(sum.data_points[0].exemplars[0].value, Some(exemplar::Value::AsInt(3)));
    assert_eq!(sum.data_points[0].exemplars[1].value, Some(exemplar::Value::AsDouble(0.5)));

    let Some(Data::Histogram(histogram)) = &metrics[2].data else { panic!("not a histogram") };
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.sum, point.min, point.max), (3, Some(1.5), None, Some(2.0)));
    assert_eq!((&point.bucket_counts, &point.explicit_bounds), (&vec![1, 2], &vec![0.5, f64::INFINITY]));

    let Some(Data::ExponentialHistogram(histogram)) = &metrics[3].data else { panic!("not exponential") };
    let point = &histogram.data_points[0];
    assert_eq!((point.scale, point.zero_count, point.zero_threshold), (-3, 1, 1e-9));
    assert_eq!(point.positive.as_ref().unwrap().bucket_counts, [1, 300]);
    assert_eq!(point.positive.as_ref().unwrap().offset, -2);
    assert!(point.negative.is_some());

    let Some(Data::Summary(summary)) = &metrics[4].data else { panic!("not a summary") };
    assert_eq!(summary.data_points[0].quantile_values[0].quantile, 0.5);
}

/// A log record with its trace context and a structured body.
#[test]
fn reads_logs() {
    let json = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","observedTimeUnixNano":2,
        "severityNumber":17,"severityText":"ERROR","eventName":"gen_ai.evaluation.result","flags":1,
        "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
        "body":{"kvlistValue":{"values":[{"key":"a","value":{"boolValue":false}}]}}}]}]}]}"#;
    let request = ExportLogsServiceRequest::decode(logs_to_protobuf(json.as_bytes()).unwrap().as_slice()).unwrap();
    let record = &request.resource_logs[0].scope_logs[0].log_records[0];
    assert_eq!((record.time_unix_nano, record.observed_time_unix_nano, record.severity_number), (1, 2, 17));
    assert_eq!((record.event_name.as_str(), record.flags), ("gen_ai.evaluation.result", 1));
    let Some(Value::KvlistValue(body)) = &record.body.as_ref().unwrap().value else { panic!("not a list") };
    assert_eq!(body.values[0].value.as_ref().unwrap().value, Some(Value::BoolValue(false)));
}

/// Every way in which proto3 JSON lets a value be written.
#[test]
fn reads_every_form_of_a_value() {
    let pairs = Value::KvlistValue(KeyValueList::default());
    let cases = [
        (r#"{"stringValue":""}"#, Some(Value::StringValue(String::new()))),
        (r#"{"stringValue":"\u00e4\ud83d\ude00"}"#, Some(Value::StringValue("ä😀".into()))),
        (r#"{"boolValue":true}"#, Some(Value::BoolValue(true))),
        (r#"{"intValue":9223372036854775807}"#, Some(Value::IntValue(i64::MAX))),
        (r#"{"intValue":"9223372036854775807"}"#, Some(Value::IntValue(i64::MAX))),
        (r#"{"intValue":-1}"#, Some(Value::IntValue(-1))),
        (r#"{"intValue":1e3}"#, Some(Value::IntValue(1000))),
        (r#"{"doubleValue":1}"#, Some(Value::DoubleValue(1.0))),
        (r#"{"doubleValue":-1}"#, Some(Value::DoubleValue(-1.0))),
        (r#"{"doubleValue":0.1}"#, Some(Value::DoubleValue(0.1))),
        (r#"{"doubleValue":"0.1"}"#, Some(Value::DoubleValue(0.1))),
        (r#"{"doubleValue":18446744073709551616}"#, Some(Value::DoubleValue(18_446_744_073_709_551_616.0))),
        (r#"{"doubleValue":"Infinity"}"#, Some(Value::DoubleValue(f64::INFINITY))),
        (r#"{"doubleValue":"-Infinity"}"#, Some(Value::DoubleValue(f64::NEG_INFINITY))),
        (r#"{"bytesValue":"+/8="}"#, Some(Value::BytesValue(vec![0xfb, 0xff]))),
        (r#"{"bytesValue":"-_8"}"#, Some(Value::BytesValue(vec![0xfb, 0xff]))),
        (r#"{"arrayValue":{}}"#, Some(Value::ArrayValue(ArrayValue::default()))),
        (r#"{"arrayValue":{"values":null}}"#, Some(Value::ArrayValue(ArrayValue::default()))),
        (r#"{"kvlistValue":{}}"#, Some(pairs)),
        (r#"{"stringValue":null,"intValue":"1"}"#, Some(Value::IntValue(1))),
        (r#"{"stringValue":null}"#, None),
        (r#"{"futureValue":{"a":[1,{"b":null}]}}"#, None),
        (r"{}", None),
    ];
    for (json, expected) in cases {
        assert_eq!(value(json), expected, "{json}");
    }
    assert!(matches!(value(r#"{"doubleValue":"NaN"}"#), Some(Value::DoubleValue(v)) if v.is_nan()));
}

/// `null` is absent at every level; a null among messages is left out.
#[test]
fn null_is_absent() {
    assert_eq!(traces("null"), ExportTraceServiceRequest::default());
    assert_eq!(traces(r#"{"resourceSpans":null}"#), ExportTraceServiceRequest::default());
    assert_eq!(traces(r#"{"resourceSpans":[null]}"#), ExportTraceServiceRequest::default());
    let nulls = r#""traceId":null,"name":null,"kind":null,"startTimeUnixNano":null,"attributes":null,"events":[null],
        "status":null,"flags":null"#;
    assert_eq!(span(nulls), Span::default());
    assert_eq!(span(r#""attributes":[{"key":"k","value":null}]"#).attributes[0].value, None);
}

/// An empty body, blanks and `{}` are empty requests.
#[test]
fn nothing_is_an_empty_request() {
    for json in ["", " \r\n", "{}", "{ }\n"] {
        assert_eq!(traces_to_protobuf(json.as_bytes()).unwrap(), b"", "{json:?}");
        assert_eq!(signal_of(json.as_bytes()), None, "{json:?}");
    }
}

/// Unknown keys are ignored whatever they hold, and snake_case is unknown.
#[test]
fn unknown_keys_are_ignored() {
    let expected = Span { name: "n".into(), ..Span::default() };
    let fields = r#""trace_id":"zz","start_time_unix_nano":{"a":[1]},"Name":1,"new":[[{}]],"name":"n""#;
    assert_eq!(span(fields), expected);
}

/// A value that its field cannot hold is refused, with its path and without being quoted.
#[test]
fn names_the_field_that_is_wrong() {
    const SPAN: &str = "resourceSpans[0].scopeSpans[0].spans[0]";
    let cases = [
        (r#""traceId":"5b8e""#, ".traceId: invalid value: string, expected 32 hex digits"),
        (r#""traceId":"zb8efff798038103d269b633813fc60c""#, ".traceId: invalid value: string, expected 32 hex digits"),
        (r#""spanId":"eee19b7ec3c1b1740""#, ".spanId: invalid value: string, expected 16 hex digits"),
        (r#""spanId":"äää19b7ec3c1b""#, ".spanId: invalid value: string, expected 16 hex digits"),
        (r#""spanId":7"#, ".spanId: invalid type: number, expected 16 hex digits"),
        (r#""kind":"SPAN_KIND_CLIENT""#, ".kind: invalid type: string, expected the number of an enum value"),
        (r#""kind":2147483648"#, ".kind: number out of range"),
        (r#""name":7"#, ".name: invalid type: number, expected a string"),
        (r#""name":["secret"]"#, ".name: invalid type: array, expected a string"),
        (r#""name":{"secret":1}"#, ".name: invalid type: object, expected a string"),
        (r#""flags":-1"#, ".flags: number out of range"),
        (r#""flags":1.5"#, ".flags: invalid type: fraction, expected an unsigned 32-bit integer"),
        (r#""startTimeUnixNano":"18446744073709551616""#, ".startTimeUnixNano: number out of range"),
        (r#""startTimeUnixNano":1e300"#, ".startTimeUnixNano: number out of range"),
        (
            r#""startTimeUnixNano":"soon""#,
            ".startTimeUnixNano: invalid value: string, expected an unsigned 64-bit integer",
        ),
        (r#""attributes":{}"#, ".attributes: invalid type: map, expected an array"),
        (r#""attributes":"secret""#, ".attributes: invalid type: string, expected an array"),
        (r#""attributes":["secret"]"#, ".attributes[0]: invalid type: string, expected an object"),
        (r#""attributes":[{},[]]"#, ".attributes[1]: invalid type: array, expected an object"),
        (
            r#""attributes":[{"value":{"arrayValue":{"values":[{},{"boolValue":"true"}]}}}]"#,
            ".attributes[0].value.arrayValue.values[1].boolValue: invalid type: string, expected true or false",
        ),
        (
            r#""attributes":[{"value":{"bytesValue":"?"}}]"#,
            ".attributes[0].value.bytesValue: invalid value: string, expected base64",
        ),
        (
            r#""attributes":[{"value":{"doubleValue":"inf"}}]"#,
            ".attributes[0].value.doubleValue: invalid value: string",
        ),
        (r#""events":[{"name":true}]"#, ".events[0].name: invalid type: boolean, expected a string"),
        (r#""events":[{"name":"#, ".events[0].name: expected value"),
    ];
    for (fields, expected) in cases {
        let error = refused(fields);
        assert!(error.starts_with(&format!("{SPAN}{expected}")), "{fields}\n{error}");
        assert!(error.contains(" at line 1 column "), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

/// A null among numbers is refused: leaving it out would move the buckets after it.
#[test]
fn null_among_numbers_is_refused() {
    let json = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"bucketCounts":[1,null]}]}}]}]}]}"#;
    let error = metrics_to_protobuf(json.as_bytes()).unwrap_err();
    let path = "resourceMetrics[0].scopeMetrics[0].metrics[0].histogram.dataPoints[0].bucketCounts[1]";
    assert_eq!(error.path, path);
}

/// What is not a JSON object is refused as a whole.
#[test]
fn refuses_what_is_no_request() {
    for json in ["[]", "7", "\"secret\"", "true", "{", "{}{}", "\u{feff}{}", "\0"] {
        let error = traces_to_protobuf(json.as_bytes()).unwrap_err();
        assert_eq!(error.path, "request", "{json}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    // Not UTF-8.
    assert!(traces_to_protobuf(b"{\"resourceSpans\":[{\"schemaUrl\":\"\xff\"}]}").is_err());
}

/// Nesting is bounded where it is read and costs no stack where it is skipped.
#[test]
fn deep_nesting_is_an_error() {
    let nested = |levels: usize| {
        let value = r#"{"arrayValue":{"values":["#.repeat(levels) + "{}" + &"]}}".repeat(levels);
        in_span(&format!(r#""attributes":[{{"value":{value}}}]"#))
    };
    assert!(traces_to_protobuf(nested(38).as_bytes()).is_ok());
    let error = traces_to_protobuf(nested(100_000).as_bytes()).unwrap_err();
    assert!(error.to_string().contains("recursion limit exceeded"), "{}", error.problem);

    let unknown = format!(r#"{{"unknown":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    drop(traces_to_protobuf(unknown.as_bytes()));
}

/// A body of nothing but numbers grows fourfold and no more.
#[test]
fn growth_is_bounded() {
    let zeros = "0,".repeat(100_000) + "0";
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"bucketCounts":[{zeros}]}}]}}}}]}}]}}]}}"#
    );
    assert!(metrics_to_protobuf(json.as_bytes()).unwrap().len() <= 4 * json.len());
}

/// The signal is told by the key, also behind an unknown one.
#[test]
fn tells_the_signal() {
    assert_eq!(signal_of(br#"{"resourceSpans":[]}"#), Some(Signal::Traces));
    assert_eq!(signal_of(br#"{"x":{"resourceSpans":1},"resourceMetrics":[{"a":1}]}"#), Some(Signal::Metrics));
    assert_eq!(signal_of(br#" {"resourceLogs":[]}"#), Some(Signal::Logs));
    assert_eq!(signal_of(b"[1]"), None);
    assert_eq!(signal_of(br#"{"resourceLogs":[}"#), None);
}
