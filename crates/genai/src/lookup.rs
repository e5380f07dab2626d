//! A perfect hash over a fixed set of keys, made once from the tables.

/// Finds what a table says of a key with one probe.
///
/// A key is read as five words: its length, its first and its last sixteen bytes. Attribute keys differ there (a test asserts it
/// for the tables), and a key of up to 32 bytes is nothing but these words, so comparing them compares the key.
#[derive(Debug)]
pub(crate) struct Lookup<V> {
    entries: Vec<Entry<V>>,
    slots: Slots,
    seed: u64,
}

#[derive(Debug)]
struct Entry<V> {
    words: Words,
    key: &'static [u8],
    value: V,
}

/// The number of the entry of each hash. Of one size whatever the number of keys, so that finding a slot checks no bounds. A seed
/// gives `n` keys a slot each with a probability of about `exp(-n * n / 2^16)`: one in ten at 400 keys, one in 250 at 600.
type Slots = Box<[u16; 1 << HASH_BITS]>;

const HASH_BITS: u32 = 15;
const EMPTY: u16 = u16::MAX;
/// No seed among so many: keys that cannot be told apart. The first one of them keeps the slot.
const SEEDS: u64 = 100_000;

impl<V> Lookup<V> {
    /// Searches a seed under which no two keys share a slot.
    pub(crate) fn new(rows: impl Iterator<Item = (&'static str, V)>) -> Self {
        let entry =
            |(key, value): (&'static str, V)| Entry { words: Words::of(key.as_bytes()), key: key.as_bytes(), value };
        let entries: Vec<Entry<V>> = rows.map(entry).collect();
        let mut slots = Box::new([EMPTY; 1 << HASH_BITS]);
        let mut seed = 0;
        for candidate in 1..=SEEDS {
            seed = candidate.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            if place(&entries, seed, &mut slots) {
                break;
            }
        }
        Self { entries, slots, seed }
    }

    /// What the table says of `key`.
    #[inline(always)]
    pub(crate) fn find(&self, key: &[u8]) -> Option<&V> {
        let words = Words::of(key);
        let slot = *self.slots.get(words.hash(self.seed))?;
        let entry = self.entries.get(usize::from(slot))?;
        let is_same = entry.words == words && (words.len <= 32 || entry.key == key);
        is_same.then_some(&entry.value)
    }

    /// As [`Self::find`], for keys that are all in lower case, whatever case `text` is in.
    #[inline(never)]
    pub(crate) fn find_ignoring_case(&self, text: &[u8]) -> Option<&V> {
        self.find(text).or_else(|| self.find_lowered(text))
    }

    #[cold]
    fn find_lowered(&self, text: &[u8]) -> Option<&V> {
        let mut lower = [0; 32];
        let lower = lower.get_mut(..text.len())?;
        lower.copy_from_slice(text);
        lower.make_ascii_lowercase();
        self.find(lower)
    }
}

/// Gives each entry its slot; tells whether each has its own. The first one keeps a slot that two would have.
fn place<V>(entries: &[Entry<V>], seed: u64, slots: &mut Slots) -> bool {
    slots.fill(EMPTY);
    let mut is_perfect = true;
    for (number, entry) in (0..EMPTY).zip(entries) {
        match slots.get_mut(entry.words.hash(seed)) {
            Some(slot) if *slot == EMPTY => *slot = number,
            _ => is_perfect = false,
        }
    }
    is_perfect
}

/// What a key is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Words {
    len: u64,
    first: [u64; 2],
    last: [u64; 2],
}

impl Words {
    #[inline(always)]
    fn of(key: &[u8]) -> Self {
        let len = key.len() as u64;
        if let (Some(first), Some(last)) = (key.first_chunk::<16>(), key.last_chunk::<16>()) {
            return Self { len, first: pair(first), last: pair(last) };
        }
        if let (Some(first), Some(last)) = (key.first_chunk::<8>(), key.last_chunk::<8>()) {
            return Self { len, first: [u64::from_le_bytes(*first), 0], last: [u64::from_le_bytes(*last), 0] };
        }
        if let (Some(first), Some(last)) = (key.first_chunk::<4>(), key.last_chunk::<4>()) {
            let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
            return Self { len, first: [first.into(), 0], last: [last.into(), 0] };
        }
        let word = key.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
        Self { len, first: [word, 0], last: [0, 0] }
    }

    #[inline(always)]
    fn hash(&self, seed: u64) -> usize {
        let ends = self.last[0] ^ self.last[1].rotate_left(17) ^ self.first[0].rotate_left(29) ^ self.len;
        // The product mixes upwards, and only its upper bits are used.
        (ends.wrapping_mul(seed) >> (u64::BITS - HASH_BITS)) as usize
    }
}

#[inline(always)]
fn pair(bytes: &[u8; 16]) -> [u64; 2] {
    let [low, high] = [u128::from_le_bytes(*bytes) as u64, (u128::from_le_bytes(*bytes) >> 64) as u64];
    [low, high]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 5] =
        ["", "a", "gen_ai.system", "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"];

    // Every key is found at its place, and nothing else is found.
    #[test]
    fn finds_exactly_its_keys() {
        let lookup = Lookup::new(KEYS.into_iter().zip(0..));
        for (i, key) in KEYS.iter().enumerate() {
            assert_eq!(lookup.find(key.as_bytes()), Some(&i), "{key}");
        }
        assert_eq!(lookup.find_ignoring_case(b"Gen_AI.System"), Some(&2));
        for stranger in ["b", "gen_ai.syste", "gen_ai.systems", "gen_ai.usage.cache_read-input_tokens"] {
            assert_eq!(lookup.find(stranger.as_bytes()), None, "{stranger}");
        }
    }
}
