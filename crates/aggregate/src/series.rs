//! The series: one for every key, up to the cardinality limit, and one for the rest.

use std::sync::Arc;

use genai::SpanFacts;

use crate::index::SeriesIndex;
use crate::instruments::Instruments;
use crate::key::{Key, KeyBuilder, Kind, Layout};

/// One series: its key and what was measured under it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    /// Its key; empty for the series that takes what is over the limit.
    pub(crate) key: Box<[u8]>,
    pub(crate) kind: Option<Kind>,
    /// When its first measurement could have been made, nanoseconds since the Unix epoch.
    pub(crate) start: u64,
    /// All closed intervals.
    pub(crate) total: Instruments,
    /// The open interval, if anything was measured in it.
    pub(crate) open: Option<Box<Instruments>>,
}

impl Series {
    /// What to measure into.
    pub(crate) fn open(&mut self) -> &mut Instruments {
        self.open.get_or_insert_default()
    }

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
    builder: KeyBuilder,
    /// When the open interval began.
    interval_start: u64,
}

/// Numbers of the series for what is over the limit, one a kind.
const OVERFLOW: usize = 3;

impl SeriesTable {
    pub(crate) fn new(layout: Layout, limit: usize) -> Self {
        let overflow =
            [Kind::Call, Kind::Agent, Kind::Tool].map(|kind| Series { kind: Some(kind), ..Series::default() });
        Self {
            index: Arc::new(SeriesIndex::new(layout)),
            series: overflow.into(),
            limit,
            builder: KeyBuilder::default(),
            interval_start: 0,
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
        let key = self.builder.key(self.index.layout(), body, facts)?;
        if let Some(number) = self.index.find(key) {
            return Some(number);
        }
        let sanitised = Key::new(key).sanitised();
        let known = if *sanitised == *key { None } else { self.index.find(&sanitised) };
        let kind = Key::new(key).kind();
        let number = match known {
            Some(number) => number,
            None if self.series.len() - OVERFLOW >= self.limit => return self.overflow(kind),
            None => {
                let number = u32::try_from(self.series.len()).ok()?;
                self.index.insert(&sanitised, number);
                let start = self.interval_start;
                self.series.push(Series { key: sanitised.into(), kind: Some(kind), start, ..Series::default() });
                number
            }
        };
        Some(number)
    }

    /// The series for what is over the limit. It starts when it is first needed.
    fn overflow(&mut self, kind: Kind) -> Option<u32> {
        let series = self.series.get_mut(kind as usize)?;
        if series.start == 0 {
            series.start = self.interval_start;
        }
        Some(kind as u32)
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Series> {
        self.series.get_mut(number as usize)
    }

    /// Series in which anything was ever measured.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Series> {
        self.series
            .iter()
            .enumerate()
            .filter(|(number, series)| *number >= OVERFLOW || !series.is_untouched())
            .map(|(_, series)| series)
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

impl Series {
    fn is_untouched(&self) -> bool {
        self.open.is_none() && self.total.succeeded + self.total.failed == 0 && self.total.durations.is_empty()
    }
}
