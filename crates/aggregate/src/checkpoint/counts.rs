//! What was counted of the work itself.

use super::codes::{INCONSISTENCIES, code, named};
use super::messages::{self, tag};
use super::wire::Writer;
use super::{RestoreError, Restoring, plain};
use crate::outcome::{Outcome, REASONS};
use crate::tally::{Counted, Tally};

pub(super) fn write(writer: &mut Writer<'_>, closed: &Tally, open: &Tally) {
    for (tally, is_open) in [(closed, false), (open, true)] {
        for (what, count) in tally.sorted() {
            writer.element(tag::COUNT, &messages::Count { count, is_open, ..message(what) });
        }
    }
}

fn message(what: Counted) -> messages::Count {
    let mut message = messages::Count::default();
    match what {
        Counted::Span(outcome, reason) => {
            message.outcome = code(&Outcome::ALL, outcome);
            message.reason = code(REASONS, reason);
        }
        Counted::Inconsistent(inconsistency) => message.inconsistency = code(INCONSISTENCIES, inconsistency),
        Counted::SettledEarly => {}
        Counted::IdConflict => message.is_id_conflict = true,
    }
    message
}

impl Restoring<'_> {
    pub(super) fn count(&mut self, told: messages::Count) -> Result<(), RestoreError> {
        let outcome = named(&Outcome::ALL, told.outcome, "outcome")?;
        let reason = named(REASONS, told.reason, "reason")?.unwrap_or_default();
        let what = match (outcome, named(INCONSISTENCIES, told.inconsistency, "inconsistency")?) {
            (Some(outcome), _) => Counted::Span(outcome, reason),
            (None, Some(inconsistency)) => Counted::Inconsistent(inconsistency),
            (None, None) if told.is_id_conflict => Counted::IdConflict,
            (None, None) => Counted::SettledEarly,
        };
        let count = plain::count(told.count, "count")?;
        match (told.is_open, self.goes_on) {
            (true, _) => self.pipeline.open_tally.add(what, count),
            (false, true) => self.pipeline.tally.add(what, count),
            // It starts anew, as series do.
            (false, false) => {}
        }
        Ok(())
    }
}
