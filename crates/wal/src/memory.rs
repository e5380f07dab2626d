//! A log that lives in memory.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::{AppendError, Entry, Lsn, Record};

/// What the log itself needs for a record.
const OVERHEAD: usize = 256;

/// The writing end of a log. Clones write to the same log.
pub struct Log<R> {
    shared: Arc<Shared<R>>,
}

impl<R> Clone for Log<R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<R> fmt::Debug for Log<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

struct Shared<R> {
    state: Mutex<State<R>>,
    appended: Condvar,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    max_size: usize,
}

struct State<R> {
    unread: VecDeque<Entry<R>>,
    /// Sizes of the records that not every cursor has passed, from `first_kept` on.
    sizes: VecDeque<usize>,
    first_kept: Lsn,
    /// Sum of `sizes`.
    size: usize,
    last: Lsn,
    receive_time: u64,
    cursors: Vec<Lsn>,
    is_closed: bool,
}

impl<R> Shared<R> {
    /// A panic while the lock was held leaves the state sound: every change under it is whole.
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Record> Log<R> {
    /// A log in memory that holds up to `max_size` bytes of records which not every cursor has passed. `clock` tells
    /// nanoseconds since the Unix epoch.
    pub fn in_memory(max_size: usize, clock: impl Fn() -> u64 + Send + Sync + 'static) -> (Self, Reader<R>) {
        let state = State {
            unread: VecDeque::new(),
            sizes: VecDeque::new(),
            first_kept: 1,
            size: 0,
            last: 0,
            receive_time: 0,
            cursors: Vec::new(),
            is_closed: false,
        };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), appended: Condvar::new(), clock: Box::new(clock), max_size });
        (Self { shared: Arc::clone(&shared) }, Reader { shared, batch: VecDeque::new() })
    }

    /// Appends a record and returns when it is safe.
    ///
    /// # Errors
    /// [`AppendError::Full`] while consumers are too far behind, [`AppendError::Closed`] after [`Log::close`].
    /// The record was not appended then.
    pub async fn append(&self, record: R) -> Result<Lsn, AppendError> {
        self.append_blocking(record)
    }

    /// As [`Log::append`], for callers outside of any async runtime.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn append_blocking(&self, record: R) -> Result<Lsn, AppendError> {
        let size = record.size() + OVERHEAD;
        let mut state = self.shared.lock();
        if state.is_closed {
            return Err(AppendError::Closed);
        }
        // An empty log takes a record of any size: its size was limited where it came in.
        if state.size > 0 && state.size + size > self.shared.max_size {
            return Err(AppendError::Full);
        }
        state.last += 1;
        state.receive_time = state.receive_time.max((self.shared.clock)());
        let (lsn, receive_time) = (state.last, state.receive_time);
        state.sizes.push_back(size);
        state.size += size;
        state.unread.push_back(Entry { lsn, receive_time, record });
        drop(state);
        self.shared.appended.notify_one();
        Ok(lsn)
    }

    /// A consumer that wants to be waited for. Cursors are made before the first record is appended.
    pub fn cursor(&self) -> Cursor<R> {
        let mut state = self.shared.lock();
        let passed = state.first_kept - 1;
        state.cursors.push(passed);
        Cursor { number: state.cursors.len() - 1, shared: Arc::clone(&self.shared) }
    }

    /// Whether there is room for more requests: half of the log is kept for those that are on their way, so that no work is done in vain
    /// for a record that is then refused.
    pub fn has_room(&self) -> bool {
        let state = self.shared.lock();
        state.size <= self.shared.max_size / 2
    }

    /// Bytes of records that not every cursor has passed, and how many there may be.
    pub fn fill(&self) -> (usize, usize) {
        (self.shared.lock().size, self.shared.max_size)
    }

    /// Takes no more records. The reader gives what is there and then ends.
    pub fn close(&self) {
        self.shared.lock().is_closed = true;
        self.shared.appended.notify_all();
    }
}

/// The reading end of a log.
pub struct Reader<R> {
    shared: Arc<Shared<R>>,
    batch: VecDeque<Entry<R>>,
}

impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl<R: Record> Reader<R> {
    /// The next safe record; waits for one. `None` when the log is closed and all was read.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Entry<R>> {
        if let Some(entry) = self.batch.pop_front() {
            return Some(entry);
        }
        let mut state = self.shared.lock();
        while state.unread.is_empty() {
            if state.is_closed {
                return None;
            }
            state = self.shared.appended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut self.batch, &mut state.unread);
        drop(state);
        self.batch.pop_front()
    }
}

/// How far a consumer has come.
pub struct Cursor<R> {
    shared: Arc<Shared<R>>,
    number: usize,
}

impl<R> fmt::Debug for Cursor<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("number", &self.number).finish_non_exhaustive()
    }
}

impl<R: Record> Cursor<R> {
    /// The consumer is done with every record up to `lsn`.
    pub fn advance(&self, lsn: Lsn) {
        let mut state = self.shared.lock();
        if let Some(passed) = state.cursors.get_mut(self.number) {
            *passed = lsn.max(*passed);
        }
        let slowest = state.cursors.iter().copied().min().unwrap_or(0);
        while state.first_kept <= slowest
            && let Some(size) = state.sizes.pop_front()
        {
            state.first_kept += 1;
            state.size -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    struct Blob(usize);

    impl Record for Blob {
        fn kind(&self) -> u8 {
            0
        }
        fn payload(&self) -> Bytes {
            Bytes::from(vec![0; self.0])
        }
        fn size(&self) -> usize {
            self.0
        }
    }

    // A reader sees every record once, in order, and then the end; nothing is appended after the close.
    #[test]
    fn reads_in_order_until_closed() {
        let (log, mut reader) = Log::in_memory(1 << 20, || 7);
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let log = log.clone();
                std::thread::spawn(move || (0..100).for_each(|size| assert!(log.append_blocking(Blob(size)).is_ok())))
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        log.close();
        assert_eq!(log.append_blocking(Blob(1)), Err(AppendError::Closed));
        let lsns: Vec<Lsn> = std::iter::from_fn(|| reader.next()).map(|entry| entry.lsn).collect();
        assert_eq!(lsns, (1..=400).collect::<Vec<_>>());
    }

    // Receive time never goes back, whatever the clock does.
    #[test]
    fn receive_time_never_goes_back() {
        let clock = Arc::new(AtomicU64::new(10));
        let told = Arc::clone(&clock);
        let (log, mut reader) = Log::in_memory(1 << 20, move || told.load(Ordering::Relaxed));
        for time in [10, 12, 3, 13] {
            clock.store(time, Ordering::Relaxed);
            log.append_blocking(Blob(0)).unwrap();
        }
        log.close();
        assert_eq!(std::iter::from_fn(|| reader.next()).map(|e| e.receive_time).collect::<Vec<_>>(), [10, 12, 12, 13]);
    }

    // A full log refuses; it has room again when the slowest cursor has passed, and not before.
    #[test]
    fn full_until_the_slowest_cursor_has_passed() {
        let (log, _reader) = Log::in_memory(2 * (100 + OVERHEAD), || 0);
        let (fast, slow) = (log.cursor(), log.cursor());
        log.append_blocking(Blob(100)).unwrap();
        log.append_blocking(Blob(100)).unwrap();
        assert_eq!(log.append_blocking(Blob(100)), Err(AppendError::Full));
        fast.advance(2);
        assert_eq!(log.append_blocking(Blob(100)), Err(AppendError::Full));
        slow.advance(1);
        assert_eq!(log.append_blocking(Blob(100)), Ok(3));
    }

    proptest! {
        // What counts against the size is exactly what some cursor has not passed.
        #[test]
        fn size_is_what_is_not_passed(sizes in proptest::collection::vec(0_usize..1000, 1..50), passed in 0_u64..60) {
            let (log, _reader) = Log::in_memory(usize::MAX, || 0);
            let cursor = log.cursor();
            for &size in &sizes {
                log.append_blocking(Blob(size)).unwrap();
            }
            cursor.advance(passed);
            let kept: usize = sizes.iter().skip(passed as usize).map(|size| size + OVERHEAD).sum();
            prop_assert_eq!(log.fill().0, kept);
        }
    }
}
