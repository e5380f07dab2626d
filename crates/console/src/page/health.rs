//! How Spanmill itself does.

use maud::{Markup, html};
use monitor::Reach;

use super::chart::{Part, parts};
use super::layout::heading;
use super::overview::tile;
use super::place::Place;
use super::text::{Unit, count, data, time};
use crate::api::alerts::words;
use crate::console::Console;
use crate::problem::Problem;
use crate::source::{ArchiveState, ServiceHealth};

pub(super) fn render(console: &Console, _: &Place) -> Result<Markup, Problem> {
    let health = console.source.health();
    let (groups, bytes, most, reaches, own, now) = console.monitoring(|monitoring| {
        let history = monitoring.history();
        (
            history.group_count(),
            history.memory(),
            history.most_memory(),
            history.reaches(),
            monitoring.own_reaches(),
            monitoring.now(),
        )
    })?;
    let nanos = |nanos: Option<u64>| data(Unit::Seconds, nanos.map(|nanos| nanos as f64 / 1e9));
    let number = |number: Option<u64>| data(Unit::Count, number.map(|number| number as f64));
    let fill = health.log.map(|(bytes, most)| bytes as f64 / most.max(1) as f64);
    Ok(html! {
        (heading("Health of Spanmill", html! {
            @match &health.not_ready { None => span.dot.ok { "ready" }, Some(why) => span.dot.critical { "not ready: " (why) } }
            " " span.tag { "version " (health.version) }
        }))
        div.tiles.s12 {
            @if health.received.is_some() { (tile("received", "Spans received", number(health.received), &html! { "since the start" }, &[])) }
            @if health.waiting.is_some() { (tile("waiting", "Undecided", number(health.waiting), &html! { "spans that wait for what belongs to them" }, &[])) }
            (tile("log", "Log", data(Unit::Share, fill), &html! { @if let Some((bytes, most)) = health.log { (Unit::Bytes.text(bytes as f64)) " of " (Unit::Bytes.text(most as f64)) " are taken" } }, &[]))
            (tile("window", "Duplicate window", nanos(health.duplicate_window), &html! { "in which what is sent again is known" }, &[]))
            (tile("early", "Settled early", number(health.settled_early), &html! { "for lack of memory" }, &[]))
            (tile("archive", "Archive", archive(health.archive), &html! {}, &[]))
            (tile("groups", "Groups of the history", count(groups as u64), &html! { (Unit::Bytes.text(bytes as f64)) " of " (Unit::Bytes.text(most as f64)) " are taken" }, &[]))
        }
        (conservation(&health))
        (history([("all calls", reaches), ("monitors", own)], now))
        section.panel.s6 id="cursors" {
            h2 { "Behind the log" small { "records that are yet to be taken" } }
            @if health.cursors.is_empty() { p.empty { "Nothing follows the log." } }
            @else { table {
                thead { tr { th { "What" } th.n { "Records" } } }
                tbody { @for cursor in &health.cursors { tr { td { (cursor.name) } td.n { (count(cursor.records)) } } } }
            } }
        }
    })
}

/// How far back what is shown over time reaches.
fn history(all: [(&str, [Reach; 3]); 2], now: u64) -> Markup {
    let rows = || all.into_iter().flat_map(|(of, reaches)| reaches.map(|reach| (of, reach)));
    html! {
        section.panel.s6 id="reaches" {
            h2 { "History" small { "how far back it reaches" } }
            div.scroll tabindex="0" role="group" aria-label="History" { table {
                thead { tr { th { "Of" } th { "Steps of" } th { "Kept for" } th { "Known since" } th { "" } } }
                tbody { @for (of, Reach { step, kept, since, is_cut }) in rows() { tr {
                    td { (of) }
                    td { (words(step)) }
                    td { (words(kept)) }
                    td { (time(since, now)) }
                    td { @if is_cut { span.dot.warning { "cut" } } @else { span.dot.ok { "all" } } }
                } } }
            } }
            @if rows().any(|(_, reach)| reach.is_cut) {
                p { "There is no memory for all of it: " code { "history.memory" } " in the configuration says how much it may take." }
            }
        }
    }
}

fn archive(state: ArchiveState) -> Markup {
    let class = match state {
        ArchiveState::Off => "quiet",
        ArchiveState::Working => "ok",
        ArchiveState::Failed => "critical",
    };
    html! { span.dot.(class) { (state.name()) } }
}

/// Every span has exactly one outcome, or waits for it.
fn conservation(health: &ServiceHealth) -> Markup {
    let all = health.outcomes.iter().map(|(_, spans)| spans).sum::<u64>().max(1) as f64;
    html! {
        section.panel.s6 id="conservation" {
            h2 { "What became of spans" small { "every span has exactly one outcome, or waits for it" } }
            @match health.unaccounted {
                None => {}
                Some(0) => p { span.dot.ok { "It adds up: no span is unaccounted for." } }
                Some(difference) => p { span.dot.critical { (difference) " spans are unaccounted for: this is a fault of Spanmill." } }
            }
            ul.list { @for (outcome, spans) in &health.outcomes {
                li { span { (outcome) } em { (count(*spans)) } small { (data(Unit::Share, Some(*spans as f64 / all))) }
                    (parts(&[Part::new(*spans as f64 / all * 100.0, "c0")])) }
            } }
        }
    }
}
