//! Where the prices stand of provider and models that were looked for. Finding them is slow.

use std::hash::BuildHasher;

use genai::price::{PriceRef, Prices};
use hashbrown::HashTable;
use rapidhash::fast::RandomState;

/// Provider, request model and response model.
pub(crate) type Names<'a> = [&'a [u8]; 3];

/// How many are looked for. A peer that names ever new models must neither fill memory nor keep the applier looking: what
/// comes then has no price.
const MAX_KNOWN: usize = 4_096;

/// Longest names in bytes, together. What is longer is the name of no model.
const MAX_NAMES: usize = 1_024;

/// What was looked for. What has a price depends on it once there is too much, so it is part of the state.
#[derive(Debug, Default)]
pub(crate) struct KnownPrices {
    /// In the order in which they were looked for.
    known: Vec<Known>,
    /// Places in it, by the names.
    places: HashTable<u32>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Known {
    names: [Box<[u8]>; 3],
    price: Option<PriceRef>,
}

impl Known {
    fn names(&self) -> Names<'_> {
        self.names.each_ref().map(|name| &**name)
    }
}

impl KnownPrices {
    /// Where the prices of these names stand.
    pub(crate) fn find(&mut self, names: Names<'_>, prices: &Prices) -> Option<PriceRef> {
        let Self { known, places, hasher } = self;
        let at = |place: u32| known.get(place as usize);
        let hash = hasher.hash_one(names);
        if let Some(place) = places.find(hash, |place| at(*place).is_some_and(|known| known.names() == names)) {
            return at(*place)?.price;
        }
        if known.len() >= MAX_KNOWN || names.into_iter().map(<[u8]>::len).sum::<usize>() > MAX_NAMES {
            return None;
        }
        let place = known.len() as u32;
        places.insert_unique(hash, place, |place| at(*place).map_or(hash, |known| hasher.hash_one(known.names())));
        let [provider, request, response] = names.map(String::from_utf8_lossy);
        let price = prices.find(&provider, &request, &response);
        known.push(Known { names: names.map(Into::into), price });
        price
    }

    /// How many names were looked for.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// All names that were looked for, in this order, and what was found.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Names<'_>, Option<PriceRef>)> {
        self.known.iter().map(|known| (known.names(), known.price))
    }
}

#[cfg(test)]
mod tests {
    use genai::price::{Catalogue, Overrides};

    use super::*;

    // Names are looked for once, many of them and long ones not at all.
    #[test]
    fn what_is_looked_for_is_bounded() {
        let prices = Prices::new(Catalogue::builtin().unwrap(), Overrides::default());
        let mut known = KnownPrices::default();
        let found = known.find([b"openai", b"gpt-4o", b""], &prices);
        assert!(found.is_some());
        assert_eq!(known.find([b"openai", b"gpt-4o", &[b'x'; MAX_NAMES]], &prices), None);
        for number in 1..MAX_KNOWN {
            known.find([b"", number.to_string().as_bytes(), b""], &prices);
        }
        assert_eq!(known.find([b"openai", b"gpt-4.1", b""], &prices), None);
        assert_eq!(known.find([b"openai", b"gpt-4o", b""], &prices), found);
        assert_eq!((known.len(), known.iter().count()), (MAX_KNOWN, MAX_KNOWN));
    }
}
