//! What calls cost, and of how many that is known.

use std::sync::Arc;

use genai::price::{Cost, PriceRef, Prices};
use genai::{Money, Usage};

/// What prices hold.
#[derive(Debug, Clone)]
pub struct Pricing {
    /// The catalogue, and the user's own.
    pub prices: Arc<Prices>,
    /// Whether a cost that the instrumentation supplies goes before them.
    pub honour_supplied: bool,
}

/// What is known of the cost of a call. Every call has exactly one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// All of its usage has a price.
    Priced,
    /// The instrumentation supplied it.
    Supplied,
    /// Nobody knows a price.
    Unpriced,
    /// Nobody told a usage.
    UsageMissing,
    /// Only a part: some of its usage has no price, or was not told.
    Estimated,
}

impl Coverage {
    /// All of them, in the order of their numbers. Checkpoints hold these: what is new goes to the end.
    pub(crate) const ALL: [Self; 5] =
        [Self::Priced, Self::Supplied, Self::Unpriced, Self::UsageMissing, Self::Estimated];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Priced => "priced",
            Self::Supplied => "supplied",
            Self::Unpriced => "unpriced",
            Self::UsageMissing => "usage_missing",
            Self::Estimated => "estimated",
        }
    }
}

/// Prices say it.
const CATALOGUE: &str = "catalogue";
/// The instrumentation says it.
const SUPPLIED: &str = "supplied";

/// Who can say what a call costs. Checkpoints hold places in this list: what is new goes to its end.
pub(crate) const SOURCES: &[&str] = &[CATALOGUE, SUPPLIED];

/// What a call costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallCost {
    pub(crate) coverage: Coverage,
    /// By class of tokens, at catalogue prices.
    pub(crate) catalogue: Option<Cost>,
    /// As the instrumentation supplied it.
    pub(crate) supplied: Option<Money>,
}

impl CallCost {
    /// No call, no cost.
    pub(crate) const NOTHING: Self = Self::unknown(Coverage::UsageMissing);

    const fn unknown(coverage: Coverage) -> Self {
        Self { coverage, catalogue: None, supplied: None }
    }

    /// Whether anything is known of it.
    pub(crate) const fn is_known(&self) -> bool {
        self.supplied.is_some() || self.catalogue.is_some()
    }

    /// The same without its parts, as it stands on a row of the archive.
    pub(crate) fn of_span(&self) -> SpanCost {
        let (amount, source) = match (self.supplied, &self.catalogue) {
            (Some(supplied), _) => (Some(supplied), SUPPLIED),
            (None, Some(cost)) => (Some(cost.total()), CATALOGUE),
            (None, None) => (None, ""),
        };
        SpanCost { amount, source, coverage: self.coverage }
    }
}

/// What the call costs that is counted under a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanCost {
    /// The amount; `None` if nothing is known of it.
    pub amount: Option<Money>,
    /// Who says so: `catalogue` or `supplied`; empty if nobody does.
    pub source: &'static str,
    /// What is known of it.
    pub coverage: Coverage,
}

/// What of a call its cost depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Priceable<'a> {
    /// Where its prices stand.
    pub(crate) price: Option<PriceRef>,
    /// When it was made, nanoseconds since the Unix epoch.
    pub(crate) time: u64,
    pub(crate) usage: Option<Usage>,
    /// Whether it generates tokens; embeddings don't.
    pub(crate) has_output: bool,
    pub(crate) supplied: Option<Money>,
    pub(crate) service_tier: &'a str,
}

impl Pricing {
    /// What a call costs.
    pub(crate) fn cost(&self, call: &Priceable<'_>) -> CallCost {
        if let Some(supplied) = call.supplied.filter(|_| self.honour_supplied) {
            return CallCost { coverage: Coverage::Supplied, catalogue: None, supplied: Some(supplied) };
        }
        let Some(usage) = call.usage else { return CallCost::unknown(Coverage::UsageMissing) };
        let cost = call.price.and_then(|price| self.prices.cost(price, call.time, &usage, call.service_tier));
        let Some(cost) = cost else { return CallCost::unknown(Coverage::Unpriced) };
        let is_told = usage.input.is_some() && (usage.output.is_some() || !call.has_output);
        let is_whole = cost.unpriced_tokens == 0 && is_told;
        let coverage = if is_whole { Coverage::Priced } else { Coverage::Estimated };
        CallCost { coverage, catalogue: Some(cost), supplied: None }
    }
}

/// What the calls of a series cost together.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Costs {
    /// At catalogue prices, by class of tokens.
    pub(crate) catalogue: Cost,
    pub(crate) supplied: Money,
    /// Calls by coverage.
    pub(crate) calls: [u64; Coverage::ALL.len()],
}

impl Costs {
    /// Adds a call.
    pub(crate) fn count(&mut self, call: &CallCost) {
        self.calls[call.coverage as usize] += 1;
        self.add(call);
    }

    /// Adds what a call costs that was counted before.
    pub(crate) fn add(&mut self, call: &CallCost) {
        if let Some(cost) = &call.catalogue {
            self.catalogue += *cost;
        }
        if let Some(supplied) = call.supplied {
            self.supplied += supplied;
        }
    }

    pub(crate) fn merge(&mut self, newer: &Self) {
        self.catalogue += newer.catalogue;
        self.supplied += newer.supplied;
        for (mine, theirs) in self.calls.iter_mut().zip(newer.calls) {
            *mine += theirs;
        }
    }

    pub(crate) fn of(&self, coverage: Coverage) -> u64 {
        self.calls[coverage as usize]
    }

    pub(crate) fn total(&self) -> Money {
        self.catalogue.total() + self.supplied
    }
}
