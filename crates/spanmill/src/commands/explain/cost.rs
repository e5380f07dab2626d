//! What a call costs, and which rule says so.

use aggregate::{Coverage, SpanCost};
use genai::Source;
use genai::price::Explanation;

/// What a call costs.
pub(super) struct Cost {
    /// Dollars, exactly; `None` if nobody knows.
    pub(super) amount: Option<String>,
    /// What is known of it, as on `spanmill.price.calls`.
    pub(super) coverage: &'static str,
    /// The rule that gave the price, or why there is none.
    pub(super) rule: String,
    /// Version of the prices, if they gave it.
    pub(super) version: Option<String>,
}

impl Cost {
    /// The cost as it was counted, and why it is that.
    pub(super) fn new(counted: &SpanCost, explanation: Explanation, sources: &[Source]) -> Self {
        let is_explained = explanation.cost.map(|cost| cost.total()) == counted.amount;
        let rule = match counted.coverage {
            Coverage::Supplied => supplied_by(sources),
            Coverage::UsageMissing => "no usage was told".to_owned(),
            Coverage::Unpriced => no_price(&explanation),
            // The service tier of a call may stand on another of its spans.
            Coverage::Priced | Coverage::Estimated if !is_explained => {
                format!(
                    "{}, of the service tier that another span of the call names",
                    explanation.rule.unwrap_or_default()
                )
            }
            Coverage::Priced => explanation.rule.unwrap_or_default(),
            Coverage::Estimated => {
                format!("{}, for the part of the usage that has a price", explanation.rule.unwrap_or_default())
            }
        };
        let is_of_prices = matches!(counted.coverage, Coverage::Priced | Coverage::Estimated | Coverage::Unpriced);
        Self {
            amount: counted.amount.map(|amount| amount.to_string()),
            coverage: counted.coverage.name(),
            rule,
            version: is_of_prices.then_some(explanation.version),
        }
    }
}

fn supplied_by(sources: &[Source]) -> String {
    let keys = sources.iter().find(|source| source.fact == "supplied_cost").map(|source| source.keys.join(", "));
    format!("told by {}", keys.as_deref().unwrap_or("another span of the call"))
}

fn no_price(explanation: &Explanation) -> String {
    match (&explanation.rule, explanation.remarks.last()) {
        (None, _) => "no price was found".to_owned(),
        (Some(rule), None) => rule.clone(),
        (Some(rule), Some(remark)) => format!("{rule}, {remark}"),
    }
}
