//! Any bytes as a trace request: what `spanmill explain` tells is about the facts that are counted.

#![no_main]

use libfuzzer_sys::fuzz_target;
use spanmill_genai::Deriver;

fuzz_target!(|body: &[u8]| {
    let deriver = Deriver::default();
    let derived = deriver.derive_traces(body);
    let explained = deriver.explain(body);
    assert_eq!(derived.is_err(), explained.is_err());
    let (Ok(derived), Ok(explained)) = (derived, explained) else { return };
    assert!(explained.iter().map(|(facts, _)| facts).eq(&derived.spans), "explaining changes nothing");
});
