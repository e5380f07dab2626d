//! The user's own prices.

use super::*;

fn file(json: &str) -> OverrideFile {
    serde_json::from_str(json).unwrap()
}

fn with(json: &str) -> Prices {
    let mut overrides = Overrides::default();
    overrides.push("prices.yaml", file(json));
    Prices::new(Catalogue::builtin().unwrap(), overrides)
}

const USAGE: Usage = Usage {
    input: Some(1_000),
    cache_read: Some(500),
    cache_write: Some(200),
    cache_write_1h: Some(50),
    output: Some(100),
    reasoning: Some(40),
};

fn total(prices: &Prices, model: &str, time: &str, tier: &str) -> Option<String> {
    let reference = prices.find("azure.ai.openai", model, "")?;
    prices.cost(reference, at(time), &USAGE, tier).map(|cost| cost.total().to_string())
}

// The first override that matches and holds is taken; where none holds, the catalogue is.
#[test]
fn the_first_that_matches_and_holds() {
    let prices = with(
        r#"{"prices": [
            {"match": "my/*", "provider": "openai", "input": "99"},
            {"match": "my/*", "from": "2026-02-01", "until": "2026-03-01", "input": "1", "output": "0"},
            {"match": ["my/gpt-4o*", "other"], "from": "2026-01-01", "input": "2", "output": "0"},
            {"match": "*", "until": "2025-01-01", "input": "3", "output": "0"},
            {"match": "my/gpt-4o*", "from": "2020-01-01", "input": "4", "output": "0"}
        ]}"#,
    );
    let cost = |model, time| total(&prices, model, time, "").unwrap();
    for (model, time, expected) in [
        ("my/team/gpt-4o", "2026-02-01T00:00:00Z", "0.001"),
        ("my/gpt-4o", "2026-02-28T23:59:59Z", "0.001"),
        ("my/gpt-4o", "2026-03-01T00:00:00Z", "0.002"),
        ("other", "2026-02-10T00:00:00Z", "0.002"),
        ("my/gpt-4o", "2024-12-31T23:59:59Z", "0.003"),
        ("my/gpt-4o", "2025-06-01T00:00:00Z", "0.004"),
    ] {
        assert_eq!(cost(model, time), expected, "{model} {time}");
    }
    assert!(total(&prices, "other", "2025-06-01T00:00:00Z", "").is_none());
    let time = "2026-06-01T00:00:00Z";
    assert_eq!(total(&prices, "gpt-4o", time, ""), total(&builtin(), "gpt-4o", time, ""));
}

// Patterns match any of a model's names, without regard to case, and a provider by either of its names.
#[test]
fn patterns_match_names() {
    for (pattern, provider, matches) in [
        ("gpt-4o", "azure*", true),
        ("GPT-4O*", "azure", true),
        ("*/gpt-*", "azure.ai.openai", true),
        ("azure/*4*08*", "*", true),
        ("*", "openai", false),
        ("gpt", "*", false),
        ("*4o*4o*", "*", false),
        ("gpt-4o-2024-08-06-*", "*", false),
    ] {
        let json = format!(r#"{{"prices": [{{"match": "{pattern}", "provider": "{provider}", "input": 7}}]}}"#);
        let reference = with(&json).find("azure.ai.openai", "azure/gpt-4o-2024-08-06", "").unwrap();
        assert_eq!(reference.chain.is_some(), matches, "{pattern} {provider}");
    }
}

// Tiers, the hour's cache, reasoning and batches have prices of their own where they are given.
#[test]
fn every_price_can_be_given() {
    let prices = with(
        r#"{"prices": [{"match": "m", "input": "1", "cache_read": "0.1", "cache_write": "1.25", "cache_write_1h": "2",
            "output": "10", "reasoning": "20", "tiers": [{"above": 999, "output": "30", "reasoning": "30"}], "batch_factor": "0.5"},
            {"match": "n", "input": "1", "output": "10", "batch": {"input": "0.25", "output": "1"}},
            {"match": "h", "input": "1", "output": "10", "batch_factor": "0.5"}]}"#,
    );
    let now = "2026-01-01T00:00:00Z";
    // 300 x 1 + 500 x 0.1 + 150 x 1.25 + 50 x 2 + 60 x 30 + 40 x 30
    assert_eq!(total(&prices, "m", now, "").unwrap(), "0.0036375");
    assert_eq!(total(&prices, "m", now, "batch").unwrap(), "0.00181875");
    assert_eq!(total(&prices, "n", now, "default").unwrap(), "0.002");
    assert_eq!(total(&prices, "n", now, "BATCH").unwrap(), "0.00035");
    assert_eq!(total(&prices, "h", now, "batch").unwrap(), "0.001");
}

// An override that cannot be meant is refused.
#[test]
fn mistakes_are_refused() {
    for (json, wanted) in [
        (r#"{"match": "m"}"#, "expected a price of input"),
        (r#"{"match": "", "input": 1}"#, "not empty"),
        (r#"{"match": [], "input": 1}"#, "at least one pattern"),
        (r#"{"input": 1}"#, "missing field `match`"),
        (r#"{"match": "m", "input": 0.1}"#, "a decimal number of dollars"),
        (r#"{"match": "m", "input": "-1"}"#, "not negative"),
        (r#"{"match": "m", "inputs": 1}"#, "unknown field `inputs`"),
        (r#"{"match": "m", "cache_read": 1, "output": 1}"#, "expected a price of input beside that of cache read"),
        (r#"{"match": "m", "input": 1, "cache_write_1h": 1}"#, "expected a price of cache write beside"),
        (r#"{"match": "m", "input": 1, "from": "tomorrow"}"#, "expected a date"),
        (r#"{"match": "m", "input": 1, "from": "2026-01-02", "until": "2026-01-02"}"#, "until to be after from"),
        (r#"{"match": "m", "input": 1, "tiers": [{"above": 5, "output": 1}]}"#, "which has none below"),
        (r#"{"match": "m", "input": 1, "tiers": [{"above": 5}, {"above": 5}]}"#, "ascending"),
        (r#"{"match": "m", "input": 1, "batch_factor": "0.5", "batch": {"input": 1}}"#, "not both"),
        (r#"{"match": "m", "input": "0.000000000000000000001", "batch_factor": "0.5"}"#, "more than 21 decimals"),
    ] {
        let error =
            serde_json::from_str::<OverrideFile>(&format!(r#"{{"prices": [{json}]}}"#)).unwrap_err().to_string();
        assert!(error.contains(wanted), "{json}: {error}");
    }
}

// The version tells the figures apart, and nothing else.
#[test]
fn versions() {
    let builtin = builtin();
    let one = with(r#"{"prices": [{"match": "m", "input": "1.50"}]}"#);
    let same = with(r#"{"prices": [{"match": ["M"], "input": "1.5", "tiers": []}]}"#);
    let other = with(r#"{"prices": [{"match": "m", "input": "1.51"}]}"#);
    assert_eq!(builtin.version(), "genai-prices@47df840a");
    assert_eq!(one.version(), same.version());
    assert!(one.version() != other.version() && one.version().starts_with("genai-prices@47df840a+overrides#"));
}
