//! The series index: from the key of a series to its number.

use dashmap::DashMap;
use genai::SpanFacts;
use otlp::Text;
use rapidhash::fast::RandomState;

use crate::key::{KeyBuilder, Kind, Layout};

/// Finds the number of a series. Request handlers look keys up beside each other; only the applier inserts, in log order.
/// Keys are chosen by peers, so the hash is seeded at random. Numbers live in memory only and never influence a result.
#[derive(Debug)]
pub struct SeriesIndex {
    layout: Layout,
    numbers: DashMap<Box<[u8]>, u32, RandomState>,
}

impl SeriesIndex {
    pub(crate) fn new(layout: Layout) -> Self {
        Self { layout, numbers: DashMap::with_hasher(RandomState::default()) }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn find(&self, key: &[u8]) -> Option<u32> {
        self.numbers.get(key).map(|entry| *entry)
    }

    pub(crate) fn insert(&self, key: &[u8], number: u32) {
        self.numbers.insert(key.into(), number);
    }

    /// Looks series up for the spans of a request.
    pub(crate) fn resolver<'a>(&'a self, body: &'a [u8]) -> Resolver<'a> {
        Resolver { index: self, body, builder: KeyBuilder::default(), known: [None; PLACES] }
    }
}

/// Looks series up for the spans of one request.
#[derive(Debug)]
pub(crate) struct Resolver<'a> {
    index: &'a SeriesIndex,
    body: &'a [u8],
    builder: KeyBuilder,
    /// Series of spans before, each in the place of its names: most spans of a request have that of another one, and then need no key.
    known: [Option<(Names<'a>, u32)>; PLACES],
}

/// A power of two.
const PLACES: usize = 64;

/// What the series of a call depends on, if there are no more dimensions than the common ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Names<'a> {
    resource: Text,
    common: [&'a [u8]; 4],
}

impl<'a> Names<'a> {
    fn of(body: &'a [u8], span: &SpanFacts) -> Self {
        let SpanFacts { resource, operation, provider, request_model, response_model, .. } = *span;
        let common =
            [operation.bytes(body), provider.bytes(body), request_model.bytes(body), response_model.bytes(body)];
        Self { resource, common }
    }

    /// Where it stands among those that are known; others may stand there as well.
    fn place(&self) -> usize {
        let mix = |mixed: u64, word: u64| (mixed ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
        let mixed = self.common.iter().fold(u64::from(self.resource.start()), |mixed, name| {
            let end = name.last_chunk().map_or(0, |end| u64::from_le_bytes(*end));
            mix(mixed, end ^ name.len() as u64)
        });
        mixed as usize % PLACES
    }
}

impl Resolver<'_> {
    /// Writes the number of its series, where there is one by now, to a span.
    pub(crate) fn resolve(&mut self, span: &mut SpanFacts) {
        let Some(kind) = Kind::of_role(span.role) else { return };
        if kind != Kind::Call || !self.index.layout.dimensions.is_empty() {
            span.series = self.find(kind, span);
            return;
        }
        let names = Names::of(self.body, span);
        let place = names.place();
        if let Some((known, number)) = self.known[place]
            && known == names
        {
            span.series = Some(number);
            return;
        }
        span.series = self.find(kind, span);
        if let Some(number) = span.series {
            self.known[place] = Some((names, number));
        }
    }

    #[inline(never)]
    fn find(&mut self, kind: Kind, span: &SpanFacts) -> Option<u32> {
        self.index.find(self.builder.key_of_kind(kind, &self.index.layout, self.body, span))
    }
}

#[cfg(test)]
mod tests {
    use genai::{Label, Role};
    use proptest::prelude::*;

    use super::*;

    /// Some of one place, which differ in their first letters only, and some of others.
    const NAMES: [&str; 6] = ["", "a", "b", "model-2025-01-01", "nodel-2025-01-01", "modelmodel-2025-01-01"];
    /// More resources than a resolver has places.
    const RESOURCES: u8 = 100;
    const LENGTH: u32 = 21;

    /// A resource that says which one it is.
    fn resource(number: u8) -> [u8; LENGTH as usize] {
        let mut resource = *b"\n\x13\n\x0cservice.name\x12\x03\n\x01?";
        resource[20] = number;
        resource
    }

    /// The attribute of a span that is a dimension.
    const DIMENSION: &[u8] = b"J\x08\n\x01k\x12\x03\n\x01v";

    fn spans() -> impl Strategy<Value = Vec<(u8, [usize; 4], Role, bool)>> {
        let role = proptest::sample::select(vec![Role::Llm, Role::Embeddings, Role::Agent, Role::None]);
        let names = proptest::array::uniform4(prop_oneof![3 => 0..3_usize, 1 => 3..NAMES.len()]);
        proptest::collection::vec((0..RESOURCES, names, role, any::<bool>()), 1..500)
    }

    proptest! {
        // What is known of spans before gives every span the series of its own key, and none to one whose key nobody knows.
        #[test]
        fn each_span_gets_the_series_of_its_key(spans in spans(), has_dimensions in any::<bool>(), unknown in 0..5_u32) {
            let dimensions = if has_dimensions { vec!["k".to_owned()] } else { Vec::new() };
            let layout = Layout { resource_attributes: vec!["service.name".to_owned()], dimensions, max_label_length: 18 };
            let index = SeriesIndex::new(layout);
            // The resources, and each name twice, in places of its own.
            let mut body = (0..RESOURCES).map(resource).collect::<Vec<_>>().concat();
            let mut text = |bytes: &[u8]| {
                body.extend_from_slice(bytes);
                Text::new((body.len() - bytes.len()) as u32, bytes.len() as u32)
            };
            let places = [(); 2].map(|()| NAMES.map(|name| text(name.as_bytes())));
            let dimension = text(DIMENSION);
            let facts = |(at, (number, names, role, has_dimension)): (usize, (u8, [usize; 4], Role, bool))| {
                let [operation, provider, request_model, response_model] = names.map(|name| places[at % 2][name]);
                SpanFacts {
                    resource: Text::new(u32::from(number) * LENGTH, LENGTH),
                    span: if has_dimension { dimension } else { Text::default() },
                    role,
                    operation: if at % 3 == 0 { Label::Known(&NAMES[names[0]]) } else { Label::Raw(operation) },
                    provider: Label::Raw(provider),
                    request_model,
                    response_model,
                    ..SpanFacts::default()
                }
            };
            let facts: Vec<SpanFacts> = spans.into_iter().enumerate().map(facts).collect();
            let key = |span: &SpanFacts| {
                let kind = Kind::of_role(span.role)?;
                Some(KeyBuilder::default().key_of_kind(kind, index.layout(), &body, span).to_vec())
            };
            for (number, span) in (0..).zip(&facts) {
                if let Some(key) = key(span).filter(|key| number % 5 != unknown && index.find(key).is_none()) {
                    index.insert(&key, number);
                }
            }
            let mut resolver = index.resolver(&body);
            for span in &facts {
                let mut resolved = *span;
                resolver.resolve(&mut resolved);
                prop_assert_eq!(resolved.series, key(span).and_then(|key| index.find(&key)));
            }
        }
    }
}
