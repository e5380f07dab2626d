//! What the borrowed reader tells about a request, in prost's own types, so that the two can be compared.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use prost::Message;
use spanmill_otlp::trace::{
    self, EVENT_ATTRIBUTES, LINK_ATTRIBUTES, SCOPE_ATTRIBUTES, SPAN_ATTRIBUTES, SpanVisitor, Visitor, attributes,
};
use spanmill_otlp::value::{array_items, key_values};
use spanmill_otlp::{Text, Value, WireError};

/// Walks `body` and rebuilds the request from what the walk tells.
pub fn read(body: &[u8]) -> Result<ExportTraceServiceRequest, WireError> {
    let mut builder =
        Builder { values: Values(body), body, request: ExportTraceServiceRequest::default(), span: Span::default() };
    trace::walk(body, &mut builder)?;
    Ok(builder.request)
}

/// The part of a request that the walk tells, with absent and empty messages made one.
pub fn visible(mut request: ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    for resource_spans in &mut request.resource_spans {
        resource_spans.schema_url.clear();
        let resource = resource_spans.resource.get_or_insert_default();
        resource.dropped_attributes_count = 0;
        resource.entity_refs.clear();
        visible_attributes(&mut resource.attributes);
        for scope_spans in &mut resource_spans.scope_spans {
            scope_spans.schema_url.clear();
            let scope = scope_spans.scope.get_or_insert_default();
            scope.dropped_attributes_count = 0;
            visible_attributes(&mut scope.attributes);
            for span in &mut scope_spans.spans {
                span.status.get_or_insert_default();
                visible_attributes(&mut span.attributes);
                for event in &mut span.events {
                    visible_attributes(&mut event.attributes);
                }
                for link in &mut span.links {
                    link.dropped_attributes_count = 0;
                    link.flags = 0;
                    visible_attributes(&mut link.attributes);
                }
            }
        }
    }
    request
}

pub fn visible_attributes(attributes: &mut [KeyValue]) {
    for pair in attributes {
        pair.key_strindex = 0;
        visible_value(pair.value.get_or_insert_default());
    }
}

pub fn visible_value(value: &mut AnyValue) {
    match &mut value.value {
        Some(any_value::Value::ArrayValue(array)) => array.values.iter_mut().for_each(visible_value),
        Some(any_value::Value::KvlistValue(list)) => visible_attributes(&mut list.values),
        _ => {}
    }
}

/// Values, texts and attributes of a body in prost's types.
#[derive(Clone, Copy)]
pub struct Values<'a>(pub &'a [u8]);

impl Values<'_> {
    pub fn bytes(&self, text: Text) -> Vec<u8> {
        assert!(text.end() as usize <= self.0.len());
        text.bytes(self.0).to_vec()
    }

    pub fn string(&self, text: Text) -> String {
        String::from_utf8_lossy(&self.bytes(text)).into_owned()
    }

    pub fn told(&self, key: &[u8], value: Value) -> KeyValue {
        let key = String::from_utf8_lossy(key).into_owned();
        KeyValue { key, value: Some(self.value(value)), ..KeyValue::default() }
    }

    pub fn key_value(&self, pair: spanmill_otlp::KeyValue) -> KeyValue {
        KeyValue { key: self.string(pair.key), value: Some(self.value(pair.value)), ..KeyValue::default() }
    }

    pub fn value(&self, value: Value) -> AnyValue {
        let value = match value {
            Value::Empty => None,
            Value::String(text) => Some(any_value::Value::StringValue(self.string(text))),
            Value::Bool(value) => Some(any_value::Value::BoolValue(value)),
            Value::Int(value) => Some(any_value::Value::IntValue(value)),
            Value::Double(value) => Some(any_value::Value::DoubleValue(value)),
            Value::Bytes(text) => Some(any_value::Value::BytesValue(self.bytes(text))),
            Value::Array(list) => {
                let values = array_items(self.0, list).map(|item| self.value(item)).collect();
                Some(any_value::Value::ArrayValue(ArrayValue { values }))
            }
            Value::KeyValues(list) => {
                let values = key_values(self.0, list).map(|pair| self.key_value(pair)).collect();
                Some(any_value::Value::KvlistValue(KeyValueList { values }))
            }
        };
        AnyValue { value }
    }

    pub fn attributes(&self, message: Text, field: u32) -> Vec<KeyValue> {
        attributes(self.0, message, field).map(|pair| self.key_value(pair)).collect()
    }
}

struct Builder<'a> {
    values: Values<'a>,
    body: &'a [u8],
    request: ExportTraceServiceRequest,
    span: Span,
}

impl Builder<'_> {
    fn event_of(&self, event: trace::Event) -> span::Event {
        span::Event {
            time_unix_nano: event.time,
            name: self.values.string(event.name),
            attributes: self.values.attributes(event.message, EVENT_ATTRIBUTES),
            dropped_attributes_count: event.dropped_attributes,
        }
    }

    fn link_of(&self, link: trace::Link) -> span::Link {
        span::Link {
            trace_id: self.values.bytes(link.trace_id),
            span_id: self.values.bytes(link.span_id),
            trace_state: self.values.string(link.trace_state),
            attributes: self.values.attributes(link.message, LINK_ATTRIBUTES),
            ..span::Link::default()
        }
    }

    fn resource_spans(&mut self) -> &mut ResourceSpans {
        self.request.resource_spans.last_mut().expect("a resource was told before")
    }
}

impl Visitor for Builder<'_> {
    fn again(&mut self) {
        self.request = ExportTraceServiceRequest::default();
    }

    fn resource(&mut self, message: Text) {
        assert!(message.end() as usize <= self.body.len());
        let resource = Some(Resource::default());
        self.request.resource_spans.push(ResourceSpans { resource, ..ResourceSpans::default() });
    }

    fn resource_attribute(&mut self, key: &[u8], value: Value) {
        let attribute = self.values.told(key, value);
        self.resource_spans().resource.get_or_insert_default().attributes.push(attribute);
    }

    fn scope(&mut self, scope: trace::Scope) {
        let scope = InstrumentationScope {
            name: self.values.string(scope.name),
            version: self.values.string(scope.version),
            attributes: self.values.attributes(scope.message, SCOPE_ATTRIBUTES),
            dropped_attributes_count: 0,
        };
        self.resource_spans().scope_spans.push(ScopeSpans { scope: Some(scope), ..ScopeSpans::default() });
    }
}

impl SpanVisitor for Builder<'_> {
    fn attribute(&mut self, key: &[u8], value: Value) {
        let attribute = self.values.told(key, value);
        self.span.attributes.push(attribute);
    }

    fn event(&mut self, event: trace::Event) {
        let event = self.event_of(event);
        self.span.events.push(event);
    }

    fn link(&mut self, link: trace::Link) {
        let link = self.link_of(link);
        self.span.links.push(link);
    }

    fn span(&mut self, span: &trace::Span) {
        let mut told = std::mem::take(&mut self.span);

        // What the range of the span gives later is what was told on the way.
        let events: Vec<_> = trace::events(self.body, span.message).map(|event| self.event_of(event)).collect();
        let links: Vec<_> = trace::links(self.body, span.message).map(|link| self.link_of(link)).collect();
        let later = Span {
            attributes: self.values.attributes(span.message, SPAN_ATTRIBUTES),
            events,
            links,
            ..Span::default()
        };
        assert!(later.encode_to_vec() == told.encode_to_vec(), "{later:#?} is not {told:#?}");
        let mut again = Again { builder: self, told: Span::default(), rest: trace::Span::default() };
        trace::walk_span(self.body, span.message, &mut again).expect("a span is as sound as its request");
        assert!(again.told.encode_to_vec() == told.encode_to_vec(), "{:#?} is not {told:#?}", again.told);
        assert_eq!(again.rest, *span);

        told.trace_id = self.values.bytes(span.trace_id);
        told.span_id = self.values.bytes(span.span_id);
        told.parent_span_id = self.values.bytes(span.parent_span_id);
        told.trace_state = self.values.string(span.trace_state);
        told.name = self.values.string(span.name);
        told.flags = span.flags;
        told.kind = span.kind;
        told.start_time_unix_nano = span.start;
        told.end_time_unix_nano = span.end;
        told.status = Some(Status { message: self.values.string(span.status_message), code: span.status_code });
        told.dropped_attributes_count = span.dropped_attributes;
        told.dropped_events_count = span.dropped_events;
        told.dropped_links_count = span.dropped_links;
        self.resource_spans().scope_spans.last_mut().expect("a scope was told before").spans.push(told);
    }
}

/// A span that is walked again by itself.
struct Again<'a> {
    builder: &'a Builder<'a>,
    told: Span,
    rest: trace::Span,
}

impl SpanVisitor for Again<'_> {
    fn attribute(&mut self, key: &[u8], value: Value) {
        self.told.attributes.push(self.builder.values.told(key, value));
    }

    fn event(&mut self, event: trace::Event) {
        self.told.events.push(self.builder.event_of(event));
    }

    fn link(&mut self, link: trace::Link) {
        self.told.links.push(self.builder.link_of(link));
    }

    fn span(&mut self, span: &trace::Span) {
        self.rest = *span;
    }
}
