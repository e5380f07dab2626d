//! A hash of the rows of a file. The footer tells it, so that whoever reads the rows can tell whether they are those that were written,
//! and whether two files hold the same ones.
//!
//! The hash of no row is 16 zero bytes. Each row, in the order of the file, makes it the XXH3-128 (seed 0) of the hash before it and 64
//! bytes of the row: `lsn`, the bytes of `trace_id`, of `span_id` and of `counted_span_id` (zeros for null), `start_time_unix_nano` (0
//! for null), `gen_ai_usage_input_tokens` and `gen_ai_usage_output_tokens` (-1 for null). Numbers and hashes are little-endian. So it
//! tells which spans the rows are, when, under which span their calls were counted and with which tokens.

use std::fmt;

use aggregate::Applied;
use twox_hash::XxHash3_128;

use crate::schema::unix_nano;

/// The hash of the rows so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RowHash(u128);

impl RowHash {
    /// Adds the row of the span at a position of a request.
    pub(crate) fn add(&mut self, request: &Applied, position: usize) {
        let (Some(facts), Some(outcome)) = (request.facts.get(position), request.outcomes.get(position)) else {
            return;
        };
        let usage = outcome.usage(facts);
        let tokens = |count: Option<u32>| count.map_or(-1, i64::from).to_le_bytes();
        let mut bytes = [0; 80];
        let (head, numbers) = bytes.split_at_mut(40);
        head[..16].copy_from_slice(&self.0.to_le_bytes());
        head[16..24].copy_from_slice(&request.lsn.to_le_bytes());
        head[24..].copy_from_slice(&facts.trace_id);
        let numbers = numbers.as_chunks_mut().0;
        let values = [
            facts.span_id,
            outcome.counted_span_id,
            unix_nano(facts.start).unwrap_or(0).to_le_bytes(),
            tokens(usage.input),
            tokens(usage.output),
        ];
        numbers.copy_from_slice(&values);
        self.0 = XxHash3_128::oneshot(&bytes);
    }
}

/// 32 hexadecimal digits, the highest first.
impl fmt::Display for RowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
