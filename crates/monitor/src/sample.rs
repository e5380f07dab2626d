//! Some recent requests of a monitor: the slowest, failed ones, and ordinary ones. Never what they say.

use genai::{ErrorClass, Money};

use crate::call::Call;
use crate::time::MINUTE;

/// Why a request is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SampleKind {
    /// It is among the slowest.
    Slowest,
    /// It failed.
    Failed,
    /// It is one like any other, taken at random.
    Ordinary,
}

impl SampleKind {
    /// All of them. Checkpoints hold places in this list: what is new goes to its end.
    pub const ALL: [Self; 3] = [Self::Slowest, Self::Failed, Self::Ordinary];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slowest => "slowest",
            Self::Failed => "failed",
            Self::Ordinary => "ordinary",
        }
    }
}

/// A request that was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When it was counted.
    pub at: u64,
    /// The trace that shows it.
    pub trace_id: [u8; 16],
    /// The span under which it was counted.
    pub span_id: [u8; 8],
    /// Its failure.
    pub error: Option<ErrorClass>,
    /// How long it took, in nanoseconds.
    pub duration: Option<u64>,
    /// Until the first token came, in nanoseconds.
    pub time_to_first_token: Option<u64>,
    /// Input tokens.
    pub input_tokens: Option<u64>,
    /// Output tokens.
    pub output_tokens: Option<u64>,
    /// What it cost.
    pub cost: Option<Money>,
}

impl Sample {
    fn of(at: u64, call: &Call<'_>) -> Self {
        Self {
            at,
            trace_id: call.trace_id,
            span_id: call.span_id,
            error: call.error,
            duration: call.duration,
            time_to_first_token: call.time_to_first_token,
            input_tokens: call.input_tokens,
            output_tokens: call.output_tokens,
            cost: call.cost,
        }
    }

    /// A number that has nothing to do with what happened: the last half of the trace id is random.
    fn lot(&self) -> u64 {
        lot(self.trace_id, self.span_id)
    }
}

fn lot(trace_id: [u8; 16], span_id: [u8; 8]) -> u64 {
    let random = (u128::from_be_bytes(trace_id) as u64) ^ u64::from_be_bytes(span_id);
    random.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32)
}

/// For how long requests are gathered, before the next begin beside them.
const PERIOD: u64 = 15 * MINUTE;
/// How many periods are kept: the newest, which is not over, and those before it.
const PERIODS: usize = 4;
/// What a period keeps of each kind.
pub(crate) type Period = [Vec<Sample>; SampleKind::ALL.len()];

/// The requests that are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Samples {
    /// Periods since the Unix epoch, of the newest.
    pub(crate) newest: u64,
    /// The newest is the first.
    pub(crate) periods: [Period; PERIODS],
}

impl Samples {
    /// How many of each kind a period keeps.
    pub(crate) const KEPT: usize = 5;

    /// Keeps a request, or not.
    #[inline]
    pub(crate) fn offer(&mut self, at: u64, call: &Call<'_>) {
        self.advance(at);
        let [slowest, failed, ordinary] = &mut self.periods[0];
        if call.duration.is_some() {
            keep(slowest, at, call, call.duration.unwrap_or_default(), |sample| sample.duration.unwrap_or_default());
        }
        match call.error {
            // Of failures the newest are worth most.
            Some(_) => keep(failed, at, call, at, |sample| sample.at),
            None => keep(ordinary, at, call, lot(call.trace_id, call.span_id), Sample::lot),
        }
    }

    /// Forgets what is too old.
    pub(crate) fn advance(&mut self, now: u64) {
        let newest = now / PERIOD;
        let passed = newest.saturating_sub(self.newest).min(PERIODS as u64);
        for _ in 0..passed {
            self.periods.rotate_right(1);
            self.periods[0] = Period::default();
        }
        self.newest = self.newest.max(newest);
    }

    /// All of them, by kind, the most telling first.
    pub(crate) fn all(&self) -> Vec<(SampleKind, Sample)> {
        let mut all = Vec::new();
        for (place, kind) in SampleKind::ALL.into_iter().enumerate() {
            let mut samples: Vec<Sample> = self.periods.iter().flat_map(|period| &period[place]).copied().collect();
            match kind {
                SampleKind::Slowest => samples.sort_by_key(|sample| std::cmp::Reverse(sample.duration)),
                SampleKind::Failed | SampleKind::Ordinary => samples.sort_by_key(|sample| std::cmp::Reverse(sample.at)),
            }
            all.extend(samples.into_iter().map(|sample| (kind, sample)));
        }
        all
    }
}

/// Keeps a request if there is room, or if it ranks above the least of those that are kept.
#[inline]
fn keep(kept: &mut Vec<Sample>, at: u64, call: &Call<'_>, rank: u64, rank_of: impl Fn(&Sample) -> u64) {
    if kept.len() < Samples::KEPT {
        return kept.push(Sample::of(at, call));
    }
    if let Some(least) = kept.iter_mut().min_by_key(|sample| rank_of(sample))
        && rank > rank_of(least)
    {
        *least = Sample::of(at, call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The slowest and the newest failed requests of each period are kept, so many of a kind, and forgotten after an hour.
    #[test]
    fn the_slowest_and_the_failed_are_kept() {
        let mut samples = Samples::default();
        for number in 0..200u64 {
            let error = (number % 10 == 0).then_some(ErrorClass::Timeout);
            let duration = Some(number * 7 % 200);
            let call = Call { error, duration, trace_id: [number as u8; 16], ..Call::default() };
            samples.offer(4 * PERIOD + number, &call);
        }
        let all = samples.all();
        let of = |kind| all.iter().filter(move |(of, _)| *of == kind).map(|(_, sample)| sample);
        let slowest: Vec<u64> = of(SampleKind::Slowest).filter_map(|sample| sample.duration).collect();
        assert_eq!(slowest, [199, 198, 197, 196, 195]);
        let failed: Vec<u64> = of(SampleKind::Failed).map(|sample| sample.at - 4 * PERIOD).collect();
        assert_eq!(failed, [190, 180, 170, 160, 150]);
        assert_eq!(of(SampleKind::Ordinary).filter(|sample| sample.error.is_none()).count(), Samples::KEPT);
        samples.advance(7 * PERIOD);
        assert_eq!(samples.all().len(), 15);
        samples.advance(8 * PERIOD);
        assert!(samples.all().is_empty());
    }
}
