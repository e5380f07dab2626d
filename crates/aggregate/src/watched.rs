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
    pub(crate) series: u32,
    pub(crate) call: Call,
    pub(crate) is_late: bool,
}

/// A call that was counted.
#[derive(Debug, Clone, Copy)]
pub struct CountedCall<'a> {
    layout: &'a Layout,
    key: Key<'a>,
    noted: &'a Noted,
}

impl<'a> CountedCall<'a> {
    /// The value of a common dimension, a kept resource attribute or a dimension of the settings; empty if it was not told, is not kept, or
    /// the call is counted with the rest of the series.
    pub fn attribute(&self, name: &str) -> &'a str {
        let value = self.key.value(self.layout, name);
        value.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default()
    }

    /// The span under which it is counted.
    pub fn ids(&self) -> ([u8; 16], [u8; 8]) {
        (self.noted.call.origin.trace_id, self.noted.call.origin.span_id)
    }

    /// Whether it was counted before, and tells only now what it used.
    pub fn is_late(&self) -> bool {
        self.noted.is_late
    }

    /// Its failure, if it failed.
    pub fn error(&self) -> Option<ErrorClass> {
        self.noted.call.error
    }

    /// How long it took, nanoseconds, if its spans tell that.
    pub fn duration(&self) -> Option<u64> {
        self.noted.call.duration
    }

    /// Nanoseconds until the first chunk came, of streams that tell it.
    pub fn time_to_first_chunk(&self) -> Option<u64> {
        self.noted.call.time_to_first_chunk
    }

    /// Seconds per output token after the first, of streams that tell when they began to answer.
    pub fn time_per_output_token(&self) -> Option<f64> {
        self.noted.call.time_per_output_token()
    }

    /// Its tokens, if they were told.
    pub fn usage(&self) -> Option<Usage> {
        self.noted.call.usage
    }

    /// What it costs, if that is known.
    pub fn cost(&self) -> Option<Money> {
        self.noted.call.cost.of_span().amount
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

    pub(crate) fn note_counted(&mut self, series: u32, call: Call, is_late: bool) {
        if self.settings.watched {
            self.counted.push(Noted { series, call, is_late });
        }
    }
}
