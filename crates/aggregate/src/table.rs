//! A table of which one place or another is looked at, in no order.
//!
//! What that costs is waiting: for the memory of the place, and before that for the processor to find out where it lies. So a large table
//! lies in large pages, where the operating system has them, and a place can be fetched before it is needed. One without the other is of
//! little use: a fetch waits for the page to be found.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::fetch::fetch;

/// From this size on, in bytes, a table has pages of its own: the size of a large page.
const LARGE: usize = 2 << 20;

/// The table. It begins with zeros.
#[derive(Debug)]
pub(crate) enum Table<T> {
    Small(Vec<T>),
    Large(MmapMut),
}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Copy> Table<T> {
    pub(crate) fn new(places: usize) -> Self {
        let bytes = places.saturating_mul(size_of::<T>());
        if bytes >= LARGE
            && let Ok(pages) = MmapMut::map_anon(bytes)
        {
            // Without large pages it is slower, and nothing else.
            #[cfg(target_os = "linux")]
            let _ = pages.advise(memmap2::Advice::HugePage);
            return Self::Large(pages);
        }
        Self::Small(vec![T::new_zeroed(); places])
    }

    /// See [`fetch()`].
    #[inline]
    pub(crate) fn fetch(&self, place: usize) {
        self.get(place).into_iter().for_each(fetch);
    }
}

impl<T: FromBytes + Immutable + KnownLayout> Deref for Table<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match self {
            Self::Small(places) => places,
            Self::Large(pages) => <[T]>::ref_from_bytes(pages).unwrap_or_default(),
        }
    }
}

impl<T: FromBytes + IntoBytes + Immutable + KnownLayout> DerefMut for Table<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Small(places) => places,
            Self::Large(pages) => <[T]>::mut_from_bytes(pages).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Large or small, it begins with zeros, has as many places as it should, and keeps what is written into it.
    #[test]
    fn it_keeps_what_is_written() {
        for places in [0, 3, LARGE / 8 - 1, LARGE / 8, LARGE] {
            let mut table = Table::<u64>::new(places);
            assert_eq!(matches!(table, Table::Large(_)), places >= LARGE / 8);
            assert!(table.len() == places && table.iter().all(|place| *place == 0));
            table.iter_mut().zip(1..).for_each(|(place, number)| *place = number);
            table.fetch(places / 2);
            assert!(table.iter().copied().eq(1..=places as u64));
        }
    }
}
