//! What all pages have in common.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use monitor::{Dimension, Monitoring, REST};

use super::assets::{ICON, SCRIPT, STYLE};
use super::notifications::Firing;
use super::place::Place;
use super::text::{formatted, name};
use super::{Controls, PAGES, Page};
use crate::console::Console;
use crate::problem::Problem;
use crate::view::{Last, Span};

/// Bytes of options that a filter offers by itself. If there are more, it takes a text, and asks for what there is when it is wanted.
const MOST_OPTIONS: usize = 600;
/// Bytes of an option beside its text.
const OPTION: usize = 17;

/// What pages are filtered by.
pub(super) const FILTERS: [Dimension; 4] =
    [Dimension::Service, Dimension::Environment, Dimension::Provider, Dimension::Model];

/// What the frame of a page says.
struct Frame {
    now: u64,
    /// From when on the history knows all, and whether it would know more with more memory.
    known_from: u64,
    is_cut: bool,
    firing: Firing,
    /// `None` where there are too many.
    values: [(Dimension, Option<Vec<String>>); FILTERS.len()],
}

impl Frame {
    fn of(monitoring: &Monitoring) -> Self {
        let values = |dimension| {
            let mut values = monitoring.history().values(dimension);
            values.retain(|value| !value.is_empty() && *value != REST);
            let bytes: usize = values.iter().map(|value| value.len() + OPTION).sum();
            (bytes <= MOST_OPTIONS).then(|| values.into_iter().map(str::to_owned).collect())
        };
        Self {
            now: monitoring.now(),
            known_from: monitoring.history().known_from(),
            is_cut: monitoring.history().reaches().iter().any(|reach| reach.is_cut),
            firing: Firing::of(monitoring),
            values: FILTERS.map(|dimension| (dimension, values(dimension))),
        }
    }
}

/// A whole page.
pub(super) fn page(console: &Console, place: &Place, page: Page, content: Markup) -> Result<Markup, Problem> {
    let frame = console.monitoring(Frame::of)?;
    let is_current = |path: &str| place.path == path || (path != "/" && place.path.starts_with(&format!("{path}/")));
    Ok(html! {
        (head(page.name))
        body {
            a.skip href="#main" { "Skip to content" }
            header {
                a.brand href=(place.elsewhere("/")) { (mark()) "Spanmill" }
                nav aria-label="Pages" {
                    @for page in &PAGES {
                        a href=(place.elsewhere(page.path)) aria-current=[is_current(page.path).then_some("page")] {
                            (page.name)
                            @if page.path == "/alerts" { (frame.firing.badge()) }
                        }
                    }
                }
                (controls(place, page.controls, &frame))
            }
            main id="main" tabindex="-1" data-live=[place.is_live().then_some("1")] data-now=(frame.now / 1_000_000) {
                @if let (Span::Between(range), true) = (place.view.span, page.controls >= Controls::Time) { (zoomed(place, range)) }
                @if page.controls == Controls::TimeAndFilter && frame.known_from > place.view.range(frame.now).from {
                    (cut(place, frame.known_from, frame.is_cut))
                }
                (content)
            }
            footer { "As of " time { (formatted(frame.now, "%Y-%m-%d %H:%M:%S")) " UTC" } ", the newest time of the log. Times are UTC." }
        }
    })
}

fn zoomed(place: &Place, range: monitor::Range) -> Markup {
    html! {
        p.zoomed role="status" {
            "From " b { (formatted(range.from, "%b %d, %H:%M:%S")) } " to " b { (formatted(range.to, "%b %d, %H:%M:%S")) } " UTC "
            a.button href=(place.wider(range).href()) data-swap { "Zoom out" }
            a.button href=(place.at(Span::Last(Last::default())).href()) data-swap { "Back to now" }
        }
    }
}

/// Says from when on a time is known of which not all is, and where it is said why, if that is for lack of memory.
pub(super) fn cut(place: &Place, known_from: u64, is_cut: bool) -> Markup {
    html! {
        p.zoomed id="cut" role="status" {
            "What was before " b { (formatted(known_from, "%b %d, %H:%M:%S")) } " UTC is not kept any more. "
            @if is_cut { a.button href=(place.elsewhere("/health")) { "Why" } } @else { "30 days are." }
        }
    }
}

fn controls(place: &Place, which: Controls, frame: &Frame) -> Markup {
    html! {
        div.controls id="controls" {
            @if which == Controls::TimeAndFilter { form.filters method="get" action=(PreEscaped(&place.path)) aria-label="Filters" data-filters {
                @match place.view.span {
                    Span::Last(last) => input type="hidden" name="range" value=(last.name());,
                    Span::Between(range) => {
                        input type="hidden" name="from" value=(range.from / 1_000_000);
                        input type="hidden" name="to" value=(range.to / 1_000_000);
                    }
                }
                @for (name, value) in place.more() { input type="hidden" name=(name) value=(value); }
                @for (dimension, values) in &frame.values {
                    @if let Some(values) = values { (filter(place, *dimension, values)) } @else { (search(place, *dimension)) }
                }
                button.apply type="submit" { "Apply" }
            } }
            @if which >= Controls::Time { div.range role="group" aria-label="Time range" {
                @for last in Last::ALL {
                    a href=(place.at(Span::Last(last)).href()) data-swap aria-label={ "Last " (last.words()) }
                        aria-current=[(place.view.span == Span::Last(last)).then_some("true")] { (last.name()) }
                }
            } }
            span.live id="live" role="status" { "" }
            button.icon type="button" id="theme" aria-label="Dark or light" title="Dark or light" { (theme()) }
        }
    }
}

fn filter(place: &Place, dimension: Dimension, values: &[String]) -> Markup {
    let chosen = place.view.value(dimension);
    let is_unknown = chosen.is_some_and(|chosen| !values.iter().any(|value| value == chosen));
    html! {
        select name=(dimension.name()) aria-label=(label(dimension)) class=[chosen.is_some().then_some("on")] {
            option value="" { (label(dimension)) }
            @for value in values { option selected[chosen == Some(value)] { (value) } }
            @if let (Some(chosen), true) = (chosen, is_unknown) { option value=(chosen) selected { (name(chosen)) } }
        }
    }
}

/// A filter with more values than are offered: it takes a text.
fn search(place: &Place, dimension: Dimension) -> Markup {
    let (name, list) = (dimension.name(), format!("{}-values", dimension.name()));
    let chosen = place.view.value(dimension);
    html! {
        input type="search" name=(name) value=[chosen] list=(list) placeholder=(label(dimension)) aria-label=(label(dimension))
            maxlength="256" autocomplete="off" class=[chosen.is_some().then_some("on")];
        datalist id=(list) {}
    }
}

/// What a filter is called that accepts everything.
const fn label(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Service => "Service",
        Dimension::Environment => "Environment",
        Dimension::Provider => "Provider",
        Dimension::Model => "Model",
        Dimension::Operation => "Operation",
    }
}

fn head(title: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en";
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) " · Spanmill" }
            link rel="icon" href=(ICON.href()) type="image/svg+xml";
            link rel="stylesheet" href=(STYLE.href());
            script src=(SCRIPT.href()) {}
        }
    }
}

fn mark() -> Markup {
    html! { svg.mark viewBox="0 0 16 16" aria-hidden="true" { path d="M8 0l2 6 6 2-6 2-2 6-2-6-6-2 6-2z" {} } }
}

fn theme() -> Markup {
    html! { svg viewBox="0 0 16 16" aria-hidden="true" { path d="M8 1a7 7 0 1 0 0 14zM8 0a8 8 0 1 1 0 16A8 8 0 0 1 8 0z" {} } }
}

/// What is shown instead of a page that there is not.
pub(super) fn problem(problem: &Problem) -> Markup {
    html! {
        (head(problem.title()))
        body {
            header { a.brand href="/" { (mark()) "Spanmill" } }
            main id="main" {
                section.panel.s12 role="alert" {
                    h1 { (problem.title()) }
                    p { (problem.detail()) }
                    p { a.button href="/" { "To the overview" } }
                }
            }
        }
    }
}

/// A heading, and what stands beside it.
pub(super) fn heading(text: &str, beside: Markup) -> Markup {
    html! { div.heading.s12 { h1 { (text) } (beside) } }
}
