//! What stands below the agents of a trace.

use std::collections::{HashMap, HashSet};

use rapidhash::fast::RandomState;

use super::held::{Held, Seq};
use super::lineage::{Agent, Lineage, MAX_SPANS, SpanId};
use super::window::Window;

/// What of a trace decides which of its agents stand for calls.
#[derive(Debug, Default)]
pub(super) struct Below {
    pub(super) parents: HashMap<SpanId, SpanId, RandomState>,
    /// The calls.
    pub(super) calls: HashSet<SpanId, RandomState>,
    /// The response ids of the calls.
    pub(super) responses: HashSet<u64, RandomState>,
    /// The agents that wait.
    pub(super) waiting: HashMap<SpanId, Seq, RandomState>,
    /// Those that were counted.
    pub(super) counted: HashSet<SpanId, RandomState>,
    /// The spans above calls of models and above agents that were decided.
    pub(super) above_calls: HashSet<SpanId, RandomState>,
    /// The spans above calls of embeddings.
    pub(super) above_embeddings: HashSet<SpanId, RandomState>,
    /// What the agents below an agent that waits tell together.
    pub(super) told: HashMap<SpanId, Told, RandomState>,
    /// Calls and agents of which nobody knows what they stand below.
    pub(super) broken: Vec<Source>,
}

/// A call or an agent.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) id: SpanId,
    pub(super) start: u64,
    pub(super) is_embeddings: bool,
    /// Where the chain of the spans above it ends.
    pub(super) top: SpanId,
}

/// Tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Told {
    pub(super) input: u64,
    pub(super) output: u64,
}

pub(super) fn told_by(held: &Held) -> Told {
    let tokens = |told: Option<u32>| u64::from(told.unwrap_or(0));
    Told { input: tokens(held.usage().input), output: tokens(held.usage().output) }
}

pub(super) fn tells_output(held: &Held) -> bool {
    held.usage().output.is_some_and(|output| output > 0)
}

/// What stands above a span.
#[derive(Debug, Clone, Copy)]
struct Above {
    /// Where the chain ends.
    top: SpanId,
    /// The nearest agent that waits.
    agent: Option<SpanId>,
}

impl Below {
    /// `None` where not all of a trace is looked at: then there may be calls below every agent.
    pub(super) fn of(lineage: &Lineage, window: &Window, trace_id: [u8; 16]) -> Option<Self> {
        let mut below = Self::default();
        let mut sources = Vec::new();
        let mut decided = Vec::new();
        for (seq, node) in lineage.trace(trace_id).take(MAX_SPANS) {
            below.parents.insert(node.span_id, node.parent_span_id);
            match node.agent {
                Agent::None => continue,
                Agent::Waiting(_) => below.waiting.extend([(node.span_id, seq)]),
                Agent::Counted { .. } => below.counted.extend([node.span_id]),
                Agent::Passed => decided.push(node.span_id),
            }
            sources.push(Source { id: node.span_id, start: node.start, is_embeddings: false, top: [0; 8] });
        }
        decided.extend(&below.counted);
        let calls = || window.trace(trace_id).take(MAX_SPANS).filter_map(|seq| window.get(seq));
        for call in calls() {
            below.parents.insert(call.span_id, call.parent_span_id);
            below.calls.insert(call.span_id);
            below.responses.extend((call.response != 0).then_some(call.response));
            let (id, start, is_embeddings) = (call.span_id, call.start, call.is_embeddings());
            sources.push(Source { id, start, is_embeddings, top: [0; 8] });
        }
        if below.parents.len() >= MAX_SPANS {
            return None;
        }
        let is_llm = |call: &&Held| !call.is_embeddings();
        let llm = decided.into_iter().chain(calls().filter(is_llm).map(|call| call.span_id));
        below.above_calls = above_any(&below.parents, llm);
        let embeddings = calls().filter(|call| call.is_embeddings()).map(|call| call.span_id);
        below.above_embeddings = above_any(&below.parents, embeddings);
        below.look_up(lineage, sources);
        Some(below)
    }

    /// Finds what stands above calls and agents.
    fn look_up(&mut self, lineage: &Lineage, sources: Vec<Source>) {
        let mut known = HashMap::default();
        for mut source in sources {
            source.top = self.above(source.id, &mut known).top;
            if source.top != [0; 8] && !self.parents.contains_key(&source.top) {
                self.broken.push(source);
            }
        }
        let agent_above = |id: &SpanId| known.get(id).and_then(|above| above.agent);
        let mut unsummed: HashMap<SpanId, usize, RandomState> = HashMap::default();
        for above in self.waiting.keys().filter_map(agent_above) {
            *unsummed.entry(above).or_default() += 1;
        }
        // From the innermost agents outwards; of a circle, nothing is summed.
        let mut summed: Vec<SpanId> = self.waiting.keys().filter(|id| !unsummed.contains_key(*id)).copied().collect();
        while let Some(id) = summed.pop() {
            let Some(above) = agent_above(&id) else { continue };
            let own = self.waiting.get(&id).and_then(|seq| lineage.waiting_agent(*seq)).map(|(_, held)| told_by(held));
            let (own, below) = (own.unwrap_or_default(), self.told.get(&id).copied().unwrap_or_default());
            let told = self.told.entry(above).or_default();
            told.input += own.input.max(below.input);
            told.output += own.output.max(below.output);
            if let Some(left) = unsummed.get_mut(&above) {
                *left -= 1;
                if *left == 0 {
                    summed.push(above);
                }
            }
        }
    }

    /// What stands above a span; what is found on the way is kept, so that each span is passed once.
    fn above(&self, id: SpanId, known: &mut HashMap<SpanId, Above, RandomState>) -> Above {
        let mut path = Vec::new();
        let mut at = id;
        let mut above = loop {
            if let Some(above) = known.get(&at) {
                break *above;
            }
            match self.parents.get(&at) {
                // A broken client may close a circle.
                Some(parent) if path.len() < MAX_SPANS => {
                    path.push(at);
                    at = *parent;
                }
                _ => break Above { top: at, agent: None },
            }
        };
        for id in path.into_iter().rev() {
            let parent = self.parents.get(&id).filter(|parent| self.waiting.contains_key(*parent));
            above.agent = parent.copied().or(above.agent);
            known.insert(id, above);
        }
        above
    }
}

/// The ids above any of some spans.
fn above_any(
    parents: &HashMap<SpanId, SpanId, RandomState>,
    ids: impl Iterator<Item = SpanId>,
) -> HashSet<SpanId, RandomState> {
    let mut above = HashSet::default();
    for id in ids {
        for id in ancestors(parents, id) {
            // What is above this one is known.
            if !above.insert(id) {
                break;
            }
        }
    }
    above
}

/// The ids above a span, from the nearest on; the last one may be of a span that is not known, or zero for a root's.
pub(super) fn ancestors(parents: &HashMap<SpanId, SpanId, RandomState>, id: SpanId) -> impl Iterator<Item = SpanId> {
    // A broken client may close a circle.
    std::iter::successors(parents.get(&id).copied(), |id| parents.get(id).copied()).take(MAX_SPANS)
}
