//! What was counted, call by call, for whoever watches it: of the last record applied, and only if the settings ask for it.

use genai::{ErrorClass, Money, Usage};

use crate::call::Call;
use crate::key::{Key, Layout};
use crate::pipeline::Pipeline;

/// Room that is kept from one record to the next.
const KEPT: usize = 4096;

/// A call that was counted, as it is noted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noted {
    series: u32,
    is_late: bool,
    error: Option<ErrorClass>,
    ids: ([u8; 16], [u8; 8]),
    duration: Option<u64>,
    time_to_first_chunk: Option<u64>,
    time_per_output_token: Option<f64>,
    usage: Option<Usage>,
    cost: Option<Money>,
}

/// A call that was counted.
#[derive(Debug, Clone, Copy)]
pub struct CountedCall<'a> {
    layout: &'a Layout,
    key: Key<'a>,
    noted: &'a Noted,
}

impl<'a> CountedCall<'a> {
    /// The number of its series. Calls with the same number have the same attributes, as long as the pipeline lives.
    pub fn series(&self) -> u32 {
        self.noted.series
    }

    /// The values of common dimensions, kept resource attributes or dimensions of the settings; empty if it was not told, is not kept, or
    /// the call is counted with the rest of the series.
    pub fn attributes<const N: usize>(&self, names: &[&str; N]) -> [&'a str; N] {
        let mut found = [""; N];
        for (kept, value) in self.layout.names(self.key.kind()).zip(self.key.values()) {
            let place = names.iter().position(|name| *name == kept);
            if let (Some(place), Some(value)) = (place.and_then(|place| found.get_mut(place)), value) {
                *place = std::str::from_utf8(value).unwrap_or_default();
            }
        }
        found
    }

    /// The span under which it is counted.
    pub fn ids(&self) -> ([u8; 16], [u8; 8]) {
        self.noted.ids
    }

    /// Whether it was counted before, and tells only now what it used.
    pub fn is_late(&self) -> bool {
        self.noted.is_late
    }

    /// Its failure, if it failed.
    pub fn error(&self) -> Option<ErrorClass> {
        self.noted.error
    }

    /// How long it took, nanoseconds, if its spans tell that.
    pub fn duration(&self) -> Option<u64> {
        self.noted.duration
    }

    /// Nanoseconds until the first chunk came, of streams that tell it.
    pub fn time_to_first_chunk(&self) -> Option<u64> {
        self.noted.time_to_first_chunk
    }

    /// Seconds per output token after the first, of streams that tell when they began to answer.
    pub fn time_per_output_token(&self) -> Option<f64> {
        self.noted.time_per_output_token
    }

    /// Its tokens, if they were told.
    pub fn usage(&self) -> Option<Usage> {
        self.noted.usage
    }

    /// What it costs, if that is known.
    pub fn cost(&self) -> Option<Money> {
        self.noted.cost
    }
}

impl Pipeline {
    /// The calls that the last record made count, in the order in which they were counted.
    pub fn counted(&self) -> impl Iterator<Item = CountedCall<'_>> {
        let layout = self.series.layout();
        self.counted.iter().filter_map(move |noted| {
            let key = Key::new(&self.series.get(noted.series)?.key);
            Some(CountedCall { layout, key, noted })
        })
    }

    pub(crate) fn forget_counted(&mut self) {
        self.counted.clear();
        self.counted.shrink_to(KEPT);
    }

    pub(crate) fn note_counted(&mut self, series: u32, call: &Call, is_late: bool) {
        if self.settings.watched {
            self.counted.push(Noted {
                series,
                is_late,
                error: call.error,
                ids: (call.origin.trace_id, call.origin.span_id),
                duration: call.duration,
                time_to_first_chunk: call.time_to_first_chunk,
                time_per_output_token: call.time_per_output_token(),
                usage: call.usage,
                cost: call.cost.of_span().amount,
            });
        }
    }
}
