//! Spans that wait to become a row group.
//!
//! What waits are references into requests, not columns: 24 bytes a span. They are put in order before any column is built,
//! so the columns are built in order once, instead of being built, indexed and gathered.

use std::collections::HashMap;
use std::sync::Arc;

use aggregate::Applied;
use genai::SpanFacts;

use crate::schema::unix_nano;

/// Spans that wait to become a row group.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    requests: Vec<Arc<Applied>>,
    places: Vec<Place>,
    services: HashMap<Vec<u8>, u32>,
    bytes: usize,
}

/// Where a span is, and what it is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// Number of the service, in order of appearance; of its name, once sorted.
    service: u32,
    start: i64,
    request: u32,
    position: u32,
}

/// Sorts after every service and every time: null.
const LAST_SERVICE: u32 = u32::MAX;
const LAST_TIME: i64 = i64::MAX;

impl Pending {
    /// Adds those spans of a request that `is_kept` keeps, and gives their number.
    pub(crate) fn add(&mut self, applied: Arc<Applied>, is_kept: impl Fn(usize) -> bool) -> usize {
        let before = self.places.len();
        let request = self.requests.len() as u32;
        let mut last_service = None;
        for (position, facts) in applied.facts.iter().enumerate() {
            if !is_kept(position) {
                continue;
            }
            // Spans of one resource stand together: its name is looked up once.
            let service = match last_service {
                Some((name, number)) if name == facts.service => number,
                _ => self.service(facts, &applied.body),
            };
            last_service = Some((facts.service, service));
            let start = unix_nano(facts.start).unwrap_or(LAST_TIME);
            self.places.push(Place { service, start, request, position: position as u32 });
        }
        let added = self.places.len() - before;
        if added > 0 {
            self.bytes += applied.body.len() + size_of::<SpanFacts>() * applied.facts.len();
            self.requests.push(applied);
        }
        added
    }

    fn service(&mut self, facts: &SpanFacts, body: &[u8]) -> u32 {
        let name = facts.service.bytes(body);
        if name.is_empty() {
            return LAST_SERVICE;
        }
        if let Some(&number) = self.services.get(name) {
            return number;
        }
        let number = self.services.len() as u32;
        self.services.insert(name.to_owned(), number);
        number
    }

    /// Number of spans.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Memory that the requests hold.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The spans by service and start time, each as a request and a position in it.
    pub(crate) fn sorted(&mut self) -> impl Iterator<Item = (&Applied, usize)> {
        let mut names: Vec<(&[u8], u32)> =
            self.services.iter().map(|(name, number)| (name.as_slice(), *number)).collect();
        names.sort_unstable();
        let mut ranks = vec![0; names.len()];
        for (rank, (_, number)) in (0..).zip(&names) {
            ranks[*number as usize] = rank;
        }
        for place in &mut self.places {
            place.service = ranks.get(place.service as usize).copied().unwrap_or(LAST_SERVICE);
        }
        self.places.sort_unstable();
        self.places.iter().filter_map(|place| {
            let request = self.requests.get(place.request as usize)?;
            Some((request.as_ref(), place.position as usize))
        })
    }
}
