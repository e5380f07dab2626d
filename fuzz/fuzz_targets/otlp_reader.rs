//! Any bytes as a trace request: the borrowed reader and prost agree.

#![no_main]

#[path = "../../crates/otlp/tests/common/compare.rs"]
mod compare;
#[path = "../../crates/otlp/tests/common/observed.rs"]
mod observed;

libfuzzer_sys::fuzz_target!(|body: &[u8]| compare::compare(body, "input"));
