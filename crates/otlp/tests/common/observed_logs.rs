//! What the borrowed reader tells about a logs request, in prost's own types, and the two side by side on any bytes.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use spanmill_otlp::logs::{self, RECORD_ATTRIBUTES, Record, Visitor};
use spanmill_otlp::trace::{SCOPE_ATTRIBUTES, Scope};
use spanmill_otlp::{Text, Value, WireError};

use super::compare::may_differ;
use super::observed::{Values, visible_attributes, visible_value};

/// Walks `body` and rebuilds the request from what the walk tells.
pub fn read(body: &[u8]) -> Result<ExportLogsServiceRequest, WireError> {
    let mut builder = Builder { values: Values(body), request: ExportLogsServiceRequest::default(), told: Vec::new() };
    logs::walk(body, &mut builder)?;
    Ok(builder.request)
}

/// The part of a request that the walk tells, with absent and empty messages made one.
pub fn visible(mut request: ExportLogsServiceRequest) -> ExportLogsServiceRequest {
    for resource_logs in &mut request.resource_logs {
        resource_logs.schema_url.clear();
        let resource = resource_logs.resource.get_or_insert_default();
        resource.dropped_attributes_count = 0;
        resource.entity_refs.clear();
        visible_attributes(&mut resource.attributes);
        for scope_logs in &mut resource_logs.scope_logs {
            scope_logs.schema_url.clear();
            let scope = scope_logs.scope.get_or_insert_default();
            scope.dropped_attributes_count = 0;
            visible_attributes(&mut scope.attributes);
            for record in &mut scope_logs.log_records {
                visible_attributes(&mut record.attributes);
                visible_value(record.body.get_or_insert_default());
            }
        }
    }
    request
}

/// Both readers agree on `body`: the same content, or an error with its place.
pub fn compare(body: &[u8], name: &str) {
    match (ExportLogsServiceRequest::decode(body), read(body)) {
        (Ok(request), Ok(read)) => {
            let expected = visible(request);
            // Compared as bytes, so that NaN is itself.
            if read.encode_to_vec() != expected.encode_to_vec() {
                let (read, expected) = (without_lists(read), without_lists(expected));
                assert!(read.encode_to_vec() == expected.encode_to_vec(), "{name}: {read:#?} is not {expected:#?}");
            }
        }
        (Ok(_), Err(error)) => panic!("{name}: only prost reads it: {error}"),
        (Err(refusal), Ok(_)) => assert!(may_differ(&refusal), "{name}: only prost refuses it: {refusal}"),
        (Err(_), Err(error)) => {
            assert!(error.offset() <= body.len(), "{name}: {error}");
            assert!(!error.path().to_string().is_empty(), "{name}: {error}");
        }
    }
}

/// Of a list that is sent in two parts the reader has the last part, prost both. Nobody writes that: what is left without is the same.
fn without_lists(mut request: ExportLogsServiceRequest) -> ExportLogsServiceRequest {
    let plain = |value: &mut Option<AnyValue>| {
        let is_list = |value: &AnyValue| {
            use any_value::Value::{ArrayValue, KvlistValue, StringValueStrindex};
            // An index into a dictionary that only profiles have: unknown here.
            matches!(value.value, Some(ArrayValue(_) | KvlistValue(_) | StringValueStrindex(_)))
        };
        if value.as_ref().is_some_and(is_list) {
            *value = Some(AnyValue::default());
        }
    };
    for resource_logs in &mut request.resource_logs {
        let attributes = &mut resource_logs.resource.get_or_insert_default().attributes;
        attributes.iter_mut().for_each(|pair| plain(&mut pair.value));
        for scope_logs in &mut resource_logs.scope_logs {
            scope_logs.scope.get_or_insert_default().attributes.clear();
            for record in &mut scope_logs.log_records {
                record.attributes.iter_mut().for_each(|pair| plain(&mut pair.value));
                plain(&mut record.body);
            }
        }
    }
    request
}

struct Builder<'a> {
    values: Values<'a>,
    request: ExportLogsServiceRequest,
    told: Vec<KeyValue>,
}

impl Builder<'_> {
    fn resource_logs(&mut self) -> &mut ResourceLogs {
        self.request.resource_logs.last_mut().expect("a resource was told before")
    }
}

impl Visitor for Builder<'_> {
    fn again(&mut self) {
        self.request = ExportLogsServiceRequest::default();
        self.told.clear();
    }

    fn resource(&mut self, _message: Text) {
        let resource = Some(Resource::default());
        self.request.resource_logs.push(ResourceLogs { resource, ..ResourceLogs::default() });
    }

    fn resource_attribute(&mut self, key: &[u8], value: Value) {
        let attribute = self.values.told(key, value);
        self.resource_logs().resource.get_or_insert_default().attributes.push(attribute);
    }

    fn scope(&mut self, scope: Scope) {
        let scope = InstrumentationScope {
            name: self.values.string(scope.name),
            version: self.values.string(scope.version),
            attributes: self.values.attributes(scope.message, SCOPE_ATTRIBUTES),
            dropped_attributes_count: 0,
        };
        self.resource_logs().scope_logs.push(ScopeLogs { scope: Some(scope), ..ScopeLogs::default() });
    }

    fn attribute(&mut self, key: &[u8], value: Value) {
        let attribute = self.values.told(key, value);
        self.told.push(attribute);
    }

    fn record(&mut self, record: &Record) {
        let attributes = std::mem::take(&mut self.told);
        // What the range of the record gives later is what was told on the way.
        let told = LogRecord { attributes: attributes.clone(), ..LogRecord::default() };
        let later =
            LogRecord { attributes: self.values.attributes(record.message, RECORD_ATTRIBUTES), ..LogRecord::default() };
        assert!(told.encode_to_vec() == later.encode_to_vec(), "{later:#?} is not {told:#?}");
        let record = LogRecord {
            time_unix_nano: record.time,
            observed_time_unix_nano: record.observed_time,
            severity_number: record.severity_number,
            severity_text: self.values.string(record.severity_text),
            body: Some(self.values.value(record.body)),
            attributes,
            dropped_attributes_count: record.dropped_attributes,
            flags: record.flags,
            trace_id: self.values.bytes(record.trace_id),
            span_id: self.values.bytes(record.span_id),
            event_name: self.values.string(record.event_name),
        };
        self.resource_logs().scope_logs.last_mut().expect("a scope was told before").log_records.push(record);
    }
}
