//! Ids as lower-hex text.

/// Bytes of the longest id: a trace id.
const MAX_ID: usize = 16;

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

/// An id of up to 16 bytes as text; none if it is zero, empty, or longer, for none of these tells a span.
#[inline]
pub(crate) fn text(id: &[u8]) -> Option<Hex> {
    if id.len() > MAX_ID || id.iter().all(|&byte| byte == 0) {
        return None;
    }
    let mut digits = [0; 2 * MAX_ID];
    for (digits, &byte) in digits.as_chunks_mut().0.iter_mut().zip(id) {
        *digits = pair(byte);
    }
    Some(Hex { digits, len: 2 * id.len() })
}

/// The digits of an id of this length; none if it is zero.
#[inline]
pub(crate) fn digits<const N: usize>(id: &[u8; N]) -> Option<[[u8; 2]; N]> {
    let mut digits = [[0; 2]; N];
    for (digits, &byte) in digits.iter_mut().zip(id) {
        *digits = pair(byte);
    }
    (*id != [0; N]).then_some(digits)
}

/// The digits of a byte. Arithmetic, and no table, so that a compiler can have those of several bytes computed at once.
#[inline]
fn pair(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|value| value + if value < 10 { b'0' } else { b'a' - 10 })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Ids are lower-hex with leading zeros; what tells no span is none.
    #[test]
    fn ids_are_lower_hex() {
        assert_eq!(text(&[0x00, 0xff, 0x0a, 0xb0]).unwrap().bytes(), b"00ff0ab0");
        assert!([&[0; 16][..], &[], &[1; 17]].into_iter().all(|id| text(id).is_none()));
        assert_eq!(digits(&[0x00, 0xff, 0x0a, 0xb0]).unwrap().as_flattened(), b"00ff0ab0");
        assert_eq!(digits(&[0; 8]), None);
    }
}
