//! Which agents have no call below them.
//!
//! Some frameworks report what was used on their agents only, some on tasks or on spans that are not recognised: all of them are
//! called agents here. So the usage of an agent stands for a call if no span of a call stands below it; of agents below each
//! other, the outermost that tells at least what those below it do. To know that, the spans
//! between agents and calls are remembered for a while, by their ids alone.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;

use genai::Role;
use hashbrown::HashTable;
use rapidhash::fast::RandomState;

use super::below::{Below, Source, ancestors, tells_output, told_by};
use super::held::{Held, Seq};
use super::window::Window;

/// A span id; all zero is no span.
pub(super) type SpanId = [u8; 8];

/// How many spans of a trace are looked at. In a larger one, an agent is taken to have calls below it.
pub(super) const MAX_SPANS: usize = 4096;

/// How many agents one below the other are looked at.
const MAX_NESTED: usize = 16;

/// Memory of one span: itself and its place in the index.
const BYTES_A_SPAN: usize = size_of::<Node>() + 16;

/// The spans of the last while that are no calls.
#[derive(Debug)]
pub(super) struct Lineage {
    nodes: VecDeque<Node>,
    first: Seq,
    capacity: usize,
    /// The newest span of each trace.
    traces: HashTable<Seq>,
    /// The first agent that waits, or a span before it.
    next: Seq,
    /// How many agents wait.
    waiting: usize,
    /// How many agents were counted and are not forgotten, by trace.
    counted: HashMap<[u8; 16], u32, RandomState>,
    hasher: RandomState,
}

/// A span that is no call.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: SpanId,
    pub(crate) parent_span_id: SpanId,
    /// Nanoseconds since the Unix epoch.
    pub(crate) start: u64,
    /// The one before it in its trace.
    pub(super) before: Seq,
    pub(crate) agent: Agent,
    /// Whether it is a tool or an agent: what runs below is no part of a call above.
    pub(crate) separates: bool,
}

impl Node {
    pub(crate) fn new(
        trace_id: [u8; 16],
        [span_id, parent_span_id]: [SpanId; 2],
        start: u64,
        agent: Agent,
        separates: bool,
    ) -> Self {
        Self { trace_id, span_id, parent_span_id, start, before: Seq::NONE, agent, separates }
    }
}

/// What usage a span tells that is no call.
#[derive(Debug)]
pub(crate) enum Agent {
    /// None, or none that could stand for a call.
    None,
    /// Not decided yet.
    Waiting(Box<Held>),
    /// It stood for a call.
    Counted {
        /// And told output: then it did not stand for calls of embeddings.
        has_output: bool,
    },
    /// Calls below it were counted, or an agent above it.
    Passed,
}

/// An agent whose time has come.
#[derive(Debug)]
pub(crate) struct DecidedAgent {
    pub(crate) held: Box<Held>,
    /// Whether it stands for a call.
    pub(crate) is_call: bool,
}

impl Lineage {
    pub(super) fn new(memory: usize) -> Self {
        Self {
            nodes: VecDeque::new(),
            first: Seq(0),
            capacity: (memory / BYTES_A_SPAN).clamp(1, 1 << 30),
            traces: HashTable::new(),
            next: Seq(0),
            waiting: 0,
            counted: HashMap::default(),
            hasher: RandomState::default(),
        }
    }

    fn get(&self, seq: Seq) -> Option<&Node> {
        self.nodes.get(seq.0.wrapping_sub(self.first.0) as usize).filter(|_| seq != Seq::NONE)
    }

    /// Whether any span of a trace is remembered.
    pub(super) fn knows(&self, trace_id: [u8; 16]) -> bool {
        self.newest(trace_id).is_some()
    }

    fn newest(&self, trace_id: [u8; 16]) -> Option<Seq> {
        let in_trace = |seq: &Seq| self.get(*seq).is_some_and(|node| node.trace_id == trace_id);
        self.traces.find(self.hasher.hash_one(trace_id), in_trace).copied()
    }

    /// The first span that is remembered at all, and the newest one of a trace.
    pub(super) fn extent(&self, trace_id: [u8; 16]) -> (Seq, Option<Seq>) {
        (self.first, self.newest(trace_id))
    }

    /// The spans of a trace, the newest first.
    pub(super) fn trace(&self, trace_id: [u8; 16]) -> impl Iterator<Item = (Seq, &Node)> {
        let mut at = self.newest(trace_id).unwrap_or(Seq::NONE);
        std::iter::from_fn(move || {
            let node = self.get(at)?;
            Some((std::mem::replace(&mut at, node.before), node))
        })
    }

    /// Remembers a span. There must be room.
    pub(super) fn push(&mut self, mut node: Node) {
        let seq = Seq(self.first.0.wrapping_add(self.nodes.len() as u32));
        let trace_id = node.trace_id;
        match node.agent {
            Agent::Waiting(_) => self.waiting += 1,
            Agent::Counted { .. } => *self.counted.entry(trace_id).or_default() += 1,
            Agent::None | Agent::Passed => {}
        }
        let Self { nodes, first, traces, hasher, .. } = self;
        let at = |seq: Seq| nodes.get(seq.0.wrapping_sub(first.0) as usize);
        let in_trace = |seq: &Seq| at(*seq).is_some_and(|node| node.trace_id == trace_id);
        let hash = hasher.hash_one(trace_id);
        node.before = match traces.find_mut(hash, in_trace) {
            Some(newest) => std::mem::replace(newest, seq),
            None => {
                traces.insert_unique(hash, seq, |seq| at(*seq).map_or(hash, |node| hasher.hash_one(node.trace_id)));
                Seq::NONE
            }
        };
        self.nodes.push_back(node);
    }

    /// The spans in the order of arrival.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    pub(super) fn is_full(&self) -> bool {
        self.nodes.len() >= self.capacity
    }

    /// Forgets the oldest span, if it does not wait.
    pub(super) fn pop_front(&mut self) -> bool {
        let Some(node) = self.nodes.front() else { return false };
        let trace_id = node.trace_id;
        match node.agent {
            Agent::Waiting(_) => return false,
            Agent::Counted { .. } => {
                if let Some(counted) = self.counted.get_mut(&trace_id) {
                    *counted -= 1;
                    if *counted == 0 {
                        self.counted.remove(&trace_id);
                    }
                }
            }
            Agent::None | Agent::Passed => {}
        }
        let seq = self.first;
        if let Ok(entry) = self.traces.find_entry(self.hasher.hash_one(trace_id), |other| *other == seq) {
            entry.remove();
        }
        self.nodes.pop_front();
        self.first = Seq(seq.0.wrapping_add(1));
        if self.next == seq {
            self.next = self.first;
        }
        true
    }

    /// How many agents wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Decides on the oldest agent that waits, if it was received at `until` or before; or, before it, on one above that stands
    /// for it.
    pub(super) fn decide(&mut self, window: &Window, until: u64) -> Option<DecidedAgent> {
        if self.waiting == 0 {
            return None;
        }
        let oldest = loop {
            match &self.get(self.next)?.agent {
                Agent::Waiting(held) if held.receive_time <= until => break self.next,
                Agent::Waiting(_) => return None,
                _ => self.next = Seq(self.next.0.wrapping_add(1)),
            }
        };
        let node = self.get(oldest)?;
        let trace_id = node.trace_id;
        let stands = if self.is_repeated(node) { None } else { self.outermost(window, node) };
        let (seq, is_call) = stands.map_or((oldest, false), |seq| (seq, true));
        let offset = seq.0.wrapping_sub(self.first.0) as usize;
        let node = self.nodes.get_mut(offset)?;
        let has_output = matches!(&node.agent, Agent::Waiting(held) if tells_output(held));
        let decided = if is_call { Agent::Counted { has_output } } else { Agent::Passed };
        let agent = std::mem::replace(&mut node.agent, decided);
        self.waiting -= 1;
        if is_call {
            *self.counted.entry(trace_id).or_default() += 1;
        }
        match agent {
            Agent::Waiting(held) => Some(DecidedAgent { held, is_call }),
            _ => None,
        }
    }

    /// Whether the same agent was counted before: its client sent it again.
    fn is_repeated(&self, agent: &Node) -> bool {
        self.counted.contains_key(&agent.trace_id)
            && self
                .trace(agent.trace_id)
                .take(MAX_SPANS)
                .any(|(_, node)| node.span_id == agent.span_id && matches!(node.agent, Agent::Counted { .. }))
    }

    /// Of a waiting agent and those above it, the outermost one that stands for calls which nobody reports.
    fn outermost(&self, window: &Window, agent: &Node) -> Option<Seq> {
        let below = Below::of(self, window, agent.trace_id)?;
        let above: Vec<SpanId> = ancestors(&below.parents, agent.span_id).collect();
        if above.iter().any(|id| below.counted.contains(id)) {
            return None;
        }
        let waiting = std::iter::once(&agent.span_id).chain(&above).filter_map(|id| below.waiting.get(id));
        let nearest: Vec<Seq> = waiting.take(MAX_NESTED).copied().collect();
        nearest.into_iter().rev().find(|seq| self.stands(window, &below, *seq))
    }

    /// Whether an agent that waits stands for calls: none stands below it, nor may do so for all that is known, none of its trace has the
    /// response that it names, and it tells at least what the agents below it do. Calls of embeddings are no calls that output comes from.
    fn stands(&self, window: &Window, below: &Below, seq: Seq) -> bool {
        let Some((agent, held)) = self.waiting_agent(seq) else { return false };
        // Its calls may be among those that are forgotten.
        if window.forgotten() > held.start {
            return false;
        }
        let (id, has_output) = (agent.span_id, tells_output(held));
        if below.above_calls.contains(&id) || (!has_output && below.above_embeddings.contains(&id)) {
            return false;
        }
        // OpenLIT writes agents of LangGraph beside their calls.
        if below.responses.contains(&held.response) {
            return false;
        }
        // Structure within a call tells of that one again; an agent within one, which a tool of it runs, does not.
        if held.role != Role::Agent && ancestors(&below.parents, id).any(|above| below.calls.contains(&above)) {
            return false;
        }
        let (own, told) = (told_by(held), below.told.get(&id).copied().unwrap_or_default());
        if own.input < told.input || own.output < told.output {
            return false;
        }
        // A chain that ends at a span which nobody sent may go on to the agent, if the span was made while the agent ran; not if the
        // missing one stands above the agent itself.
        let while_it_ran = |source: &&Source| (held.start..=held.end).contains(&source.start);
        let of_others = |source: &&Source| source.id != id && !(has_output && source.is_embeddings);
        let mut broken = below.broken.iter().filter(while_it_ran).filter(of_others).peekable();
        if broken.peek().is_none() {
            return true;
        }
        let above: HashSet<SpanId, RandomState> = ancestors(&below.parents, id).collect();
        broken.all(|source| above.contains(&source.top))
    }

    pub(super) fn waiting_agent(&self, seq: Seq) -> Option<(&Node, &Held)> {
        let node = self.get(seq)?;
        match &node.agent {
            Agent::Waiting(held) => Some((node, held)),
            _ => None,
        }
    }

    /// The agent above a call that was counted in its place.
    pub(super) fn counted_above(&self, held: &Held) -> Option<SpanId> {
        if self.counted.is_empty() || !self.counted.contains_key(&held.trace_id) {
            return None;
        }
        let nodes = || self.trace(held.trace_id).take(MAX_SPANS).map(|(_, node)| node);
        let parents: HashMap<SpanId, SpanId, RandomState> =
            nodes().map(|node| (node.span_id, node.parent_span_id)).collect();
        let stands_for_it =
            |node: &&Node| matches!(node.agent, Agent::Counted { has_output } if !(has_output && held.is_embeddings()));
        let counted: HashSet<SpanId, RandomState> = nodes().filter(stands_for_it).map(|node| node.span_id).collect();
        let above = std::iter::once(held.parent_span_id).chain(ancestors(&parents, held.parent_span_id));
        above.into_iter().find(|id| counted.contains(id))
    }
}
