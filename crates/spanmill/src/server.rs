//! A running Spanmill: everything started in the order of the flow, and ended in the same order.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aggregate::{Layout, Record, Settings};
use archive::{Archive, ArchiveConfig};
use export::{Compression, Destination, Exporter, Profile, Protocol, Temporality};
use receive::{Budget, GrpcServer, HttpServer, Intake, Limits};
use tokio::sync::watch;
use tokio::task::JoinSet;
use wal::{AppendError, Log, Lsn};

use crate::admin::{self, Readiness};
use crate::applier::{Applier, Progress, SharedPipeline, Sinks, with_own};
use crate::config::Config;
use crate::config::access::Tls;
use crate::config::exporters::{self, OtlpExporter};
use crate::config::sections;
use crate::failure::Failure;
use crate::ingest::Ingestion;
use crate::listeners::{Addresses, Listeners};
use crate::recorder::{LogRecord, Recorder};
use crate::storage::{Home, Storage};
use crate::telemetry::Telemetry;

/// How many error records are kept.
const ERROR_RECORDS: usize = 100_000;
/// How long requests in flight may take to finish when the server stops.
const REQUEST_GRACE: Duration = Duration::from_secs(10);
/// How long a destination may take for its next answer while what is queued is sent when the server stops.
const EXPORT_GRACE: Duration = Duration::from_secs(15);

/// How long all of the shutdown may take.
const SHUTDOWN: Duration = Duration::from_secs(60);
/// How long scrapes and admin requests may take to finish when the server stops.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

/// A server that runs until it is shut down.
#[derive(Debug)]
pub(crate) struct Server {
    addresses: Addresses,
    pipeline: SharedPipeline,
    log: Log<LogRecord>,
    applier: Applier,
    exporters: Arc<Vec<Exporter>>,
    readiness: Readiness,
    stop_receiving: watch::Sender<bool>,
    receivers: JoinSet<Result<(), receive::ServeError>>,
    stop_answering: watch::Sender<bool>,
    answering: JoinSet<std::io::Result<()>>,
    tickers: JoinSet<()>,
    /// Whether what is acknowledged outlives the process.
    outlives: bool,
}

impl Server {
    /// Starts everything. Nothing is left running if any part of it fails.
    pub(crate) async fn start(config: &Config, listeners: Listeners) -> Result<Self, Failure> {
        let addresses = listeners.addresses()?;
        let home = Home::take(config)?;
        let instance_id = home.instance_id.clone();
        let wants_delta = |to: &OtlpExporter| to.temporality() == exporters::Temporality::Delta;
        let telemetry = Telemetry::new(&instance_id, config.exporters.otlp.values().any(wants_delta));
        let meter = telemetry.meter();

        let exporters = config
            .exporters
            .otlp
            .iter()
            .map(|(name, exporter)| Exporter::spawn(destination(name, exporter), &meter))
            .collect::<Result<Vec<_>, _>>()?;
        let exporters = Arc::new(exporters);
        let archive = match &config.archive {
            Some(archive) => Some(Archive::start(archive_config(config, archive, &instance_id), &meter)?),
            None => None,
        };
        let archive_health = archive.as_ref().map(Archive::health);

        let archives_all = config.archive.as_ref().is_some_and(|archive| archive.include == sections::Include::All);
        let recorder = Recorder::new(archives_all);
        let target = Telemetry::target(&instance_id);
        let settings = settings(config, &exporters, instance_id)?;
        let Storage { pipeline, log, reader, keeper, applied } = Storage::open(home, config, settings, &recorder)?;
        let index = pipeline.index();
        let pipeline = SharedPipeline::new(pipeline);
        let memory_budget = config.receivers.otlp.memory_budget.as_usize();
        let sinks = Sinks { archive, exporters: Arc::clone(&exporters), telemetry: telemetry.clone() };
        // Before anything is appended, what was found is applied: counters begin where they ended.
        let found = log.last();
        let applier = Applier::start(pipeline.clone(), applied, reader, keeper, sinks)
            .map_err(Failure::io("starting the applier"))?;
        applier.progress().until(found).await;
        check_log(&log)?;

        let ingestion = Ingestion { redactor: config.derive.redactor(), recorder, index, log: log.clone() };
        let intake = Intake::new(Arc::new(ingestion), Budget::new(memory_budget), &meter)
            .with_credentials(config.receivers.otlp.auth.credentials()?);
        let (stop_receiving, stopped_receiving) = watch::channel(false);
        let mut receivers = JoinSet::new();
        let protocols = &config.receivers.otlp.protocols;
        let grpc_limits = Limits { max_request_size: protocols.grpc.max_recv_msg_size.as_usize(), ..Limits::default() };
        let http_limits =
            Limits { max_request_size: protocols.http.max_request_body_size.as_usize(), ..Limits::default() };
        let tls = config.receivers.otlp.tls.as_ref().map(Tls::load).transpose()?;
        let grpc = GrpcServer::new(listeners.grpc, intake.clone(), grpc_limits).await.with_tls(tls.clone());
        let http = HttpServer::new(listeners.http, intake, http_limits).with_tls(tls);
        receivers.spawn(grpc.serve(told(stopped_receiving.clone()), REQUEST_GRACE));
        receivers.spawn(http.serve(told(stopped_receiving), REQUEST_GRACE));

        let (stop_answering, stopped_answering) = watch::channel(false);
        let mut answering = JoinSet::new();
        if let Some(listener) = listeners.prometheus {
            let (pipeline, telemetry) = (pipeline.clone(), telemetry.clone());
            let source = move || {
                let (pipeline, telemetry) = (pipeline.clone(), telemetry.clone());
                async move { current_metrics(pipeline, telemetry).await }
            };
            answering.spawn(export::prometheus::serve(listener, target, source, told(stopped_answering.clone())));
        }
        let readiness = Readiness::new(log.clone(), archive_health);
        let credentials = config.admin.auth.credentials()?;
        let admin = admin::router(pipeline.clone(), readiness.clone(), credentials);
        let tls = config.admin.tls.as_ref().map(Tls::load).transpose()?;
        answering.spawn(admin::serve(listeners.admin, tls, admin, told(stopped_answering), ANSWER_GRACE));
        let mut tickers = JoinSet::new();
        tickers.spawn(close_intervals(log.clone(), config.metrics.interval));
        tickers.spawn(tell_time(log.clone(), pipeline.clone(), config.derive.settle_wait));

        readiness.set_ready(true);
        Ok(Self {
            addresses,
            pipeline,
            log,
            applier,
            exporters,
            readiness,
            stop_receiving,
            receivers,
            stop_answering,
            answering,
            tickers,
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

    /// Resolves with the reason if the thread that applies the log ends: then nothing is counted any more.
    pub(crate) fn broken(&self) -> impl Future<Output = Failure> + use<> {
        let mut progress = self.applier.progress();
        let log = self.log.clone();
        async move {
            progress.ended().await;
            let died = || Failure::Broken("the applier died: nothing is counted any more".to_owned());
            check_log(&log).err().unwrap_or_else(died)
        }
    }

    /// Appends a record that must not be lost to a log that may be full for a moment.
    async fn append(&self, record: Record) -> Result<Lsn, AppendError> {
        append(&self.log, record).await
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
        self.readiness.set_ready(false);
        self.stop_receiving.send_replace(true);
        let mut result = Ok(());
        while let Some(ended) = self.receivers.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => result = Err(Failure::Deadline(error.to_string())),
                Err(error) => result = Err(Failure::Deadline(error.to_string())),
            }
        }
        self.tickers.abort_all();
        // What a log on disk holds waits on; without one, this is its end.
        let drain = (!self.outlives).then_some(Record::Drain);
        for record in drain.into_iter().chain([Record::ExportInterval]) {
            if let Err(error) = self.append(record).await {
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
        match Arc::try_unwrap(self.exporters) {
            Ok(exporters) => exporters.into_iter().for_each(|exporter| {
                flushing.spawn(exporter.shutdown(EXPORT_GRACE));
            }),
            Err(_) => tracing::error!("exporters are still in use and were not flushed"),
        }
        while flushing.join_next().await.is_some() {}
        self.stop_answering.send_replace(true);
        let answered = async { while self.answering.join_next().await.is_some() {} };
        if tokio::time::timeout(ANSWER_GRACE, answered).await.is_err() {
            tracing::warn!("scrapes or admin requests were cut off");
        }
        result
    }
}

/// # Errors
/// The log has failed.
fn check_log(log: &Log<LogRecord>) -> Result<(), Failure> {
    log.failure().map_or(Ok(()), |reason| Err(Failure::Broken(reason.to_string())))
}

/// The metrics of this moment: derived ones, the open interval included, and Spanmill's own.
async fn current_metrics(
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

/// Tells the pipeline the time while anything waits for it.
async fn tell_time(log: Log<LogRecord>, pipeline: SharedPipeline, wait: Duration) {
    // Often enough that no call waits much longer than it must.
    let mut ticks = tokio::time::interval((wait / 10).clamp(Duration::from_millis(20), Duration::from_secs(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let is_waiting = pipeline.lock().is_waiting();
        if is_waiting && append(&log, Record::Tick).await.is_err() {
            return;
        }
    }
}

/// Waits for room in the log.
async fn append(log: &Log<LogRecord>, record: Record) -> Result<Lsn, AppendError> {
    const PAUSE: Duration = Duration::from_millis(10);
    loop {
        match log.append(LogRecord(record.clone())).await {
            Err(AppendError::Full) => tokio::time::sleep(PAUSE).await,
            result => return result,
        }
    }
}

/// Resolves when the channel says so, or its sender is gone.
async fn told(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The wall clock, in nanoseconds since the Unix epoch. The log is the only one who asks it.
pub(crate) fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn settings(config: &Config, exporters: &[Exporter], instance_id: String) -> Result<Settings, Failure> {
    let metrics = |temporality: Temporality| {
        exporters.iter().map(Exporter::destination).any(|to| to.metrics && to.temporality == temporality)
    };
    Ok(Settings {
        layout: Layout {
            resource_attributes: config.metrics.resource_attributes.clone(),
            dimensions: config.derive.dimensions.clone(),
            max_label_length: config.derive.max_label_length,
        },
        cardinality_limit: config.metrics.aggregation_cardinality_limit,
        error_records: ERROR_RECORDS,
        instance_id,
        delta: metrics(Temporality::Delta),
        cumulative: metrics(Temporality::Cumulative),
        error_logs: exporters.iter().any(|exporter| exporter.destination().logs),
        duplicates: config.derive.duplicates(),
        settle: config.derive.settle(),
        // Requests that wait for outcomes must leave the receivers room for those that come.
        pending: config.archive.as_ref().map(|_| config.receivers.otlp.memory_budget.as_usize() / 4),
        pricing: config.derive.prices.pricing()?,
    })
}

fn destination(name: &str, exporter: &OtlpExporter) -> Destination {
    Destination {
        name: format!("otlp/{name}"),
        endpoint: exporter.endpoint.to_string(),
        protocol: match exporter.protocol {
            exporters::Protocol::Grpc => Protocol::Grpc,
            exporters::Protocol::HttpProtobuf => Protocol::HttpProtobuf,
        },
        headers: exporter.headers.iter().map(|(key, value)| (key.clone(), value.expose().into())).collect(),
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
        profile: match exporter.profile {
            exporters::Profile::Default => Profile::Default,
            exporters::Profile::Signoz => Profile::SigNoz,
            exporters::Profile::Prometheus => Profile::Prometheus,
        },
        metrics: exporter.signals.contains(&exporters::Signal::Metrics),
        logs: exporter.signals.contains(&exporters::Signal::Logs),
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
    export::Tls { ca_file: tls.ca_file.clone(), identity }
}

fn archive_config(config: &Config, archive: &sections::Archive, instance_id: &str) -> ArchiveConfig {
    let sections::ArchiveCompression::Zstd(level) = archive.compression;
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
        instance: instance_id.to_owned(),
    }
}
