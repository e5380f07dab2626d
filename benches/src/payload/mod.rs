//! Deterministic `ExportTraceServiceRequest` bodies whose ids are rewritten in place before every send.
//!
//! [`Payload::build`] is slow and runs once; [`Payload::renew`] is what a sender pays per send: some fixed-size writes a
//! span, no encoding. Four spans share a trace and a parent that is not in the body (an agent that has not ended yet). A
//! failed call has no response id.

mod catalogue;
mod slots;
mod span;
#[cfg(test)]
mod tests;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use self::catalogue::SERVICES;
use self::slots::Slots;
use self::span::{Ids, call, text};
use crate::random::SplitMix64;

pub use self::slots::IdSource;

/// What a span weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// 16 to 20 attributes and no text: 662 to 910 bytes a span on average.
    Lean,
    /// The same with 3 KiB of input and 1 KiB of output text: about 5 KB a span.
    Heavy,
}

/// Why a payload could not be built.
#[derive(Debug, thiserror::Error)]
#[error("no {what} of span {span} in the encoded body")]
pub struct BuildError {
    /// Which field was looked for.
    what: &'static str,
    /// Which span of the body, from 0.
    span: usize,
}

/// One encoded request and the places in it that change with every send.
#[derive(Debug, Clone)]
pub struct Payload {
    body: Vec<u8>,
    slots: Vec<Slots>,
}

/// Spans of one service that stand together in a body, as a Collector's batch processor puts them.
const SPANS_OF_ONE_RESOURCE: usize = 256;
const SPANS_OF_ONE_TRACE: usize = 4;
/// 2026-01-01T00:00:00Z in nanoseconds since the Unix epoch.
const BUILD_TIME: u64 = 1_767_225_600_000_000_000;

impl Payload {
    /// A request of `batch` spans; the same arguments give the same bytes.
    ///
    /// # Errors
    /// If a place that must be rewritten is not found in the encoded body: a mistake in the generator.
    pub fn build(shape: Shape, batch: usize, seed: u64) -> Result<Self, BuildError> {
        let mut random = SplitMix64::new(seed);
        let ids = span_ids(batch, &mut random);
        let mut spans: Vec<Span> =
            ids.iter().enumerate().filter_map(|(index, ids)| call(shape, index, ids, &mut random)).collect();

        let mut resource_spans = Vec::new();
        while !spans.is_empty() {
            let rest = spans.split_off(spans.len().min(SPANS_OF_ONE_RESOURCE));
            resource_spans.push(of_one_service(std::mem::replace(&mut spans, rest), &mut random));
        }
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let slots = slots::find(&body, &ids)?;
        Ok(Self { body, slots })
    }

    /// The encoded request.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Number of spans in the request.
    pub fn spans(&self) -> usize {
        self.slots.len()
    }

    /// Gives every span of `body` new ids and times; `body` is a copy of [`Payload::body`], sent before or not.
    /// `now` is in nanoseconds since the Unix epoch: the spans end shortly before it.
    pub fn renew(&self, body: &mut [u8], ids: &mut IdSource, now: u64) {
        for trace in self.slots.chunks(SPANS_OF_ONE_TRACE) {
            let (trace_id, parent_id) = (ids.trace(), ids.span());
            for span in trace {
                span.write(body, trace_id, parent_id, ids, now);
            }
        }
    }
}

fn span_ids(batch: usize, random: &mut SplitMix64) -> Vec<Ids> {
    let mut ids = IdSource::new(random.next());
    let mut all = Vec::with_capacity(batch);
    let (mut trace, mut parent) = ([0; 16], [0; 8]);
    for index in 0..batch {
        if index.is_multiple_of(SPANS_OF_ONE_TRACE) {
            (trace, parent) = (ids.trace(), ids.span());
        }
        let end = BUILD_TIME + random.below(1_000_000_000);
        // 80 ms to 20 s, short calls more often than long ones.
        let magnitude = 24 + random.below(11);
        let duration = 80_000_000 + random.below(1 << magnitude);
        let response = String::from_utf8_lossy(&ids.response()).into_owned();
        all.push(Ids { trace, span: ids.span(), parent, response, start: end - duration, end });
    }
    all
}

fn of_one_service(spans: Vec<Span>, random: &mut SplitMix64) -> ResourceSpans {
    let (service, namespace) = random.pick(&SERVICES).copied().unwrap_or_default();
    let attributes = vec![
        text("telemetry.sdk.language", "python"),
        text("telemetry.sdk.name", "opentelemetry"),
        text("telemetry.sdk.version", "1.41.0"),
        text("service.name", service),
        text("service.namespace", namespace),
        text("service.version", "2026.11.3"),
        text("service.instance.id", format!("{service}-{:08x}", random.below(1 << 32))),
        text("deployment.environment.name", "production"),
        text("host.name", format!("node-{:02}", random.below(16))),
    ];
    let scope = InstrumentationScope {
        name: "opentelemetry.util.genai.handler".to_owned(),
        version: "0.4b0".to_owned(),
        ..InstrumentationScope::default()
    };
    let schema_url = "https://opentelemetry.io/schemas/1.41.0".to_owned();
    ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, schema_url: schema_url.clone() }],
        schema_url,
    }
}
