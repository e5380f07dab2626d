//! Spanmill's own telemetry: its log lines, and its metrics, which leave with the derived ones.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality};
use tracing_subscriber::EnvFilter;

/// The meter that the crates count with, and the reader that gives it all back.
#[derive(Debug, Clone)]
pub(crate) struct Telemetry {
    provider: SdkMeterProvider,
    reader: SharedReader,
}

impl Telemetry {
    pub(crate) fn new(instance_id: &str) -> Self {
        let reader = SharedReader(Arc::new(ManualReader::builder().with_temporality(Temporality::Cumulative).build()));
        let resource = Resource::builder_empty()
            .with_attribute(KeyValue::new("collector.instance.id", instance_id.to_owned()))
            .build();
        let provider = SdkMeterProvider::builder().with_reader(reader.clone()).with_resource(resource).build();
        Self { provider, reader }
    }

    pub(crate) fn meter(&self) -> Meter {
        self.provider.meter("spanmill")
    }

    /// Spanmill's own metrics, cumulative.
    pub(crate) fn collect(&self) -> ExportMetricsServiceRequest {
        let mut metrics = ResourceMetrics::default();
        match self.reader.collect(&mut metrics) {
            Ok(()) => ExportMetricsServiceRequest::from(&metrics),
            Err(error) => {
                tracing::warn!(%error, "own metrics could not be collected");
                ExportMetricsServiceRequest::default()
            }
        }
    }
}

/// A reader that the provider and we hold.
#[derive(Debug, Clone)]
struct SharedReader(Arc<ManualReader>);

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
