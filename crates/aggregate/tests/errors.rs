//! Error records as they are exported.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeMap;

use common::driver::{Driver, START, settings};
use common::spans::{MS, Made, attribute, call, request, resource};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::ResourceLogs;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use spanmill_aggregate::{ErrorText, Record, Settings};

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

/// The logs of an interval in which these spans came from this resource.
fn logs_of(spans: &[Made], resource: &Resource) -> Vec<ResourceLogs> {
    let mut body = ExportTraceServiceRequest::decode(request(spans)).unwrap();
    body.resource_spans[0].resource = Some(resource.clone());
    let mut driver = Driver::new(settings(100));
    driver.traces(&body.encode_to_vec().into());
    driver.drain();
    driver.apply(Record::ExportInterval);
    driver.apply(Record::ExportInterval);
    assert!(driver.intervals[1].errors.is_none(), "each record leaves once");
    driver.intervals[0].errors.as_ref().unwrap().resource_logs.clone()
}

fn shown(value: &AnyValue) -> String {
    match value.value.as_ref().unwrap() {
        any_value::Value::StringValue(text) => text.clone(),
        any_value::Value::IntValue(number) => number.to_string(),
        any_value::Value::DoubleValue(number) => number.to_string(),
        any_value::Value::BoolValue(truth) => truth.to_string(),
        any_value::Value::ArrayValue(list) => list.values.iter().map(shown).collect::<Vec<_>>().join(","),
        other => panic!("{other:?}"),
    }
}

fn attributes(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    attributes.iter().map(|pair| (pair.key.as_str(), shown(pair.value.as_ref().unwrap()))).collect()
}

// A record knows where its span was deployed, by either name.
#[test]
fn a_record_has_an_environment() {
    for (told, expected) in [
        (&[("deployment.environment.name", "production"), ("deployment.environment", "old")][..], "production"),
        (&[("deployment.environment", "staging")][..], "staging"),
        (&[][..], ""),
    ] {
        let mut body = ExportTraceServiceRequest::decode(request(&[call(7, "sdk").failed()])).unwrap();
        let sent = body.resource_spans[0].resource.get_or_insert_default();
        sent.attributes.extend(told.iter().map(|(key, value)| text(key, value)));
        let mut driver = Driver::new(settings(100));
        driver.traces(&body.encode_to_vec().into());
        driver.drain();
        let records = driver.pipeline.errors().records(None);
        let environments: Vec<&str> = records.map(|record| record.text(ErrorText::Environment)).collect();
        assert_eq!(environments, [expected]);
    }
}

// A failure is told as a log record of severity ERROR that leads to its span, with everything the span says of the call, under the
// resource as it was received.
#[test]
fn a_record_tells_all_that_is_known() {
    let failed = call(7, "sdk")
        .with("gen_ai.provider.name", "openai")
        .with("gen_ai.response.model", "gpt-4o-2024-08-06")
        .with("gen_ai.response.id", "resp-1")
        .with("gen_ai.agent.name", "helper")
        .with("gen_ai.conversation.id", "conversation")
        .with("server.address", "api.openai.com")
        .with("error.type", "RateLimitError")
        .using(10, 5)
        .failed();
    let mut sent = resource();
    sent.attributes.extend([text("deployment.environment.name", "production"), text("host.name", "h")]);
    sent.dropped_attributes_count = 3;
    let logs = logs_of(&[failed, call(8, "sdk")], &sent);

    let mut expected = sent.clone();
    expected.attributes.push(text("collector.instance.id", "test"));
    assert_eq!(logs[0].resource, Some(expected));
    let records = &logs[0].scope_logs[0].log_records;
    assert_eq!((logs.len(), records.len()), (1, 1));
    let record = &records[0];
    assert_eq!((record.severity_number, record.severity_text.as_str()), (17, "ERROR"));
    assert_eq!((&record.trace_id, &record.span_id), (&vec![1; 16], &vec![7; 8]));
    assert_eq!((record.time_unix_nano, record.observed_time_unix_nano), (START + 1000 * MS, START));
    assert_eq!(shown(record.body.as_ref().unwrap()), "failed");
    assert_eq!(record.event_name, "spanmill.error");
    let told = attributes(&record.attributes);
    for (name, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt-4o"),
        ("gen_ai.response.model", "gpt-4o-2024-08-06"),
        ("gen_ai.response.id", "resp-1"),
        ("gen_ai.agent.name", "helper"),
        ("gen_ai.conversation.id", "conversation"),
        ("gen_ai.usage.input_tokens", "10"),
        ("gen_ai.usage.output_tokens", "5"),
        ("gen_ai.client.operation.duration", "1"),
        ("server.address", "api.openai.com"),
        ("error.type", "RateLimitError"),
        ("spanmill.error.class", "rate_limited"),
        ("span.name", "chat gpt-4o"),
        ("otel.scope.name", "sdk"),
    ] {
        assert_eq!(told.get(name).map(String::as_str), Some(value), "{name} of {told:?}");
    }
    assert_eq!(told["spanmill.error.group"].len(), 16);
    assert_eq!(told.len(), record.attributes.len(), "each attribute once");
}

// A resource that is too large to be kept with each record costs no memory: its service stands for it.
#[test]
fn large_resources_are_not_kept() {
    let mut large = resource();
    large.attributes.push(text("process.command_line", &"x".repeat(10_000)));
    let logs = logs_of(&[call(7, "sdk").failed()], &large);
    let resource = logs[0].resource.as_ref().unwrap();
    let expected = BTreeMap::from([("service.name", "app".to_owned()), ("collector.instance.id", "test".to_owned())]);
    assert_eq!(attributes(&resource.attributes), expected);
}

// Who wants error records decides nothing: with or without somebody who does, the same calls are counted early where there is little room.
#[test]
fn who_wants_records_decides_nothing() {
    let early = |error_logs| {
        let mut settings = Settings { error_logs, ..settings(100) };
        settings.settle.memory = 1 << 20;
        let mut driver = Driver::new(settings);
        for number in 0..4_000_u32 {
            let mut failed = call(7, "sdk").with("gen_ai.conversation.id", &"c".repeat(200)).failed();
            failed.span.trace_id = [[0; 12].as_slice(), &number.to_be_bytes()].concat();
            failed.span.trace_id[0] = 1;
            driver.traces(&request(&[failed]));
        }
        driver.pipeline.settled_early()
    };
    let without = early(false);
    assert!(without > 100, "{without}");
    assert_eq!(early(true), without);
}
