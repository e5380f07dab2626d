//! Hashes of what a request says, computed where its bytes are still at hand: request handlers do it beside each other, and the one
//! thread that applies need not fetch the bytes again.

use genai::{Role, SpanFacts};
use otlp::Text;
use rapidhash::v3::rapidhash_v3;
use twox_hash::XxHash3_128;

/// Hashes of a request. A pure function of it.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Of all that it says.
    pub(crate) request: u128,
    /// One a span.
    pub(crate) spans: Vec<SpanContent>,
}

/// Hashes of a span.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SpanContent {
    /// Of the span, its resource and its scope; zero for spans that are neither counted nor archived.
    pub(crate) fingerprint: u128,
    /// Of the response id; zero without one.
    pub(crate) response: u64,
    /// Of `service.name`, of the scope's name and of the span's name. 32 bits are enough where two spans are compared that have much
    /// else in common.
    pub(crate) service: u32,
    pub(crate) scope: u32,
    pub(crate) name: u32,
}

impl Contents {
    /// The hashes of a request and of its spans. Those without GenAI meaning have none, unless `of_all`.
    pub fn of(body: &[u8], facts: &[SpanFacts], of_all: bool) -> Self {
        let mut shared = Shared::default();
        let mut span = |facts: &SpanFacts| {
            if !of_all && facts.role == Role::None {
                return SpanContent::default();
            }
            shared.read(body, facts);
            let fingerprint = if facts.has_valid_ids() { (hash(facts.span, body) ^ shared.hash).max(1) } else { 0 };
            SpanContent {
                fingerprint,
                response: match facts.response_id.bytes(body) {
                    [] => 0,
                    id => rapidhash_v3(id).max(1),
                },
                service: shared.service,
                scope: shared.scope,
                name: short_hash(facts.name, body),
            }
        };
        let spans: Vec<SpanContent> = facts.iter().map(&mut span).collect();
        Self { request: request(body, &spans).max(1), spans }
    }

    /// The hashes of the span at a position.
    pub(crate) fn span(&self, position: u32) -> SpanContent {
        self.spans.get(position as usize).copied().unwrap_or_default()
    }

    /// Bytes of memory behind it.
    pub fn heap(&self) -> usize {
        self.spans.capacity() * size_of::<SpanContent>()
    }
}

/// The hash of a request: that of its spans and its length, or of all of its bytes if its spans have none.
fn request(body: &[u8], spans: &[SpanContent]) -> u128 {
    if spans.iter().all(|span| span.fingerprint == 0) {
        return XxHash3_128::oneshot(body);
    }
    // Turned from span to span, so that their order and number tell.
    spans.iter().fold(body.len() as u128, |hash, span| hash.rotate_left(7) ^ span.fingerprint)
}

fn hash(text: Text, body: &[u8]) -> u128 {
    XxHash3_128::oneshot(text.bytes(body))
}

fn short_hash(text: Text, body: &[u8]) -> u32 {
    rapidhash_v3(text.bytes(body)) as u32
}

/// The hashes of the resource and the scope of the last span: the next one mostly has the same.
#[derive(Default)]
struct Shared {
    of: Option<[Text; 4]>,
    hash: u128,
    service: u32,
    scope: u32,
}

impl Shared {
    fn read(&mut self, body: &[u8], facts: &SpanFacts) {
        let of = Some([facts.resource, facts.scope, facts.service, facts.scope_name]);
        if self.of == of {
            return;
        }
        // Turned, so that a resource is told from the same bytes as a scope.
        let hash = hash(facts.resource, body).rotate_left(64) ^ hash(facts.scope, body);
        let (service, scope) = (short_hash(facts.service, body), short_hash(facts.scope_name, body));
        *self = Self { of, hash, service, scope };
    }
}
