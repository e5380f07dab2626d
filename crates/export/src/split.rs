//! Requests in the size a destination takes. A request that is too large is cut in the middle of its longest-standing
//! level that has more than one entry (resource, scope, metric, data point or log record), and the halves again if need
//! be; what stands above the cut goes with both halves.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, Gauge, Histogram, Metric, ResourceMetrics, ScopeMetrics, Sum, Summary, metric,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message;

use crate::courier::Piece;
use crate::items::Items;
use crate::shorten::shortened;
use crate::stats::Signal;

/// An encoded request in pieces, in order, of at most so many bytes; as it is if it is small enough. Of a single item that is larger the
/// longest texts are cut.
pub(crate) fn pieces(signal: Signal, body: Bytes, items: u64, max_bytes: usize) -> io::Result<VecDeque<Piece>> {
    if body.len() <= max_bytes {
        return Ok(VecDeque::from([Piece::whole(body, items)]));
    }
    let mut pieces = match signal {
        Signal::Traces => pieces_of::<ExportTraceServiceRequest>(body, max_bytes),
        Signal::Metrics => pieces_of::<ExportMetricsServiceRequest>(body, max_bytes),
        Signal::Logs => pieces_of::<ExportLogsServiceRequest>(body, max_bytes),
    }?;
    for piece in pieces.iter_mut().filter(|piece| piece.size() > max_bytes) {
        if let Some(shorter) = shortened(signal, &piece.body(), max_bytes) {
            piece.bodies = vec![shorter];
        }
    }
    Ok(pieces)
}

/// An encoded request in two, unless it has but one item.
pub(crate) fn halves(signal: Signal, body: Bytes) -> Option<[Piece; 2]> {
    match signal {
        Signal::Traces => halves_of::<ExportTraceServiceRequest>(body),
        Signal::Metrics => halves_of::<ExportMetricsServiceRequest>(body),
        Signal::Logs => halves_of::<ExportLogsServiceRequest>(body),
    }
}

/// An encoded request without its first items.
pub(crate) fn without_first(signal: Signal, body: Bytes, items: u64) -> io::Result<Bytes> {
    match signal {
        Signal::Traces => rest_of::<ExportTraceServiceRequest>(body, items),
        Signal::Metrics => rest_of::<ExportMetricsServiceRequest>(body, items),
        Signal::Logs => rest_of::<ExportLogsServiceRequest>(body, items),
    }
}

/// Requests that stand behind each other are one.
fn rest_of<Request: Halve + Items + Message + Default>(body: Bytes, items: u64) -> io::Result<Bytes> {
    let rest = behind(Request::decode(body)?, items);
    Ok(rest.iter().flat_map(Message::encode_to_vec).collect())
}

/// What is left of a request behind its first items.
fn behind<Request: Halve + Items>(mut request: Request, items: u64) -> Vec<Request> {
    if items == 0 {
        return vec![request];
    }
    if items >= request.items() {
        return Vec::new();
    }
    let Some(second_half) = request.halve() else { return vec![request] };
    let in_first_half = request.items();
    let mut rest = behind(request, items);
    rest.extend(behind(second_half, items.saturating_sub(in_first_half)));
    rest
}

fn pieces_of<Request: Halve + Items + Message + Default>(body: Bytes, max_bytes: usize) -> io::Result<VecDeque<Piece>> {
    Ok(split(Request::decode(body)?, max_bytes).iter().map(piece).collect())
}

fn halves_of<Request: Halve + Items + Message + Default>(body: Bytes) -> Option<[Piece; 2]> {
    let mut first = Request::decode(body).ok()?;
    let second = first.halve()?;
    Some([piece(&first), piece(&second)])
}

fn piece<Request: Items + Message>(request: &Request) -> Piece {
    Piece::whole(request.encode_to_vec().into(), request.items())
}

/// A message that can be cut in two.
pub(crate) trait Halve: Sized {
    /// Cuts off the second half. `None` if there is but one item, which stays whole.
    fn halve(&mut self) -> Option<Self>;
}

/// Cuts a request into pieces, in order, of at most so many encoded bytes. A single data point or record larger than that
/// is a piece of its own: the destination has the last word on it.
pub(crate) fn split<Request: Halve + Message>(request: Request, max_bytes: usize) -> Vec<Request> {
    let mut pieces = Vec::new();
    let mut uncut = vec![request];
    while let Some(mut piece) = uncut.pop() {
        let second_half = if piece.encoded_len() > max_bytes { piece.halve() } else { None };
        match second_half {
            Some(second_half) => uncut.extend([second_half, piece]),
            None => pieces.push(piece),
        }
    }
    pieces
}

/// Cuts a list in two, or else its only entry.
fn halve_list<Entry: Halve>(list: &mut Vec<Entry>) -> Option<Vec<Entry>> {
    match list.as_mut_slice() {
        [] => None,
        [only] => only.halve().map(|second_half| vec![second_half]),
        _ => Some(list.split_off(list.len() / 2)),
    }
}

/// Cuts a list of items that cannot be cut themselves.
fn halve_items<Item>(items: &mut Vec<Item>) -> Option<Vec<Item>> {
    (items.len() > 1).then(|| items.split_off(items.len() / 2))
}

impl Halve for ExportMetricsServiceRequest {
    fn halve(&mut self) -> Option<Self> {
        halve_list(&mut self.resource_metrics).map(|resource_metrics| Self { resource_metrics })
    }
}

impl Halve for ResourceMetrics {
    fn halve(&mut self) -> Option<Self> {
        let scope_metrics = halve_list(&mut self.scope_metrics)?;
        Some(Self { resource: self.resource.clone(), scope_metrics, schema_url: self.schema_url.clone() })
    }
}

impl Halve for ScopeMetrics {
    fn halve(&mut self) -> Option<Self> {
        let metrics = halve_list(&mut self.metrics)?;
        Some(Self { scope: self.scope.clone(), metrics, schema_url: self.schema_url.clone() })
    }
}

impl Halve for Metric {
    fn halve(&mut self) -> Option<Self> {
        let data = self.data.as_mut()?.halve()?;
        Some(Self {
            name: self.name.clone(),
            description: self.description.clone(),
            unit: self.unit.clone(),
            metadata: self.metadata.clone(),
            data: Some(data),
        })
    }
}

impl Halve for metric::Data {
    fn halve(&mut self) -> Option<Self> {
        Some(match self {
            Self::Gauge(gauge) => Self::Gauge(Gauge { data_points: halve_items(&mut gauge.data_points)? }),
            Self::Sum(sum) => Self::Sum(Sum { data_points: halve_items(&mut sum.data_points)?, ..*sum }),
            Self::Histogram(histogram) => {
                let data_points = halve_items(&mut histogram.data_points)?;
                Self::Histogram(Histogram { data_points, ..*histogram })
            }
            Self::ExponentialHistogram(histogram) => {
                let data_points = halve_items(&mut histogram.data_points)?;
                Self::ExponentialHistogram(ExponentialHistogram { data_points, ..*histogram })
            }
            Self::Summary(summary) => Self::Summary(Summary { data_points: halve_items(&mut summary.data_points)? }),
        })
    }
}

impl Halve for ExportLogsServiceRequest {
    fn halve(&mut self) -> Option<Self> {
        halve_list(&mut self.resource_logs).map(|resource_logs| Self { resource_logs })
    }
}

impl Halve for ResourceLogs {
    fn halve(&mut self) -> Option<Self> {
        let scope_logs = halve_list(&mut self.scope_logs)?;
        Some(Self { resource: self.resource.clone(), scope_logs, schema_url: self.schema_url.clone() })
    }
}

impl Halve for ScopeLogs {
    fn halve(&mut self) -> Option<Self> {
        let log_records = halve_items(&mut self.log_records)?;
        Some(Self { scope: self.scope.clone(), log_records, schema_url: self.schema_url.clone() })
    }
}

impl Halve for ExportTraceServiceRequest {
    fn halve(&mut self) -> Option<Self> {
        halve_list(&mut self.resource_spans).map(|resource_spans| Self { resource_spans })
    }
}

impl Halve for ResourceSpans {
    fn halve(&mut self) -> Option<Self> {
        let scope_spans = halve_list(&mut self.scope_spans)?;
        Some(Self { resource: self.resource.clone(), scope_spans, schema_url: self.schema_url.clone() })
    }
}

impl Halve for ScopeSpans {
    fn halve(&mut self) -> Option<Self> {
        let spans = halve_items(&mut self.spans)?;
        Some(Self { scope: self.scope.clone(), spans, schema_url: self.schema_url.clone() })
    }
}
