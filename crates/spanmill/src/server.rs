//! A running Spanmill: everything started in the order of the flow, and ended in the same order.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aggregate::{Forms, Layout, Record, Settings};
use archive::{Archive, ArchiveConfig};
use export::{Compression, Destination, Exporter, Histograms, Profile, Protocol, Temporality, WhenFull};
use monitor::EVALUATION_STEP;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use wal::{AppendError, Log, Lsn};

use crate::admin::{Phase, Readiness, Running};
use crate::answering::Answering;
use crate::applier::{self, Applier, Progress, SharedPipeline, Sinks, with_own};
use crate::config::Config;
use crate::config::exporters::{self, OtlpExporter};
use crate::config::sections;
use crate::failure::Failure;
use crate::forward::{self, Forwarding};
use crate::gauges::Observed;
use crate::ingest::Ingestion;
use crate::listeners::{Addresses, Listeners};
use crate::notifying::Notifying;
use crate::outcomes::Outcomes;
use crate::receiving::Receiving;
use crate::recorder::{LogRecord, Recorder};
use crate::statistics::Statistics;
use crate::storage::{Home, Storage};
use crate::telemetry::Telemetry;

/// How many error records are kept.
const ERROR_RECORDS: usize = 100_000;
/// How long a destination may take for its next answer while what is queued is sent when the server stops.
const EXPORT_GRACE: Duration = Duration::from_secs(15);
/// How long requests in flight may take to be refused when the server can do nothing any more.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How long all of the shutdown may take.
const SHUTDOWN: Duration = Duration::from_secs(60);
/// How often the log is asked whether it has failed, and how long after that what it gives may take to be applied.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LAST_APPLIED: Duration = Duration::from_secs(5);

/// A server that runs until it is shut down.
#[derive(Debug)]
pub(crate) struct Server {
    addresses: Addresses,
    pipeline: SharedPipeline,
    log: Log<LogRecord>,
    applier: Applier,
    archive: Option<archive::Health>,
    exporters: Arc<Vec<Exporter>>,
    forwarders: Vec<std::thread::JoinHandle<()>>,
    outcomes: Option<Outcomes>,
    readiness: Readiness,
    receiving: Receiving,
    answering: Answering,
    tickers: JoinSet<()>,
    notifying: Notifying,
    /// Whether what is acknowledged outlives the process.
    outlives: bool,
}

impl Server {
    /// Starts everything. If any part of it fails, or if this is dropped, the process can end at any time: what was acknowledged
    /// earlier is where it was.
    pub(crate) async fn start(config: &Config, listeners: Listeners) -> Result<Self, Failure> {
        let addresses = listeners.addresses()?;
        let Listeners { grpc, http, prometheus, admin } = listeners;
        let home = Home::take(config)?;
        let instance_id = home.instance_id.clone();
        let wants_delta = |to: &OtlpExporter| to.temporality() == exporters::Temporality::Delta;
        let telemetry = Telemetry::new(&instance_id, config.exporters.otlp.values().any(wants_delta));
        let meter = telemetry.meter();
        // Whoever watches is answered while the log is read, which may take a while.
        let readiness = Readiness::default();
        let mut answering = Answering::new();
        answering.admin(admin, &config.admin, readiness.clone())?;

        let exporters = config
            .exporters
            .otlp
            .iter()
            .map(|(name, exporter)| {
                let outbox = home.place(config, "outbox").map(|outbox| outbox.join(format!("otlp-{name}")));
                Exporter::spawn(destination(config, name, exporter), &meter, outbox)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let exporters = Arc::new(exporters);
        let archive = match &config.archive {
            Some(archive) => {
                let place = home.place(config, "archived");
                Some(Archive::start(archive_config(config, archive, &instance_id, place), &meter)?)
            }
            None => None,
        };
        let archive_health = archive.as_ref().map(Archive::health);
        let archived = archive.as_ref().map(Archive::position);
        let archived_position = archived.clone();

        let archives_all = config.archive.as_ref().is_some_and(|archive| archive.include == sections::Include::All);
        let recorder = Recorder::new(archives_all);
        let target = Telemetry::target(&instance_id);
        let settings = settings(config, &exporters, instance_id.clone())?;
        let places = home.place(config, "forwarded");
        forward::warn_of_unknown(config, places.as_deref(), home.place(config, "outbox").as_deref())
            .map_err(Failure::io("looking for what waits for destinations"))?;
        let kept_outcomes = home.place(config, "outcomes");
        let Storage { pipeline, monitoring, log, reader, keeper, applied, handed_on } =
            open(home, config, settings, &recorder).await?;
        for exporter in exporters.iter() {
            let is_placed = forward::is_placed(places.as_deref(), &exporter.destination().name);
            exporter.log_ends_at(log.last(), is_placed);
        }
        let (archived_before, last) = (archived.as_ref().map_or(0, archive::Position::get), log.last());
        if archived_before > last {
            let instance_id = config.storage.directory.join(wal::INSTANCE_ID);
            return Err(Failure::ArchiveAhead { archived: archived_before, last, instance_id });
        }
        archive.iter().for_each(|archive| archive.log_ends_at(last));
        let outcomes = match config.enriches() {
            true => Outcomes::open(kept_outcomes, handed_on, log.last()).map(Some),
            false => Outcomes::forget(kept_outcomes).map(|()| None),
        };
        let outcomes = outcomes.map_err(Failure::io("opening what became of spans"))?;
        let forwardings = exporters
            .iter()
            .map(|exporter| Forwarding::new(exporter, &log, places.clone(), outcomes.as_ref()))
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(Failure::io("reading how far destinations have come"))?;
        let index = pipeline.index();
        let pipeline = SharedPipeline::new(pipeline, monitoring);
        let sinks = Sinks {
            archive,
            outcomes: outcomes.as_ref().map(Outcomes::writer),
            exporters: Arc::clone(&exporters),
            telemetry: telemetry.clone(),
        };
        // Before anything is appended, what was found is applied: counters begin where they ended.
        let found = log.last();
        let applier = Applier::start(pipeline.clone(), applied, reader, keeper, sinks)
            .map_err(Failure::io("starting the applier"))?;
        readiness.enter(Phase::Replaying { progress: applier.progress(), through: found });
        let forwarded: Vec<_> = forwardings.iter().map(Forwarding::position).collect();
        Observed {
            log: log.clone(),
            pipeline: pipeline.clone(),
            progress: applier.progress(),
            archived,
            forwarded: forwarded.clone(),
        }
        .register(&meter);
        Statistics::new(pipeline.clone(), config.metrics.statistics_interval).register(&meter);
        applier.progress().until(found).await;
        check_log(&log)?;

        let forwarders = forwardings
            .into_iter()
            .map(|forwarding| forwarding.start(Handle::current()))
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(Failure::io("starting a forwarder"))?;

        let handed_on = forward::handed_on(&exporters);
        let redactor = config.derive.redactor();
        let backlogs = exporters.iter().map(Exporter::backlog).collect();
        let first_in_line = tokio::sync::Mutex::default();
        let ingestion = Ingestion { redactor, recorder, index, log: log.clone(), backlogs, first_in_line, handed_on };
        let receiving =
            Receiving::start(&config.receivers.otlp, grpc, http, ingestion, readiness.clone(), &meter).await?;
        if let (Some(listener), Some(prometheus)) = (prometheus, &config.exporters.prometheus) {
            answering.prometheus(listener, prometheus, target, &pipeline, &telemetry)?;
        }
        let mut tickers = JoinSet::new();
        tickers.spawn(close_intervals(log.clone(), config.metrics.interval));
        tickers.spawn(tell_time(log.clone(), pipeline.clone(), config.derive.settle_wait));
        let notifiers = config.notifiers.meant();
        let notifying = Notifying::start(&notifiers, instance_id, pipeline.clone(), log.clone(), &meter)
            .map_err(|(notifier, source)| Failure::Notifier { notifier, source })?;

        readiness.enter(Phase::Serving(Running {
            pipeline: pipeline.clone(),
            log: log.clone(),
            progress: applier.progress(),
            archive: archive_health.clone(),
            archived: archived_position,
            forwarded,
            backlogs: exporters
                .iter()
                .map(|exporter| (exporter.destination().name.clone(), exporter.backlog()))
                .collect(),
            notifiers: notifying.statuses(),
        }));
        Ok(Self {
            addresses,
            pipeline,
            log,
            applier,
            archive: archive_health,
            exporters,
            forwarders,
            outcomes,
            readiness,
            receiving,
            answering,
            tickers,
            notifying,
            outlives: config.storage.wal.enabled,
        })
    }

    pub(crate) fn addresses(&self) -> Addresses {
        self.addresses
    }

    pub(crate) fn pipeline(&self) -> &SharedPipeline {
        &self.pipeline
    }

    /// Settles what is held and waits until all that was acknowledged is applied.
    pub(crate) async fn drain(&self) {
        let mut progress: Progress = self.applier.progress();
        if let Ok(lsn) = self.append(Record::Drain).await {
            progress.until(lsn).await;
        }
    }

    /// Resolves with the reason if the log fails, or the thread that applies it ends: then nothing is counted any more.
    pub(crate) fn broken(&self) -> impl Future<Output = Failure> + use<> {
        let ended = self.applier.ended();
        let log = self.log.clone();
        async move {
            tokio::select! {
                () = ended => {}
                // What is safe is applied still, unless that waits for another disk, which may have failed as well.
                () = failed(&log) => {}
            }
            let died = || Failure::Broken("the applier died: nothing is counted any more".to_owned());
            check_log(&log).err().unwrap_or_else(died)
        }
    }

    /// Appends a record that must not be lost to a log that may be full for a moment.
    async fn append(&self, record: Record) -> Result<Lsn, AppendError> {
        append(&self.log, record).await
    }

    /// Ends what can do nothing any more: whoever waits for an answer is told so, and sends elsewhere or again.
    pub(crate) async fn give_up(self) {
        self.readiness.stop();
        let _ = tokio::time::timeout(LAST_ANSWERS, self.receiving.end()).await;
    }

    /// Stops accepting, finishes the requests in flight, settles, closes the interval, and flushes every sink.
    ///
    /// # Errors
    /// The archive failed, or requests did not finish in time, and everything else was still done; or all of it together took
    /// longer than a minute, and what was not done by then is lost.
    pub(crate) async fn shutdown(self) -> Result<(), Failure> {
        let too_late = || Failure::Deadline(format!("not everything was flushed within {} s", SHUTDOWN.as_secs()));
        tokio::time::timeout(SHUTDOWN, self.stop()).await.map_err(|_| too_late())?
    }

    async fn stop(mut self) -> Result<(), Failure> {
        self.readiness.stop();
        let mut result = self.receiving.end().await;
        self.tickers.abort_all();
        self.notifying.end().await;
        // The applier must not wait for a destination or a disk any more: what is behind it has to be applied.
        self.exporters.iter().for_each(Exporter::stop_waiting);
        self.outcomes.iter().for_each(Outcomes::stop_waiting);
        self.archive.iter().for_each(archive::Health::stop_waiting);
        // What a log on disk holds waits on; without one, this is its end.
        let drain = (!self.outlives).then_some(Record::Drain);
        for record in drain.into_iter().chain([Record::ExportInterval]) {
            if let Err(error) = append(&self.log, record).await {
                tracing::error!(%error, "the last interval was not closed");
            }
        }
        self.log.close();
        let applier = self.applier;
        let pipeline = self.pipeline;
        let finished = tokio::task::spawn_blocking(move || applier.join().finish(&pipeline)).await;
        match finished {
            Ok(Ok(())) => {}
            Ok(Err(error)) => result = Err(Failure::Archive(error)),
            Err(error) => result = Err(Failure::Deadline(error.to_string())),
        }
        let mut flushing = JoinSet::new();
        self.exporters.iter().for_each(|exporter| exporter.begin_shutdown(EXPORT_GRACE));
        for forwarder in self.forwarders {
            flushing.spawn_blocking(move || drop(forwarder.join()));
        }
        match Arc::try_unwrap(self.exporters) {
            Ok(exporters) => exporters.into_iter().for_each(|exporter| {
                flushing.spawn(exporter.shutdown(EXPORT_GRACE));
            }),
            Err(_) => tracing::error!("exporters are still in use and were not flushed"),
        }
        while flushing.join_next().await.is_some() {}
        self.answering.end().await;
        // Whatever else went wrong, it may be because of that.
        check_log(&self.log).and(result)
    }
}

/// Reads what an earlier run left, on a thread that may be kept busy with it.
async fn open(home: Home, config: &Config, settings: Settings, recorder: &Recorder) -> Result<Storage, Failure> {
    let (config, recorder) = (config.clone(), recorder.clone());
    let opened = tokio::task::spawn_blocking(move || Storage::open(home, &config, settings, &recorder)).await;
    opened.map_err(|error| Failure::Broken(error.to_string()))?
}

/// Resolves when the log has failed, and what it still gives had time to be applied.
async fn failed(log: &Log<LogRecord>) {
    while log.failure().is_none() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    tokio::time::sleep(LAST_APPLIED).await;
}

/// # Errors
/// The log has failed.
fn check_log(log: &Log<LogRecord>) -> Result<(), Failure> {
    log.failure().map_or(Ok(()), |reason| Err(Failure::Broken(reason.to_string())))
}

/// The metrics of this moment: derived ones, the open interval included, and Spanmill's own.
pub(crate) async fn current_metrics(
    pipeline: SharedPipeline,
    telemetry: Telemetry,
) -> Arc<opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest> {
    let collected = tokio::task::spawn_blocking(move || {
        let derived = pipeline.lock().snapshot().map(Arc::new);
        with_own(derived, &telemetry)
    });
    collected.await.unwrap_or_default()
}

/// Closes the open interval again and again.
async fn close_intervals(log: Log<LogRecord>, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick comes at once, when there is nothing to close.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        if append(&log, Record::ExportInterval).await.is_err() {
            return;
        }
    }
}

/// Tells the time while anything waits for it.
async fn tell_time(log: Log<LogRecord>, pipeline: SharedPipeline, wait: Duration) {
    // Often enough that no call waits much longer than it must.
    let mut ticks = tokio::time::interval((wait / 10).clamp(Duration::from_millis(20), Duration::from_secs(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // What watches was told the time, and when that was.
    let mut last = (0, Instant::now());
    loop {
        ticks.tick().await;
        let Some(waiting) = pipeline.waiting() else { continue };
        if waiting.told != last.0 {
            last = (waiting.told, Instant::now());
        }
        let is_due = waiting.evaluation && last.1.elapsed().as_nanos() >= u128::from(EVALUATION_STEP);
        let is_waiting = waiting.calls || is_due;
        if is_waiting && append(&log, Record::Tick).await.is_err() {
            return;
        }
    }
}

async fn append(log: &Log<LogRecord>, record: Record) -> Result<Lsn, AppendError> {
    append_record(log, || LogRecord::Counted(record.clone())).await
}

/// Waits for room in the log, and appends.
pub(crate) async fn append_record(log: &Log<LogRecord>, record: impl Fn() -> LogRecord) -> Result<Lsn, AppendError> {
    const PAUSE: Duration = Duration::from_millis(10);
    loop {
        match log.append(record()).await {
            Err(AppendError::Full) => tokio::time::sleep(PAUSE).await,
            result => return result,
        }
    }
}

/// Resolves when the channel says so, or its sender is gone.
pub(crate) async fn told(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

pub(crate) fn settings(config: &Config, exporters: &[Exporter], instance_id: String) -> Result<Settings, Failure> {
    let wants = |temporality| Forms::default().map(|form, ()| applier::wants(exporters, temporality, form));
    Ok(Settings {
        layout: Layout {
            resource_attributes: config.metrics.resource_attributes.clone(),
            dimensions: config.derive.dimensions.clone(),
            max_label_length: config.derive.max_label_length,
        },
        semconv: config.metrics.semconv.meant(),
        cardinality_limit: config.metrics.aggregation_cardinality_limit,
        error_records: ERROR_RECORDS,
        instance_id,
        delta: wants(Temporality::Delta),
        cumulative: wants(Temporality::Cumulative),
        error_logs: exporters.iter().any(|exporter| exporter.destination().logs),
        duplicates: config.derive.duplicates(config.receivers.otlp.memory_budget),
        settle: config.derive.settle(config.receivers.otlp.memory_budget),
        // Requests that wait for outcomes must leave the receivers room for those that come.
        pending: (config.archive.is_some() || config.enriches())
            .then(|| config.receivers.otlp.memory_budget.as_usize() / 4),
        pricing: config.derive.prices.pricing()?,
        redactor: config.derive.redactor(),
        watched: true,
    })
}

fn destination(config: &Config, name: &str, exporter: &OtlpExporter) -> Destination {
    Destination {
        name: format!("otlp/{name}"),
        endpoint: exporter.endpoint.to_string(),
        appends_path: exporter.append_path,
        protocol: match exporter.protocol {
            exporters::Protocol::Grpc => Protocol::Grpc,
            exporters::Protocol::HttpProtobuf => Protocol::HttpProtobuf,
        },
        headers: exporter.headers.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        tls: exporter.tls.as_ref().map(client_tls).unwrap_or_default(),
        compression: match exporter.compression {
            exporters::Compression::Gzip => Compression::Gzip,
            exporters::Compression::Zstd => Compression::Zstd,
            exporters::Compression::None => Compression::None,
        },
        timeout: exporter.timeout,
        retry: retry(exporter.retry_on_failure),
        max_request_size: exporter.max_request_size.as_usize(),
        temporality: match exporter.temporality() {
            exporters::Temporality::Cumulative => Temporality::Cumulative,
            exporters::Temporality::Delta => Temporality::Delta,
        },
        histograms: match exporter.histograms {
            exporters::Histograms::Explicit => Histograms::Explicit,
            exporters::Histograms::Exponential => Histograms::Exponential,
        },
        profile: match exporter.profile {
            exporters::Profile::Default => Profile::Default,
            exporters::Profile::Signoz => Profile::SigNoz,
            exporters::Profile::Prometheus => Profile::Prometheus,
        },
        metrics: exporter.signals.contains(&exporters::Signal::Metrics),
        logs: exporter.signals.contains(&exporters::Signal::Logs),
        traces: exporter.signals.contains(&exporters::Signal::Traces),
        when_full: match exporter.when_full {
            exporters::WhenFull::Block => WhenFull::Block,
            exporters::WhenFull::DropOldest => WhenFull::DropOldest,
        },
        replaced_metrics: if config.forward.keep_client_metrics {
            Vec::new()
        } else {
            config.metrics.semconv.meant().metric_names()
        },
    }
}

fn retry(configured: exporters::RetryOnFailure) -> export::Retry {
    let exporters::RetryOnFailure { initial_interval, max_interval, max_elapsed_time } = configured;
    let max_elapsed_time = (!max_elapsed_time.is_zero()).then_some(max_elapsed_time);
    export::Retry { initial_interval, max_interval, max_elapsed_time }
}

fn client_tls(tls: &exporters::ClientTls) -> export::Tls {
    let files = tls.cert_file.clone().zip(tls.key_file.clone());
    let identity = files.map(|(cert_file, key_file)| export::Identity { cert_file, key_file });
    export::Tls { ca_file: tls.ca_file.clone(), identity, ..export::Tls::default() }
}

fn archive_config(
    config: &Config,
    archive: &sections::Archive,
    instance_id: &str,
    place: Option<PathBuf>,
) -> ArchiveConfig {
    let sections::Zstd(level) = archive.compression;
    ArchiveConfig {
        directory: archive.directory.clone(),
        include: match archive.include {
            sections::Include::Genai => archive::Include::Genai,
            sections::Include::All => archive::Include::All,
        },
        max_rows: archive.max_rows,
        max_age: archive.max_age,
        // Requests that wait to be archived must leave the receivers room for those that come.
        max_pending: config.receivers.otlp.memory_budget.as_usize() / 4,
        zstd_level: i32::from(level),
        place,
        instance: instance_id.to_owned(),
    }
}
