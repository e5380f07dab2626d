//! What holds for every model of the catalogue and every usage.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::money::Money;

static PRICES: LazyLock<Prices> = LazyLock::new(builtin);

fn usages() -> impl Strategy<Value = Usage> {
    (0..600_000_u32, 0..100_000_u32, 0.0..=1.0, 0.0..=1.0, 0.0..=1.0, 0.0..=1.0).prop_map(
        |(input, output, read, write, hour, thought)| {
            let part = |share: f64, whole: u32| (share * f64::from(whole)) as u32;
            let cache_read = part(read, input);
            let cache_write = part(write, input - cache_read);
            Usage {
                input: Some(input),
                cache_read: Some(cache_read),
                cache_write: Some(cache_write),
                cache_write_1h: Some(part(hour, cache_write)),
                output: Some(output),
                reasoning: Some(part(thought, output)),
            }
        },
    )
}

fn models() -> impl Strategy<Value = PriceRef> {
    (0..PRICES.catalogue.models.len() as u32).prop_map(|model| PriceRef { chain: None, model: Some(model) })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    // The classes add up to the total, no class is negative, and a price that is there is never passed over.
    #[test]
    fn classes_add_up(model in models(), usage in usages(), time: u64) {
        let cost = PRICES.cost(model, time, &usage, "");
        prop_assert!(cost.is_some());
        let cost = cost.unwrap();
        let classes = cost.by_class();
        prop_assert_eq!(classes.iter().map(|(_, money)| *money).sum::<Money>(), cost.total());
        prop_assert!(classes.iter().all(|(_, money)| *money >= Money::ZERO));
    }

    // More tokens never cost less.
    #[test]
    fn cost_is_monotone(model in models(), usage in usages(), time: u64, more_input in 0..300_000_u32, more_output in 0..300_000_u32) {
        let more = Usage {
            input: usage.input.map(|input| input + more_input),
            output: usage.output.map(|output| output + more_output),
            ..usage
        };
        let total = |usage: &Usage| PRICES.cost(model, time, usage, "").map(|cost| cost.total());
        prop_assert!(total(&usage) <= total(&more));
    }

    // Whatever is asked for, looking for it ends, and finds the same as an explanation does.
    #[test]
    fn any_text_may_be_asked_for(provider in ".{0,20}", request in "(openai/|us\\.|anthropic\\.|ft:)?.{0,30}", response in ".{0,20}", usage in usages()) {
        let call = Call { provider: &provider, request_model: &request, response_model: &response, usage, ..Call::default() };
        let cost = PRICES.find(&provider, &request, &response).and_then(|found| PRICES.cost(found, 0, &usage, ""));
        prop_assert_eq!(PRICES.explain(&call).cost, cost);
    }
}
