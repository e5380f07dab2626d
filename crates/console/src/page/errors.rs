//! Failed calls: what they have in common, and each.

use std::collections::HashMap;

use aggregate::{ErrorGroup, ErrorIndex, ErrorRecord, ErrorText};
use genai::ErrorClass;
use maud::{Markup, html};
use monitor::{GroupBy, Range};

use super::chart::{Axis, Chart, Line, Shape, sparkline};
use super::layout::{FILTERS, heading};
use super::place::Place;
use super::text::{Unit, count, name, time};
use super::traces::trace;
use crate::api::errors::{Wanted, model};
use crate::console::{Console, Settings};
use crate::problem::Problem;
use crate::view::step;

/// Groups and records that are shown.
const MOST_GROUPS: usize = 30;
const MOST_RECORDS: usize = 50;
/// Characters of what a failure says that are shown; the API has all of it.
const MOST_CHARS: usize = 160;
/// Steps of the trend of a group.
const TREND: usize = 30;

pub(super) fn render(console: &Console, place: &Place) -> Result<Markup, Problem> {
    let value = |dimension| place.view.value(dimension);
    let values = FILTERS.map(value);
    let wanted = Wanted::new(place.get("group"), place.get("class"), values)?;
    let (now, chart) = over_time(console, place)?;
    let range = place.view.range(now);
    let trend = Axis::new(range.from, range.to, (range.length() / TREND as u64).max(1));
    let Found { groups, all_groups, records, total } =
        console.errors(|errors| Found::new(errors, &wanted, range, trend))?;
    Ok(html! {
        (heading("Errors", classes(place)))
        (chart.render(place))
        section.panel.s12 id="groups" {
            h2 { "Groups" small { "failures that differ in ids, numbers and addresses only" @if groups.len() < all_groups { ", the largest " (groups.len()) " of " (all_groups) } }
                @if place.get("group").is_some() { a.more href=(place.with("group", None).href()) data-swap { "All groups" } } }
            (groups_table(&groups, place, now))
        }
        section.panel.s12 id="records" {
            h2 { "Records" small { "the newest " (records.len()) " of " (total) } }
            (table(&records, now, &console.settings))
        }
    })
}

/// A group, how many of its records are wanted, and when they came.
type Shown = (ErrorGroup, u64, Vec<Option<f64>>);

/// What is shown of the error records.
struct Found {
    /// Those with the most wanted records.
    groups: Vec<Shown>,
    /// How many groups have wanted records.
    all_groups: usize,
    /// The newest.
    records: Vec<ErrorRecord>,
    /// How many there are.
    total: usize,
}

impl Found {
    /// Nothing is counted meanwhile: each record is looked at once or twice, however many groups there are, and only what is shown is copied.
    fn new(errors: &ErrorIndex, wanted: &Wanted, range: Range, trend: Axis) -> Self {
        let in_time = |record: &&ErrorRecord| range.contains(record.receive_time);
        let found: Vec<&ErrorRecord> = wanted.records(errors).filter(in_time).collect();
        // Of each group how many there are, and when the newest came.
        let mut counts = HashMap::<u64, (u64, u64)>::new();
        for record in &found {
            counts.entry(record.fingerprint).or_insert((0, record.receive_time)).0 += 1;
        }
        let mut most: Vec<((u64, u64), u64)> =
            counts.into_iter().map(|(fingerprint, counted)| (counted, fingerprint)).collect();
        most.sort_unstable_by(|one, other| other.cmp(one));
        let all_groups = most.len();
        most.truncate(MOST_GROUPS);
        let groups = most.into_iter().filter_map(|((count, _), fingerprint)| {
            Some((errors.group(fingerprint)?.clone(), count, vec![Some(0.0); trend.steps]))
        });
        let mut groups: Vec<Shown> = groups.collect();
        let places: HashMap<u64, usize> =
            (0..).zip(&groups).map(|(place, shown)| (shown.0.fingerprint, place)).collect();
        for record in &found {
            let Some(place) = places.get(&record.fingerprint) else { continue };
            let steps = &mut groups[*place].2;
            if let Some(Some(step)) = trend.place(record.receive_time).and_then(|place| steps.get_mut(place)) {
                *step += 1.0;
            }
        }
        let total = found.len();
        Self { groups, all_groups, records: found.into_iter().take(MOST_RECORDS).cloned().collect(), total }
    }
}

fn classes(place: &Place) -> Markup {
    html! {
        div.chips role="group" aria-label="Class" {
            a href=(place.with("class", None).href()) data-swap aria-current=[place.get("class").is_none().then_some("true")] { "All classes" }
            @for class in ErrorClass::ALL.map(ErrorClass::name) {
                a href=(place.with("class", Some(class.to_owned())).href()) data-swap
                    aria-current=[(place.get("class") == Some(class)).then_some("true")] { (class) }
            }
        }
    }
}

/// Failed calls by class, over time.
fn over_time(console: &Console, place: &Place) -> Result<(u64, Chart<'static>), Problem> {
    let now = console.now()?;
    let range = place.view.range(now);
    let [answer] = console.scan(range, step(range), &place.view.filter, [GroupBy::EVERYTHING])?;
    let axis = Axis::of(&answer);
    let mut chart = Chart::new("failures", "Failed calls", "by class", Shape::Bars, Unit::Count, axis);
    chart.class = "s12";
    if let Some(all) = answer.series.first() {
        let is_wanted = |class: &ErrorClass| place.get("class").is_none_or(|wanted| wanted == class.name());
        for class in ErrorClass::ALL.into_iter().filter(is_wanted).filter(|class| all.total.failed_with(*class) > 0) {
            let points = all.points.iter().map(|point| (point.begin, Some(point.stats.failed_with(class) as f64)));
            let total = Some(all.total.failed_with(class) as f64);
            chart.lines.push(Line::new(class.name(), axis.values(points), total));
        }
    }
    Ok((now, chart))
}

fn groups_table(groups: &[Shown], place: &Place, now: u64) -> Markup {
    if groups.is_empty() {
        return html! { p.empty { "No failed call in this time. That is how it should be." } };
    }
    html! {
        div.scroll tabindex="0" role="group" aria-label="Groups" { table {
            thead { tr { th { "Class" } th { "What it says" } th.n { "Calls" } th { "Trend" } th { "Newest" } } }
            tbody { @for (group, calls, trend) in groups { tr {
                td { (class(group.class)) }
                td.wide { a href=(place.with("group", Some(format!("{:016x}", group.fingerprint))).href()) data-swap {
                    (said(&group.message, &group.kind)) }
                    @if !group.kind.is_empty() && !group.message.is_empty() { small { (shortened(&group.kind)) } } }
                td.n { (count(*calls)) }
                td { (sparkline(trend)) }
                td { (time(group.last_seen, now)) }
            } } }
        } }
    }
}

/// What a failure says, as far as it is shown, or what stands for nothing.
fn said(message: &str, kind: &str) -> String {
    shortened([message, kind].into_iter().find(|text| !text.is_empty()).unwrap_or("(nothing)"))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The name of a class.
pub(super) fn class(class: ErrorClass) -> Markup {
    html! { span.tag { (class.name()) } }
}

/// Error records, each with its trace.
pub(super) fn table(records: &[ErrorRecord], now: u64, settings: &Settings) -> Markup {
    if records.is_empty() {
        return html! { p.empty { "No failed call in this time. That is how it should be." } };
    }
    html! {
        div.scroll tabindex="0" role="group" aria-label="Records" { table {
            thead { tr { th { "Time" } th { "Service" } th { "Model" } th { "Class" } th { "What it says" } th.n { "Duration" } th { "Trace" } } }
            tbody { @for record in records { tr {
                td { (time(record.time, now)) }
                td { (name(record.text(ErrorText::Service))) }
                td { (name(model(record))) }
                td { (class(record.class)) }
                td.wide { (said(record.text(ErrorText::Message), record.text(ErrorText::Kind))) }
                td.n { (super::text::data(Unit::Seconds, record.duration.map(|nanos| nanos as f64 / 1e9))) }
                td { (trace(settings, &record.trace_id, Some(&record.span_id))) }
            } } }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: Range = Range { from: 0, to: 1_000_000 };

    fn index(records: u64, fingerprint: impl Fn(u64) -> u64) -> ErrorIndex {
        let mut errors = ErrorIndex::new(100_000);
        for number in 0..records {
            let mut record = ErrorRecord::of(ErrorClass::Timeout);
            (record.receive_time, record.fingerprint) = (number * 10, fingerprint(number));
            errors.add(record);
        }
        errors
    }

    fn found(errors: &ErrorIndex) -> Found {
        Found::new(errors, &Wanted::default(), RANGE, Axis::new(RANGE.from, RANGE.to, RANGE.length() / 4))
    }

    // The groups with the most records are shown, also if others failed later, with all of their records in the trend.
    #[test]
    fn the_largest_groups_are_shown() {
        let errors = index(30_000, |number| if number < 10_000 { number % 2 } else { number });
        let Found { groups, all_groups, records, total } = found(&errors);
        assert_eq!((groups.len(), records.len(), total), (MOST_GROUPS, MOST_RECORDS, 30_000));
        assert_eq!(all_groups, 20_002);
        let shown = |place: usize| (groups[place].0.fingerprint, groups[place].1, groups[place].2.clone());
        let trend = vec![Some(5_000.0), Some(0.0), Some(0.0), Some(0.0)];
        assert_eq!([shown(0), shown(1)], [(1, 5_000, trend.clone()), (0, 5_000, trend)]);
        assert_eq!((shown(2).0, shown(2).1), (29_999, 1));
    }
}
