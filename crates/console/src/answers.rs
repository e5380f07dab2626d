//! Answers of the newest evaluation step: fifty open pages cost as much as one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::packed::Packed;

/// Answers that are kept, and the bytes of one that is.
const MOST: usize = 64;
const MOST_BYTES: usize = 1 << 20;

/// Answers by what was asked.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// To what they belong: another one forgets them all.
    step: u64,
    answers: HashMap<String, Packed>,
}

impl Answers {
    /// The answer of a step, if it is kept.
    pub(crate) fn get(&self, step: u64, asked: &str) -> Option<Packed> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.answers.get(asked).filter(|_| kept.step == step).cloned()
    }

    /// Keeps an answer, if there is room.
    pub(crate) fn keep(&self, step: u64, asked: String, answer: &Packed) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.step != step {
            *kept = Kept { step, answers: HashMap::new() };
        }
        if kept.answers.len() < MOST && answer.size() <= MOST_BYTES {
            kept.answers.insert(asked, answer.clone());
        }
    }

    /// Forgets all of them: something was done.
    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }
}
