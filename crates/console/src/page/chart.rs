//! Charts as SVG and HTML. They are as wide as there is room: what is drawn stretches, texts do not. The numbers stand in a table
//! that is not shown: for screen readers, and for the tooltip.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};
use monitor::{Answer, DAY, HOUR, MINUTE, SECOND};

use super::place::Place;
use super::text::{Unit, formatted, name};

/// What is drawn reaches from 0 to these.
const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 200.0;
/// Colours of series; what is beyond them is grey.
pub(super) const COLOURS: usize = 8;
/// Steps of an axis: more than there is room for.
const MOST_STEPS: u64 = 1_000;
/// Labels on the axis of time.
const MOST_LABELS: u64 = 7;
const LABEL_STEPS: [u64; 17] = [
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    4 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    5 * DAY,
    10 * DAY,
    30 * DAY,
];

/// The steps of a chart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    pub(super) from: u64,
    pub(super) step: u64,
    pub(super) steps: usize,
}

impl Axis {
    /// The time between, in whole steps; of too many the newest.
    pub(super) fn new(from: u64, to: u64, step: u64) -> Self {
        let from = from - from % step;
        let steps = to.saturating_sub(from).div_ceil(step).max(1);
        let left_out = steps.saturating_sub(MOST_STEPS);
        Self { from: from + left_out * step, step, steps: (steps - left_out) as usize }
    }

    pub(super) fn of(answer: &Answer) -> Self {
        Self::new(answer.range.from, answer.range.to, answer.step)
    }

    const fn begin(self, place: usize) -> u64 {
        self.from + place as u64 * self.step
    }

    const fn length(self) -> u64 {
        self.steps as u64 * self.step
    }

    /// The step in which a time lies.
    pub(super) fn place(self, time: u64) -> Option<usize> {
        let place = (time.checked_sub(self.from)? / self.step) as usize;
        (place < self.steps).then_some(place)
    }

    /// Values in their steps; those of which nothing is said are not known.
    pub(super) fn values(self, points: impl Iterator<Item = (u64, Option<f64>)>) -> Vec<Option<f64>> {
        let mut values = vec![None; self.steps];
        for (time, value) in points {
            if let Some(place) = self.place(time) {
                values[place] = value;
            }
        }
        values
    }
}

/// How a chart is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Bars upon each other: they add up.
    Bars,
    /// A line each.
    Lines,
}

/// A series of a chart.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) values: Vec<Option<f64>>,
    /// Of all of the time, for the legend.
    pub(super) total: Option<f64>,
    /// Its colour, or the one of its place.
    pub(super) colour: Option<&'static str>,
}

impl Line {
    pub(super) fn new(name: &str, values: Vec<Option<f64>>, total: Option<f64>) -> Self {
        Self { name: name.to_owned(), values, total, colour: None }
    }
}

/// A chart of something over time.
#[derive(Debug)]
pub(super) struct Chart<'a> {
    /// What tells it from others of the page.
    pub(super) id: &'a str,
    pub(super) title: &'a str,
    /// What is said beside the title.
    pub(super) note: &'a str,
    pub(super) class: &'a str,
    pub(super) shape: Shape,
    pub(super) unit: Unit,
    pub(super) axis: Axis,
    pub(super) lines: Vec<Line>,
    /// Values across all of it, e.g. limits.
    pub(super) levels: Vec<(&'static str, f64)>,
    /// Times at which something was, and what.
    pub(super) marks: Vec<(u64, String)>,
}

impl<'a> Chart<'a> {
    pub(super) fn new(id: &'a str, title: &'a str, note: &'a str, shape: Shape, unit: Unit, axis: Axis) -> Self {
        let (lines, levels, marks) = Default::default();
        Self { id, title, note, class: "s6", shape, unit, axis, lines, levels, marks }
    }

    pub(super) fn render(&self, place: &Place) -> Markup {
        let is_known = |line: &Line| line.values.iter().any(Option::is_some);
        let empty = match self.lines.is_empty() {
            true => "Nothing was counted in this time.",
            false => "No call of this time tells it.",
        };
        html! {
            section.panel.(self.class) id=(self.id) {
                h2 { (self.title) @if !self.note.is_empty() { small { (self.note) } } }
                @if self.lines.iter().any(is_known) {
                    (self.figure(place))
                } @else {
                    p.empty { (empty) }
                }
            }
        }
    }

    fn figure(&self, place: &Place) -> Markup {
        let shown: Vec<(usize, &Line)> =
            self.lines.iter().enumerate().filter(|(_, line)| !place.hides(self.id, &line.name)).collect();
        let scale = Scale::of(self.extent(&shown));
        let [from, length] = [self.axis.from, self.axis.step].map(|nanos| nanos / 1_000_000);
        html! {
            figure.chart tabindex="0" role="group" data-from=(from) data-step=(length) data-steps=(self.axis.steps)
                aria-label={ (self.title) ". Arrow keys read its values; drag to zoom." } {
                div.plot aria-hidden="true" {
                    div.y { @for tick in scale.ticks().rev() { span { (self.unit.text(f64::from(tick) * scale.step)) } } }
                    div.area {
                        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" {
                            path.grid d=(scale.grid()) {}
                            @match self.shape {
                                Shape::Bars => (self.bars(&shown, scale)),
                                Shape::Lines => @for (number, line) in &shown {
                                    @let [path, points] = self.line(line, scale);
                                    path.line.(colour(*number, line)) d=(path) {}
                                    @if !points.is_empty() { path.line.point.(colour(*number, line)) d=(points) {} }
                                },
                            }
                            @for (_, level) in &self.levels { path.level d=(format!("M0 {:.1}h{WIDTH}", scale.y(*level))) {} }
                            @for (time, text) in &self.marks {
                                @if let Some(x) = self.x_of(*time) { path.mark d=(format!("M{x:.1} 0v{HEIGHT}")) { title { (text) } } }
                            }
                        }
                    }
                    svg.x { @for (x, text) in labels(self.axis) { text x={ (x) "%" } y="12" { (text) } } }
                }
                div.legend {
                    @for (number, line) in self.lines.iter().enumerate() {
                        a role="switch" aria-checked=(if place.hides(self.id, &line.name) { "false" } else { "true" })
                            href={ (place.toggled(self.id, &line.name).href()) "#" (self.id) } data-swap {
                            i class=(colour(number, line)) {} (name(&line.name)) " " em { (self.text(line.total)) }
                        }
                    }
                    @for (text, level) in &self.levels { span { i.level {} (text) " " em { (self.unit.text(*level)) } } }
                }
                (self.table(&shown))
            }
        }
    }

    fn text(&self, value: Option<f64>) -> String {
        value.map_or_else(String::new, |value| self.unit.text(value))
    }

    /// The least value that is drawn, or zero, and the greatest.
    fn extent(&self, shown: &[(usize, &Line)]) -> (f64, f64) {
        let column = |place: usize| shown.iter().filter_map(move |(_, line)| line.values[place]);
        let of = |place: usize| match self.shape {
            Shape::Bars => (0.0, column(place).sum()),
            Shape::Lines => (column(place).fold(0.0, f64::min), column(place).fold(0.0, f64::max)),
        };
        let levels = self.levels.iter().map(|(_, level)| (*level, *level));
        let wider = |(least, most): (f64, f64), (low, high): (f64, f64)| (least.min(low), most.max(high));
        (0..self.axis.steps).map(of).chain(levels).fold((0.0, 0.0), wider)
    }

    fn slot(&self) -> f64 {
        WIDTH / self.axis.steps as f64
    }

    fn x_of(&self, time: u64) -> Option<f64> {
        let after = time.checked_sub(self.axis.from).filter(|after| *after < self.axis.length())?;
        Some(after as f64 / self.axis.length() as f64 * WIDTH)
    }

    fn bars(&self, shown: &[(usize, &Line)], scale: Scale) -> Markup {
        let mut sums = vec![0.0; self.axis.steps];
        let (slot, width) = (self.slot(), (self.slot() * 0.78).max(1.0));
        html! {
            @for (number, line) in shown {
                path.bar.(colour(*number, line)) d=({
                    let mut path = String::new();
                    for ((place, sum), value) in sums.iter_mut().enumerate().zip(&line.values) {
                        let Some(value) = value.filter(|value| *value > 0.0) else { continue };
                        // In whole units, which are less than can be seen: bars are much of a page.
                        let [foot, top] = [*sum, *sum + value].map(|value| scale.y(value).round());
                        let (x, height) = (place as f64 * slot + (slot - width) / 2.0, (foot - top).max(1.0));
                        let _ = write!(path, "M{x:.0} {foot}v-{height}h{width:.0}v{height}");
                        *sum += value;
                    }
                    path
                }) {}
            }
        }
    }

    /// The line, and the points that have no neighbour: they would not be seen in it.
    fn line(&self, line: &Line, scale: Scale) -> [String; 2] {
        let (slot, mut path, mut points) = (self.slot(), String::new(), String::new());
        let at = |place: usize| line.values.get(place).copied().flatten();
        for (place, value) in line.values.iter().enumerate() {
            let Some(value) = value else { continue };
            let (x, y) = ((place as f64 + 0.5) * slot, (scale.y(*value) * 10.0).round() / 10.0);
            let has_before = place.checked_sub(1).is_some_and(|before| at(before).is_some());
            let _ = match (has_before, at(place + 1).is_some()) {
                (true, _) => write!(path, "L{x:.0} {y}"),
                (false, true) => write!(path, "M{x:.0} {y}"),
                (false, false) => write!(points, "M{x:.0} {y}h.1"),
            };
        }
        [path, points]
    }

    fn table(&self, shown: &[(usize, &Line)]) -> Markup {
        let is_sum = self.shape == Shape::Bars && shown.len() > 1;
        let format = match (self.axis.length() > DAY, self.axis.step < MINUTE) {
            (true, _) => "%b %d, %H:%M",
            (false, true) => "%H:%M:%S",
            (false, false) => "%H:%M",
        };
        html! {
            div.sr { table {
                caption { (self.title) }
                thead { tr {
                    th scope="col" { "UTC" }
                    @for (number, line) in shown { th scope="col" class=(colour(*number, line)) { (name(&line.name)) } }
                    @if is_sum { th scope="col" { "all" } }
                } }
                tbody { (PreEscaped(self.rows(shown, is_sum, format))) }
            } }
        }
    }

    /// The rows of the table. They are most of a page, so rows and cells are not closed, as HTML allows; times and numbers need no escape.
    fn rows(&self, shown: &[(usize, &Line)], is_sum: bool, format: &str) -> String {
        let mut rows = String::new();
        for place in 0..self.axis.steps {
            let _ = write!(rows, "<tr><th>{}", formatted(self.axis.begin(place), format));
            let values = shown.iter().map(|(_, line)| line.values[place]);
            for value in values.chain(is_sum.then(|| sum(shown, place))) {
                let _ = write!(rows, "<td>{}", self.text(value));
            }
        }
        rows
    }
}

fn sum(shown: &[(usize, &Line)], place: usize) -> Option<f64> {
    let known: Vec<f64> = shown.iter().filter_map(|(_, line)| line.values[place]).collect();
    (!known.is_empty()).then(|| known.into_iter().sum())
}

/// The class of a series' colour.
fn colour(number: usize, line: &Line) -> &'static str {
    const CLASSES: [&str; COLOURS] = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];
    match line.colour {
        Some(colour) => colour,
        None if line.name == monitor::REST => "cx",
        None => CLASSES.get(number).copied().unwrap_or("cx"),
    }
}

/// An axis of values with zero on it: steps of 1, 2, 2.5 or 5 times a power of ten, at most five of them above zero and below it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    step: f64,
    /// How many steps it has below zero, and above.
    below: i32,
    above: i32,
}

impl Scale {
    fn of((least, most): (f64, f64)) -> Self {
        let longest = most.max(-least);
        if longest == 0.0 || !longest.is_finite() {
            return Self::of((0.0, 1.0));
        }
        let rough = longest / 4.0;
        let power = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power);
        let step = steps.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(10.0 * power);
        let steps = |length: f64| (length / step * 0.999).ceil() as i32;
        Self { step, below: steps(-least), above: steps(most).max(1) }
    }

    fn ticks(self) -> std::ops::RangeInclusive<i32> {
        -self.below..=self.above
    }

    fn y(self, value: f64) -> f64 {
        (f64::from(self.above) - value / self.step) / f64::from(self.above + self.below) * HEIGHT
    }

    fn grid(self) -> String {
        self.ticks().map(|tick| format!("M0 {:.1}h{WIDTH}", self.y(f64::from(tick) * self.step))).collect()
    }
}

/// Where labels stand on the axis of time, in percent, and what they say.
fn labels(axis: Axis) -> Vec<(String, String)> {
    let fits = |step: &u64| axis.length() / step <= MOST_LABELS;
    let step = LABEL_STEPS.into_iter().find(fits).unwrap_or(30 * DAY);
    let is_short = axis.length() <= 5 * MINUTE;
    let format = match step {
        _ if is_short => "%H:%M:%S",
        step if step >= DAY => "%b %d",
        _ if axis.length() > DAY + HOUR => "%b %d %H:%M",
        _ => "%H:%M",
    };
    let first = axis.from.next_multiple_of(step);
    let all =
        (0..=MOST_LABELS).map(|number| first + number * step).take_while(|time| *time < axis.from + axis.length());
    let percent = |time: u64| (time - axis.from) as f64 / axis.length() as f64 * 100.0;
    let visible = all.filter(|time| (2.5..=97.5).contains(&percent(*time)));
    visible.map(|time| (format!("{:.1}", percent(time)), formatted(time, format))).collect()
}

/// A line without axes, as high as a word. The newest step is left out: it is not over.
pub(super) fn sparkline(values: &[Option<f64>]) -> Markup {
    let values = values.split_last().map_or(values, |(_, before)| before);
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let slot = WIDTH / values.len().max(1) as f64;
    let mut path = String::new();
    for (place, value) in values.iter().enumerate() {
        let height = value.unwrap_or_default() / if most > 0.0 { most } else { 1.0 } * 92.0;
        let _ = write!(
            path,
            "{}{:.0} {:.0}",
            if place == 0 { 'M' } else { 'L' },
            (place as f64 + 0.5) * slot,
            96.0 - height
        );
    }
    html! { svg.spark viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true" { path d=(path) {} } }
}

/// A part of a whole.
#[derive(Debug)]
pub(super) struct Part {
    /// In percent.
    pub(super) width: f64,
    pub(super) colour: &'static str,
    /// What it is, for those who point at it.
    pub(super) what: String,
}

impl Part {
    pub(super) const fn new(width: f64, colour: &'static str) -> Self {
        Self { width, colour, what: String::new() }
    }
}

/// Parts of a whole, side by side.
pub(super) fn parts(parts: &[Part]) -> Markup {
    let begins = parts.iter().scan(0.0, |end, part| Some(std::mem::replace(end, *end + part.width)));
    html! {
        svg.parts aria-hidden="true" {
            @for (Part { width, colour, what }, x) in parts.iter().zip(begins).filter(|(part, _)| part.width > 0.0) {
                rect class=(colour) x={ (format!("{x:.2}")) "%" } width={ (format!("{width:.2}")) "%" } {
                    @if !what.is_empty() { title { (what) } }
                }
            }
        }
    }
}

/// A distribution: how many values there are about each of some values.
pub(super) fn distribution(values: &[(f64, u64)], marks: &[(&str, f64)]) -> Markup {
    const BINS: usize = 48;
    let (Some((least, _)), Some((most, _))) = (values.first(), values.last()) else {
        return html! { p.empty { "No call in the window told it." } };
    };
    let (least, most) = (least.max(1.0).ln(), most.max(1.0).ln());
    let width = ((most - least) / (BINS - 1) as f64).max(1e-9);
    let place = |value: f64| (((value.max(1.0).ln() - least) / width + 0.5) as usize).min(BINS - 1);
    let mut bins = [0; BINS];
    values.iter().for_each(|(value, count)| bins[place(*value)] += count);
    let top = bins.iter().copied().max().unwrap_or(1).max(1) as f64;
    let slot = WIDTH / BINS as f64;
    let bar = |(place, count): (usize, &u64)| {
        let height = *count as f64 / top * HEIGHT;
        format!("M{:.1} {HEIGHT}v-{height:.1}h{:.1}v{height:.1}z", place as f64 * slot, slot * 0.82)
    };
    let path: String = bins.iter().enumerate().filter(|(_, count)| **count > 0).map(bar).collect();
    let seconds = |nanos: f64| Unit::Seconds.text(nanos / SECOND as f64);
    let percent = |value: f64| (place(value) as f64 + 0.41) / BINS as f64 * 100.0;
    let ticks = [0.05, 0.275, 0.5, 0.725, 0.95].map(|share: f64| {
        let x = (share * (BINS - 1) as f64 + 0.41) / BINS as f64 * 100.0;
        (x, (least + share * (most - least)).exp())
    });
    html! {
        figure.dist {
            div.plot aria-hidden="true" {
                div.area { svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" {
                    path.bar.c0 d=(path) {}
                    @for (_, value) in marks { path.mark d=(format!("M{:.1} 0v{HEIGHT}", percent(*value) * 10.0)) {} }
                } }
                svg.x { @for (x, value) in ticks { text x={ (format!("{x:.1}")) "%" } y="12" { (seconds(value)) } } }
            }
            figcaption.legend { @for (text, value) in marks { span { i.level {} (text) " " em { (seconds(*value)) } } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // An axis holds all of a time, and of a very long one the newest: what came last is always to be seen.
    #[test]
    fn the_newest_is_shown() {
        let axis = |from, to| Axis::new(from, to, 10);
        let short = axis(105, 121);
        assert_eq!((short.from, short.steps, short.place(104), short.place(120)), (100, 3, Some(0), Some(2)));
        assert_eq!((axis(5, 5).from, axis(5, 5).steps), (0, 1));
        // Two days of office hours, and a night between them.
        let long = axis(0, 20_000);
        assert_eq!((long.from, long.steps, long.place(9_999), long.place(19_999)), (10_000, 1_000, None, Some(999)));
    }

    // All that is drawn is between the ends of its axis, which has zero on it and few round steps.
    #[test]
    fn axes_are_round() {
        for (least, most, expected) in [
            (0.0, 0.0, (0.0, 1.0, 0.25)),
            (0.0, 1.0, (0.0, 1.0, 0.25)),
            (0.0, 30.0, (0.0, 30.0, 10.0)),
            (0.0, 7.3, (0.0, 8.0, 2.0)),
            (0.0, 101.0, (0.0, 150.0, 50.0)),
            (-1.82, 1.0, (-2.0, 1.0, 0.5)),
            (-0.1, 0.0, (-0.1, 0.025, 0.025)),
            (f64::NEG_INFINITY, 1.0, (0.0, 1.0, 0.25)),
        ] {
            let scale = Scale::of((least, most));
            let ends = [*scale.ticks().start(), *scale.ticks().end()].map(|tick| f64::from(tick) * scale.step);
            assert_eq!((ends[0], ends[1], scale.step), expected, "{least} to {most}");
            assert_eq!((scale.y(ends[0]), scale.y(ends[1])), (HEIGHT, 0.0));
        }
    }
}
