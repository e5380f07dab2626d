//! Hashes of what a request says, and what it says of failures, taken where its bytes are still at hand: request handlers do it beside
//! each other, and the one thread that applies need not fetch the bytes again.

use genai::{Role, SpanFacts};
use otlp::Text;
use rapidhash::v3::rapidhash_v3;
use twox_hash::XxHash3_128;

use crate::errors::{Failure, FailureReader};

/// The share of a request's size that what it says of failures may take: what is more is read when it is applied.
const SHARE_OF_FAILURES: usize = 8;

/// Hashes of a request, and what it says of failures. A pure function of it.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Of all that it says.
    pub(crate) request: u128,
    /// One a span.
    pub(crate) spans: Vec<SpanContent>,
    /// Of what few spans name.
    named: Vec<Named>,
    /// What failed spans say of their failures, until it is taken.
    failures: Vec<Option<Failure>>,
    /// Memory behind these, in bytes.
    failures_heap: usize,
    /// Reads those for which there was no room.
    failure_reader: FailureReader,
}

/// Something that a span names, by a hash that is the same everywhere and always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// An agent.
    Agent(u64),
    /// A version of a prompt.
    PromptVersion(u64),
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
    /// The number of its failure among those of the request that were read, counted from 1; zero if there is none.
    pub(crate) failure: u32,
}

impl Contents {
    /// The agents and the versions of prompts that its spans name.
    pub fn named(&self) -> &[Named] {
        &self.named
    }

    /// The hashes of the span at a position.
    pub(crate) fn span(&self, position: u32) -> SpanContent {
        self.spans.get(position as usize).copied().unwrap_or_default()
    }

    /// What the span at a position says of its failure; `None` if it did not fail.
    pub(crate) fn failure(&mut self, body: &[u8], facts: &SpanFacts, position: u32) -> Option<Failure> {
        self.take_failure(position).or_else(|| self.failure_reader.read(body, facts))
    }

    /// The same, if it was read before and not taken.
    fn take_failure(&mut self, position: u32) -> Option<Failure> {
        let place = (self.span(position).failure as usize).checked_sub(1)?;
        self.failures.get_mut(place)?.take()
    }

    /// Bytes of memory behind it.
    pub fn heap(&self) -> usize {
        self.spans.capacity() * size_of::<SpanContent>()
            + self.named.capacity() * size_of::<Named>()
            + self.failures.capacity() * size_of::<Failure>()
            + self.failures_heap
    }
}

/// Takes the contents of a request span by span, so that each is read while it is at hand.
#[derive(Debug)]
pub(crate) struct ContentsBuilder<'a> {
    body: &'a [u8],
    of_all: bool,
    shared: Shared,
    spans: Vec<SpanContent>,
    named: Vec<Named>,
    failures: Vec<Option<Failure>>,
    failure_reader: FailureReader,
    /// Memory of failures, in bytes: what they may take yet, and what is behind those that were read.
    room_for_failures: usize,
    failures_heap: usize,
}

impl<'a> ContentsBuilder<'a> {
    /// Spans without GenAI meaning have no hashes, unless `of_all`.
    pub(crate) fn new(body: &'a [u8], of_all: bool) -> Self {
        // As many as facts of them: see `genai`.
        let spans = Vec::with_capacity((body.len() / 640 + 1).min(genai::MAX_SPANS));
        Self {
            body,
            of_all,
            shared: Shared::default(),
            spans,
            named: Vec::new(),
            failures: Vec::new(),
            failure_reader: FailureReader::default(),
            room_for_failures: body.len() / SHARE_OF_FAILURES,
            failures_heap: 0,
        }
    }

    /// Takes the next span of the request.
    pub(crate) fn add(&mut self, facts: &SpanFacts) {
        let content = self.content(facts);
        self.spans.push(content);
    }

    fn content(&mut self, facts: &SpanFacts) -> SpanContent {
        let Self { body, of_all, shared, named, .. } = self;
        names(facts, body, named);
        if !*of_all && facts.role == Role::None {
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
            failure: self.failure(facts),
        }
    }

    /// Reads the failure of what may be counted as a call, if there is room; tells its number.
    fn failure(&mut self, facts: &SpanFacts) -> u32 {
        let may_count = facts.role.is_call() || facts.usage().is_reported();
        if !may_count || self.room_for_failures == 0 {
            return 0;
        }
        let Some(failure) = self.failure_reader.read(self.body, facts) else { return 0 };
        self.failures_heap += failure.heap();
        self.room_for_failures = self.room_for_failures.saturating_sub(size_of::<Failure>() + failure.heap());
        self.failures.push(Some(failure));
        self.failures.len() as u32
    }

    /// The contents of the last `count` spans: those before were told another time. What these say of failures stays, and has taken its room.
    pub(crate) fn finish(self, count: usize) -> Contents {
        let Self { body, mut spans, named, failures, failures_heap, .. } = self;
        spans.drain(..spans.len().saturating_sub(count));
        let request = request(body, &spans).max(1);
        Contents { request, spans, named, failures, failures_heap, failure_reader: FailureReader::default() }
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

fn names(facts: &SpanFacts, body: &[u8], named: &mut Vec<Named>) {
    if !facts.agent_name.is_empty() {
        named.push(Named::Agent(rapidhash_v3(facts.agent_name.bytes(body))));
    }
    if !facts.prompt_version.is_empty() {
        let name = rapidhash_v3(facts.prompt_name.bytes(body));
        let version = rapidhash_v3(facts.prompt_version.bytes(body));
        named.push(Named::PromptVersion(name.rotate_left(1) ^ version));
    }
}

fn hash(text: Text, body: &[u8]) -> u128 {
    XxHash3_128::oneshot(text.bytes(body))
}

fn short_hash(text: Text, body: &[u8]) -> u32 {
    rapidhash_v3(text.bytes(body)) as u32
}

/// The hashes of the resource and the scope of the last span: the next one mostly has the same.
#[derive(Debug, Default)]
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

#[cfg(test)]
mod tests {
    use genai::{ErrorClass, ErrorFacts};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    proptest! {
        // What each span says of its failure is told as if it was read then, whether there was room for it or not; what is kept until then takes
        // no more than its share of the request, and one failure.
        #[test]
        fn failures_are_those_of_their_spans(spans in proptest::collection::vec((any::<bool>(), any::<bool>(), 0..6u32, 0..400u32), 0..60)) {
            let mut body: Vec<u8> = b"rate limit 429 ".repeat(134);
            let resources = ["production", "", "test"].map(|environment| {
                let attributes = vec![otlp::metrics::text("deployment.environment.name", environment.to_owned())];
                let start = body.len() as u32;
                Resource { attributes, ..Resource::default() }.encode(&mut body).unwrap();
                Text::new(start, body.len() as u32 - start)
            });
            let facts: Vec<SpanFacts> = spans
                .into_iter()
                .map(|(has_failed, is_call, from, length)| SpanFacts {
                    role: if is_call { Role::Llm } else { Role::Agent },
                    service: Text::new(from, 12),
                    resource: resources[from as usize / 2],
                    error: has_failed.then(|| ErrorFacts {
                        class: ErrorClass::RateLimited,
                        message: Text::new(from, length),
                        kind: Text::default(),
                    }),
                    ..SpanFacts::default()
                })
                .collect();
            let mut builder = ContentsBuilder::new(&body, false);
            facts.iter().for_each(|facts| builder.add(facts));
            let mut contents = builder.finish(facts.len());
            let kept = contents.failures.iter().flatten().map(|failure| size_of::<Failure>() + failure.heap());
            prop_assert!(kept.clone().sum::<usize>() <= body.len() / SHARE_OF_FAILURES + kept.max().unwrap_or_default());
            prop_assert_eq!(contents.failures.iter().flatten().map(Failure::heap).sum::<usize>(), contents.failures_heap);
            for (position, facts) in (0..).zip(&facts) {
                let expected = FailureReader::default().read(&body, facts);
                prop_assert_eq!(contents.failure(&body, facts, position), expected);
                prop_assert_eq!(contents.take_failure(position), None);
            }
        }
    }
}
