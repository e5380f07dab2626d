//! Requests in the size a destination takes, one piece at a time, so that no more than one is in memory beside the request. Nothing is
//! decoded: what a destination understands and we do not stays as it is.

use bytes::Bytes;
use otlp::divide::{Divider, Items, POINTS, Part, RECORDS};

use crate::courier::Piece;
use crate::shorten::{KEPT, shortened, with_shorter_heads};
use crate::stats::{Amount, Signal};

/// The items of a signal.
pub(crate) fn items_of(signal: Signal) -> Items {
    match signal {
        Signal::Traces | Signal::Logs => RECORDS,
        Signal::Metrics => POINTS,
    }
}

/// An encoded request without its first items.
pub(crate) fn without_first(signal: Signal, body: Bytes, items: u64) -> Bytes {
    let mut rest = Divider::new(body, items_of(signal), usize::MAX, usize::MAX).skip_items(items);
    rest.next().map(|part| part.body).unwrap_or_default()
}

/// What is left of a request, to be taken in pieces, in order.
#[derive(Debug)]
pub(crate) struct Pieces {
    signal: Signal,
    max_bytes: usize,
    /// Items that were not taken yet.
    items: u64,
    /// What is divided, innermost last, and how many of [`KEPT`] were tried on what stands above its items.
    dividers: Vec<(Divider, usize)>,
    /// Whether texts may be cut.
    shortens: bool,
}

impl Pieces {
    /// A request with so many items in pieces of at most so many bytes. Where one item is larger, or what stands above the items takes more
    /// than half of each piece, the longest texts are cut; if that does not help, the destination has the last word.
    pub(crate) fn of(signal: Signal, body: Bytes, items: u64, max_bytes: usize) -> Pieces {
        let divider = Divider::new(body, items_of(signal), max_bytes, max_bytes / 2);
        Pieces { signal, max_bytes, items, dividers: vec![(divider, 0)], shortens: true }
    }

    /// A request that the destination found too large in smaller pieces; `None` if there are none.
    pub(crate) fn halves(signal: Signal, body: &Bytes, items: u64) -> Option<Pieces> {
        let size = body.len();
        // What stands above the items is in both halves: if it is more than half of these, they are larger.
        [(size / 2, size / 4), (size / 4 * 3, size / 2)].into_iter().find_map(|(max_bytes, max_heads)| {
            let divider = || Divider::new(body.clone(), items_of(signal), max_bytes, max_heads);
            divider().next().filter(|first| first.body.len() < size)?;
            Some(Pieces { signal, max_bytes, items, dividers: vec![(divider(), KEPT.len())], shortens: false })
        })
    }

    /// What is in no piece yet.
    pub(crate) fn rest(&self) -> Amount {
        let bytes: usize = self.dividers.iter().map(|(divider, _)| divider.rest()).sum();
        Amount { items: self.items, bytes: bytes as u64 }
    }

    fn piece(&mut self, part: Part) -> Piece {
        self.items = self.items.saturating_sub(part.items);
        let is_too_large = self.shortens && part.body.len() > self.max_bytes;
        let shorter = is_too_large.then(|| shortened(self.signal, &part.body, self.max_bytes)).flatten();
        Piece::whole(shorter.unwrap_or(part.body), part.items)
    }
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        while let Some((divider, tried)) = self.dividers.last_mut() {
            let tried = *tried;
            let Some(part) = divider.next() else {
                self.dividers.pop();
                continue;
            };
            let to_try = KEPT.iter().enumerate().skip(tried).filter(|_| part.is_undivided);
            let shorter =
                to_try.filter_map(|(place, kept)| Some((with_shorter_heads(&part.body, *kept)?, place))).next();
            let Some((shorter, place)) = shorter else { return Some(self.piece(part)) };
            let divider = Divider::new(shorter, items_of(self.signal), self.max_bytes, self.max_bytes / 2);
            self.dividers.push((divider, place + 1));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message as _;

    use super::*;

    /// Spans under a resource with a text of so many bytes.
    fn traces(text: usize, spans: u8) -> Bytes {
        let value = Some(AnyValue { value: Some(any_value::Value::StringValue("x".repeat(text))) });
        let attributes = vec![KeyValue { key: "process.command_line".to_owned(), value, ..Default::default() }];
        let resource = Some(Resource { attributes, ..Default::default() });
        let spans = (0..spans).map(|number| Span { span_id: vec![number; 8], ..Default::default() }).collect();
        let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans { resource, scope_spans, ..Default::default() }],
        }
        .encode_to_vec()
        .into()
    }

    fn spans(pieces: &[Piece]) -> Vec<u8> {
        let decoded = pieces.iter().map(|piece| ExportTraceServiceRequest::decode(piece.body()).unwrap());
        let scopes = decoded.flat_map(|request| request.resource_spans).flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).map(|span| span.span_id[0]).collect()
    }

    // A resource that takes most of what a destination takes at once, or more, is not sent once more with every span: its texts are cut.
    #[test]
    fn large_resources_are_not_multiplied() {
        const MAX: usize = 2_000;
        for text in [MAX / 2, MAX - 100, 3 * MAX] {
            let body = traces(text, 200);
            let pieces: Vec<Piece> = Pieces::of(Signal::Traces, body, 200, MAX).collect();
            assert!(pieces.iter().all(|piece| piece.size() <= MAX) && pieces.len() < 10, "{}", pieces.len());
            assert_eq!(spans(&pieces), (0..200).collect::<Vec<_>>());
            assert_eq!(pieces.iter().map(|piece| piece.items).sum::<u64>(), 200);
        }
    }

    // What stands above the items and cannot be cut is handed on once, with all of them, and not divided on a refusal either.
    #[test]
    fn what_cannot_be_cut_goes_once() {
        let mut request = ExportTraceServiceRequest::decode(traces(0, 200)).unwrap();
        request.resource_spans[0].schema_url = "x".repeat(5_000);
        let body = Bytes::from(request.encode_to_vec());
        let pieces: Vec<Piece> = Pieces::of(Signal::Traces, body.clone(), 200, 2_000).collect();
        assert_eq!(pieces.len(), 1);
        assert_eq!((pieces[0].body(), pieces[0].items), (body.clone(), 200));
        assert!(Pieces::halves(Signal::Traces, &body, 200).is_none_or(|halves| halves.count() < 5));
    }

    // What a destination found too large becomes smaller pieces until one item is left, however much stands above the items.
    #[test]
    fn halves_are_smaller() {
        for text in [0, 700, 1_000, 1_500] {
            let body = traces(text, 200);
            let halves: Vec<Piece> = Pieces::halves(Signal::Traces, &body, 200).unwrap().collect();
            assert!(halves.iter().all(|half| half.size() < body.len()) && halves.len() < 5, "{}", halves.len());
            assert_eq!(spans(&halves), (0..200).collect::<Vec<_>>());
        }
        assert!(Pieces::halves(Signal::Traces, &traces(100, 1), 1).is_none());
    }
}
