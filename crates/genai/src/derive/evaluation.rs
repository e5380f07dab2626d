//! Evaluations that stand on spans: as attributes, flattened lists of them, and events.

use std::fmt;

use otlp::trace::{EVENT_ATTRIBUTES, Event, Span, attributes, links};
use otlp::{Text, Value};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Derivation, MAX_EVALUATIONS, id};
use crate::coerce;
use crate::dialects::{EvaluationPart, Fact};
use crate::evaluation::{Evaluation, ToldBy};
use crate::facts::Label;

/// What was found of an evaluation on the span that is being read.
#[derive(Debug, Clone, Copy)]
pub(super) enum EvaluationFound {
    /// An attribute, in the list whose keys begin so.
    Attribute { list: &'static str, number: u32, part: EvaluationPart, value: Value },
    /// An event.
    Event { message: Text, time: u64 },
}

/// A span with more scores in JSON than this is no span with scores: they take more memory than bytes.
const MAX_SCORES: usize = 64;
/// Larger objects are none with scores in it.
const MAX_SCORES_SIZE: usize = 64 * 1024;

impl Derivation<'_> {
    /// Keeps an attribute until the span is complete, and with it the list that the attribute stands in.
    #[cold]
    pub(super) fn keep_evaluation(&mut self, list: &'static str, number: u32, part: EvaluationPart, value: Value) {
        self.found.evaluations.push(EvaluationFound::Attribute { list, number, part, value });
    }

    #[cold]
    pub(super) fn keep_evaluation_event(&mut self, event: Event) {
        self.found.evaluations.push(EvaluationFound::Event { message: event.message, time: event.time });
    }

    /// Makes evaluations of what was found on a span.
    #[cold]
    pub(super) fn evaluations_of(&mut self, span: &Span) {
        let mut found = std::mem::take(&mut self.found.evaluations);
        let on_span = self.on_span(span);
        // Attributes come in any order; those of one evaluation, next to each other now, stay in theirs.
        found.sort_by_key(|found| match found {
            EvaluationFound::Attribute { list, number, .. } => (Some(*list), *number),
            EvaluationFound::Event { .. } => (None, 0),
        });
        for together in found.chunk_by(|one, other| one.is_of_one_with(other)) {
            let mut evaluation = on_span;
            for part in together {
                match *part {
                    EvaluationFound::Attribute { part: EvaluationPart::Scores, value, .. } => {
                        self.scores(coerce::text(value, self.body), on_span);
                    }
                    EvaluationFound::Attribute { part, value, .. } => evaluation.take(part, value, self.body),
                    EvaluationFound::Event { message, time } => {
                        (evaluation.told_by, evaluation.time) = (ToldBy::Event, time);
                        self.take_attributes(&mut evaluation, message);
                    }
                }
            }
            self.push_evaluation(evaluation);
        }
        found.clear();
        self.found.evaluations = found;
    }

    /// An evaluation without content, as attributes of a span tell it.
    fn on_span(&self, span: &Span) -> Evaluation {
        let own = (id(span.trace_id, self.body), id(span.span_id, self.body));
        let (trace_id, span_id) = self.linked(span).unwrap_or(own);
        Evaluation {
            resource: self.resource,
            service: self.service,
            told_by: ToldBy::Attributes,
            message: span.message,
            name: Text::default(),
            score: None,
            label: Label::None,
            trace_id,
            span_id,
            time: span.end,
        }
    }

    /// The span that OpenInference's span of an evaluator links to: that is what was evaluated.
    fn linked(&self, span: &Span) -> Option<([u8; 16], [u8; 8])> {
        let role = self.found.role?;
        if role.value.bytes(self.body) != b"EVALUATOR" {
            return None;
        }
        let link = links(self.body, span.message).next()?;
        let (trace_id, span_id) = (id(link.trace_id, self.body), id(link.span_id, self.body));
        (trace_id != [0; 16] && span_id != [0; 8]).then_some((trace_id, span_id))
    }

    fn take_attributes(&self, evaluation: &mut Evaluation, event: Text) {
        for attribute in attributes(self.body, event, EVENT_ATTRIBUTES) {
            if let Some(row) = self.table.row(attribute.key.bytes(self.body))
                && let Fact::Evaluation(part) = row.fact
            {
                evaluation.take(part, attribute.value, self.body);
            }
        }
    }

    /// Takes the scores of a JSON object, each under its name.
    fn scores(&mut self, object: Text, on_span: Evaluation) {
        let bytes = object.bytes(self.body);
        if bytes.len() > MAX_SCORES_SIZE {
            return;
        }
        let mut scores = Scores::default();
        // What stands before a fault is as good as ever.
        let _ = serde_json::Deserializer::from_slice(bytes).deserialize_map(&mut scores);
        for (name, score) in scores.0 {
            let from = (name.as_ptr() as usize).wrapping_sub(bytes.as_ptr() as usize) as u32;
            let mut evaluation = on_span;
            evaluation.name = object.part(from, from.saturating_add(name.len() as u32));
            evaluation.take(EvaluationPart::Score, Value::Double(score), self.body);
            self.push_evaluation(evaluation);
        }
    }

    fn push_evaluation(&mut self, evaluation: Evaluation) {
        // One more than the limit is kept, to tell that it was passed.
        if evaluation.says_something() && self.evaluations.len() <= MAX_EVALUATIONS {
            self.evaluations.push(evaluation);
        }
    }
}

impl EvaluationFound {
    fn is_of_one_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Attribute { list, number, .. }, Self::Attribute { list: other, number: n, .. }) => {
                list == other && number == n
            }
            _ => false,
        }
    }
}

/// Names and scores of an object; names with escapes and scores that are no numbers are left out.
#[derive(Debug, Default)]
struct Scores<'de>(Vec<(&'de str, f64)>);

impl<'de> Visitor<'de> for &mut Scores<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of scores")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<Name<'de>, &RawValue>()? {
            if let Some(name) = name.0
                && let Ok(score) = value.get().parse()
                && self.0.len() < MAX_SCORES
            {
                self.0.push((name, score));
            }
        }
        Ok(())
    }
}

/// A key that stands in the text as it is.
struct Name<'de>(Option<&'de str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Plain;

        impl<'de> Visitor<'de> for Plain {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Some(name)))
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Name(None))
            }
        }
        deserializer.deserialize_str(Plain)
    }
}
