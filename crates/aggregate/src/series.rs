//! The series: one for every key, up to the cardinality limit, and one for the rest.

use std::sync::Arc;

use genai::price::{PriceRef, Prices};
use genai::{Evaluation, SpanFacts};

use crate::family::Families;
use crate::index::SeriesIndex;
use crate::instruments::Instruments;
use crate::key::{Key, KeyBuilder, Kind, Layout, Member, key_of_call};
use crate::known_prices::{KnownPrices, Names};

/// One series: its key and what was measured under it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    /// Its key; empty for the series that takes what is over the limit.
    pub(crate) key: Box<[u8]>,
    pub(crate) kind: Option<Kind>,
    /// The families of the models in its key.
    pub(crate) families: Families,
    /// Where the prices of its models stand, once that was looked up.
    price: Option<Option<PriceRef>>,
    /// When its first measurement could have been made, nanoseconds since the Unix epoch; zero if none was: spans that are merged
    /// into others have keys as well.
    pub(crate) start: u64,
    /// All closed intervals.
    pub(crate) total: Instruments,
    /// The open interval, if anything was measured in it.
    pub(crate) open: Option<Box<Instruments>>,
}

impl Series {
    /// All that was measured, the open interval included.
    pub(crate) fn all(&self) -> Instruments {
        let mut all = self.total.clone();
        if let Some(open) = &self.open {
            all.merge(open);
        }
        all
    }
}

/// All series.
#[derive(Debug)]
pub(crate) struct SeriesTable {
    index: Arc<SeriesIndex>,
    series: Vec<Series>,
    limit: usize,
    /// Whether what is measured goes into exponential histograms too.
    exponential: bool,
    /// How many series hold measurements, those for the rest left out.
    measured: usize,
    builder: KeyBuilder,
    /// When the open interval began.
    interval_start: u64,
    known_prices: KnownPrices,
}

/// Numbers of the series for what is over the limit, one a kind.
const OVERFLOW: usize = 4;

impl SeriesTable {
    pub(crate) fn new(layout: Layout, limit: usize, exponential: bool) -> Self {
        let overflow = [Kind::Call, Kind::Agent, Kind::Tool, Kind::Evaluation]
            .map(|kind| Series { kind: Some(kind), ..Series::default() });
        Self {
            index: Arc::new(SeriesIndex::new(layout)),
            series: overflow.into(),
            limit,
            exponential,
            measured: 0,
            builder: KeyBuilder::default(),
            interval_start: 0,
            known_prices: KnownPrices::default(),
        }
    }

    pub(crate) fn index(&self) -> Arc<SeriesIndex> {
        Arc::clone(&self.index)
    }

    pub(crate) fn layout(&self) -> &Layout {
        self.index.layout()
    }

    /// Another request begins.
    pub(crate) fn begin(&mut self, receive_time: u64) {
        self.builder.begin();
        if self.interval_start == 0 {
            self.interval_start = receive_time;
        }
    }

    /// The number of a span's series; `None` if spans of its role have none. A key that was never seen gets a number if there
    /// is room, in log order, so that a replay of the log gives the same series.
    pub(crate) fn number(&mut self, body: &[u8], facts: &SpanFacts) -> Option<u32> {
        if facts.series.is_some_and(|number| (number as usize) < self.series.len()) {
            return facts.series;
        }
        self.number_of_kind(Kind::of_role(facts.role)?, body, facts)
    }

    /// The number of a span's series among those of a kind.
    pub(crate) fn number_of_kind(&mut self, kind: Kind, body: &[u8], facts: &SpanFacts) -> Option<u32> {
        let mut builder = std::mem::take(&mut self.builder);
        let number = self.number_of_key(builder.key_of_kind(kind, self.index.layout(), body, facts));
        self.builder = builder;
        number
    }

    /// The number of an evaluation's series.
    pub(crate) fn number_of_evaluation(&mut self, body: &[u8], evaluation: &Evaluation) -> Option<u32> {
        let mut builder = std::mem::take(&mut self.builder);
        let number = self.number_of_key(builder.key_of_evaluation(self.index.layout(), body, evaluation));
        self.builder = builder;
        number
    }

    /// The number of the series of a call that spans of these series report together, innermost first; `base` is among them.
    pub(crate) fn number_of_call(&mut self, base: u32, members: &[(u32, bool)]) -> Option<u32> {
        if members.iter().all(|(number, _)| *number == base) || Self::is_rest(base) {
            return Some(base);
        }
        let key = |number: u32| self.series.get(number as usize).map(|series| Key::new(&series.key));
        let members: Vec<Member<'_>> = members
            .iter()
            .filter_map(|(number, is_weak)| Some(Member { key: key(*number)?, response_model_is_weak: *is_weak }))
            .collect();
        let merged = key_of_call(self.layout(), key(base)?, &members);
        self.number_of_key(&merged)
    }

    /// The number of the series of a key.
    pub(crate) fn number_of_key(&mut self, key: &[u8]) -> Option<u32> {
        if let Some(number) = self.index.find(key) {
            return Some(number);
        }
        let sanitised = Key::new(key).sanitised();
        if *sanitised != *key
            && let Some(number) = self.index.find(&sanitised)
        {
            return Some(number);
        }
        let kind = Key::new(key).kind();
        // More for spans that are merged into others: their keys are needed to know what they named.
        if self.series.len() - OVERFLOW >= self.limit.saturating_mul(4) {
            return Some(kind as u32);
        }
        self.add(sanitised.into())
    }

    /// Gives a new key its number.
    fn add(&mut self, key: Box<[u8]>) -> Option<u32> {
        let number = u32::try_from(self.series.len()).ok()?;
        self.index.insert(&key, number);
        let read = Key::new(&key);
        let model = |name: &str| read.common(self.index.layout(), name).unwrap_or_default();
        let families = Families::new(model("gen_ai.request.model"), model("gen_ai.response.model"));
        let kind = Some(read.kind());
        self.series.push(Series { key, kind, families, ..Series::default() });
        Some(number)
    }

    /// All series in the order of their numbers, those for the rest first.
    pub(crate) fn all(&self) -> &[Series] {
        &self.series
    }

    /// Takes a series as it was; one with a key that is known already is not taken.
    pub(crate) fn restore(
        &mut self,
        kind: Kind,
        key: Box<[u8]>,
        start: u64,
        measured: [Option<Instruments>; 2],
    ) -> Option<()> {
        let is_rest = key.is_empty();
        let number = match is_rest {
            true => kind as u32,
            false if self.index.find(&key).is_some() => return None,
            false => self.add(key)?,
        };
        self.measured += usize::from(start > 0 && !is_rest);
        let series = self.series.get_mut(number as usize)?;
        let [total, open] = measured;
        series.start = start;
        series.total = total.unwrap_or_default();
        series.open = open.map(Box::new);
        Some(())
    }

    /// Goes on with an interval that began earlier.
    pub(crate) fn restore_interval(&mut self, start: u64) {
        self.interval_start = start;
    }

    /// What prices were looked for.
    pub(crate) fn known_prices(&self) -> &KnownPrices {
        &self.known_prices
    }

    /// Where the prices of provider and models stand.
    pub(crate) fn price_of(&mut self, names: Names<'_>, prices: &Prices) -> Option<PriceRef> {
        self.known_prices.find(names, prices)
    }

    /// Where the prices of a series' models stand.
    pub(crate) fn price(&mut self, number: u32, prices: &Prices) -> Option<PriceRef> {
        let Self { index, series, known_prices, .. } = self;
        let series = series.get_mut(number as usize)?;
        *series.price.get_or_insert_with(|| {
            let key = Key::new(&series.key);
            let name = |dimension: &str| key.common(index.layout(), dimension).unwrap_or_default();
            let names = ["gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model"].map(name);
            known_prices.find(names, prices)
        })
    }

    /// The families of the models that a span names.
    pub(crate) fn families(&self, number: u32, body: &[u8], facts: &SpanFacts) -> Families {
        match self.get(number) {
            Some(series) if !Self::is_rest(number) => series.families,
            _ => Families::new(facts.request_model.bytes(body), facts.response_model.bytes(body)),
        }
    }

    /// Whether a number is that of a series for the rest, whose key tells nothing.
    pub(crate) const fn is_rest(number: u32) -> bool {
        (number as usize) < OVERFLOW
    }

    /// Where the prices of a span's models stand, if its series does not tell.
    pub(crate) fn other_price(&mut self, body: &[u8], facts: &SpanFacts, prices: &Prices) -> Option<PriceRef> {
        let names = [facts.provider.bytes(body), facts.request_model.bytes(body), facts.response_model.bytes(body)];
        self.price_of(names, prices)
    }

    /// The value of a common dimension of a series.
    pub(crate) fn common(&self, number: u32, dimension: &str) -> Option<&[u8]> {
        Key::new(&self.get(number)?.key).common(self.layout(), dimension)
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Series> {
        self.series.get(number as usize)
    }

    /// Where to measure: in the series of a number, or in that for the rest if there are too many. A series starts when it is
    /// first measured.
    pub(crate) fn open(&mut self, number: u32) -> Option<&mut Instruments> {
        let series = self.series.get(number as usize)?;
        let is_new = series.start == 0;
        let is_rest = Self::is_rest(number);
        let number = match series.kind {
            Some(kind) if is_new && !is_rest && self.measured >= self.limit => kind as u32,
            _ => {
                self.measured += usize::from(is_new && !is_rest);
                number
            }
        };
        let start = self.interval_start;
        let series = self.series.get_mut(number as usize)?;
        if series.start == 0 {
            series.start = start;
        }
        let exponential = self.exponential;
        Some(series.open.get_or_insert_with(|| Box::new(Instruments { exponential, ..Instruments::default() })))
    }

    /// Series in which anything was ever measured.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(|series| series.start > 0)
    }

    /// When the open interval began.
    pub(crate) fn interval_start(&self) -> u64 {
        self.interval_start
    }

    /// Ends the open interval: merges it into the totals.
    pub(crate) fn close(&mut self, end: u64) {
        for series in &mut self.series {
            if let Some(open) = series.open.take() {
                series.total.merge(&open);
            }
        }
        self.interval_start = end;
    }
}
