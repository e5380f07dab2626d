//! A server on a free port with a recording end, and the bodies to send to it.
#![allow(dead_code)]
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, SdkMeterProvider};
use prost::Message;
use spanmill_receive::{Budget, GrpcServer, Health, HttpServer, Ingest, Intake, Limits, Refusal, Request, ServeError};
use std::collections::VecDeque;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

pub const GRACE: Duration = Duration::from_secs(10);
pub const BUDGET: usize = 8 << 20;
pub const MAX_REQUEST: usize = 1 << 20;

/// Keeps what it is given, and answers as told; accepts if told nothing. Closing the gate holds every request.
pub struct Recorder {
    pub requests: Mutex<Vec<Request>>,
    pub answers: Mutex<VecDeque<Result<u64, Refusal>>>,
    pub gate: Semaphore,
}

impl Recorder {
    pub fn bodies(&self) -> Vec<Bytes> {
        self.requests.lock().unwrap().iter().map(|request| request.body.clone()).collect()
    }

    pub fn answer(&self, refusal: Refusal) {
        self.answers.lock().unwrap().push_back(Err(refusal));
    }

    /// Accepts the next request as one of so many spans.
    pub fn accept(&self, spans: u64) {
        self.answers.lock().unwrap().push_back(Ok(spans));
    }
}

impl Ingest for Recorder {
    async fn ingest(&self, request: Request) -> Result<u64, Refusal> {
        self.requests.lock().unwrap().push(request);
        let _open = self.gate.acquire().await.unwrap();
        self.answers.lock().unwrap().pop_front().unwrap_or(Ok(0))
    }
}

/// A running server.
pub struct Running {
    pub address: SocketAddr,
    pub recorder: Arc<Recorder>,
    pub budget: Budget,
    pub health: Option<Health>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
    meter_provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
}

pub fn limits() -> Limits {
    Limits { max_request_size: MAX_REQUEST, ..Limits::default() }
}

#[derive(Clone, Copy)]
pub enum Kind {
    Grpc,
    Http,
}

pub async fn start(kind: Kind, limits: Limits, grace: Duration) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let recorder = Arc::new(Recorder {
        requests: Mutex::default(),
        answers: Mutex::default(),
        gate: Semaphore::new(Semaphore::MAX_PERMITS),
    });
    let budget = Budget::new(BUDGET);
    let exporter = InMemoryMetricExporter::default();
    let meter_provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
    let intake = Intake::new(Arc::clone(&recorder), budget.clone(), &meter_provider.meter("test"));
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let (health, served) = match kind {
        Kind::Grpc => {
            let server = GrpcServer::new(listener, intake, limits).await;
            (Some(server.health()), tokio::spawn(server.serve(shutdown, grace)))
        }
        Kind::Http => (None, tokio::spawn(HttpServer::new(listener, intake, limits).serve(shutdown, grace))),
    };
    Running { address, recorder, budget, health, stop, served, meter_provider, exporter }
}

impl Running {
    /// Begins the shutdown; the handle resolves when the server has ended.
    pub fn stop(self) -> JoinHandle<Result<(), ServeError>> {
        self.stop.send(()).unwrap();
        self.served
    }

    /// The requests counted so far with this outcome.
    pub fn counted(&self, outcome: &str) -> u64 {
        self.sum("spanmill.receiver.requests", outcome).unwrap_or_default()
    }

    /// What a counter has come to with this outcome; `None` if it does not tell of it.
    pub fn sum(&self, counter: &str, outcome: &str) -> Option<u64> {
        self.meter_provider.force_flush().unwrap();
        let exported = self.exporter.get_finished_metrics().unwrap();
        let latest = exported.last().unwrap();
        let metrics = latest.scope_metrics().flat_map(|scope| scope.metrics());
        let mut total = None;
        for metric in metrics.filter(|metric| metric.name() == counter) {
            if let AggregatedMetrics::U64(MetricData::Sum(sum)) = metric.data() {
                let with_outcome = sum.data_points().filter(|point| {
                    point.attributes().any(|pair| pair.key.as_str() == "outcome" && pair.value.as_str() == outcome)
                });
                with_outcome.for_each(|point| *total.get_or_insert(0) += point.value());
            }
        }
        total
    }
}

/// Waits until something becomes true; fails after ten seconds.
pub async fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_true() {
        assert!(Instant::now() < deadline, "not reached: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 1).unwrap()
}

/// `google.rpc.Status`, read by its own definition.
#[derive(Clone, PartialEq, Message)]
pub struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<RpcDetail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub struct RpcDetail {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

pub const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
pub const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
/// `RetryInfo { retry_delay: Duration { seconds: 1 } }`
pub const ONE_SECOND: &[u8] = &[0x0a, 0x02, 0x08, 0x01];
