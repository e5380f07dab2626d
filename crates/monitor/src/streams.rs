//! Where a call belongs, by what it says of itself. That is found once, and then remembered: it is no part of the state.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rapidhash::fast::RandomState;

use crate::call::Call;
use crate::canary::Side;

/// How many are remembered. When there are more, all are forgotten, and found again.
const MOST: usize = 8_192;

/// Everything that decides where a call belongs.
type Names<'a> = [&'a str; 8];

fn names<'a>(call: &Call<'a>) -> Names<'a> {
    [
        call.service,
        call.environment,
        call.provider,
        call.request_model,
        call.response_model,
        call.operation,
        call.service_version,
        call.server_address,
    ]
}

/// Where calls belong that say the same.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Place of the group in the history.
    pub(crate) group: u32,
    /// Places of monitors.
    pub(crate) monitors: Vec<u32>,
    /// Places of objectives.
    pub(crate) slos: Vec<u32>,
    /// Places of canaries, and which of the two it is.
    pub(crate) canaries: Vec<(u32, Side)>,
}

#[derive(Debug)]
struct Stream {
    names: [Box<str>; 8],
    place: usize,
}

impl Stream {
    fn names(&self) -> Names<'_> {
        self.names.each_ref().map(|name| &**name)
    }
}

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    places: Vec<Place>,
    streams: HashTable<Stream>,
    /// Numbers of places, by number of series; [`UNKNOWN`] of those that did not come yet.
    series: Vec<u32>,
    hasher: RandomState,
}

const UNKNOWN: u32 = u32::MAX;

impl Streams {
    /// The number of the place where a call belongs: as remembered, or as `find` finds.
    #[inline]
    pub(crate) fn place(&mut self, call: &Call<'_>, find: impl FnOnce() -> Place) -> usize {
        let names = names(call);
        let hash = self.hasher.hash_one(names);
        if let Some(known) = self.streams.find(hash, |stream| stream.names() == names) {
            return known.place;
        }
        if self.places.len() >= MOST {
            self.clear();
        }
        let place = self.places.len();
        self.places.push(find());
        let hasher = &self.hasher;
        let stream = Stream { names: names.map(Into::into), place };
        self.streams.insert_unique(hash, stream, |stream| hasher.hash_one(stream.names()));
        place
    }

    /// The number of the place where calls of a series belong, if one has come.
    #[inline]
    pub(crate) fn of_series(&self, series: u32) -> Option<usize> {
        let place = *self.series.get(series as usize)?;
        (place != UNKNOWN).then_some(place as usize)
    }

    /// Remembers where calls of a series belong.
    pub(crate) fn note_series(&mut self, series: u32, place: usize) {
        if self.series.len() <= series as usize {
            self.series.resize(series as usize + 1, UNKNOWN);
        }
        self.series[series as usize] = place as u32;
    }

    /// A place by its number.
    #[inline]
    pub(crate) fn get(&self, place: usize) -> &Place {
        &self.places[place]
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.places.clear();
        self.streams.clear();
        self.series.clear();
    }
}
