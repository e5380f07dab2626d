//! Any bytes as a checkpoint: an error that tells where, or a pipeline that goes on and whose own checkpoint is restored.

#![no_main]

#[path = "checkpoint/settings.rs"]
mod settings;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use rapidhash::v3::rapidhash_v3;
use spanmill_aggregate::{Logged, Lsn, Pipeline, Record, RestoreError};
use spanmill_genai::SpanFacts;

fuzz_target!(|bytes: &[u8]| {
    match restore(bytes) {
        Ok(pipeline) => go_on(pipeline),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    // The hash shows nearly all damage, so what is behind it is looked at with the right one.
    let Some(unhashed) = bytes.len().checked_sub(9) else { return };
    let mut hashed = bytes[..unhashed].to_vec();
    let hash = rapidhash_v3(&hashed);
    hashed.push(15 << 3 | 1);
    hashed.extend_from_slice(&hash.to_le_bytes());
    if let Ok(pipeline) = restore(&hashed) {
        go_on(pipeline);
    }
});

fn restore(bytes: &[u8]) -> Result<Pipeline, RestoreError> {
    Pipeline::restore(settings::settings(Some(usize::MAX)), bytes, body)
}

/// Every request has six spans.
fn body(_: Lsn) -> Option<(Bytes, Vec<SpanFacts>)> {
    Some((Bytes::new(), vec![SpanFacts::default(); 6]))
}

fn go_on(mut pipeline: Pipeline) {
    for (lsn, record) in (1..).zip([Record::Tick, Record::Drain, Record::ExportInterval]) {
        pipeline.apply(Logged { lsn, receive_time: u64::MAX / 2, record }, drop);
    }
    let checkpoint = pipeline.checkpoint();
    let again = restore(&checkpoint).expect("what was written is read");
    assert!(again.checkpoint() == checkpoint, "what was read is written");
}
