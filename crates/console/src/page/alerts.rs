//! Alerts: which fire, and which did.

use maud::{Markup, html};
use monitor::{Alert, Incident, Phase};

use super::layout::heading;
use super::monitors::{path, severity};
use super::notifications::panel;
use super::overview::tile;
use super::place::Place;
use super::text::{Unit, count, data, time};
use crate::api::alerts::{condition, phase, words};
use crate::console::Console;
use crate::problem::Problem;
use crate::source::NotifierState;

/// Alerts and incidents that are shown; the API has all.
const MOST_RULES: usize = 70;
const MOST: usize = 40;

pub(super) fn render(console: &Console, place: &Place) -> Result<Markup, Problem> {
    let notifiers = console.source.notifiers();
    console.monitoring(|monitoring| {
        let mut alerts: Vec<&Alert> = monitoring.alerts().iter().collect();
        let rank = |alert: &Alert| match alert.phase() {
            Phase::Firing(_) => 0,
            Phase::Pending { .. } => 1,
            Phase::Inactive => 2,
        };
        alerts.sort_by_key(|alert| (rank(alert), std::cmp::Reverse(alert.rule().severity)));
        let of = |wanted: u8| alerts.iter().filter(|alert| rank(alert) == wanted).count() as u64;
        let incidents: Vec<&Incident> = monitoring.incidents().take(MOST).collect();
        html! {
            (heading("Alerts", html! {}))
            div.tiles.s12 {
                (tile("firing", "Firing", count(of(0)), &html! { "now" }, &[]))
                (tile("pending", "Pending", count(of(1)), &html! { "not for long enough yet" }, &[]))
                (tile("mttr", "Mean time to recovery", data(Unit::Seconds, recovery(&alerts)), &html! { span { "from detection, over " (count(alerts.iter().map(|alert| alert.recovered()).sum())) " recovered incidents" } }, &[]))
                (tile("waiting", "Notifications waiting", count(monitoring.notifications().count() as u64), &html! { "to be delivered" }, &[]))
                (tile("dropped", "Notifications given up", count(monitoring.dropped_notifications()), &html! { "because too many waited" }, &[]))
            }
            (panel(monitoring, &notifiers, place))
            section.panel.s12 id="rules" {
                h2 { "Alerts" @if alerts.len() > MOST_RULES { small { "the first " (MOST_RULES) " of " (alerts.len()) ", those that fire before others; " code { "/api/v1/alerts" } " has all" } } }
                @if alerts.is_empty() { p.empty { "There are no alerts. They stand in the configuration under " code { "alerts" } ", each with the monitor that it watches, or are made by " code { "POST /api/v1/alerts" } "." } }
                @else { (table(&alerts[..alerts.len().min(MOST_RULES)], monitoring.now(), place)) }
            }
            section.panel.s12 id="notifiers" {
                h2 { "Notifiers" small { "since Spanmill started" } }
                @if notifiers.is_empty() { p.empty { "Nobody is told but this page. Webhooks, Alertmanager and mail stand in the configuration under " code { "notifiers" } "." } }
                @else { (told(&notifiers, monitoring.now())) }
            }
            section.panel.s12 id="history" {
                h2 { "History" small { "the newest " (incidents.len()) } }
                @if incidents.is_empty() { p.empty { "Nothing has fired yet." } }
                @else { (history(&incidents, monitoring.now(), place)) }
            }
        }
    })
}

/// Mean seconds from detection to recovery, of all alerts; `None` if nothing recovered yet.
fn recovery(alerts: &[&Alert]) -> Option<f64> {
    let recovered: u64 = alerts.iter().map(|alert| alert.recovered()).sum();
    let nanos: f64 =
        alerts.iter().filter_map(|alert| Some(alert.mean_time_to_recovery()? * alert.recovered() as f64)).sum();
    (recovered > 0).then(|| nanos / 1e9 / recovered as f64)
}

/// Who is told, and what became of that.
fn told(notifiers: &[NotifierState], now: u64) -> Markup {
    let at = |millis: u64| time(millis.saturating_mul(1_000_000), now);
    html! {
        div.scroll tabindex="0" role="group" aria-label="Notifiers" { table {
            thead { tr { th { "Notifier" } th.n { "Delivered" } th.n { "Failed attempts" } th.n { "Refused" } th.n { "Given up" } th { "Last delivery" } th { "Last failure" } } }
            tbody { @for notifier in notifiers { tr {
                th scope="row" { (notifier.name) }
                td.n { (count(notifier.delivered)) }
                td.n { (count(notifier.failed_attempts)) }
                td.n { (count(notifier.refused)) }
                td.n { (count(notifier.given_up)) }
                td { @if let Some(millis) = notifier.last_success { (at(millis)) } }
                td.wide { @if let Some((millis, why)) = &notifier.last_error { (at(*millis)) ": " (why) } }
            } } }
        } }
    }
}

/// Alerts, and where they are.
pub(super) fn table(alerts: &[&Alert], now: u64, place: &Place) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="Alerts" { table {
            thead { tr { th { "Alert" } th { "State" } th { "Severity" } th { "Monitor" } th { "Fires if" } th.n { "Now" } th.n { "Threshold" } th { "Since" } th.n { "Mean time to recovery" } } }
            tbody { @for alert in alerts {
                @let rule = alert.rule();
                tr {
                    th scope="row" { (rule.name) }
                    td { span.dot.(match alert.phase() { Phase::Firing(_) => severity(rule.severity), Phase::Pending { .. } => "warning", Phase::Inactive => "ok" }) { (phase(alert.phase())) } }
                    td { (rule.severity.name()) }
                    td { a href=(place.elsewhere(&path(&rule.monitor))) { (rule.monitor) } }
                    td.wide { (condition(rule)) @if rule.lasts > 0 { ", for " (words(rule.lasts)) } }
                    td.n { (data(unit(alert), alert.reading().map(|(value, _)| value))) }
                    td.n { (data(unit(alert), alert.reading().map(|(_, threshold)| threshold))) }
                    td { @if let Some(since) = alert.phase().since() { (time(since, now)) } }
                    td.n { @if let Some(nanos) = alert.mean_time_to_recovery() { (data(Unit::Seconds, Some(nanos / 1e9))) } }
                }
            } }
        } }
    }
}

/// The unit of what an alert compares.
fn unit(alert: &Alert) -> Unit {
    match &alert.rule().condition {
        monitor::Condition::Field { field, .. } => Unit::of(field.unit()),
        _ => Unit::Count,
    }
}

fn history(incidents: &[&Incident], now: u64, place: &Place) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label="History" { table {
            thead { tr { th { "Alert" } th { "Severity" } th { "Monitor" } th { "Detected" } th { "Over" } th.n { "Lasted" } th { "How" } th.n { "Told" } } }
            tbody { @for incident in incidents { tr {
                th scope="row" { (incident.alert) }
                td { span.dot.(severity(incident.severity)) { (incident.severity.name()) } }
                td { a href=(place.elsewhere(&path(&incident.monitor))) { (incident.monitor) } }
                td { (time(incident.fired, now)) }
                td { @if let Some((at, _)) = incident.resolved { (time(at, now)) } @else { "still fires" } }
                td.n { (data(Unit::Seconds, Some(incident.time_to_recovery().unwrap_or(now.saturating_sub(incident.fired)) as f64 / 1e9))) }
                td { @if let Some((_, why)) = incident.resolved { (why.name()) } }
                td.n { (count(incident.notifications.into())) }
            } } }
        } }
    }
}
