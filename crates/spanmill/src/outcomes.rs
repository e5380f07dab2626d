//! What became of spans, kept until every destination that gets it written on its spans has got them.
//!
//! A call is counted `derive.settle_wait` after its spans came, and destinations can be behind the log for longer than memory lasts. With
//! a log on disk, outcomes are kept in files beside it, in the order of the log; checkpoints wait until they are durable, and what is not
//! is made again by the next start. A file is removed when all destinations have what it tells of.
//!
//! A file, `FIRST-LSN.outcomes`, is a run of frames: length, checksum of the rest, LSN and receive time of the request, outcomes. What
//! follows a frame that is not whole is worth nothing.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use wal::Lsn;

#[cfg(test)]
mod tests;

/// A file is ended when it is larger.
const FILE_SIZE: u64 = 4 << 20;
const EXTENSION: &str = "outcomes";
/// Length and checksum; behind them, LSN and receive time.
const HEAD: usize = 8;
const NAMES: usize = 16;
/// How often it is tried again to keep what the disk has no room for.
const STORE_AGAIN: Duration = Duration::from_millis(500);

/// What became of the spans of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) lsn: Lsn,
    /// With the LSN, it tells requests of different logs apart.
    pub(crate) receive_time: u64,
    /// As [`aggregate::Outcomes`] encodes them.
    pub(crate) outcomes: Bytes,
}

impl Kept {
    fn encode(&self) -> Vec<u8> {
        let mut frame = vec![0; HEAD];
        frame.extend_from_slice(&self.lsn.to_le_bytes());
        frame.extend_from_slice(&self.receive_time.to_le_bytes());
        frame.extend_from_slice(&self.outcomes);
        let length = (frame.len() - HEAD) as u32;
        let checksum = crc32c::crc32c(frame.get(HEAD..).unwrap_or_default());
        frame[..4].copy_from_slice(&length.to_le_bytes());
        frame[4..HEAD].copy_from_slice(&checksum.to_le_bytes());
        frame
    }

    /// The frame at an offset, and where the next one is; `None` if none is there, or not all of it.
    fn read(file: &File, offset: u64, end: u64) -> io::Result<Option<(Self, u64)>> {
        let Some(left) = end.checked_sub(offset).filter(|left| *left >= (HEAD + NAMES) as u64) else { return Ok(None) };
        let mut head = [0; HEAD];
        file.read_exact_at(&mut head, offset)?;
        let [length, checksum] =
            [0, 4].map(|at| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
        if u64::from(length) > left - HEAD as u64 {
            return Ok(None);
        }
        let mut rest = vec![0; length as usize];
        file.read_exact_at(&mut rest, offset + HEAD as u64)?;
        let names = rest.first_chunk::<8>().zip(rest.get(8..).and_then(<[u8]>::first_chunk::<8>));
        let Some((lsn, receive_time)) = names.filter(|_| crc32c::crc32c(&rest) == checksum) else { return Ok(None) };
        let (lsn, receive_time) = (u64::from_le_bytes(*lsn), u64::from_le_bytes(*receive_time));
        let next = offset + (HEAD + rest.len()) as u64;
        Ok(Some((Self { lsn, receive_time, outcomes: Bytes::from(rest).slice(NAMES..) }, next)))
    }
}

/// What is kept, shared by the one who keeps it and those who ask for it.
#[derive(Debug, Clone)]
pub(crate) struct Outcomes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// `None` if nothing outlives the process.
    directory: Option<PathBuf>,
    state: Mutex<State>,
    /// Those who ask wait here.
    changed: Condvar,
    /// Who keeps what the disk has no room for waits here.
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    memory: VecDeque<Kept>,
    files: VecDeque<Segment>,
    /// The outcomes of all requests up to here are known.
    known: Lsn,
    /// How far each of those who ask has come, durably.
    passed: Vec<Lsn>,
    /// No more will be kept.
    has_ended: bool,
    /// Nobody waits for the disk any more.
    is_ending: bool,
    /// Something was not kept, so nothing behind it is: the next process would take it for known.
    refuses: bool,
    /// The disk has failed once: what was written before may be lost, whatever it says later.
    has_failed: bool,
}

#[derive(Debug, Clone)]
struct Segment {
    path: PathBuf,
    file: Arc<File>,
    last: Lsn,
    size: u64,
    is_synced: bool,
}

impl Outcomes {
    /// What an earlier run left in the directory, of a log that ends at `last`. The outcomes of all requests up to `known` were told
    /// before: what is not there of them never will be.
    pub(crate) fn open(directory: Option<PathBuf>, known: Lsn, last: Lsn) -> io::Result<Self> {
        let mut files = VecDeque::new();
        if let Some(directory) = &directory {
            durable::create_directory(directory)?;
            files = Segment::all_in(directory)?;
            if files.back().is_some_and(|file| file.last > last) {
                tracing::warn!(directory = %directory.display(), last, "outcomes are of a longer log than there is: they are removed");
                files.drain(..).try_for_each(|file| fs::remove_file(file.path))?;
            }
        }
        let known = known.max(files.back().map_or(0, |file| file.last));
        let state = Mutex::new(State { files, known, ..State::default() });
        Ok(Self(Arc::new(Shared { directory, state, changed: Condvar::new(), room: Condvar::new() })))
    }

    /// Removes what an earlier run left: nobody asks for it any more.
    pub(crate) fn forget(directory: Option<PathBuf>) -> io::Result<()> {
        match directory.filter(|directory| directory.exists()) {
            Some(directory) => fs::remove_dir_all(directory),
            None => Ok(()),
        }
    }

    /// For the one who keeps them.
    pub(crate) fn writer(&self) -> Writer {
        Writer(self.clone())
    }

    /// For one who asks for them, and has got what they tell of up to `passed`.
    pub(crate) fn reader(&self, passed: Lsn) -> Reader {
        let mut state = self.0.lock();
        state.passed.push(passed);
        Reader { outcomes: self.clone(), number: state.passed.len() - 1, at: None, ahead: None }
    }

    /// The end is near: from now on [`Writer::keep`] waits for nothing.
    pub(crate) fn stop_waiting(&self) {
        self.0.lock().is_ending = true;
        self.0.room.notify_all();
    }
}

impl Shared {
    /// A panic while the lock was held leaves the state sound: every change under it is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps outcomes. Dropped, it ends them: whoever waits for more is told so.
#[derive(Debug)]
pub(crate) struct Writer(Outcomes);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.0.lock().has_ended = true;
        self.0.0.changed.notify_all();
    }
}

impl Writer {
    /// Keeps what became of the next request in the order of the log; what is known already is passed over. Waits while the disk does
    /// not take it. Tells whether it is kept: it is not if the end came meanwhile, and then the next process does it.
    pub(crate) fn keep(&self, kept: Kept) -> bool {
        let shared = &*self.0.0;
        let mut state = shared.lock();
        if kept.lsn <= state.known || state.refuses {
            return !state.refuses;
        }
        let lsn = kept.lsn;
        match &shared.directory {
            None => state.memory.push_back(kept),
            Some(directory) => {
                let frame = kept.encode();
                while let Err(error) = state.append(directory, lsn, &frame) {
                    tracing::error!(%error, "what became of spans cannot be stored, trying again");
                    let waits = |state: &mut State| !state.is_ending;
                    let waited = shared.room.wait_timeout_while(state, STORE_AGAIN, waits);
                    (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
                    if state.is_ending {
                        state.refuses = true;
                        return false;
                    }
                }
            }
        }
        state.known = lsn;
        drop(state);
        shared.changed.notify_all();
        true
    }

    /// When this returns, what was kept outlives the machine. Once it has failed, it fails for good.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let Some(directory) = &self.0.0.directory else { return Ok(()) };
        let (unsynced, has_failed) = {
            let state = self.0.0.lock();
            let unsynced = state.files.iter().filter(|file| !file.is_synced).map(|file| Arc::clone(&file.file));
            (unsynced.collect::<Vec<_>>(), state.has_failed)
        };
        if has_failed {
            return Err(io::Error::other("the disk has failed before"));
        }
        if unsynced.is_empty() {
            return Ok(());
        }
        let opened = File::open(directory)?;
        let synced = unsynced.iter().try_for_each(|file| file.sync_data()).and_then(|()| opened.sync_all());
        let mut state = self.0.0.lock();
        // Only who calls this writes to any of them.
        state.files.iter_mut().for_each(|file| file.is_synced |= synced.is_ok());
        state.has_failed |= synced.is_err();
        synced
    }
}

impl State {
    fn append(&mut self, directory: &Path, lsn: Lsn, frame: &[u8]) -> io::Result<()> {
        if self.files.back().is_none_or(|file| file.size >= FILE_SIZE) {
            self.files.push_back(Segment::create(directory, lsn)?);
        }
        let Some(segment) = self.files.back_mut() else { return Ok(()) };
        // What a failure leaves behind the size is written over.
        segment.file.write_all_at(frame, segment.size)?;
        segment.size += frame.len() as u64;
        segment.last = lsn;
        segment.is_synced = false;
        Ok(())
    }

    /// Forgets what all have.
    fn release(&mut self) {
        let slowest = self.passed.iter().copied().min().unwrap_or(0);
        while self.memory.front().is_some_and(|kept| kept.lsn <= slowest) {
            self.memory.pop_front();
        }
        while self.files.front().is_some_and(|file| file.last <= slowest && file.size >= FILE_SIZE)
            && let Some(file) = self.files.pop_front()
        {
            if let Err(error) = fs::remove_file(&file.path) {
                tracing::warn!(path = %file.path.display(), %error, "outcomes that nobody needs were not removed");
            }
        }
    }
}

impl Segment {
    fn create(directory: &Path, first: Lsn) -> io::Result<Self> {
        let path = directory.join(format!("{first:020}.{EXTENSION}"));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        Ok(Self { path, file: Arc::new(file), last: 0, size: 0, is_synced: false })
    }

    /// Those that hold anything, up to the first frame that is not whole; what comes behind that is removed.
    fn all_in(directory: &Path) -> io::Result<VecDeque<Self>> {
        let entries = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        let is_one = |path: &PathBuf| path.extension().is_some_and(|extension| extension == EXTENSION);
        let mut paths: Vec<PathBuf> = entries.into_iter().filter(is_one).collect();
        paths.sort();
        let mut found: VecDeque<Self> = VecDeque::new();
        let mut is_whole = true;
        for path in paths {
            let file = File::options().read(true).write(true).open(&path)?;
            let end = file.metadata()?.len();
            let mut segment = Self { path, file: Arc::new(file), last: 0, size: 0, is_synced: false };
            while is_whole && let Some((kept, next)) = Kept::read(&segment.file, segment.size, end)? {
                (segment.last, segment.size) = (kept.lsn, next);
            }
            is_whole &= segment.size == end;
            match segment.size {
                0 => fs::remove_file(&segment.path)?,
                _ => {
                    segment.file.set_len(segment.size)?;
                    found.push_back(segment);
                }
            }
        }
        Ok(found)
    }
}

/// What is known of the outcomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// They are kept.
    Kept(Bytes),
    /// They are not, and will never be: they were told before anybody asked for them.
    Missing,
    /// They are not known yet.
    NotYet,
    /// Nobody will tell them any more, in this process.
    Ended,
}

/// Asks for outcomes in the order of the log.
#[derive(Debug)]
pub(crate) struct Reader {
    outcomes: Outcomes,
    number: usize,
    /// The file that it reads, and where in it.
    at: Option<(Segment, u64)>,
    /// The last that was read.
    ahead: Option<Kept>,
}

impl Reader {
    /// The outcomes of the request at `lsn`; waits until they are known, if it is told to.
    pub(crate) fn get(&mut self, lsn: Lsn, receive_time: u64, waits: bool) -> io::Result<Found> {
        let shared = Arc::clone(&self.outcomes.0);
        let mut state = shared.lock();
        while state.known < lsn {
            if state.has_ended {
                return Ok(Found::Ended);
            }
            if !waits {
                return Ok(Found::NotYet);
            }
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if shared.directory.is_none() {
            let place = state.memory.binary_search_by_key(&lsn, |kept| kept.lsn).ok();
            let kept = place.and_then(|place| state.memory.get(place));
            return Ok(kept.map_or(Found::Missing, |kept| Found::Kept(kept.outcomes.clone())));
        }
        drop(state);
        while let Some(kept) = self.next()? {
            if kept.lsn >= lsn {
                // It may be asked for again.
                let is_it = kept.lsn == lsn && kept.receive_time == receive_time;
                let found = if is_it { Found::Kept(kept.outcomes.clone()) } else { Found::Missing };
                self.ahead = Some(kept);
                return Ok(found);
            }
        }
        Ok(Found::Missing)
    }

    /// The next that is on disk.
    fn next(&mut self) -> io::Result<Option<Kept>> {
        if let Some(kept) = self.ahead.take() {
            return Ok(Some(kept));
        }
        loop {
            // What this one asks for is known, so it was written before.
            let next = {
                let state = self.outcomes.0.lock();
                let is_current = |file: &&Segment| self.at.as_ref().is_some_and(|(at, _)| at.path == file.path);
                let is_later =
                    |file: &&Segment| file.size > 0 && self.at.as_ref().is_none_or(|(at, _)| at.path < file.path);
                match (&self.at, state.files.iter().find(is_current)) {
                    (Some((_, offset)), Some(current)) if *offset < current.size => Some((current.clone(), *offset)),
                    _ => state.files.iter().find(is_later).map(|file| (file.clone(), 0)),
                }
            };
            let Some((segment, offset)) = next else { return Ok(None) };
            self.at = Some((segment.clone(), offset));
            let read = Kept::read(&segment.file, offset, segment.size)?;
            let (kept, offset) = match read {
                Some((kept, next)) => (Some(kept), next),
                None => {
                    tracing::error!(path = %segment.path.display(), offset, "what became of spans cannot be read: the disk has changed it");
                    (None, segment.size)
                }
            };
            self.at = Some((segment, offset));
            if kept.is_some() {
                return Ok(kept);
            }
        }
    }

    /// Gives up the rest of a file that could not be read just now: what it tells of is missing.
    pub(crate) fn skip_unreadable(&mut self) {
        if let Some((segment, offset)) = &mut self.at {
            *offset = segment.size;
        }
    }

    /// What the requests up to `lsn` became will not be asked for again, not even by the next process.
    pub(crate) fn pass(&self, lsn: Lsn) {
        let mut state = self.outcomes.0.lock();
        if let Some(passed) = state.passed.get_mut(self.number) {
            *passed = lsn.max(*passed);
        }
        state.release();
    }
}
