//! Spanmill's own telemetry: its log lines, and its metrics, which leave with the derived ones.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1 as proto;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality};
use tracing_subscriber::EnvFilter;

/// What Spanmill calls itself, as `service.name`.
const SERVICE_NAME: &str = "spanmill";

/// The meter that the crates count with, and the readers that give it all back.
#[derive(Debug, Clone)]
pub(crate) struct Telemetry {
    provider: SdkMeterProvider,
    cumulative: SharedReader,
    /// Only if a destination wants it: what is read there is forgotten.
    delta: Option<SharedReader>,
}

impl Telemetry {
    pub(crate) fn new(instance_id: &str, has_delta: bool) -> Self {
        let cumulative = SharedReader::new(Temporality::Cumulative);
        let delta = has_delta.then(|| SharedReader::new(Temporality::Delta));
        let resource = Resource::builder_empty()
            .with_attribute(KeyValue::new("service.name", SERVICE_NAME))
            .with_attribute(KeyValue::new("collector.instance.id", instance_id.to_owned()))
            .build();
        let provider = SdkMeterProvider::builder().with_reader(cumulative.clone()).with_resource(resource);
        let provider = match &delta {
            Some(delta) => provider.with_reader(delta.clone()),
            None => provider,
        };
        Self { provider: provider.build(), cumulative, delta }
    }

    pub(crate) fn meter(&self) -> Meter {
        self.provider.meter("spanmill")
    }

    /// What Spanmill says of itself to a scraper: its resource, and the version, which is no label of other metrics as it changes.
    pub(crate) fn target(instance_id: &str) -> Vec<proto::KeyValue> {
        [
            ("service.name", SERVICE_NAME),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("collector.instance.id", instance_id),
        ]
        .map(|(name, value)| otlp::metrics::text(name, value))
        .to_vec()
    }

    /// Spanmill's own metrics, cumulative.
    pub(crate) fn cumulative(&self) -> ExportMetricsServiceRequest {
        self.cumulative.read()
    }

    /// What came since this was asked last; `None` if no destination wants it.
    pub(crate) fn delta(&self) -> Option<ExportMetricsServiceRequest> {
        self.delta.as_ref().map(SharedReader::read)
    }
}

/// A reader that the provider and we hold.
#[derive(Debug, Clone)]
struct SharedReader(Arc<ManualReader>);

impl SharedReader {
    fn new(temporality: Temporality) -> Self {
        Self(Arc::new(ManualReader::builder().with_temporality(temporality).build()))
    }

    fn read(&self) -> ExportMetricsServiceRequest {
        let mut metrics = ResourceMetrics::default();
        match self.collect(&mut metrics) {
            Ok(()) => ExportMetricsServiceRequest::from(&metrics),
            Err(error) => {
                tracing::warn!(%error, "own metrics could not be collected");
                ExportMetricsServiceRequest::default()
            }
        }
    }
}

impl MetricReader for SharedReader {
    fn register_pipeline(&self, pipeline: std::sync::Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }
    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }
    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }
    fn shutdown_with_timeout(&self, timeout: std::time::Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }
    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

/// Log lines go to standard error; `RUST_LOG` says which, `info` and above by default.
pub(crate) fn init_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // An error means that a subscriber is there already, which then stays.
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).try_init();
}
