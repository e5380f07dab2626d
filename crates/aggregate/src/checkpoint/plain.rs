//! What stands in several messages: ids, amounts, counts and usage.

use genai::{Money, Usage};

use super::{RestoreError, check, messages};

/// More than anything can be counted, and little enough that sums of what is read have room.
const MAX_COUNT: u64 = 1 << 48;

/// High and low half of a trace id.
pub(super) fn trace_halves(id: [u8; 16]) -> [u64; 2] {
    let id = u128::from_be_bytes(id);
    [(id >> 64) as u64, id as u64]
}

pub(super) fn trace_id([high, low]: [u64; 2]) -> [u8; 16] {
    (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
}

/// Trace and span ids of what is held: only what has them is.
pub(super) fn valid_ids(trace: [u64; 2], span: u64) -> Result<([u8; 16], [u8; 8]), RestoreError> {
    check(trace != [0, 0], "trace", "missing")?;
    check(span != 0, "span", "missing")?;
    Ok((trace_id(trace), span.to_be_bytes()))
}

pub(super) fn count(count: u64, field: &'static str) -> Result<u64, RestoreError> {
    check(count <= MAX_COUNT, field, "more than can be counted")?;
    Ok(count)
}

pub(super) fn money(amount: Money) -> messages::Money {
    let pico = amount.pico();
    messages::Money { high: (pico >> 64) as i64, low: pico as u64 }
}

pub(super) fn amount(money: messages::Money) -> Money {
    Money::from_pico(i128::from(money.high) << 64 | i128::from(money.low))
}

pub(super) fn usage_message(usage: Usage) -> messages::Usage {
    let Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning } = usage;
    messages::Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning }
}

pub(super) fn usage(message: messages::Usage) -> Usage {
    let messages::Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning } = message;
    Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        // Ids and amounts come back, whatever their size and sign.
        #[test]
        fn ids_and_amounts_come_back(id in any::<[u8; 16]>(), pico in any::<i128>()) {
            prop_assert_eq!(trace_id(trace_halves(id)), id);
            prop_assert_eq!(amount(money(Money::from_pico(pico))).pico(), pico);
        }
    }
}
