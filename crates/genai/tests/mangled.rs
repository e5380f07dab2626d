//! Requests of real clients, damaged: nothing breaks the deriver.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::sync::LazyLock;

use common::corpus::{bodies, clients};
use proptest::prelude::*;
use spanmill_genai::{Deriver, SpanFacts};

static BODIES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| clients().iter().flat_map(|client| bodies(client)).filter(|body| body.len() < 200_000).collect());

/// Facts hold together, and their texts stand in the body.
fn check(facts: &SpanFacts, body: &[u8]) {
    for text in [
        facts.name,
        facts.request_model,
        facts.response_model,
        facts.response_id,
        facts.tool_name,
        facts.prompt_name,
        facts.prompt_version,
    ] {
        assert!(text.end() as usize <= body.len());
    }
    let (usage, classes) = (facts.usage(), facts.usage().classes());
    let input = classes.input_uncached + classes.cache_read + classes.cache_write;
    assert_eq!(input, u64::from(usage.input.unwrap_or(0)));
    assert!(usage.cache_write_1h.unwrap_or(0) <= usage.cache_write.unwrap_or(0));
    assert!(facts.split.is_none() || facts.role.is_call());
}

proptest! {
    // Bytes that mean something in JSON, in numbers and in protobuf stand anywhere, and the end may be missing.
    #[test]
    fn damage_is_survived(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"\"\\{}[]:,-e9 \x00\xff\x0a'N".to_vec())), 0..40),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut body = BODIES[which.index(BODIES.len())].clone();
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        if let Ok(facts) = Deriver::default().derive(&body) {
            facts.iter().for_each(|facts| check(facts, &body));
            if body.len() < 20_000 {
                let explained = Deriver::default().explain(&body).unwrap();
                prop_assert!(explained.iter().map(|(facts, _)| facts).eq(&facts));
            }
        }
    }
}
