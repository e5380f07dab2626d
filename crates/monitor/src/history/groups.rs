//! The groups of calls of which a history is kept.

use std::hash::BuildHasher;

use hashbrown::HashTable;
use rapidhash::fast::RandomState;

use super::pack::Packer;
use super::rings::{Forgotten, LEVELS, Rings};
use super::stats::Stats;
use crate::call::Call;

/// Every value of the group that takes what is over the limit.
pub const REST: &str = "_OTHER";

/// By what calls are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// `service.name`.
    Service,
    /// `deployment.environment.name`.
    Environment,
    /// Canonical provider.
    Provider,
    /// The model key: see [`Call::model`].
    Model,
    /// `gen_ai.operation.name`.
    Operation,
}

impl Dimension {
    /// All of them, in the order of [`Dimensions`].
    pub const ALL: [Self; 5] = [Self::Service, Self::Environment, Self::Provider, Self::Model, Self::Operation];

    /// Its name in configuration and API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Environment => "environment",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Operation => "operation",
        }
    }
}

/// A value for each [`Dimension`], in their order.
pub type Dimensions<'a> = [&'a str; Dimension::ALL.len()];

/// The bounds of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryConfig {
    /// How many groups there may be, beside the one for the rest.
    pub groups: usize,
    /// Bytes that closed steps may take; those of monitors and canaries, which keep their own, as many again.
    pub memory: usize,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { groups: 2_000, memory: 128 << 20 }
    }
}

impl HistoryConfig {
    /// Bytes that the closed steps of a length may take. The longest are kept for the longest time.
    const fn share(&self, level: usize) -> usize {
        match level {
            0 | 1 => self.memory / 4,
            _ => self.memory / 2,
        }
    }
}

/// A group of calls.
#[derive(Debug)]
pub(super) struct Group {
    names: [Box<str>; Dimension::ALL.len()],
    pub(super) rings: Rings<Stats>,
}

impl Group {
    fn new(names: Dimensions<'_>) -> Self {
        Self { names: names.map(Into::into), rings: Rings::default() }
    }

    pub(super) fn names(&self) -> Dimensions<'_> {
        self.names.each_ref().map(|name| &**name)
    }
}

/// What was counted, by group and step.
#[derive(Debug)]
pub struct History {
    config: HistoryConfig,
    /// The group for the rest is the first.
    pub(super) groups: Vec<Group>,
    /// Places of the others, by their names.
    places: HashTable<u32>,
    hasher: RandomState,
    packer: Packer,
    pub(super) now: u64,
    /// When the newest steps ended that were forgotten for lack of memory.
    pub(super) forgotten: Forgotten,
    /// How often groups were forgotten: then places mean something else.
    generation: u64,
}

impl History {
    /// A history of nothing.
    pub fn new(config: HistoryConfig) -> Self {
        Self {
            config,
            groups: vec![Group::new([REST; 5])],
            places: HashTable::new(),
            hasher: RandomState::default(),
            packer: Packer::default(),
            now: 0,
            forgotten: Forgotten::default(),
            generation: 0,
        }
    }

    /// Adds a call that was counted at a time that is not before any other told.
    pub fn record(&mut self, at: u64, call: &Call<'_>) {
        let place = self.place(dimensions(call));
        self.record_at(place, at, call);
    }

    /// Adds a call to the group at a place.
    #[inline]
    pub(crate) fn record_at(&mut self, place: u32, at: u64, call: &Call<'_>) {
        self.now = self.now.max(at);
        if let Some(group) = self.groups.get_mut(place as usize) {
            group.rings.at(self.now, &mut self.packer).record(call);
        }
    }

    /// The place of a group, which stays so while [`History::generation`] does.
    pub(crate) fn place(&mut self, names: Dimensions<'_>) -> u32 {
        let hash = self.hasher.hash_one(names);
        let is_it = |place: &u32| self.groups.get(*place as usize).is_some_and(|group| group.names() == names);
        match self.places.find(hash, is_it) {
            Some(place) => *place,
            None if names == [REST; 5] => 0,
            None if self.groups.len() > self.config.groups => 0,
            None => self.insert(hash, Group::new(names)),
        }
    }

    fn insert(&mut self, hash: u64, group: Group) -> u32 {
        let place = self.groups.len() as u32;
        self.groups.push(group);
        let Self { places, groups, hasher, .. } = self;
        places.insert_unique(hash, place, |place| {
            groups.get(*place as usize).map_or(hash, |group| hasher.hash_one(group.names()))
        });
        place
    }

    /// Tells the time: steps that are over are closed, and what is too old or too much is forgotten.
    pub fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
        for group in &mut self.groups {
            group.rings.advance(self.now, &mut self.packer);
        }
        for level in 0..LEVELS.len() {
            self.make_room(level);
        }
        if self.groups.iter().skip(1).any(|group| group.rings.is_empty()) {
            self.forget_empty();
        }
    }

    fn make_room(&mut self, level: usize) {
        let mut memory: usize = self.groups.iter().map(|group| group.rings.memory(level)).sum();
        while memory > self.config.share(level) {
            let Some(oldest) = self.oldest(level) else { return };
            self.forgotten[level] = (u64::from(oldest) + 1) * LEVELS[level].step;
            for group in &mut self.groups {
                let before = group.rings.memory(level);
                group.rings.forget_before(level, oldest + 1);
                memory -= before - group.rings.memory(level);
            }
        }
    }

    fn forget_empty(&mut self) {
        let groups = std::mem::take(&mut self.groups);
        self.places.clear();
        self.generation += 1;
        for (place, group) in groups.into_iter().enumerate() {
            match place {
                0 => self.groups.push(group),
                _ if group.rings.is_empty() => {}
                _ => {
                    let hash = self.hasher.hash_one(group.names());
                    self.insert(hash, group);
                }
            }
        }
    }

    /// Number of the oldest closed step of a length.
    fn oldest(&self, level: usize) -> Option<u32> {
        self.groups.iter().filter_map(|group| group.rings.oldest(level)).min()
    }

    /// How many groups there are, beside the one for the rest.
    pub fn group_count(&self) -> usize {
        self.groups.len() - 1
    }

    /// Bytes that closed steps may take.
    pub fn most_memory(&self) -> usize {
        self.config.memory
    }

    /// Bytes that closed steps take.
    pub fn memory(&self) -> usize {
        let levels = 0..LEVELS.len();
        self.groups.iter().flat_map(|group| levels.clone().map(|level| group.rings.memory(level))).sum()
    }

    /// All groups, the one for the rest first.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (Dimensions<'_>, &Rings<Stats>)> {
        self.groups.iter().map(|group| (group.names(), &group.rings))
    }

    /// When the newest steps of each length ended that were forgotten for lack of memory.
    pub(crate) fn forgotten(&self) -> Forgotten {
        self.forgotten
    }

    /// Puts back the newest time told, and [`History::forgotten`]; tells whether it is that.
    pub(crate) fn restore_times(&mut self, now: u64, forgotten: &[u64]) -> bool {
        self.now = now;
        forgotten.try_into().map(|forgotten| self.forgotten = forgotten).is_ok()
    }

    /// Puts back a group, the one for the rest first; tells whether it is a new one. There may be more than are allowed now.
    pub(crate) fn restore_group(&mut self, names: Dimensions<'_>, rings: Rings<Stats>) -> bool {
        if names == [REST; 5] {
            self.groups[0].rings = rings;
            return self.groups.len() == 1;
        }
        let hash = self.hasher.hash_one(names);
        let is_it = |place: &u32| self.groups.get(*place as usize).is_some_and(|group| group.names() == names);
        let is_new = self.places.find(hash, is_it).is_none();
        if is_new {
            self.insert(hash, Group { rings, ..Group::new(names) });
        }
        is_new
    }

    /// See [`History::place`].
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }
}

/// The names of the group of a call.
pub(crate) fn dimensions<'a>(call: &Call<'a>) -> Dimensions<'a> {
    [call.service, call.environment, call.provider, call.model(), call.operation]
}
