//! What a history is asked.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::groups::{Dimension, Dimensions, Group, History, REST};
use super::rings::{Cell, Forgotten, LEVELS, Rings, since};
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
    /// Which series.
    pub group_by: GroupBy,
}

/// What a history answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How long the steps are.
    pub step: u64,
    /// The range in whole steps. The newest step may not be over.
    pub range: Range,
    /// From when on all that was told is known: later than the range begins if what was asked for is longer ago than is kept.
    pub known_from: u64,
    /// One series for each combination of values asked for, the one with the most first, and what is left last.
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

/// Which series an answer has: one for each combination of values of some dimensions, but only so many, those with the most of something. All
/// others are one series whose values are [`REST`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupBy {
    /// Dimensions; none for one series of everything.
    pub dimensions: Vec<Dimension>,
    /// Of what the series that stand for themselves have the most.
    pub measure: Measure,
    /// How many of them there are, at least one.
    pub limit: usize,
}

impl GroupBy {
    /// One series of everything.
    pub const EVERYTHING: Self = Self { dimensions: Vec::new(), measure: Measure::Requests, limit: 1 };

    /// The values of a dimension that have the most.
    pub fn top(dimension: Dimension, measure: Measure, limit: usize) -> Self {
        Self { dimensions: vec![dimension], measure, limit }
    }
}

/// A question about a time that is asked in several ways at once, and answered part by part: whoever asks can let others in between.
///
/// Groups are looked at twice: first for which series have the most, then for what was counted. So an answer takes memory for the series that it
/// tells, not for all that there are.
#[derive(Debug)]
pub struct Scan {
    range: Range,
    step: u64,
    filter: Filter,
    ways: Vec<Way>,
    /// Where it is; `None` before the first part.
    place: Option<Place>,
}

/// One way of asking, and what was found.
#[derive(Debug)]
struct Way {
    group_by: GroupBy,
    /// How much each series has, until those that have the most are chosen.
    amounts: BTreeMap<Vec<String>, i128>,
    /// Those.
    chosen: BTreeMap<Vec<String>, BTreeMap<u64, Stats>>,
    /// All others together.
    rest: BTreeMap<u64, Stats>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    level: usize,
    step: u64,
    range: Range,
    known_from: u64,
    /// The generation of the groups, and the next of them.
    generation: u64,
    next: usize,
    /// Whether it is the second look.
    is_chosen: bool,
}

impl Way {
    fn new(group_by: GroupBy) -> Self {
        Self { group_by, amounts: BTreeMap::new(), chosen: BTreeMap::new(), rest: BTreeMap::new() }
    }

    /// Adds how much a group has.
    fn weigh(&mut self, group: &Group, sums: &Stats) {
        let names = names(group, &self.group_by.dimensions);
        if !is_rest(&names) {
            *self.amounts.entry(names).or_default() += self.group_by.measure.of(sums);
        }
    }

    fn choose(&mut self) {
        let mut all: Vec<(Vec<String>, i128)> = std::mem::take(&mut self.amounts).into_iter().collect();
        all.sort_by_key(|(_, amount)| Reverse(*amount));
        self.chosen = all.into_iter().take(self.group_by.limit).map(|(names, _)| (names, BTreeMap::new())).collect();
    }

    /// Where steps of a group belong. What came only after the choice is a series of its own while there is room.
    fn points_of(&mut self, group: &Group) -> &mut BTreeMap<u64, Stats> {
        let names = names(group, &self.group_by.dimensions);
        let has_room = self.chosen.len() < self.group_by.limit && !is_rest(&names);
        match self.chosen.entry(names) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) if has_room => new.insert(BTreeMap::new()),
            Entry::Vacant(_) => &mut self.rest,
        }
    }

    fn answer(self, step: u64, range: Range, known_from: u64) -> Answer {
        let GroupBy { dimensions, measure, .. } = self.group_by;
        let found = self.chosen.into_iter().filter(|(_, points)| !points.is_empty());
        let mut series: Vec<Series> = found.map(|(names, points)| Series::new(names, points)).collect();
        series.sort_by_key(|series| Reverse(measure.of(&series.total)));
        if !self.rest.is_empty() {
            series.push(Series::new(vec![REST.to_owned(); dimensions.len()], self.rest));
        }
        Answer { step, range, known_from, series }
    }
}

impl Scan {
    /// Asks what was counted in a time, in each of the `ways`.
    pub fn new(range: Range, step: u64, filter: Filter, ways: impl IntoIterator<Item = GroupBy>) -> Self {
        Self { range, step, filter, ways: ways.into_iter().map(Way::new).collect(), place: None }
    }

    /// Goes on with some more groups, until about so many steps are read; tells whether all groups are. If groups were forgotten
    /// since the last part, it begins anew.
    pub fn advance(&mut self, history: &History, steps: usize) -> bool {
        let generation = history.generation();
        let known = self.place.filter(|place| place.generation == generation);
        let mut place = known.unwrap_or_else(|| {
            self.ways.iter_mut().for_each(|way| *way = Way::new(way.group_by.clone()));
            history.begin(self.range, self.step)
        });
        let mut read = 0;
        while read < steps {
            if let Some(group) = history.groups.get(place.next) {
                place.next += 1;
                read += self.read(group, place);
            } else if !place.is_chosen {
                self.ways.iter_mut().for_each(Way::choose);
                (place.is_chosen, place.next) = (true, 0);
            } else {
                break;
            }
        }
        self.place = Some(place);
        place.is_chosen && place.next >= history.groups.len()
    }

    /// Reads a group; tells how many steps.
    fn read(&mut self, group: &Group, Place { level, range, step, is_chosen, .. }: Place) -> usize {
        if !self.filter.accepts(group.names()) {
            return 0;
        }
        if is_chosen {
            let read = |way: &mut Way| add_points(&group.rings, level, range, step, way.points_of(group));
            return self.ways.iter_mut().map(read).sum();
        }
        let (mut sums, mut read) = (Stats::default(), 0);
        group.rings.each(level, range, |_, step| {
            sums.add_sums_of(&step);
            read += 1;
        });
        if read > 0 {
            self.ways.iter_mut().for_each(|way| way.weigh(group, &sums));
        }
        read
    }

    /// What was found: an answer for each of the ways.
    pub fn answers(self) -> Vec<Answer> {
        let (step, range, known_from) = match self.place {
            Some(Place { step, range, known_from, .. }) => (step, range, known_from),
            None => (self.step.max(1), self.range, self.range.from),
        };
        self.ways.into_iter().map(|way| way.answer(step, range, known_from)).collect()
    }
}

impl Answer {
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
        let mut scan = Scan::new(query.range, query.step, query.filter.clone(), [query.group_by.clone()]);
        scan.advance(self, usize::MAX);
        scan.answers().swap_remove(0)
    }

    /// Where the answer to a question about a time begins.
    fn begin(&self, range: Range, step: u64) -> Place {
        let (level, step) = level_and_step(range.from, step, |level| self.since(level));
        let is_known = self.holds(level, range.from);
        let range = range.in_steps(step, self.now);
        let known_from = if is_known { range.from } else { self.since(level) };
        Place { level, step, range, known_from, generation: self.generation(), next: 0, is_chosen: false }
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
        totals.sort_by_key(|(_, total)| Reverse(measure.of(total)));
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
        self.since(level) <= from
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

/// The step asked for in whole steps of those that are kept from a time on, and the longest of them that it can be made of. If none are kept for so
/// long, of those that reach back the furthest.
fn level_and_step(from: u64, step: u64, since: impl Fn(usize) -> u64) -> (usize, u64) {
    let whole = |level: usize| step.max(1).next_multiple_of(LEVELS[level].step);
    let shortest = (0..LEVELS.len()).find(|level| since(*level) <= floor(from, whole(*level)));
    let shortest = shortest.or_else(|| (0..LEVELS.len()).rev().min_by_key(|level| since(*level))).unwrap_or_default();
    let step = whole(shortest);
    let fits = |level: &usize| step.is_multiple_of(LEVELS[*level].step) && since(*level) <= floor(from, step);
    ((shortest..LEVELS.len()).rfind(fits).unwrap_or(shortest), step)
}

/// What was recorded in a range, as one series without names if anything was: in steps of this length, or of a longer one if so short ones
/// are not kept for it.
pub(crate) fn over_time(rings: &Rings<Stats>, now: u64, forgotten: &Forgotten, asked: Range, step: u64) -> Answer {
    let since = |level| since(level, now, forgotten);
    let (level, step) = level_and_step(asked.from, step, since);
    let range = asked.in_steps(step, now);
    let mut points = BTreeMap::new();
    add_points(rings, level, range, step, &mut points);
    let series = (!points.is_empty()).then(|| Series::new(Vec::new(), points));
    let known_from = if since(level) <= asked.from { range.from } else { since(level) };
    Answer { step, range, known_from, series: series.into_iter().collect() }
}

/// Whether these are the names of the group that takes what is over the limit of groups.
fn is_rest(names: &[String]) -> bool {
    !names.is_empty() && names.iter().all(|name| name == REST)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Call;
    use crate::history::HistoryConfig;
    use crate::time::{HOUR, MINUTE, SECOND};

    const START: u64 = 1_790_000_000 * SECOND;

    fn tell(history: &mut History, minute: u64, service: u64) {
        let name = service.to_string();
        history.record(START + minute * MINUTE, &Call { service: &name, ..Call::default() });
    }

    // However many series there are, steps are held only of those that are told and of the others together.
    #[test]
    fn only_what_is_told_is_held() {
        let mut history = History::new(HistoryConfig::default());
        for minute in 0..30 {
            for service in 0..200 {
                (0..1 + u64::from(service >= 190)).for_each(|_| tell(&mut history, minute, service));
            }
        }
        history.advance(START + 30 * MINUTE);
        let range = Range { from: START, to: START + HOUR };
        let top = GroupBy::top(Dimension::Service, Measure::Requests, 10);
        let mut scan = Scan::new(range, MINUTE, Filter::default(), [top]);
        while !scan.advance(&history, 100) {
            let [way] = &*scan.ways else { panic!("one way") };
            let held: usize = way.chosen.values().map(BTreeMap::len).sum::<usize>() + way.rest.len();
            assert!(held <= 11 * 30, "{held}");
        }
        let [answer] = &*scan.answers() else { panic!("one answer") };
        let told: Vec<u64> = answer.series.iter().map(|series| series.total.requests).collect();
        assert_eq!(told, [vec![60; 10], vec![190 * 30]].concat());
        assert_eq!(answer.series[10].names, [REST]);
    }

    // What the history itself has put together is one with what the answer does, and none of the series that have the most.
    #[test]
    fn there_is_one_rest() {
        let mut history = History::new(HistoryConfig { groups: 3, ..HistoryConfig::default() });
        [0, 0, 1, 2, 3, 4].into_iter().for_each(|service| tell(&mut history, 0, service));
        let range = Range { from: START, to: START + HOUR };
        for (limit, expected) in [(10, vec![("0", 2), ("1", 1), ("2", 1), (REST, 2)]), (1, vec![("0", 2), (REST, 4)])] {
            let group_by = GroupBy::top(Dimension::Service, Measure::Requests, limit);
            let answer = history.query(&Query { range, step: MINUTE, filter: Filter::default(), group_by });
            let told = answer.series.iter().map(|series| (&*series.names[0], series.total.requests));
            assert!(told.eq(expected), "{answer:?}");
        }
    }

    // What comes between two parts is told as itself while there is room for it, and with the others else.
    #[test]
    fn what_comes_between_is_told() {
        for (limit, expected) in [(3, vec!["1", "0", "2"]), (2, vec!["1", "0", REST])] {
            let mut history = History::new(HistoryConfig::default());
            [0, 1, 1].into_iter().for_each(|service| tell(&mut history, 0, service));
            let range = Range { from: START, to: START + HOUR };
            let top = GroupBy::top(Dimension::Service, Measure::Requests, limit);
            let mut scan = Scan::new(range, MINUTE, Filter::default(), [top]);
            while scan.place.is_none_or(|place| !place.is_chosen) {
                scan.advance(&history, 1);
            }
            tell(&mut history, 0, 2);
            while !scan.advance(&history, 1) {}
            let answer = scan.answers().swap_remove(0);
            assert!(answer.series.iter().map(|series| &*series.names[0]).eq(expected), "{answer:?}");
        }
    }
}
