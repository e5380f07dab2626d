//! The reading ends of a log.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;

use crate::chain::{Chain, Next, RawRecord};
use crate::log::{OVERHEAD, Shared, Space};
use crate::{Entry, Lsn, Record};

/// Makes a record from its kind and its payload, or tells why it cannot.
pub(crate) type Restore<R> = Box<dyn FnMut(u8, Bytes) -> Result<R, String> + Send>;

/// The reading end of a log, for the one consumer who gets records without their being read back from disk.
pub struct Reader<R> {
    shared: Arc<Shared<R>>,
    batch: VecDeque<Entry<R>>,
    recovered: Option<Recovered<R>>,
}

/// What the start found on disk, and is given first.
pub(crate) struct Recovered<R> {
    pub(crate) records: RawReader<R>,
    pub(crate) through: Lsn,
    pub(crate) restore: Restore<R>,
}

impl<R> fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// Records and bytes that the reader takes at once: enough to seldom wait for the lock, and no matter beside the limit.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 1 << 20;

impl<R: Record> Reader<R> {
    pub(crate) fn new(shared: Arc<Shared<R>>, recovered: Option<Recovered<R>>) -> Self {
        Self { shared, batch: VecDeque::new(), recovered }
    }

    /// The next safe record; waits for one. `None` when the log is closed and all was read, or when it has failed
    /// ([`crate::Log::failure`]).
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Entry<R>> {
        if let Some(entry) = self.batch.pop_front() {
            return Some(entry);
        }
        match self.recovered() {
            Ok(Some(entry)) => return Some(entry),
            Ok(None) => {}
            Err(why) => {
                self.shared.fail(&why, &mut Vec::new());
                return None;
            }
        }
        let mut state = self.shared.lock();
        while state.unread.is_empty() {
            if state.has_ended {
                return None;
            }
            state = self.shared.wait(&self.shared.readable, state);
        }
        let is_on_disk = matches!(state.space, Space::Disk(_));
        let mut bytes = 0;
        while self.batch.len() < BATCH
            && bytes < BATCH_BYTES
            && let Some(entry) = state.unread.pop_front()
        {
            bytes += entry.record.size() + OVERHEAD;
            self.batch.push_back(entry);
        }
        if is_on_disk {
            state.memory = state.memory.saturating_sub(bytes);
        }
        drop(state);
        self.batch.pop_front()
    }

    /// The next of those that the start found.
    fn recovered(&mut self) -> Result<Option<Entry<R>>, String> {
        let Some(recovered) = &mut self.recovered else { return Ok(None) };
        if recovered.records.next <= recovered.through
            && let Some(raw) = recovered.records.try_next().map_err(|error| error.to_string())?
            && raw.lsn <= recovered.through
        {
            let RawRecord { lsn, receive_time, kind, payload, .. } = raw;
            let restored = (recovered.restore)(kind, payload);
            let record = restored.map_err(|why| format!("record {lsn} of the log cannot be restored: {why}"))?;
            self.shared.lock().volume.add(&record);
            return Ok(Some(Entry { lsn, receive_time, record }));
        }
        self.recovered = None;
        Ok(None)
    }
}

/// Why records could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system refused.
    #[error("reading {path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// What was written is not there.
    #[error("{path} is damaged at byte {offset}, where record {lsn} was written", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// Which record.
        lsn: Lsn,
    },
    /// No cursor held the record.
    #[error("record {0} is no longer in the log: it was read without a cursor at or before it")]
    Passed(Lsn),
}

/// Which kinds of records somebody wants.
pub(crate) type Kinds = Box<dyn Fn(u8) -> bool + Send>;

/// Reads records back, lazily: what it holds in memory is the record it gives, and of a log on disk a little that is read ahead.
pub struct RawReader<R> {
    shared: Arc<Shared<R>>,
    /// Of other kinds the payload is not read.
    wanted: Kinds,
    /// The record that is given next, or one behind it if that is lost.
    pub(crate) next: Lsn,
    chain: Option<(Chain, PathBuf)>,
    /// The last record that was safe before anything was read ahead that is still there.
    seen: Lsn,
    /// Where it stopped at what cannot be read.
    stopped: Option<(Chain, PathBuf)>,
}

impl<R> fmt::Debug for RawReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawReader").field("next", &self.next).finish_non_exhaustive()
    }
}

impl<R> RawReader<R> {
    pub(crate) fn new(shared: Arc<Shared<R>>, lsn: Lsn) -> Self {
        Self { shared, wanted: Box::new(|_| true), next: lsn.saturating_add(1), chain: None, seen: 0, stopped: None }
    }

    /// Payloads of other kinds are not read: such records come empty, for their places alone.
    #[must_use]
    pub fn with_payloads_of(self, wanted: impl Fn(u8) -> bool + Send + 'static) -> Self {
        Self { wanted: Box::new(wanted), ..self }
    }

    /// The next safe record; waits for one. `None` when the log has ended and all was read.
    ///
    /// # Errors
    /// The record cannot be read back. Another call tries again.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<RawRecord>, ReadError> {
        loop {
            if let Some(record) = self.try_next()? {
                return Ok(Some(record));
            }
            let shared = Arc::clone(&self.shared);
            let mut state = shared.lock();
            while state.last < self.next {
                if state.has_ended {
                    return Ok(None);
                }
                state = shared.readable.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// The next safe record, if there is one by now.
    ///
    /// # Errors
    /// The record cannot be read back. Another call tries again.
    pub fn try_next(&mut self) -> Result<Option<RawRecord>, ReadError> {
        let result = self.read();
        if let Err(error) = &result {
            self.stopped = self.chain.take().filter(|_| !matches!(error, ReadError::Passed(_)));
        }
        result
    }

    /// Passes over what was told of just now: damage, or what the operating system refused to read. Gives the records that
    /// are passed over; `None` if none can be read behind it yet.
    pub fn skip_unreadable(&mut self) -> Option<Range<Lsn>> {
        let (mut chain, mut path) = self.stopped.take()?;
        let last = self.shared.lock().last;
        if !chain.resume(last) {
            let segment = self.shared.lock().segment(|at| at.header.previous == chain.sequence)?;
            (chain, path) = (Chain::new(&segment), segment.slot.path);
        }
        let from = self.next;
        self.next = chain.expected.max(from);
        self.chain = Some((chain, path));
        Some(from..self.next)
    }

    fn read(&mut self) -> Result<Option<RawRecord>, ReadError> {
        let mut is_fresh = false;
        loop {
            let state = self.shared.lock();
            let last = state.last;
            if self.next > last {
                return Ok(None);
            }
            if let Space::Memory(kept) = &state.space {
                let record = kept.get(self.next).ok_or(ReadError::Passed(self.next))?;
                self.next += 1;
                return Ok(Some(record));
            }
            drop(state);
            if self.chain.is_none() {
                self.chain = Some(self.begin()?);
                (self.seen, is_fresh) = (last, true);
            }
            let Some((chain, path)) = &mut self.chain else { continue };
            if self.next > self.seen {
                // What was read ahead is older than the record: a crash may have left another one there.
                chain.refresh();
                (self.seen, is_fresh) = (last, true);
            }
            let io = |path: &PathBuf| {
                let path = path.clone();
                move |source| ReadError::Io { path, source }
            };
            match chain.next_of(&self.wanted).map_err(io(path))? {
                Next::Record(stored) if stored.lsn < self.next => {}
                Next::Record(stored) => {
                    let behind = stored.lsn.saturating_add(1);
                    let record = stored.open().map_err(io(path));
                    match record {
                        Ok(_) => self.next = behind,
                        // The chain has passed it.
                        Err(_) => self.chain = None,
                    }
                    return record.map(Some);
                }
                Next::Lost { through } => self.next = self.next.max(through.saturating_add(1)),
                Next::SegmentEnd => {
                    let segment = self.shared.lock().segment(|at| at.header.previous == chain.sequence);
                    match segment {
                        Some(segment) if chain.enter(&segment) => *path = segment.slot.path,
                        Some(_) => return Err(self.damaged()),
                        None => return Err(ReadError::Passed(self.next)),
                    }
                }
                // What was read ahead may have been written since.
                Next::Stop if !is_fresh => {
                    chain.refresh();
                    is_fresh = true;
                }
                Next::Stop => {
                    let is_live = self.shared.lock().segment(|at| at.header.sequence == chain.sequence).is_some();
                    return Err(if is_live { self.damaged() } else { ReadError::Passed(self.next) });
                }
            }
        }
    }

    /// Begins with the last segment that has the next record or something before it.
    fn begin(&self) -> Result<(Chain, PathBuf), ReadError> {
        let state = self.shared.lock();
        let segment = state.segment(|segment| segment.header.begins_with() <= self.next);
        let segment = segment.ok_or(ReadError::Passed(self.next))?;
        Ok((Chain::new(&segment), segment.slot.path))
    }

    fn damaged(&self) -> ReadError {
        let (path, offset) =
            self.chain.as_ref().map(|(chain, path)| (path.clone(), chain.offset())).unwrap_or_default();
        ReadError::Damaged { path, offset, lsn: self.next }
    }
}
