//! All monitors, and how they are.

use maud::{Markup, html};
use monitor::{
    Alert, Attribute, Field, HOUR, Health, MINUTE, Monitor, MonitorState, Monitoring, Phase, Range, Severity, Window,
};

use super::chart::{Axis, sparkline};
use super::layout::heading;
use super::place::Place;
use super::text::{Unit, data};
use crate::api::monitors::pattern;
use crate::console::Console;
use crate::problem::Problem;
use crate::view::encoded;

/// Rows of a page. Where there are more monitors, those that are worst stand before others.
const MOST: usize = 60;

pub(super) fn render(console: &Console, place: &Place) -> Result<Markup, Problem> {
    let shows_archived = place.get("archived") == Some("1");
    console.monitoring(|monitoring| {
        let is_shown = |monitor: &&Monitor| shows_archived || monitor.state() != MonitorState::Archived;
        let mut shown: Vec<&Monitor> = monitoring.monitors().iter().filter(is_shown).collect();
        let of = shown.len();
        if of > MOST {
            shown.sort_by_key(|monitor| urgency(monitoring, monitor));
            shown.truncate(MOST);
        }
        let archived = monitoring.monitors().iter().filter(|m| m.state() == MonitorState::Archived).count();
        html! {
            (heading("Monitors", html! {
                @if archived > 0 {
                    a.button href=(place.with("archived", (!shows_archived).then(|| "1".to_owned())).href()) data-swap {
                        (if shows_archived { "Hide archived".to_owned() } else { format!("Show archived ({archived})") }) }
                }
            }))
            section.panel.s12 id="monitors" {
                @if shown.is_empty() {
                    p.empty { "Nothing is monitored yet. A monitor watches the calls of a model, a service or an endpoint: create one below, or in the configuration under " code { "monitors" } "." }
                } @else {
                    @if of > MOST { p { "The worst " (MOST) " of " (of) "; " code { "/api/v1/monitors" } " has all." } }
                    div.scroll tabindex="0" role="group" aria-label="Monitors" { table {
                        thead { tr {
                            th { "Monitor" } th { "Health" } th { "State" } th { "Window" } th.n { "Requests" } th { "Last hour" } th.n { "Errors" }
                            th.n { "p50" } th.n { "p99" } th.n { "First token p95" } th.n { "Cost" } th { "Alerts" }
                        } }
                        tbody { @for monitor in &shown { (row(monitoring, monitor, place)) } }
                    } }
                }
            }
            (form(monitoring.not_kept()))
        }
    })
}

fn row(monitoring: &Monitoring, monitor: &Monitor, place: &Place) -> Markup {
    let field =
        |field: Field| data(Unit::of(field.unit()), monitor.snapshot().and_then(|snapshot| snapshot.get(field)));
    html! {
        tr {
            th scope="row" { a href=(place.elsewhere(&path(monitor.name()))) { (monitor.name()) } }
            td { (health(monitor)) }
            td { (state(monitor, monitoring.now())) }
            td { (monitor.definition().window.name()) }
            td.n { (field(Field::TotalRequests)) }
            td { (sparkline(&requests(monitoring, monitor))) }
            td.n { (field(Field::ErrorRate)) }
            td.n { (field(Field::LatencyP50)) }
            td.n { (field(Field::LatencyP99)) }
            td.n { (field(Field::TimeToFirstTokenP95)) }
            td.n { (field(Field::Cost)) }
            td { (firing(monitoring, monitor.name())) }
        }
    }
}

/// The less, the sooner it should be seen.
fn urgency(monitoring: &Monitoring, monitor: &Monitor) -> (bool, u8) {
    let fires = |alert: &Alert| alert.rule().monitor == monitor.name() && matches!(alert.phase(), Phase::Firing(_));
    let health = match monitor.health() {
        Health::Critical => 0,
        Health::Warning => 1,
        Health::NoData => 2,
        Health::TooLittleTraffic | Health::Healthy => 3,
    };
    (!monitoring.alerts().iter().any(fires), health)
}

/// The path of a monitor's page.
pub(super) fn path(name: &str) -> String {
    format!("/monitors/{}", encoded(name))
}

fn requests(monitoring: &Monitoring, monitor: &Monitor) -> Vec<Option<f64>> {
    let now = monitoring.now();
    let range = Range { from: now.saturating_sub(HOUR), to: now.saturating_add(1) };
    let answer = monitoring.over_time(monitor, range, 2 * MINUTE);
    let points = answer.series.iter().flat_map(|series| &series.points);
    Axis::of(&answer).values(points.map(|point| (point.begin, Some(point.stats.requests as f64))))
}

/// How a monitor is, in a colour and in words.
pub(super) fn health(monitor: &Monitor) -> Markup {
    let (class, text) = match monitor.health() {
        Health::Healthy => ("ok", "healthy"),
        Health::Warning => ("warning", "warning"),
        Health::Critical => ("critical", "critical"),
        Health::NoData => ("quiet", "no data"),
        Health::TooLittleTraffic => ("quiet", "too little traffic"),
    };
    html! { span.dot.(class) { (text) } }
}

/// What is done with a monitor.
pub(super) fn state(monitor: &Monitor, now: u64) -> Markup {
    html! {
        span.tag.badge-state { (monitor.state().name()) }
        @if monitor.muted_until() > now { " " span.tag { "muted" } }
        @if monitor.is_configured() { " " span.tag title="Defined in the configuration" { "configured" } }
    }
}

/// The class of a severity.
pub(super) const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn firing(monitoring: &Monitoring, name: &str) -> Markup {
    let of = monitoring.alerts().iter().filter(|alert| alert.rule().monitor == name);
    let firing: Vec<Severity> =
        of.filter(|alert| matches!(alert.phase(), Phase::Firing(_))).map(|alert| alert.rule().severity).collect();
    html! { @if let Some(worst) = firing.iter().max() { span.tag.(severity(*worst)) { (firing.len()) " firing" } } }
}

/// A pattern of a monitor that is to be. What is not kept of calls cannot be asked for, and it says so.
fn attribute(label: &str, attribute: Attribute, not_kept: &[Attribute]) -> Markup {
    html! {
        @if not_kept.contains(&attribute) {
            label title=(attribute.wanted()) { (label) input disabled placeholder={ (attribute.key()) " is not kept" }; }
        } @else {
            label { (label) input name=(pattern(attribute)) maxlength="256" placeholder="any" autocomplete="off"; }
        }
    }
}

fn form(not_kept: &[Attribute]) -> Markup {
    html! {
        details.panel.s12.new id="new" {
            summary { "New monitor" }
            form data-post="/api/v1/monitors" {
                label { "Name" input name="name" required maxlength="100" autocomplete="off"; }
                label { "Model" input name="selector.model" maxlength="256" placeholder="any, * stands for any text" autocomplete="off"; }
                label { "Provider" input name="selector.provider" maxlength="256" placeholder="any" autocomplete="off"; }
                (attribute("Service", Attribute::Service, not_kept))
                (attribute("Version", Attribute::ServiceVersion, not_kept))
                (attribute("Environment", Attribute::Environment, not_kept))
                (attribute("Endpoint", Attribute::ServerAddress, not_kept))
                label { "Window" select name="window" { @for window in Window::ALL { option { (window.name()) } } } }
                label { "Healthy if it answers" select name="preset" { option value="llm" { "in seconds (llm)" } option value="service" { "at once (service)" } } }
                button.primary type="submit" { "Create" }
                p.problem role="alert" {}
            }
        }
    }
}
