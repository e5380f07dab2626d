//! Where the result of an evaluation was read.

use otlp::trace::{EVENT_ATTRIBUTES, attributes, events};
use otlp::{KeyValue, Text, Value};

use super::{Source, in_event};
use crate::coerce;
use crate::derive::Deriver;
use crate::dialects::{DialectId, EvaluationPart, EventSays, Fact};
use crate::evaluation::{Evaluation, ToldBy};
use crate::facts::Label;

/// An attribute that may have told a part of it.
struct Told {
    /// As people call it.
    key: String,
    /// What its key begins with, up to the place in a list, and that place; empty if it stands in none.
    list: (&'static str, Vec<u8>),
    part: EvaluationPart,
    value: Value,
}

impl Deriver {
    /// Where an evaluation in `body` was read: its name, its score, its label, as far as they are told. Slow: for people.
    pub fn explain_evaluation(&self, body: &[u8], evaluation: &Evaluation) -> Vec<Source> {
        let told = self.told(body, evaluation);
        let label = if let Label::Raw(text) = evaluation.label { text } else { Text::default() };
        let text_in = |told: &&Told, text: Text| {
            let is_within = |whole: Text| whole.start() <= text.start() && text.end() <= whole.end();
            !text.is_empty() && matches!(told.value, Value::String(whole) if is_within(whole))
        };
        let name = told.iter().find(|told| told.part != EvaluationPart::Label && text_in(told, evaluation.name));
        let label = told.iter().find(|told| {
            let is_of_one = name.is_none_or(|name| name.list == told.list);
            let is_too_long = evaluation.label == Label::Known(&"_OTHER") && is_of_one;
            told.part == EvaluationPart::Label && (text_in(told, label) || is_too_long)
        });
        let score = told.iter().find(|told| {
            let is_of_one = name.or(label).is_none_or(|other| other.list == told.list);
            match told.part {
                EvaluationPart::Score => is_of_one && coerce::number(told.value, body) == evaluation.score,
                EvaluationPart::Scores => text_in(told, evaluation.name),
                EvaluationPart::Name | EvaluationPart::Label => false,
            }
        });
        let score = score.filter(|_| evaluation.score.is_some());
        let sources = [("evaluation", name), ("score", score), ("label", label)];
        let source = |(fact, told): (_, Option<&Told>)| Some(Source { fact, keys: vec![told?.key.clone()] });
        sources.into_iter().filter_map(source).collect()
    }

    /// The attributes that may have told an evaluation.
    fn told(&self, body: &[u8], evaluation: &Evaluation) -> Vec<Told> {
        let told = |pair: KeyValue, name: &dyn Fn(&str) -> String| {
            let key = pair.key.bytes(body);
            let (row, list) = match self.table.row(key) {
                Some(row) => (row, ("", Vec::new())),
                None => {
                    let matched = self.table.pattern(key, DialectId::NONE)?;
                    (matched.row, (matched.before, matched.between.to_owned()))
                }
            };
            let Fact::Evaluation(part) = row.fact else { return None };
            Some(Told { key: name(&pair.key.str(body)), list, part, value: pair.value })
        };
        let (message, field) = evaluation.attributes();
        if evaluation.told_by != ToldBy::Event {
            return attributes(body, message, field).filter_map(|pair| told(pair, &str::to_owned)).collect();
        }
        events(body, message)
            .filter(|event| event.time == evaluation.time)
            .filter(|event| self.table.event(event.name.bytes(body)) == Some(EventSays::Evaluation))
            .flat_map(|event| {
                let pairs = attributes(body, event.message, EVENT_ATTRIBUTES);
                pairs.filter_map(move |pair| told(pair, &|key| in_event(&event, key, body)))
            })
            .collect()
    }
}
