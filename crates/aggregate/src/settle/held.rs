//! A call span while it waits for the others of its call, and afterwards, while late ones may still come.

use genai::price::PriceRef;
use genai::{CompactUsage, ErrorClass, Money, Role, SpanFacts, SplitReport, Usage};
use nonmax::NonMaxU64;

use crate::contents::SpanContent;
use crate::errors::{Details, ErrorRecord};
use crate::family::Families;
use crate::histogram::Origin;

/// The place of a held span in the order of arrival. It wraps around: only places within the window are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Seq(pub(super) u32);

impl Seq {
    /// No span.
    pub(super) const NONE: Self = Self(u32::MAX);
}

/// Where the outcome of a span is to be written: a request that waits, and the position of the span in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(Rust, packed(4))]
pub(crate) struct Place {
    pub(crate) request: u64,
    pub(crate) position: u32,
}

impl Place {
    /// Where nobody looks for an outcome.
    pub(crate) const NOWHERE: Self = Self { request: u64::MAX, position: 0 };
}

/// What became of a held span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It waits, and its outcome is to be written there.
    Waiting(Place),
    /// Its call was counted.
    Counted {
        /// The span under which it was.
        counted_span_id: [u8; 8],
        /// From this span alone: then one of another library may be the second of its call.
        alone: bool,
        /// With usage: then a late one adds none.
        with_usage: bool,
        /// With a cost: then a late one adds none.
        with_cost: bool,
    },
}

/// Which links of a span are taken: it has one of each at the most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) child: bool,
    pub(crate) parent: bool,
    pub(crate) half: bool,
}

/// What the rules of reference/counting.md section 3 ask of a call span, without its body. In an order that brings what is needed
/// together into one line of the processor's cache: to find it and to forget it, then to compare it with others, then to count it.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Held {
    pub(crate) trace_id: [u8; 16],
    /// Hash of the response id; zero without one.
    pub(crate) response: u64,
    /// End, nanoseconds since the Unix epoch.
    pub(crate) end: u64,
    /// What few spans have.
    pub(crate) rare: Option<Box<Rare>>,
    /// Neighbours in the order of arrival: of its trace, and of its response id.
    pub(crate) trace_before: Seq,
    pub(crate) trace_after: Seq,
    pub(crate) response_before: Seq,
    pub(crate) response_after: Seq,
    pub(crate) taken: Taken,
    /// How many spans its trace had when it came, itself included.
    pub(crate) trace_size: u8,
    /// Whether its trace is so large that it is found by its ids: see `id_before`.
    pub(crate) is_indexed: bool,
    pub(crate) error: Option<ErrorClass>,
    pub(crate) role: Role,
    /// See [`SpanFacts::response_model_is_weak`].
    pub(crate) response_model_is_weak: bool,

    pub(crate) span_id: [u8; 8],
    pub(crate) parent_span_id: [u8; 8],
    /// Start, nanoseconds since the Unix epoch.
    pub(crate) start: u64,
    /// When its request was received, nanoseconds since the Unix epoch.
    pub(crate) receive_time: u64,
    /// Families of the models that it names.
    pub(crate) families: Families,
    /// Hashes of `service.name`, of the scope's name and of the span's name.
    pub(crate) service: u32,
    pub(crate) scope: u32,
    pub(crate) name: u32,
    /// Number of its series; once it is counted, that of the call.
    pub(crate) series: u32,
    /// More neighbours: of the same split report, and in a large trace the child of its parent that came before it.
    pub(crate) split_before: Seq,
    pub(crate) sibling_before: Seq,

    pub(crate) state: State,
    pub(crate) usage: CompactUsage,
    /// Nanoseconds.
    pub(crate) time_to_first_chunk: Option<NonMaxU64>,
    /// More neighbours: of what may be the same without a link, and in a large trace the one with its ids and the newest of its children
    /// that came after it.
    pub(crate) unlinked_before: Seq,
    pub(crate) id_before: Seq,
    pub(crate) newest_child: Seq,
}

/// Three lines of the processor's cache, and no more.
const _: () = assert!(size_of::<Held>() == 3 * 64);

/// What few held spans have.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    /// Memory of it, in bytes, as it was when the span came.
    pub(crate) heap: u32,
    pub(crate) error: Option<Box<ErrorRecord>>,
    pub(crate) split: Option<SplitReport>,
    pub(crate) supplied_cost: Option<Money>,
    pub(crate) service_tier: Box<str>,
    /// Where its prices stand, if its series does not tell.
    pub(crate) price: Option<PriceRef>,
    /// Where its repetitions wait for the same outcome.
    pub(crate) repetitions: Vec<Place>,
}

impl Rare {
    /// `None` of most spans.
    fn of(body: &[u8], facts: &SpanFacts, context: Context) -> Option<Self> {
        let service_tier = unusual(facts.service_tier.bytes(body));
        let has_any = context.error.is_some()
            || facts.split.is_some()
            || facts.supplied_pico_dollars.is_some()
            || context.price.is_some()
            || !service_tier.is_empty();
        has_any.then(|| {
            let rare = Self {
                heap: 0,
                error: context.error,
                split: facts.split,
                supplied_cost: facts.supplied_cost(),
                service_tier: String::from_utf8_lossy(service_tier).into(),
                price: context.price,
                repetitions: Vec::new(),
            };
            Self { heap: rare.bytes(facts), ..rare }
        })
    }

    /// Memory of it, in bytes. Details of a failure are charged also if nobody wants them: when calls are counted early must not depend on
    /// who does.
    fn bytes(&self, facts: &SpanFacts) -> u32 {
        let error = self.error.as_ref().map_or(0, |error| error.charge() + Details::charge(facts));
        (size_of::<Self>() + error + self.service_tier.len()) as u32
    }
}

/// What stands beside a span in its request.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) receive_time: u64,
    pub(crate) place: Place,
    /// Number of its series.
    pub(crate) series: u32,
    /// Where its prices stand, if its series does not tell.
    pub(crate) price: Option<PriceRef>,
    /// Families of the models that it names.
    pub(crate) families: Families,
    /// Hashes of what it says.
    pub(crate) content: SpanContent,
    /// The record of its failure, if it failed.
    pub(crate) error: Option<Box<ErrorRecord>>,
}

impl Held {
    /// A span that tells nothing, to be filled.
    pub(crate) const BLANK: Self = Self {
        trace_id: [0; 16],
        span_id: [0; 8],
        parent_span_id: [0; 8],
        start: 0,
        end: 0,
        receive_time: 0,
        series: 0,
        service: 0,
        scope: 0,
        name: 0,
        response: 0,
        families: Families::NONE,
        taken: Taken { child: false, parent: false, half: false },
        usage: CompactUsage::NONE,
        time_to_first_chunk: None,
        error: None,
        role: Role::Llm,
        response_model_is_weak: false,
        state: State::Waiting(Place::NOWHERE),
        rare: None,
        trace_before: Seq::NONE,
        trace_after: Seq::NONE,
        response_before: Seq::NONE,
        response_after: Seq::NONE,
        split_before: Seq::NONE,
        unlinked_before: Seq::NONE,
        trace_size: 1,
        is_indexed: false,
        id_before: Seq::NONE,
        newest_child: Seq::NONE,
        sibling_before: Seq::NONE,
    };

    /// Writes what a span tells into a blank one.
    pub(crate) fn fill(&mut self, body: &[u8], facts: &SpanFacts, context: Context) {
        self.trace_id = facts.trace_id;
        self.span_id = facts.span_id;
        self.parent_span_id = facts.parent_span_id;
        self.start = facts.start;
        self.end = facts.end;
        self.receive_time = context.receive_time;
        self.state = State::Waiting(context.place);
        self.series = context.series;
        self.service = context.content.service;
        self.scope = context.content.scope;
        self.name = context.content.name;
        self.response = context.content.response;
        self.families = context.families;
        self.usage = facts.compact_usage;
        self.time_to_first_chunk = facts.nanos_to_first_chunk;
        self.error = facts.error.map(|error| error.class);
        self.role = facts.role;
        self.response_model_is_weak = facts.response_model_is_weak;
        self.rare = Rare::of(body, facts, context).map(Box::new);
    }

    pub(crate) fn origin(&self) -> Origin {
        let time = genai::time_of(self.end, self.receive_time);
        Origin { trace_id: self.trace_id, span_id: self.span_id, time }
    }

    /// Nanoseconds; `None` if its times tell none.
    pub(crate) fn duration(&self) -> Option<u64> {
        genai::duration_of(self.start, self.end)
    }

    /// When its call was made, nanoseconds since the Unix epoch: prices change with time.
    pub(crate) fn called_at(&self) -> u64 {
        genai::called_at(self.start, self.receive_time)
    }

    /// What its instrumentation says the call cost.
    pub(crate) fn supplied_cost(&self) -> Option<Money> {
        self.rare.as_ref()?.supplied_cost
    }

    /// Where its prices stand, if its series does not tell.
    pub(crate) fn price(&self) -> Option<PriceRef> {
        self.rare.as_ref()?.price
    }

    /// The service tier that it names; empty if it names none.
    pub(crate) fn service_tier(&self) -> &str {
        self.rare.as_ref().map_or("", |rare| &rare.service_tier)
    }

    pub(crate) fn is_embeddings(&self) -> bool {
        self.role == Role::Embeddings
    }

    pub(crate) fn usage(&self) -> Usage {
        self.usage.get()
    }

    pub(crate) fn has_usage(&self) -> bool {
        self.usage().is_reported()
    }

    /// Nanoseconds.
    pub(crate) fn time_to_first_chunk(&self) -> Option<u64> {
        self.time_to_first_chunk.map(|nanos| nanos.get())
    }

    /// Memory behind it, in bytes.
    pub(crate) fn heap(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.heap)
    }

    /// Where its outcome is to be written, as long as it waits.
    pub(crate) fn place(&self) -> Option<Place> {
        match self.state {
            State::Waiting(place) => Some(place),
            State::Counted { .. } => None,
        }
    }

    /// The span under which its call was counted; zero as long as it waits.
    pub(crate) fn counted_span_id(&self) -> [u8; 8] {
        match self.state {
            State::Waiting(_) => [0; 8],
            State::Counted { counted_span_id, .. } => counted_span_id,
        }
    }

    pub(crate) fn split(&self) -> Option<&SplitReport> {
        self.rare.as_ref()?.split.as_ref()
    }

    /// Forgets what is of no use once its call is counted; gives the places of its repetitions, and how much memory came free.
    pub(super) fn forget_rare(&mut self) -> (Vec<Place>, u32) {
        let Some(mut rare) = self.rare.take() else { return (Vec::new(), 0) };
        let repetitions = std::mem::take(&mut rare.repetitions);
        if rare.split.is_some() {
            self.rare = Some(rare);
            return (repetitions, 0);
        }
        (repetitions, rare.heap)
    }

    /// When its call was under way: of the end of a stream, from its begin on.
    pub(super) fn extent(&self) -> (u64, u64) {
        let streamed_for = self.split().and_then(|split| split.stream_duration).unwrap_or(0);
        (self.start.saturating_sub(streamed_for), self.end)
    }

    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    /// Whether it says the same as another span: then one of the two is a retry of the client. (Ids alone do not tell: they are
    /// not unique in the wild.)
    pub(super) fn repeats(&self, other: &Self) -> bool {
        (self.trace_id, self.span_id, self.parent_span_id) == (other.trace_id, other.span_id, other.parent_span_id)
            && (self.start, self.end) == (other.start, other.end)
            && (self.service, self.scope, self.name) == (other.service, other.scope, other.name)
            && (self.response, self.usage, self.error) == (other.response, other.usage, other.error)
    }
}

/// A service tier, if its price may differ from the usual one; else nothing. Tiers are short words; a longer text names none.
fn unusual(service_tier: &[u8]) -> &[u8] {
    match service_tier {
        b"" | b"default" | b"auto" | b"standard" => b"",
        longer if longer.len() > 32 => b"",
        named => named,
    }
}
