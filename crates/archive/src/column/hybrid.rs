//! Parquet's hybrid of run-length encoding and bit packing: levels and places in dictionaries.
//!
//! Source: <https://parquet.apache.org/docs/file-format/data-pages/encodings/> (RLE = 3).

use super::varint;

/// Values that are packed together: they take as many bytes as one of them takes bits.
const GROUP: usize = 8;
/// Groups behind one header of one byte.
const MAX_GROUPS: usize = 63;

/// Bits that numbers up to `max` take.
pub(crate) fn width_of(max: u32) -> u32 {
    u32::BITS - max.leading_zeros()
}

/// Appends `values`, each below 2 to the power of `width`, to `out`. Groups of one and the same number become runs, others are packed.
pub(crate) fn encode(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let (groups, rest) = values.as_chunks::<GROUP>();
    let mut place = 0;
    while let Some(group) = groups.get(place) {
        let start = place;
        if is_run(group) {
            place += groups[start..].iter().take_while(|next| **next == *group).count();
            run(group[0], (place - start) * GROUP, width, out);
        } else {
            place += groups[start..].iter().take(MAX_GROUPS).take_while(|next| !is_run(next)).count();
            out.push(((place - start) as u8) << 1 | 1);
            groups[start..place].iter().for_each(|group| pack(group, width, out));
        }
    }
    if !rest.is_empty() {
        let mut group = [0; GROUP];
        group[..rest.len()].copy_from_slice(rest);
        out.push(1 << 1 | 1);
        pack(&group, width, out);
    }
}

/// Appends one number `count` times.
pub(crate) fn run(value: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    varint(out, (count as u64) << 1);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// Appends what [`encode`] appends for `count` numbers of one bit: eight of them are a byte, the first the lowest, and bits behind them are zero.
pub(crate) fn encode_bits(bits: &[u8], count: usize, out: &mut Vec<u8>) {
    let is_run = |byte: &u8| matches!(byte, 0 | 0xff);
    let (groups, rest) = bits.split_at(count / GROUP);
    let mut place = 0;
    while let Some(group) = groups.get(place) {
        let start = place;
        if is_run(group) {
            place += groups[start..].iter().take_while(|next| *next == group).count();
            run((group & 1).into(), (place - start) * GROUP, 1, out);
        } else {
            place += groups[start..].iter().take(MAX_GROUPS).take_while(|next| !is_run(next)).count();
            out.push(((place - start) as u8) << 1 | 1);
            out.extend_from_slice(&groups[start..place]);
        }
    }
    if let Some(last) = rest.first() {
        out.extend_from_slice(&[1 << 1 | 1, *last]);
    }
}

#[inline]
fn is_run(group: &[u32; GROUP]) -> bool {
    group.iter().fold(0, |differs, value| differs | (value ^ group[0])) == 0
}

#[inline]
fn pack(group: &[u32; GROUP], width: u32, out: &mut Vec<u8>) {
    let half = |values: &[u32]| values.iter().rev().fold(0_u128, |packed, value| packed << width | u128::from(*value));
    if width <= 8 {
        let packed = group.iter().rev().fold(0_u64, |packed, value| packed << width | u64::from(*value));
        out.extend_from_slice(&packed.to_le_bytes());
        out.truncate(out.len() - 8 + width as usize);
    } else {
        // Half a group takes up to 128 bits.
        let (low, high) = (half(&group[..4]), half(&group[4..]));
        let bits = 4 * width;
        let mut packed = [0; 32];
        packed[..16].copy_from_slice(&(low | high.checked_shl(bits).unwrap_or(0)).to_le_bytes());
        packed[16..].copy_from_slice(&high.checked_shr(u128::BITS - bits).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&packed[..width as usize]);
    }
}
