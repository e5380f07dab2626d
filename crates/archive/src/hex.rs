//! Ids as lower-hex text.

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

/// An id as text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hex {
    digits: [u8; 2 * MAX_ID],
    len: usize,
}

impl Hex {
    /// The digits.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.digits[..self.len]
    }
}

/// An id as text; none if it is zero, empty, or longer than any id, for none of these tells a span.
#[inline]
pub(crate) fn text(id: &[u8]) -> Option<Hex> {
    if id.len() > MAX_ID || id.iter().all(|&byte| byte == 0) {
        return None;
    }
    let mut digits = [0; 2 * MAX_ID];
    for (pair, &byte) in digits.as_chunks_mut().0.iter_mut().zip(id) {
        *pair = PAIRS[usize::from(byte)];
    }
    Some(Hex { digits, len: 2 * id.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Ids are lower-hex with leading zeros; what tells no span is none.
    #[test]
    fn ids_are_lower_hex() {
        assert_eq!(text(&[0x00, 0xff, 0x0a, 0xb0]).unwrap().bytes(), b"00ff0ab0");
        assert!([&[0; 16][..], &[], &[1; 17]].into_iter().all(|id| text(id).is_none()));
    }
}
