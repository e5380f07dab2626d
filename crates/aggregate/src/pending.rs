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

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) applied: Applied,
    bytes: usize,
    pub(crate) undecided: usize,
}

impl Pending {
    pub(crate) fn new(limit: Option<usize>, price_version: &str) -> Self {
        Self { limit, price_version: price_version.into(), requests: VecDeque::new(), first: 0, bytes: 0 }
    }

    /// Begins a request of so many spans, and gives its number. Each of them gets its outcome by [`Pending::decide`], whether at once or
    /// later.
    pub(crate) fn begin(&mut self, lsn: Lsn, receive_time: u64, body: &Bytes, spans: usize) -> u64 {
        let number = self.first + self.requests.len() as u64;
        if self.limit.is_none() {
            self.first += 1;
            return number;
        }
        let applied = Applied {
            lsn,
            receive_time,
            body: body.clone(),
            facts: Vec::new(),
            outcomes: vec![SpanOutcome::UNDECIDED; spans],
            price_version: Arc::clone(&self.price_version),
        };
        let bytes = body.len() + spans * (size_of::<SpanFacts>() + size_of::<SpanOutcome>());
        self.bytes += bytes;
        self.requests.push_back(Request { applied, bytes, undecided: spans });
        number
    }

    /// Notes that the newest request came when these were the prices.
    pub(crate) fn priced_by(&mut self, price_version: &str) {
        if *self.price_version != *price_version
            && let Some(request) = self.requests.back_mut()
        {
            request.applied.price_version = price_version.into();
        }
    }

    /// Completes the newest request with what its spans say.
    pub(crate) fn complete(&mut self, facts: Vec<SpanFacts>) {
        if self.limit.is_some()
            && let Some(request) = self.requests.back_mut()
        {
            request.applied.facts = facts;
        }
    }

    /// The requests that wait, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter()
    }

    /// Whether anybody wants applied requests.
    pub(crate) fn is_wanted(&self) -> bool {
        self.limit.is_some()
    }

    /// Which of the waiting requests has a number.
    pub(crate) fn offset(&self, number: u64) -> Option<u64> {
        number.checked_sub(self.first).filter(|offset| *offset < self.requests.len() as u64)
    }

    /// Whether a span waits for its outcome here.
    pub(crate) fn is_undecided(&self, place: Place) -> bool {
        let request = self.offset(place.request).and_then(|offset| self.requests.get(offset as usize));
        let outcome = request.and_then(|request| request.applied.outcomes.get(place.position as usize));
        outcome.is_some_and(|outcome| *outcome == SpanOutcome::UNDECIDED)
    }

    /// Whether more waits than may.
    pub(crate) fn is_over_limit(&self) -> bool {
        self.limit.is_some_and(|limit| self.bytes > limit)
    }

    /// Writes the outcome of a span.
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
        self.bytes -= request.bytes;
        self.first += 1;
        Some(request.applied)
    }
}
