//! Prices that some calls have instead of the usual ones, which newer files of genai-prices hold.

use super::*;

const CATALOGUE: &[u8] = br#"[{"id": "p", "models": [{
    "id": "m",
    "match": {"equals": "m"},
    "prices": {"input_mtok": 10, "cache_read_mtok": 1, "output_mtok": 50},
    "price_variants": [
        {"when": {"processing": "batch"}, "constraint": {"start_date": "2026-10-14"}, "prices": {"input_mtok": 5, "output_mtok": 25}},
        {"when": {"processing": "batch"}, "prices": {"input_mtok": 7, "cache_read_mtok": 0.5}},
        {"when": {"service_tier": "flex"}, "prices": {"output_mtok": 30}},
        {"when": {"service_tier": "priority", "speed": "fast"}, "prices": {"input_mtok": 99}}
    ]}]}]"#;

// Each price is that of the first variant that holds and has it, else the usual one. The sums are those of genai-prices 0.2.3 for
// this catalogue, with `price_context` saying the same.
#[test]
fn variants_replace_prices_one_by_one() {
    let prices = Prices::new(Catalogue::parse(CATALOGUE).unwrap(), Overrides::default());
    let usage = Usage { input: Some(1_000_000), cache_read: Some(400_000), output: Some(100_000), ..Usage::default() };
    let reference = prices.find("p", "m", "").unwrap();
    let dollars = |day, tier| prices.cost(reference, at(day), &usage, tier).unwrap().total().to_string();
    let [before, after] = ["2026-10-13T00:00:00Z", "2026-10-14T00:00:00Z"];
    assert_eq!([dollars(before, ""), dollars(after, "")], ["11.4", "11.4"]);
    assert_eq!([dollars(before, "batch"), dollars(after, "batch")], ["9.4", "5.7"]);
    assert_eq!([dollars(before, "flex"), dollars(after, "flex")], ["9.4", "9.4"]);
    // A condition that nobody can tell of a call is not met.
    assert_eq!([dollars(before, "priority"), dollars(after, "priority")], ["11.4", "11.4"]);
}

// A variant without a condition would be a price for all calls: it is refused, with its place.
#[test]
fn a_variant_has_a_condition() {
    let without = String::from_utf8_lossy(CATALOGUE).replace(r#"{"service_tier": "flex"}"#, "{}");
    let error = Catalogue::parse(without.as_bytes()).unwrap_err().to_string();
    assert!(error.contains(r#"model "m", price_variants"#), "{error}");
}
