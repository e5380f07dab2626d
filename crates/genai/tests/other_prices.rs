//! What LiteLLM and MLflow say that models cost, where genai-prices says the same (tests/tools/other_prices.py).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use spanmill_genai::Usage;
use spanmill_genai::price::{Catalogue, Overrides, Prices};

const TABLE: &str = include_str!("data/other_prices.tsv");
/// 2026-11-26T12:00:00Z, the day of the table, in nanoseconds since the Unix epoch.
const DAY: u64 = 1_795_694_400_000_000_000;
/// Tokens of each kind in the order of the table: input without cached ones, read, written, output.
const TOKENS: [u32; 4] = [1_009, 307, 211, 503];

// A call costs what they say, to the last digit, found by the names that they have for provider and model.
#[test]
fn costs_are_those_of_litellm_and_mlflow() {
    let prices = Prices::new(Catalogue::builtin().unwrap(), Overrides::default());
    let mut compared = [0; 2];
    let mut wrong = Vec::new();
    for row in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = row.split('\t').collect();
        let [sources, provider, model, ref told @ ..] = fields[..] else { panic!("{row}") };
        let [input, read, write, output] = [0, 1, 2, 3].map(|kind| (told[kind] != "-").then_some(TOKENS[kind]));
        let usage = Usage {
            input: Some(input.unwrap() + read.unwrap_or(0) + write.unwrap_or(0)),
            cache_read: read,
            cache_write: write,
            output,
            ..Usage::default()
        };
        let expected: i128 = told.iter().zip(TOKENS).map(|(price, tokens)| pico_each(price) * i128::from(tokens)).sum();
        let cost = prices.find(provider, model, "").and_then(|found| prices.cost(found, DAY, &usage, ""));
        let cost = cost.map(|cost| cost.total().pico());
        if cost != Some(expected) {
            wrong.push(format!("{row}: {cost:?} in place of {expected}"));
        }
        for (number, source) in ["litellm", "mlflow"].iter().enumerate() {
            compared[number] += u32::from(sources.contains(source));
        }
    }
    assert!(wrong.is_empty(), "{} of {compared:?} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(compared, [526, 607]);
}

/// Pico-dollars for a token at so many dollars a million: the digits of the price, six of them behind the point.
fn pico_each(price: &str) -> i128 {
    let (whole, fraction) = price.split_once('.').unwrap_or((price, ""));
    assert!(fraction.len() <= 6, "{price}");
    if price == "-" { 0 } else { format!("{whole}{fraction:0<6}").parse().unwrap() }
}
