//! The settle stage: every call passes through it before it is counted, and is counted once however many spans report it.
//!
//! A call span is held for a while, of receive time, until the other spans of its call can have come. Then its call is gathered
//! from what is held, merged, and given out. What was counted stays known as long as there is room, so that a span which comes
//! later is told from a call of its own. The rules are those of reference/counting.md; what is decided does not depend on the order in which the
//! spans of a call came, as long as they are no more than `NEIGHBOURS` apart in a large trace.
//!
//! - [`Held`] is a call span without its body, [`Window`] holds those of the last while and finds them by what links them.
//! - `same_call` tells whether two spans report one call, [`Group`] gathers those that do, [`Merged`] is what they tell together.
//! - `lineage` tells which agents have no call below them, so that their own usage counts (`below`), and `ancestry`
//!   what stands between two calls.

mod ancestry;
mod below;
mod group;
mod held;
mod lineage;
mod merge;
mod same_call;
mod window;

use genai::{Role, SpanFacts};

use crate::fetch::AHEAD;
pub(crate) use group::{Group, Member};
pub(crate) use held::{Context, Held, Place, Rare, Seq, State, Taken};
use lineage::Lineage;
pub(crate) use lineage::{Agent, DecidedAgent, Node};
pub(crate) use merge::Merged;
pub(crate) use same_call::Relation;
pub(crate) use window::Offered;
use window::Window;

/// How the stage holds.
#[derive(Debug, Clone, Copy)]
pub struct SettleSettings {
    /// How long the spans of one call are gathered, nanoseconds of receive time.
    pub wait: u64,
    /// Memory for what is held, in bytes; beyond it the oldest are counted early.
    pub memory: usize,
    /// Whether spans are merged that nothing links but their times and what they tell.
    pub merge_unlinked: bool,
}

/// Holds call spans, and agents that may stand for one.
#[derive(Debug)]
pub(crate) struct Settle {
    settings: SettleSettings,
    window: Window,
    lineage: Lineage,
    /// The first span that waits, or one before it.
    next: Seq,
    waiting: usize,
    /// Spans that wait for the outcome of another one, which they repeat.
    repetitions: usize,
}

/// How long a call that was counted is known, if there is room: 30 minutes.
const KNOWN_FOR: u64 = 30 * 60 * 1_000_000_000;

/// The share of the memory that is for spans which are no calls.
const LINEAGE_SHARE: usize = 4;

impl Settle {
    pub(crate) fn new(settings: SettleSettings) -> Self {
        let for_lineage = settings.memory / LINEAGE_SHARE;
        Self {
            settings,
            window: Window::new(settings.memory - for_lineage, settings.merge_unlinked),
            lineage: Lineage::new(for_lineage),
            next: Seq(0),
            waiting: 0,
            repetitions: 0,
        }
    }

    /// Whether anything waits for time to pass.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting > 0 || self.lineage.waiting() > 0
    }

    /// Spans that wait for their outcomes.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting + self.lineage.waiting() + self.repetitions
    }

    /// The newest receive time of which everything is due at `now`.
    pub(crate) fn due_at(&self, now: u64) -> Option<u64> {
        now.checked_sub(self.settings.wait)
    }

    /// Makes room for one more call span. If that takes one that waits, it gives it: it must be counted now.
    pub(crate) fn make_room(&mut self, now: u64) -> Option<Seq> {
        let is_old = |oldest: &Held| !oldest.is_waiting() && oldest.receive_time.saturating_add(KNOWN_FOR) <= now;
        while self.window.front().is_some_and(|(_, oldest)| is_old(oldest)) {
            self.window.pop_front();
        }
        while self.window.is_full() {
            if let Some(waiting) = self.due(u64::MAX).filter(|waiting| self.window.is_among_oldest(*waiting)) {
                return Some(waiting);
            }
            self.window.forget_oldest();
        }
        None
    }

    /// Fetches what a call span needs that is offered soon.
    pub(crate) fn approach(&self, trace_id: [u8; 16], response: u64) {
        self.window.approach(trace_id, response);
    }

    /// Makes room for one more span that is no call. If that takes an agent that waits, it gives it.
    pub(crate) fn make_room_for_lineage(&mut self) -> Option<DecidedAgent> {
        while self.lineage.is_full() {
            if !self.lineage.pop_front() {
                return self.lineage.decide(&self.window, u64::MAX);
            }
        }
        None
    }

    /// Takes a call span, unless it repeats one that is known; there must be room.
    pub(crate) fn offer(&mut self, body: &[u8], facts: &SpanFacts, context: Context) -> Offered {
        let offered = self.window.offer(body, facts, context);
        self.waiting += usize::from(!matches!(offered, Offered::Repeats(_)));
        offered
    }

    /// Takes a span that is no call: it may stand between an agent and its calls. An agent that tells its usage comes with what
    /// would be counted. Spans without GenAI meaning matter only in traces that have others.
    pub(crate) fn pass(&mut self, facts: &SpanFacts, agent: Option<Box<Held>>) {
        let ids = [facts.span_id, facts.parent_span_id];
        let agent = agent.map_or(Agent::None, Agent::Waiting);
        let separates = matches!(facts.role, Role::Agent | Role::Tool);
        self.lineage.push(Node::new(facts.trace_id, ids, facts.start, agent, separates));
    }

    /// What is held of calls, in the order of arrival.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Held> {
        self.window.iter()
    }

    /// What is held of spans that are no calls, in the order of arrival.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.lineage.iter()
    }

    /// When the newest call ended that is forgotten, nanoseconds since the Unix epoch.
    pub(crate) fn forgotten(&self) -> u64 {
        self.window.forgotten()
    }

    /// Holds a call span as it was held.
    pub(crate) fn restore(&mut self, held: Held) {
        self.waiting += usize::from(held.is_waiting());
        self.repetitions += held.rare.as_ref().map_or(0, |rare| rare.repetitions.len());
        self.window.restore(held);
    }

    /// Holds a span that is no call as it was held.
    pub(crate) fn restore_node(&mut self, node: Node) {
        self.lineage.push(node);
    }

    /// Notes when the newest call ended that was forgotten.
    pub(crate) fn restore_forgotten(&mut self, end: u64) {
        self.window.restore_forgotten(end);
    }

    /// Whether anything of a trace is known.
    pub(crate) fn knows_trace(&self, trace_id: [u8; 16]) -> bool {
        self.window.newest_of_trace(trace_id).is_some() || self.lineage.knows(trace_id)
    }

    /// The oldest call span that waits, if it was received at `until` or before.
    pub(crate) fn due(&mut self, until: u64) -> Option<Seq> {
        if self.waiting == 0 {
            return None;
        }
        // What was forgotten waits no longer.
        let mut seq = if self.window.get(self.next).is_some() { self.next } else { self.window.front()?.0 };
        while !self.window.get(seq)?.is_waiting() {
            seq = self.window.next(seq);
        }
        self.next = seq;
        self.window.fetch(Seq(seq.0.wrapping_add(AHEAD)));
        self.window.get(seq).filter(|held| held.receive_time <= until).map(|_| seq)
    }

    /// The oldest agent that waits, if it was received at `until` or before, with what was decided. Calls come first.
    pub(crate) fn due_agent(&mut self, until: u64) -> Option<DecidedAgent> {
        self.lineage.decide(&self.window, until)
    }

    /// Whether nothing can be linked to a span: then it is its call.
    pub(crate) fn is_alone(&self, seq: Seq) -> bool {
        self.window.get(seq).is_none_or(|held| group::is_alone(&self.window, seq, held))
    }

    /// Finds what is linked to a span that waits; then [`Settle::take_next`] gives its call.
    pub(crate) fn gather(&self, group: &mut Group, first: Seq) {
        group.gather(&self.window, &self.lineage, first, self.settings.merge_unlinked);
    }

    /// The next call among the spans that were found, if its time has come; the first one's has.
    pub(crate) fn take_next(&self, group: &mut Group, until: u64) -> bool {
        group.take_next(&self.window, until)
    }

    /// What the spans of a call tell together.
    pub(crate) fn merge(&self, members: &[Member]) -> Option<Merged> {
        Merged::of(&self.window, members)
    }

    /// The agent that was counted in place of the calls below it, if a span stands below one.
    pub(crate) fn counted_agent_above(&self, seq: Seq) -> Option<[u8; 8]> {
        self.lineage.counted_above(self.window.get(seq)?)
    }

    pub(crate) fn get(&self, seq: Seq) -> Option<&Held> {
        self.window.get(seq)
    }

    pub(crate) fn get_mut(&mut self, seq: Seq) -> Option<&mut Held> {
        self.window.get_mut(seq)
    }

    /// Notes that a span repeats one that waits, and waits with it.
    pub(crate) fn repeated(&mut self, original: Seq, place: Place) {
        let Some(held) = self.window.get_mut(original) else { return };
        held.rare.get_or_insert_default().repetitions.push(place);
        self.repetitions += 1;
    }

    /// Notes that a span waits no longer, and gives where it was repeated.
    pub(crate) fn settled(&mut self, seq: Seq, state: State, series: u32) -> Vec<Place> {
        let Some(held) = self.window.get_mut(seq) else { return Vec::new() };
        self.waiting -= usize::from(held.is_waiting());
        held.state = state;
        held.series = series;
        let (repetitions, released) = held.forget_rare();
        self.window.released(released);
        self.repetitions -= repetitions.len();
        repetitions
    }

    /// Notes which links of the spans of a call are taken.
    pub(crate) fn note_taken(&mut self, group: &Group) {
        for (seq, taken) in &group.taken {
            if let Some(held) = self.window.get_mut(*seq) {
                held.taken = *taken;
            }
        }
    }
}
