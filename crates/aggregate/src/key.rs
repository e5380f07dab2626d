//! The key of a series: which spans are added up together.
//!
//! A key is one run of bytes: the kind, then each value with its length before it. The values are the kept resource attributes
//! and the dimensions, so the attributes of a point are read back from the key and stored nowhere else.

use std::borrow::Cow;
use std::io::Write;

use genai::{Evaluation, Role, SpanFacts};
use otlp::trace::{RESOURCE_ATTRIBUTES, SPAN_ATTRIBUTES, attributes};
use otlp::{Text, Value};

/// What a series measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Calls to models.
    Call,
    /// Agents.
    Agent,
    /// Tools.
    Tool,
    /// Results of evaluations.
    Evaluation,
}

impl Kind {
    /// All of them, in the order of their numbers, which are in keys.
    pub(crate) const ALL: [Self; 4] = [Self::Call, Self::Agent, Self::Tool, Self::Evaluation];

    /// The kind of series that a role is measured in.
    pub(crate) const fn of_role(role: Role) -> Option<Self> {
        match role {
            Role::Llm | Role::Embeddings => Some(Self::Call),
            Role::Agent => Some(Self::Agent),
            Role::Tool => Some(Self::Tool),
            _ => None,
        }
    }
}

/// Which attributes a series has, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Resource attributes that are kept; they stand on the metrics' resource.
    pub resource_attributes: Vec<String>,
    /// Span or resource attributes that are dimensions beside the common ones.
    pub dimensions: Vec<String>,
    /// Longest value in bytes; what is longer is cut.
    pub max_label_length: usize,
}

impl Layout {
    /// The names of the values of a kind of series, in the order of the key.
    pub(crate) fn names(&self, kind: Kind) -> impl Iterator<Item = &str> {
        let resource = self.resource_attributes.iter().map(String::as_str);
        let common = common_dimensions(kind).iter().copied();
        resource.chain(common).chain(self.dimensions.iter().map(String::as_str))
    }
}

/// Length of a value that is not there.
const ABSENT: u16 = u16::MAX;

/// Attribute names of the common dimensions of a kind of series, in the order of the key.
pub(crate) const fn common_dimensions(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Call => {
            &["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model"]
        }
        Kind::Agent => &["gen_ai.operation.name", "gen_ai.agent.name"],
        Kind::Tool => &["gen_ai.operation.name", "gen_ai.tool.name"],
        Kind::Evaluation => &["gen_ai.evaluation.name", "gen_ai.evaluation.score.label"],
    }
}

/// Builds keys, one after the other, in one buffer.
#[derive(Debug, Default)]
pub(crate) struct KeyBuilder {
    key: Vec<u8>,
    /// The resource whose attributes stand at the beginning of `key`, and where they end.
    resource: Option<(Text, usize)>,
}

impl KeyBuilder {
    /// Another body begins: ranges of the last one mean nothing in it.
    pub(crate) fn begin(&mut self) {
        self.resource = None;
    }

    /// The key of a span in series of a kind.
    #[inline]
    pub(crate) fn key_of_kind(&mut self, kind: Kind, layout: &Layout, body: &[u8], facts: &SpanFacts) -> &[u8] {
        self.begin_key(kind, layout, body, facts.resource);
        let max = layout.max_label_length;
        self.push(facts.operation.bytes(body), max);
        match kind {
            Kind::Call => {
                self.push(facts.provider.bytes(body), max);
                self.push(facts.request_model.bytes(body), max);
                self.push(facts.response_model.bytes(body), max);
            }
            Kind::Agent => self.push(facts.agent_name.bytes(body), max),
            Kind::Tool => self.push(facts.tool_name.bytes(body), max),
            // No span is an evaluation.
            Kind::Evaluation => {}
        }
        if !layout.dimensions.is_empty() {
            self.push_dimensions(layout, body, (facts.span, SPAN_ATTRIBUTES), facts.resource);
        }
        &self.key
    }

    /// The key of an evaluation's series.
    pub(crate) fn key_of_evaluation(&mut self, layout: &Layout, body: &[u8], evaluation: &Evaluation) -> &[u8] {
        self.begin_key(Kind::Evaluation, layout, body, evaluation.resource);
        self.push(evaluation.name.bytes(body), layout.max_label_length);
        self.push(evaluation.label.bytes(body), layout.max_label_length);
        if !layout.dimensions.is_empty() {
            self.push_dimensions(layout, body, evaluation.attributes(), evaluation.resource);
        }
        &self.key
    }

    #[inline]
    fn begin_key(&mut self, kind: Kind, layout: &Layout, body: &[u8], resource: Text) {
        match self.resource {
            Some((begun, end)) if begun == resource => self.key.truncate(end),
            _ => self.begin_resource(layout, body, resource),
        }
        if let Some(first) = self.key.first_mut() {
            *first = kind as u8;
        }
    }

    #[cold]
    fn begin_resource(&mut self, layout: &Layout, body: &[u8], resource: Text) {
        self.key.clear();
        self.key.push(0);
        for wanted in &layout.resource_attributes {
            self.push_attribute(body, wanted, layout.max_label_length, &[(resource, RESOURCE_ATTRIBUTES)]);
        }
        self.resource = Some((resource, self.key.len()));
    }

    #[cold]
    fn push_dimensions(&mut self, layout: &Layout, body: &[u8], own: (Text, u32), resource: Text) {
        let places = [own, (resource, RESOURCE_ATTRIBUTES)];
        for wanted in &layout.dimensions {
            self.push_attribute(body, wanted, layout.max_label_length, &places);
        }
    }

    /// Adds the value of the attribute `wanted` from the first of `places` that has it.
    fn push_attribute(&mut self, body: &[u8], wanted: &str, max: usize, places: &[(Text, u32)]) {
        let found = places.iter().find_map(|&(message, field)| {
            attributes(body, message, field).filter(|pair| pair.key.bytes(body) == wanted.as_bytes()).last()
        });
        let Some(pair) = found else { return self.push(&[], max) };
        match pair.value {
            Value::String(text) => self.push(text.bytes(body), max),
            Value::Int(number) => self.push_display(&number, max),
            Value::Double(number) => self.push_display(&number, max),
            Value::Bool(flag) => self.push_display(&flag, max),
            // A list is no dimension.
            Value::Empty | Value::Array(_) | Value::KeyValues(_) | Value::Bytes(_) => self.push(&[], max),
        }
    }

    fn push_display(&mut self, value: &dyn std::fmt::Display, max: usize) {
        let mut text = Vec::new();
        // Writing to a vector cannot fail.
        let _ = write!(text, "{value}");
        self.push(&text, max);
    }

    #[inline]
    fn push(&mut self, value: &[u8], max: usize) {
        if value.is_empty() {
            self.key.extend_from_slice(&ABSENT.to_le_bytes());
            return;
        }
        let value = cut(value, max);
        self.key.extend_from_slice(&(value.len() as u16).to_le_bytes());
        self.key.extend_from_slice(value);
    }
}

/// `value` cut to `max` bytes, not inside a UTF-8 character.
fn cut(value: &[u8], max: usize) -> &[u8] {
    let max = max.min(usize::from(ABSENT - 1));
    if value.len() <= max {
        return value;
    }
    let mut end = max;
    while end > 0 && value.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    value.get(..end).unwrap_or_default()
}

/// A key read back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'a> {
    bytes: &'a [u8],
}

impl<'a> Key<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn kind(self) -> Kind {
        match self.bytes.first() {
            Some(1) => Kind::Agent,
            Some(2) => Kind::Tool,
            Some(3) => Kind::Evaluation,
            _ => Kind::Call,
        }
    }

    /// The values in order; `None` for one that is absent.
    pub(crate) fn values(self) -> impl Iterator<Item = Option<&'a [u8]>> {
        let mut rest = self.bytes.get(1..).unwrap_or_default();
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let length = u16::from_le_bytes(*length);
            if length == ABSENT {
                rest = after;
                return Some(None);
            }
            let (value, after) = after.split_at_checked(usize::from(length))?;
            rest = after;
            Some(Some(value))
        })
    }

    /// The value of the common dimension `name`, e.g. `gen_ai.request.model`.
    pub(crate) fn common(self, layout: &Layout, name: &str) -> Option<&'a [u8]> {
        let position = common_dimensions(self.kind()).iter().position(|dimension| *dimension == name)?;
        self.values().nth(layout.resource_attributes.len() + position)?
    }

    /// Whether it is whole, and has the values of a layout.
    pub(crate) fn is_sound(self, layout: &Layout) -> bool {
        let is_kind = self.bytes.first().is_some_and(|kind| usize::from(*kind) < Kind::ALL.len());
        let length: usize = self.values().map(|value| 2 + value.map_or(0, <[u8]>::len)).sum();
        let common = common_dimensions(self.kind()).len();
        let values = layout.resource_attributes.len() + common + layout.dimensions.len();
        is_kind && 1 + length == self.bytes.len() && self.values().count() == values
    }

    /// The key of the same under another layout: what that has and this one has not is absent.
    pub(crate) fn translated(self, from: &Layout, to: &Layout) -> Box<[u8]> {
        let values: Vec<Option<&[u8]>> = self.values().collect();
        let value = |place: usize| values.get(place).copied().flatten().unwrap_or_default();
        let of_name = |names: &[String], first: usize, wanted: &String| {
            names.iter().position(|name| name == wanted).map_or(&[][..], |place| value(first + place))
        };
        let kept = from.resource_attributes.len();
        let common = common_dimensions(self.kind()).len();
        let mut builder = KeyBuilder { key: vec![self.kind() as u8], resource: None };
        let mut push = |value: &[u8]| builder.push(value, to.max_label_length);
        to.resource_attributes.iter().for_each(|name| push(of_name(&from.resource_attributes, 0, name)));
        (0..common).for_each(|place| push(value(kept + place)));
        to.dimensions.iter().for_each(|name| push(of_name(&from.dimensions, kept + common, name)));
        builder.key.into()
    }

    /// The same key with every value as valid UTF-8: keys that differ only in broken characters would give two series
    /// with the same labels.
    pub(crate) fn sanitised(self) -> Cow<'a, [u8]> {
        if self.values().flatten().all(|value| std::str::from_utf8(value).is_ok()) {
            return Cow::Borrowed(self.bytes);
        }
        let mut builder = KeyBuilder { key: vec![self.kind() as u8], resource: None };
        for value in self.values() {
            builder.push(String::from_utf8_lossy(value.unwrap_or_default()).as_bytes(), usize::from(ABSENT - 1));
        }
        Cow::Owned(builder.key)
    }
}

/// What a span of a call names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member<'a> {
    /// The key of its series.
    pub(crate) key: Key<'a>,
    /// Whether its response model may be what was asked for.
    pub(crate) response_model_is_weak: bool,
}

/// The key of a call that several spans report, `members` innermost first, one of which is `base`: of what `base` does not tell,
/// what the others do; the provider and the models by the rules of reference/counting.md section 5.
pub(crate) fn key_of_call(layout: &Layout, base: Key<'_>, members: &[Member<'_>]) -> Box<[u8]> {
    let kept = layout.resource_attributes.len();
    let (provider, request, response) = (kept + 1, kept + 2, kept + 3);
    let named = |place: usize| members.iter().filter_map(move |member| member.key.values().nth(place).flatten());
    let is_strong = |member: &&Member<'_>| {
        let model = |place: usize| member.key.values().nth(place).flatten();
        !member.response_model_is_weak && model(response) != model(request)
    };
    let strong = members.iter().filter(is_strong).find_map(|member| member.key.values().nth(response).flatten());
    let mut builder = KeyBuilder { key: vec![Kind::Call as u8], resource: None };
    for (place, own) in base.values().enumerate() {
        let value = if place == response {
            strong.or_else(|| named(response).next()).map(|model| dated(model, named(response)))
        } else if place == request {
            named(request).next().map(|model| dated(model, named(request)))
        } else if place == provider {
            named(provider).next()
        } else {
            own.or_else(|| named(place).next())
        };
        builder.push(value.unwrap_or_default(), usize::from(ABSENT - 1));
    }
    builder.key.into()
}

/// The name among `others` that is `model` with a date or a version, if there is one: wrappers repeat what was asked for.
fn dated<'a>(model: &'a [u8], mut others: impl Iterator<Item = &'a [u8]>) -> &'a [u8] {
    let is_dated = |other: &&[u8]| matches!(other.strip_prefix(model), Some([b'-' | b'@' | b':', rest @ ..]) if rest.first().is_some_and(u8::is_ascii_digit));
    others.find(is_dated).unwrap_or(model)
}
