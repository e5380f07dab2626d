//! What stands in the columns.

use std::sync::Arc;

use aggregate::{Applied, Merged};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use genai::Usage;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

use super::support::{
    RECEIVED, any, applied, archived, attribute, attributes, call, column, config, encoded, integer, of_service, pairs,
    read, rows_of, string, text, value,
};

fn one(span: Span) -> Arc<Applied> {
    applied(7, RECEIVED, encoded(vec![of_service("shop", vec![span])]))
}

fn array(values: Vec<opentelemetry_proto::tonic::common::v1::AnyValue>) -> Value {
    Value::ArrayValue(ArrayValue { values })
}

// Every kind of value becomes the text that it is documented to become.
#[test]
fn values_become_text() {
    let list = array(vec![
        string("say \"hi\"\n"),
        any(Value::IntValue(-1)),
        any(Value::DoubleValue(f64::INFINITY)),
        any(Value::BytesValue(vec![1, 2, 3])),
        Default::default(),
    ]);
    let map = Value::KvlistValue(KeyValueList {
        values: vec![attribute("a", any(Value::DoubleValue(0.5))), attribute("b", any(array(vec![])))],
    });
    let cases = [
        (Some(string("plain \"text\"")), Some("plain \"text\"")),
        (Some(string("")), Some("")),
        (Some(any(Value::BoolValue(true))), Some("true")),
        (Some(any(Value::IntValue(i64::MIN))), Some("-9223372036854775808")),
        (Some(any(Value::DoubleValue(0.7))), Some("0.7")),
        (Some(any(Value::DoubleValue(1.0))), Some("1.0")),
        (Some(any(Value::DoubleValue(1e300))), Some("1e+300")),
        (Some(any(Value::DoubleValue(f64::NAN))), Some("NaN")),
        (Some(any(Value::DoubleValue(f64::NEG_INFINITY))), Some("-Infinity")),
        (Some(any(Value::BytesValue(vec![0xff, 0x00]))), Some("/wA=")),
        (Some(any(array(vec![string("stop"), string("tool calls")]))), Some(r#"["stop","tool calls"]"#)),
        (
            Some(any(array(vec![string("stop"), string("\u{fc}"), string("a\\b")]))),
            Some("[\"stop\",\"\u{fc}\",\"a\\\\b\"]"),
        ),
        (Some(any(array(vec![string("stop"), any(Value::IntValue(1))]))), Some(r#"["stop",1]"#)),
        (Some(any(Value::DoubleValue(0.7))), Some("0.7")),
        (Some(any(Value::DoubleValue(-0.0))), Some("-0.0")),
        (Some(any(Value::DoubleValue(0.0))), Some("0.0")),
        (Some(any(list)), Some(r#"["say \"hi\"\n",-1,"Infinity","AQID",null]"#)),
        (Some(any(map)), Some(r#"{"a":0.5,"b":[]}"#)),
        (Some(Default::default()), None),
        (None, None),
    ];
    let mut span = call(0, 0);
    span.attributes = Vec::new();
    for (number, (value, _)) in cases.iter().enumerate() {
        let mut pair = attribute(&format!("key.{number}"), Default::default());
        pair.value = value.clone();
        span.attributes.push(pair);
    }
    let expected = cases.iter().enumerate().map(|(i, (_, text))| (format!("key.{i}"), text.map(str::to_owned)));
    let rows = rows_of(one(span));
    assert_eq!(attributes(&rows, "span_attributes", 0), expected.collect::<Vec<_>>());
}

fn failed_call() -> Span {
    Span {
        trace_state: "vendor=1".to_owned(),
        flags: 0x301,
        parent_span_id: vec![0, 0, 0, 0, 0, 0, 0, 0x1f],
        dropped_attributes_count: 3,
        dropped_events_count: 4,
        dropped_links_count: u32::MAX,
        status: Some(Status { code: 2, message: "Error code: 429 - slow down".to_owned() }),
        attributes: vec![
            attribute("gen_ai.operation.name", string("chat")),
            attribute("gen_ai.provider.name", string("openai")),
            attribute("gen_ai.request.model", string("gpt-4o")),
            attribute("gen_ai.response.model", string("gpt-4o-2024-08-06")),
            attribute("gen_ai.usage.input_tokens", any(Value::IntValue(120))),
            attribute("gen_ai.usage.output_tokens", any(Value::IntValue(0))),
            attribute("gen_ai.response.finish_reasons", any(array(vec![string("length")]))),
            attribute("gen_ai.request.stream", any(Value::BoolValue(true))),
            attribute("error.type", string("RateLimitError")),
            attribute("server.address", string("api.openai.com")),
        ],
        ..call(0, 500)
    }
}

// The fields of the span and the facts of the call each stand in their own column, in their own type.
#[test]
fn facts_stand_in_their_columns() {
    let rows = rows_of(one(failed_call()));
    for (name, expected) in [
        ("trace_id", "abababababababababababababababab"),
        ("span_id", "0000000000000001"),
        ("parent_span_id", "000000000000001f"),
        ("trace_state", "vendor=1"),
        ("span_name", "chat gpt-4o"),
        ("kind", "CLIENT"),
        ("status_code", "ERROR"),
        ("status_message", "Error code: 429 - slow down"),
        ("service_name", "shop"),
        ("scope_name", "tests"),
        ("scope_version", "1.2.3"),
        ("gen_ai_dialect", "otel_genai"),
        ("gen_ai_role", "llm"),
        ("gen_ai_operation_name", "chat"),
        ("gen_ai_provider_name", "openai"),
        ("gen_ai_request_model", "gpt-4o"),
        ("gen_ai_response_model", "gpt-4o-2024-08-06"),
        ("gen_ai_response_finish_reason", "length"),
        ("server_address", "api.openai.com"),
        ("error_class", "rate_limited"),
        ("error_type", "RateLimitError"),
        ("error_message", "Error code: 429 - slow down"),
        ("outcome", "counted"),
        ("outcome_reason", "llm"),
        ("counted_span_id", "0000000000000001"),
        ("price_version", "prices"),
    ] {
        assert_eq!(text(&rows, name, 0), Some(expected), "{name}");
    }
    for (name, expected) in [
        ("lsn", Some(7)),
        ("receive_time_unix_nano", Some(1_795_345_140_000_000_000)),
        ("start_time_unix_nano", Some(1_795_345_000_000_000_500)),
        ("end_time_unix_nano", Some(1_795_345_000_001_000_500)),
        ("duration_nano", Some(1_000_000)),
        ("flags", Some(0x301)),
        ("dropped_attributes_count", Some(3)),
        ("dropped_events_count", Some(4)),
        ("dropped_links_count", Some(4_294_967_295)),
        ("gen_ai_usage_input_tokens", Some(120)),
        ("gen_ai_usage_output_tokens", Some(0)),
        ("gen_ai_usage_cache_read_tokens", None),
        ("time_to_first_chunk_nano", None),
    ] {
        assert_eq!(integer(&rows, name, 0), expected, "{name}");
    }
    assert_eq!(micros(&rows, "start_time"), Some(1_795_345_000_000_000));
    assert_eq!(micros(&rows, "end_time"), Some(1_795_345_000_001_000));
    assert_eq!(micros(&rows, "receive_time"), Some(1_795_345_140_000_000));
    assert!(column(&rows, "streaming").as_boolean().value(0));
    assert!(column(&rows, "cost_usd").as_primitive::<Decimal128Type>().is_null(0));
    assert_eq!(column(&rows, "schema_version").as_primitive::<Int32Type>().value(0), crate::SCHEMA_VERSION);
    assert_eq!(text(&rows, "gen_ai_agent_name", 0), None);
    assert_eq!(attributes(&rows, "resource_attributes", 0), []);
    assert_eq!(attributes(&rows, "scope_attributes", 0), []);
}

fn micros(rows: &RecordBatch, name: &str) -> Option<i64> {
    let column = column(rows, name).as_primitive::<TimestampMicrosecondType>();
    column.is_valid(0).then(|| column.value(0))
}

// An attribute is left out of the map if its value stands in its column, and only then: nothing is lost.
#[test]
fn promoted_attributes_are_left_out_only_if_a_column_holds_them() {
    let rows = rows_of(one(failed_call()));
    let kept: Vec<_> = attributes(&rows, "span_attributes", 0).into_iter().map(|(key, _)| key).collect();
    assert_eq!(kept, ["gen_ai.response.finish_reasons"]);

    let plain = Span {
        attributes: vec![attribute("server.address", string("db.local")), attribute("http.method", string("GET"))],
        ..call(0, 0)
    };
    let rows = rows_of(one(plain));
    assert_eq!(text(&rows, "outcome", 0), Some("not_genai"));
    assert_eq!(text(&rows, "server_address", 0), None);
    assert_eq!(value(&rows, "span_attributes", 0, "server.address").as_deref(), Some("db.local"));

    let unusual = [
        ("gen_ai.provider.name", string("bedrock")),
        ("gen_ai.system", string("openai")),
        ("gen_ai.agent.name", string("")),
        ("gen_ai.response.model", string("none")),
        ("gen_ai.usage.input_tokens", any(Value::IntValue(-5))),
        ("gen_ai.usage.output_tokens", any(Value::IntValue(70))),
        ("gen_ai.usage.total_tokens", any(Value::IntValue(70))),
        ("gen_ai.request.stream", string("true")),
    ];
    let span =
        Span { attributes: unusual.iter().map(|(key, value)| attribute(key, value.clone())).collect(), ..call(0, 0) };
    let rows = rows_of(one(span));
    let kept: Vec<_> = attributes(&rows, "span_attributes", 0).into_iter().map(|(key, _)| key).collect();
    let expected = unusual.iter().map(|(key, _)| *key).filter(|key| *key != "gen_ai.usage.output_tokens");
    assert_eq!(kept, expected.collect::<Vec<_>>());
    assert_eq!(text(&rows, "gen_ai_response_model", 0), None);
    assert_eq!(integer(&rows, "gen_ai_usage_output_tokens", 0), Some(70));
    assert_eq!(value(&rows, "span_attributes", 0, "gen_ai.usage.input_tokens").as_deref(), Some("-5"));
}

// A count is left out only if its own column holds it: that another column holds the same number is no reason.
#[test]
fn a_count_that_only_another_column_holds_is_kept() {
    let mut span = call(0, 0);
    // One of those whose input leaves cached tokens out.
    span.attributes = vec![
        attribute("gen_ai.operation.name", string("chat")),
        attribute("gen_ai.provider.name", string("anthropic")),
        attribute("gen_ai.request.model", string("claude-sonnet-4-5")),
    ];
    for (key, count) in [("input_tokens", 100), ("output_tokens", 100), ("cache_read.input_tokens", 900)] {
        span.attributes.push(attribute(&format!("gen_ai.usage.{key}"), any(Value::IntValue(count))));
    }
    let rows = rows_of(one(span));
    assert_eq!(integer(&rows, "gen_ai_usage_input_tokens", 0), Some(1_000));
    assert_eq!(integer(&rows, "gen_ai_usage_output_tokens", 0), Some(100));
    assert_eq!(integer(&rows, "gen_ai_usage_cache_read_tokens", 0), Some(900));
    let kept = attributes(&rows, "span_attributes", 0);
    assert_eq!(kept, [("gen_ai.usage.input_tokens".to_owned(), Some("100".to_owned()))]);
}

// The name of a service stands in its column; a name that is no text stands in the map.
#[test]
fn a_service_name_that_no_column_holds_is_kept() {
    let mut spans = of_service("", vec![call(0, 0)]);
    let resource = spans.resource.get_or_insert_default();
    resource.attributes = vec![attribute("service.name", any(Value::IntValue(7))), attribute("host.name", string("a"))];
    let rows = rows_of(applied(1, RECEIVED, encoded(vec![spans])));
    assert_eq!(value(&rows, "resource_attributes", 0, "service.name").as_deref(), Some("7"));
    assert_eq!(value(&rows, "resource_attributes", 0, "host.name").as_deref(), Some("a"));
}

// Times that were not told, or that no timestamp can hold, are null, and an impossible duration too.
#[test]
fn absurd_times_are_null() {
    let rows = rows_of(one(Span { start_time_unix_nano: u64::MAX, end_time_unix_nano: 0, ..call(0, 0) }));
    for name in ["start_time", "end_time"] {
        assert_eq!(micros(&rows, name), None, "{name}");
    }
    for name in ["start_time_unix_nano", "end_time_unix_nano", "duration_nano"] {
        assert_eq!(integer(&rows, name, 0), None, "{name}");
    }
    let rows = rows_of(one(Span { start_time_unix_nano: 2_000, end_time_unix_nano: 1_999, ..call(0, 0) }));
    assert_eq!((micros(&rows, "start_time"), micros(&rows, "end_time")), (Some(2), Some(1)));
    assert_eq!(integer(&rows, "duration_nano", 0), None);
    let rows = rows_of(one(Span { start_time_unix_nano: 1, end_time_unix_nano: u64::MAX, ..call(0, 0) }));
    assert_eq!(integer(&rows, "duration_nano", 0), None);
}

// Ids of the wrong length tell no span: null, and so is the parent of a root.
#[test]
fn invalid_ids_are_null() {
    let rows = rows_of(one(Span { trace_id: vec![1; 3], span_id: Vec::new(), ..call(0, 0) }));
    for name in ["trace_id", "span_id", "parent_span_id", "counted_span_id"] {
        assert_eq!(text(&rows, name, 0), None, "{name}");
    }
}

// Events and links keep their order, times, ids and attributes; a span without any has empty lists.
#[test]
fn events_and_links_are_lists_of_structs() {
    let event = |name: &str, time_unix_nano, value: &str| Event {
        time_unix_nano,
        name: name.to_owned(),
        attributes: vec![attribute("text", string(value))],
        ..Event::default()
    };
    let link = Link {
        trace_id: vec![0x0a; 16],
        span_id: vec![0x0b; 8],
        attributes: vec![attribute("n", any(Value::IntValue(1)))],
        ..Link::default()
    };
    let full = Span { events: vec![event("one", 1_999, "a"), event("two", 0, "b")], links: vec![link], ..call(0, 0) };
    let rows = rows_of(applied(1, RECEIVED, encoded(vec![of_service("shop", vec![full, call(1, 1)])])));

    let events = column(&rows, "events").as_list::<i32>();
    let first = events.value(0);
    let first = first.as_struct();
    let times = first.column_by_name("time").unwrap().as_primitive::<TimestampMicrosecondType>();
    let nanos = first.column_by_name("time_unix_nano").unwrap().as_primitive::<Int64Type>();
    let names = first.column_by_name("name").unwrap().as_string::<i32>();
    let maps = first.column_by_name("attributes").unwrap().as_map();
    assert_eq!((names.value(0), times.value(0), nanos.value(0)), ("one", 1, 1_999));
    assert_eq!((names.value(1), times.is_null(1), nanos.is_null(1)), ("two", true, true));
    assert_eq!(pairs(maps, 1), [("text".to_owned(), Some("b".to_owned()))]);

    let links = column(&rows, "links").as_list::<i32>();
    let first = links.value(0);
    let first = first.as_struct();
    assert_eq!(first.column_by_name("trace_id").unwrap().as_string::<i32>().value(0), "0a".repeat(16));
    assert_eq!(first.column_by_name("span_id").unwrap().as_string::<i32>().value(0), "0b".repeat(8));
    assert_eq!(
        pairs(first.column_by_name("attributes").unwrap().as_map(), 0),
        [("n".to_owned(), Some("1".to_owned()))]
    );
    assert_eq!((events.value_length(1), links.value_length(1)), (0, 0));
}

// Bytes that are not UTF-8 become replacement characters, in columns and in maps; the row and its neighbours stay whole.
#[test]
fn texts_that_are_not_utf8_are_replaced() {
    let mut span = call(0, 0);
    span.name = "XXXX".to_owned();
    span.attributes.push(attribute("YYYY", string("ZZZZ")));
    let mut body = encoded(vec![of_service("shop", vec![span, call(1, 1)])]);
    for mark in [b"XXXX", b"YYYY", b"ZZZZ"] {
        let at = body.windows(4).position(|window| window == mark).unwrap();
        body[at + 1..at + 3].copy_from_slice(&[0xff, 0xc0]);
    }
    let rows = rows_of(applied(1, RECEIVED, body));
    assert_eq!(text(&rows, "span_name", 0), Some("X\u{fffd}\u{fffd}X"));
    assert_eq!(value(&rows, "span_attributes", 0, "Y\u{fffd}\u{fffd}Y").as_deref(), Some("Z\u{fffd}\u{fffd}Z"));
    assert_eq!(text(&rows, "span_name", 1), Some("chat gpt-4o"));
}

// Values far beyond a page, and more of them than a batch may hold, are kept whole.
#[test]
fn very_long_values_are_kept() {
    let long = |number: u64| number.to_string().repeat(3 << 20);
    let spans = (0..5).map(|number| {
        let mut span = call(number, number);
        span.attributes.push(attribute("long", string(&long(number))));
        span
    });
    let rows = rows_of(applied(1, RECEIVED, encoded(vec![of_service("shop", spans.collect())])));
    assert_eq!(rows.num_rows(), 5);
    for number in 0..5 {
        let found = value(&rows, "span_attributes", number as usize, "long").unwrap();
        assert!(found == long(number), "value {number} of {} bytes", found.len());
    }
}

// A key that was sent twice stands twice; an empty request and a request without GenAI spans leave no file.
#[test]
fn include_genai_leaves_the_others_out() {
    let plain = Span { attributes: vec![attribute("k", string("1")), attribute("k", string("2"))], ..call(1, 1) };
    let rows = rows_of(one(plain.clone()));
    assert_eq!(attributes(&rows, "span_attributes", 0).len(), 2);

    let directory = tempfile::tempdir().unwrap();
    let both = applied(1, RECEIVED, encoded(vec![of_service("shop", vec![plain.clone(), call(0, 0)])]));
    let files = archived(config(directory.path()), [both]);
    let rows = read(&files[0]);
    assert_eq!((rows.num_rows(), text(&rows, "outcome", 0)), (1, Some("counted")));

    let directory = tempfile::tempdir().unwrap();
    let nothing = [one(plain), applied(2, RECEIVED, Vec::new())];
    assert!(archived(config(directory.path()), nothing).is_empty());
}

// A row that stands for a call of several spans holds what was counted; what the span itself says stays in the map.
#[test]
fn a_merged_call_holds_what_was_counted() {
    let mut span = failed_call();
    span.status = None;
    let mut request = Arc::unwrap_or_clone(one(span));
    request.outcomes[0].merged = Some(Box::new(Merged {
        usage: Some(Usage { input: Some(120), output: Some(7), ..Usage::default() }),
        error: None,
        provider: Some(b"azure.ai.openai"[..].into()),
        request_model: Some(b"gpt-4o"[..].into()),
        response_model: Some(b"gpt-4o-2024-11-20"[..].into()),
    }));
    let rows = rows_of(Arc::new(request));
    assert_eq!(text(&rows, "gen_ai_provider_name", 0), Some("azure.ai.openai"));
    assert_eq!(text(&rows, "gen_ai_response_model", 0), Some("gpt-4o-2024-11-20"));
    assert_eq!(integer(&rows, "gen_ai_usage_output_tokens", 0), Some(7));
    assert_eq!(text(&rows, "error_class", 0), None);
    let kept = attributes(&rows, "span_attributes", 0);
    let says = |key: &str, value: &str| kept.contains(&(key.to_owned(), Some(value.to_owned())));
    assert!(says("gen_ai.response.model", "gpt-4o-2024-08-06") && says("gen_ai.usage.output_tokens", "0"), "{kept:?}");
}
