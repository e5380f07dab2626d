//! What the receivers hand on, and to whom.
use crate::Refusal;
use bytes::Bytes;

/// The three OTLP signals that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// `ExportTraceServiceRequest`
    Traces,
    /// `ExportMetricsServiceRequest`
    Metrics,
    /// `ExportLogsServiceRequest`
    Logs,
}

impl Signal {
    /// Every signal, in the order of the discriminants.
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    /// The name in configuration, file names and metric attributes.
    pub const fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }

    /// The path of the OTLP/HTTP endpoint.
    pub const fn http_path(self) -> &'static str {
        match self {
            Signal::Traces => "/v1/traces",
            Signal::Metrics => "/v1/metrics",
            Signal::Logs => "/v1/logs",
        }
    }

    /// The full name of the OTLP/gRPC service.
    pub const fn grpc_service(self) -> &'static str {
        match self {
            Signal::Traces => "opentelemetry.proto.collector.trace.v1.TraceService",
            Signal::Metrics => "opentelemetry.proto.collector.metrics.v1.MetricsService",
            Signal::Logs => "opentelemetry.proto.collector.logs.v1.LogsService",
        }
    }
}

/// One export request.
///
/// A body that came over the network holds its share of the [`Budget`](crate::Budget) until the last clone or slice of it
/// is dropped.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which of the three export messages the body is.
    pub signal: Signal,
    /// The protobuf message, inflated; not yet validated.
    pub body: Bytes,
}

/// What stands behind the receivers.
pub trait Ingest: Send + Sync + 'static {
    /// Another body that is to stand for the one that was sent, from here on; `None` leaves it. What was sent is gone then, and
    /// the budget holds the new one.
    ///
    /// # Errors
    /// The body cannot be read.
    fn rewrite(&self, _signal: Signal, _body: &Bytes) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(None)
    }

    /// Resolves with the number of its spans when the request may be acknowledged, or with the reason why it is refused.
    ///
    /// The future is dropped when the client goes away or its deadline passes; the client will send the request again, so
    /// whatever is half done must stand being repeated.
    fn ingest(&self, request: Request) -> impl Future<Output = Result<u64, Refusal>> + Send;
}
