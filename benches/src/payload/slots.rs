//! The places of a body that change with every send, and where their new contents come from.

use super::BuildError;
use super::span::Ids;
use crate::random::SplitMix64;

/// Unique ids: no two [`IdSource`]s of one seed, and no two draws of one, give the same.
#[derive(Debug)]
pub struct IdSource {
    random: SplitMix64,
}

impl IdSource {
    /// Ids that belong to `seed`.
    pub fn new(seed: u64) -> Self {
        Self { random: SplitMix64::new(seed) }
    }

    /// Ids for sender number `sender` (below 2^20): 2^44 draws that no other sender of this seed makes.
    pub fn of_sender(seed: u64, sender: u64) -> Self {
        Self { random: SplitMix64::new(seed).skip(sender << 44) }
    }

    /// A new `trace_id`.
    pub fn trace(&mut self) -> [u8; 16] {
        let number = u128::from(self.random.next()) << 64 | u128::from(self.random.next());
        number.to_be_bytes()
    }

    /// A new `span_id`.
    pub fn span(&mut self) -> [u8; 8] {
        self.random.next().to_be_bytes()
    }

    /// The changing part of a new `gen_ai.response.id`: 16 characters.
    pub fn response(&mut self) -> [u8; 16] {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let number = self.random.next();
        std::array::from_fn(|place| DIGITS.get((number >> (place * 4)) as usize & 15).copied().unwrap_or_default())
    }
}

/// Where one span's changing fields stand in the body, as byte offsets.
#[derive(Debug, Clone)]
pub struct Slots {
    trace: usize,
    span: usize,
    parent: usize,
    start: usize,
    end: usize,
    /// `None` for a failed call.
    response: Option<usize>,
    /// Nanoseconds from start to end: kept when the times move.
    duration: u64,
    /// Nanoseconds from end to the time of the send, so that not all spans of a request end at once.
    age: u64,
}

impl Slots {
    /// Writes new contents; the lengths stay what they were.
    pub fn write(&self, body: &mut [u8], trace: [u8; 16], parent: [u8; 8], ids: &mut IdSource, now: u64) {
        let end = now.saturating_sub(self.age);
        put(body, self.trace, trace);
        put(body, self.span, ids.span());
        put(body, self.parent, parent);
        put(body, self.start, end.saturating_sub(self.duration).to_le_bytes());
        put(body, self.end, end.to_le_bytes());
        if let Some(response) = self.response {
            put(body, response, ids.response());
        }
    }
}

fn put<const N: usize>(body: &mut [u8], at: usize, bytes: [u8; N]) {
    if let Some(place) = body.get_mut(at..at + N) {
        place.copy_from_slice(&bytes);
    }
}

/// Finds the fields of every span. Each id is random and so occurs once; fields and spans stand in the order in which prost
/// writes them, so the search only goes forward.
pub fn find(body: &[u8], ids: &[Ids]) -> Result<Vec<Slots>, BuildError> {
    let mut search = Search { body, at: 0 };
    let mut all = Vec::with_capacity(ids.len());
    for (span, ids) in ids.iter().enumerate() {
        let missing = |what| BuildError { what, span };
        all.push(Slots {
            trace: search.next(&ids.trace).ok_or_else(|| missing("trace id"))?,
            span: search.next(&ids.span).ok_or_else(|| missing("span id"))?,
            parent: search.next(&ids.parent).ok_or_else(|| missing("parent span id"))?,
            start: search.next(&ids.start.to_le_bytes()).ok_or_else(|| missing("start time"))?,
            end: search.next(&ids.end.to_le_bytes()).ok_or_else(|| missing("end time"))?,
            response: search.until_next_span(ids.response.as_bytes()),
            duration: ids.end - ids.start,
            age: ids.end % 1_000_000_000,
        });
    }
    Ok(all)
}

struct Search<'a> {
    body: &'a [u8],
    at: usize,
}

impl Search<'_> {
    fn next(&mut self, wanted: &[u8]) -> Option<usize> {
        let rest = self.body.get(self.at..)?;
        let found = self.at + rest.windows(wanted.len()).position(|window| window == wanted)?;
        self.at = found + wanted.len();
        Some(found)
    }

    /// Like `next`, but a miss is normal and must not cost a search through the whole body: attributes stand near.
    fn until_next_span(&mut self, wanted: &[u8]) -> Option<usize> {
        const NEAR: usize = 8 * 1024;
        let end = self.body.len().min(self.at + NEAR);
        let mut near = Search { body: self.body.get(..end)?, at: self.at };
        let found = near.next(wanted)?;
        self.at = near.at;
        Some(found)
    }
}
