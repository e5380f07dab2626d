//! The series, and the names that prices were looked for.

use super::codes::{code, required};
use super::messages::{self, tag};
use super::wire::Writer;
use super::{RestoreError, Restoring, check, instruments};
use crate::instruments::Instruments;
use crate::key::{Key, Kind};
use crate::series::{Series, SeriesTable};

pub(super) fn write(writer: &mut Writer<'_>, table: &SeriesTable) {
    for ([provider, request_model, response_model], _) in table.known_prices().iter() {
        let names = messages::Names {
            provider: provider.into(),
            request_model: request_model.into(),
            response_model: response_model.into(),
        };
        writer.element(tag::NAMES, &names);
    }
    for series in table.all() {
        writer.element(tag::SERIES, &message(series));
    }
}

fn message(series: &Series) -> messages::Series {
    messages::Series {
        key: series.key.to_vec(),
        kind: series.kind.map_or(0, |kind| code(&Kind::ALL, kind)),
        start: series.start,
        total: (series.start > 0).then(|| instruments::message(&series.total)),
        open: series.open.as_deref().map(instruments::message),
    }
}

impl Restoring<'_> {
    /// Looks for a price again: what prices there are may have changed.
    pub(super) fn names(&mut self, told: messages::Names) -> Result<(), RestoreError> {
        let pipeline = &mut self.pipeline;
        let prices = &pipeline.settings.pricing.prices;
        let names = [&*told.provider, &*told.request_model, &*told.response_model];
        self.prices.push(pipeline.series.price_of(names, prices));
        check(pipeline.series.known_prices().len() == self.prices.len(), "names", "too many, or told twice")
    }

    pub(super) fn series(&mut self, told: messages::Series) -> Result<(), RestoreError> {
        let kind = required(&Kind::ALL, told.kind, "kind")?;
        let read = Key::new(&told.key);
        let is_sound = told.key.is_empty() || read.is_sound(&self.layout) && read.kind() == kind;
        check(is_sound, "key", "not one of this kind")?;
        check(told.start <= self.head.interval_start, "start", "later than the open interval")?;
        let exponential = self.pipeline.settings.has_exponential();
        let measured = |told| instruments::measured(told, kind, exponential);
        let measured = [told.total.map(measured).transpose()?, told.open.map(measured).transpose()?];
        if self.goes_on {
            let key = told.key.into_boxed_slice();
            self.keys.push((kind, key.clone()));
            let taken = self.pipeline.series.restore(kind, key, told.start, measured);
            return taken.ok_or_else(|| RestoreError::invalid("key", "told twice"));
        }
        let key = match told.key.is_empty() {
            true => Box::default(),
            false => read.translated(&self.layout, self.pipeline.series.layout()),
        };
        self.keys.push((kind, key));
        let [_, open] = measured;
        open.map_or(Ok(()), |open| self.measure_again(&open))
    }

    /// Measures what was measured in the open interval of the newest series, which starts anew.
    fn measure_again(&mut self, open: &Instruments) -> Result<(), RestoreError> {
        let number = self.number(self.keys.len() as u32 - 1)?;
        if let Some(anew) = self.pipeline.series.open(number) {
            anew.merge(open);
        }
        Ok(())
    }

    /// The number of the series of calls at a place of the checkpoint.
    pub(super) fn number_of_calls(&mut self, place: u32) -> Result<u32, RestoreError> {
        let is_of_calls = self.keys.get(place as usize).is_some_and(|(kind, _)| *kind == Kind::Call);
        check(is_of_calls, "series", "there is no such series of calls")?;
        self.number(place)
    }

    /// The number of the series at a place of the checkpoint.
    fn number(&mut self, place: u32) -> Result<u32, RestoreError> {
        let (kind, key) =
            self.keys.get(place as usize).ok_or_else(|| RestoreError::invalid("series", "there is no such series"))?;
        let number = if key.is_empty() { None } else { self.pipeline.series.number_of_key(key) };
        Ok(number.unwrap_or(*kind as u32))
    }
}
