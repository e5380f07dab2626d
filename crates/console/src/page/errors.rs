//! Failed calls: what they have in common, and each.

use aggregate::{ErrorGroup, ErrorRecord};
use genai::ErrorClass;
use maud::{Markup, html};
use monitor::Dimension;

use super::chart::{Axis, Chart, Line, Shape, sparkline};
use super::layout::heading;
use super::place::Place;
use super::text::{Unit, count, name, time};
use super::traces::trace;
use crate::api::errors::{Wanted, groups, model};
use crate::console::{Console, Settings};
use crate::problem::Problem;
use crate::view::step;

/// Groups and records that are shown.
const MOST_GROUPS: usize = 50;
const MOST_RECORDS: usize = 100;
/// Steps of the trend of a group.
const TREND: usize = 30;

pub(super) fn render(console: &Console, place: &Place) -> Result<Markup, Problem> {
    let value = |dimension| place.view.value(dimension);
    let values = [Dimension::Service, Dimension::Provider, Dimension::Model].map(value);
    let wanted = Wanted::new(place.get("group"), place.get("class"), values)?;
    let (now, chart) = over_time(console, place)?;
    let range = place.view.range(now);
    let trend = Axis::new(range.from, range.to, (range.length() / TREND as u64).max(1));
    let (groups, records, total) = console.errors(|errors| {
        let in_time = |record: &&ErrorRecord| range.contains(record.receive_time);
        let found: Vec<&ErrorRecord> = wanted.records(errors).filter(in_time).collect();
        let mut shown: Vec<(ErrorGroup, u64, Vec<Option<f64>>)> = Vec::new();
        for (group, _) in groups(errors, &wanted) {
            let mut steps = vec![Some(0.0); trend.steps];
            let mut count = 0;
            for record in found.iter().filter(|record| record.fingerprint == group.fingerprint) {
                count += 1;
                if let Some(Some(step)) = trend.place(record.receive_time).and_then(|place| steps.get_mut(place)) {
                    *step += 1.0;
                }
            }
            if count > 0 && shown.len() < MOST_GROUPS {
                shown.push((group.clone(), count, steps));
            }
        }
        shown.sort_by_key(|(group, count, _)| std::cmp::Reverse((*count, group.last_seen)));
        let total = found.len();
        (shown, found.into_iter().take(MOST_RECORDS).cloned().collect::<Vec<_>>(), total)
    })?;
    Ok(html! {
        (heading("Errors", classes(place)))
        (chart.render(place))
        section.panel.s12 id="groups" {
            h2 { "Groups" small { "failures that differ in ids, numbers and addresses only" }
                @if place.get("group").is_some() { a.more href=(place.with("group", None).href()) data-swap { "All groups" } } }
            (groups_table(&groups, place, now))
        }
        section.panel.s12 id="records" {
            h2 { "Records" small { "the newest " (records.len()) " of " (total) } }
            (table(&records, now, &console.settings))
        }
    })
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
    let [answer] = console.scan(range, step(range), &place.view.filter, [&[]])?;
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

fn groups_table(groups: &[(ErrorGroup, u64, Vec<Option<f64>>)], place: &Place, now: u64) -> Markup {
    if groups.is_empty() {
        return html! { p.empty { "No failed call in this time. That is how it should be." } };
    }
    html! {
        div.scroll tabindex="0" role="group" aria-label="Groups" { table {
            thead { tr { th { "Class" } th { "What it says" } th.n { "Calls" } th { "Trend" } th { "Newest" } } }
            tbody { @for (group, calls, trend) in groups { tr {
                td { (class(group.class)) }
                td.wide { a href=(place.with("group", Some(format!("{:016x}", group.fingerprint))).href()) data-swap {
                    (if group.message.is_empty() { &group.kind } else { &group.message }) }
                    @if !group.kind.is_empty() && !group.message.is_empty() { small { (group.kind) } } }
                td.n { (count(*calls)) }
                td { (sparkline(trend)) }
                td { (time(group.last_seen, now)) }
            } } }
        } }
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
                td { (name(&record.service)) }
                td { (name(model(record))) }
                td { (class(record.class)) }
                td.wide { (if record.message.is_empty() { &record.kind } else { &record.message }) }
                td.n { (super::text::data(Unit::Seconds, record.duration.map(|nanos| nanos as f64 / 1e9))) }
                td { (trace(settings, &record.trace_id, Some(&record.span_id))) }
            } } }
        } }
    }
}
