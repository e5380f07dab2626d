//! Which results of evaluations were told.

use super::messages::{self, tag};
use super::wire::Writer;
use super::{RestoreError, Restoring, check};
use crate::evaluated::{Evaluated, Told};

pub(super) fn write(writer: &mut Writer<'_>, evaluated: &Evaluated) {
    let mut all: Vec<(u64, Told, bool)> = evaluated.iter().collect();
    // The same state gives the same bytes.
    all.sort_unstable_by_key(|(hash, _, is_older)| (*is_older, *hash));
    for (hash, told, is_older) in all {
        let times = if told == Told::default() { Vec::new() } else { told.to_vec() };
        writer.element(tag::TOLD, &messages::Told { hash, times, is_older });
    }
}

impl Restoring<'_> {
    pub(super) fn told(&mut self, message: messages::Told) -> Result<(), RestoreError> {
        let times = match &*message.times {
            [] => Told::default(),
            times => times.try_into().map_err(|_| RestoreError::invalid("times", "too many or too few"))?,
        };
        check(times.iter().all(|times| *times <= u32::MAX / 2), "times", "more than can be counted")?;
        let is_taken = self.pipeline.evaluated.restore(message.hash, times, message.is_older);
        check(is_taken, "hash", "more than are remembered")
    }
}
