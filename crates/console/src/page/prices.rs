//! Prices: of how many calls the cost is known, and which models have none.

use maud::{Markup, html};
use monitor::Field;

use super::layout::heading;
use super::overview::tile;
use super::place::Place;
use super::text::{Unit, count, data, name};
use crate::console::Console;
use crate::problem::Problem;

/// Models that are shown.
const MOST: usize = 200;

pub(super) fn render(console: &Console, place: &Place) -> Result<Markup, Problem> {
    let stats = console.totals(place.view.range(console.now()?), &place.view.filter)?;
    let unpriced = console.source.unpriced();
    let saved = console.source.health().saved;
    let share = |count: u64| (stats.requests > 0).then(|| count as f64 / stats.requests as f64);
    Ok(html! {
        (heading("Prices", html! {}))
        div.tiles.s12 {
            (tile("cost", "Cost", data(Unit::Dollars, Field::Cost.of(&stats, 1)), &html! { "in this time, as far as it is known" }, &[]))
            (tile("known", "Cost is known of", data(Unit::Share, share(stats.requests.saturating_sub(stats.unpriced))), &html! { (count(stats.requests)) " calls" }, &[]))
            (tile("unknown", "Cost is not known of", count(stats.unpriced), &html! { "calls" }, &[]))
            (tile("usage-missing", "Without usage", count(stats.usage_missing), &html! { "calls that did not tell what they used" }, &[]))
            @if let Some(saved) = saved {
                (tile("saved", "Not counted twice", data(Unit::Dollars, saved.cost), &html! { span { "in " (count(saved.spans)) " spans that tell of a call which another tells, too; as far as it is known, since the start of the log" } }, &[]))
            }
        }
        section.panel.s12 id="unpriced" {
            h2 { "Models without a price" small { "since the start of the log; a file of " code { "derive.prices.overrides" } " gives them one" } }
            @if unpriced.is_empty() { p.empty { "Every model that was called has a price." } }
            @else {
                div.scroll tabindex="0" role="group" aria-label="Models without a price" { table {
                    thead { tr { th { "Provider" } th { "Asked for" } th { "Answered" } th.n { "Calls" } } }
                    tbody { @for model in unpriced.iter().take(MOST) { tr {
                        td { (name(&model.provider)) } td { (name(&model.request_model)) } td { (name(&model.response_model)) } td.n { (count(model.calls)) }
                    } } }
                } }
            }
        }
    })
}
