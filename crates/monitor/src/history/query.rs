//! What a history is asked.

use std::collections::BTreeMap;

use super::groups::{Dimension, Dimensions, Group, History, REST};
use super::rings::{Cell, LEVELS, Rings, is_kept};
use super::stats::Stats;
use crate::time::{Range, floor};

/// Which groups a question is about: for each dimension that it names, one of the values it names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Dimensions and accepted values. A dimension may stand several times: then one of all its values is accepted.
    pub accepted: Vec<(Dimension, String)>,
}

impl Filter {
    fn accepts(&self, names: Dimensions<'_>) -> bool {
        Dimension::ALL.into_iter().zip(names).all(|(dimension, name)| {
            let mut values = self.accepted.iter().filter(|(of, _)| *of == dimension).map(|(_, value)| value).peekable();
            values.peek().is_none() || values.any(|value| value == name)
        })
    }
}

/// A question about a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The time.
    pub range: Range,
    /// How long steps shall be. They are longer if so short ones are not kept for the range.
    pub step: u64,
    /// Which groups.
    pub filter: Filter,
    /// Dimensions that make a series each; none for one series of everything.
    pub group_by: Vec<Dimension>,
    /// How many series there may be. Those with the fewest requests beyond it are added up in one whose values are [`REST`].
    pub limit: usize,
}

/// What a history answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How long the steps are.
    pub step: u64,
    /// The range in whole steps. The newest step may not be over.
    pub range: Range,
    /// One series for each combination of the dimensions asked for, the one with the most requests first.
    pub series: Vec<Series>,
}

/// What was counted of one combination of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// The values of the dimensions asked for, in their order.
    pub names: Vec<String>,
    /// Steps in which anything was counted, in their order.
    pub points: Vec<Point>,
    /// All of them together.
    pub total: Stats,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// When it begins.
    pub begin: u64,
    /// What was counted in it.
    pub stats: Stats,
}

/// By what groups are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Calls.
    Requests,
    /// Failed calls.
    Errors,
    /// Tokens.
    Tokens,
    /// Pico-dollars.
    Cost,
}

impl Measure {
    /// How much of it there was.
    pub fn of(self, stats: &Stats) -> i128 {
        match self {
            Self::Requests => stats.requests.into(),
            Self::Errors => stats.failed().into(),
            Self::Tokens => stats.total_tokens().into(),
            Self::Cost => stats.cost.pico(),
        }
    }
}

/// A question about a time that is asked in several ways at once, and answered part by part: whoever asks can let others in between.
#[derive(Debug)]
pub struct Scan {
    range: Range,
    step: u64,
    filter: Filter,
    ways: Vec<Way>,
    /// Where it is; `None` before the first part.
    place: Option<Place>,
}

/// The dimensions that make a series, and what was found of each.
#[derive(Debug)]
struct Way {
    group_by: Vec<Dimension>,
    series: BTreeMap<Vec<String>, BTreeMap<u64, Stats>>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    level: usize,
    step: u64,
    range: Range,
    /// The generation of the groups, and the next of them.
    generation: u64,
    next: usize,
}

impl Scan {
    /// Asks what was counted in a time, with a series for each combination of the dimensions of each of the `ways`.
    pub fn new(range: Range, step: u64, filter: Filter, ways: &[&[Dimension]]) -> Self {
        let way = |group_by: &&[Dimension]| Way { group_by: group_by.to_vec(), series: BTreeMap::new() };
        Self { range, step, filter, ways: ways.iter().map(way).collect(), place: None }
    }

    /// Goes on with some more groups, until about so many steps are read; tells whether all groups are. If groups were forgotten
    /// since the last part, it begins anew.
    pub fn advance(&mut self, history: &History, steps: usize) -> bool {
        let generation = history.generation();
        let known = self.place.filter(|place| place.generation == generation);
        let mut place = known.unwrap_or_else(|| {
            self.ways.iter_mut().for_each(|way| way.series.clear());
            history.begin(self.range, self.step)
        });
        let mut read = 0;
        while let Some(group) = history.groups.get(place.next).filter(|_| read < steps) {
            place.next += 1;
            if self.filter.accepts(group.names()) {
                for way in &mut self.ways {
                    let points = way.series.entry(names(group, &way.group_by)).or_default();
                    read += add_points(&group.rings, place.level, place.range, place.step, points);
                }
            }
        }
        self.place = Some(place);
        place.next >= history.groups.len()
    }

    /// What was found: an answer for each of the ways, with all of its series.
    pub fn answers(self) -> Vec<Answer> {
        let (step, range) = self.place.map_or((self.step.max(1), self.range), |place| (place.step, place.range));
        let answer = |way: Way| {
            let found = way.series.into_iter().filter(|(_, points)| !points.is_empty());
            let mut series: Vec<Series> = found.map(|(names, points)| Series::new(names, points)).collect();
            series.sort_by_key(|series| std::cmp::Reverse(series.total.requests));
            Answer { step, range, series }
        };
        self.ways.into_iter().map(answer).collect()
    }
}

impl Answer {
    /// The series with the most requests, and the others as one.
    pub fn limited(mut self, limit: usize) -> Self {
        if self.series.len() > limit {
            let others = self.series.split_off(limit);
            let names = others.first().map(|other| vec![REST.to_owned(); other.names.len()]).unwrap_or_default();
            self.series.push(Series::sum(names, &others));
        }
        self
    }

    /// All series as one that has no names; none, if there are none.
    pub fn together(&self) -> Self {
        let all = (!self.series.is_empty()).then(|| Series::sum(Vec::new(), &self.series));
        Self { series: all.into_iter().collect(), ..*self }
    }

    /// What all series add up to.
    pub fn total(&self) -> Stats {
        sum(self.series.iter().map(|series| &series.total))
    }
}

impl Series {
    fn new(names: Vec<String>, points: BTreeMap<u64, Stats>) -> Self {
        let points: Vec<Point> = points.into_iter().map(|(begin, stats)| Point { begin, stats }).collect();
        let total = sum(points.iter().map(|point| &point.stats));
        Self { names, points, total }
    }

    fn sum(names: Vec<String>, series: &[Self]) -> Self {
        let mut points = BTreeMap::<u64, Stats>::new();
        for Point { begin, stats } in series.iter().flat_map(|series| &series.points) {
            points.entry(*begin).or_default().merge(stats);
        }
        Self::new(names, points)
    }
}

impl History {
    /// Answers a question.
    pub fn query(&self, query: &Query) -> Answer {
        let mut scan = Scan::new(query.range, query.step, query.filter.clone(), &[&query.group_by]);
        scan.advance(self, usize::MAX);
        scan.answers().swap_remove(0).limited(query.limit)
    }

    /// Where the answer to a question about a time begins.
    fn begin(&self, range: Range, step: u64) -> Place {
        let (level, step) = level_and_step(range.from, step, |level, from| self.holds(level, from));
        let to = range.to.min(self.now.max(range.from).saturating_add(1));
        let range = Range { from: floor(range.from, step), to: to.next_multiple_of(step) };
        Place { level, step, range, generation: self.generation(), next: 0 }
    }

    /// What was counted in a time.
    pub fn totals(&self, range: Range, filter: &Filter) -> Stats {
        let level = self.level_for(range);
        let mut total = Stats::default();
        for group in self.groups_of(filter) {
            group.rings.sum(level, self.whole_steps(level, range), &mut total);
        }
        total
    }

    /// The combinations of values of which most was counted in a time.
    pub fn top(&self, range: Range, filter: &Filter, by: &[Dimension], measure: Measure, limit: usize) -> Vec<Series> {
        let level = self.level_for(range);
        let mut totals = BTreeMap::<Vec<String>, Stats>::new();
        for group in self.groups_of(filter) {
            let total = totals.entry(names(group, by)).or_default();
            group.rings.sum(level, self.whole_steps(level, range), total);
        }
        let mut totals: Vec<_> = totals.into_iter().filter(|(_, total)| *total != Stats::default()).collect();
        totals.sort_by_key(|(_, total)| std::cmp::Reverse(measure.of(total)));
        totals.truncate(limit);
        totals.into_iter().map(|(names, total)| Series { names, points: Vec::new(), total }).collect()
    }

    /// The values of a dimension that are known, in their order.
    pub fn values(&self, dimension: Dimension) -> Vec<&str> {
        let known = self.groups.iter().filter(|group| !group.rings.is_empty());
        let mut values: Vec<&str> = known.map(|group| group.names()[dimension as usize]).collect();
        values.sort_unstable();
        values.dedup();
        values
    }

    /// How many values of a dimension calls had since a time, which is not long ago: an hour at most.
    pub(crate) fn seen_since(&self, dimension: Dimension, since: u64) -> usize {
        let is_seen = |group: &&Group| group.rings.newest().is_some_and(|newest| newest >= since);
        let mut values: Vec<&str> =
            self.groups.iter().filter(is_seen).map(|group| group.names()[dimension as usize]).collect();
        values.sort_unstable();
        values.dedup();
        values.retain(|value| !value.is_empty() && *value != REST);
        values.len()
    }

    /// From when on everything that was told is known in steps of this length or longer ones: less than for which they are
    /// kept, if memory was short.
    pub fn reaches_back_to(&self, step: u64) -> u64 {
        let level = LEVELS.iter().position(|level| level.step >= step).unwrap_or(LEVELS.len() - 1);
        self.now.saturating_sub(LEVELS[level].kept).max(self.forgotten[level])
    }

    fn groups_of<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a Group> {
        self.groups.iter().filter(|group| filter.accepts(group.names()))
    }

    /// The shortest steps that are kept for all of a range.
    fn level_for(&self, range: Range) -> usize {
        let holds = |level: &usize| self.holds(*level, floor(range.from, LEVELS[*level].step));
        (0..LEVELS.len()).find(holds).unwrap_or(LEVELS.len() - 1)
    }

    /// Whether steps of a length are kept from a time on.
    fn holds(&self, level: usize, from: u64) -> bool {
        is_kept(level, self.now, from) && self.forgotten[level] <= from
    }

    fn whole_steps(&self, level: usize, range: Range) -> Range {
        Range { from: floor(range.from, LEVELS[level].step), to: range.to }
    }
}

/// Adds the steps of a range; tells how many were read.
fn add_points(rings: &Rings<Stats>, level: usize, range: Range, step: u64, points: &mut BTreeMap<u64, Stats>) -> usize {
    let mut read = 0;
    rings.each(level, range, |begin, stats| {
        stats.add_to(points.entry(floor(begin, step)).or_default());
        read += 1;
    });
    read
}

/// The step asked for in whole steps of those that are kept from a time on, and the longest of them that it can be made of.
fn level_and_step(from: u64, step: u64, holds: impl Fn(usize, u64) -> bool) -> (usize, u64) {
    let whole = |level: usize| step.max(1).next_multiple_of(LEVELS[level].step);
    let shortest =
        (0..LEVELS.len()).find(|level| holds(*level, floor(from, whole(*level)))).unwrap_or(LEVELS.len() - 1);
    let step = whole(shortest);
    let fits = |level: &usize| step.is_multiple_of(LEVELS[*level].step) && holds(*level, floor(from, step));
    ((shortest..LEVELS.len()).rfind(fits).unwrap_or(shortest), step)
}

/// What was recorded in a range, in steps of this length, or of a longer one if so short ones are not kept for it.
pub(crate) fn points(rings: &Rings<Stats>, now: u64, range: Range, step: u64) -> Vec<Point> {
    let (level, step) = level_and_step(range.from, step, |level, from| is_kept(level, now, from));
    let mut points = BTreeMap::new();
    add_points(rings, level, Range { from: floor(range.from, step), to: range.to }, step, &mut points);
    points.into_iter().map(|(begin, stats)| Point { begin, stats }).collect()
}

fn names(group: &Group, dimensions: &[Dimension]) -> Vec<String> {
    let names = group.names();
    dimensions.iter().map(|dimension| names[*dimension as usize].to_owned()).collect()
}

fn sum<'a>(all: impl Iterator<Item = &'a Stats>) -> Stats {
    all.fold(Stats::default(), |mut sum, stats| {
        sum.merge(stats);
        sum
    })
}
