//! Clients as applications use them: the generated gRPC clients, and OTLP/HTTP with protobuf or JSON.

use std::io::Write;
use std::net::SocketAddr;

use bytes::Bytes;
use http::Method;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message;
use serde::Serialize;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;

use crate::{Addresses, Payload, Signal, raw};

/// How requests travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP, protobuf bodies.
    HttpProtobuf,
    /// OTLP/HTTP, JSON bodies.
    HttpJson,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Grpc, Self::HttpProtobuf, Self::HttpJson];
}

/// How requests are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    /// Its name as a content encoding; none for none.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// `plain`, compressed.
    pub fn compress(self, plain: &[u8]) -> Vec<u8> {
        match self {
            Self::None => plain.to_vec(),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(plain).expect("writing to memory");
                encoder.finish().expect("writing to memory")
            }
            Self::Zstd => zstd::encode_all(plain, 3).expect("writing to memory"),
        }
    }

    const fn grpc(self) -> Option<CompressionEncoding> {
        match self {
            Self::None => None,
            Self::Gzip => Some(CompressionEncoding::Gzip),
            Self::Zstd => Some(CompressionEncoding::Zstd),
        }
    }
}

/// A client with one way of sending.
#[derive(Debug, Clone)]
pub struct Client {
    transport: Transport,
    compression: Compression,
    http: SocketAddr,
    channel: Channel,
}

impl Client {
    /// A client of the server at `addresses`.
    pub fn new(addresses: Addresses, transport: Transport, compression: Compression) -> Self {
        let endpoint = Channel::from_shared(format!("http://{}", addresses.grpc)).expect("an address");
        Self { transport, compression, http: addresses.http, channel: endpoint.connect_lazy() }
    }

    /// A client as most are: gRPC, not compressed.
    pub fn grpc(addresses: Addresses) -> Self {
        Self::new(addresses, Transport::Grpc, Compression::None)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// What the server said, if it is not an unreserved yes.
    pub async fn send(&self, payload: &Payload) -> Result<(), String> {
        match self.transport {
            Transport::Grpc => self.send_grpc(payload).await,
            Transport::HttpProtobuf => self.send_http(payload, "application/x-protobuf", &payload.body).await,
            Transport::HttpJson => self.send_http(payload, "application/json", &json(payload)).await,
        }
    }

    async fn send_grpc(&self, payload: &Payload) -> Result<(), String> {
        // The three generated clients have no trait in common.
        macro_rules! export {
            ($client:ident, $request:ident) => {{
                let mut client = $client::new(self.channel.clone());
                if let Some(encoding) = self.compression.grpc() {
                    client = client.send_compressed(encoding);
                }
                let request = $request::decode(payload.body.clone()).expect("a request");
                let response = client.export(request).await.map_err(|status| status.to_string())?;
                // Collectors always set it; only what it says counts.
                match response.into_inner().partial_success.filter(|partial| *partial != Default::default()) {
                    None => Ok(()),
                    Some(partial) => Err(format!("{partial:?}")),
                }
            }};
        }
        match payload.signal {
            Signal::Traces => export!(TraceServiceClient, ExportTraceServiceRequest),
            Signal::Metrics => export!(MetricsServiceClient, ExportMetricsServiceRequest),
            Signal::Logs => export!(LogsServiceClient, ExportLogsServiceRequest),
        }
    }

    async fn send_http(&self, payload: &Payload, content_type: &str, body: &[u8]) -> Result<(), String> {
        let mut headers = vec![("content-type", content_type)];
        headers.extend(self.compression.name().map(|name| ("content-encoding", name)));
        let body = Bytes::from(self.compression.compress(body));
        let path = payload.signal.http_path();
        let answer = raw::request(self.http, Method::POST, path, &headers, body, false).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let answered_in = answer.headers.get("content-type").and_then(|value| value.to_str().ok());
        match (answer.status.as_u16(), answer.body.as_ref(), answered_in) {
            (200, b"" | b"{}", Some(answered_in)) if answered_in == content_type => Ok(()),
            _ => Err(format!("{} {answered_in:?} {}", answer.status, answer.text())),
        }
    }
}

/// A request as OTLP/JSON, written by opentelemetry-proto.
fn json(payload: &Payload) -> Vec<u8> {
    fn convert<Request: Message + Serialize + Default>(body: &Bytes) -> Vec<u8> {
        let request = Request::decode(body.clone()).expect("a request");
        serde_json::to_vec(&request).expect("a request as JSON")
    }
    match payload.signal {
        Signal::Traces => convert::<ExportTraceServiceRequest>(&payload.body),
        Signal::Metrics => convert::<ExportMetricsServiceRequest>(&payload.body),
        Signal::Logs => convert::<ExportLogsServiceRequest>(&payload.body),
    }
}
