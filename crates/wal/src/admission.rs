//! Room in memory for records that are still being made.

use std::fmt;

use crate::{AppendError, Log, Lsn, Record};

/// Room for a record that is still being made ([`Log::admit`]): until it is appended, or this is dropped, others find so much less.
pub struct Admission<'a, R> {
    pub(crate) log: &'a Log<R>,
    pub(crate) bytes: usize,
}

impl<R: Record> Admission<'_, R> {
    /// [`Log::append`] of the record.
    ///
    /// # Errors
    /// As [`Log::append`], but the log is full if its disk is, and never for want of memory.
    pub async fn append(self, record: R) -> Result<Lsn, AppendError> {
        let taken = self.log.take(record, true);
        drop(self);
        taken?.safe().await
    }
}

impl<R> Drop for Admission<'_, R> {
    fn drop(&mut self) {
        self.log.shared.lock().on_their_way -= self.bytes;
    }
}

impl<R> fmt::Debug for Admission<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
