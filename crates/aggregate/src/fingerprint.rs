//! What makes two failures the same: their kind and message without what differs from one to the next.

use genai::ErrorClass;
use rapidhash::v3::rapidhash_v3;

/// How much of a message is looked at.
const LOOKED_AT: usize = 512;

/// The fingerprint of a failure: class, raw type and message, where every run of characters with a digit in it (ids, numbers,
/// addresses, times) counts as one placeholder. Stable across versions and machines.
pub(crate) fn fingerprint(class: ErrorClass, kind: &str, message: &str) -> u64 {
    let mut text = Vec::with_capacity(64 + kind.len() + message.len().min(LOOKED_AT));
    text.extend_from_slice(class.name().as_bytes());
    text.push(b'\n');
    text.extend_from_slice(kind.as_bytes());
    text.push(b'\n');
    normalise(message, &mut text);
    rapidhash_v3(&text)
}

fn normalise(message: &str, into: &mut Vec<u8>) {
    let mut end = message.len().min(LOOKED_AT);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let mut rest = message.get(..end).unwrap_or_default();
    while !rest.is_empty() {
        let (word, after) = rest.split_at(word_length(rest));
        let (between, after) = after.split_at(after.chars().next().map_or(0, char::len_utf8));
        // A short number at the end of a word is an id, too; a word that merely holds one is best seen as one.
        if word.bytes().any(|byte| byte.is_ascii_digit()) {
            into.push(b'#');
        } else {
            into.extend_from_slice(word.as_bytes());
        }
        into.extend_from_slice(between.as_bytes());
        rest = after;
    }
}

/// Length of the word that a text begins with, in bytes.
fn word_length(text: &str) -> usize {
    // Most messages are ASCII, and looking characters up is slow.
    let is_in_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':');
    let length = text.bytes().position(|byte| !is_in_word(&byte)).unwrap_or(text.len());
    if text.as_bytes().get(length).is_none_or(u8::is_ascii) {
        return length;
    }
    let is_in_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    text.find(|c| !is_in_word(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINGERPRINTS: [u64; 3] = [15_142_003_947_537_549_222, 17_321_524_797_503_930_483, 18_365_644_165_989_239_982];

    fn same(a: &str, b: &str) -> bool {
        fingerprint(ErrorClass::Other, "E", a) == fingerprint(ErrorClass::Other, "E", b)
    }

    // Checkpoints hold fingerprints: they stay what they were.
    #[test]
    fn fingerprints_stay() {
        let of = |message| fingerprint(ErrorClass::RateLimited, "RateLimitError", message);
        assert_eq!(
            [of("limit of org-a1 reached, retry in 2.5s"), of("größe 12 überschritten – nächste"), of("")],
            FINGERPRINTS
        );
    }

    // Ids, numbers and addresses do not separate failures; words, types and classes do.
    #[test]
    fn ignores_what_differs_each_time() {
        assert!(same(
            "rate limit for org-a1b2c3 at 10:03:07, try in 2.5s",
            "rate limit for org-ffff99 at 23:59:59, try in 11s"
        ));
        assert!(same("connect to 10.0.0.1:443 failed (0x7fff)", "connect to 192.168.1.77:8443 failed (0x1a2b)"));
        assert!(!same("model not found", "model not ready"));
        assert_ne!(fingerprint(ErrorClass::Other, "A", "x"), fingerprint(ErrorClass::Other, "B", "x"));
        assert_ne!(fingerprint(ErrorClass::Other, "A", "x"), fingerprint(ErrorClass::Timeout, "A", "x"));
    }
}
