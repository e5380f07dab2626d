//! What a monitor tells of its window.

use crate::history::{Stats, ratio};
use crate::time::SECOND;

/// A field of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// Calls.
    TotalRequests,
    /// Calls a second.
    RequestRate,
    /// The share of calls that failed, 0 to 1.
    ErrorRate,
    /// The median of durations, in seconds.
    LatencyP50,
    /// The 90th percentile of durations, in seconds.
    LatencyP90,
    /// The 95th percentile of durations, in seconds.
    LatencyP95,
    /// The 99th percentile of durations, in seconds.
    LatencyP99,
    /// The median time to the first token, in seconds.
    TimeToFirstTokenP50,
    /// The 95th percentile of times to the first token, in seconds.
    TimeToFirstTokenP95,
    /// The median time per output token after the first, in seconds.
    TimePerOutputToken,
    /// Tokens a second, of all calls together.
    TokensPerSecond,
    /// All tokens.
    Tokens,
    /// Input tokens, cached ones included.
    InputTokens,
    /// Output tokens, reasoning included.
    OutputTokens,
    /// The share of input tokens that came from a cache, 0 to 1.
    CacheShare,
    /// Dollars, as far as they are known.
    Cost,
    /// Dollars per call whose cost is known.
    CostPerRequest,
    /// The share of cold starts among calls after a time without any, 0 to 1.
    ColdStartRate,
}

impl Field {
    /// All of them. Checkpoints hold places in this list: what is new goes to its end.
    pub const ALL: [Self; 18] = [
        Self::TotalRequests,
        Self::RequestRate,
        Self::ErrorRate,
        Self::LatencyP50,
        Self::LatencyP90,
        Self::LatencyP95,
        Self::LatencyP99,
        Self::TimeToFirstTokenP50,
        Self::TimeToFirstTokenP95,
        Self::TimePerOutputToken,
        Self::TokensPerSecond,
        Self::Tokens,
        Self::InputTokens,
        Self::OutputTokens,
        Self::CacheShare,
        Self::Cost,
        Self::CostPerRequest,
        Self::ColdStartRate,
    ];

    /// Its name in configuration and API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TotalRequests => "total_requests",
            Self::RequestRate => "request_rate",
            Self::ErrorRate => "error_rate",
            Self::LatencyP50 => "latency_p50",
            Self::LatencyP90 => "latency_p90",
            Self::LatencyP95 => "latency_p95",
            Self::LatencyP99 => "latency_p99",
            Self::TimeToFirstTokenP50 => "time_to_first_token_p50",
            Self::TimeToFirstTokenP95 => "time_to_first_token_p95",
            Self::TimePerOutputToken => "time_per_output_token",
            Self::TokensPerSecond => "tokens_per_second",
            Self::Tokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::CacheShare => "cache_share",
            Self::Cost => "cost",
            Self::CostPerRequest => "cost_per_request",
            Self::ColdStartRate => "cold_start_rate",
        }
    }

    /// Its unit, as UCUM and OpenTelemetry write it.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::TotalRequests => "{request}",
            Self::RequestRate => "{request}/s",
            Self::ErrorRate | Self::CacheShare | Self::ColdStartRate => "1",
            Self::LatencyP50
            | Self::LatencyP90
            | Self::LatencyP95
            | Self::LatencyP99
            | Self::TimeToFirstTokenP50
            | Self::TimeToFirstTokenP95
            | Self::TimePerOutputToken => "s",
            Self::TokensPerSecond => "{token}/s",
            Self::Tokens | Self::InputTokens | Self::OutputTokens => "{token}",
            Self::Cost | Self::CostPerRequest => "{USD}",
        }
    }

    /// The field with a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Whether it can be such a number: a share is 1 at most.
    pub(crate) fn can_be(self, number: f64) -> bool {
        number <= 1.0 || !matches!(self, Self::ErrorRate | Self::CacheShare | Self::ColdStartRate)
    }

    /// Whether it grows with the length of the window.
    pub(crate) const fn is_sum(self) -> bool {
        matches!(self, Self::TotalRequests | Self::Tokens | Self::InputTokens | Self::OutputTokens | Self::Cost)
    }

    /// Whether it is a sum for each second of the window.
    pub(crate) const fn is_rate(self) -> bool {
        matches!(self, Self::RequestRate | Self::TokensPerSecond)
    }

    /// What it is for calls of a time of that length in nanoseconds; `None` if they do not tell.
    pub fn of(self, stats: &Stats, length: u64) -> Option<f64> {
        let per_second = |count: f64| (length > 0).then(|| count / (length as f64 / SECOND as f64));
        let told = |count: u64| (stats.requests > stats.usage_missing || count > 0).then_some(count as f64);
        let seconds = |nanos: Option<f64>| nanos.map(|nanos| nanos / SECOND as f64);
        match self {
            Self::TotalRequests => Some(stats.requests as f64),
            Self::RequestRate => per_second(stats.requests as f64),
            Self::ErrorRate => stats.error_rate(),
            Self::LatencyP50 => seconds(stats.duration.quantile(0.5)),
            Self::LatencyP90 => seconds(stats.duration.quantile(0.9)),
            Self::LatencyP95 => seconds(stats.duration.quantile(0.95)),
            Self::LatencyP99 => seconds(stats.duration.quantile(0.99)),
            Self::TimeToFirstTokenP50 => seconds(stats.time_to_first_token.quantile(0.5)),
            Self::TimeToFirstTokenP95 => seconds(stats.time_to_first_token.quantile(0.95)),
            Self::TimePerOutputToken => seconds(stats.time_per_output_token.quantile(0.5)),
            Self::TokensPerSecond => told(stats.total_tokens()).and_then(per_second),
            Self::Tokens => told(stats.total_tokens()),
            Self::InputTokens => told(stats.total_input_tokens()),
            Self::OutputTokens => told(stats.total_output_tokens()),
            Self::CacheShare => stats.cache_share(),
            Self::Cost => (stats.requests > stats.unpriced).then(|| stats.cost.dollars()),
            Self::CostPerRequest => stats.cost_per_request(),
            Self::ColdStartRate => ratio(stats.cold_starts as f64, stats.after_idle),
        }
    }
}

/// What a monitor knew of its window at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The end of the window.
    pub at: u64,
    /// Its length.
    pub length: u64,
    /// Calls in it.
    pub requests: u64,
    pub(crate) values: [Option<f64>; Field::ALL.len()],
}

impl Snapshot {
    /// The snapshot of a window that ends at a time.
    pub(crate) fn of(stats: &Stats, at: u64, length: u64) -> Self {
        Self { at, length, requests: stats.requests, values: Field::ALL.map(|field| field.of(stats, length)) }
    }

    /// A field; `None` if the calls of the window do not tell it.
    pub const fn get(&self, field: Field) -> Option<f64> {
        self.values[field as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Every field has a place of its own, and is found by its name.
    #[test]
    fn fields_are_told_apart() {
        for (place, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!((field as usize, Field::named(field.name())), (place, Some(field)));
        }
    }

    // What no call told is not known, and is not zero.
    #[test]
    fn unknown_is_not_zero() {
        let snapshot = Snapshot::of(&Stats::default(), 0, 300 * SECOND);
        let known: Vec<Field> = Field::ALL.into_iter().filter(|field| snapshot.get(*field).is_some()).collect();
        assert_eq!(known, [Field::TotalRequests, Field::RequestRate]);
    }
}
