//! Client retries: a request whose acknowledgement was lost is sent again, whole or in other batches.
//!
//! What was received is remembered by hashes of its content for a while of receive time, and so many of them at most. A span is a
//! repetition if its ids *and* all of its content were received before, its resource and scope included: ids alone are not unique
//! in the wild, and a span that tells more the second time is kept.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use rapidhash::fast::RandomState;

use crate::recent::{Live, Recent};
use crate::ring::Ring;

/// Entries for which the index is made as large as it can get before there are any.
const MOST_PREPARED: usize = 1 << 22;

/// How long retries are recognised.
#[derive(Debug, Clone, Copy)]
pub struct DuplicateSettings {
    /// Nanoseconds of receive time.
    pub window: u64,
    /// How many requests and spans are remembered at most: then the oldest are forgotten earlier.
    pub max_entries: usize,
}

/// What was received.
#[derive(Debug)]
pub(crate) struct Duplicates {
    settings: DuplicateSettings,
    /// Hashes in the order in which they came.
    hashes: Ring<u128>,
    /// The number of the first of them, counted from the first that ever came.
    first: u64,
    /// When they came: from which number on at which receive time.
    times: VecDeque<(u64, u64)>,
    /// From a hash to the low half of its number.
    numbers: Recent,
    /// Whether any were forgotten early.
    is_cut: bool,
    hasher: RandomState,
}

impl Duplicates {
    pub(crate) fn new(settings: DuplicateSettings) -> Self {
        // Numbers within the window are told apart by their low halves.
        let max_entries = settings.max_entries.min(u32::MAX as usize / 2);
        Self {
            settings: DuplicateSettings { max_entries, ..settings },
            hashes: Ring::new(),
            first: 0,
            times: VecDeque::new(),
            // As large as it can get: growing it with millions of hashes in it is a pause.
            numbers: Recent::new(max_entries.min(MOST_PREPARED)),
            is_cut: false,
            hasher: RandomState::default(),
        }
    }

    /// Says which hash is to be remembered soon: see [`Recent::approach`].
    pub(crate) fn approach(&self, hash: u128) {
        self.numbers.approach(self.hasher.hash_one(hash));
    }

    /// Remembers a hash, forgets what is older than the window, and tells whether it was received before.
    pub(crate) fn receive(&mut self, hash: u128, now: u64) -> bool {
        self.expire(now);
        !self.insert(hash, now)
    }

    /// Nanoseconds of receive time within which every retry is recognised.
    pub(crate) fn effective_window(&self, now: u64) -> u64 {
        match self.times.front() {
            Some((oldest, _)) if self.is_cut => now.saturating_sub(*oldest).min(self.settings.window),
            _ => self.settings.window,
        }
    }

    /// What is remembered, by the receive time at which it came, the oldest first.
    pub(crate) fn by_time(&self) -> impl Iterator<Item = (u64, impl Iterator<Item = u128>)> {
        let place = |number: u64| number.saturating_sub(self.first) as usize;
        let end = self.first + self.hashes.len() as u64;
        let ends = self.times.iter().skip(1).map(|(_, number)| *number).chain([end]);
        let ranges = self.times.iter().zip(ends);
        ranges.map(move |((time, from), to)| (*time, self.hashes.range(place(*from)..place(to)).copied()))
    }

    /// Whether any were forgotten before their time.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Remembers what a checkpoint tells; tells whether it is new.
    pub(crate) fn restore(&mut self, hash: u128, time: u64) -> bool {
        self.insert(hash, time)
    }

    pub(crate) fn restore_cut(&mut self, is_cut: bool) {
        self.is_cut |= is_cut;
    }

    /// Remembers a hash; tells whether it is new.
    fn insert(&mut self, hash: u128, now: u64) -> bool {
        let Self { hashes, first, numbers, hasher, .. } = self;
        let live = Live { first: *first as u32, len: hashes.len() as u32 };
        let at = |number: u32| hashes.get(number.wrapping_sub(live.first) as usize);
        let key = hasher.hash_one(hash);
        let number = *first + hashes.len() as u64;
        if numbers.find(key, live, |number| at(number) == Some(&hash)).is_some() {
            return false;
        }
        numbers.insert(key, number as u32, live, |number| at(number).map_or(key, |hash| hasher.hash_one(hash)));
        if self.times.back().is_none_or(|(time, _)| *time < now) {
            self.times.push_back((now, number));
        }
        self.hashes.push_back(hash);
        if self.hashes.len() > self.settings.max_entries {
            self.forget();
            self.is_cut = true;
        }
        true
    }

    /// Forgets what is older than the window.
    fn expire(&mut self, now: u64) {
        let window = self.settings.window;
        let is_old = |time: u64| time.saturating_add(window) < now;
        while self.times.front().is_some_and(|(time, _)| is_old(*time)) {
            self.times.pop_front();
            let newer = self.times.front().map_or(self.first + self.hashes.len() as u64, |(_, number)| *number);
            while self.first < newer {
                self.forget();
            }
            self.is_cut = false;
        }
    }

    /// Forgets the oldest.
    fn forget(&mut self) {
        self.hashes.leave_front();
        self.first += 1;
        if self.times.get(1).is_some_and(|(_, number)| *number <= self.first) {
            self.times.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn receive(duplicates: &mut Duplicates, hashes: &[u8], now: u64) -> Vec<bool> {
        // Each request is another one: only spans repeat.
        let request = u128::MAX - duplicates.first as u128 - duplicates.hashes.len() as u128;
        assert!(!duplicates.receive(request, now));
        hashes.iter().map(|hash| duplicates.receive(u128::from(*hash), now)).collect()
    }

    proptest! {
        // What is a repetition is what a plain list of the newest entries within the window says.
        #[test]
        fn it_is_what_a_list_says(requests in proptest::collection::vec((proptest::collection::vec(1..20_u8, 0..8), 0..30_u64), 1..60), max_entries in 1..30_usize) {
            let mut duplicates = Duplicates::new(DuplicateSettings { window: 100, max_entries });
            let mut list: VecDeque<(u64, Option<u8>)> = VecDeque::new();
            let mut now = 0;
            for (hashes, passed) in requests {
                now += passed;
                list.retain(|(time, _)| time + 100 >= now);
                let push = |list: &mut VecDeque<_>, hash| {
                    list.push_back((now, hash));
                    if list.len() > max_entries {
                        list.pop_front();
                    }
                };
                push(&mut list, None);
                let expected: Vec<bool> = hashes
                    .iter()
                    .map(|hash| {
                        let is_known = list.iter().any(|(_, known)| *known == Some(*hash));
                        if !is_known {
                            push(&mut list, Some(*hash));
                        }
                        is_known
                    })
                    .collect();
                prop_assert_eq!(receive(&mut duplicates, &hashes, now), expected);
                prop_assert_eq!(duplicates.hashes.len(), list.len());
                prop_assert!(duplicates.times.len() <= list.len() + 1);
            }
        }
    }

    // The effective window is the configured one until entries are forgotten early; then it is the age of the oldest.
    #[test]
    fn the_effective_window() {
        let mut duplicates = Duplicates::new(DuplicateSettings { window: 100, max_entries: 4 });
        receive(&mut duplicates, &[1], 10);
        assert_eq!(duplicates.effective_window(30), 100);
        receive(&mut duplicates, &[2], 20);
        receive(&mut duplicates, &[3], 30);
        assert_eq!(duplicates.effective_window(50), 30);
    }
}
