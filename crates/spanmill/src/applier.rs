//! The one thread that applies the log, and what hangs on it: the archive and the exporters.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use aggregate::{Applied, Effect, Interval, Logged, Pipeline, Record};
use archive::Archive;
use bytes::Bytes;
use export::{Exporter, Outgoing, Temporality};
use genai::{Evaluation, SpanFacts};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use tokio::sync::watch;
use wal::{Cursor, Lsn, Reader};

use crate::telemetry::Telemetry;

/// A record as the log stores it.
#[derive(Debug)]
pub(crate) struct LogRecord(pub(crate) Record);

impl wal::Record for LogRecord {
    fn kind(&self) -> u8 {
        match self.0 {
            Record::Traces { .. } => 1,
            Record::Tick => 2,
            Record::Drain => 3,
            Record::ExportInterval => 4,
            Record::Logs { .. } => 5,
        }
    }

    fn payload(&self) -> Bytes {
        match &self.0 {
            Record::Traces { body, .. } | Record::Logs { body, .. } => body.clone(),
            Record::Tick | Record::Drain | Record::ExportInterval => Bytes::new(),
        }
    }

    fn size(&self) -> usize {
        match &self.0 {
            Record::Traces { body, facts, evaluations, contents } => {
                let facts = facts.capacity() * size_of::<SpanFacts>();
                body.len() + facts + evaluations.capacity() * size_of::<Evaluation>() + contents.heap()
            }
            Record::Logs { body, evaluations } => body.len() + evaluations.capacity() * size_of::<Evaluation>(),
            Record::Tick | Record::Drain | Record::ExportInterval => 0,
        }
    }
}

/// The pipeline, shared between its applier and those who ask it questions.
#[derive(Debug, Clone)]
pub(crate) struct SharedPipeline(Arc<Mutex<Pipeline>>);

impl SharedPipeline {
    pub(crate) fn new(pipeline: Pipeline) -> Self {
        Self(Arc::new(Mutex::new(pipeline)))
    }

    /// The pipeline between two records. Whoever holds it holds up the applier.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Pipeline> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What applied records are handed to.
#[derive(Debug)]
pub(crate) struct Sinks {
    pub(crate) archive: Option<Archive>,
    pub(crate) exporters: Arc<Vec<Exporter>>,
    pub(crate) telemetry: Telemetry,
}

/// The running applier.
#[derive(Debug)]
pub(crate) struct Applier {
    thread: JoinHandle<Option<Archive>>,
    applied: watch::Receiver<Lsn>,
}

impl Applier {
    /// Starts the thread. It ends when the log is closed and all is applied.
    pub(crate) fn start(
        pipeline: SharedPipeline,
        mut reader: Reader<LogRecord>,
        cursor: Cursor<LogRecord>,
        mut sinks: Sinks,
    ) -> std::io::Result<Self> {
        let (newest, applied) = watch::channel(0);
        let thread = std::thread::Builder::new().name("applier".to_owned()).spawn(move || {
            let meter = sinks.telemetry.meter();
            let duplicate_window = meter.f64_gauge("spanmill.duplicate_window").with_unit("s").build();
            let mut effects = Vec::new();
            while let Some(entry) = reader.next() {
                let lsn = entry.lsn;
                let logged = Logged { lsn, receive_time: entry.receive_time, record: entry.record.0 };
                let mut applying = pipeline.lock();
                applying.apply(logged, |effect| effects.push(effect));
                let window = applying.duplicate_window();
                drop(applying);
                duplicate_window.record(window as f64 / 1e9, &[]);
                for effect in effects.drain(..) {
                    sinks.take(effect);
                }
                cursor.advance(lsn);
                newest.send_replace(lsn);
            }
            sinks.archive.take()
        })?;
        Ok(Self { thread, applied })
    }

    /// A handle that waits for records to be applied.
    pub(crate) fn progress(&self) -> Progress {
        Progress(self.applied.clone())
    }

    /// Waits for the end of the closed log; gives the archive back, for its own end.
    pub(crate) fn join(self) -> Option<Archive> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Waits for records to be applied. The applier's death ends every wait.
#[derive(Debug, Clone)]
pub(crate) struct Progress(watch::Receiver<Lsn>);

impl Progress {
    /// Returns when the record at `lsn` is applied, or the applier has ended.
    pub(crate) async fn until(&mut self, lsn: Lsn) {
        // An error means that the applier has ended: there is nothing more to wait for.
        let _ = self.0.wait_for(|applied| *applied >= lsn).await;
    }

    /// Returns when the applier has ended.
    pub(crate) async fn ended(&mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

impl Sinks {
    fn take(&mut self, effect: Effect) {
        match effect {
            Effect::Applied(applied) => self.archive(applied),
            Effect::Interval(interval) => self.export(interval),
        }
    }

    fn archive(&self, applied: Applied) {
        if let Some(archive) = &self.archive {
            archive.send(Arc::new(applied));
        }
    }

    fn export(&self, interval: Interval) {
        let wants_cumulative = |exporter: &Exporter| exporter.destination().temporality == Temporality::Cumulative;
        let is_wanted = self.exporters.iter().any(wants_cumulative);
        let cumulative = is_wanted.then(|| with_own(interval.cumulative, &self.telemetry));
        for exporter in self.exporters.iter() {
            let metrics = match exporter.destination().temporality {
                Temporality::Delta => interval.delta.clone(),
                Temporality::Cumulative => cumulative.clone(),
            };
            if let Some(metrics) = metrics {
                exporter.offer(Outgoing::Metrics(metrics));
            }
            if let Some(errors) = &interval.errors {
                exporter.offer(Outgoing::Logs(Arc::clone(errors)));
            }
        }
    }
}

/// The derived metrics and, behind them, Spanmill's own: one message.
pub(crate) fn with_own(
    derived: Option<Arc<ExportMetricsServiceRequest>>,
    telemetry: &Telemetry,
) -> Arc<ExportMetricsServiceRequest> {
    let mut message = derived.map(Arc::unwrap_or_clone).unwrap_or_default();
    message.resource_metrics.extend(telemetry.collect().resource_metrics);
    Arc::new(message)
}
