//! What was told of alerts, and whom it has not reached yet.

use maud::{Markup, html};
use monitor::{Delivery, DeliveryOutcome, Incident, Monitoring, NotificationKind};

use super::monitors::{path, severity};
use super::place::Place;
use super::text::time;
use crate::api::notifications::Newest;
use crate::source::NotifierState;
use crate::view::millis;

/// Notifications that are shown.
const MOST: usize = 10;

pub(super) fn panel(monitoring: &Monitoring, notifiers: &[NotifierState], place: &Place) -> Markup {
    let (mut newest, now) = (Newest::all(monitoring, notifiers), monitoring.now());
    newest.truncate(MOST);
    html! {
        section.panel.s12 id="notifications" {
            h2 { "Notifications" small { "the newest of each alert that fired" } }
            @if newest.is_empty() { p.empty { "Nobody was told of anything yet." } }
            @else { div.scroll tabindex="0" role="group" aria-label="Notifications" { table {
                thead { tr { th { "Told" } th { "What" } th { "Alert" } th { "Monitor" } th { "Severity" } th { "Fired" } th { "Resolved" } th { "Whom" } } }
                tbody { @for Newest { incident, at, kind, waiting, deliveries } in &newest { tr {
                    td { (time(*at, now)) }
                    td { (what(*kind, incident)) }
                    th scope="row" { (incident.alert) }
                    td { a href=(place.elsewhere(&path(&incident.monitor))) { (incident.monitor) } }
                    td { (incident.severity.name()) }
                    td { (time(incident.fired, now)) }
                    td { @if let Some((at, _)) = incident.resolved { (time(at, now)) } }
                    td.wide { (whom(waiting, deliveries, notifiers, now)) }
                } } }
            } } }
        }
    }
}

fn outcome(outcome: DeliveryOutcome) -> &'static str {
    match outcome {
        DeliveryOutcome::Delivered => "has it",
        DeliveryOutcome::Refused => "refused it",
        DeliveryOutcome::GivenUp => "was given up",
    }
}

fn what(kind: NotificationKind, incident: &Incident) -> Markup {
    let (class, words) = match kind {
        NotificationKind::Firing => (severity(incident.severity), "firing"),
        NotificationKind::StillFiring => (severity(incident.severity), "still firing"),
        NotificationKind::Resolved => ("ok", "resolved"),
    };
    html! { span.dot.(class) { (words) } }
}

/// Whom a notification has reached, as far as that is known: what waits for nobody is through.
fn whom(waiting: &[&NotifierState], deliveries: &[Delivery], notifiers: &[NotifierState], now: u64) -> Markup {
    let is_missed = |delivery: &&Delivery| delivery.outcome != DeliveryOutcome::Delivered;
    html! {
        @if notifiers.is_empty() { "this page" }
        @else if waiting.is_empty() && !deliveries.iter().any(|delivery| is_missed(&delivery)) {
            span.dot.ok { "all notifiers are through" }
        }
        @for delivery in deliveries.iter().filter(is_missed) {
            div { span.dot.critical { (delivery.notifier) " " (outcome(delivery.outcome)) } small { (delivery.error.as_deref().unwrap_or_default()) } }
        }
        @if waiting.is_empty() { @for delivery in deliveries.iter().filter(|delivery| !is_missed(delivery)) {
            div { small { (delivery.notifier) ", " (time(delivery.at, now)) @if delivery.attempts > 1 { ", " (delivery.attempts) " attempts" } } }
        } }
        @for notifier in waiting {
            @match notifier.failing() {
                Some(why) => div { span.dot.critical { (notifier.name) " fails" } small { (why) } },
                None => div { span.dot.warning { (notifier.name) " waits" } },
            }
        }
    }
}

/// The alerts that fire.
pub(super) struct Firing {
    count: usize,
    /// When somebody was told of one last, in milliseconds since the Unix epoch, and of which.
    newest: Option<(u64, String)>,
}

impl Firing {
    pub(super) fn of(monitoring: &Monitoring) -> Self {
        let firing = || monitoring.incidents().filter(|incident| incident.resolved.is_none());
        let told = firing().filter_map(|incident| Some((incident.told?, incident.severity, &incident.alert)));
        let newest = told.max().map(|(told, severity, alert)| (millis(told), format!("{}: {alert}", severity.name())));
        Self { count: firing().count(), newest }
    }

    /// How many there are. What is told in it that is newer than what was shown, the script says aloud.
    pub(super) fn badge(&self) -> Markup {
        let (told, what) = self.newest.as_ref().map(|(told, what)| (*told, &**what)).unzip();
        html! { @if self.count > 0 {
            span.badge.critical data-told=[told] data-what=[what] { (self.count) span.sr { " firing" } }
        } }
    }
}
