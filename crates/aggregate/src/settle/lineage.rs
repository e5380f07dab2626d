//! Which agents have no call below them.
//!
//! Some frameworks report what was used on their agents only, some on tasks or on spans that are not recognised: all of them are
//! called agents here. So the usage of an agent stands for a call if no span of a call stands below it. To know that, the spans
//! between agents and calls are remembered for a while, by their ids alone.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;

use genai::Role;
use hashbrown::HashTable;
use rapidhash::fast::RandomState;

use super::held::{Held, Seq};
use super::window::Window;

/// A span id; all zero is no span.
type SpanId = [u8; 8];

/// How many spans of a trace are looked at. In a larger one, an agent is taken to have calls below it.
const MAX_SPANS: usize = 4096;

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
}

impl Node {
    pub(crate) fn new(trace_id: [u8; 16], [span_id, parent_span_id]: [SpanId; 2], start: u64, agent: Agent) -> Self {
        Self { trace_id, span_id, parent_span_id, start, before: Seq::NONE, agent }
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
    Counted,
    /// Calls below it were counted.
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

    fn trace(&self, trace_id: [u8; 16]) -> impl Iterator<Item = &Node> {
        let mut at = self.newest(trace_id).unwrap_or(Seq::NONE);
        std::iter::from_fn(move || {
            let node = self.get(at)?;
            at = node.before;
            Some(node)
        })
    }

    /// Remembers a span. There must be room.
    pub(super) fn push(&mut self, mut node: Node) {
        let seq = Seq(self.first.0.wrapping_add(self.nodes.len() as u32));
        let trace_id = node.trace_id;
        match node.agent {
            Agent::Waiting(_) => self.waiting += 1,
            Agent::Counted => *self.counted.entry(trace_id).or_default() += 1,
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
            Agent::Counted => {
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

    /// Decides on the oldest agent that waits, if it was received at `until` or before.
    pub(super) fn decide(&mut self, window: &Window, until: u64) -> Option<DecidedAgent> {
        if self.waiting == 0 {
            return None;
        }
        let seq = loop {
            match &self.get(self.next)?.agent {
                Agent::Waiting(held) if held.receive_time <= until => break self.next,
                Agent::Waiting(_) => return None,
                _ => self.next = Seq(self.next.0.wrapping_add(1)),
            }
        };
        let node = self.get(seq)?;
        let trace_id = node.trace_id;
        let is_call = !self.is_repeated(node) && !self.has_calls_below(window, node);
        let offset = seq.0.wrapping_sub(self.first.0) as usize;
        let decided = if is_call { Agent::Counted } else { Agent::Passed };
        let agent = std::mem::replace(&mut self.nodes.get_mut(offset)?.agent, decided);
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
                .any(|node| node.span_id == agent.span_id && matches!(node.agent, Agent::Counted))
    }

    /// Whether a call, or an agent whose usage may stand for one, stands below an agent, or may do so for all that is known.
    fn has_calls_below(&self, window: &Window, agent: &Node) -> bool {
        let Agent::Waiting(held) = &agent.agent else { return true };
        // Its calls may be among those that are forgotten.
        if window.forgotten() > held.start {
            return true;
        }
        let mut parents: HashMap<SpanId, SpanId, RandomState> = HashMap::default();
        let mut sources: Vec<(SpanId, u64)> = Vec::new();
        let others = self.trace(agent.trace_id).take(MAX_SPANS);
        for node in others {
            parents.insert(node.span_id, node.parent_span_id);
            if !matches!(node.agent, Agent::None) && node.span_id != agent.span_id {
                sources.push((node.span_id, node.start));
            }
        }
        let agents = sources.len();
        for call in window.trace(agent.trace_id).take(MAX_SPANS).filter_map(|seq| window.get(seq)) {
            parents.insert(call.span_id, call.parent_span_id);
            sources.push((call.span_id, call.start));
        }
        // Where not all is looked at, there may be calls.
        if parents.len() >= MAX_SPANS {
            return true;
        }
        let above: HashSet<SpanId, RandomState> = ancestors(&parents, agent.span_id).collect();
        // Structure within a call tells of that one again; an agent within one, which a tool of it runs, does not.
        if held.role != Role::Agent && sources.iter().skip(agents).any(|(call, _)| above.contains(call)) {
            return true;
        }
        // Of each span above a source, where its chain ends: each is walked once.
        let mut ends: HashMap<SpanId, SpanId, RandomState> = HashMap::default();
        let mut walked = Vec::new();
        for (source, start) in sources {
            walked.clear();
            let mut top = source;
            for id in ancestors(&parents, source) {
                top = id;
                if let Some(end) = ends.get(&id) {
                    top = *end;
                    break;
                }
                walked.push(id);
            }
            ends.extend(walked.iter().map(|id| (*id, top)));
            if ends.contains_key(&agent.span_id) {
                return true;
            }
            // A chain that ends at a span which nobody sent may go on to the agent, if the span was made while the agent ran; not if the
            // missing one stands above the agent itself.
            let is_broken = top != [0; 8] && !parents.contains_key(&top) && !above.contains(&top);
            if is_broken && (held.start..=held.end).contains(&start) {
                return true;
            }
        }
        false
    }

    /// The agent above a call that was counted in its place.
    pub(super) fn counted_above(&self, held: &Held) -> Option<SpanId> {
        if self.counted.is_empty() || !self.counted.contains_key(&held.trace_id) {
            return None;
        }
        let nodes = || self.trace(held.trace_id).take(MAX_SPANS);
        let parents: HashMap<SpanId, SpanId, RandomState> =
            nodes().map(|node| (node.span_id, node.parent_span_id)).collect();
        let counted: HashSet<SpanId, RandomState> =
            nodes().filter(|node| matches!(node.agent, Agent::Counted)).map(|node| node.span_id).collect();
        let above = std::iter::once(held.parent_span_id).chain(ancestors(&parents, held.parent_span_id));
        above.into_iter().find(|id| counted.contains(id))
    }
}

/// The ids above a span, from the nearest on; the last one may be of a span that is not known, or zero for a root's.
fn ancestors(parents: &HashMap<SpanId, SpanId, RandomState>, id: SpanId) -> impl Iterator<Item = SpanId> {
    // A broken client may close a circle.
    std::iter::successors(parents.get(&id).copied(), |id| parents.get(id).copied()).take(MAX_SPANS)
}
