//! How a price was found and what the sum is made of, for people.

use std::fmt;

use super::bill::{Bill, Cost};
use super::catalogue::Model;
use super::rates::{Tariff, Tariffs, UNITS};
use super::resolve::Found;
use super::{Prices, overrides};
use crate::usage::Usage;

/// A call whose cost is asked for; texts that are not told are empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Call<'a> {
    /// OpenTelemetry's name of the provider.
    pub provider: &'a str,
    /// The model that was asked for.
    pub request_model: &'a str,
    /// The model that answered.
    pub response_model: &'a str,
    /// When, nanoseconds since the Unix epoch.
    pub time_unix_nanos: u64,
    /// What was used.
    pub usage: Usage,
    /// The service tier, e.g. `batch`.
    pub service_tier: &'a str,
}

/// How a price was found and what the sum is made of. Written out, it is a page for people.
#[derive(Debug, Clone, Default)]
pub struct Explanation {
    /// Version of the prices.
    pub version: String,
    /// What was tried, in order.
    pub steps: Vec<String>,
    /// The rule that holds: override, or provider, model and the clause that matched; `None` if there is no price.
    pub rule: Option<String>,
    /// Its prices at the time of the call.
    pub prices: Vec<String>,
    /// The sum, line by line.
    pub lines: Vec<String>,
    /// What is to be known beside it.
    pub remarks: Vec<String>,
    /// What [`Prices::cost`] gives.
    pub cost: Option<Cost>,
}

impl Prices {
    /// Explains the cost of a call: the same price and the same sum that [`Prices::find`] and [`Prices::cost`] give.
    pub fn explain(&self, call: &Call<'_>) -> Explanation {
        let mut explanation = Explanation { version: self.version.clone(), ..Explanation::default() };
        let steps = Some(&mut explanation.steps);
        let mut resolution = self.resolve(call.provider, call.request_model, call.response_model, steps);
        let found = resolution.found.take();
        let in_catalogue = found.as_ref().and_then(|found| Some((self.catalogue.models.get(found.model)?, found)));
        let entries = resolution.overrides.iter().filter_map(|number| self.overrides.entries.get(*number as usize));
        let in_force = entries.into_iter().find(|entry| entry.rule.holds(call.time_unix_nanos));
        match (in_force, in_catalogue) {
            (Some(entry), _) => explanation.by_override(entry, call),
            (None, Some((model, found))) => {
                let provider = &self.catalogue.providers[model.provider].id;
                explanation.by_model(provider, model, found, call);
            }
            (None, None) => {}
        }
        explanation
    }
}

impl Explanation {
    fn by_override(&mut self, entry: &overrides::Entry, call: &Call<'_>) {
        self.rule = Some(format!("{}, holds {}", entry.place, entry.rule.period()));
        self.sum(&entry.rule.tariffs(call.service_tier), &call.usage);
    }

    fn by_model(&mut self, provider: &str, model: &Model, found: &Found, call: &Call<'_>) {
        let how = match found.by_id {
            true => "by its id".to_owned(),
            false => format!("by {}", model.clause.matching(&found.name)),
        };
        self.rule = Some(format!("provider {provider}, model {}, {how}", model.id));
        let Some(conditional) = model.conditional(call.time_unix_nanos) else { return };
        if model.prices.len() > 1 {
            let one_of = model.prices.len();
            let when = conditional.constraint.map_or_else(|| "else".to_owned(), |constraint| constraint.to_string());
            self.remarks.push(format!("the prices of this model depend on time: one of {one_of}, which holds {when}"));
        }
        let variants = model.variants(call.time_unix_nanos, call.service_tier).count();
        if variants > 0 {
            self.remarks.push(format!("prices of service tier {:?} go before the others", call.service_tier));
        } else if super::is_batch(call.service_tier) {
            self.remarks.push("no price of batches is known: standard prices".to_owned());
        }
        for (key, tariff) in &conditional.rates.untold {
            self.remarks.push(format!("{key} {} is not billed: no usage tells of it", priced(tariff)));
        }
        if let Some(tariffs) = model.tariffs(call.time_unix_nanos, call.service_tier) {
            self.sum(&tariffs, &call.usage);
        }
    }

    fn sum(&mut self, tariffs: &Tariffs<'_>, usage: &Usage) {
        for (row, tariff) in UNITS.iter().zip(tariffs) {
            if let Some(tariff) = tariff {
                self.prices.push(format!("{:<15} {}", row.name, priced(tariff)));
            }
        }
        let Some(bill) = Bill::new(tariffs, usage) else {
            self.remarks.push("no cost: nothing is told to be used, or the usage contradicts itself".to_owned());
            return;
        };
        self.lines.extend(bill.0.iter().filter(|line| line.count > 0).map(ToString::to_string));
        let cost = bill.cost();
        let (exact, rounded) = (bill.sum().to_string(), cost.total().to_string());
        if exact != rounded {
            self.remarks.push(format!("the exact sum is ${exact}, rounded to pico-dollars"));
        }
        self.cost = Some(cost);
    }
}

/// A price with its tiers.
fn priced(tariff: &Tariff) -> String {
    let mut text = format!("${}", tariff.base);
    for tier in &tariff.tiers {
        text += &format!(", above {} input tokens ${}", tier.above, tier.price);
    }
    text
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut section = |name: &str, lines: &[String]| {
            if lines.is_empty() {
                return Ok(());
            }
            writeln!(f, "{name}:")?;
            lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
        };
        section("tried", &self.steps)?;
        section("rule", self.rule.as_slice())?;
        section("prices, a million tokens (a thousand requests)", &self.prices)?;
        section("sum", &self.lines)?;
        section("remarks", &self.remarks)?;
        match &self.cost {
            Some(cost) => writeln!(f, "cost: ${}", cost.total())?,
            None => {
                writeln!(f, "cost: unknown, {}", if self.rule.is_some() { "not summed" } else { "no price was found" })?
            }
        }
        writeln!(f, "price version: {}", self.version)
    }
}
