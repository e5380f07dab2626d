//! genai-prices' own Python package as the oracle of costs.

use std::collections::BTreeSet;
use std::path::Path;

use genai::Usage;
use genai::price::{Call, Catalogue, Overrides, Prices};
use serde::Deserialize;
use spanmill_tests::{Client, Python, Setup, Spanmill, run};

use crate::spans::{call, payload};

/// A call, and what the package makes of it.
#[derive(Debug, Deserialize)]
struct Expected {
    provider: String,
    model: String,
    found: Option<String>,
    seconds: u64,
    usage: Counts,
    pico: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Counts {
    input: Option<u32>,
    cache_read: Option<u32>,
    cache_write: Option<u32>,
    cache_write_1h: Option<u32>,
    output: Option<u32>,
    reasoning: Option<u32>,
}

// For every model of the catalogue, at random usages and times, the cost is the package's to the last digit; what the package
// refuses has no cost.
#[test]
fn costs_are_those_of_genai_prices() {
    let Some(python) = Python::get() else { return };
    let catalogue = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/genai/data/genai-prices-v2.json");
    let output = python.run("prices.py", &[catalogue.to_str().unwrap(), "20"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let prices = Prices::new(Catalogue::builtin().unwrap(), Overrides::default());
    let (mut compared, mut priced, mut models) = (0, 0, BTreeSet::new());
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let expected: Expected = serde_json::from_slice(line).unwrap();
        compare(&prices, &expected, &mut models);
        compared += 1;
        priced += u32::from(expected.pico.is_some());
    }
    assert!(compared == 20 * 1_309 && priced > 20_000, "{compared} compared, {priced} of them priced");
    assert!(models.len() > 1_300, "{} models found", models.len());
}

fn compare(prices: &Prices, expected: &Expected, models: &mut BTreeSet<(String, String)>) {
    let Expected { provider, model, found, seconds, usage, pico } = expected;
    let &Counts { input, cache_read, cache_write, cache_write_1h, output, reasoning } = usage;
    let usage = Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning };
    let time = seconds * 1_000_000_000;
    let reference = prices.find(provider, model, "").unwrap_or_else(|| panic!("{provider} {model} is not found"));
    let cost = prices.cost(reference, time, &usage, "").map(|cost| cost.total().pico().to_string());
    assert_eq!(cost, *pico, "{expected:?}");
    if let Some(found) = found
        && models.insert((provider.clone(), found.clone()))
    {
        let call = Call { provider, request_model: model, time_unix_nanos: time, ..Call::default() };
        let rule = prices.explain(&call).rule.unwrap_or_default();
        assert!(rule.contains(&format!(", model {found}, by ")), "{rule} in place of {found}: {expected:?}");
    }
}

// The running server tells which models were called without a price, and how often; those with a price are not among them.
#[tokio::test(flavor = "multi_thread")]
async fn unpriced_models_are_told() {
    let spanmill = Spanmill::start(&Setup::default());
    let models = ["nobody-prices-this", "gpt-4o", "nobody-prices-this"];
    let calls = (1..).zip(models).map(|(id, model)| call(id, model)).collect();
    Client::grpc(spanmill.addresses).send(&payload(calls)).await.unwrap();
    spanmill.counted(3).await;

    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("spanmill.yaml");
    std::fs::write(&config, format!("admin: {{ endpoint: {} }}\n", spanmill.addresses.admin)).unwrap();
    let output = run(&["--config", config.to_str().unwrap(), "prices", "--unpriced"]);
    let listed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = listed.lines().find(|line| line.contains("nobody-prices-this")).unwrap_or_else(|| panic!("{listed}"));
    let cells: Vec<&str> = line.split(['│', '┆']).map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(cells.last(), Some(&"2"), "{listed}");
    assert!(!listed.contains("gpt-4o"), "{listed}");
    spanmill.stop();
}
