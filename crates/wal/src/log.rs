//! The writing end of a log, in memory or on disk, and what it shares with its readers, its cursors and its thread.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_channel::oneshot;

use crate::chain::{RawRecord, compress};
use crate::frame::frame_size;
use crate::fs::File;
use crate::memory::Kept;
use crate::reader::{RawReader, Reader};
use crate::segment::Segment;
use crate::space::Segments;
use crate::times::Times;
use crate::{Admission, AppendError, Cursor, Entry, Fill, Level, Lsn, Memory, Record, Volume};

/// What the log itself needs for a record in memory.
pub(crate) const OVERHEAD: usize = 256;

/// The writing end of a log. Clones write to the same log. The last one that is dropped closes it, and waits until its thread has
/// written what it has.
pub struct Log<R> {
    pub(crate) shared: Arc<Shared<R>>,
    end: Arc<End<R>>,
}

impl<R> Clone for Log<R> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), end: Arc::clone(&self.end) }
    }
}

impl<R> fmt::Debug for Log<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

/// Closes the log when nobody can append any more.
struct End<R> {
    shared: Arc<Shared<R>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<R> Drop for End<R> {
    fn drop(&mut self) {
        self.shared.close();
        for thread in self.threads.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // A panic there has ended the log already; whoever waits for it was told.
            let _ = thread.join();
        }
    }
}

pub(crate) struct Shared<R> {
    state: Mutex<State<R>>,
    /// Readers wait here for records.
    pub(crate) readable: Condvar,
    /// The writer waits here for records, ...
    pub(crate) writable: Condvar,
    /// ... and the syncer here for what is written.
    pub(crate) syncable: Condvar,
    pub(crate) clock: Box<dyn Fn() -> u64 + Send + Sync>,
    pub(crate) sync_observer: OnceLock<Box<dyn Fn(Duration) + Send + Sync>>,
    /// Held for each sync; whether one has failed. The system tells of an error once, so to the next who asks all would seem well.
    has_sync_failed: Mutex<bool>,
    memory: Memory,
    compression: Option<i32>,
}

pub(crate) struct State<R> {
    /// Safe records that the reader has not taken.
    pub(crate) unread: VecDeque<Entry<R>>,
    /// Bytes that count against the limit.
    pub(crate) memory: usize,
    /// Bytes of records that are still being made.
    pub(crate) on_their_way: usize,
    /// The last safe record.
    pub(crate) last: Lsn,
    pub(crate) receive_time: u64,
    times: Times,
    /// What became safe, or was given by the reader again, since the log was opened.
    pub(crate) volume: Volume,
    pub(crate) cursors: Vec<Lsn>,
    /// Where cursors begin.
    start: Lsn,
    pub(crate) is_closed: bool,
    /// Nothing more will be safe.
    pub(crate) has_ended: bool,
    pub(crate) failure: Option<Arc<str>>,
    pub(crate) space: Space<R>,
}

pub(crate) enum Space<R> {
    Memory(Kept),
    Disk(Disk<R>),
}

pub(crate) struct Disk<R> {
    /// What waits to be written.
    pub(crate) queue: VecDeque<Pending<R>>,
    /// What is written, in its order, and waits for a sync that begins after that.
    pub(crate) written: Vec<Written<R>>,
    /// Nothing more will be written.
    pub(crate) is_written_out: bool,
    pub(crate) segments: Segments,
}

impl<R> Disk<R> {
    fn level(&self, clock: &dyn Fn() -> u64) -> Level {
        Level { used: self.segments.used(clock), max: self.segments.capacity() }
    }
}

/// A record that waits to be written.
pub(crate) struct Pending<R> {
    pub(crate) record: R,
    /// Its memory.
    pub(crate) size: usize,
    /// Its payload as it is stored.
    pub(crate) payload: Bytes,
    pub(crate) is_compressed: bool,
    pub(crate) told: oneshot::Sender<Result<Lsn, AppendError>>,
}

impl<R> Pending<R> {
    /// Bytes that it takes on disk.
    pub(crate) fn cost(&self) -> u64 {
        frame_size(self.payload.len())
    }
}

/// A record that is written, and whoever waits to hear that it is safe.
pub(crate) struct Written<R> {
    pub(crate) entry: Entry<R>,
    pub(crate) told: oneshot::Sender<Result<Lsn, AppendError>>,
}

/// How a record was taken.
pub(crate) enum Taken {
    Safe(Lsn),
    Waiting(oneshot::Receiver<Result<Lsn, AppendError>>),
}

impl Taken {
    /// Waits until it is safe.
    pub(crate) async fn safe(self) -> Result<Lsn, AppendError> {
        match self {
            Self::Safe(lsn) => Ok(lsn),
            Self::Waiting(told) => told.await.unwrap_or(Err(AppendError::Closed)),
        }
    }
}

impl<R> Shared<R> {
    pub(crate) fn fill(&self) -> Fill {
        let state = self.lock();
        let memory = Level { used: state.memory as u64, max: self.memory.limit as u64 };
        let disk = match &state.space {
            Space::Memory(_) => None,
            Space::Disk(disk) => Some(disk.level(&self.clock)),
        };
        Fill { memory, disk }
    }

    /// See [`Log::has_room`].
    pub(crate) fn has_room(&self) -> bool {
        self.is_roomy(&self.lock(), 0)
    }

    /// Whether there is room beside what is on its way.
    fn is_roomy(&self, state: &State<R>, on_their_way: usize) -> bool {
        let (in_use, is_disk_roomy) = match &state.space {
            Space::Memory(kept) => (kept.first_size(), true),
            Space::Disk(disk) => (0, !disk.level(&self.clock).exceeds(90)),
        };
        let taken = state.memory + on_their_way;
        is_disk_roomy && taken <= self.memory.limit / 2 && taken - in_use <= self.memory.room
    }

    pub(crate) fn new(
        space: Space<R>,
        start: Lsn,
        (last, receive_time, times): (Lsn, u64, Times),
        clock: Box<dyn Fn() -> u64 + Send + Sync>,
        memory: Memory,
        compression: Option<i32>,
    ) -> Arc<Self> {
        let state = State {
            unread: VecDeque::new(),
            memory: 0,
            on_their_way: 0,
            last,
            receive_time,
            times,
            volume: Volume::default(),
            cursors: Vec::new(),
            start,
            is_closed: false,
            has_ended: false,
            failure: None,
            space,
        };
        let state = Mutex::new(state);
        Arc::new(Self {
            state,
            readable: Condvar::new(),
            writable: Condvar::new(),
            syncable: Condvar::new(),
            clock,
            sync_observer: OnceLock::new(),
            has_sync_failed: Mutex::new(false),
            memory,
            compression,
        })
    }

    /// A panic while the lock was held leaves the state sound: every change under it is whole.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wait<'a>(&self, on: &Condvar, state: MutexGuard<'a, State<R>>) -> MutexGuard<'a, State<R>> {
        on.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        // On disk the thread has yet to write what it has.
        state.has_ended |= matches!(state.space, Space::Memory(_));
        drop(state);
        self.readable.notify_all();
        self.writable.notify_all();
    }

    /// Ends the log for good: nothing that was not acknowledged yet will be, nor what somebody has `in_hand`.
    pub(crate) fn fail(&self, why: &str, in_hand: &mut Vec<Written<R>>) {
        let mut state = self.lock();
        let why = Arc::clone(state.failure.get_or_insert_with(|| why.into()));
        (state.is_closed, state.has_ended) = (true, true);
        let mut pending = VecDeque::new();
        if let Space::Disk(disk) = &mut state.space {
            in_hand.append(&mut disk.written);
            std::mem::swap(&mut pending, &mut disk.queue);
        }
        drop(state);
        let waiting = in_hand.drain(..).map(|written| written.told);
        for told in waiting.chain(pending.into_iter().map(|pending| pending.told)) {
            // Whoever asked may have gone.
            let _ = told.send(Err(AppendError::Failed(Arc::clone(&why))));
        }
        self.readable.notify_all();
        self.writable.notify_all();
        self.syncable.notify_all();
    }

    /// The same, if the disk or a thread let the log down.
    pub(crate) fn break_down(&self, what: impl fmt::Display, in_hand: &mut Vec<Written<R>>) {
        self.fail(&format!("the log has failed and takes no more records: {what}"), in_hand);
    }

    /// Makes a segment's file durable, unless that has failed before, for whichever file.
    pub(crate) fn sync(&self, file: &dyn File) -> io::Result<()> {
        let mut has_failed = self.has_sync_failed.lock().unwrap_or_else(PoisonError::into_inner);
        if *has_failed {
            return Err(io::Error::other("an earlier sync has failed"));
        }
        let begin = Instant::now();
        let result = file.sync();
        *has_failed = result.is_err();
        if let Some(observe) = self.sync_observer.get() {
            observe(begin.elapsed());
        }
        result
    }
}

impl<R> State<R> {
    /// The last segment in use for which `is_it` holds.
    pub(crate) fn segment(&self, is_it: impl Fn(&Segment) -> bool) -> Option<Segment> {
        match &self.space {
            Space::Memory(_) => None,
            Space::Disk(disk) => disk.segments.live.iter().rev().find(|segment| is_it(segment)).cloned(),
        }
    }

    fn check_open(&self) -> Result<(), AppendError> {
        match &self.failure {
            Some(why) => Err(AppendError::Failed(Arc::clone(why))),
            None if self.is_closed => Err(AppendError::Closed),
            None => Ok(()),
        }
    }
}

impl<R: Record> State<R> {
    /// The next record is safe: whoever waits for it may be told, and the reader may have it.
    pub(crate) fn add_safe(&mut self, entry: Entry<R>) {
        (self.last, self.receive_time) = (entry.lsn, entry.receive_time);
        self.times.note(entry.lsn, entry.receive_time);
        self.volume.add(&entry.record);
        self.unread.push_back(entry);
    }
}

impl<R: Record> Log<R> {
    pub(crate) fn new(shared: Arc<Shared<R>>) -> Self {
        let end = End { shared: Arc::clone(&shared), threads: Mutex::default() };
        Self { end: Arc::new(end), shared }
    }

    /// Starts a thread that ends when the log does.
    pub(crate) fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        self.end.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// A log in memory, of records which not every cursor has passed. `clock` tells nanoseconds since the Unix epoch.
    pub fn in_memory(memory: Memory, clock: impl Fn() -> u64 + Send + Sync + 'static) -> (Self, Reader<R>) {
        let shared =
            Shared::new(Space::Memory(Kept::default()), 0, (0, 0, Times::default()), Box::new(clock), memory, None);
        (Self::new(Arc::clone(&shared)), Reader::new(shared, None))
    }

    /// Appends a record and returns when it is safe.
    ///
    /// If the future is dropped after its first poll, the record is appended all the same.
    ///
    /// # Errors
    /// [`AppendError::Full`] while consumers are too far behind, [`AppendError::Closed`] after [`Log::close`]:
    /// the record was not appended then. [`AppendError::Failed`] when the disk let the log down: the record may or may not be
    /// found at the next start.
    pub async fn append(&self, record: R) -> Result<Lsn, AppendError> {
        self.take(record, false)?.safe().await
    }

    /// As [`Log::append`], for callers outside of any async runtime.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn append_blocking(&self, record: R) -> Result<Lsn, AppendError> {
        match self.take(record, false)? {
            Taken::Safe(lsn) => Ok(lsn),
            Taken::Waiting(told) => wait_for(told).unwrap_or(Err(AppendError::Closed)),
        }
    }

    pub(crate) fn take(&self, record: R, is_admitted: bool) -> Result<Taken, AppendError> {
        let size = record.size() + OVERHEAD;
        let urgent = record.is_urgent();
        let shared = &*self.shared;
        let stored = {
            let state = shared.lock();
            state.check_open()?;
            matches!(state.space, Space::Disk(_))
        };
        let (payload, is_compressed) = if stored { self.payload(&record) } else { (record.payload(), false) };

        let mut state = shared.lock();
        state.check_open()?;
        if state.memory >= shared.memory.limit && !is_admitted && !(urgent && stored) {
            return Err(AppendError::Full);
        }
        let State { space, memory, last, receive_time, .. } = &mut *state;
        match space {
            Space::Memory(kept) => {
                let (lsn, receive_time) = (*last + 1, (*receive_time).max((shared.clock)()));
                let kind = record.kind();
                kept.add(size, RawRecord { lsn, receive_time, kind, items: record.items(), payload });
                *memory += size;
                state.add_safe(Entry { lsn, receive_time, record });
                drop(state);
                shared.readable.notify_all();
                Ok(Taken::Safe(lsn))
            }
            Space::Disk(disk) => {
                let (told, is_safe) = oneshot::channel();
                let pending = Pending { record, size, payload, is_compressed, told };
                disk.segments.promise(pending.cost(), urgent, &shared.clock)?;
                *memory += size;
                disk.queue.push_back(pending);
                drop(state);
                shared.writable.notify_one();
                Ok(Taken::Waiting(is_safe))
            }
        }
    }

    /// The payload as it is stored. It is compressed here, by whoever appends, so that it costs the thread nothing, and
    /// before it is admitted, so that its size on disk is known.
    fn payload(&self, record: &R) -> (Bytes, bool) {
        let payload = record.payload();
        // What cannot be compressed is stored as it is.
        match self.shared.compression.and_then(|level| compress(&payload, level).ok().flatten()) {
            Some(compressed) => (compressed.into(), true),
            None => (payload, false),
        }
    }

    /// A consumer that wants to be waited for, at the place where the log's reader begins. Cursors are made before the first
    /// record is appended.
    pub fn cursor(&self) -> Cursor<R> {
        let start = self.shared.lock().start;
        self.cursor_at(start)
    }

    /// A consumer that wants to be waited for, and is done with every record up to `lsn`.
    pub fn cursor_at(&self, lsn: Lsn) -> Cursor<R> {
        Cursor::at(Arc::clone(&self.shared), lsn)
    }

    /// Reads the records behind `lsn` once more: for a consumer beside the reader, which has a cursor at or before `lsn`.
    pub fn read_from(&self, lsn: Lsn) -> RawReader<R> {
        RawReader::new(Arc::clone(&self.shared), lsn)
    }

    /// The first record that can be read, or the next to come if there is none.
    pub fn first(&self) -> Lsn {
        let state = self.shared.lock();
        match &state.space {
            Space::Memory(kept) => kept.first,
            Space::Disk(disk) => {
                disk.segments.live.front().map_or(state.last + 1, |segment| segment.header.begins_with())
            }
        }
    }

    /// The last record that is safe. Right after the start: the last one that was found, and that the reader will give.
    pub fn last(&self) -> Lsn {
        self.shared.lock().last
    }

    /// When the last safe record was received; 0 without one.
    pub fn receive_time(&self) -> u64 {
        self.shared.lock().receive_time
    }

    /// How long the record behind `passed` had been there when the last safe one came: how far behind a consumer is that has passed all
    /// records up to there, and zero if that is all there are. At most a second too long, or a thirty-second part; of records that were in
    /// the log when it was opened, and that only [`Start::kept`] asked for, what a segment took to be filled. `None` if nobody knows when
    /// the record came.
    ///
    /// [`Start::kept`]: crate::Start::kept
    pub fn lag(&self, passed: Lsn) -> Option<Duration> {
        let state = self.shared.lock();
        if passed >= state.last {
            return Some(Duration::ZERO);
        }
        let came = state.times.of(passed.saturating_add(1))?;
        Some(Duration::from_nanos(state.receive_time.saturating_sub(came)))
    }

    /// What became safe since the log was opened, and what its reader has given of what was found then.
    pub fn volume(&self) -> Volume {
        self.shared.lock().volume
    }

    /// Whether there is room for more requests, as far as what was appended tells: memory ([`Memory::room`]) and a tenth of the disk are kept
    /// for those that are on their way, so that no work is done in vain for a record that is then refused.
    pub fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    /// Room for a record that is still to be made of a request, and that will take about so many bytes of memory; `None` if there is none
    /// ([`Log::has_room`]) beside what was admitted. If there is any, it is given, however large the record; and none that was admitted is refused for want of memory,
    /// however many come at once. So records take half of the limit at most, one of them, and what others take beyond what was said.
    pub fn admit(&self, bytes: usize) -> Option<Admission<'_, R>> {
        let mut state = self.shared.lock();
        if !self.shared.is_roomy(&state, state.on_their_way) {
            return None;
        }
        state.on_their_way += bytes;
        drop(state);
        Some(Admission { log: self, bytes })
    }

    /// How full the log is.
    pub fn fill(&self) -> Fill {
        self.shared.fill()
    }

    /// Calls `observe` from now on with the time that each fdatasync of a group takes. Only the first observer is called; a log in memory
    /// has none.
    pub fn observe_syncs(&self, observe: impl Fn(Duration) + Send + Sync + 'static) {
        let _ = self.shared.sync_observer.set(Box::new(observe));
    }

    /// Why the log has ended, if it did not end well. Nothing can be appended any more, and the process should end.
    pub fn failure(&self) -> Option<Arc<str>> {
        self.shared.lock().failure.clone()
    }

    /// Whether it takes no more records.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().is_closed
    }

    /// Takes no more records. The reader gives what is there and then ends.
    pub fn close(&self) {
        self.shared.close();
    }
}

/// Blocks the thread until the answer is there. `None` if nobody is left to give one.
fn wait_for<T>(receiver: oneshot::Receiver<T>) -> Option<T> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut receiver = pin!(receiver);
    loop {
        if let Poll::Ready(answer) = receiver.as_mut().poll(&mut Context::from_waker(&waker)) {
            return answer.ok();
        }
        std::thread::park();
    }
}
