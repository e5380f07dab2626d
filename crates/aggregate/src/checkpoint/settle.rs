//! What the settle stage holds, in the order of arrival: links are found again when it is held again.

use genai::Role;

use super::held::References;
use super::messages::{self, tag};
use super::plain::{trace_halves, valid_ids};
use super::wire::Writer;
use super::{RestoreError, Restoring, check};
use crate::pipeline::Pipeline;
use crate::settle::{Agent, Node};

/// An agent that stood for a call, and told no output.
const COUNTED: u32 = 1;
/// An agent below which calls were counted.
const PASSED: u32 = 2;
/// An agent that stood for a call, and told output.
const COUNTED_WITH_OUTPUT: u32 = 3;

pub(super) fn write(writer: &mut Writer<'_>, pipeline: &Pipeline) {
    let references = References::new(pipeline);
    pipeline.settle.held().for_each(|held| writer.element(tag::HELD, &references.held(held)));
    pipeline.settle.nodes().for_each(|node| writer.element(tag::NODE, &message(node, &references)));
}

fn message(node: &Node, references: &References<'_>) -> messages::Node {
    let [trace_high, trace_low] = trace_halves(node.trace_id);
    let (decided, waiting) = match &node.agent {
        Agent::None => (0, None),
        Agent::Waiting(held) => (0, Some(Box::new(references.held(held)))),
        Agent::Counted { has_output } => (if *has_output { COUNTED_WITH_OUTPUT } else { COUNTED }, None),
        Agent::Passed => (PASSED, None),
    };
    messages::Node {
        trace_high,
        trace_low,
        span: u64::from_be_bytes(node.span_id),
        parent: u64::from_be_bytes(node.parent_span_id),
        start: node.start,
        decided,
        waiting,
        separates: node.separates,
    }
}

impl Restoring<'_> {
    pub(super) fn held(&mut self, told: messages::Held) -> Result<(), RestoreError> {
        let held = self.held_span(told, Role::Llm)?;
        self.pipeline.settle.restore(held);
        Ok(())
    }

    pub(super) fn node(&mut self, told: messages::Node) -> Result<(), RestoreError> {
        let (trace_id, span_id) = valid_ids([told.trace_high, told.trace_low], told.span)?;
        let agent = match (told.decided, told.waiting) {
            (0, None) => Agent::None,
            (0, Some(held)) => Agent::Waiting(Box::new(self.held_span(*held, Role::Agent)?)),
            (COUNTED, None) => Agent::Counted { has_output: false },
            (COUNTED_WITH_OUTPUT, None) => Agent::Counted { has_output: true },
            (PASSED, None) => Agent::Passed,
            _ => return Err(RestoreError::invalid("decided", "a number that means nothing")),
        };
        if let Agent::Waiting(held) = &agent {
            check(held.is_waiting(), "waiting.flags", "it does not wait")?;
        }
        let ids = [span_id, told.parent.to_be_bytes()];
        self.pipeline.settle.restore_node(Node::new(trace_id, ids, told.start, agent, told.separates));
        Ok(())
    }
}
