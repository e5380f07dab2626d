//! The one thread that applies the log, and what hangs on it: the archive and the exporters.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use aggregate::{Effect, Forms, Interval, Logged, Pipeline, Record};
use archive::{Archive, ArchiveError, Position};
use export::{Destination, Exporter, Histograms, Outgoing, Temporality};
use monitor::{Command, Monitoring};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use tokio::sync::watch;
use wal::{Lsn, Reader, Volume};

use crate::checkpointer::{Given, Progressed};
use crate::outcomes::{self, Kept};
use crate::recorder::LogRecord;
use crate::storage::Keeper;
use crate::telemetry::Telemetry;
use crate::watching::{self, Outcomes};

/// The pipeline and what watches it, shared between their applier and those who ask them questions.
#[derive(Debug, Clone)]
pub(crate) struct SharedPipeline {
    pipeline: Arc<Mutex<Pipeline>>,
    monitoring: Arc<Mutex<Monitoring>>,
    /// Whether the applier waits for what is watched.
    is_waited_for: Arc<AtomicBool>,
    commands: Arc<Mutex<Outcomes>>,
}

impl SharedPipeline {
    pub(crate) fn new(pipeline: Pipeline, monitoring: Monitoring) -> Self {
        let (pipeline, monitoring) = (Arc::new(Mutex::new(pipeline)), Arc::new(Mutex::new(monitoring)));
        Self { pipeline, monitoring, is_waited_for: Arc::default(), commands: Arc::default() }
    }

    /// The pipeline between two records. Whoever holds it holds up the applier. Who holds both has taken it first.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Pipeline> {
        self.pipeline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is watched, between two records. Whoever holds it holds up the applier.
    pub(crate) fn monitoring(&self) -> MutexGuard<'_, Monitoring> {
        self.monitoring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same for a question that is one of many: the applier goes first. A mutex alone would be taken again by whoever has just
    /// given it back.
    pub(crate) fn question(&self) -> MutexGuard<'_, Monitoring> {
        while self.is_waited_for.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        self.monitoring()
    }

    /// What is watched, for the applier.
    fn watched(&self) -> MutexGuard<'_, Monitoring> {
        self.is_waited_for.store(true, Ordering::Relaxed);
        let monitoring = self.monitoring();
        self.is_waited_for.store(false, Ordering::Relaxed);
        monitoring
    }

    /// What is waited for, and the newest time told; `None` while the applier is at work, which tells the time by itself.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        let pipeline = self.pipeline.try_lock().ok()?;
        let monitoring = self.monitoring.try_lock().ok()?;
        Some(Waiting {
            calls: pipeline.is_waiting(),
            evaluation: monitoring.next_evaluation().is_some(),
            told: monitoring.now(),
        })
    }

    /// Applies the next record of the log.
    fn apply(&self, logged: Logged, command: Option<Command>, emit: impl FnMut(Effect)) -> MutexGuard<'_, Pipeline> {
        let (lsn, receive_time) = (logged.lsn, logged.receive_time);
        let mut pipeline = self.lock();
        if let Record::Traces { contents, .. } = &logged.record
            && !contents.named().is_empty()
        {
            watching::see(receive_time, contents.named(), &mut self.watched());
        }
        pipeline.apply(logged, emit);
        let mut monitoring = self.watched();
        watching::watch(receive_time, &pipeline, &mut monitoring);
        if let Some(command) = command {
            self.commands().note(lsn, monitoring.apply(receive_time, command));
        }
        pipeline
    }

    /// What became of the newest commands.
    pub(crate) fn commands(&self) -> MutexGuard<'_, Outcomes> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether anything waits for time to pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    /// Calls, to be counted.
    pub(crate) calls: bool,
    /// What is watched, to be evaluated.
    pub(crate) evaluation: bool,
    /// The newest time that it was told.
    pub(crate) told: u64,
}

/// What applied records are handed to.
#[derive(Debug)]
pub(crate) struct Sinks {
    pub(crate) archive: Option<Archive>,
    /// Where outcomes are kept for those who write them on spans.
    pub(crate) outcomes: Option<outcomes::Writer>,
    pub(crate) exporters: Arc<Vec<Exporter>>,
    pub(crate) telemetry: Telemetry,
}

/// The running applier.
#[derive(Debug)]
pub(crate) struct Applier {
    thread: JoinHandle<Applied>,
    reached: watch::Receiver<Reached>,
    /// Nothing is ever sent: the thread has the other end, and drops it.
    running: watch::Receiver<()>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    /// The last record that was applied.
    applied: Lsn,
    /// All requests up to here have their outcomes, and were given to sinks: ...
    handed_on: Lsn,
    /// ... of these the newest.
    newest: Lsn,
    /// Up to here all was archived when the archive had everything that it was given for the last time.
    archived: Lsn,
    /// What this process has applied.
    volume: Volume,
}

impl Reached {
    /// A request is given to an archive that has published everything up to `published`; before that, all up to `handed_on` had been.
    fn give(&mut self, request: Lsn, handed_on: Lsn, published: Lsn) {
        if published >= self.newest {
            self.archived = self.archived.max(handed_on);
        }
        self.newest = self.newest.max(request);
    }

    /// All records up to here are archived, or hold nothing that is. An archive that has all it was given is as far as the first request
    /// that waits for its outcomes: before that there are only ticks.
    fn archived(&self, published: Lsn) -> Lsn {
        let to = if published < self.newest { self.archived } else { self.handed_on };
        published.max(to)
    }
}

impl Applier {
    /// Starts the thread, with the record behind `applied`. It ends when the log is closed and all is applied.
    pub(crate) fn start(
        pipeline: SharedPipeline,
        applied: Lsn,
        mut reader: Reader<LogRecord>,
        mut keeper: Keeper,
        mut sinks: Sinks,
    ) -> std::io::Result<Self> {
        let handed_on = pipeline.lock().handed_on(applied);
        let mut at = Reached { applied, handed_on, ..Reached::default() };
        let (reached, told) = watch::channel(at);
        let (runs, running) = watch::channel(());
        let thread = std::thread::Builder::new().name("applier".to_owned()).spawn(move || {
            let _runs = runs;
            let meter = sinks.telemetry.meter();
            let duplicate_window = meter
                .f64_gauge("spanmill.duplicate_window")
                .with_unit("s")
                .with_description("How far back what a client sends again is recognised")
                .build();
            let mut effects = Vec::new();
            let archive = sinks.archive.as_ref().map(Archive::position);
            let mut newest_progress = None;
            while let Some(entry) = reader.next() {
                let lsn = entry.lsn;
                let bytes = wal::Record::payload(&entry.record).len() as u64;
                at.volume.add(&entry.record);
                let progressed = Progressed { lsn, receive_time: entry.receive_time, bytes };
                newest_progress = Some(progressed);
                let (record, command) = entry.record.into_parts();
                let logged = Logged { lsn, receive_time: entry.receive_time, record };
                let applied = pipeline.apply(logged, command, |effect| effects.push(effect));
                let before = at.handed_on;
                (at.applied, at.handed_on) = (lsn, applied.handed_on(lsn));
                let window = applied.duplicate_window();
                drop(applied);
                duplicate_window.record(window as f64 / 1e9, &[]);
                let mut is_safe = true;
                for effect in effects.drain(..) {
                    if let Effect::Applied(applied) = &effect {
                        at.give(applied.lsn, before, archive.as_ref().map_or(0, Position::get));
                    }
                    is_safe &= sinks.take(lsn, effect);
                }
                if !is_safe {
                    keeper.stop();
                }
                let given = Given { newest: at.newest, archive: archive.as_ref(), outcomes: sinks.outcomes.as_ref() };
                if keeper.applied(progressed, &pipeline, given) {
                    sinks.archive.iter().for_each(Archive::publish);
                }
                reached.send_replace(at);
            }
            let Sinks { archive, outcomes, .. } = sinks;
            Applied { archive, outcomes, keeper, progressed: newest_progress }
        })?;
        Ok(Self { thread, reached: told, running })
    }

    /// A handle that waits for records to be applied.
    pub(crate) fn progress(&self) -> Progress {
        Progress(self.reached.clone())
    }

    /// Resolves when the thread has ended. Whoever waited for that by its [`Progress`] would be woken at every record.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + use<> {
        let mut running = self.running.clone();
        async move { while running.changed().await.is_ok() {} }
    }

    /// Waits for the end of the closed log; gives back what has an end of its own.
    pub(crate) fn join(self) -> Applied {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// What is left when all of the log is applied.
#[derive(Debug)]
pub(crate) struct Applied {
    archive: Option<Archive>,
    outcomes: Option<outcomes::Writer>,
    keeper: Keeper,
    /// The last record, if there was any.
    progressed: Option<Progressed>,
}

impl Applied {
    /// Completes the archive, and then the checkpoint: everything it holds is archived by then.
    pub(crate) fn finish(self, pipeline: &SharedPipeline) -> Result<(), ArchiveError> {
        if let Some(archive) = self.archive {
            archive.finish()?;
        }
        self.keeper.finish(self.progressed, pipeline, self.outcomes.as_ref());
        Ok(())
    }
}

/// Waits for records to be applied. The applier's death ends every wait.
#[derive(Debug, Clone)]
pub(crate) struct Progress(watch::Receiver<Reached>);

impl Progress {
    /// The last record that was applied.
    pub(crate) fn applied(&self) -> Lsn {
        self.0.borrow().applied
    }

    /// How much this process has applied.
    pub(crate) fn volume(&self) -> Volume {
        self.0.borrow().volume
    }

    /// All records up to here are archived, or hold nothing that is.
    pub(crate) fn archived(&self, archive: &Position) -> Lsn {
        let reached = *self.0.borrow();
        reached.archived(archive.get())
    }

    /// Returns when the record at `lsn` is applied, or the applier has ended.
    pub(crate) async fn until(&mut self, lsn: Lsn) {
        // An error means that the applier has ended: there is nothing more to wait for.
        let _ = self.0.wait_for(|reached| reached.applied >= lsn).await;
    }
}

impl Sinks {
    /// Hands on what the record at `lsn` brought about; whether the sinks have it as safe as they can make it.
    fn take(&mut self, lsn: Lsn, effect: Effect) -> bool {
        match effect {
            Effect::Applied(applied) => {
                let is_safe = self.keep_outcomes(&applied);
                self.archive(applied);
                is_safe
            }
            Effect::Interval(interval) => self.export(lsn, interval),
        }
    }

    fn keep_outcomes(&self, applied: &aggregate::Applied) -> bool {
        let Some(outcomes) = &self.outcomes else { return true };
        let (lsn, receive_time) = (applied.lsn, applied.receive_time);
        outcomes.keep(Kept { lsn, receive_time, outcomes: aggregate::Outcomes::encode(applied).into() })
    }

    fn archive(&self, applied: aggregate::Applied) {
        if let Some(archive) = &self.archive {
            archive.send(Arc::new(applied));
        }
    }

    fn export(&self, lsn: Lsn, interval: Interval) -> bool {
        let (own_delta, own_cumulative) = (self.telemetry.delta(), self.telemetry.cumulative());
        let own_delta = own_delta.unwrap_or_default();
        let with = |temporality, derived: Forms<Option<Arc<_>>>, own: &ExportMetricsServiceRequest| {
            derived.map(|form, derived| wants(&self.exporters, temporality, form).then(|| behind(derived, own.clone())))
        };
        let delta = with(Temporality::Delta, interval.delta, &own_delta);
        let cumulative = with(Temporality::Cumulative, interval.cumulative, &own_cumulative);
        let mut is_safe = true;
        for exporter in self.exporters.iter() {
            let destination = exporter.destination();
            let metrics = match destination.temporality {
                Temporality::Delta => &delta,
                Temporality::Cumulative => &cumulative,
            };
            if let Some(metrics) = metrics.of(form(destination)) {
                is_safe &= exporter.offer(lsn, Outgoing::Metrics(Arc::clone(metrics)));
            }
            if let Some(errors) = &interval.errors {
                is_safe &= exporter.offer(lsn, Outgoing::Logs(Arc::clone(errors)));
            }
        }
        is_safe
    }
}

/// Whether any destination takes metrics of that kind.
pub(crate) fn wants(exporters: &[Exporter], temporality: Temporality, wanted: aggregate::Histograms) -> bool {
    let destinations = exporters.iter().map(Exporter::destination);
    destinations.filter(|to| to.metrics).any(|to| to.temporality == temporality && form(to) == wanted)
}

/// How a destination gets distributions.
fn form(destination: &Destination) -> aggregate::Histograms {
    match destination.histograms {
        Histograms::Explicit => aggregate::Histograms::Explicit,
        Histograms::Exponential => aggregate::Histograms::Exponential,
    }
}

/// The derived metrics and, behind them, Spanmill's own: one message.
pub(crate) fn with_own(
    derived: Option<Arc<ExportMetricsServiceRequest>>,
    telemetry: &Telemetry,
) -> Arc<ExportMetricsServiceRequest> {
    behind(derived, telemetry.cumulative())
}

fn behind(
    derived: Option<Arc<ExportMetricsServiceRequest>>,
    own: ExportMetricsServiceRequest,
) -> Arc<ExportMetricsServiceRequest> {
    let mut message = derived.map(Arc::unwrap_or_clone).unwrap_or_default();
    message.resource_metrics.extend(own.resource_metrics);
    Arc::new(message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Config;
    use crate::recorder::Recorder;
    use crate::server;
    use crate::storage::{Home, Storage};

    // Whoever waits for the end is told of it when the log has ended and all of it is applied, and not before.
    #[tokio::test]
    async fn its_end_is_told() {
        let mut config = Config::default();
        config.storage.wal.enabled = false;
        let settings = server::settings(&config, &[], String::new()).unwrap();
        let storage = Storage::open(Home::take(&config).unwrap(), &config, settings, &Recorder::default()).unwrap();
        let Storage { pipeline, monitoring, log, reader, keeper, .. } = storage;
        let sinks =
            Sinks { archive: None, outcomes: None, exporters: Arc::default(), telemetry: Telemetry::new("", false) };
        let applier = Applier::start(SharedPipeline::new(pipeline, monitoring), 0, reader, keeper, sinks).unwrap();
        let (mut ended, mut progress) = (std::pin::pin!(applier.ended()), applier.progress());
        log.append(LogRecord::Counted(Record::Tick)).await.unwrap();
        progress.until(1).await;
        assert!(tokio::time::timeout(Duration::ZERO, &mut ended).await.is_err(), "it waits for more");
        log.append(LogRecord::Counted(Record::Tick)).await.unwrap();
        log.close();
        tokio::time::timeout(Duration::from_secs(30), ended).await.unwrap();
        assert_eq!(progress.applied(), 2);
        applier.join();
    }

    // An archive that has everything is as far as the ticks since; what comes then takes it no further back than to where it was.
    #[test]
    fn an_archive_does_not_go_back() {
        let mut at = Reached { handed_on: 3, ..Reached::default() };
        at.give(3, 2, 0);
        assert_eq!((at.archived(0), at.archived(3)), (2, 3));
        at.handed_on = 960;
        assert_eq!((at.archived(0), at.archived(3)), (2, 960));
        at.handed_on = 962;
        at.give(961, 960, 3);
        at.give(962, 960, 3);
        assert_eq!((at.archived(3), at.archived(961), at.archived(962)), (960, 961, 962));
    }
}
