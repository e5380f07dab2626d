//! What was found on a span while it was walked over, before it is judged.

use otlp::trace::Event;
use otlp::{Text, Value};

use super::evaluation::EvaluationFound;
use crate::coerce;
use crate::dialects::{DialectId, Fact, Plain, Row, Says};
use crate::json;
use crate::role::Role;

/// What was found on the span that is being read.
#[derive(Clone)]
pub(super) struct Found {
    slots: [Slot; Plain::COUNT],
    /// Which of them are there: they are not cleared between spans.
    present: u64,
    /// What keys tell that mean it in their own dialect only: read when the dialect is known.
    pub(super) own: Vec<OwnFound>,
    pub(super) role: Option<RoleFound>,
    pub(super) dialect: DialectId,
    pub(super) exception: Option<Exception>,
    /// Time of the first event that says that a stream began to answer.
    pub(super) first_chunk_event: u64,
    pub(super) chunks: Chunks,
    /// Hardly any span has some.
    pub(super) evaluations: Vec<EvaluationFound>,
}

/// A value and the rank of the key that told it.
#[derive(Clone, Copy)]
struct Slot {
    value: Value,
    rank: u16,
}

impl Slot {
    /// Whether it is taken in place of another one: the better key, unless only the other one says something.
    fn goes_before(&self, other: &Self, body: &[u8]) -> bool {
        let says_nothing = [self, other].map(|slot| coerce::says_nothing(slot.value, body));
        match says_nothing {
            [true, false] => false,
            [false, true] => true,
            _ => self.rank < other.rank,
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct RoleFound {
    pub(super) rank: u16,
    pub(super) value: Text,
    pub(super) values: &'static [(&'static str, Says)],
    pub(super) otherwise: Role,
}

#[derive(Clone, Copy)]
pub(super) struct OwnFound {
    dialect: DialectId,
    plain: Plain,
    rank: u16,
    value: Value,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Exception {
    pub(super) kind: Text,
    pub(super) message: Text,
}

/// Events with parts of a streamed answer: the first ones, where it tells what it is, and the last ones, where it tells what it
/// used.
#[derive(Clone, Copy, Default)]
pub(super) struct Chunks {
    first: [Chunk; 2],
    last: [Chunk; 8],
    count: usize,
}

/// An event with a part of an answer.
#[derive(Clone, Copy, Default)]
pub(super) struct Chunk {
    pub(super) message: Text,
    /// The attribute that holds it.
    pub(super) key: &'static str,
}

impl Chunks {
    fn keep(&mut self, chunk: Chunk) {
        match self.first.get_mut(self.count) {
            Some(slot) => *slot = chunk,
            None => {
                let at = (self.count - self.first.len()) % self.last.len();
                self.last[at] = chunk;
            }
        }
        self.count += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The last ones, latest first, then the first ones.
    pub(super) fn ends(&self) -> impl Iterator<Item = Chunk> {
        let after_first = self.count.saturating_sub(self.first.len());
        let last = (0..after_first).rev().take(self.last.len()).map(|at| self.last[at % self.last.len()]);
        last.chain(self.first.into_iter().take(self.count))
    }
}

const _: () = assert!(Plain::COUNT <= 64, "one bit for each plain fact");

/// The bits of some plain facts: most spans have none of most groups, and one test passes over them all.
const fn bits(of: &[Plain]) -> u64 {
    let mut mask = 0;
    let mut i = 0;
    while i < of.len() {
        mask |= 1 << of[i] as u32;
        i += 1;
    }
    mask
}

/// Says that a stream was one, or when it began.
pub(super) const STREAM: u64 = bits(&[
    Plain::FirstChunkSeconds,
    Plain::FirstChunkMillis,
    Plain::FirstChunkInUnit,
    Plain::FirstChunkInJson,
    Plain::FirstChunkAt,
    Plain::Streaming,
    Plain::ModelInJson,
    Plain::RequestData,
    Plain::UsageObject,
]);
pub(super) const FAILURE: u64 =
    bits(&[Plain::ErrorType, Plain::ErrorCategory, Plain::Outcome, Plain::Success, Plain::Failed, Plain::HttpStatus]);
/// Where counts stand that are told otherwise than one by one.
pub(super) const USAGE_ELSEWHERE: u64 = bits(&[
    Plain::ProviderInputTokens,
    Plain::CacheWrite5mTokens,
    Plain::CacheWrite1hTokens,
    Plain::ReasoningTokensApart,
    Plain::InputDetails,
    Plain::OutputDetails,
    Plain::ProviderMetadata,
    Plain::UsageDetails,
    Plain::UsageObject,
    Plain::InclusiveUsageObject,
]);
pub(super) const COST: u64 = bits(&[Plain::Cost, Plain::InputCost, Plain::OutputCost, Plain::CostObject]);
pub(super) const LESS_COMMON_NAMES: u64 = bits(&[
    Plain::ToolName,
    Plain::WorkflowName,
    Plain::UserId,
    Plain::PromptName,
    Plain::PromptVersion,
    Plain::PromptInJson,
    Plain::CallId,
]);

impl Found {
    pub(super) fn new() -> Self {
        Self {
            slots: [Slot { value: Value::Empty, rank: 0 }; Plain::COUNT],
            present: 0,
            own: Vec::new(),
            role: None,
            dialect: DialectId::NONE,
            exception: None,
            first_chunk_event: 0,
            chunks: Chunks::default(),
            evaluations: Vec::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.present = 0;
        self.own.clear();
        self.role = None;
        self.dialect = DialectId::NONE;
        self.exception = None;
        self.first_chunk_event = 0;
        self.chunks.count = 0;
        self.evaluations.clear();
    }

    #[inline(always)]
    pub(super) fn keep(&mut self, plain: Plain, rank: u16, value: Value, body: &[u8]) {
        let bit = 1 << plain as u32;
        if self.present & bit != 0 {
            return self.keep_better(plain, Slot { value, rank }, body);
        }
        self.present |= bit;
        self.slots[plain as usize] = Slot { value, rank };
    }

    /// Takes what a second key tells, if it goes before the first.
    #[cold]
    #[inline(never)]
    fn keep_better(&mut self, plain: Plain, told: Slot, body: &[u8]) {
        let slot = &mut self.slots[plain as usize];
        if told.goes_before(slot, body) {
            *slot = told;
        }
    }

    /// Takes the role that a value tells, if it tells one, and the better key told none.
    #[inline(never)]
    pub(super) fn keep_role(&mut self, row: &Row, value: Text, body: &[u8]) {
        let Fact::Role { values, otherwise } = row.fact else { return };
        // Braintrust's types stand in JSON.
        let value = if value.bytes(body).starts_with(b"{") { json::string(value, body, b"\"type\"") } else { value };
        if otherwise.is_none() {
            match values.iter().find(|(name, _)| name.as_bytes() == value.bytes(body)) {
                None => return,
                Some((_, Says::Shared(..))) => {}
                Some(_) => self.dialect = self.dialect.min(row.owner),
            }
        }
        if self.role.is_none_or(|role| row.rank < role.rank) {
            self.role = Some(RoleFound { rank: row.rank, value, values, otherwise: otherwise.unwrap_or(Role::Chain) });
        }
    }

    /// Keeps a key aside until the dialect of the span is known.
    #[cold]
    pub(super) fn keep_aside(&mut self, row: &Row, plain: Plain, value: Value) {
        if self.own.len() < MAX_OWN {
            self.own.push(OwnFound { dialect: row.owner, plain, rank: row.rank, value });
        }
    }

    /// Takes what the keys of `dialect` alone tell.
    #[cold]
    pub(super) fn keep_own(&mut self, dialect: DialectId, body: &[u8]) {
        for i in 0..self.own.len() {
            if let Some(OwnFound { dialect: owner, plain, rank, value }) = self.own.get(i).copied()
                && owner == dialect
            {
                self.keep(plain, rank, value, body);
            }
        }
    }

    /// Keeps an event with a part of the answer for later.
    #[cold]
    pub(super) fn keep_chunk(&mut self, event: Event, key: &'static str) {
        self.chunks.keep(Chunk { message: event.message, key });
    }

    #[inline(always)]
    pub(super) fn has(&self, plain: Plain) -> bool {
        self.present & (1 << plain as usize) != 0
    }

    /// The rank of the key that told it; 0 if none did.
    pub(super) fn rank(&self, plain: Plain) -> u16 {
        if self.has(plain) { self.slots[plain as usize].rank } else { 0 }
    }

    /// Takes it away, as if no key had told it.
    pub(super) fn forget(&mut self, plain: Plain) {
        self.present &= !(1 << plain as usize);
    }

    #[inline(always)]
    pub(super) fn has_any(&self, mask: u64) -> bool {
        self.present & mask != 0
    }

    #[inline(always)]
    pub(super) fn get(&self, plain: Plain) -> Value {
        if self.has(plain) { self.slots[plain as usize].value } else { Value::Empty }
    }
}

/// How many keys that mean something in their own dialect only are kept aside: no dialect has more.
const MAX_OWN: usize = 64;
