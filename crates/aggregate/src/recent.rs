//! From a key to the newest place of a queue that has it. What has left the queue is forgotten by itself.
//!
//! Most of what holding spans costs is waiting for memory, so a look costs one line of the processor's cache and forgetting costs none: an
//! entry whose place has left the queue is no entry, and is written over by the next one that needs its room.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::table::Table;

/// Entries of a bucket, which fills a line of the cache.
const SLOTS: usize = 8;
/// Entries of a bucket that are used on average, at most: then few buckets are full.
const USED: usize = 5;

/// The places that are in the queue. They wrap around, and are fewer than half of all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live {
    pub(crate) first: u32,
    pub(crate) len: u32,
}

impl Live {
    fn has(self, place: u32) -> bool {
        self.age(place) < self.len
    }

    /// The larger, the newer.
    fn age(self, place: u32) -> u32 {
        place.wrapping_sub(self.first)
    }
}

/// The index. Its owner knows the keys: it compares them, and tells their hashes.
#[derive(Debug)]
pub(crate) struct Recent {
    buckets: Table<Bucket>,
}

#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
struct Bucket {
    places: [u32; SLOTS],
    /// A part of the hash of each entry; zero where there never was one.
    tags: [u16; SLOTS],
    /// The newest place that found this bucket full, and went on to the next.
    passed: u32,
    /// Whether there was one: 0 or 1.
    has_passed: u32,
    /// Nothing: so that the line has no bytes of which nobody knows what they are, and can be made of bytes.
    rest: [u32; 2],
}

impl Bucket {
    fn is_passed(&self, live: Live) -> bool {
        self.has_passed != 0 && live.has(self.passed)
    }

    fn pass(&mut self, place: u32, live: Live) {
        if !self.is_passed(live) || live.age(self.passed) < live.age(place) {
            (self.passed, self.has_passed) = (place, 1);
        }
    }

    /// The slot of an entry.
    #[inline]
    fn find(&self, tag: u16, live: Live, has_key: impl Fn(u32) -> bool) -> Option<usize> {
        // All tags are compared at once: a bit for each that is the same.
        let mut same = bits(|slot| self.tags[slot] == tag);
        while same != 0 {
            let slot = same.trailing_zeros() as usize;
            let place = self.places[slot];
            if live.has(place) && has_key(place) {
                return Some(slot);
            }
            same &= same - 1;
        }
        None
    }

    /// A slot without an entry.
    #[inline]
    fn free(&self, live: Live) -> Option<usize> {
        let free = bits(|slot| self.tags[slot] == 0 || !live.has(self.places[slot]));
        (free != 0).then(|| free.trailing_zeros() as usize)
    }
}

/// A bit for each slot of which something is true. Written so that all are looked at at once.
#[inline(always)]
fn bits(is_set: impl Fn(usize) -> bool) -> u32 {
    let mut bits = [0; SLOTS];
    for (slot, bit) in bits.iter_mut().enumerate() {
        *bit = if is_set(slot) { 1 << slot } else { 0 };
    }
    bits.iter().sum()
}

impl Recent {
    /// An index that need not grow until the queue has more places than that.
    pub(crate) fn new(places: usize) -> Self {
        Self { buckets: Table::new(places / USED + 1) }
    }

    /// Memory that a place in the queue takes here, in bytes.
    pub(crate) const BYTES_A_PLACE: usize = size_of::<Bucket>() / USED;

    fn start(&self, hash: u64) -> usize {
        // The high half of the product: the bucket, without a division.
        ((u128::from(hash) * self.buckets.len() as u128) >> 64) as usize
    }

    fn tag(hash: u64) -> u16 {
        hash as u16 | 1
    }

    fn next(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets.len() { 0 } else { bucket + 1 }
    }

    /// Fetches the place where a hash is going to be looked for.
    pub(crate) fn approach(&self, hash: u64) {
        self.buckets.fetch(self.start(hash));
    }

    /// The newest place that has a key.
    pub(crate) fn find(&self, hash: u64, live: Live, has_key: impl Fn(u32) -> bool) -> Option<u32> {
        let (bucket, slot) = self.locate(hash, live, has_key)?;
        Some(self.buckets[bucket].places[slot])
    }

    /// Bucket and slot of a key.
    #[inline]
    fn locate(&self, hash: u64, live: Live, has_key: impl Fn(u32) -> bool) -> Option<(usize, usize)> {
        let (mut at, tag) = (self.start(hash), Self::tag(hash));
        for _ in 0..self.buckets.len() {
            let bucket = self.buckets.get(at)?;
            if let Some(slot) = bucket.find(tag, live, &has_key) {
                return Some((at, slot));
            }
            if !bucket.is_passed(live) {
                return None;
            }
            at = self.next(at);
        }
        None
    }

    /// Makes a place the newest that has its key, and gives the one that was it before, which must be older. `hash_of` tells the hash of
    /// a place.
    pub(crate) fn put(
        &mut self,
        hash: u64,
        place: u32,
        live: Live,
        has_key: impl Fn(u32) -> bool,
        hash_of: impl Fn(u32) -> u64,
    ) -> Option<u32> {
        let Some((found, slot)) = self.locate(hash, live, has_key) else {
            self.insert(hash, place, live, hash_of);
            return None;
        };
        // It went on to where it is from here.
        let mut at = self.start(hash);
        while at != found {
            self.buckets[at].pass(place, live);
            at = self.next(at);
        }
        Some(std::mem::replace(&mut self.buckets[found].places[slot], place))
    }

    /// The same for a key that no place has.
    pub(crate) fn insert(&mut self, hash: u64, place: u32, live: Live, hash_of: impl Fn(u32) -> u64) {
        if live.len as usize > self.buckets.len() * USED {
            self.grow(live, hash_of);
        }
        self.write(hash, place, live);
    }

    #[inline]
    fn write(&mut self, hash: u64, place: u32, live: Live) {
        let (mut at, tag) = (self.start(hash), Self::tag(hash));
        for _ in 0..self.buckets.len() {
            let next = self.next(at);
            let Some(bucket) = self.buckets.get_mut(at) else { return };
            if let Some(slot) = bucket.free(live) {
                (bucket.tags[slot], bucket.places[slot]) = (tag, place);
                return;
            }
            bucket.pass(place, live);
            at = next;
        }
    }

    #[cold]
    fn grow(&mut self, live: Live, hash_of: impl Fn(u32) -> u64) {
        let new = Table::new(self.buckets.len() * 2);
        let old = std::mem::replace(&mut self.buckets, new);
        let entries = old.iter().flat_map(|bucket| bucket.tags.into_iter().zip(bucket.places));
        let mut places: Vec<u32> =
            entries.filter(|(tag, place)| *tag != 0 && live.has(*place)).map(|(_, place)| place).collect();
        places.sort_unstable_by_key(|place| live.age(*place));
        places.into_iter().for_each(|place| self.write(hash_of(place), place, live));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use proptest::prelude::*;

    use super::*;

    /// Few hashes, so that buckets overflow.
    fn hash(key: u8) -> u64 {
        u64::from(key % 5) << 61 | u64::from(key)
    }

    proptest! {
        // Whatever comes and goes, and however late it is put in, the index finds the newest place in the queue that has a key, and nothing
        // that has left.
        #[test]
        fn it_finds_what_a_plain_queue_holds(steps in proptest::collection::vec((0..60_u8, 0..3_usize, 0..4_u8), 1..400), places in 0..40_usize, first: u32) {
            let mut recent = Recent::new(places);
            let (mut queue, mut waiting) = (VecDeque::new(), VecDeque::new());
            let mut first = first;
            let mut newest = BTreeMap::new();
            for (key, leave, late) in steps {
                let place = first.wrapping_add(queue.len() as u32);
                queue.push_back(key);
                waiting.push_back(place);
                let key_of = |place: u32| queue.get(place.wrapping_sub(first) as usize).copied();
                let live = Live { first, len: queue.len() as u32 };
                // Those of one key in their order, others in any.
                while waiting.len() > usize::from(late) {
                    let place = if late == 2 { waiting.pop_back() } else { waiting.pop_front() }.unwrap();
                    let Some(key) = key_of(place) else { continue };
                    let known = newest.get(&key).copied().filter(|known: &u32| key_of(*known) == Some(key));
                    if known.is_some_and(|known| live.age(known) > live.age(place)) {
                        continue;
                    }
                    let before = recent.put(hash(key), place, live, |place| key_of(place) == Some(key), |place| key_of(place).map_or(0, hash));
                    prop_assert_eq!(before, known);
                    newest.insert(key, place);
                }
                for _ in 0..leave.min(queue.len()) {
                    queue.pop_front();
                    first = first.wrapping_add(1);
                }
                let live = Live { first, len: queue.len() as u32 };
                let key_of = |place: u32| queue.get(place.wrapping_sub(first) as usize).copied();
                for key in 0..60 {
                    let known = newest.get(&key).copied().filter(|known| key_of(*known) == Some(key));
                    prop_assert_eq!(recent.find(hash(key), live, |place| key_of(place) == Some(key)), known);
                }
            }
        }
    }
}
