//! A perfect hash over a fixed set of keys, made once from the tables.

/// Finds a key's position in the list it was built from with one probe and one comparison.
///
/// The fingerprint of a key is its length, its first eight and its last sixteen bytes: attribute keys differ there (a test
/// asserts it for the tables), and reading three words is cheaper than hashing forty bytes.
#[derive(Debug)]
pub(crate) struct Lookup {
    keys: Vec<&'static [u8]>,
    slots: Vec<u16>,
    seed: u64,
    shift: u32,
}

const EMPTY: u16 = u16::MAX;
const SEEDS_PER_SIZE: u64 = 2_000;

impl Lookup {
    /// Searches a seed under which no two keys share a slot, in a table that grows until there is one.
    pub(crate) fn new(keys: impl Iterator<Item = &'static str>) -> Self {
        let keys: Vec<&'static [u8]> = keys.map(str::as_bytes).collect();
        let mut bits = (keys.len().max(1) * 8).next_power_of_two().trailing_zeros().max(4);
        loop {
            let sparse_enough = bits >= 20;
            for seed in 1..=SEEDS_PER_SIZE {
                let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                if let Some(slots) = Self::place(&keys, seed, 64 - bits, sparse_enough) {
                    return Self { keys, slots, seed, shift: 64 - bits };
                }
            }
            bits += 1;
        }
    }

    fn place(keys: &[&'static [u8]], seed: u64, shift: u32, keep_first: bool) -> Option<Vec<u16>> {
        let mut slots = vec![EMPTY; 1 << (64 - shift)];
        for (i, key) in keys.iter().enumerate() {
            let slot = slots.get_mut((hash(key, seed) >> shift) as usize)?;
            if *slot == EMPTY {
                *slot = u16::try_from(i).ok()?;
            } else if !keep_first {
                return None;
            }
        }
        Some(slots)
    }

    /// The position of `key`, if it is one of the keys.
    #[inline(always)]
    pub(crate) fn find(&self, key: &[u8]) -> Option<usize> {
        let slot = *self.slots.get((hash(key, self.seed) >> self.shift) as usize)?;
        let index = usize::from(slot);
        (*self.keys.get(index)? == key).then_some(index)
    }
}

#[inline(always)]
fn hash(key: &[u8], seed: u64) -> u64 {
    let (first, middle, last) = fingerprint(key);
    let mixed = (first ^ seed).wrapping_mul(0x9fb2_1c65_1e98_df25)
        ^ (middle.rotate_left(23) ^ seed).wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
        ^ (last.rotate_left(41) ^ key.len() as u64).wrapping_mul(0x1656_67b1_9e37_79f9);
    (mixed ^ mixed >> 29).wrapping_mul(seed | 1)
}

#[inline(always)]
fn fingerprint(key: &[u8]) -> (u64, u64, u64) {
    if let (Some(first), Some(&[a, b, c, d, e, f, g, h, ref last @ ..])) =
        (key.first_chunk::<8>(), key.last_chunk::<16>())
    {
        let middle = [a, b, c, d, e, f, g, h];
        return (u64::from_le_bytes(*first), u64::from_le_bytes(middle), u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        return (u64::from_le_bytes(*first), 0, u64::from_le_bytes(*last));
    }
    (key.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 5] =
        ["", "a", "gen_ai.system", "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens"];

    // Every key is found at its place, and nothing else is found.
    #[test]
    fn finds_exactly_its_keys() {
        let lookup = Lookup::new(KEYS.into_iter());
        for (i, key) in KEYS.iter().enumerate() {
            assert_eq!(lookup.find(key.as_bytes()), Some(i), "{key}");
        }
        for stranger in ["b", "gen_ai.syste", "gen_ai.systems", "gen_ai.usage.cache_read-input_tokens"] {
            assert_eq!(lookup.find(stranger.as_bytes()), None, "{stranger}");
        }
    }
}
