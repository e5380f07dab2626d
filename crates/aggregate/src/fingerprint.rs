//! What makes two failures the same: their kind and message without what differs from one to the next.

use genai::ErrorClass;
use rapidhash::v3::rapidhash_v3;

/// How much of a message is looked at.
const LOOKED_AT: usize = 512;

/// The fingerprint of a failure: class, raw type and message, where every run of characters with a digit in it (ids, numbers,
/// addresses, times) counts as one placeholder. Stable across versions and machines.
pub(crate) fn fingerprint(class: ErrorClass, kind: &str, message: &str) -> u64 {
    let mut text = String::with_capacity(64 + message.len().min(LOOKED_AT));
    text.push_str(class.name());
    text.push('\n');
    text.push_str(kind);
    text.push('\n');
    normalise(message, &mut text);
    rapidhash_v3(text.as_bytes())
}

fn normalise(message: &str, into: &mut String) {
    let mut end = message.len().min(LOOKED_AT);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let looked_at = message.get(..end).unwrap_or_default();
    let is_part_of_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    let mut rest = looked_at;
    while let Some(first) = rest.chars().next() {
        let length = match is_part_of_word(first) {
            true => rest.find(|c| !is_part_of_word(c)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (word, after) = rest.split_at(length);
        // A short number at the end of a word is an id, too; a word that merely holds one is best seen as one.
        if word.contains(|c: char| c.is_ascii_digit()) {
            into.push('#')
        } else {
            into.push_str(word)
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        fingerprint(ErrorClass::Other, "E", a) == fingerprint(ErrorClass::Other, "E", b)
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
