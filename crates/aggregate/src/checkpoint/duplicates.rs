//! What was received, so that what clients send again is known.

use super::messages::{self, tag};
use super::wire::Writer;
use super::{RestoreError, Restoring, check};
use crate::duplicates::Duplicates;

pub(super) fn write(writer: &mut Writer<'_>, duplicates: &Duplicates) {
    let is_cut = duplicates.is_cut();
    for (time, hashes) in duplicates.by_time() {
        let mut bytes = Vec::new();
        hashes.for_each(|hash| bytes.extend_from_slice(&hash.to_le_bytes()));
        writer.element(tag::RECEIVED, &messages::Received { time, hashes: bytes, is_cut });
    }
}

impl Restoring<'_> {
    pub(super) fn received(&mut self, message: messages::Received) -> Result<(), RestoreError> {
        let (hashes, rest) = message.hashes.as_chunks();
        check(rest.is_empty(), "hashes", "not a whole number of them")?;
        check(message.time <= self.head.now, "time", "after the newest record")?;
        let duplicates = &mut self.pipeline.duplicates;
        for hash in hashes {
            let is_new = duplicates.restore(u128::from_le_bytes(*hash), message.time);
            check(is_new, "hashes", "one stands twice")?;
        }
        duplicates.restore_cut(message.is_cut);
        Ok(())
    }
}
