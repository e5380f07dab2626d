//! The instruments of one series, over one interval or over all time.

use genai::{ErrorClass, TokenClasses, Usage};

use crate::call::{Call, seconds};
use crate::histogram::{AGENT_SECONDS, Buckets, Histogram, Origin, SCORES, SECONDS, TOKEN_SECONDS, TOKENS};
use crate::key::Kind;
use crate::pricing::Costs;

/// What was measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Instruments {
    /// Whether what is measured goes into exponential histograms too. Scores do not: they lie on scales that are short, and below zero.
    pub(crate) exponential: bool,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    /// Whether any call told its usage: only then there are tokens to show, if none were used.
    pub(crate) usage_reported: bool,
    pub(crate) tokens: TokenClasses,
    pub(crate) costs: Costs,
    pub(crate) input_tokens: Histogram,
    pub(crate) output_tokens: Histogram,
    /// By the class of the failure; `None` for success.
    pub(crate) durations: Vec<(Option<ErrorClass>, Histogram)>,
    pub(crate) time_to_first_chunk: Histogram,
    pub(crate) time_per_output_token: Histogram,
    pub(crate) evaluations: u64,
    pub(crate) scores: Histogram,
}

impl Instruments {
    /// Counts a call.
    pub(crate) fn count(&mut self, call: &Call) {
        match call.error {
            Some(_) => self.failed += 1,
            None => self.succeeded += 1,
        }
        if let Some(usage) = call.usage {
            self.use_tokens(usage, &call.origin);
        }
        self.costs.count(&call.cost);
        if let Some(nanos) = call.duration {
            self.duration(SECONDS, call.error, nanos, &call.origin);
        }
        if let Some(nanos) = call.time_to_first_chunk {
            self.time_to_first_chunk.record(self.buckets(SECONDS), seconds(nanos), &call.origin);
        }
        if let Some(per_token) = call.time_per_output_token() {
            self.time_per_output_token.record(self.buckets(TOKEN_SECONDS), per_token, &call.origin);
        }
    }

    fn buckets(&self, bounds: &'static [f64]) -> Buckets {
        Buckets { bounds, exponential: self.exponential }
    }

    /// Counts the tokens of a call.
    pub(crate) fn use_tokens(&mut self, usage: Usage, origin: &Origin) {
        self.usage_reported = true;
        self.tokens += usage.classes();
        if let Some(tokens) = usage.input {
            self.input_tokens.record(self.buckets(TOKENS), f64::from(tokens), origin);
        }
        if let Some(tokens) = usage.output {
            self.output_tokens.record(self.buckets(TOKENS), f64::from(tokens), origin);
        }
    }

    /// Measures the duration of an agent or a tool.
    pub(crate) fn measure(&mut self, kind: Kind, error: Option<ErrorClass>, nanos: u64, origin: &Origin) {
        self.duration(duration_bounds(kind), error, nanos, origin);
    }

    /// Counts the result of an evaluation, and the span that it leads to, if it leads to one.
    pub(crate) fn evaluate(&mut self, score: Option<f64>, evaluated: Option<&Origin>) {
        self.evaluations += 1;
        match (score, evaluated) {
            (Some(score), Some(origin)) => self.scores.record(SCORE_BUCKETS, score, origin),
            (Some(score), None) => drop(self.scores.add(SCORE_BUCKETS, score)),
            (None, _) => {}
        }
    }

    fn duration(&mut self, bounds: &'static [f64], error: Option<ErrorClass>, nanos: u64, origin: &Origin) {
        let buckets = self.buckets(bounds);
        self.durations_of(error).record(buckets, seconds(nanos), origin);
    }

    fn durations_of(&mut self, error: Option<ErrorClass>) -> &mut Histogram {
        let place = match self.durations.iter().position(|(class, _)| *class == error) {
            Some(place) => place,
            None => {
                self.durations.push((error, Histogram::default()));
                self.durations.len() - 1
            }
        };
        &mut self.durations[place].1
    }

    /// Adds what `newer` measured.
    pub(crate) fn merge(&mut self, newer: &Self) {
        self.succeeded += newer.succeeded;
        self.failed += newer.failed;
        self.usage_reported |= newer.usage_reported;
        self.tokens += newer.tokens;
        self.costs.merge(&newer.costs);
        self.input_tokens.merge(&newer.input_tokens);
        self.output_tokens.merge(&newer.output_tokens);
        for (class, durations) in &newer.durations {
            self.durations_of(*class).merge(durations);
        }
        self.time_to_first_chunk.merge(&newer.time_to_first_chunk);
        self.time_per_output_token.merge(&newer.time_per_output_token);
        self.evaluations += newer.evaluations;
        self.scores.merge(&newer.scores);
    }
}

pub(crate) const SCORE_BUCKETS: Buckets = Buckets { bounds: SCORES, exponential: false };

/// The bounds of the durations of a kind of series.
pub(crate) const fn duration_bounds(kind: Kind) -> &'static [f64] {
    match kind {
        Kind::Agent => AGENT_SECONDS,
        Kind::Call | Kind::Tool | Kind::Evaluation => SECONDS,
    }
}
