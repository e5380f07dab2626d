//! A log and its checkpoints on a simulated file system, beside a naive model of what must be there.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::checkpoint::Checkpoints;
use crate::directory::Directory;
use crate::log::{Disk, Log, Space};
use crate::open::{Parts, Settings, Start, open};
use crate::reader::Reader;
use crate::syncer::Syncer;
use crate::tests::sim::{Crash, Random, SimFs};
use crate::writer::{Step, Writer};
use crate::{AppendError, Cursor, Lsn, Record};

pub(crate) const DIRECTORY: &str = "/data/log";

/// A record that is its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blob(pub(crate) Bytes);

impl Record for Blob {
    fn kind(&self) -> u8 {
        (self.0.len() % 256) as u8
    }
    fn payload(&self) -> Bytes {
        self.0.clone()
    }
    fn size(&self) -> usize {
        self.0.len()
    }
}

pub(crate) fn restore(kind: u8, payload: Bytes) -> Result<Blob, String> {
    let blob = Blob(payload);
    if blob.kind() == kind { Ok(blob) } else { Err(format!("kind {kind}")) }
}

/// Segments of two pages, six of them: every workload turns over them.
pub(crate) fn settings() -> Settings {
    Settings { max_size: 48 << 10, segment_size: Some(8 << 10), memory_limit: 1 << 20, compression: None }
}

/// The threads of a log, a step at a time.
pub(crate) struct Threads<R> {
    pub(crate) writer: Writer<R>,
    pub(crate) syncer: Syncer<R>,
}

impl<R: Record> Threads<R> {
    /// A group is written and synced, if there is one.
    pub(crate) fn step(&mut self) -> Step {
        // With nothing to write, the writer would wait for it.
        let is_only_written = self.has_written() && !self.has_queued();
        if !is_only_written && self.writer.step() == Step::Ended {
            while self.syncer.step() == Step::Went {}
            return Step::Ended;
        }
        if self.has_written() { self.syncer.step() } else { Step::Went }
    }

    fn disk<T>(&self, ask: impl FnOnce(&Disk<R>) -> T) -> T {
        match &self.writer.shared.lock().space {
            Space::Disk(disk) => ask(disk),
            Space::Memory(_) => unreachable!("it is on disk"),
        }
    }

    fn has_queued(&self) -> bool {
        self.disk(|disk| !disk.queue.is_empty())
    }

    fn has_written(&self) -> bool {
        self.disk(|disk| !disk.written.is_empty())
    }
}

/// An open log whose threads only go when they are told to.
pub(crate) fn opened<R: Record>(parts: Parts<R>) -> (Log<R>, Reader<R>, Threads<R>) {
    let Parts { shared, reader, writer, syncer } = parts;
    (Log::new(shared), reader, Threads { writer, syncer })
}

/// What must be there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    /// Every safe record, with its time, from LSN 1 on.
    pub(crate) safe: Vec<(u64, Bytes)>,
    /// Records that were taken and not acknowledged.
    in_flight: Vec<Bytes>,
    /// The newest checkpoint that was written, ...
    checkpoint: Lsn,
    /// ... and one that may have been.
    attempted: Lsn,
    made: u64,
}

/// An append that is under way.
type Append = Pin<Box<dyn Future<Output = Result<Lsn, AppendError>>>>;

/// What is open.
pub(crate) struct Session {
    pub(crate) log: Log<Blob>,
    pub(crate) reader: Reader<Blob>,
    pub(crate) threads: Threads<Blob>,
    /// Records that were taken, and whoever waits for each.
    waiting: Vec<(Append, Bytes)>,
    pub(crate) cursor: Cursor<Blob>,
    pub(crate) checkpoints: Checkpoints,
}

pub(crate) struct Harness {
    pub(crate) fs: SimFs,
    pub(crate) model: Model,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<AtomicU64>,
    /// `None` while the machine is down.
    pub(crate) session: Option<Session>,
}

impl Harness {
    pub(crate) fn new(settings: Settings) -> Self {
        let clock = Arc::new(AtomicU64::new(1_000));
        Self { fs: SimFs::default(), model: Model::default(), settings, clock, session: None }
    }

    /// Opens everything and checks what is found. `None` if the machine went down meanwhile.
    pub(crate) fn open(&mut self) -> Option<()> {
        let opened = self.try_open();
        if self.fs.is_dead() {
            return None;
        }
        self.session = Some(opened.unwrap());
        let found = self.found();
        self.check(found);
        Some(())
    }

    fn try_open(&self) -> Result<Session, crate::OpenError> {
        let directory = Directory::open_on(Arc::new(self.fs.clone()), DIRECTORY)?;
        let mut checkpoints = Checkpoints::open(&directory)?;
        let newest = checkpoints.newest()?;
        assert_eq!(newest.damaged, [], "a crash damages no checkpoint");
        let applied = newest.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.lsn);
        let model = &self.model;
        assert!(applied == model.checkpoint || applied == model.attempted, "checkpoint {applied}, {model:?}");
        if let Some(checkpoint) = newest.checkpoint {
            assert_eq!(checkpoint.bytes, checkpoint_bytes(applied));
        }
        let kept = checkpoints.covered();
        let clock = Arc::clone(&self.clock);
        let clock = Box::new(move || clock.fetch_add(1, Ordering::Relaxed));
        let start = Start { applied, needed: kept, kept };
        let (log, reader, threads) = opened(open(&directory, &self.settings, start, clock, Box::new(restore))?);
        let cursor = log.cursor_at(kept);
        Ok(Session { log, reader, threads, waiting: Vec::new(), cursor, checkpoints })
    }

    /// What the reader finds, and a second consumer from further back.
    fn found(&mut self) -> (Lsn, Vec<(u64, Bytes)>) {
        let session = self.session.as_mut().unwrap();
        let applied = session.checkpoints.newest().unwrap().checkpoint.map_or(0, |checkpoint| checkpoint.lsn);
        let mut found = Vec::new();
        for lsn in applied + 1..=session.log.last() {
            let entry = session.reader.next().unwrap();
            assert_eq!(entry.lsn, lsn);
            found.push((entry.receive_time, entry.record.0));
        }
        (applied, found)
    }

    /// Every acknowledged record is there with its place, time and content, and nothing that was never taken.
    fn check(&mut self, (applied, found): (Lsn, Vec<(u64, Bytes)>)) {
        let model = &mut self.model;
        (model.checkpoint, model.attempted) = (applied, applied);
        let last = applied as usize + found.len();
        assert!(last >= model.safe.len(), "{last} records are left of {} acknowledged ones", model.safe.len());
        let mut in_flight: VecDeque<Bytes> = std::mem::take(&mut model.in_flight).into();
        for (index, (time, content)) in (applied as usize..).zip(found) {
            if let Some(safe) = model.safe.get(index) {
                assert_eq!((time, &content), (safe.0, &safe.1), "record {}", index + 1);
            } else {
                assert_eq!(Some(content.clone()), in_flight.pop_front(), "record {} was invented", index + 1);
                model.safe.push((time, content));
            }
        }
        assert!(model.safe.is_sorted_by_key(|(time, _)| *time), "receive time goes back");
        self.read_back();
    }

    /// A second consumer reads all that is kept from disk.
    pub(crate) fn read_back(&mut self) {
        let Some(session) = &self.session else { return };
        let from = session.checkpoints.covered();
        let mut raw = session.log.read_from(from);
        let mut count = from as usize;
        while let Some(record) = raw.try_next().unwrap() {
            count += 1;
            assert_eq!(record.lsn, count as Lsn);
            assert_eq!(
                (record.receive_time, &record.payload),
                (self.model.safe[count - 1].0, &self.model.safe[count - 1].1)
            );
        }
        assert_eq!(count, self.model.safe.len());
    }

    /// Appends records of these sizes as one group, and has them safe with all that were written before. `None` if the machine went
    /// down.
    pub(crate) fn append(&mut self, sizes: &[usize]) -> Option<()> {
        self.take(sizes)?;
        while !self.session.as_ref()?.waiting.is_empty() {
            self.session.as_mut()?.threads.step();
            self.hear();
        }
        self.is_up()
    }

    /// Appends records of these sizes as one group that is written, and not safe yet.
    pub(crate) fn write_ahead(&mut self, sizes: &[usize]) -> Option<()> {
        self.take(sizes)?;
        self.write()
    }

    /// Makes safe what is written; records of these sizes are written after the sync has begun, or if `late`, before anybody is told of it.
    pub(crate) fn sync_beside(&mut self, sizes: &[usize], late: bool) -> Option<()> {
        let Some(segment) =
            self.session.as_mut()?.threads.has_written().then(|| self.session.as_mut()?.threads.syncer.take())
        else {
            return self.write_ahead(sizes);
        };
        let segment = segment?;
        let before = self.session.as_ref()?.log.last();
        if !late {
            self.write_ahead(sizes)?;
        }
        let synced = self.session.as_mut()?.threads.syncer.sync(&segment);
        if late && synced.is_ok() {
            self.write_ahead(sizes)?;
        }
        self.session.as_mut()?.threads.syncer.tell(synced);
        self.hear();
        assert!(self.fs.is_dead() || self.session.as_ref()?.log.last() > before);
        self.is_up()
    }

    fn is_up(&self) -> Option<()> {
        let limit = self.settings.max_size as usize + 4096;
        assert!(self.fs.size() <= limit, "{} bytes of files", self.fs.size());
        (!self.fs.is_dead()).then_some(())
    }

    /// Has records of these sizes taken, if there is room for them.
    fn take(&mut self, sizes: &[usize]) -> Option<()> {
        let session = self.session.as_mut()?;
        for size in sizes {
            self.model.made += 1;
            let content = content(self.model.made, *size);
            let (log, blob) = (session.log.clone(), Blob(content.clone()));
            let mut append: Append = Box::pin(async move { log.append(blob).await });
            match append.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => {
                    self.model.in_flight.push(content.clone());
                    session.waiting.push((append, content));
                }
                Poll::Ready(Err(AppendError::Full)) => {
                    check_full(&session.log, &self.model, session.checkpoints.covered(), *size, &self.settings);
                }
                Poll::Ready(other) => panic!("{other:?}"),
            }
        }
        Some(())
    }

    /// Writes all that was taken.
    fn write(&mut self) -> Option<()> {
        let session = self.session.as_mut()?;
        while session.threads.has_queued() && session.threads.writer.step() == Step::Went {}
        self.hear();
        self.is_up()
    }

    /// Compares what was told since with what must be.
    fn hear(&mut self) {
        let Some(session) = &mut self.session else { return };
        let mut answers = Vec::new();
        session.waiting.retain_mut(|(append, content)| {
            match append.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => true,
                Poll::Ready(answer) => {
                    answers.push((answer, content.clone()));
                    false
                }
            }
        });
        for (answer, content) in answers {
            match answer {
                Ok(lsn) => {
                    let entry = session.reader.next().unwrap();
                    assert_eq!((lsn, entry.lsn), (self.model.safe.len() as Lsn + 1, lsn));
                    assert_eq!(entry.record.0, content);
                    self.model.in_flight.remove(0);
                    self.model.safe.push((entry.receive_time, content));
                }
                Err(AppendError::Failed(_)) if self.fs.is_dead() => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }

    /// Writes a checkpoint of all that is safe, and lets the log forget what it may.
    pub(crate) fn checkpoint(&mut self) -> Option<()> {
        let session = self.session.as_mut()?;
        let lsn = self.model.safe.len() as Lsn;
        self.model.attempted = lsn;
        match session.checkpoints.write(lsn, &checkpoint_bytes(lsn)) {
            Ok(covered) => {
                self.model.checkpoint = lsn;
                session.cursor.advance(covered);
                (!self.fs.is_dead()).then_some(())
            }
            Err(error) => {
                assert!(self.fs.is_dead(), "{error}");
                None
            }
        }
    }

    /// The machine goes down now.
    pub(crate) fn crash(&mut self, how: Crash) {
        self.session = None;
        self.fs.crash(how);
    }

    /// The process ends well.
    pub(crate) fn close(&mut self) {
        self.session = None;
    }
}

/// That the log is full is no excuse while there is room by any reckoning.
fn check_full(log: &Log<Blob>, model: &Model, covered: Lsn, size: usize, settings: &Settings) {
    let segment = settings.segment_size.unwrap() - 4096;
    let overhead = 64 + 16;
    let kept: u64 = model.safe.iter().skip(covered as usize).map(|(_, content)| content.len() as u64 + overhead).sum();
    let waiting: u64 = model.in_flight.iter().map(|content| content.len() as u64 + overhead).sum();
    let segments = settings.max_size / settings.segment_size.unwrap();
    // What is at most lost of every segment, those that are passed in part, and what is reserved.
    let sure = (segments - 2) * (segment - 256) * 15 / 16;
    assert!(kept + waiting + size as u64 + overhead > sure, "full with {kept} + {waiting} of {sure}: {:?}", log.fill());
}

fn checkpoint_bytes(lsn: Lsn) -> Vec<u8> {
    let mut random = Random(lsn);
    (0..700).map(|_| random.next() as u8).collect()
}

/// Content that no other record has.
pub(crate) fn content(number: u64, size: usize) -> Bytes {
    let mut random = Random(number);
    (0..size).map(|_| random.next() as u8).collect()
}
