//! Results of evaluations that are told again: by a client that repeats its request, and by libraries that tell one result in two
//! ways (OpenLIT writes an event of the span and a log record, OpenInference allows two lists of attributes).

use genai::{Evaluation, ToldBy};
use rapidhash::RapidHashMap;
use rapidhash::v3::rapidhash_v3;

/// How many entries are remembered at least: two for each result of which the span is known.
const REMEMBERED: usize = 64 * 1024;

/// How often a result of a span was told, in each of the ways to tell it.
pub(crate) type Told = [u32; ToldBy::COUNT];

/// The newest results, by hash. In bounded memory: when the newer half is full, it becomes the older one, and what was that is
/// forgotten.
#[derive(Debug, Default)]
pub struct Evaluated {
    newer: RapidHashMap<u64, Told>,
    older: RapidHashMap<u64, Told>,
}

impl Evaluated {
    /// Whether a result is to be counted. One that came at the same time in the same way is a repetition. One that came in another
    /// way is the same result, told again: of two ways, that which tells it more often is right. A result whose span is not known
    /// can't be told from others, so it counts.
    pub fn is_new(&mut self, body: &[u8], evaluation: &Evaluation) -> bool {
        if !evaluation.has_valid_ids() {
            return true;
        }
        let (result, telling) = hashes(body, evaluation);
        if self.get(telling).is_some() {
            return false;
        }
        self.set(telling, Told::default());
        let mut told = self.get(result).unwrap_or_default();
        let most = told.into_iter().max().unwrap_or_default();
        let Some(times) = told.get_mut(evaluation.told_by as usize) else { return true };
        *times += 1;
        let is_new = *times > most;
        self.set(result, told);
        is_new
    }

    /// What is remembered, in no order; of each whether it is among the older.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, Told, bool)> {
        let newer = self.newer.iter().map(|(hash, told)| (*hash, *told, false));
        newer.chain(self.older.iter().map(|(hash, told)| (*hash, *told, true)))
    }

    /// Remembers what was remembered; tells whether there was room.
    pub(crate) fn restore(&mut self, hash: u64, told: Told, is_older: bool) -> bool {
        let half = if is_older { &mut self.older } else { &mut self.newer };
        half.insert(hash, told);
        half.len() <= REMEMBERED
    }

    fn get(&self, hash: u64) -> Option<Told> {
        self.newer.get(&hash).or_else(|| self.older.get(&hash)).copied()
    }

    fn set(&mut self, hash: u64, told: Told) {
        if self.newer.len() >= REMEMBERED {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(hash, told);
    }
}

/// Hashes of a result and of its being told. Stable: what is counted depends on them.
fn hashes(body: &[u8], evaluation: &Evaluation) -> (u64, u64) {
    let [trace_low, trace_high] = halves(evaluation.trace_id);
    let result = rapidhash_v3(
        [
            trace_low,
            trace_high,
            evaluation.span_id,
            rapidhash_v3(evaluation.name.bytes(body)).to_le_bytes(),
            rapidhash_v3(evaluation.label.bytes(body)).to_le_bytes(),
            evaluation.score.unwrap_or(f64::NAN).to_le_bytes(),
        ]
        .as_flattened(),
    );
    let telling = [result, evaluation.told_by as u64, evaluation.time].map(u64::to_le_bytes);
    (result, rapidhash_v3(telling.as_flattened()))
}

fn halves(id: [u8; 16]) -> [[u8; 8]; 2] {
    let id = u128::from_le_bytes(id);
    [(id as u64).to_le_bytes(), ((id >> 64) as u64).to_le_bytes()]
}

#[cfg(test)]
mod tests {
    use genai::Label;
    use otlp::Text;

    use super::*;

    fn result(told_by: ToldBy, score: f64, time: u64) -> Evaluation {
        Evaluation {
            resource: Text::default(),
            service: Text::default(),
            told_by,
            message: Text::default(),
            name: Text::new(0, 4),
            score: Some(score),
            label: Label::None,
            trace_id: [1; 16],
            span_id: [2; 8],
            time,
        }
    }

    // A repeated request and another way to tell it add nothing; another score, another time and another span do.
    #[test]
    fn one_result_counts_once() {
        let mut evaluated = Evaluated::default();
        let elsewhere = Evaluation { span_id: [3; 8], ..result(ToldBy::Log, 0.5, 7) };
        let nowhere = Evaluation { span_id: [0; 8], ..result(ToldBy::Log, 0.5, 7) };
        for (evaluation, expected) in [
            (result(ToldBy::Log, 0.5, 7), true),
            (result(ToldBy::Log, 0.5, 7), false),
            (result(ToldBy::Event, 0.5, 6), false),
            (result(ToldBy::Event, 0.5, 6), false),
            (result(ToldBy::Log, 0.6, 7), true),
            (elsewhere, true),
            (nowhere, true),
            (nowhere, true),
            // Judged twice, and told in both ways each time.
            (result(ToldBy::Event, 0.5, 8), true),
            (result(ToldBy::Log, 0.5, 9), false),
        ] {
            assert_eq!(evaluated.is_new(b"name", &evaluation), expected, "{evaluation:?}");
        }
    }

    // Memory is bounded, and what is newest is known.
    #[test]
    fn the_oldest_are_forgotten() {
        let mut evaluated = Evaluated::default();
        let number = 3 * REMEMBERED as u64;
        for time in 1..=number {
            assert!(evaluated.is_new(b"name", &result(ToldBy::Log, time as f64, time)));
        }
        assert!(evaluated.newer.len() + evaluated.older.len() <= 2 * REMEMBERED);
        assert!(!evaluated.is_new(b"name", &result(ToldBy::Log, number as f64, number)));
        assert!(evaluated.is_new(b"name", &result(ToldBy::Log, 1.0, 1)));
    }
}
