//! Which held spans are one call.
//!
//! What is decided is decided when the first of them is due, from all that is held by then: so the order of arrival plays no
//! role. All links among the spans that can be reached from the first are found, the surest are taken first, and a link is
//! dropped if one that was taken before excludes it: a wrapper wraps one call, a half of a report has one other half, and two
//! libraries that share no link are two different ones.

use super::ancestry::Ancestry;
use super::held::{Held, Seq, State, Taken};
use super::lineage::Lineage;
use super::same_call::{Misfit, Relation, relation};
use super::window::Window;

/// How many spans may be looked at for one call.
const MAX_SPANS: usize = 128;

/// A span of a call, and what makes it one of several.
pub(crate) type Member = (Seq, Option<Relation>);

/// The spans of one call. Reused from call to call.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// The waiting spans, innermost first.
    pub(crate) members: Vec<Member>,
    /// Parents and children among them.
    wrappers: Vec<(Seq, Seq)>,
    /// A span of a call that was counted before: the members came too late.
    pub(crate) late_for: Option<Seq>,
    /// Which links of its spans are taken now, those of the call that was counted before included.
    pub(crate) taken: Vec<(Seq, Taken)>,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    ancestry: Ancestry,
}

/// A span that may belong to the call.
#[derive(Debug)]
struct Node {
    seq: Seq,
    /// Nodes of one call have the same.
    call: usize,
    relation: Option<Relation>,
    is_waiting: bool,
    /// Whether its call was given out.
    is_done: bool,
    taken: Taken,
}

/// A link between two nodes, in the order in which links are taken.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    relation: Relation,
    misfit: Misfit,
    /// Decides between equals, whatever order they came in.
    ids: [([u8; 16], [u8; 8]); 2],
    nodes: [usize; 2],
}

impl Group {
    /// Finds what is linked to a waiting span; then [`Group::take_next`] gives the calls of which it is.
    pub(super) fn gather(&mut self, window: &Window, lineage: &Lineage, first: Seq, links_unlinked: bool) {
        self.nodes.clear();
        self.edges.clear();
        self.wrappers.clear();
        self.nodes.push(Node::new(first, 0, window));
        self.find(window, links_unlinked);
        self.drop_separated(window, lineage);
        self.link(window);
    }

    /// Finds the spans that can be reached from the first, and all links among them.
    fn find(&mut self, window: &Window, links_unlinked: bool) {
        let mut at = 0;
        while at < self.nodes.len() {
            let seq = self.nodes[at].seq;
            let Some(held) = window.get(seq).filter(|held| held.is_waiting()) else {
                at += 1;
                continue;
            };
            candidates(window, held, |other| {
                let Some(that) = window.get(other).filter(|_| other != seq) else { return true };
                let Some((relation, misfit)) = relation(held, that, links_unlinked) else { return true };
                if !may_still_join(that, relation) {
                    return true;
                }
                let Some(place) = self.place_of(other, window) else { return true };
                let ids = [id(held).min(id(that)), id(held).max(id(that))];
                self.edges.push(Edge { relation, misfit, ids, nodes: [at.min(place), at.max(place)] });
                true
            });
            at += 1;
        }
        self.edges.sort_unstable();
        // Most links are found from both of their ends.
        self.edges.dedup();
    }

    /// Drops links between libraries of which one reports a call and the other what a tool or an agent below it did.
    fn drop_separated(&mut self, window: &Window, lineage: &Lineage) {
        let Self { nodes, edges, ancestry, .. } = self;
        edges.retain(|edge| {
            let [a, b] = edge.nodes.map(|node| window.get(nodes[node].seq));
            let pair = a.zip(b).filter(|_| edge.relation == Relation::SameTrace);
            pair.is_none_or(|(a, b)| !ancestry.are_separated(window, lineage, a, b))
        });
    }

    fn place_of(&mut self, seq: Seq, window: &Window) -> Option<usize> {
        if let Some(place) = self.nodes.iter().position(|node| node.seq == seq) {
            return Some(place);
        }
        let place = self.nodes.len();
        if place >= MAX_SPANS {
            return None;
        }
        self.nodes.push(Node::new(seq, place, window));
        Some(place)
    }

    /// Takes the links that no surer one excludes.
    fn link(&mut self, window: &Window) {
        for i in 0..self.edges.len() {
            let Edge { relation, nodes: [a, b], .. } = self.edges[i];
            let (call_a, call_b) = (self.nodes[a].call, self.nodes[b].call);
            if call_a == call_b {
                self.note_wrapper(window, a, b);
                continue;
            }
            let both_counted = self.has_counted(call_a) && self.has_counted(call_b);
            if both_counted || !self.is_free(window, relation, a, b) {
                continue;
            }
            self.note_wrapper(window, a, b);
            for node in [a, b] {
                let node = &mut self.nodes[node];
                node.taken.half |= relation == Relation::SplitReport;
                node.relation = Some(node.relation.map_or(relation, |known| known.min(relation)));
            }
            for node in self.nodes.iter_mut().filter(|node| node.call == call_b) {
                node.call = call_a;
            }
        }
    }

    /// Whether nothing that was taken excludes a link.
    fn is_free(&self, window: &Window, relation: Relation, a: usize, b: usize) -> bool {
        match relation {
            Relation::ResponseId => true,
            Relation::SplitReport => !self.nodes[a].taken.half && !self.nodes[b].taken.half,
            Relation::Wrapper => {
                let (parent, child) = self.parent_and_child(window, a, b);
                !self.nodes[parent].taken.child && !self.nodes[child].taken.parent
            }
            // One span of each library, or of each of its functions.
            Relation::SameTrace => self.are_disjoint(window, a, b, |held| (held.scope, 0)),
            Relation::Unlinked => self.are_disjoint(window, a, b, |held| (held.scope, held.name)),
        }
    }

    fn parent_and_child(&self, window: &Window, a: usize, b: usize) -> (usize, usize) {
        let ids = |node: usize| window.get(self.nodes[node].seq).map(|held| (held.span_id, held.parent_span_id));
        let a_is_parent = matches!((ids(a), ids(b)), (Some((id, _)), Some((_, parent))) if id == parent);
        if a_is_parent { (a, b) } else { (b, a) }
    }

    /// Notes who wraps whom, also where a surer link made them one call already.
    fn note_wrapper(&mut self, window: &Window, a: usize, b: usize) {
        let (parent, child) = self.parent_and_child(window, a, b);
        if !is_parent_of(window, self.nodes[parent].seq, self.nodes[child].seq) {
            return;
        }
        self.nodes[parent].taken.child = true;
        self.nodes[child].taken.parent = true;
        self.wrappers.push((self.nodes[parent].seq, self.nodes[child].seq));
    }

    fn are_disjoint(&self, window: &Window, a: usize, b: usize, key: impl Fn(&Held) -> (u32, u32)) -> bool {
        let keys = |call: usize| {
            let of_call = self.nodes.iter().filter(move |node| node.call == call);
            of_call.filter_map(|node| window.get(node.seq)).map(&key)
        };
        let (call_a, call_b) = (self.nodes[a].call, self.nodes[b].call);
        !keys(call_a).any(|mine| keys(call_b).any(|theirs| theirs == mine))
    }

    fn has_counted(&self, call: usize) -> bool {
        self.nodes.iter().any(|node| !node.is_waiting && node.call == call)
    }

    /// The call of a span that was found, and of the others whose time has come: of those of which any span was received at `until` or
    /// before. `None` after the last one. The call of the first span comes first.
    pub(crate) fn take_next(&mut self, window: &Window, until: u64) -> bool {
        self.members.clear();
        self.taken.clear();
        self.late_for = None;
        let is_due = |(place, node): &(usize, &Node)| {
            let of_due_span = |held: &Held| held.is_waiting() && (*place == 0 || held.receive_time <= until);
            !node.is_done && window.get(node.seq).is_some_and(of_due_span)
        };
        let Some(call) = self.nodes.iter().enumerate().find(is_due).map(|(_, node)| node.call) else { return false };
        for node in self.nodes.iter_mut().filter(|node| node.call == call) {
            node.is_done = true;
            self.taken.push((node.seq, node.taken));
            if node.is_waiting {
                self.members.push((node.seq, node.relation));
            } else {
                self.late_for = Some(node.seq);
            }
        }
        if self.members.len() > 1 {
            self.sort(window);
        }
        true
    }

    /// Puts children before parents, then shorter spans before longer ones, and the end of a stream last.
    fn sort(&mut self, window: &Window) {
        self.members.sort_by_key(|(seq, _)| {
            window.get(*seq).map(|held| {
                let is_stream_end = held.split().is_some_and(|split| split.part == genai::ReportPart::StreamEnd);
                (is_stream_end, held.end.saturating_sub(held.start), id(held))
            })
        });
        // A chain of wrappers is as long as there are spans at the most.
        for _ in 0..self.members.len() {
            let place =
                |seq: Seq, members: &[(Seq, Option<Relation>)]| members.iter().position(|member| member.0 == seq);
            let misplaced = self.wrappers.iter().find_map(|(parent, child)| {
                let (parent, child) = (place(*parent, &self.members)?, place(*child, &self.members)?);
                (parent < child).then_some((parent, child))
            });
            let Some((parent, child)) = misplaced else { return };
            let member = self.members.remove(child);
            self.members.insert(parent, member);
        }
    }
}

impl Node {
    fn new(seq: Seq, place: usize, window: &Window) -> Self {
        let held = window.get(seq);
        Self {
            seq,
            call: place,
            relation: None,
            is_waiting: held.is_some_and(Held::is_waiting),
            is_done: false,
            taken: held.map(|held| held.taken).unwrap_or_default(),
        }
    }
}

fn id(held: &Held) -> ([u8; 16], [u8; 8]) {
    (held.trace_id, held.span_id)
}

fn is_parent_of(window: &Window, parent: Seq, child: Seq) -> bool {
    let (Some(parent), Some(child)) = (window.get(parent), window.get(child)) else { return false };
    parent.trace_id == child.trace_id && parent.span_id == child.parent_span_id
}

/// Whether a span that was counted may be linked to one that came late: two libraries make a call complete, and times alone don't tell
/// of a third.
fn may_still_join(that: &Held, relation: Relation) -> bool {
    match that.state {
        State::Waiting(_) => true,
        State::Counted { alone, .. } => alone || relation < Relation::SameTrace,
    }
}

/// Whether nothing can be linked to a span: most are.
pub(super) fn is_alone(window: &Window, seq: Seq, held: &Held) -> bool {
    candidates(window, held, |other| other == seq)
}

/// The spans that may be of the call of one, some of them twice, as long as `each` wants more; tells whether it did to the end.
fn candidates(window: &Window, held: &Held, mut each: impl FnMut(Seq) -> bool) -> bool {
    // Spans of one library are linked by id or as parent and child only.
    let may_be_linked = |that: &Held| {
        that.scope != held.scope || that.parent_span_id == held.span_id || held.parent_span_id == that.span_id
    };
    window.same_response(held, |other, _| each(other))
        && window.trace_neighbours(held, |other, that| !may_be_linked(that) || each(other))
        && window.same_split(held).all(&mut each)
        && window.distant_relatives(held).all(&mut each)
        && window.same_unlinked(held).all(&mut each)
}
