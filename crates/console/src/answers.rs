//! Answers that are as new as they can be: fifty open pages cost as much as one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::packed::Packed;

/// Answers that are kept, and the bytes of one that is.
const MOST: usize = 64;
const MOST_BYTES: usize = 1 << 20;

/// Answers by what was asked.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// Each with the time that it belongs to.
    kept: Mutex<HashMap<String, (u64, Packed)>>,
    making: Mutex<()>,
}

impl Answers {
    /// The answer of a time, kept or made now. One is made at a time: whoever asks the same meanwhile gets it too, and whoever asks
    /// something else leaves the other cores to counting.
    pub(crate) fn get<E>(&self, time: u64, asked: &str, make: impl FnOnce() -> Result<Packed, E>) -> Result<Packed, E> {
        if let Some(answer) = self.kept(time, asked) {
            return Ok(answer);
        }
        let _turn = self.turn();
        if let Some(answer) = self.kept(time, asked) {
            return Ok(answer);
        }
        let answer = make()?;
        self.keep(time, asked, &answer);
        Ok(answer)
    }

    /// The turn of whoever makes an answer that is not kept; it is over when it is dropped.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        lock(&self.making)
    }

    fn kept(&self, time: u64, asked: &str) -> Option<Packed> {
        lock(&self.kept).get(asked).filter(|(of, _)| *of == time).map(|(_, answer)| answer.clone())
    }

    /// Keeps an answer; if there is no room, instead of those that belong to other times.
    fn keep(&self, time: u64, asked: &str, answer: &Packed) {
        let mut kept = lock(&self.kept);
        if kept.len() >= MOST {
            kept.retain(|_, (of, _)| *of == time);
        }
        if kept.len() < MOST && answer.size() <= MOST_BYTES {
            kept.insert(asked.to_owned(), (time, answer.clone()));
        }
    }

    /// Forgets all of them: something was done.
    pub(crate) fn clear(&self) {
        lock(&self.kept).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    // Whoever asks the same of the same time gets one answer, which was made once; another time or a deed makes it anew; what is kept
    // has a bound.
    #[test]
    fn answers_are_made_once() {
        let (answers, made) = (Answers::default(), AtomicUsize::new(0));
        let ask = |time, asked: &str| {
            let make = || {
                made.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Infallible>(Packed::new(asked.to_owned()))
            };
            answers.get(time, asked, make).unwrap();
            made.load(Ordering::Relaxed)
        };
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(|| ask(1, "a")))));
        assert_eq!((ask(1, "a"), ask(1, "b"), ask(2, "a"), ask(2, "a")), (1, 2, 3, 3));
        answers.clear();
        assert_eq!(ask(2, "a"), 4);
        (0..2 * MOST).for_each(|number| {
            ask(3, &number.to_string());
        });
        assert!(lock(&answers.kept).len() <= MOST);
    }
}
