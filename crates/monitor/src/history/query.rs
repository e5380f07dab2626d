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

impl History {
    /// Answers a question.
    pub fn query(&self, query: &Query) -> Answer {
        let (level, step) = level_and_step(query.range.from, query.step, |level, from| self.holds(level, from));
        let to = query.range.to.min(self.now.max(query.range.from).saturating_add(1));
        let range = Range { from: floor(query.range.from, step), to: to.next_multiple_of(step) };
        let mut series = BTreeMap::<Vec<&str>, BTreeMap<u64, Stats>>::new();
        for group in self.groups_of(&query.filter) {
            let points = series.entry(names(group, &query.group_by)).or_default();
            add_points(&group.rings, level, range, step, points);
        }
        let series = series.into_iter().filter(|(_, points)| !points.is_empty()).map(series_of).collect();
        Answer { step, range, series: limited(series, query.limit) }
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
        let mut totals = BTreeMap::<Vec<&str>, Stats>::new();
        for group in self.groups_of(filter) {
            let total = totals.entry(names(group, by)).or_default();
            group.rings.sum(level, self.whole_steps(level, range), total);
        }
        let mut totals: Vec<_> = totals.into_iter().filter(|(_, total)| *total != Stats::default()).collect();
        totals.sort_by_key(|(_, total)| std::cmp::Reverse(measure.of(total)));
        totals.truncate(limit);
        let series = totals.into_iter().map(|(names, total)| Series { names: owned(names), points: Vec::new(), total });
        series.collect()
    }

    /// The values of a dimension that are known, in their order.
    pub fn values(&self, dimension: Dimension) -> Vec<&str> {
        let known = self.groups.iter().filter(|group| !group.rings.is_empty());
        let mut values: Vec<&str> = known.map(|group| group.names()[dimension as usize]).collect();
        values.sort_unstable();
        values.dedup();
        values
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

fn add_points(rings: &Rings<Stats>, level: usize, range: Range, step: u64, points: &mut BTreeMap<u64, Stats>) {
    rings.each(level, range, |begin, stats| stats.add_to(points.entry(floor(begin, step)).or_default()));
}

/// The shortest steps that are kept from a time on, and the step asked for in whole ones of them.
fn level_and_step(from: u64, step: u64, holds: impl Fn(usize, u64) -> bool) -> (usize, u64) {
    let whole = |level: usize| step.max(1).next_multiple_of(LEVELS[level].step);
    let level = (0..LEVELS.len()).find(|level| holds(*level, floor(from, whole(*level)))).unwrap_or(LEVELS.len() - 1);
    (level, whole(level))
}

/// What was recorded in a range, in steps of this length, or of a longer one if so short ones are not kept for it.
pub(crate) fn points(rings: &Rings<Stats>, now: u64, range: Range, step: u64) -> Vec<Point> {
    let (level, step) = level_and_step(range.from, step, |level, from| is_kept(level, now, from));
    let mut points = BTreeMap::new();
    add_points(rings, level, Range { from: floor(range.from, step), to: range.to }, step, &mut points);
    points.into_iter().map(|(begin, stats)| Point { begin, stats }).collect()
}

fn names<'a>(group: &'a Group, dimensions: &[Dimension]) -> Vec<&'a str> {
    let names = group.names();
    dimensions.iter().map(|dimension| names[*dimension as usize]).collect()
}

fn owned(names: Vec<&str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

fn series_of((names, points): (Vec<&str>, BTreeMap<u64, Stats>)) -> Series {
    let points: Vec<Point> = points.into_iter().map(|(begin, stats)| Point { begin, stats }).collect();
    let total = sum(points.iter().map(|point| &point.stats));
    Series { names: owned(names), points, total }
}

fn sum<'a>(all: impl Iterator<Item = &'a Stats>) -> Stats {
    all.fold(Stats::default(), |mut sum, stats| {
        sum.merge(stats);
        sum
    })
}

/// The series with the most requests, and the others as one.
fn limited(mut series: Vec<Series>, limit: usize) -> Vec<Series> {
    series.sort_by_key(|series| std::cmp::Reverse(series.total.requests));
    if series.len() <= limit {
        return series;
    }
    let others = series.split_off(limit);
    let names = others.first().map(|other| vec![REST.to_owned(); other.names.len()]).unwrap_or_default();
    let mut points = BTreeMap::<u64, Stats>::new();
    for Point { begin, stats } in others.into_iter().flat_map(|other| other.points) {
        points.entry(begin).or_default().merge(&stats);
    }
    let points: Vec<Point> = points.into_iter().map(|(begin, stats)| Point { begin, stats }).collect();
    let total = sum(points.iter().map(|point| &point.stats));
    series.push(Series { names, points, total });
    series
}
