//! Ids as lower-hex text.

use crate::text::TextBuilder;

/// Bytes of the longest id: a trace id.
const MAX_ID: usize = 16;

/// The digits of every byte.
const PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Adds an id; null if it is zero, empty, or longer than any id, for none of these tells a span.
#[inline]
pub(crate) fn push(column: &mut TextBuilder, id: &[u8]) {
    if id.len() > MAX_ID || id.iter().all(|&byte| byte == 0) {
        column.push_null();
        return;
    }
    let mut text = [0; 2 * MAX_ID];
    for (pair, &byte) in text.as_chunks_mut().0.iter_mut().zip(id) {
        *pair = PAIRS[usize::from(byte)];
    }
    column.push(&text[..2 * id.len()]);
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;

    use super::*;

    // Ids are lower-hex with leading zeros; what tells no span is null.
    #[test]
    fn ids_are_lower_hex() {
        let mut column = TextBuilder::with_capacity(4, 32);
        push(&mut column, &[0x00, 0xff, 0x0a, 0xb0]);
        push(&mut column, &[0; 16]);
        push(&mut column, &[]);
        push(&mut column, &[1; 17]);
        let array = column.finish();
        assert_eq!(array.value(0), "00ff0ab0");
        assert!(array.is_null(1) && array.is_null(2) && array.is_null(3));
    }
}
