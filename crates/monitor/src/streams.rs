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
    place: Place,
}

impl Stream {
    fn names(&self) -> Names<'_> {
        self.names.each_ref().map(|name| &**name)
    }
}

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    streams: HashTable<Stream>,
    hasher: RandomState,
}

impl Streams {
    /// Where a call belongs: as remembered, or as `find` finds.
    #[inline]
    pub(crate) fn place(&mut self, call: &Call<'_>, find: impl FnOnce() -> Place) -> &Place {
        let names = names(call);
        let hash = self.hasher.hash_one(names);
        if self.streams.len() >= MOST && self.streams.find(hash, |stream| stream.names() == names).is_none() {
            self.clear();
        }
        let hasher = &self.hasher;
        let entry =
            self.streams.entry(hash, |stream| stream.names() == names, |stream| hasher.hash_one(stream.names()));
        let found = entry.or_insert_with(|| Stream { names: names.map(Into::into), place: find() });
        &found.into_mut().place
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.streams.clear();
    }
}
