//! What spans come to, in whatever order they are delivered.

use spanmill_aggregate::Settings;

use super::driver::Driver;
use super::spans::{Made, request};

/// Requests, errors, input and output tokens.
pub type Sums = (u64, u64, u64, u64);

pub fn sums(driver: &Driver) -> Sums {
    let totals = driver.pipeline.report().totals;
    (totals.requests, totals.errors, totals.input(), totals.output())
}

/// Counts the spans in every order, one a request and all in one, and gives what they all come to.
pub fn counted(settings: &Settings, spans: &[Made]) -> Sums {
    let mut results = Vec::new();
    for order in orders(spans.len()) {
        let ordered: Vec<Made> = order.iter().map(|place| spans[*place].clone()).collect();
        let mut at_once = Driver::new(settings.clone());
        at_once.traces(&request(&ordered));
        let mut one_by_one = Driver::new(settings.clone());
        ordered.iter().for_each(|span| one_by_one.traces(&request(std::slice::from_ref(span))));
        for mut driver in [at_once, one_by_one] {
            driver.drain();
            assert_eq!(driver.outcomes.len(), spans.len(), "every span has an outcome");
            results.push((sums(&driver), order.clone()));
        }
    }
    let first = results[0].0;
    for (result, order) in results {
        assert_eq!(result, first, "in the order {order:?}");
    }
    first
}

/// All orders of `n` things.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(n - 1);
    shorter
        .iter()
        .flat_map(|order| {
            (0..=order.len()).map(move |place| {
                let mut longer = order.clone();
                longer.insert(place, n - 1);
                longer
            })
        })
        .collect()
}
