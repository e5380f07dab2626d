//! One attempt to hand an encoded request to a destination, over gRPC or HTTP.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::{Buf as _, BufMut as _, Bytes};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use http::uri::{PathAndQuery, Scheme, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tower::Service;
use transport::Connector;

use crate::destination::{Compression, Destination, ExportError, Protocol};
use crate::outcome::{self, Accepted, Failure};
use crate::stats::Signal;

const AGENT: &str = concat!("OTel-OTLP-Exporter-Spanmill/", env!("CARGO_PKG_VERSION"));

/// What the specification asks of an exporter.
const MAX_RESPONSE_BYTES: usize = 4 * 1024 * 1024;

/// A byte more, which is no server's limit: tonic complains of our answers and of a server's requests in the same words.
const MAX_GRPC_RESPONSE_BYTES: usize = MAX_RESPONSE_BYTES + 1;

/// A connection that went silent without being closed is given up after this. Not shorter, as servers take frequent
/// pings for an attack.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Fast, as the body is small and the same series compress well at any level.
const GZIP_LEVEL: u32 = 1;
const ZSTD_LEVEL: i32 = 1;

/// The connection to one destination; it is made at the first attempt and again whenever it is lost.
pub(crate) struct Client {
    transport: Transport,
    headers: HeaderMap,
    timeout: Duration,
}

enum Transport {
    Grpc(Box<GrpcTransport>),
    Http(Box<HttpTransport>),
}

struct GrpcTransport {
    grpc: Grpc<Uncopied>,
    is_compressed: bool,
}

struct HttpTransport {
    client: HyperClient<Connector, Full<Bytes>>,
    traces: Uri,
    metrics: Uri,
    logs: Uri,
    compression: Compression,
}

impl Client {
    /// Checks the destination; connects to nothing yet.
    pub(crate) fn new(destination: &Destination) -> Result<Client, ExportError> {
        let base = destination.base_uri()?;
        let connector = connector(destination, &base)?;
        let transport = match destination.protocol {
            Protocol::Grpc => Transport::Grpc(Box::new(grpc_transport(destination, base, connector)?)),
            Protocol::HttpProtobuf => Transport::Http(Box::new(http_transport(destination, &base, connector)?)),
        };
        Ok(Client { transport, headers: destination.header_map()?, timeout: destination.timeout })
    }

    /// Sends an encoded export request, in parts that stand behind each other, and waits for the answer.
    pub(crate) async fn send(&mut self, signal: Signal, body: &[Bytes]) -> Result<Accepted, Failure> {
        match &mut self.transport {
            Transport::Grpc(grpc) => {
                let attempt = send_grpc(grpc, &self.headers, self.timeout, signal, body);
                within(self.timeout, attempt).await
            }
            Transport::Http(http) => send_http(http, &self.headers, self.timeout, signal, whole(body)).await,
        }
    }
}

/// What is not answered in time is tried again.
async fn within<Answer>(
    timeout: Duration,
    attempt: impl Future<Output = Result<Answer, Failure>>,
) -> Result<Answer, Failure> {
    let answer = tokio::time::timeout(timeout, attempt).await;
    answer.unwrap_or_else(|elapsed| Err(outcome::too_late(&elapsed)))
}

fn connector(destination: &Destination, base: &Uri) -> Result<Connector, ExportError> {
    let protocol: &[u8] = match destination.protocol {
        Protocol::Grpc => b"h2",
        Protocol::HttpProtobuf => b"http/1.1",
    };
    if base.scheme() == Some(&Scheme::HTTPS) {
        // What cannot work is said at the start, not at the first request.
        destination
            .tls
            .client_config(protocol)
            .map_err(|reason| ExportError::Tls { destination: destination.name.clone(), reason })?;
    }
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(destination.timeout));
    tcp.set_nodelay(true);
    Ok(Connector::new(tcp, destination.tls.clone(), protocol))
}

fn grpc_transport(destination: &Destination, base: Uri, connector: Connector) -> Result<GrpcTransport, ExportError> {
    let endpoint = Endpoint::from(base)
        .user_agent(AGENT)
        .map_err(|error| unusable(destination, &error))?
        .connect_timeout(destination.timeout)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    let channel = Uncopied(endpoint.connect_with_connector_lazy(connector));
    // Servers made with grpc-go, and so every Collector, answer in the compression that they were asked in.
    let grpc = Grpc::new(channel)
        .max_decoding_message_size(MAX_GRPC_RESPONSE_BYTES)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd);
    let grpc = match destination.compression {
        Compression::Gzip => grpc.send_compressed(CompressionEncoding::Gzip),
        Compression::Zstd => grpc.send_compressed(CompressionEncoding::Zstd),
        Compression::None => grpc,
    };
    Ok(GrpcTransport { grpc, is_compressed: destination.compression != Compression::None })
}

async fn send_grpc(
    transport: &mut GrpcTransport,
    headers: &HeaderMap,
    timeout: Duration,
    signal: Signal,
    body: &[Bytes],
) -> Result<Accepted, Failure> {
    let method = match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    };
    let GrpcTransport { grpc, is_compressed } = transport;
    let mut request = tonic::Request::new(if *is_compressed { whole(body) } else { Bytes::new() });
    if !*is_compressed {
        request.extensions_mut().insert(Message::of(body)?);
    }
    *request.metadata_mut() = MetadataMap::from_headers(headers.clone());
    request.set_timeout(timeout);
    grpc.ready().await.map_err(|error| outcome::no_answer("no connection", &error))?;
    let answer = grpc.unary(request, PathAndQuery::from_static(method), EncodedCodec).await;
    match answer {
        Ok(response) => Ok(outcome::accepted(&response.into_inner())),
        // Whoever answers at such length has the request.
        Err(status) if is_too_long(status.message()) => {
            Ok(Accepted { rejected: 0, message: "the answer is too long to be read".to_owned() })
        }
        Err(status) => Err(outcome::grpc_failure(&status)),
    }
}

/// Whether tonic says that an answer, or what a compressed one is inflated to, is longer than we read.
fn is_too_long(complaint: &str) -> bool {
    let limits = [
        format!("the limit is: {MAX_GRPC_RESPONSE_BYTES} bytes"),
        format!("size limit, of {MAX_GRPC_RESPONSE_BYTES} bytes"),
    ];
    limits.iter().any(|limit| complaint.contains(limit))
}

/// A request in one.
pub(crate) fn whole(parts: &[Bytes]) -> Bytes {
    match parts {
        [only] => only.clone(),
        parts => parts.concat().into(),
    }
}

/// A gRPC message as it stands on the wire: whether it is compressed, its length, and the request in its parts.
#[derive(Clone)]
struct Message(VecDeque<Bytes>);

impl Message {
    fn of(parts: &[Bytes]) -> Result<Self, Failure> {
        let length: usize = parts.iter().map(Bytes::len).sum();
        let length = u32::try_from(length).map_err(|error| outcome::no_answer("message size", &error))?;
        let head = [&[0][..], &length.to_be_bytes()].concat();
        let parts = parts.iter().filter(|part| !part.is_empty()).cloned();
        Ok(Self(std::iter::once(head.into()).chain(parts).collect()))
    }
}

impl Body for Message {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.pop_front().map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|part| part.len() as u64).sum())
    }
}

/// A channel that sends the message that goes with a request in place of what tonic has encoded, which would be another copy of it.
#[derive(Clone)]
struct Uncopied(Channel);

impl Service<http::Request<tonic::body::Body>> for Uncopied {
    type Response = http::Response<tonic::body::Body>;
    type Error = tonic::transport::Error;
    type Future = <Channel as Service<http::Request<tonic::body::Body>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::poll_ready(&mut self.0, context)
    }

    fn call(&mut self, mut request: http::Request<tonic::body::Body>) -> Self::Future {
        if let Some(message) = request.extensions_mut().remove::<Message>() {
            *request.body_mut() = tonic::body::Body::new(message);
        }
        self.0.call(request)
    }
}

/// Hands on messages that are encoded already, and answers that are not decoded yet.
pub(crate) struct EncodedCodec;

impl Codec for EncodedCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = EncodedCodec;
    type Decoder = EncodedCodec;

    fn encoder(&mut self) -> EncodedCodec {
        EncodedCodec
    }

    fn decoder(&mut self) -> EncodedCodec {
        EncodedCodec
    }
}

impl Encoder for EncodedCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, body: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(body);
        Ok(())
    }
}

impl Decoder for EncodedCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

fn http_transport(destination: &Destination, base: &Uri, connector: Connector) -> Result<HttpTransport, ExportError> {
    let client = HyperClient::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
    let uri = |path: &str| {
        if !destination.appends_path {
            return Ok(base.clone());
        }
        let base = base.to_string();
        format!("{}{path}", base.trim_end_matches('/')).parse::<Uri>().map_err(|error| unusable(destination, &error))
    };
    let compression = destination.compression;
    let (traces, metrics, logs) = (uri("/v1/traces")?, uri("/v1/metrics")?, uri("/v1/logs")?);
    Ok(HttpTransport { client, traces, metrics, logs, compression })
}

async fn send_http(
    http: &HttpTransport,
    headers: &HeaderMap,
    timeout: Duration,
    signal: Signal,
    body: Bytes,
) -> Result<Accepted, Failure> {
    let (content_encoding, body) =
        compress(&body, http.compression).map_err(|error| outcome::no_answer("compression", &error))?;
    let mut request = http::Request::new(Full::new(body));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = match signal {
        Signal::Traces => http.traces.clone(),
        Signal::Metrics => http.metrics.clone(),
        Signal::Logs => http.logs.clone(),
    };
    *request.headers_mut() = headers.clone();
    request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    if let Some(content_encoding) = content_encoding {
        request.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(content_encoding));
    }

    let answer =
        async { http.client.request(request).await.map_err(|error| outcome::no_answer("no connection", &error)) };
    let (head, body) = within(timeout, answer).await?.into_parts();
    // The status line decides. A body that is too long, breaks off or does not come only costs its explanation; to repeat a request
    // that was accepted would count it twice.
    let explanation = tokio::time::timeout(timeout, Limited::new(body, MAX_RESPONSE_BYTES).collect()).await;
    let explanation = explanation.ok().and_then(Result::ok).map(|collected| collected.to_bytes()).unwrap_or_default();
    if head.status.is_success() {
        return Ok(outcome::accepted(&explanation));
    }
    Err(outcome::http_failure(head.status, &head.headers, &explanation, SystemTime::now()))
}

fn compress(body: &Bytes, compression: Compression) -> io::Result<(Option<&'static str>, Bytes)> {
    match compression {
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL));
            encoder.write_all(body)?;
            Ok((Some("gzip"), encoder.finish()?.into()))
        }
        Compression::Zstd => Ok((Some("zstd"), zstd::bulk::compress(body, ZSTD_LEVEL)?.into())),
        Compression::None => Ok((None, body.clone())),
    }
}

fn unusable(destination: &Destination, error: &dyn std::error::Error) -> ExportError {
    ExportError::Endpoint { destination: destination.name.clone(), reason: error.to_string() }
}
