//! A perfect hash over a fixed set of keys, made once from the tables.

/// Finds what a table says of a key with one probe.
///
/// A key is read as five words: its length, its first and its last sixteen bytes. Attribute keys differ there (a test asserts it
/// for the tables), and a key of up to 32 bytes is nothing but these words, so comparing them compares the key.
#[derive(Debug)]
pub(crate) struct Lookup<V> {
    entries: Vec<Entry<V>>,
    slots: Vec<u16>,
    seed: u64,
    shift: u32,
}

#[derive(Debug)]
struct Entry<V> {
    words: Words,
    key: &'static [u8],
    value: V,
}

const EMPTY: u16 = u16::MAX;
const SEEDS_PER_SIZE: u64 = 2_000;
/// A table this large and still no seed: keys that cannot be told apart. The first one keeps the slot.
const LARGEST: u32 = 18;

impl<V> Lookup<V> {
    /// Searches a seed under which no two keys share a slot, in a table that grows until there is one.
    pub(crate) fn new(rows: impl Iterator<Item = (&'static str, V)>) -> Self {
        let entry =
            |(key, value): (&'static str, V)| Entry { words: Words::of(key.as_bytes()), key: key.as_bytes(), value };
        let entries: Vec<Entry<V>> = rows.map(entry).collect();
        let mut bits = (entries.len().max(1) * 8).next_power_of_two().trailing_zeros().max(4);
        loop {
            for seed in 1..=SEEDS_PER_SIZE {
                let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
                if let Some(slots) = place(&entries, seed, 64 - bits, bits >= LARGEST) {
                    return Self { entries, slots, seed, shift: 64 - bits };
                }
            }
            bits += 1;
        }
    }

    /// What the table says of `key`.
    #[inline(always)]
    pub(crate) fn find(&self, key: &[u8]) -> Option<&V> {
        let words = Words::of(key);
        let slot = *self.slots.get((words.hash(self.seed) >> self.shift) as usize)?;
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

fn place<V>(entries: &[Entry<V>], seed: u64, shift: u32, keep_first: bool) -> Option<Vec<u16>> {
    let mut slots = vec![EMPTY; 1 << (64 - shift)];
    for (i, entry) in entries.iter().enumerate() {
        let slot = slots.get_mut((entry.words.hash(seed) >> shift) as usize)?;
        if *slot == EMPTY {
            *slot = u16::try_from(i).ok()?;
        } else if !keep_first {
            return None;
        }
    }
    Some(slots)
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
    fn hash(&self, seed: u64) -> u64 {
        // Both products mix upwards, and only their upper bits are used.
        let ends = (self.last[0] ^ seed).wrapping_mul(0x9fb2_1c65_1e98_df25);
        let rest = (self.last[1] ^ self.first[0].rotate_left(29) ^ self.len).wrapping_mul(seed);
        ends.wrapping_add(rest)
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
