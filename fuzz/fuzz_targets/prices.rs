//! Any texts as provider and models, and any bytes as a catalogue: looking for a price ends, and what is found holds together.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use spanmill_genai::price::{Call, Catalogue, Overrides, Prices};
use spanmill_genai::{Money, Usage};

static BUILTIN: LazyLock<Prices> =
    LazyLock::new(|| Prices::new(Catalogue::builtin().expect("the built-in catalogue is read"), Overrides::default()));

fuzz_target!(|bytes: &[u8]| {
    // The first byte says what the others are.
    let Some((kind, rest)) = bytes.split_first() else { return };
    if kind % 2 == 0 {
        look_up(&BUILTIN, rest);
        return;
    }
    // A catalogue, and behind a NUL what is looked for in it.
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    match Catalogue::parse(&rest[..end]) {
        Ok(catalogue) => look_up(&Prices::new(catalogue, Overrides::default()), &rest[end..]),
        Err(error) => assert!(!error.to_string().is_empty() && error.position().0 > 0 || rest[..end].is_empty()),
    }
});

/// Lines: provider, request model, response model; what is behind them are counts and a time.
fn look_up(prices: &Prices, bytes: &[u8]) {
    let mut parts = bytes.splitn(4, |byte| *byte == b'\n');
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default());
    let (provider, request, response) = (text(), text(), text());
    let numbers = parts.next().unwrap_or_default();
    let number = |index: usize| {
        let bytes = numbers.get(index * 4..index * 4 + 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let usage = Usage {
        input: number(0),
        output: number(1),
        cache_read: number(2),
        cache_write: number(3),
        cache_write_1h: number(4),
        reasoning: number(5),
    };
    let time = u64::from(number(6).unwrap_or_default()) * 1_000_000_000;

    let found = prices.find(&provider, &request, &response);
    assert_eq!(found, prices.find(&provider, &request, &response), "looking has no memory");
    let cost = found.and_then(|found| prices.cost(found, time, &usage, ""));
    let call = Call {
        provider: &provider,
        request_model: &request,
        response_model: &response,
        time_unix_nanos: time,
        usage,
        service_tier: "",
    };
    let explanation = prices.explain(&call);
    assert_eq!(explanation.cost, cost, "{explanation}");
    assert_eq!(explanation.rule.is_some(), found.is_some());
    if let Some(cost) = cost {
        assert_eq!(cost.by_class().iter().map(|(_, money)| *money).sum::<Money>(), cost.total());
        assert!(cost.by_class().iter().all(|(_, money)| *money >= Money::ZERO));
    }
}
