//! The ways of reading a request that are compared.

use genai::{DeriveError, Deriver};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use otlp::trace::{Event, Scope, Span, SpanVisitor, Visitor, walk};
use otlp::{Text, Value, WireError};
use prost::Message;

/// A way of reading an `ExportTraceServiceRequest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Decoder {
    /// prost decode and drop.
    Prost,
    /// `otlp::trace::walk` with a visitor that only counts.
    Walk,
    /// `genai::Deriver::derive`: the walk and the facts of every span.
    Derive,
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// prost's word.
    #[error(transparent)]
    Prost(#[from] prost::DecodeError),
    /// The reader's word.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The deriver's word.
    #[error(transparent)]
    Derive(#[from] DeriveError),
}

impl Decoder {
    /// All of them, the costliest first.
    pub const ALL: [Self; 3] = [Self::Prost, Self::Derive, Self::Walk];

    /// What it is called in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prost => "prost decode + drop",
            Self::Walk => "walk alone",
            Self::Derive => "read + derive",
        }
    }

    /// Reads `body`, drops what was read and gives the number of spans.
    ///
    /// # Errors
    /// If the body is malformed.
    #[inline(never)]
    pub fn read(self, body: &[u8]) -> Result<usize, DecodeError> {
        match self {
            Self::Prost => Ok(spans(&ExportTraceServiceRequest::decode(body)?)),
            Self::Walk => {
                let mut seen = Seen::default();
                walk(body, &mut seen)?;
                std::hint::black_box(seen.bytes);
                Ok(seen.spans)
            }
            Self::Derive => Ok(std::hint::black_box(Deriver::default().derive(body)?).len()),
        }
    }
}

fn spans(request: &ExportTraceServiceRequest) -> usize {
    request.resource_spans.iter().flat_map(|resource| &resource.scope_spans).map(|scope| scope.spans.len()).sum()
}

/// Looks at what it is told just enough that the compiler cannot leave the reading out.
#[derive(Default)]
struct Seen {
    spans: usize,
    bytes: u64,
}

impl Visitor for Seen {
    fn again(&mut self) {
        *self = Self::default();
    }

    fn resource(&mut self, message: Text) {
        self.bytes += message.len() as u64;
    }

    fn resource_attribute(&mut self, key: &[u8], _value: Value) {
        self.bytes += key.len() as u64;
    }

    fn scope(&mut self, scope: Scope) {
        self.bytes += scope.message.len() as u64;
    }
}

impl SpanVisitor for Seen {
    fn attribute(&mut self, key: &[u8], value: Value) {
        std::hint::black_box((key, value));
    }

    fn event(&mut self, event: Event) {
        self.bytes += event.message.len() as u64;
    }

    fn span(&mut self, span: &Span) {
        std::hint::black_box(span);
        self.spans += 1;
    }
}

#[cfg(test)]
mod tests {
    use genai::Deriver;

    use super::Decoder;
    use crate::payload::{Payload, Shape};

    /// All read the same spans, so their costs can be compared.
    #[test]
    fn decoders_see_the_same_spans() {
        for shape in [Shape::Lean, Shape::Heavy] {
            let payload = Payload::build(shape, 300, 11).unwrap();
            for decoder in Decoder::ALL {
                assert_eq!(decoder.read(payload.body()).unwrap(), 300, "{}", decoder.name());
            }
        }
    }

    /// The payload speaks GenAI as Spanmill understands it: a cost measured on spans that nobody counts would be worthless.
    #[test]
    fn every_span_is_a_call_with_its_facts() {
        let payload = Payload::build(Shape::Lean, 1000, 12).unwrap();
        let facts = Deriver::default().derive(payload.body()).unwrap();
        let failed = facts.iter().filter(|facts| facts.error.is_some()).count();
        assert!((10..=60).contains(&failed), "{failed} failed");
        for facts in facts {
            assert!(facts.role.is_call());
            assert!(!facts.operation.is_none() && !facts.provider.is_none());
            assert!(!facts.service.is_empty() && !facts.request_model.is_empty() && !facts.conversation_id.is_empty());
            let answered = facts.error.is_none();
            assert_eq!(facts.usage().input.is_some(), answered);
            assert_eq!(facts.response_id.is_empty(), !answered);
        }
    }
}
