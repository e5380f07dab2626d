//! Requests in parts, against prost that decodes them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeSet;

use common::{arbitrary, mangle::mangle};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use proptest::prelude::*;
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use spanmill_otlp::divide::{Divider, Items, POINTS, Part, RECORDS};
use spanmill_otlp::rewrite;

/// A request for each item, with all that stands above it.
trait Alone: Message + Default + Clone + PartialEq {
    fn alone(self) -> Vec<Self>;
}

macro_rules! alone {
    ($Request:ty, $Resource:ident, $Scope:ident, $resources:ident, $scopes:ident, $items:ident, $each:expr) => {
        impl Alone for $Request {
            fn alone(self) -> Vec<Self> {
                let mut all = Vec::new();
                for mut resource in self.$resources {
                    for mut scope in std::mem::take(&mut resource.$scopes) {
                        for item in std::mem::take(&mut scope.$items).into_iter().flat_map($each) {
                            let scope = $Scope { $items: vec![item], ..scope.clone() };
                            let resource = $Resource { $scopes: vec![scope], ..resource.clone() };
                            all.push(Self { $resources: vec![resource] });
                        }
                    }
                }
                all
            }
        }
    };
}

alone!(ExportTraceServiceRequest, ResourceSpans, ScopeSpans, resource_spans, scope_spans, spans, |span| [span]);
alone!(ExportLogsServiceRequest, ResourceLogs, ScopeLogs, resource_logs, scope_logs, log_records, |record| [record]);
alone!(ExportMetricsServiceRequest, ResourceMetrics, ScopeMetrics, resource_metrics, scope_metrics, metrics, points);

fn points(metric: Metric) -> Vec<Metric> {
    let Metric { data: Some(data), .. } = metric.clone() else { return Vec::new() };
    let datas: Vec<Data> = match data {
        Data::Gauge(mut all) => {
            let points = std::mem::take(&mut all.data_points).into_iter();
            points
                .map(|point| {
                    Data::Gauge({
                        let mut one = all.clone();
                        one.data_points.push(point);
                        one
                    })
                })
                .collect()
        }
        Data::Sum(mut all) => {
            let points = std::mem::take(&mut all.data_points).into_iter();
            points
                .map(|point| {
                    Data::Sum({
                        let mut one = all.clone();
                        one.data_points.push(point);
                        one
                    })
                })
                .collect()
        }
        Data::Histogram(mut all) => {
            let points = std::mem::take(&mut all.data_points).into_iter();
            points
                .map(|point| {
                    Data::Histogram({
                        let mut one = all.clone();
                        one.data_points.push(point);
                        one
                    })
                })
                .collect()
        }
        Data::ExponentialHistogram(mut all) => {
            let points = std::mem::take(&mut all.data_points).into_iter();
            points
                .map(|point| {
                    Data::ExponentialHistogram({
                        let mut one = all.clone();
                        one.data_points.push(point);
                        one
                    })
                })
                .collect()
        }
        Data::Summary(mut all) => {
            let points = std::mem::take(&mut all.data_points).into_iter();
            points
                .map(|point| {
                    Data::Summary({
                        let mut one = all.clone();
                        one.data_points.push(point);
                        one
                    })
                })
                .collect()
        }
    };
    datas.into_iter().map(|data| Metric { data: Some(data), ..metric.clone() }).collect()
}

fn check<Request: Alone>(body: Vec<u8>, items: Items, max_bytes: usize, skipped: usize) -> Result<(), TestCaseError> {
    let all = Request::decode(&*body).unwrap().alone();
    let alone_in = |part: &Part| Request::decode(&*part.body).unwrap().alone();
    prop_assert_eq!(items.count(&body).unwrap(), all.len() as u64);

    let parts: Vec<Part> = Divider::new(body.clone().into(), items, max_bytes, max_bytes / 2).collect();
    for part in &parts {
        prop_assert_eq!(part.items, alone_in(part).len() as u64);
        prop_assert!(part.body.len() <= max_bytes || part.items == 1 || part.is_undivided);
    }
    prop_assert!(parts.iter().flat_map(alone_in).eq(all.iter().cloned()), "{} parts", parts.len());

    let skipped = skipped.min(all.len());
    let rest = Divider::new(body.into(), items, usize::MAX, usize::MAX).skip_items(skipped as u64);
    let rest: Vec<Part> = rest.collect();
    prop_assert!(rest.len() <= 1);
    prop_assert!(rest.iter().flat_map(alone_in).eq(all.into_iter().skip(skipped)));
    Ok(())
}

/// The numbers that lead to a field from the outside, and what stands in it, unless that is fields.
type Field = (Vec<u32>, Vec<u8>);

/// All fields of a message and of those in it; `None` if it is not made of fields.
fn fields(mut message: &[u8]) -> Option<BTreeSet<Field>> {
    let mut all = BTreeSet::new();
    while !message.is_empty() {
        let (number, wire_type) = decode_key(&mut message).ok()?;
        let (content, inner) = if wire_type == WireType::LengthDelimited {
            let len = usize::try_from(decode_varint(&mut message).ok()?).ok()?;
            let content = message.split_off(..len)?;
            (content, fields(content).unwrap_or_default())
        } else {
            let mut rest = message;
            skip_field(wire_type, number, &mut rest, DecodeContext::default()).ok()?;
            (message.split_off(..message.len() - rest.len())?, BTreeSet::new())
        };
        if inner.is_empty() {
            all.insert((vec![number], content.to_vec()));
        }
        all.extend(inner.into_iter().map(|(path, content)| ([vec![number], path].concat(), content)));
    }
    Some(all)
}

/// Random ones, and requests with some bytes overwritten.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let random = prop::collection::vec(any::<u8>(), 0..200);
    let requests = prop_oneof![
        arbitrary::traces().prop_map(|request| request.encode_to_vec()),
        arbitrary::metrics().prop_map(|request| request.encode_to_vec()),
    ];
    let wrong = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let overwritten = (requests, wrong).prop_map(|(mut body, wrong)| {
        for (at, byte) in wrong {
            if !body.is_empty() {
                *at.get_mut(&mut body) = byte;
            }
        }
        body
    });
    prop_oneof![random, overwritten]
}

proptest! {
    /// Together the parts of a request have each item once, in order, with all that stands above it, and are no larger than they may be;
    /// so is what is left behind the first items.
    #[test]
    fn parts_are_the_request(
        (traces, metrics, logs) in (arbitrary::traces(), arbitrary::metrics(), arbitrary::logs()),
        max_bytes in 0..2_000_usize,
        skipped in 0..12_usize,
        seed in any::<u64>(),
    ) {
        check::<ExportTraceServiceRequest>(mangle(&traces.encode_to_vec(), seed), RECORDS, max_bytes, skipped)?;
        check::<ExportMetricsServiceRequest>(metrics.encode_to_vec(), POINTS, max_bytes, skipped)?;
        check::<ExportLogsServiceRequest>(logs.encode_to_vec(), RECORDS, max_bytes, skipped)?;
    }

    /// Bytes that are no request are divided without a panic, and no field is lost, whether it can be read or not.
    #[test]
    fn any_bytes_are_divided(body in any_bytes(), max_bytes in 0..200_usize, skipped in 0..5_u64) {
        let body = bytes::Bytes::from(body);
        for items in [RECORDS, POINTS] {
            let divider = || Divider::new(body.clone(), items, max_bytes, max_bytes / 2);
            match fields(&body) {
                Some(all) => {
                    let in_parts: BTreeSet<Field> = divider().flat_map(|part| fields(&part.body).unwrap()).collect();
                    prop_assert_eq!(in_parts, all);
                }
                None => prop_assert!(divider().map(|part| part.body).eq([body.clone()])),
            }
            prop_assert!(divider().skip_items(skipped).count() <= body.len().max(1));
        }
    }

    /// Metrics that are left out are gone, with the scopes and resources that had no others; the rest is as prost reads it.
    #[test]
    fn metrics_are_left_out(mut request in arbitrary::metrics(), letter in "[a-z]") {
        let is_unwanted = |name: &[u8]| name.starts_with(letter.as_bytes()) || name.is_empty();
        let rest = rewrite::without_metrics(&request.encode_to_vec(), is_unwanted).unwrap();
        let mut are_all_wanted = true;
        for resource in &mut request.resource_metrics {
            for scope in &mut resource.scope_metrics {
                let before = scope.metrics.len();
                scope.metrics.retain(|metric| !is_unwanted(metric.name.as_bytes()));
                are_all_wanted &= scope.metrics.len() == before;
            }
        }
        prop_assert_eq!(rest.is_none(), are_all_wanted);
        if let Some(rest) = rest {
            let rest = ExportMetricsServiceRequest::decode(&*rest).unwrap();
            prop_assert!(rest.alone() == request.alone());
        }
    }
}

/// Texts that are not UTF-8, and values nested deeper than anybody decodes, stay what they are.
#[test]
fn nothing_is_decoded() {
    let field = |key: u8, content: &[u8]| {
        [&[key, 0x80 | (content.len() & 0x7f) as u8, (content.len() >> 7) as u8][..], content].concat()
    };
    let not_utf8 = field(0x1a, &[0xff; 10]);
    let deep = (0..150).fold(Vec::new(), |inner, _| field(0x2a, &field(0x0a, &inner)));
    let records = [field(0x12, &not_utf8), field(0x12, &field(0x2a, &deep)), field(0x12, &[])].concat();
    let body = field(0x0a, &field(0x12, &records));
    assert!(ExportLogsServiceRequest::decode(&*body).is_err());
    let parts: Vec<Part> = Divider::new(body.into(), RECORDS, 20, 10).collect();
    assert_eq!(parts.iter().map(|part| part.items).collect::<Vec<_>>(), [1, 1, 1]);
    assert!(parts[0].body.ends_with(&not_utf8) && parts[1].body.ends_with(&deep));
}
