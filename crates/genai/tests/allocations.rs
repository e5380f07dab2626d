//! Deriving takes no memory for a span but the room of its facts, unless what it says stands inside JSON.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use common::corpus::bodies;
use spanmill_genai::Deriver;

/// Clients that write what is derived into attributes.
const PLAIN: [&str; 9] = [
    "anthropic-sdk-native",
    "google-adk",
    "logfire-pydantic-ai",
    "openllmetry",
    "openllmetry-0.40",
    "otel-genai-1.3b0",
    "otel-openai-v2",
    "strands-agents",
    "vercel-ai-sdk-7",
];

/// How often memory is taken for a request that says the same so many times.
fn allocations(body: &[u8], times: usize) -> u64 {
    let body = body.repeat(times);
    let deriver = Deriver::default();
    allocation_counter::measure(|| drop(deriver.derive_traces(&body).unwrap())).count_total
}

// Sixteen times the spans take memory as often: once for the facts, and once more where spans are smaller than is expected of them.
#[test]
fn spans_take_no_allocations() {
    for client in PLAIN {
        for body in bodies(client) {
            // The first of all makes tables.
            allocations(&body, 1);
            let (few, many) = (allocations(&body, 4), allocations(&body, 64));
            assert!(few == many && many <= 2, "{client}: {few} for four times its spans, {many} for 64 times");
        }
    }
}
