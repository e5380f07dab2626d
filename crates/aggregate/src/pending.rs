//! Requests that wait until every one of their spans has its outcome, in the order of the log.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use genai::SpanFacts;

use crate::outcome::SpanOutcome;
use crate::record::{Applied, Lsn};
use crate::settle::Place;

/// Waiting requests. Nothing is kept where nobody wants applied requests.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Bytes that may wait; `None` if nothing is kept.
    limit: Option<usize>,
    price_version: Arc<str>,
    requests: VecDeque<Request>,
    /// Number of the first of them.
    first: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Request {
    applied: Applied,
    undecided: usize,
}

impl Request {
    fn bytes(&self) -> usize {
        let each = size_of::<SpanFacts>() + size_of::<SpanOutcome>();
        self.applied.body.len() + self.applied.facts.len() * each
    }
}

impl Pending {
    pub(crate) fn new(limit: Option<usize>, price_version: &str) -> Self {
        Self { limit, price_version: price_version.into(), requests: VecDeque::new(), first: 0, bytes: 0 }
    }

    /// The number that the next request gets.
    pub(crate) fn next_number(&self) -> u64 {
        self.first + self.requests.len() as u64
    }

    /// Adds a request; `outcomes` has one a span, those of waiting spans undecided.
    pub(crate) fn push(
        &mut self,
        lsn: Lsn,
        receive_time: u64,
        (body, facts): (Bytes, Vec<SpanFacts>),
        outcomes: Vec<SpanOutcome>,
        undecided: usize,
    ) {
        if self.limit.is_none() {
            self.first += 1;
            return;
        }
        let price_version = Arc::clone(&self.price_version);
        let request =
            Request { applied: Applied { lsn, receive_time, body, facts, outcomes, price_version }, undecided };
        self.bytes += request.bytes();
        self.requests.push_back(request);
    }

    /// Whether more waits than may.
    pub(crate) fn is_over_limit(&self) -> bool {
        self.limit.is_some_and(|limit| self.bytes > limit)
    }

    /// Writes the outcome of a span that waited.
    pub(crate) fn decide(&mut self, place: Place, outcome: SpanOutcome) {
        let Some(offset) = place.request.checked_sub(self.first) else { return };
        let Some(request) = self.requests.get_mut(offset as usize) else { return };
        if let Some(waiting) = request.applied.outcomes.get_mut(place.position as usize) {
            *waiting = outcome;
            request.undecided = request.undecided.saturating_sub(1);
        }
    }

    /// The oldest request, if it waits no longer.
    pub(crate) fn pop_decided(&mut self) -> Option<Applied> {
        if self.requests.front()?.undecided > 0 {
            return None;
        }
        let request = self.requests.pop_front()?;
        self.bytes -= request.bytes();
        self.first += 1;
        Some(request.applied)
    }
}
