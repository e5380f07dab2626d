//! The overview: what all calls add up to, and over time.

use aggregate::ErrorRecord;
use genai::TokenClasses;
use maud::{Markup, html};
use monitor::{Answer, Dimension, Field, GroupBy, Incident, Measure, Range, Series, Severity, Stats};

use super::chart::{Axis, Chart, Line, Part, Shape, parts, sparkline};
use super::errors;
use super::layout::FILTERS;
use super::place::Place;
use super::text::{Unit, count, data, name};
use crate::api::errors::Wanted;
use crate::api::traffic::length;
use crate::console::Console;
use crate::problem::Problem;
use crate::view::step;

/// Series of a chart beside one for the rest, rows of a list, and records that are shown.
const MOST_SERIES: usize = 5;
const MOST_ROWS: usize = 8;
const MOST_RECORDS: usize = 8;

/// What the history says of a time.
struct Traffic {
    now: u64,
    all: Answer,
    services: Answer,
    models: Answer,
    /// Models with the most tokens.
    by_tokens: Vec<Series>,
    /// The time before, as long.
    before: Option<Stats>,
    incidents: Vec<(u64, String)>,
}

impl Traffic {
    fn ask(console: &Console, place: &Place) -> Result<Self, Problem> {
        let (filter, now) = (&place.view.filter, console.now()?);
        let range = place.view.range(now);
        let ways = [
            GroupBy::top(Dimension::Service, Measure::Requests, MOST_SERIES),
            GroupBy::top(Dimension::Model, Measure::Requests, MOST_SERIES),
            GroupBy::top(Dimension::Model, Measure::Tokens, MOST_ROWS),
        ];
        let [services, models, by_tokens] = console.scan(range, step(range), filter, ways)?;
        let all = services.together();
        let before = Range::before(all.range.from, length(&all, now));
        let (is_kept, incidents) = console.monitoring(|monitoring| {
            let is_kept = monitoring.history().reaches_back_to(all.step) <= before.from && before.from > 0;
            let is_grave = |incident: &&Incident| incident.severity == Severity::Critical;
            let grave = monitoring.incidents().filter(|incident| all.range.contains(incident.fired)).filter(is_grave);
            (is_kept, grave.map(|incident| (incident.fired, format!("{} fired", incident.alert))).collect())
        })?;
        let before = if is_kept { Some(console.totals(before, filter)?) } else { None };
        Ok(Self {
            now,
            services,
            models,
            by_tokens: by_tokens.series.into_iter().take(MOST_ROWS).collect(),
            before: before.filter(|stats| stats.requests > 0),
            incidents,
            all,
        })
    }

    fn total(&self) -> Stats {
        self.all.series.first().map(|series| series.total.clone()).unwrap_or_default()
    }

    fn length(&self) -> u64 {
        length(&self.all, self.now)
    }

    /// A field of everything over time.
    fn values(&self, of: impl Fn(&Stats) -> Option<f64>) -> Vec<Option<f64>> {
        let points = self.all.series.first().into_iter().flat_map(|series| &series.points);
        Axis::of(&self.all).values(points.map(|point| (point.begin, of(&point.stats))))
    }

    fn chart<'a>(&self, id: &'a str, title: &'a str, note: &'a str, shape: Shape, unit: Unit) -> Chart<'a> {
        Chart { marks: self.incidents.clone(), ..Chart::new(id, title, note, shape, unit, Axis::of(&self.all)) }
    }

    /// A chart with a line for each series.
    fn by<'a>(&self, answer: &Answer, chart: Chart<'a>, of: impl Fn(&Stats) -> Option<f64>) -> Chart<'a> {
        let axis = Axis::of(answer);
        let lines = answer.series.iter().map(|series| {
            let points = series.points.iter().map(|point| (point.begin, of(&point.stats)));
            Line::new(series.names.first().map_or("", |name| name), axis.values(points), of(&series.total))
        });
        Chart { axis, lines: lines.collect(), ..chart }
    }
}

fn tokens(stats: &Stats) -> Option<f64> {
    Field::Tokens.of(stats, 1)
}

pub(super) fn render(console: &Console, place: &Place) -> Result<Markup, Problem> {
    let traffic = Traffic::ask(console, place)?;
    let value = |dimension| place.view.value(dimension);
    let wanted = Wanted::new(None, None, FILTERS.map(value))?;
    let range = traffic.all.range;
    let records: Vec<ErrorRecord> = console.errors(|errors| {
        let records = wanted.records(errors).filter(|record| range.contains(record.receive_time));
        records.take(MOST_RECORDS).cloned().collect()
    })?;
    let second = monitor::SECOND;
    Ok(html! {
        h1.sr { "Overview" }
        @if traffic.total().requests == 0 { (empty(place)) }
        (tiles(&traffic))
        ({
            let chart = traffic.chart("tokens", "Token usage", "by service", Shape::Bars, Unit::Count);
            Chart { class: "s8", ..traffic.by(&traffic.services, chart, tokens) }.render(place)
        })
        (models(&traffic, place))
        (traffic.by(&traffic.services, traffic.chart("requests", "Requests", "by service", Shape::Bars, Unit::Count),
            |stats| Some(stats.requests as f64)).render(place))
        (traffic.by(&traffic.models, traffic.chart("duration", "Request duration", "95th percentile, by model", Shape::Lines, Unit::Seconds),
            |stats| Field::LatencyP95.of(stats, second)).render(place))
        ({
            let chart = traffic.chart("cost", "Cost", "by model, as far as it is known", Shape::Bars, Unit::Dollars);
            Chart { class: "s4", ..traffic.by(&traffic.models, chart, |stats| Field::Cost.of(stats, second)) }.render(place)
        })
        ({
            let mut chart = traffic.chart("ttft", "Time to first token", "of streams that tell it", Shape::Lines, Unit::Seconds);
            chart.class = "s4";
            chart.lines = [("p50", Field::TimeToFirstTokenP50), ("p95", Field::TimeToFirstTokenP95)]
                .map(|(name, field)| Line::new(name, traffic.values(|s| field.of(s, second)), field.of(&traffic.total(), second)))
                .into();
            chart.render(place)
        })
        (by_tokens(&traffic, place))
        section.panel.s12 id="errors" {
            h2 { "Error records" small { "the newest" } a.more href=(place.elsewhere("/errors")) { "All errors" } }
            (errors::table(&records, traffic.now, &console.settings))
        }
    })
}

fn empty(place: &Place) -> Markup {
    html! {
        section.panel.s12.empty role="status" {
            @if place.view.filter.accepted.is_empty() {
                h2 { "No calls in this time" }
                p { "Send OTLP traces to Spanmill, on port 4317 for gRPC or 4318 for HTTP, or choose a longer time. What is counted shows up here within seconds." }
            } @else {
                h2 { "No calls in this time with these filters" }
                p { a.button href={ (place.path) "?range=24h" } data-swap { "Without filters, last 24 hours" } }
            }
        }
    }
}

fn tiles(traffic: &Traffic) -> Markup {
    let (total, length) = (traffic.total(), traffic.length());
    let step = traffic.all.step;
    let field = |field: Field| (field.of(&total, length), traffic.values(move |stats| field.of(stats, step)));
    let tile = |id: &str, label: &str, which: Field, more: Markup| {
        let (value, values) = field(which);
        tile(id, label, data(Unit::of(which.unit()), value), &more, &values)
    };
    let change = |which: Field, is_bad: bool| {
        let before = traffic.before.as_ref().and_then(|stats| which.of(stats, length));
        change(which.of(&total, length), before, is_bad)
    };
    let (input, output) = (Field::InputTokens.of(&total, length), Field::OutputTokens.of(&total, length));
    let share = |count: u64| (total.requests > 0).then(|| 1.0 - count as f64 / total.requests as f64);
    html! {
        div.tiles.s12 {
            (tile("total-requests", "Requests", Field::TotalRequests, html! { (change(Field::TotalRequests, false)) " " (data(Unit::PerSecond, Field::RequestRate.of(&total, length))) }))
            (tile("error-rate", "Error rate", Field::ErrorRate, html! { (change(Field::ErrorRate, true)) " " data value=(total.failed()) { (Unit::Count.text(total.failed() as f64)) " failed" } }))
            (tile("total-tokens", "Tokens in and out", Field::Tokens, html! { span { (data(Unit::Count, input)) " in" } " " span { (data(Unit::Count, output)) " out" } }))
            (tile("total-cost", "Cost", Field::Cost, html! { (change(Field::Cost, true)) " " span { (data(Unit::Share, share(total.unpriced))) " priced" } }))
            (tile("cache-share", "Input from cache", Field::CacheShare, html! { (change(Field::CacheShare, false)) }))
            (tile("latency-p95", "Duration p95", Field::LatencyP95, html! { span { "p50 " (data(Unit::Seconds, Field::LatencyP50.of(&total, length))) } }))
            (tile("first-token", "First token p95", Field::TimeToFirstTokenP95, html! { span { "p50 " (data(Unit::Seconds, Field::TimeToFirstTokenP50.of(&total, length))) } }))
            (tile("token-rate", "Tokens per second", Field::TokensPerSecond, html! { span { (data(Unit::Seconds, Field::TimePerOutputToken.of(&total, length))) " per token" } }))
        }
    }
}

pub(super) fn tile(id: &str, label: &str, value: Markup, more: &Markup, values: &[Option<f64>]) -> Markup {
    html! {
        section.tile id=[(!id.is_empty()).then_some(id)] {
            h2 { (label) }
            p.value { (value) }
            p.more { (more) }
            @if values.iter().flatten().count() > 1 { (sparkline(values)) }
        }
    }
}

/// How much more or less it is than before.
fn change(now: Option<f64>, before: Option<f64>, is_bad: bool) -> Markup {
    let (Some(now), Some(before)) = (now, before.filter(|before| *before > 0.0)) else { return html! {} };
    let change = now / before - 1.0;
    let arrow = match change {
        change if change >= 0.005 => "▲ ",
        change if change <= -0.005 => "▼ ",
        _ => "",
    };
    let class = match () {
        () if change.abs() < 0.1 || !is_bad => "",
        () if change > 0.0 => "worse",
        () => "better",
    };
    html! {
        span class=(class) title="Against the time before, as long" {
            (arrow) (format!("{:.0} %", change.abs().min(99.99) * 100.0))
        }
    }
}

fn models(traffic: &Traffic, place: &Place) -> Markup {
    let all = traffic.total().requests.max(1) as f64;
    html! {
        section.panel.s4 id="models" {
            h2 { "Models" small { "share of requests" } }
            @if traffic.models.series.is_empty() { p.empty { "Nothing was counted in this time." } }
            ul.list {
                @for (number, series) in traffic.models.series.iter().enumerate() {
                    @let requests = series.total.requests as f64;
                    (row(place, series, data(Unit::Count, Some(requests)), data(Unit::Share, Some(requests / all)), &[Part::new(requests / all * 100.0, colour(number, series))]))
                }
            }
        }
    }
}

fn colour(number: usize, series: &Series) -> &'static str {
    let is_rest = series.names.first().is_some_and(|name| name == monitor::REST);
    ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"].get(number).filter(|_| !is_rest).copied().unwrap_or("cx")
}

/// A row of a list: a model, and what is said of it.
fn row(place: &Place, series: &Series, value: Markup, beside: Markup, shares: &[Part]) -> Markup {
    let model = series.names.first().map_or("", |name| name);
    let is_filter = !model.is_empty() && model != monitor::REST;
    html! {
        li {
            @if is_filter { a href=(place.only(Dimension::Model, Some(model)).href()) data-swap title="Only this model" { (name(model)) } }
            @else { span { (name(model)) } }
            em { (value) } small { (beside) }
            (parts(shares))
        }
    }
}

/// The classes of tokens, input before output: what they are called, and their colours.
const CLASSES: [(&str, &str); 5] =
    [("in", "c0"), ("from cache", "c5"), ("to cache", "c2"), ("out", "c1"), ("reasoning", "c4")];

fn by_tokens(traffic: &Traffic, place: &Place) -> Markup {
    let most = traffic.by_tokens.iter().map(|series| series.total.total_tokens()).max().unwrap_or(1).max(1) as f64;
    html! {
        section.panel.s4 id="model-tokens" {
            h2 { "Tokens by model" small { @for (name, colour) in CLASSES { i class=(colour) {} " " (name) " " } } }
            @if traffic.by_tokens.is_empty() { p.empty { "Nothing was counted in this time." } }
            ul.list { @for series in &traffic.by_tokens { (of_classes(place, series, most)) } }
        }
    }
}

/// A row of [`by_tokens`]: all input and all output, and of what they are made; `most` is as wide as the list.
fn of_classes(place: &Place, series: &Series, most: f64) -> Markup {
    let total = &series.total;
    let TokenClasses { input_uncached, cache_read, cache_write, output_visible, reasoning } = total.tokens;
    let classes = [input_uncached, cache_read, cache_write, output_visible, reasoning];
    let text = |count: u64| Unit::Count.text(count as f64);
    let shares = CLASSES.into_iter().zip(classes).map(|((what, colour), count)| Part {
        what: format!("{what}: {}", text(count)),
        ..Part::new(count as f64 / most * 100.0, colour)
    });
    let shares: Vec<Part> = shares.collect();
    let told = |value: u64, more: Markup| match tokens(total) {
        Some(_) => html! { (count(value)) (more) },
        None => data(Unit::Count, None),
    };
    let cached =
        html! { " in" span.sr { ", " (count(cache_read)) " of it from cache, " (count(cache_write)) " to cache" } };
    let reasoned = html! { " out" span.sr { ", " (count(reasoning)) " of it reasoning" } };
    row(place, series, told(total.total_input_tokens(), cached), told(total.total_output_tokens(), reasoned), &shares)
}
