//! A monitor: its calls, and what is said of them.

use maud::{Markup, html};
use monitor::{Canary, Chart as ControlChart, Field, Monitor, MonitorState, Monitoring, Point, Slo, Stats, Verdict};

use super::alerts;
use super::chart::{Axis, Chart, Line, Shape, distribution};
use super::layout::{cut, heading};
use super::monitors::{health, path, state};
use super::overview::tile;
use super::place::Place;
use super::text::{Unit, count, data, formatted, time};
use super::traces::trace;
use crate::api::alerts::{objective, words};
use crate::api::changes::in_unit;
use crate::console::{Console, Settings};
use crate::problem::Problem;
use crate::view::step;

pub(super) fn render(console: &Console, place: &Place) -> Result<Markup, Problem> {
    let name = place.path.strip_prefix("/monitors/").unwrap_or_default();
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy().into_owned();
    console.monitoring(|monitoring| {
        let monitor = monitoring.monitor(&name);
        let monitor = monitor.ok_or_else(|| Problem::not_found(format!("there is no monitor {name:?}")))?;
        Ok(content(monitoring, monitor, place, &console.settings))
    })?
}

fn content(monitoring: &Monitoring, monitor: &Monitor, place: &Place, settings: &Settings) -> Markup {
    let name = monitor.name();
    html! {
        (heading(name, html! { (health(monitor)) " " (state(monitor, monitoring.now())) (deeds(monitor, monitoring.now())) }))
        (tiles(monitor))
        (charts(monitoring, monitor, place))
        (latency(monitor))
        section.panel.s8 id="samples" {
            h2 { "Requests" small { "the slowest, failed and some others of the last hour" } }
            (samples(monitoring.now(), monitor, settings))
        }
        (figures(monitor))
        @let alerts: Vec<_> = monitoring.alerts().iter().filter(|alert| alert.rule().monitor == name).collect();
        section.panel.s12 id="alerts" {
            h2 { "Alerts" }
            @if alerts.is_empty() { p.empty { "No alert is configured for this monitor." } }
            @else { (alerts::table(&alerts, monitoring.now(), place)) }
        }
        @for slo in monitoring.slos().iter().filter(|slo| slo.definition().monitor == name) { (budget(slo, monitoring.now(), place)) }
        @for chart in monitoring.charts().iter().filter(|chart| chart.definition().monitor == name) { (control(chart, place)) }
        @for canary in monitoring.canaries().iter().filter(|canary| canary.definition().monitor == name) { (versions(canary, monitoring.now())) }
        (drift(monitoring, name))
    }
}

fn deeds(monitor: &Monitor, now: u64) -> Markup {
    let deed = |deed: &str, label: &str| html! { button type="button" data-post={ "/api/v1" (path(monitor.name())) "/" (deed) } { (label) } };
    html! {
        div.deeds {
            @match monitor.state() {
                MonitorState::Active => { (deed("pause", "Pause")) (deed("archive", "Archive")) }
                MonitorState::Paused => { (deed("activate", "Resume")) (deed("archive", "Archive")) }
                MonitorState::Archived => { (deed("activate", "Restore")) @if !monitor.is_configured() { (deed("remove", "Remove")) } }
            }
            @let is_muted = monitor.muted_until() > now;
            button type="button" data-post={ "/api/v1" (path(monitor.name())) "/mute" } data-body=(if is_muted { "{\"minutes\":0}" } else { "{\"minutes\":60}" }) {
                (if is_muted { "Unmute" } else { "Mute for 1 h" }) }
            p.problem role="alert" {}
        }
    }
}

const TILES: [(&str, Field); 8] = [
    ("Requests", Field::TotalRequests),
    ("Error rate", Field::ErrorRate),
    ("Duration p50", Field::LatencyP50),
    ("Duration p99", Field::LatencyP99),
    ("First token p95", Field::TimeToFirstTokenP95),
    ("Tokens per second", Field::TokensPerSecond),
    ("Cost", Field::Cost),
    ("Cold starts", Field::ColdStartRate),
];

fn tiles(monitor: &Monitor) -> Markup {
    let snapshot = monitor.snapshot();
    let of = |field: Field| data(Unit::of(field.unit()), snapshot.and_then(|snapshot| snapshot.get(field)));
    html! {
        div.tiles.s12 {
            @for (label, field) in TILES {
                (tile(field.name(), label, of(field), &html! { "in " (monitor.definition().window.name()) }, &[]))
            }
        }
    }
}

/// Fields of the snapshot that have no tile, and those that are judged.
fn figures(monitor: &Monitor) -> Markup {
    let snapshot = monitor.snapshot();
    let judged =
        |field: &Field| monitor.definition().health.thresholds.iter().find(|threshold| threshold.field == *field);
    let is_tile = |field: &Field| TILES.iter().any(|(_, tile)| tile == field);
    let shown = Field::ALL.into_iter().filter(|field| !is_tile(field) || judged(field).is_some());
    html! {
        section.panel.s12 id="figures" {
            h2 { "More figures" small { "of the last " (monitor.definition().window.name()) ", and from where on it is not healthy" } }
            div.scroll.tall tabindex="0" role="group" aria-label="More figures" { table {
                thead { tr { th { "Figure" } th.n { "Value" } th.n { "Warning from" } th.n { "Critical from" } } }
                tbody { @for field in shown {
                    @let unit = Unit::of(field.unit());
                    tr {
                        td { (field.name()) }
                        td.n { (data(unit, snapshot.and_then(|snapshot| snapshot.get(field)))) }
                        @if let Some(threshold) = judged(&field) {
                            td.n { (data(unit, Some(threshold.warning))) }
                            td.n { (data(unit, Some(threshold.critical))) }
                        }
                    }
                } }
            } }
        }
    }
}

fn charts(monitoring: &Monitoring, monitor: &Monitor, place: &Place) -> Markup {
    let range = place.view.range(monitoring.now());
    let answer = monitoring.over_time(monitor, range, step(range));
    let (axis, step) = (Axis::of(&answer), answer.step);
    let points: &[Point] = answer.series.first().map_or(&[], |series| &series.points);
    let values = |of: &dyn Fn(&Stats) -> Option<f64>| {
        axis.values(points.iter().map(|Point { begin, stats }| (*begin, of(stats))))
    };
    let fields = |lines: &[(&str, Field)]| -> Vec<Line> {
        lines.iter().map(|(name, field)| Line::new(name, values(&|stats| field.of(stats, step)), None)).collect()
    };
    let incidents = monitoring.incidents().filter(|incident| incident.monitor == monitor.name());
    let marks: Vec<(u64, String)> =
        incidents.map(|incident| (incident.fired, format!("{} fired", incident.alert))).collect();
    let chart = |id, title, note, shape, unit, lines| {
        Chart { lines, marks: marks.clone(), ..Chart::new(id, title, note, shape, unit, axis) }.render(place)
    };
    let sum = |of: &dyn Fn(&Stats) -> u64| Some(points.iter().map(|point| of(&point.stats)).sum::<u64>() as f64);
    let good = |stats: &Stats| stats.requests.saturating_sub(stats.failed());
    let volume = vec![
        Line::new("succeeded", values(&|stats| Some(good(stats) as f64)), sum(&good)),
        Line {
            colour: Some("bad"),
            ..Line::new("failed", values(&|stats| Some(stats.failed() as f64)), sum(&Stats::failed))
        },
    ];
    html! {
        @if answer.known_from > range.from { (unknown(monitoring, monitor, place, answer.known_from)) }
        (chart("volume", "Requests", "", Shape::Bars, Unit::Count, volume))
        (chart("latency", "Duration", "percentiles", Shape::Lines, Unit::Seconds,
            fields(&[("p50", Field::LatencyP50), ("p95", Field::LatencyP95), ("p99", Field::LatencyP99)])))
        (chart("errors", "Error rate", "", Shape::Lines, Unit::Share, fields(&[("error rate", Field::ErrorRate)])))
        (chart("first", "Time to first token", "percentiles", Shape::Lines, Unit::Seconds,
            fields(&[("p50", Field::TimeToFirstTokenP50), ("p95", Field::TimeToFirstTokenP95)])))
    }
}

/// Why not all of a time is known.
fn unknown(monitoring: &Monitoring, monitor: &Monitor, place: &Place, known_from: u64) -> Markup {
    if monitor.state() != MonitorState::Archived && known_from > monitor.since() {
        return cut(place, known_from, monitoring.own_reaches().iter().any(|reach| reach.is_cut));
    }
    html! { p.zoomed id="cut" role="status" {
        @if monitor.state() == MonitorState::Archived { "It is archived: its calls are not counted." }
        @else { "Its calls are counted since " b { (formatted(known_from, "%b %d, %H:%M:%S")) } " UTC." }
    } }
}

fn latency(monitor: &Monitor) -> Markup {
    let stats = monitor.window_stats().unwrap_or_default();
    let values = stats.duration.values();
    let marks = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];
    let marks: Vec<(&str, f64)> =
        marks.into_iter().filter_map(|(name, share)| Some((name, stats.duration.quantile(share)?))).collect();
    html! {
        section.panel.s4 id="distribution" {
            h2 { "Durations" small { "of the last " (monitor.definition().window.name()) ", on a logarithmic scale" } }
            (distribution(&values, &marks))
        }
    }
}

fn samples(now: u64, monitor: &Monitor, settings: &Settings) -> Markup {
    let samples = monitor.samples();
    if samples.is_empty() {
        return html! { p.empty { "There was no call in the last hour." } };
    }
    let seconds = |nanos: Option<u64>| data(Unit::Seconds, nanos.map(|nanos| nanos as f64 / 1e9));
    let number = |told: Option<u64>| data(Unit::Count, told.map(|told| told as f64));
    html! {
        div.scroll.tall tabindex="0" role="group" aria-label="Requests" { table {
            thead { tr { th { "Kind" } th { "Time" } th.n { "Duration" } th.n { "First token" } th.n { "In" } th.n { "Out" } th.n { "Cost" } th { "Error" } th { "Trace" } } }
            tbody { @for (kind, sample) in &samples { tr {
                td { (kind.name()) }
                td { (time(sample.at, now)) }
                td.n { (seconds(sample.duration)) }
                td.n { (seconds(sample.time_to_first_token)) }
                td.n { (number(sample.input_tokens)) }
                td.n { (number(sample.output_tokens)) }
                td.n { (data(Unit::Dollars, sample.cost.map(genai::Money::dollars))) }
                td { @if let Some(error) = sample.error { (super::errors::class(error)) } }
                td { (trace(settings, &sample.trace_id, Some(&sample.span_id))) }
            } } }
        } }
    }
}

fn budget(slo: &Slo, now: u64, place: &Place) -> Markup {
    let (definition, status) = (slo.definition(), slo.status(now));
    let length = definition.period.length();
    let axis = Axis::new(now.saturating_sub(length), now.saturating_add(1), length / 60);
    let id = format!("slo-{}", definition.name);
    let note = format!(
        "{} of {}, over {}",
        Unit::Share.text(definition.target),
        objective(definition.objective),
        words(length)
    );
    let mut chart = Chart::new(&id, &definition.name, &note, Shape::Lines, Unit::Share, axis);
    let points = slo.burn_down(now).into_iter().map(|(at, left)| (at.saturating_sub(1), Some(left)));
    chart.lines.push(Line::new("budget left", axis.values(points), status.left));
    html! {
        (chart.render(place))
        section.panel.s6 id={ "burn-" (definition.name) } {
            h2 { (definition.name) small { "how fast the budget is used up; 1 lasts just for the time" } }
            div.tiles {
                (tile("", "Budget left", data(Unit::Share, status.left), &html! { span { (data(Unit::Count, Some(status.budget.bad as f64))) " bad of " (data(Unit::Count, Some(status.allowed))) " allowed" } }, &[]))
                (tile("", "Calls that count", data(Unit::Count, Some(status.budget.total as f64)), &html! { "in " (words(length)) }, &[]))
            }
            div.scroll tabindex="0" role="group" aria-label={ "Burn rates of " (definition.name) } { table {
                thead { tr { th { "Window" } th.n { "Burn rate" } th { "Short window" } th.n { "Burn rate" } th.n { "Alert above" } } }
                tbody { @for (alert, [long, short]) in definition.burn_alerts.iter().zip(&status.burn_rates) { tr {
                    td { (words(alert.window)) } td.n { (data(Unit::Count, *long)) }
                    td { (words(alert.short_window())) } td.n { (data(Unit::Count, *short)) }
                    td.n { (alert.factor) }
                } } }
            } }
        }
    }
}

fn control(chart: &ControlChart, place: &Place) -> Markup {
    let definition = chart.definition();
    let points: Vec<_> = chart.points().collect();
    let id = format!("control-{}", definition.name);
    let unit = Unit::of(definition.field.unit());
    let Some((limits, first)) = chart.limits().zip(points.first()) else {
        return html! {
            section.panel.s6 id=(id) {
                h2 { (definition.name) small { "control chart of " (definition.field.name()) } }
                p.empty { "Learned from " (chart.learned()) " of " (definition.learning) " points so far." }
            }
        };
    };
    let last = points.last().map_or(first.at, |point| point.at);
    let axis = Axis::new(first.at - 1, last, definition.step);
    let note = format!("control chart of {}", definition.field.name());
    let mut drawn = Chart::new(&id, &definition.name, &note, Shape::Lines, unit, axis);
    let values = axis.values(points.iter().map(|point| (point.at - 1, Some(point.value))));
    drawn.lines.push(Line::new(definition.field.name(), values, points.last().map(|point| point.value)));
    drawn.levels = vec![("upper limit", limits.upper()), ("mean", limits.mean)];
    if limits.lower() > 0.0 {
        drawn.levels.push(("lower limit", limits.lower()));
    }
    let broken = points.iter().filter(|point| !point.broken.is_empty());
    drawn.marks = broken
        .map(|point| {
            let rules: Vec<&str> = point.broken.iter().map(|rule| rule.name()).collect();
            (point.at - definition.step / 2, format!("out of control: {}", rules.join(", ")))
        })
        .collect();
    drawn.render(place)
}

fn verdict(verdict: Verdict) -> Markup {
    let (class, text) = match verdict {
        Verdict::TooLittleData => ("quiet", "too little data"),
        Verdict::Pass => ("ok", "pass"),
        Verdict::Marginal => ("warning", "marginal"),
        Verdict::Fail => ("critical", "fail"),
    };
    html! { span.dot.(class) { (text) } }
}

fn versions(canary: &Canary, now: u64) -> Markup {
    let (definition, report) = (canary.definition(), canary.report(now));
    let unit = |figure: &str| match figure {
        "error_rate" => Unit::Share,
        "input_tokens" | "output_tokens" => Unit::Count,
        "cost_per_request" => Unit::Dollars,
        _ => Unit::Seconds,
    };
    html! {
        section.panel.s6 id={ "canary-" (definition.name) } {
            h2 { (definition.name) small { "canary by " (definition.versions.name()) ", last " (words(definition.window)) } (verdict(report.verdict)) }
            div.scroll tabindex="0" role="group" aria-label={ "Canary " (definition.name) } { table {
                thead { tr {
                    th { "Figure" } th.n { (definition.baseline) } th.n { (definition.canary) } th.n { "z" } th.n { "p" } th { "Verdict" }
                } }
                tbody {
                    tr { td { "requests" } td.n { (count(report.baseline_requests)) } td.n { (count(report.canary_requests)) } td {} td {} td {} }
                    @for comparison in &report.comparisons {
                        @let [baseline, canary] = in_unit(comparison);
                        tr {
                            td { (comparison.figure) }
                            td.n { (data(unit(comparison.figure), baseline)) }
                            td.n { (data(unit(comparison.figure), canary)) }
                            td.n { @if let Some(test) = comparison.test { (format!("{:.2}", test.z)) } }
                            td.n { @if let Some(test) = comparison.test { (if test.p < 0.001 { "<0.001".to_owned() } else { format!("{:.3}", test.p) }) } }
                            td { (verdict(comparison.verdict)) }
                        }
                    }
                }
            } }
        }
    }
}

fn drift(monitoring: &Monitoring, name: &str) -> Markup {
    let Some(report) = monitoring.drift(name) else { return html! {} };
    html! {
        section.panel.s6 id="drift" {
            h2 { "Drift of tokens" small { "population stability index: below 0.1 nothing happened, above 0.25 it is another population" } }
            div.tiles {
                @for (label, index) in ["Input", "Output"].into_iter().zip(report.index) {
                    (tile("", label, html! { @match index {
                        Some(index) => data value=(index) { (format!("{index:.3}")) },
                        None => span.unknown title="too few calls" { "–" },
                    } }, &html! { (report.requests) " calls against " (report.reference_requests) }, &[]))
                }
            }
        }
    }
}
