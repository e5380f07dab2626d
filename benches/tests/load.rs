//! The load generator against real servers in this process: what it reports is what they received.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::HashSet;
use std::convert::Infallible;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use spanmill_benches::client::{Compression, Protocol};
use spanmill_benches::load::{Counts, Latency, Load, LoadError, Plan, Until};
use spanmill_benches::payload::Shape;
use tokio::net::TcpListener;
use tonic::codec::CompressionEncoding;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// What a server answers.
#[derive(Clone, Copy)]
enum Answering {
    Success,
    PartialSuccess,
    Refusal,
}

/// A server that remembers the span ids it was sent.
#[derive(Clone)]
struct Recorder {
    answering: Answering,
    span_ids: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    fn new(answering: Answering) -> Self {
        Self { answering, span_ids: Arc::default() }
    }

    fn record(&self, request: ExportTraceServiceRequest) {
        let spans = request.resource_spans.into_iter().flat_map(|r| r.scope_spans).flat_map(|s| s.spans);
        self.span_ids.lock().unwrap().extend(spans.map(|span| span.span_id));
    }

    fn assert_received(&self, spans: u64) {
        let span_ids = self.span_ids.lock().unwrap();
        assert_eq!(span_ids.len() as u64, spans);
        assert_eq!(span_ids.iter().collect::<HashSet<_>>().len(), span_ids.len(), "a span id was sent twice");
    }
}

#[tonic::async_trait]
impl TraceService for Recorder {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.record(request.into_inner());
        let partial = ExportTracePartialSuccess { rejected_spans: 3, error_message: "three are too old".to_owned() };
        match self.answering {
            Answering::Success => Ok(Response::new(ExportTraceServiceResponse { partial_success: None })),
            Answering::PartialSuccess => {
                Ok(Response::new(ExportTraceServiceResponse { partial_success: Some(partial) }))
            }
            Answering::Refusal => Err(Status::unavailable("full")),
        }
    }
}

fn serve_grpc(recorder: &Recorder) -> String {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = incoming.local_addr().unwrap().to_string();
    let service = TraceServiceServer::new(recorder.clone()).accept_compressed(CompressionEncoding::Gzip);
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    address
}

async fn serve_http(recorder: &Recorder) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let recorder = recorder.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let recorder = recorder.clone();
            let service = service_fn(move |request| receive_http(recorder.clone(), request));
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn receive_http(
    recorder: Recorder,
    request: hyper::Request<hyper::body::Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), "/v1/traces");
    assert_eq!(request.headers()["content-type"], "application/x-protobuf");
    let gzip = request.headers().get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    let mut body = request.into_body().collect().await.unwrap().to_bytes().to_vec();
    if gzip {
        let compressed = std::mem::take(&mut body);
        flate2::read::GzDecoder::new(&compressed[..]).read_to_end(&mut body).unwrap();
    }
    recorder.record(ExportTraceServiceRequest::decode(&body[..]).unwrap());
    let mut response = hyper::Response::new(Full::default());
    if matches!(recorder.answering, Answering::Refusal) {
        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}

fn plan(address: String, protocol: Protocol, compression: Compression) -> Plan {
    Plan {
        address,
        protocol,
        compression,
        gzip_level: 1,
        shape: Shape::Lean,
        batch: 50,
        concurrency: 4,
        connections: 2,
        seed: 1,
    }
}

/// Every protocol and compression: the server decodes what was acknowledged, in two runs, and no id comes twice.
#[tokio::test]
async fn acknowledged_spans_are_those_the_server_received() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        for compression in [Compression::None, Compression::Gzip] {
            let recorder = Recorder::new(Answering::Success);
            let address = match protocol {
                Protocol::Grpc => serve_grpc(&recorder),
                Protocol::Http => serve_http(&recorder).await,
            };
            let mut load = Load::prepare(&plan(address, protocol, compression)).await.unwrap();
            let first = load.run(Until::Spans(4_000)).await.unwrap();
            let second = load.run(Until::Spans(1_010)).await.unwrap();
            assert_eq!((first.acknowledged, first.refused, first.requests), (4_000, 0, 80));
            assert_eq!(first.latencies.len(), 80);
            assert_eq!((second.acknowledged, second.requests), (1_050, 21), "rounded up to whole requests");
            recorder.assert_received(5_050);
        }
    }
}

/// Percentiles are those of all that was waited for, in whatever order it came.
#[test]
fn percentiles_are_exact() {
    let latencies = (1..=200).map(|number| Duration::from_millis(number * 7 % 200 + 1)).collect();
    let latency = Counts { latencies, ..Counts::default() }.latency();
    assert_eq!(latency, Latency { p50: 100.0, p99: 198.0, max: 200.0 });
    assert_eq!(Counts::default().latency(), Latency::default());
}

/// Refusals, whole or in part, are never reported as acknowledged, and their reason is told.
#[tokio::test]
async fn refused_spans_are_not_acknowledged() {
    let recorder = Recorder::new(Answering::PartialSuccess);
    let plan_partial = plan(serve_grpc(&recorder), Protocol::Grpc, Compression::None);
    let counts = Load::prepare(&plan_partial).await.unwrap().run(Until::Spans(500)).await.unwrap();
    assert_eq!((counts.acknowledged, counts.refused), (470, 30));

    let recorder = Recorder::new(Answering::Refusal);
    let plan_refused = plan(serve_grpc(&recorder), Protocol::Grpc, Compression::None);
    let counts = Load::prepare(&plan_refused).await.unwrap().run(Until::Spans(500)).await.unwrap();
    assert_eq!((counts.acknowledged, counts.refused), (0, 500));
    assert!(counts.latencies.is_empty());
    assert_eq!(counts.refusals.into_iter().collect::<Vec<_>>(), [("grpc status 14 full".to_owned(), 10)]);

    let plan_refused = plan(serve_http(&recorder).await, Protocol::Http, Compression::None);
    let counts = Load::prepare(&plan_refused).await.unwrap().run(Until::Spans(500)).await.unwrap();
    assert_eq!((counts.acknowledged, counts.refused), (0, 500));
}

/// Without a server there is an error that names the address, not a report of zero.
#[tokio::test]
async fn no_server_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = Load::prepare(&plan(address.clone(), Protocol::Grpc, Compression::None)).await.unwrap_err();
    assert!(matches!(error, LoadError::Client(_)));
    assert!(error.to_string().contains(&address), "{error}");
}
