//! The distinct texts of a column chunk.

use hashbrown::HashTable;
use rapidhash::fast::RandomState;
use std::hash::BuildHasher;

use super::KEPT;

/// The distinct texts of a column chunk, numbered in order of appearance.
///
/// Texts come in patterns: nearly always the same one, or the same sequence of keys span after span. So what followed the last text is
/// looked at first and what followed that, then what was found lately under a hash that costs little; only another one is looked up.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    /// The dictionary page: each text behind its length of four bytes.
    page: Vec<u8>,
    entries: Vec<Entry>,
    numbers: HashTable<u32>,
    hasher: RandomState,
    last: u32,
    /// The text that is expected next: what followed the last one last time.
    expected: u32,
    /// Numbers by [`Dictionary::slot`].
    lately: Vec<u32>,
}

const SLOTS: usize = 64;

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where its bytes begin in the page.
    start: u32,
    len: u32,
    /// What followed it last time.
    next: u32,
}

impl Dictionary {
    /// The page of the texts, and their number.
    pub(crate) fn page(&self) -> (&[u8], usize) {
        (&self.page, self.entries.len())
    }

    /// Forgets them all. Its memory is kept, unless it is an exception.
    pub(crate) fn clear(&mut self) {
        let Self { page, entries, numbers, lately, last, expected, hasher: _ } = self;
        if page.capacity() > KEPT {
            *self = Self::default();
            return;
        }
        page.clear();
        entries.clear();
        numbers.clear();
        lately.clear();
        (*last, *expected) = (0, 0);
    }

    /// Number of texts.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The text with a number; empty if there is none.
    #[inline]
    pub(crate) fn text(&self, number: u32) -> &[u8] {
        self.entries.get(number as usize).map_or(&[], |entry| text(&self.page, *entry))
    }

    /// The number of a text, which gets one if it is new.
    #[inline]
    pub(crate) fn number(&mut self, wanted: &[u8]) -> u32 {
        let Some(expected) = self.entries.get(self.expected as usize) else { return self.find(wanted) };
        if same(text(&self.page, *expected), wanted) {
            self.last = self.expected;
            self.expected = expected.next;
            return self.last;
        }
        // Some keys are not always there: then the pattern stays as it is.
        match self.entries.get(expected.next as usize) {
            Some(following) if same(text(&self.page, *following), wanted) => {
                self.last = expected.next;
                self.expected = following.next;
                self.last
            }
            _ => self.find(wanted),
        }
    }

    fn find(&mut self, wanted: &[u8]) -> u32 {
        let slot = Self::slot(wanted);
        let lately = self.lately.get(slot).copied().unwrap_or_default();
        let number = match self.entries.get(lately as usize) {
            Some(entry) if same(text(&self.page, *entry), wanted) => lately,
            _ => {
                let number = self.look_up(wanted);
                self.lately.resize(SLOTS, 0);
                self.lately[slot] = number;
                number
            }
        };
        if let Some(last) = self.entries.get_mut(self.last as usize) {
            last.next = number;
        }
        self.last = number;
        self.expected = self.entries.get(number as usize).map_or(number, |entry| entry.next);
        number
    }

    /// A place for a text, of its ends and its length.
    #[inline]
    fn slot(text: &[u8]) -> usize {
        let ends = match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) => u64::from_le_bytes(*first).rotate_left(32) ^ u64::from_le_bytes(*last),
            _ => text.iter().fold(0, |packed, byte| packed << 8 | u64::from(*byte)),
        };
        let mixed = (ends ^ text.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> (u64::BITS - SLOTS.ilog2())) as usize
    }

    #[inline(never)]
    fn look_up(&mut self, wanted: &[u8]) -> u32 {
        let Self { page, entries, numbers, hasher, .. } = self;
        let hash = hasher.hash_one(wanted);
        let has_text = |number: &u32| entries.get(*number as usize).is_some_and(|entry| text(page, *entry) == wanted);
        match numbers.find(hash, has_text) {
            Some(&number) => number,
            None => self.insert(hash, wanted),
        }
    }

    fn insert(&mut self, hash: u64, new: &[u8]) -> u32 {
        // A text that is not UTF-8 stands there as it can be read; it is found under that.
        if let Err(_not_text) = std::str::from_utf8(new) {
            return self.look_up(String::from_utf8_lossy(new).as_bytes());
        }
        let Self { page, entries, numbers, hasher, .. } = self;
        let number = entries.len() as u32;
        page.extend_from_slice(&(new.len() as u32).to_le_bytes());
        // After the first text itself comes next, as of all columns most hold one text.
        entries.push(Entry { start: page.len() as u32, len: new.len() as u32, next: number });
        page.extend_from_slice(new);
        let hash_of = |number: &u32| {
            let entry = entries.get(*number as usize);
            hasher.hash_one(entry.map_or(&[][..], |entry| text(page, *entry)))
        };
        numbers.insert_unique(hash, number, hash_of);
        number
    }
}

/// Whether two texts are the same. Most are short, and a call takes longer than it takes to compare them.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    fn ends<const N: usize>(a: &[u8], b: &[u8]) -> bool {
        a.first_chunk::<N>() == b.first_chunk() && a.last_chunk::<N>() == b.last_chunk()
    }
    a.len() == b.len()
        && match a.len() {
            4..8 => ends::<4>(a, b),
            8..16 => ends::<8>(a, b),
            16..=32 => ends::<16>(a, b),
            _ => a == b,
        }
}

#[inline]
fn text(page: &[u8], entry: Entry) -> &[u8] {
    page.get(entry.start as usize..(entry.start + entry.len) as usize).unwrap_or_default()
}
