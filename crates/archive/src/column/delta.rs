//! Parquet's differences between neighbours, packed: `DELTA_BINARY_PACKED`.
//!
//! Source: <https://parquet.apache.org/docs/file-format/data-pages/encodings/> (5).

use super::varint;

/// Differences of a block, which have a minimum in common.
const BLOCK: usize = 128;
/// Differences that are packed to one width.
const MINIBLOCK: usize = 32;
const MINIBLOCKS: usize = BLOCK / MINIBLOCK;

/// Appends `values` to `out`.
pub(crate) fn encode(values: &[i64], out: &mut Vec<u8>) {
    varint(out, BLOCK as u64);
    varint(out, MINIBLOCKS as u64);
    varint(out, values.len() as u64);
    varint(out, zigzag(values.first().copied().unwrap_or(0)));
    let mut deltas = [0; BLOCK];
    let mut start = 1;
    while start < values.len() {
        let count = (values.len() - start).min(BLOCK);
        let pairs = values[start - 1..start + count].windows(2);
        let mut min = i64::MAX;
        for (delta, pair) in deltas.iter_mut().zip(pairs) {
            *delta = pair[1].wrapping_sub(pair[0]);
            min = min.min(*delta);
        }
        encode_block(&mut deltas[..count], min, out);
        start += count;
    }
}

fn encode_block(deltas: &mut [i64], min: i64, out: &mut Vec<u8>) {
    varint(out, zigzag(min));
    let widths_at = out.len();
    out.extend_from_slice(&[0; MINIBLOCKS]);
    for (number, miniblock) in deltas.chunks_mut(MINIBLOCK).enumerate() {
        let mut used = 0;
        for delta in miniblock.iter_mut() {
            *delta = delta.wrapping_sub(min);
            used |= *delta as u64;
        }
        let width = u64::BITS - used.leading_zeros();
        out[widths_at + number] = width as u8;
        if width > 0 {
            pack(miniblock, width, out);
        }
    }
}

/// Packs a miniblock, filled up with zeros.
fn pack(values: &[i64], width: u32, out: &mut Vec<u8>) {
    let end = out.len() + MINIBLOCK / 8 * width as usize;
    let (mut packed, mut bits) = (0_u64, 0);
    for &value in values {
        let value = value as u64;
        packed |= value << bits;
        bits += width;
        if bits >= u64::BITS {
            out.extend_from_slice(&packed.to_le_bytes());
            bits -= u64::BITS;
            // What of the value did not fit; a shift by all 64 bits is none.
            packed = value.checked_shr(width - bits).unwrap_or(0);
        }
    }
    out.extend_from_slice(&packed.to_le_bytes());
    out.resize(end, 0);
}

/// Small numbers of either sign as small numbers.
fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> (i64::BITS - 1)) as u64
}
